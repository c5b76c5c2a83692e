//! An answer of Meta's: a status and a body. Whatever it is, reading it gives a value or a failure, and no text that
//! would harm a terminal, a log or a database.
#![no_main]

use libfuzzer_sys::fuzz_target;
use meta_graph::fuzzing::{harmless, shown};

fuzz_target!(|answer: (u16, &[u8])| {
    let (status, body) = answer;
    for text in shown(200 + status % 400, body) {
        assert!(harmless(&text), "{text}");
    }
});
