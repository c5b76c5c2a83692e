//! Each rule of the check, next to a case that passes it.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::wire::{FieldChange, MappedItem, Patch, Rejection as WireRejection};
use super::*;

const NOW: i64 = 1_000_000;
/// As the built-in mapper writes it: canonical, `id` in the middle.
const BUILTIN: &str =
    r#"{"additional_image_link":["a,\"b\":","c"],"brand":"B, \"id\":","id":"v1","price":"1 INR","title":"T"}"#;

/// A field and its new value.
type Change<'a> = (&'a str, Option<&'a str>);

fn builtin() -> Word {
    let fields = ["additional_image_link", "brand", "id", "price", "title"];
    Word::Mapped(Payload {
        data: BUILTIN.into(),
        fields: fields.map(Cow::Borrowed).into(),
        warnings: vec![warning("title_all_caps", Some("title"), "capitals".into())],
        reevaluate_at: Some(NOW + 900_000),
    })
}

fn whole(data: &str) -> Result<Payload, Cause> {
    let item = MappedItem { id: "v1".into(), data: data.into(), warnings: Vec::new(), reevaluate_at: None };
    payload(check(Outcome::Mapped(item), "v1", NOW, || panic!("the built-in word is not needed")))
}

fn patched(changes: &[Change<'_>]) -> Result<Payload, Cause> {
    payload(check(Outcome::Patched(patch(changes)), "v1", NOW, || Ok(builtin())))
}

fn patch(changes: &[Change<'_>]) -> Patch {
    let change = |(name, value): &Change<'_>| FieldChange { name: (*name).into(), value: value.map(Into::into) };
    Patch { changes: changes.iter().map(change).collect(), warnings: Vec::new(), reevaluate_at: None }
}

fn payload(word: Result<Word, Cause>) -> Result<Payload, Cause> {
    word.map(|word| match word {
        Word::Mapped(payload) => payload,
        Word::Rejected(rejection) => panic!("rejected: {rejection:?}"),
    })
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Cause>, saying: &str) {
    let cause = answer.expect_err("refused");
    assert_eq!(cause.kind, FaultKind::Output);
    assert!(cause.what.contains(saying), "{}", cause.what);
}

fn codes(payload: &Payload) -> Vec<&str> {
    payload.warnings.iter().map(|warning| warning.code.as_str()).collect()
}

#[test]
fn canonical_data_is_taken_byte_for_byte() {
    let data = r#"{"id":"v1","link":"https://a/b?c=\"d\"","title":"Caf\u00e9"}"#;
    let taken = whole(data).expect("taken");
    assert_eq!(taken.data, data);
    assert_eq!(taken.fields, ["id", "link", "title"]);
    assert_eq!(codes(&taken), [""; 0]);
}

#[test]
fn other_data_is_written_anew() {
    let data = "\n{ \"title\" : \"T\",\"id\":\"v1\", \"additional_image_link\": [ \"a\",\n\"b\" ],\
                \"shipping\":[{\"b\":1, \"a\":[true,null]}]}  ";
    let taken = whole(data).expect("taken");
    let canonical = r#"{"additional_image_link":["a","b"],"id":"v1","shipping":[{"a":[true,null],"b":1}],"title":"T"}"#;
    assert_eq!(taken.data, canonical);
    assert_eq!(taken.fields, ["additional_image_link", "id", "shipping[]", "title"]);
    // A name with an escape is written as the name it is.
    assert_eq!(whole(r#"{"\u0069d":"v1"}"#).expect("taken").data, r#"{"id":"v1"}"#);
}

#[test]
fn the_id_must_be_the_items_own() {
    let item = |id: &str, data: &str| MappedItem {
        id: id.into(),
        data: data.into(),
        warnings: Vec::new(),
        reevaluate_at: None,
    };
    let with = |item| check(Outcome::Mapped(item), "v1", NOW, || Ok(builtin()));
    assert!(with(item("v1", r#"{"id":"v1"}"#)).is_ok());
    refused(with(item("v2", r#"{"id":"v1"}"#)), "outcome for `v2`");
    refused(with(item("v1", r#"{"id":"v2"}"#)), "whose `id` is \"v2\"");
    refused(with(item("v1", r#"{"title":"T"}"#)), "without an `id`");
    refused(whole(r#"{"id":null}"#), "whose `id` is null");
    refused(patched(&[("id", Some("\"v1\""))]), "patch of `id`");
}

#[test]
fn data_must_be_one_object_in_json() {
    for bad in [
        "",
        "[]",
        "7",
        "{\"id\":\"v1\"",
        "{\"id\":\"v1\"} {}",
        "{\"id\":\"v1\",}",
        "{id:\"v1\"}",
        "{\"id\":\"v1\u{1}\"}",
    ] {
        refused(whole(bad), "not one JSON object");
    }
    refused(whole(&format!(r#"{{"id":"v1","title":"{}"}}"#, "x".repeat(LONGEST_DATA))), "bytes");
    let deep = format!(r#"{{"id":"v1","x":{}1{}}}"#, "[".repeat(1_000), "]".repeat(1_000));
    refused(whole(&deep), "cannot be taken");
}

#[test]
fn nothing_is_named_twice() {
    refused(whole(r#"{"id":"v1","title":"a","title":"b"}"#), "names `title` twice");
    refused(whole(r#"{"title":"a","id":"v1","\u0074itle":"b"}"#), "names `title` twice");
    refused(whole(r#"{"id":"v1","shipping":[{"a":1,"a":2}]}"#), "names a key twice");
    refused(patched(&[("title", Some("1")), ("brand", None), ("title", None)]), "takes a text");
    refused(patched(&[("title", Some("\"a\"")), ("brand", None), ("title", None)]), "names `title` twice");
}

#[test]
fn known_fields_keep_their_kind() {
    refused(whole(r#"{"id":"v1","title":5}"#), "`title` to the value 5; it takes a text");
    refused(whole(r#"{"id":"v1","title":[]}"#), "it takes a text");
    refused(whole(r#"{"id":"v1","additional_image_link":"a"}"#), "it takes a list of texts");
    refused(whole(r#"{"id":"v1","additional_image_link":["a",1]}"#), "contains other values than texts");
    refused(patched(&[("title", Some("title"))]), "a text needs its quotes");
    refused(patched(&[("title", Some("\"a\" \"b\""))]), "not JSON");
    refused(whole(r#"{"id":"v1","title":"\ud800"}"#), "half a surrogate pair");
    refused(whole(r#"{"id":"v1","internal_label":["\ud800"]}"#), "cannot be taken");
}

#[test]
fn what_holds_nothing_is_left_out() {
    let taken =
        whole(r#"{"additional_image_link":[],"brand":"","color":null,"id":"v1","x":[ ],"y":""}"#).expect("taken");
    assert_eq!(taken.data, r#"{"id":"v1"}"#);
    assert_eq!(taken.fields, ["id"]);
    assert_eq!(codes(&taken), [""; 0]);
    for nothing in [None, Some("null"), Some("\"\""), Some(" null ")] {
        assert!(!patched(&[("title", nothing)]).expect("taken").fields.contains(&Cow::Borrowed("title")));
    }
}

#[test]
fn fields_that_the_builtin_mapper_does_not_know_carry_their_kind() {
    let data = r#"{"custom_label_2":"a","custom_number_0":7,"id":"v1","internal_label":["a"],"zzz":true}"#;
    let taken = whole(data).expect("taken");
    assert_eq!(taken.data, data);
    assert_eq!(taken.fields, ["custom_label_2", "custom_number_0{}", "id", "internal_label[]", "zzz{}"]);
    assert_eq!(codes(&taken), ["unknown_field"]);
    let numbers = r#"{"custom_number_0":123456789012345678901234567890,"custom_number_1":1.50e2,"id":"v1"}"#;
    assert_eq!(whole(numbers).expect("taken").data, numbers);
    let kinds = whole(r#"{"custom_label_2":7,"custom_number_0":"7","id":"v1","internal_label":"a"}"#).expect("taken");
    assert_eq!(codes(&kinds), ["unexpected_kind"; 3]);
    for name in ["", "a[]", "a{}", "a\\n", "a\\u0000", "a,b", &"x".repeat(101)] {
        refused(whole(&format!(r#"{{"id":"v1","{name}":1}}"#)), "a field");
    }
}

#[test]
fn over_long_values_are_warned_of() {
    let long = |name: &str, length: usize| whole(&format!(r#"{{"id":"v1","{name}":"{}"}}"#, "é".repeat(length)));
    for name in ["brand", "custom_label_4"] {
        assert_eq!(codes(&long(name, 100).expect("taken")), [""; 0]);
        assert_eq!(codes(&long(name, 101).expect("taken")), ["over_meta_limit"]);
    }
}

#[test]
fn a_patch_keeps_what_it_does_not_name() {
    let cases: [(&[Change<'_>], &str); 6] = [
        (&[], BUILTIN),
        (
            &[("title", Some("\"U\""))],
            r#"{"additional_image_link":["a,\"b\":","c"],"brand":"B, \"id\":","id":"v1","price":"1 INR","title":"U"}"#,
        ),
        (&[("title", None), ("additional_image_link", None)], r#"{"brand":"B, \"id\":","id":"v1","price":"1 INR"}"#),
        (
            &[("zz", Some("1")), ("aa", Some("[ 1 ]"))],
            r#"{"aa":[1],"additional_image_link":["a,\"b\":","c"],"brand":"B, \"id\":","id":"v1","price":"1 INR","title":"T","zz":1}"#,
        ),
        (
            &[("color", Some("\"red\"")), ("gtin", None), ("brand", Some("\"C\""))],
            r#"{"additional_image_link":["a,\"b\":","c"],"brand":"C","color":"red","id":"v1","price":"1 INR","title":"T"}"#,
        ),
        (&[("additional_image_link", None), ("brand", None), ("price", None), ("title", None)], r#"{"id":"v1"}"#),
    ];
    for (changes, expected) in cases {
        assert_eq!(patched(changes).expect("taken").data, expected, "{changes:?}");
    }
}

#[test]
fn a_patch_of_a_rejected_item_is_the_rejection() {
    let no = || Word::Rejected(Rejection { code: "missing_price".into(), field: None, message: String::new() });
    assert_eq!(check(Outcome::Patched(patch(&[("title", Some("5"))])), "v1", NOW, || Ok(no())), Ok(no()));
}

#[test]
fn size_and_number_of_fields_are_bounded() {
    let names: Vec<String> = (0..=MOST_FIELDS).map(|n| format!("f_{n}")).collect();
    let changes: Vec<Change<'_>> = names.iter().map(|name| (name.as_str(), Some("1"))).collect();
    assert!(patched(&changes[1..]).is_ok());
    refused(patched(&changes), "returned 201 fields, 200 are allowed");
    let data: Map<String, Value> = names.iter().map(|name| (name.clone(), 1.into())).collect();
    refused(whole(&Value::Object(data).to_string()), "returned 201 fields");

    let half = Value::from("x".repeat(LONGEST_DATA / 2 + 1)).to_string();
    assert!(patched(&[("title", Some(&half))]).is_ok());
    refused(patched(&[("title", Some(&half)), ("brand", Some(&half))]), "bytes");
}

#[test]
fn the_names_of_an_items_fields_are_bounded_together() {
    let names: Vec<String> = (10..30).map(|n| format!("{n}{}", "x".repeat(96))).collect();
    // 20 names of 98 bytes, and what marks their kind.
    let changes: Vec<Change<'_>> = names.iter().map(|name| (name.as_str(), Some("1"))).collect();
    let data: Map<String, Value> = names.iter().map(|name| (name.clone(), 1.into())).collect();
    let with_id = |mut data: Map<String, Value>| {
        data.insert("id".into(), "v1".into());
        Value::Object(data).to_string()
    };
    refused(whole(&with_id(data)), "names have 2002 bytes together, 2000 are allowed");
    refused(patched(&changes), "names have 2038 bytes together, 2000 are allowed");
    assert!(patched(&changes[1..]).is_ok());
    let texts: Map<String, Value> = names.iter().map(|name| (name.clone(), "a".into())).collect();
    assert!(whole(&with_id(texts)).is_ok());
}

#[test]
fn numbers_keep_their_digits_and_are_finite() {
    let digits = "123456789012345678901234567890";
    let nested = format!(r#"{{"id":"v1","shipping":[ {{"b":-{digits},"a":{digits}}}, 1.50e2, 0.1000 ]}}"#);
    let canonical = format!(r#"{{"id":"v1","shipping":[{{"a":{digits},"b":-{digits}}},1.50e2,0.1000]}}"#);
    assert_eq!(whole(&nested).expect("taken").data, canonical);
    assert_eq!(whole(&canonical).expect("taken").data, canonical, "once canonical, always so");
    for bad in ["1e999", "-1e999", "[1e999]", r#"{"a":[1e999]}"#, &"9".repeat(400)] {
        refused(whole(&format!(r#"{{"custom_number_0":{bad},"id":"v1"}}"#)), "out of range");
        refused(patched(&[("custom_number_0", Some(bad))]), "out of range");
    }
    let deep = |levels: usize| format!(r#"{{"id":"v1","x":{}1{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert!(whole(&deep(16)).is_ok());
    refused(whole(&deep(17)), "more than 16 levels");
}

#[test]
fn builtin_warnings_about_a_patched_field_go() {
    assert_eq!(codes(&patched(&[("brand", None)]).expect("taken")), ["title_all_caps"]);
    assert_eq!(codes(&patched(&[("title", Some("\"t\""))]).expect("taken")), [""; 0]);
}

#[test]
fn the_earlier_time_counts_and_never_one_that_has_passed() {
    let at = |at| {
        let patch = Patch { reevaluate_at: at, ..patch(&[]) };
        payload(check(Outcome::Patched(patch), "v1", NOW, || Ok(builtin()))).expect("taken")
    };
    assert_eq!(at(None).reevaluate_at, Some(NOW + 900_000));
    assert_eq!(at(Some(NOW + 800_000)).reevaluate_at, Some(NOW + 800_000));
    assert_eq!(at(Some(i64::MAX)).reevaluate_at, Some(NOW + 900_000));
    assert_eq!(at(Some(NOW + 1)).reevaluate_at, Some(NOW + SOONEST));
    let passed = at(Some(NOW));
    assert_eq!(passed.reevaluate_at, Some(NOW + 900_000));
    assert_eq!(codes(&passed), ["title_all_caps", "reevaluate_in_the_past"]);
}

#[test]
fn a_rejection_needs_a_code() {
    let with = |code: &str| {
        let rejection = WireRejection { code: code.into(), field: Some("extra".into()), message: "No\nthanks".into() };
        check(Outcome::Rejected(rejection), "v1", NOW, || Ok(builtin()))
    };
    let expected =
        Rejection { code: "not_for_meta_2".into(), field: Some("extra".into()), message: "No thanks".into() };
    assert_eq!(with("not_for_meta_2"), Ok(Word::Rejected(expected)));
    for code in ["", "Not", "not-this", "_a", "2a", &"x".repeat(65)] {
        refused(with(code), "a code is snake_case");
    }
}

#[test]
fn a_modules_warnings_are_cut_to_size() {
    let long = Warning { code: "Bad Code".into(), field: None, message: "m\n".repeat(1_000) };
    let kept = own(vec![long; 1_000]);
    assert_eq!(kept.len(), MOST_WARNINGS);
    assert_eq!(kept[0].code, "mapper_warning");
    assert!(kept[0].message.chars().count() <= 301 && !kept[0].message.contains('\n'));
}

/// Names of known and unknown fields.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_]{1,8}",
        proptest::sample::select(vec!["title", "brand", "price", "color", "zzz"]).prop_map(Into::into)
    ]
}

proptest! {
    #[test]
    fn no_text_makes_the_check_panic(data in ".{0,80}", value in ".{0,40}", name in ".{0,12}") {
        let _ = whole(&data);
        let _ = whole(&format!(r#"{{"id":"v1","{name}":{value}}}"#));
        let _ = patched(&[(&name, Some(&value))]);
    }

    #[test]
    fn whatever_is_taken_is_canonical(names in proptest::collection::btree_map(name(), ".{1,9}", 0..6), pretty: bool) {
        let mut data: Map<String, Value> = names.into_iter().map(|(name, value)| (name, value.into())).collect();
        data.insert("id".into(), "v1".into());
        let canonical = Value::Object(data).to_string();
        let value: Value = serde_json::from_str(&canonical).expect("JSON");
        let text = if pretty { serde_json::to_string_pretty(&value).expect("JSON") } else { canonical.clone() };
        if value.get("additional_image_link").is_none() {
            prop_assert_eq!(whole(&text).expect("taken").data, canonical);
        }
    }

    #[test]
    fn splicing_equals_parsing(
        title in "[a-z,:\"\\\\{}\\[\\]é]{1,12}",
        brand in "[a-z,:\"\\\\{}\\[\\]é]{1,12}",
        changes in proptest::collection::btree_map(name(), proptest::option::of("[a-z,:\"\\\\]{1,9}"), 0..5),
    ) {
        let mut data = json!({"brand": brand, "id": "v1", "price": "1 INR", "title": title});
        let fields: Vec<_> = ["brand", "id", "price", "title"].map(Cow::Borrowed).into();
        let payload = Payload { data: data.to_string(), fields, warnings: Vec::new(), reevaluate_at: None };
        let texts: Vec<(String, Option<String>)> =
            changes.iter().map(|(name, value)| (name.clone(), value.as_ref().map(|v| Value::from(v.as_str()).to_string()))).collect();
        let borrowed: Vec<_> = texts.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        prop_assume!(borrowed.iter().all(|(name, _)| *name != "id"));
        let taken = patch::apply(payload, patch(&borrowed), NOW).expect("taken");
        let object = data.as_object_mut().expect("an object");
        for (name, value) in changes {
            match value {
                Some(value) => object.insert(name, value.into()),
                None => object.remove(&name),
            };
        }
        prop_assert_eq!(taken.fields, object.keys().cloned().map(Cow::<str>::Owned).collect::<Vec<_>>());
        prop_assert_eq!(taken.data, data.to_string());
    }
}
