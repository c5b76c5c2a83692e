//! What a mapper module answers: what passes the check is canonical JSON, and passes it again unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use wasm_host::fuzzing::{patched, whole};

const BUILTIN: &str = r#"{"brand":"B","id":"v1","price":"1.00 INR","title":"T"}"#;

fuzz_target!(|answer: (&str, &str, Option<&str>)| {
    let (data, name, value) = answer;
    for taken in [whole(data), patched(BUILTIN, name, value)].into_iter().flatten() {
        serde_json::from_str::<Map<String, Value>>(&taken).expect("an object");
        assert_eq!(whole(&taken).as_ref(), Some(&taken), "canonical");
    }
});
