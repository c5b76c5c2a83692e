//! A description with markup: the payload has neither tags nor control characters, and no more than Meta takes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mapper_core::{MapSettings, Outcome, Product, Variant, map};

fuzz_target!(|html: &str| {
    let product = Product {
        id: "p".into(),
        title: Some("T".into()),
        description: Some(html.into()),
        slug: Some("p".into()),
        status: Some("active".into()),
        visibility: Some("public".into()),
        brand_title: Some("B".into()),
        ..Product::default()
    };
    let variant = Variant { id: "v".into(), price: Some(100), ..Variant::default() };
    let settings = MapSettings { storefront_base_url: "https://shop.example".into(), ..MapSettings::default() };
    if let Outcome::Mapped(mapped) = map(&settings, 0, &product, &variant) {
        let data: serde_json::Value = serde_json::from_str(&mapped.data).expect("JSON");
        let text = data["description"].as_str().unwrap_or_default();
        assert!(text.chars().count() <= 9_999, "{} characters", text.chars().count());
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
});
