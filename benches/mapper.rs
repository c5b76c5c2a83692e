//! The cost of a mapper module compared with the native mapper: `cargo bench --bench mapper [-- --check]`.
//!
//! Each mapper maps the same batch of 5,000 variants and processes the words as the service does: canonical data, hash,
//! row in the body of the call. The mappers take turns in every round, so that changes in machine load affect all of
//! them. The result is the median of the rounds' ratios. With `--check` the process fails when a ratio is above its
//! bar. With `--plain` the descriptions contain no markup. The native mapper then has less work, so the comparison is
//! harder.

use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mapper_core::word::Word;
use mapper_core::{Inventory, Item, MapSettings, OptionValue, Product, Variant, sha256_hex};
use meta_graph::ItemsBatchBody;
use wasm_host::{Batch, Host, Limits};

const VARIANTS: usize = 5_000;
const A_PRODUCT: usize = 6;
const ROUNDS: usize = 21;
/// 24 Nov 2026.
const NOW: i64 = 1_795_521_600_000;

type Map = Box<dyn Fn(&Arc<Batch>) -> Vec<Word>>;

/// A mapper under test and the highest ratio allowed for it.
struct Way {
    name: &'static str,
    bar: f64,
    map: Map,
    times: Vec<Duration>,
}

fn main() -> ExitCode {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let check = has("--check");
    let host = Host::new(Limits::default()).expect("an engine");
    let mut batch = batch();
    if has("--plain") {
        for product in &mut batch.products {
            product.description = Some("Woven from European flax, washed before it is cut. ".repeat(8));
        }
    }
    let batch = Arc::new(batch);
    let mut ways = [
        Way { name: "native", bar: 1.0, map: Box::new(|batch| native(batch)), times: Vec::new() },
        module(&host, "margin-label", 1.6),
        module(&host, "builtin", 2.5),
    ];

    let bodies: Vec<Vec<u8>> = ways.iter().map(|way| body(&(way.map)(&batch))).collect();
    assert!(bodies[0] == bodies[2], "the built-in mapper as a module must say what it says natively");
    println!(
        "{VARIANTS} variants of {} bytes as JSON, payloads of {} bytes",
        source_bytes(&batch) / VARIANTS,
        bodies[0].len() / VARIANTS
    );

    for _ in 0..ROUNDS {
        for way in &mut ways {
            let begun = Instant::now();
            black_box(body(&(way.map)(&batch)));
            way.times.push(begun.elapsed());
        }
    }
    let mut is_within = true;
    for way in &ways {
        let ratios =
            way.times.iter().zip(&ways[0].times).map(|(time, native)| time.as_secs_f64() / native.as_secs_f64());
        let ratio = median(ratios.collect());
        let micros = median(way.times.iter().map(Duration::as_secs_f64).collect()) * 1e6 / VARIANTS as f64;
        println!("{:<14}{micros:>7.2} µs a variant {ratio:>6.2} × native (bar {:.1})", way.name, way.bar);
        is_within &= ratio <= way.bar || way.name == "native";
    }
    if check && !is_within { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn module(host: &Host, name: &'static str, bar: f64) -> Way {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappers/modules").join(name).with_extension("wasm");
    let bytes = std::fs::read(&path).expect("a module");
    let module = host.load(&bytes).expect("a mapper module");
    let map = move |batch: &Arc<Batch>| {
        let words: Result<Vec<Word>, _> = module.map(batch).into_iter().collect();
        words.expect("a word on every variant")
    };
    Way { name, bar, map: Box::new(map), times: Vec::new() }
}

fn native(batch: &Batch) -> Vec<Word> {
    let map = |item: &Item| {
        let product = &batch.products[item.product_index as usize];
        mapper_core::map(&batch.settings, batch.now, product, &item.variant).into()
    };
    batch.items.iter().map(map).collect()
}

/// Processes the words as the service does: computes the hash that is compared and writes the row.
fn body(words: &[Word]) -> Vec<u8> {
    let mut body = ItemsBatchBody::new();
    for word in words {
        if let Word::Mapped(payload) = word {
            black_box(sha256_hex(&payload.data));
            body.push_update(&payload.data, &[]).expect("the body holds 5,000");
        }
    }
    body.into_json()
}

fn batch() -> Batch {
    let settings = MapSettings {
        storefront_base_url: "https://www.shop.example".into(),
        s3_public_url: "https://media.shop.example/catalog".into(),
        business_name: "Example Retail".into(),
        ..MapSettings::default()
    };
    let products = (0..VARIANTS.div_ceil(A_PRODUCT)).map(product).collect();
    let items = (0..VARIANTS)
        .map(|n| Item { product_index: u32::try_from(n / A_PRODUCT).expect("a small number"), variant: variant(n) })
        .collect();
    Batch { settings: Arc::new(settings), now: NOW, products, items }
}

fn product(n: usize) -> Product {
    Product {
        id: format!("prod_01hq7z{n:08}"),
        title: Some(format!("Relaxed linen shirt with a mother-of-pearl button placket, no. {n}")),
        subtitle: Some("Garment-washed, breathable, made to be worn every summer".into()),
        description: Some(format!(
            "<p>Woven from <strong>European flax</strong> in a mill that has done nothing else since 1921. The cloth is \
             washed before it is cut, so it neither shrinks nor needs ironing.</p>\n<ul><li>100&nbsp;% linen, 160 g/m²\
             </li><li>Buttons of mother-of-pearl</li><li>Machine wash at 40 °C</li></ul><p>Model no. {n} is 186 cm tall \
             and wears size M.</p>"
        )),
        slug: Some(format!("relaxed-linen-shirt-{n}")),
        status: Some("active".into()),
        visibility: Some("public".into()),
        thumbnail: Some(format!("products/prod_{n:08}/main.jpg")),
        images: (0..3).map(|image| format!("products/prod_{n:08}/detail-{image}.jpg")).collect(),
        vendor_name: Some("North Mill & Sons".into()),
        brand_title: Some("Flax & Co".into()),
        categories: ["Apparel & Accessories", "Clothing", "Shirts & Tops"].map(Into::into).into(),
        ..Product::default()
    }
}

fn variant(n: usize) -> Variant {
    let on_sale = n.is_multiple_of(3);
    let option = |name: &str, value: &str| OptionValue { name: name.into(), value: value.into() };
    Variant {
        id: format!("variant_01hq7z{n:08}"),
        sku: Some(format!("LS-{n:06}-RED-M")),
        ean: Some("4006381333931".into()),
        price: Some(299_900 + i64::try_from(n).expect("a small number")),
        special_price: on_sale.then_some(199_900),
        special_price_start: on_sale.then_some(NOW - 86_400_000),
        special_price_end: on_sale.then_some(NOW + 86_400_000),
        thumbnail: Some(format!("variants/variant_{n:08}/front.jpg")),
        images: (0..2).map(|image| format!("variants/variant_{n:08}/back-{image}.jpg")).collect(),
        inventory: Some(Inventory {
            track_inventory: true,
            quantity_on_hand: 12,
            reserved_quantity: 2,
            allow_backorder: false,
        }),
        options: vec![option("Colour", "Red"), option("Size", "M"), option("Material", "Linen")],
        extra_json: Some(format!(r#"{{"cost":{},"season":"summer","warehouse":"north"}}"#, 100_000 + n * 37)),
        ..Variant::default()
    }
}

/// Returns the size of the source: each variant with its product, as a mapper reads it.
fn source_bytes(batch: &Batch) -> usize {
    let length = |json: Result<String, serde_json::Error>| json.expect("plain data").len();
    let of = |item: &Item| {
        let product = &batch.products[item.product_index as usize];
        length(serde_json::to_string(product)) + length(serde_json::to_string(&item.variant))
    };
    batch.items.iter().map(of).sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
