//! Generated inputs: what tables may hold, and what they should not.

use proptest::prelude::*;
use serde_json::Value;

use crate::ATTRIBUTES;
use crate::item::{Inventory, MapSettings, OptionValue, Product, Variant};

/// Text made to hurt: any characters, and runs of those that the mapper treats specially.
pub(super) fn wild_text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9 ]{0,12}",
        "[ \t\r\n\u{0}\u{7}\u{85}\u{a0}\u{2028}\u{feff}\u{200b}]{1,4}",
        "[e\u{301}\u{308}\u{200d}👩👨👧🏽🇩🇪\u{600}\r\n]{1,8}",
        prop::sample::select(vec![
            "<p>",
            "</p>",
            "<b",
            "<script>",
            "</script>",
            "<!--",
            "&amp;",
            "&#0;",
            "&",
            "<",
            "<3"
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(pieces, 0..6).prop_map(|pieces| pieces.concat())
}

/// Values that tables may hold, the edges of the type among them.
pub(super) fn wild_number() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => -1_000_i64..100_000_000,
        4 => 1_700_000_000_000_i64..1_900_000_000_000,
        1 => any::<i64>(),
        1 => prop::sample::select(vec![i64::MIN, -1, 0, 1, i64::MAX]),
    ]
}

/// Settings of any texts and caps.
pub(super) fn settings() -> impl Strategy<Value = MapSettings> {
    let texts = (wild_text(), wild_text(), wild_text(), wild_text(), wild_text(), wild_text());
    let attribute = prop::sample::select(vec!["color", "size", "material", "pattern", "none"]);
    let synonyms = prop::collection::btree_map(wild_text(), attribute.prop_map(str::to_owned), 0..3);
    let options = (0_u32..5, any::<bool>(), synonyms);
    (texts, any::<bool>(), 0_u32..300, prop_oneof![0_u32..300, any::<u32>()], options).prop_map(
        |(texts, fallback, title, description, options)| MapSettings {
            currency: texts.0,
            storefront_base_url: texts.1,
            storefront_product_path: texts.2,
            default_condition: texts.3,
            business_name: texts.4,
            s3_public_url: texts.5,
            identifier_exists_fallback: fallback,
            title_max_length: title,
            description_max_length: description,
            category_levels: options.0,
            additional_variant_attributes: options.1,
            option_synonyms: options.2,
        },
    )
}

fn maybe_text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(wild_text())
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(wild_text(), 0..14)
}

/// An `extra`, mostly with something for Meta in it.
fn extra() -> impl Strategy<Value = Option<String>> {
    let name =
        prop::sample::select(ATTRIBUTES.iter().map(|spec| spec.name).chain(["title", "unknown"]).collect::<Vec<_>>());
    let value = prop_oneof![
        wild_json(),
        Just(serde_json::json!("female")),
        Just(serde_json::json!(7)),
        Just(serde_json::json!(["a"])),
        Just(serde_json::json!("10 kg")),
    ];
    let attributes = prop::collection::btree_map(name.prop_map(str::to_owned), value, 0..4);
    let texts = (maybe_text(), prop::option::weighted(0.1, wild_text()), prop::option::weighted(0.1, wild_text()));
    let given = (texts, maybe_text(), attributes).prop_map(|((condition, currency, link), google, attributes)| {
        serde_json::json!({"meta": {
            "condition": condition, "currency": currency, "link": link, "googleProductCategory": google,
            "attributes": attributes,
        }})
        .to_string()
    });
    prop_oneof![3 => Just(None), 2 => given.prop_map(Some), 1 => wild_text().prop_map(|text| Some(format!("{text}\"meta\"")))]
}

/// A product that is mostly eligible.
pub(super) fn product() -> impl Strategy<Value = Product> {
    let wording = (maybe_text(), maybe_text(), maybe_text(), wild_text());
    let state = (prop::bool::weighted(0.9), prop::bool::weighted(0.9), prop::option::weighted(0.1, wild_number()));
    (any::<String>(), wording, state, (maybe_text(), texts()), (maybe_text(), maybe_text(), texts()), extra()).prop_map(
        |(
            id,
            wording,
            (active, public, deleted_at),
            (thumbnail, images),
            (vendor_name, brand_title, categories),
            extra_json,
        )| {
            Product {
                id,
                title: wording.0,
                subtitle: wording.1,
                description: wording.2,
                slug: Some(wording.3),
                status: Some(if active { "active" } else { "draft" }.to_owned()),
                visibility: Some(if public { "public" } else { "private" }.to_owned()),
                thumbnail,
                images,
                deleted_at,
                vendor_name,
                brand_title,
                categories,
                extra_json,
            }
        },
    )
}

fn inventory() -> impl Strategy<Value = Inventory> {
    (any::<bool>(), wild_number(), wild_number(), any::<bool>()).prop_map(|(track, on_hand, reserved, backorder)| {
        Inventory {
            track_inventory: track,
            quantity_on_hand: on_hand,
            reserved_quantity: reserved,
            allow_backorder: backorder,
        }
    })
}

fn options() -> impl Strategy<Value = Vec<OptionValue>> {
    let name = prop_oneof![wild_text(), "(?i)(color|colour|size|material|fabric|pattern|print)"];
    prop::collection::vec((name, wild_text()).prop_map(|(name, value)| OptionValue { name, value }), 0..5)
}

/// A variant that is mostly eligible.
pub(super) fn variant() -> impl Strategy<Value = Variant> {
    let maybe_number = || prop::option::of(wild_number());
    let codes = (maybe_text(), maybe_text(), maybe_text(), maybe_text());
    let money = (maybe_number(), maybe_number(), maybe_number(), maybe_number());
    (any::<String>(), codes, money, (maybe_text(), texts()), prop::option::of(inventory()), options(), extra())
        .prop_map(|(id, codes, money, (thumbnail, images), inventory, options, extra_json)| Variant {
            id,
            sku: codes.0,
            ean: codes.1,
            upc: codes.2,
            barcode: codes.3,
            price: money.0,
            special_price: money.1,
            special_price_start: money.2,
            special_price_end: money.3,
            thumbnail,
            images,
            deleted_at: None,
            inventory,
            options,
            extra_json,
        })
}

/// JSON of any shape, with the keys that the reader knows among others.
pub(super) fn wild_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        wild_number().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        wild_text().prop_map(Value::from),
        prop::sample::select(vec!["active", "public", "2026-11-01", "9999-12-31T23:59:59Z", "infinity"])
            .prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "now",
        "settings",
        "env",
        "S3_PUBLIC_URL",
        "product",
        "variant",
        "inventory",
        "brand",
        "title",
        "vendor",
        "name",
        "categories",
        "options",
        "value",
        "id",
        "slug",
        "status",
        "visibility",
        "images",
        "thumbnail",
        "url",
        "key",
        "price",
        "specialPrice",
        "specialPriceStart",
        "specialPriceEnd",
        "deletedAt",
        "currency",
        "title_max_length",
        "trackInventory",
        "quantityOnHand",
        "other",
    ]);
    leaf.prop_recursive(4, 64, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..12)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}
