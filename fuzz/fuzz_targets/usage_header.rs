//! The headers in which Meta reports its quotas.
#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use meta_graph::Usage;

fuzz_target!(|header: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(header) else { return };
    let mut headers = HeaderMap::new();
    headers.insert("x-business-use-case-usage", value.clone());
    headers.insert("x-app-usage", value);
    let usage = Usage::from_headers(&headers);
    let percent = [usage.app_percent(), usage.percent_for("4000000001")];
    assert!(percent.into_iter().flatten().all(f64::is_finite), "{usage:?}");
    let _ = usage.regain_after();
});
