//! Mapper modules on the real engine, with the modules of `mappers/modules`.

mod evil;
mod loading;
mod words;

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use mapper_core::word::MapperFault;
use mapper_core::word::{Payload, Word};
use mapper_core::{Inventory, Item, MapSettings, OptionValue, Product, Variant};
use wasm_host::{Batch, Host, Limits, Module};

/// One engine for all tests, as in the service.
static HOST: LazyLock<Host> = LazyLock::new(|| Host::new(Limits::default()).expect("an engine"));

/// 24 Nov 2026.
const NOW: i64 = 1_795_521_600_000;

fn bytes(name: &str) -> Vec<u8> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join("mappers/modules").join(name).with_extension("wasm");
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn load(name: &str) -> Module {
    HOST.load(&bytes(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A batch of `count` variants, six a product, each with this `extra`.
fn batch(count: usize, extra: impl Fn(usize) -> Option<String>) -> Arc<Batch> {
    let products = (0..count.div_ceil(6)).map(product).collect();
    let items = (0..count)
        .map(|n| Item { product_index: u32::try_from(n / 6).expect("a small batch"), variant: variant(n, extra(n)) });
    let settings = MapSettings { storefront_base_url: "https://shop.example".into(), ..MapSettings::default() };
    Arc::new(Batch { settings: Arc::new(settings), now: NOW, products, items: items.collect() })
}

fn product(n: usize) -> Product {
    Product {
        id: format!("prod_{n:04}"),
        title: Some(format!("Linen shirt {n}")),
        description: Some("<p>Woven from <b>European</b> flax.</p>".into()),
        slug: Some(format!("linen-shirt-{n}")),
        status: Some("active".into()),
        visibility: Some("public".into()),
        thumbnail: Some("https://cdn.example/shirt.jpg".into()),
        vendor_name: Some("Mill & Co".into()),
        brand_title: Some("Flaxen".into()),
        categories: vec!["Apparel & Accessories".into(), "Clothing".into()],
        ..Product::default()
    }
}

fn variant(n: usize, extra_json: Option<String>) -> Variant {
    Variant {
        id: format!("var_{n:05}"),
        sku: Some(format!("SKU-{n}")),
        price: Some(10_000),
        special_price: Some(8_000),
        special_price_start: Some(NOW - 1_000),
        special_price_end: Some(NOW + 86_400_000),
        inventory: Some(Inventory { track_inventory: true, quantity_on_hand: 3, ..Inventory::default() }),
        options: vec![OptionValue { name: "Size".into(), value: "M".into() }],
        extra_json,
        ..Variant::default()
    }
}

/// What the built-in mapper says of an item of the batch.
fn native(batch: &Batch, index: usize) -> Word {
    let item = &batch.items[index];
    let product = &batch.products[usize::try_from(item.product_index).expect("an index")];
    mapper_core::map(&batch.settings, batch.now, product, &item.variant).into()
}

fn payload(word: &Result<Word, MapperFault>) -> &Payload {
    match word {
        Ok(Word::Mapped(payload)) => payload,
        other => panic!("not mapped: {other:?}"),
    }
}

/// What the built-in mapper says, with one more text in it.
fn labelled(batch: &Batch, index: usize, field: &str, text: &str) -> String {
    let Word::Mapped(payload) = native(batch, index) else { panic!("the sample is eligible") };
    let mut data: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&payload.data).expect("JSON");
    data.insert(field.to_owned(), text.into());
    serde_json::to_string(&data).expect("JSON")
}
