//! Whatever Meta answers: a typed value or a typed failure, never a panic, and no text that would harm a reader.

use proptest::prelude::*;

use super::shown::{harmless, raw, shown};
use super::*;
use crate::items_batch;

/// Every name that some type of this crate reads.
const NAMES: [&str; 47] = [
    "data",
    "paging",
    "cursors",
    "after",
    "next",
    "id",
    "name",
    "error",
    "message",
    "code",
    "error_subcode",
    "subcode",
    "type",
    "is_transient",
    "error_user_title",
    "error_user_msg",
    "error_data",
    "blame_field_specs",
    "fbtrace_id",
    "success",
    "handles",
    "validation_status",
    "retailer_id",
    "errors",
    "warnings",
    "handle",
    "status",
    "errors_total_count",
    "warnings_total_count",
    "ids_of_invalid_requests",
    "line",
    "owned_product_catalogs",
    "client_product_catalogs",
    "product_count",
    "vertical",
    "access_token",
    "expires_in",
    "is_valid",
    "app_id",
    "user_id",
    "expires_at",
    "data_access_expires_at",
    "scopes",
    "granular_scopes",
    "scope",
    "target_ids",
    "role",
];

/// The JSON of a value without inner values, as text: a `Value` could hold neither a doubled key nor `1e999`.
fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "-1",
            "42",
            "1.5",
            "1e999",
            "-1e999",
            "1e308",
            "18446744073709551616",
            "9223372036854775808",
            "\"\"",
            "\"finished\"",
            "\"AcH\"",
            r#""a\u0000b""#,
            r#""\ud83d\ude00\u202e""#,
            r#""\ud800""#,
            "\"\u{7f}\u{85}\u{2028}\"",
            r#""\n\r\t\b\u001b[0m""#,
            r#""{\"blame_field_specs\":[[\"\\u0000\"]]}""#,
            "[]",
            "{}",
        ])
        .prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("JSON has no infinity", |number| number.is_finite())
            .prop_map(|number| number.to_string()),
        ".{0,8}".prop_map(|text| Value::String(text).to_string()),
        (1_000..20_000_usize).prop_map(|length| format!("\"{}\"", "ä".repeat(length))),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![9 => proptest::sample::select(NAMES.to_vec()).prop_map(str::to_owned), 1 => "[^\\\\\"\\p{Cc}]{0,5}"]
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let field = (name(), value).prop_map(|(name, value)| format!("\"{name}\":{value}"));
    // Names may repeat.
    proptest::collection::vec(field, 0..6).prop_map(|fields| format!("{{{}}}", fields.join(",")))
}

fn json() -> impl Strategy<Value = String> {
    let value = scalar().prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(|values| format!("[{}]", values.join(","))),
            object(inner),
        ]
    });
    prop_oneof![6 => object(value.clone()), 1 => value]
}

/// The answer that a call wants, with one value replaced by another: random objects rarely get so far.
fn nearly() -> impl Strategy<Value = String> {
    let whole = vec![
        r#"{"handles":["AcH"],"validation_status":[{"retailer_id":"a","errors":[{"message":"m"}],"warnings":[]}]}"#,
        r#"{"data":[{"handle":"AcH","status":"finished","errors":[{"line":1,"id":"a","message":"m"}],"errors_total_count":1,"warnings":[{"message":"w"}],"warnings_total_count":1,"ids_of_invalid_requests":["a"]}]}"#,
        r#"{"data":[{"id":"1","name":"n","owned_product_catalogs":{"data":[{"id":"2","name":"c","product_count":3,"vertical":"commerce"}],"paging":{"cursors":{"after":"x"},"next":"https://m/?after=x"}}}],"paging":{"next":"https://m/?after=y"}}"#,
        r#"{"data":{"is_valid":true,"app_id":"1","user_id":"2","type":"USER","expires_at":1,"scopes":["s"],"granular_scopes":[{"scope":"s","target_ids":["3"]}],"error":{"code":190,"message":"m"}}}"#,
        r#"{"access_token":"EAAB","expires_in":5}"#,
        r#"{"id":"1","name":"n","role":"ADMIN"}"#,
        r#"{"error":{"message":"m","type":"t","code":100,"error_subcode":33,"is_transient":false,"error_user_title":"t","error_user_msg":"u","error_data":"{}","fbtrace_id":"A"}}"#,
        r#"{"data":[{"id":"1","retailer_id":"a","price":"p","errors":[{"title":"t","description":"d"}]}]}"#,
    ];
    (proptest::sample::select(whole), any::<proptest::sample::Index>(), prop_oneof![3 => scalar(), 1 => json()])
        .prop_map(|(whole, at, other)| {
            let value: Value = serde_json::from_str(whole).expect("JSON");
            let mut paths = Vec::new();
            walk(&value, String::new(), &mut paths);
            let mark = "\u{1}";
            let mut marked = value.clone();
            *marked.pointer_mut(at.get::<String>(&paths)).expect("a place") = Value::String(mark.to_owned());
            marked.to_string().replace("\"\\u0001\"", &other)
        })
}

fn walk(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(n, value)| walk(value, format!("{path}/{n}"), paths));
        }
        Value::Object(fields) => fields.iter().for_each(|(name, value)| walk(value, format!("{path}/{name}"), paths)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    paths.push(path);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_json_is_a_value_or_a_failure(body in prop_oneof![json(), nearly()], status in 200..600_u16) {
        for shown in shown(status, body.as_bytes()) {
            prop_assert!(harmless(&shown), "{}", shown);
        }
    }

    #[test]
    fn any_bytes_are_a_value_or_a_failure(body in proptest::collection::vec(any::<u8>(), 0..64), object in any::<bool>()) {
        let body = if object { [b"{".as_slice(), &body].concat() } else { body };
        for shown in shown(200, &body) {
            prop_assert!(harmless(&shown), "{}", shown);
        }
    }

    #[test]
    fn any_usage_header_is_read(header in json()) {
        let mut headers = reqwest::header::HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(header.as_bytes()) {
            headers.insert("x-business-use-case-usage", value.clone());
            headers.insert("x-app-usage", value);
        }
        let usage = Usage::from_headers(&headers);
        let read = (usage.percent_for("987"), usage.regain_after());
        prop_assert!(harmless(&format!("{usage:?} {read:?}")), "{:?}", usage);
    }
}

#[test]
fn nesting_without_end_and_numbers_without_bound_are_answers_that_cannot_be_read() {
    for value in ["[".repeat(100_000) + &"]".repeat(100_000), "1e999".to_owned()] {
        for body in [
            format!(r#"{{"data":{value}}}"#),
            format!(r#"{{"error":{value}}}"#),
            format!(r#"{{"x":{value},"handles":[]}}"#),
        ] {
            let failure = interpret::<items_batch::WireAnswer>(&raw(200, body.as_bytes())).err().expect("unreadable");
            assert_eq!((failure.kind(), failure.unusable_answer()), (FailureKind::Unreadable, true), "{failure}");
            assert!(failure.outcome_unknown());
        }
    }
}

#[test]
fn a_message_of_a_megabyte_is_cut_wherever_it_is() {
    let long = "ä".repeat(1_000_000);
    let error =
        format!(r#"{{"error":{{"message":"{long}","fbtrace_id":"{long}","error_user_title":"{long}","code":1}}}}"#);
    let row = format!(
        r#"{{"handles":["AcH"],"validation_status":[{{"retailer_id":"a","errors":[{{"message":"{long}"}}]}}]}}"#
    );
    let verdict = format!(r#"{{"data":[{{"status":"{long}","errors":[{{"id":"{long}","message":"{long}"}}]}}]}}"#);
    let names = format!(r#"{{"data":[{{"id":"1","name":"{long}","role":"{long}"}}]}}"#);
    for body in [error, row, verdict, names] {
        for shown in shown(200, body.as_bytes()) {
            assert!(shown.chars().count() < 5 * 2_100, "{} characters", shown.chars().count());
        }
    }
}
