//! How long one variant takes: `cargo run --release -p mapper-core --example throughput`.
//!
//! Maps and hashes the fixtures' ordinary variant, once with its plain description and once with an HTML
//! one of a thousand characters.

use std::hint::black_box;
use std::time::Instant;

use mapper_core::input::{Item, read};
use mapper_core::{Outcome, map, sha256_hex};

const ROUNDS: u32 = 200_000;

fn main() {
    let fixture: serde_json::Value =
        serde_json::from_str(include_str!("../fixtures/complete.json")).expect("a fixture is JSON");
    let plain = read(&fixture["input"].to_string()).expect("the fixture reads");
    let mut html = plain.clone();
    html.product.description = Some("<p>Woven from <b>European</b> flax &amp; cotton.</p>\n".repeat(20));

    report("plain description", &plain);
    report("HTML description", &html);
}

fn report(what: &str, item: &Item) {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let now = item.now.unwrap_or_default();
        let outcome = map(black_box(&item.settings), now, black_box(&item.product), &item.variant);
        black_box(outcome);
    }
    let mapping = start.elapsed() / ROUNDS;
    let Outcome::Mapped(mapped) = map(&item.settings, 0, &item.product, &item.variant) else {
        println!("{what}: not eligible");
        return;
    };
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(sha256_hex(black_box(&mapped.data)));
    }
    let hashing = start.elapsed() / ROUNDS;
    println!("{what}: {mapping:?} a variant, and {hashing:?} for the hash of {} bytes", mapped.data.len());
}
