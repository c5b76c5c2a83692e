//! Lines of an import file: each is a record or refused with reasons, and what is taken can be written again.
#![no_main]

use catalog_sync::intake::import;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    for line in file.split(|byte| *byte == b'\n') {
        match import::parse(line) {
            Ok(record) => assert!(!record.id.is_empty()),
            Err(refusals) => assert!(!refusals.is_empty(), "a refusal has a reason"),
        }
    }
});
