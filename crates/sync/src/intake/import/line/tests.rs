//! One case per rule.

use serde_json::{Value, json};

use super::*;

/// A line with every field; the cases below change one field to an invalid value.
fn full() -> Value {
    json!({
        "id": "p1", "title": "Kurta", "subtitle": "Cotton", "description": "<p>Soft</p>",
        "slug": "kurta", "status": "active", "visibility": "public",
        "thumbnail": "p/1.jpg", "images": ["p/1.jpg", "https://cdn.example/2.jpg"],
        "deletedAt": null,
        "vendor": {"id": "ven1", "name": "Loom"}, "brand": {"title": "Weft"},
        "categories": ["Clothes", "Kurtas"],
        "variants": [
            {
                "id": "v1", "sku": "K-1", "ean": "4006381333931", "upc": null, "barcode": "x",
                "price": 129900, "specialPrice": 99900,
                "specialPriceStart": "2026-01-31T09:00:00+05:30",
                "specialPriceEnd": 1_800_000_000_000_i64,
                "thumbnail": "v/1.jpg", "images": [], "deletedAt": "2026-01-31",
                "options": [{"name": "Colour", "value": "Red"}],
                "inventory": {"trackInventory": true, "quantityOnHand": 5,
                              "reservedQuantity": -1, "allowBackorder": true},
            },
            {"id": "v2", "inventory": {}},
        ],
    })
}

fn refusals(line: &[u8]) -> Vec<String> {
    parse(line).err().into_iter().flatten().map(|r| r.to_string()).collect()
}

/// Returns the refusals of [`full`] after `value` was put at `pointer` (a JSON pointer to an existing place, or a new
/// key of an existing object).
fn spoilt(pointer: &str, value: Value) -> Vec<String> {
    let mut line = full();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    match line.pointer_mut(parent).expect("the parent exists") {
        Value::Object(object) => object.insert(key.to_owned(), value),
        Value::Array(list) => {
            list[key.parse::<usize>().expect("an index")] = value;
            None
        }
        other => unreachable!("{other} holds nothing"),
    };
    refusals(line.to_string().as_bytes())
}

#[test]
fn a_full_line_becomes_a_record() {
    let record = parse(full().to_string().as_bytes()).expect("nothing is wrong with it");
    let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/../../snapshots");
    insta::with_settings!({ snapshot_path => snapshots }, {
        insta::assert_json_snapshot!(record);
    });
}

#[test]
fn a_minimal_line_and_a_byte_order_mark_are_taken() {
    let line = "\u{feff} {\"id\":\"p\",\"title\":\"\",\"status\":\"draft\",\"visibility\":\"private\"}\r";
    let record = parse(line.as_bytes()).expect("nothing is wrong with it");
    assert_eq!((record.slug, record.variants.len()), (None, 0));
}

#[test]
fn data_that_a_table_may_hold_is_taken() {
    for (pointer, value) in [
        ("/variants/0/price", json!(0)),
        ("/variants/0/price", json!(null)),
        ("/variants/0/specialPrice", json!(999_999_999)),
        ("/variants/0/ean", json!("not a gtin")),
        ("/variants/0/inventory", json!(null)),
        ("/slug", json!(null)),
        ("/currency", json!(" jpy ")),
        ("/link", json!("https://shop.example/a b")),
        ("/attributes", json!({"gender": " Female ", "color": "", "internal_label": []})),
        ("/variants/0/attributes", json!({"gender": null})),
        ("/images", json!(["", "ftp://odd.example/1.jpg"])),
        ("/title", json!("x".repeat(10_000))),
        ("/id", json!("é".repeat(100))),
        ("/categories", json!([])),
    ] {
        assert_eq!(spoilt(pointer, value.clone()), [""; 0], "{pointer} = {value}");
    }
}

#[test]
fn each_wrong_field_is_refused_with_its_place_and_its_remedy() {
    const TIME: &str = "must be a time with its offset (2026-01-31T09:00:00+05:30), a date \
        (2026-01-31, the whole day in the setting time_zone) or whole milliseconds since 1970, within the years 1 to 9999; got";
    const PRICE: &str = "must be a whole number of subunits (paise, cents), got";
    const PARENT: &str = "must be the id of the category before it in the list (left out for the first)";
    let table: Vec<(&str, Value, String)> = vec![
        ("/id", json!(null), "id: is required".into()),
        ("/id", json!(""), "id: must not be blank".into()),
        ("/id", json!(" \t"), "id: must not be blank".into()),
        ("/id", json!("a\nb"), "id: must not contain control characters".into()),
        ("/id", json!(7), "id: must be a string, got 7".into()),
        ("/id", json!("é".repeat(101)), "id: must have at most 100 characters, has 101".into()),
        ("/title", json!(null), "title: is required".into()),
        ("/title", json!("x".repeat(1 << 20)), "title: must have at most 10000 characters, has 1048576".into()),
        (
            "/description",
            json!("é".repeat(500_001)),
            "description: must have at most 1000000 bytes, has 1000002".into(),
        ),
        (
            "/subtitle",
            json!("a\0b"),
            "subtitle: must not contain the NUL character (\\u0000): PostgreSQL cannot hold it".into(),
        ),
        ("/status", json!(null), "status: is required: draft or active or archived".into()),
        ("/status", json!("Active"), "status: must be draft or active or archived, got \"Active\"".into()),
        ("/visibility", json!(true), "visibility: must be public or private, got true".into()),
        ("/thumbnail", json!(["a"]), "thumbnail: must be a string, got a list".into()),
        ("/images", json!("a.jpg"), "images: must be a list, got \"a.jpg\"".into()),
        ("/images/1", json!(null), "images[1]: must be a string, got null".into()),
        ("/images", json!(vec![""; 1001]), "images: must have at most 1000 elements, has 1001".into()),
        ("/currency", json!("ZZZ"), "currency: must be a currency code of ISO 4217 such as INR, got \"ZZZ\"".into()),
        ("/currency", json!(356), "currency: must be a currency code of ISO 4217 such as INR, got 356".into()),
        (
            "/link",
            json!("shop.example/a"),
            "link: must be an absolute http or https URL, got \"shop.example/a\"".into(),
        ),
        ("/condition", json!("mint"), "condition: must be new or refurbished or used, got \"mint\"".into()),
        (
            "/attributes",
            json!({"gendre": "female"}),
            "attributes.gendre: is no field that Meta documents; write gender".into(),
        ),
        (
            "/attributes",
            json!({"title": "x"}),
            "attributes.title: is made of other fields of the line; write title".into(),
        ),
        (
            "/attributes",
            json!({"gender": "woman"}),
            "attributes.gender: takes female, male, unisex, got \"woman\"".into(),
        ),
        (
            "/variants/0/attributes",
            json!({"custom_number_0": 1.5}),
            "variants[0].attributes.custom_number_0: takes a whole number from 0 to 4294967295, got 1.5".into(),
        ),
        (
            "/extra",
            json!({"meta": {}}),
            "extra.meta: is reserved for what the line says for Meta; write link, condition, currency, \
             googleProductCategory or attributes beside extra, or use another name"
                .into(),
        ),
        ("/vendor", json!("Loom"), "vendor: must be an object, got \"Loom\"".into()),
        ("/vendor", json!({"id": "x"}), "vendor.name: is required".into()),
        ("/vendor/id", json!(""), "vendor.id: must not be blank".into()),
        (
            "/brand",
            json!({"title": "W", "name": "W"}),
            "brand.name: is not a known field; known fields are id, title".into(),
        ),
        ("/categories", json!(vec!["c"; 21]), "categories: must have at most 20 elements, has 21".into()),
        ("/categories/1", json!(4), "categories[1]: must be an object, got 4".into()),
        (
            "/categories",
            json!([{"id": "c", "title": "A"}, {"id": "c", "title": "B"}]),
            "categories[1].id: is already the id of categories[0]".into(),
        ),
        (
            "/categories",
            json!([{"id": "c", "title": "A", "parentId": "r"}]),
            format!("categories[0].parentId: {PARENT}"),
        ),
        ("/categories", json!(["A", {"title": "B", "parentId": "x"}]), format!("categories[1].parentId: {PARENT}")),
        ("/variants", json!({}), "variants: must be a list, got an object".into()),
        ("/variants/1", json!({}), "variants[1].id: is required".into()),
        ("/variants/1", json!({"id": "v1"}), "variants[1].id: \"v1\" is already the id of variants[0]".into()),
        ("/variants/0/price", json!(12.5), format!("variants[0].price: {PRICE} 12.5")),
        ("/variants/0/price", json!(12.0), format!("variants[0].price: {PRICE} 12.0")),
        ("/variants/0/price", json!("1299"), format!("variants[0].price: {PRICE} \"1299\"")),
        ("/variants/0/price", json!(u64::MAX), format!("variants[0].price: {PRICE} 1.8446744073709552e19")),
        (
            "/variants/0/price",
            json!(1_i64 << 53),
            "variants[0].price: must be within ±9007199254740991, got 9007199254740992".into(),
        ),
        ("/variants/0/specialPrice", json!(-5), "variants[0].specialPrice: must not be negative, got -5".into()),
        (
            "/variants/0/special_price",
            json!(1),
            "variants[0].special_price: is not a known field; write \"specialPrice\"".into(),
        ),
        (
            "/variants/0/specialPriceStart",
            json!("2026-01-31T09:00:00"),
            format!("variants[0].specialPriceStart: {TIME} \"2026-01-31T09:00:00\""),
        ),
        (
            "/variants/0/specialPriceEnd",
            json!("2026-02-30"),
            format!("variants[0].specialPriceEnd: {TIME} \"2026-02-30\""),
        ),
        ("/variants/0/deletedAt", json!(i64::MAX), format!("variants[0].deletedAt: {TIME} 9223372036854775807")),
        ("/deletedAt", json!("-000001-01-01T00:00:00Z"), format!("deletedAt: {TIME} \"-000001-01-01T00:00:00Z\"")),
        ("/deletedAt", json!(true), format!("deletedAt: {TIME} true")),
        ("/variants/0/options", json!([{"name": "Size"}]), "variants[0].options[0].value: is required".into()),
        (
            "/variants/0/options",
            json!([{"name": "Size", "value": "S"}, {"name": "Size", "value": "M"}]),
            "variants[0].options[1].name: \"Size\" is given twice".into(),
        ),
        (
            "/variants/0/inventory/quantityOnHand",
            json!(1.5),
            "variants[0].inventory.quantityOnHand: must be a whole number of units, got 1.5".into(),
        ),
        (
            "/variants/0/inventory/trackInventory",
            json!("yes"),
            "variants[0].inventory.trackInventory: must be true or false, got \"yes\"".into(),
        ),
        (
            "/variants/0/inventory/warehouse",
            json!("A"),
            "variants[0].inventory.warehouse: is not a known field; known fields are \
             trackInventory, quantityOnHand, reservedQuantity, allowBackorder"
                .into(),
        ),
    ];
    for (pointer, value, refusal) in table {
        let shown = value.to_string().chars().take(60).collect::<String>();
        assert_eq!(spoilt(pointer, value), [refusal], "{pointer} = {shown}");
    }
}

#[test]
fn a_line_that_is_no_json_object_is_refused_as_a_whole() {
    for (line, refusal) in [
        (&b"{\"id\":\"a\xff\"}"[..], "is not UTF-8: invalid at byte offset 8"),
        (b"", "is not valid JSON at column 0: EOF while parsing a value"),
        (b"{\"id\":\"p1\"", "is not valid JSON at column 10: EOF while parsing an object"),
        (b"{\"id\":1 2}", "is not valid JSON at column 9: expected `,` or `}`"),
        (b"{} {}", "is not valid JSON at column 4: trailing characters"),
        (b"{\"id\":\"\\ud800\"}", "is not valid JSON at column 14: unexpected end of hex escape"),
        (b"[]", "must be an object, got a list"),
        (b"null", "must be an object, got null"),
    ] {
        assert_eq!(refusals(line), [refusal], "{:?}", String::from_utf8_lossy(line));
    }
    let deep = "[".repeat(100_000);
    let refusal = "is not valid JSON at column 128: recursion limit exceeded";
    assert_eq!(refusals(deep.as_bytes()), [refusal]);
    let long = vec![b' '; MAX_LINE_BYTES + 1];
    assert_eq!(refusals(&long), ["is too long: at most 8388608 bytes are allowed"]);
}

#[test]
fn a_key_given_twice_is_refused_at_every_depth() {
    let line = br#"{"id":"p","id":"q","title":"T","status":"draft","visibility":"public",
        "variants":[{"id":"v","price":1,"price":1,"inventory":{"quantityOnHand":1,"quantityOnHand":2}}]}"#;
    assert_eq!(
        refusals(line),
        [
            "id: is given twice",
            "variants[0].price: is given twice",
            "variants[0].inventory.quantityOnHand: is given twice",
        ]
    );
}

#[test]
fn all_problems_are_told_at_once_and_too_many_are_counted() {
    assert_eq!(
        refusals(br#"{"title":1,"status":"draft","color":"red","variants":[{"price":-1},5]}"#),
        [
            "color: is not a known field; known fields are id, title, subtitle, description, slug, \
             status, visibility, thumbnail, images, deletedAt, vendor, brand, categories, extra, link, condition, currency, googleProductCategory, attributes, variants",
            "id: is required",
            "title: must be a string, got 1",
            "visibility: is required: public or private",
            "variants[0].id: is required",
            "variants[0].price: must not be negative, got -1",
            "variants[1]: must be an object, got 5",
        ]
    );
    let mut many = spoilt("/variants", json!(vec![5; 33]));
    assert_eq!(many.len(), 21);
    assert_eq!(many.pop().as_deref(), Some("and 13 more problems"));
    assert_eq!(many.pop().as_deref(), Some("variants[19]: must be an object, got 5"));
}

#[test]
fn extra_is_an_object_of_the_shops_own() {
    let read = |extra: &str| {
        let line = full().to_string();
        parse(line.replacen('{', &format!(r#"{{"extra":{extra},"#), 1).as_bytes())
    };
    let extra = read(r#"{"z":[1,2.5,null],"a":{"b":true}}"#).expect("good").extra.expect("given");
    assert_eq!(serde_json::Value::Object(extra).to_string(), r#"{"a":{"b":true},"z":[1,2.5,null]}"#);
    assert_eq!(read("null").expect("good").extra, None);
    let refused = |extra: &str| read(extra).expect_err("refused").remove(0).to_string();
    assert_eq!(refused("[1]"), "extra: must be an object, got a list");
    assert_eq!(refused(r#"{"a":{"b":1,"b":2}}"#), "extra.a.b: is given twice");
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(16 * 1024));
    assert_eq!(refused(&long), "extra: must have at most 16384 bytes as JSON, has 16392");
}

#[test]
fn outside_text_in_a_refusal_is_short_and_on_one_line() {
    let name = format!("a\u{1b}[31m\n{}", "x".repeat(1000));
    let [refusal] = &spoilt(&format!("/{name}"), json!(1))[..] else { unreachable!("one unknown field") };
    assert!(refusal.starts_with("a\\u{1b}[31m\\nxxx"), "{refusal}");
    assert!(!refusal.contains(char::is_control) && refusal.len() < 300, "{refusal}");
}

#[test]
fn derived_ids_are_the_same_on_every_line() {
    let a = parse(full().to_string().as_bytes()).expect("good");
    let mut other = full();
    other["id"] = json!("p2");
    other["categories"] = json!(["Clothes", {"title": "Kurtas"}, "Long"]);
    let b = parse(other.to_string().as_bytes()).expect("good");
    assert_eq!(a.brand, b.brand);
    assert_eq!(a.categories[..], b.categories[..2]);
    assert_eq!(b.categories[2].parent_id.as_ref(), Some(&b.categories[1].id));
}

/// A date alone is the whole day: what ends on it ends with it.
#[test]
fn a_date_is_a_whole_day_of_the_time_zone() {
    let line = r#"{"id":"p","title":"T","status":"active","visibility":"public","variants":[
        {"id":"v","specialPriceStart":"2026-11-01","specialPriceEnd":"2026-11-30"}]}"#
        .replace('\n', "");
    let times = |zone: &str| {
        let zone = jiff::tz::TimeZone::get(zone).expect("bundled");
        let record = parse_in(line.as_bytes(), &zone).expect("good");
        let show = |at: Option<i64>| jiff::Timestamp::from_millisecond(at.expect("given")).expect("a time").to_string();
        (show(record.variants[0].special_price_start), show(record.variants[0].special_price_end))
    };
    assert_eq!(times("UTC"), ("2026-11-01T00:00:00Z".into(), "2026-12-01T00:00:00Z".into()));
    assert_eq!(times("Asia/Kolkata"), ("2026-10-31T18:30:00Z".into(), "2026-11-30T18:30:00Z".into()));
    assert_eq!(times("America/New_York"), ("2026-11-01T04:00:00Z".into(), "2026-12-01T05:00:00Z".into()));
    // What has a time and an offset is an instant wherever the shop is.
    let exact = line.replace("2026-11-30", "2026-11-30T12:00:00+05:30");
    let zone = jiff::tz::TimeZone::get("America/New_York").expect("bundled");
    let record = parse_in(exact.as_bytes(), &zone).expect("good");
    assert_eq!(record.variants[0].special_price_end, Some(1_796_020_200_000));
}
