//! A PATCH of the settings: each value is taken in a form that is taken again, or refused with a reason.
#![no_main]

use catalog_sync::domain::settings;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|body: &[u8]| {
    let Ok(values) = serde_json::from_slice::<Map<String, Value>>(body) else { return };
    for (key, value) in &values {
        let Some(spec) = settings::find(key) else { continue };
        match spec.check(value) {
            Ok(taken) => assert_eq!(spec.check(&taken).as_ref(), Ok(&taken), "{key}"),
            Err(why) => assert!(!why.is_empty(), "{key}"),
        }
    }
});
