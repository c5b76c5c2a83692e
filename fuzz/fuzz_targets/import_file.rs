//! Whole import files of each format: an error, or products that are records or refused with reasons; never a panic.
//! The first byte chooses the format.
#![no_main]

use std::io::Cursor;

use catalog_sync::intake::import::formats::table::Names;
use catalog_sync::intake::import::formats::{GoogleMerchant, Shopify, Source, WooCommerce};
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;

fn read(mut source: impl Source) {
    while let Ok(Some(item)) = source.next_item() {
        match item.record {
            Ok(record) => assert!(!record.id.is_empty()),
            Err(refusals) => assert!(!refusals.is_empty(), "a refusal has a reason"),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((format, file)) = input.split_first() else { return };
    let file = Cursor::new(file);
    match format % 3 {
        0 => Shopify::open(file, Names::new(), 2).into_iter().for_each(read),
        1 => WooCommerce::open(file, Names::new(), 2, TimeZone::UTC).into_iter().for_each(read),
        _ => GoogleMerchant::open(file, TimeZone::UTC).into_iter().for_each(read),
    }
});
