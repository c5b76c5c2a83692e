//! The bytes of a body, its limits, and every form of the answer.

use serde_json::{Value, json};

use super::*;

fn parsed(body: ItemsBatchBody) -> Value {
    serde_json::from_slice(&body.into_json()).expect("a body is JSON")
}

#[test]
fn body_is_the_documented_json() {
    let mut body = ItemsBatchBody::new();
    assert!(body.is_empty());
    let clears = [("sale_price", ClearValue::Text), ("additional_image_link", ClearValue::List)];
    body.push_update(r#"{"id":"sku-1","title":"Belt"}"#, &clears).expect("it fits");
    body.push_update(" {\"id\":\"sku-2\"} \n", &[]).expect("it fits");
    body.push_delete("sku \"3\"\n").expect("it fits");
    assert_eq!(body.len(), 3);
    let bytes = body.bytes();
    let json = String::from_utf8(body.into_json()).expect("UTF-8");
    assert_eq!(bytes, json.len());
    assert_eq!(
        json,
        concat!(
            r#"{"item_type":"PRODUCT_ITEM","allow_upsert":true,"requests":["#,
            r#"{"method":"UPDATE","data":{"id":"sku-1","title":"Belt","sale_price":"","additional_image_link":[]}},"#,
            r#"{"method":"UPDATE","data":{"id":"sku-2"}},"#,
            r#"{"method":"DELETE","data":{"id":"sku \"3\"\n"}}]}"#
        )
    );
}

#[test]
fn empty_bodies_and_empty_objects_are_still_json() {
    assert_eq!(parsed(ItemsBatchBody::new())["requests"], json!([]));
    let mut body = ItemsBatchBody::new();
    body.push_update("{}", &[("odd\"name", ClearValue::Text), ("status", ClearValue::Word("active"))])
        .expect("it fits");
    body.push_update("{ }", &[]).expect("it fits");
    assert_eq!(
        parsed(body)["requests"],
        json!([{"method": "UPDATE", "data": {"odd\"name": "", "status": "active"}}, {"method": "UPDATE", "data": {}}])
    );
}

#[test]
fn refused_row_leaves_the_body_as_it_was() {
    let mut body = ItemsBatchBody::new();
    for not_an_object in ["", "[]", "\"text\"", "{", "null"] {
        assert_eq!(body.push_update(not_an_object, &[]), Err(PushRefused::NotAnObject), "{not_an_object}");
    }
    assert_eq!(body, ItemsBatchBody::new());

    let huge = format!(r#"{{"id":"{}"}}"#, "x".repeat(MAX_BYTES));
    assert_eq!(body.push_update(&huge, &[]), Err(PushRefused::RowTooLarge));
    body.push_delete("sku-1").expect("it fits");
    let before = body.clone();
    assert_eq!(body.push_update(&huge, &[]), Err(PushRefused::RowTooLarge), "also when the body is not empty");
    assert_eq!(body, before);
}

#[test]
fn body_stops_at_the_last_byte() {
    let mut body = ItemsBatchBody::new();
    body.push_delete("sku-1").expect("it fits");
    let around = r#",{"method":"DELETE","data":{"id":""}}"#.len();
    let room = MAX_BYTES - body.bytes() - around;
    assert!(body.would_fit(room + around));
    assert!(!body.would_fit(room + around + 1));
    assert!(!body.would_fit(usize::MAX));
    let before = body.clone();
    assert_eq!(body.push_delete(&"x".repeat(room + 1)), Err(PushRefused::Full));
    assert_eq!(body, before);
    body.push_delete(&"x".repeat(room)).expect("it fits to the byte");
    assert_eq!(body.bytes(), MAX_BYTES);
    assert_eq!(body.push_delete("y"), Err(PushRefused::Full));
}

#[test]
fn body_stops_at_the_last_row() {
    let mut body = ItemsBatchBody::new();
    for row in 0..MAX_ROWS {
        assert!(body.would_fit(100));
        body.push_delete(&row.to_string()).expect("it fits");
    }
    assert!(!body.would_fit(1));
    assert_eq!(body.push_delete("one more"), Err(PushRefused::Full));
    assert_eq!(body.push_update("{}", &[]), Err(PushRefused::Full));
    assert_eq!(parsed(body)["requests"].as_array().expect("a list").len(), MAX_ROWS);
}

#[test]
fn answer_is_read_in_every_form() {
    let row = |id: Option<&str>, errors: &[&str], warnings: &[&str]| RowValidation {
        retailer_id: id.map(str::to_owned),
        errors: errors.iter().map(|text| (*text).to_owned()).collect(),
        warnings: warnings.iter().map(|text| (*text).to_owned()).collect(),
    };
    let cases = [
        (json!({"handles": ["AcH"]}), vec!["AcH"], vec![]),
        (json!({"handles": [], "validation_status": []}), vec![], vec![]),
        (json!({"handles": null, "validation_status": null}), vec![], vec![]),
        (json!({"handles": "AcH"}), vec!["AcH"], vec![]),
        (json!({"handles": [42]}), vec!["42"], vec![]),
        (json!({"handles": ["AcH", "AcI", "AcH"]}), vec!["AcH", "AcI"], vec![]),
        (
            json!({"handles": ["AcH"], "validation_status": [
                {"retailer_id": "sku-9", "errors": [{"message": "bad"}, {"message": "worse"}], "warnings": [{"message": "hm"}]},
                {"retailer_id": 8, "warnings": [{"message": "hm"}]},
                {"errors": ["plain"]},
                {"retailer_id": "sku-7", "errors": {"message": "alone"}, "warnings": null},
                "junk"
            ]}),
            vec!["AcH"],
            vec![
                row(Some("sku-9"), &["bad", "worse"], &["hm"]),
                row(Some("8"), &[], &["hm"]),
                row(None, &["plain"], &[]),
                row(Some("sku-7"), &["alone"], &[]),
            ],
        ),
        (json!({"handles": ["AcH"], "validation_status": "junk"}), vec!["AcH"], vec![]),
    ];
    for (answer, handles, validation) in cases {
        let read: WireAnswer = serde_json::from_value(answer.clone()).expect("an answer");
        assert_eq!(read.handles().expect("usable"), handles, "{answer}");
        assert_eq!(read.validation_status, validation, "{answer}");
    }
    assert!(serde_json::from_value::<WireAnswer>(json!({"validation_status": []})).is_err(), "no handles, no answer");
}

#[test]
fn a_handle_that_cannot_be_used_is_no_empty_list() {
    let long = "A".repeat(1_001);
    for (handle, why) in [
        (json!(""), "it is empty"),
        (json!("Ac\0"), "it has blanks or control characters"),
        (json!("Ac\nH"), "it has blanks or control characters"),
        (json!(long), "it is longer than 1000 characters"),
        (json!(null), "it is neither a text nor a whole number"),
        (json!(true), "it is neither a text nor a whole number"),
        (json!({"handle": "AcH"}), "it is neither a text nor a whole number"),
        (json!(["AcH"]), "it is neither a text nor a whole number"),
    ] {
        for handles in [json!([handle]), json!(["AcH", handle])] {
            let read: WireAnswer = serde_json::from_value(json!({ "handles": handles })).expect("an answer");
            assert_eq!(read.handles().expect_err("unusable").to_string(), why, "{handles}");
        }
    }
}
