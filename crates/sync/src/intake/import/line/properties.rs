//! Every record is unchanged after being written and read; no input makes the parser panic.

use proptest::prelude::*;

use super::*;
use crate::domain::record::Given;

/// Any text that a line may contain, kept short.
fn words() -> impl Strategy<Value = String> {
    "[^\\x00]{0,12}"
}

fn ids() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_:é-]{1,12}"
}

fn maybe_words() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(words())
}

fn times() -> impl Strategy<Value = Option<i64>> {
    proptest::option::of(-62_135_596_800_000..=253_402_207_200_000_i64)
}

fn prices() -> impl Strategy<Value = Option<i64>> {
    proptest::option::of(0..=9_007_199_254_740_991_i64)
}

fn stocks() -> impl Strategy<Value = Option<Inventory>> {
    let quantity = -1_000_000_000_000..1_000_000_000_000_i64;
    let fields = (any::<bool>(), quantity.clone(), quantity, any::<bool>());
    proptest::option::of(fields.prop_map(|(track, on_hand, reserved, backorder)| Inventory {
        track_inventory: track,
        quantity_on_hand: on_hand,
        reserved_quantity: reserved,
        allow_backorder: backorder,
    }))
}

fn variants_of_a_line() -> impl Strategy<Value = Vec<VariantRecord>> {
    let codes = (maybe_words(), maybe_words(), maybe_words(), maybe_words());
    let sale = (prices(), prices(), times(), times());
    let media = (maybe_words(), proptest::collection::vec(words(), 0..3), times());
    let options = proptest::collection::btree_map(words(), words(), 0..3);
    let one = (codes, sale, media, options, stocks(), given(false)).prop_map(
        |((sku, ean, upc, barcode), sale, (thumbnail, images, deleted_at), options, inventory, given)| {
            let options = options.into_iter().map(|(name, value)| OptionValue { name, value });
            VariantRecord {
                id: String::new(),
                sku,
                ean,
                upc,
                barcode,
                price: sale.0,
                special_price: sale.1,
                special_price_start: sale.2,
                special_price_end: sale.3,
                thumbnail,
                images,
                deleted_at,
                options: options.collect(),
                extra: inventory
                    .as_ref()
                    .map(|stock| [("cost".to_owned(), stock.quantity_on_hand.into())].into_iter().collect()),
                inventory,
                given,
            }
        },
    );
    proptest::collection::btree_map(ids(), one, 0..4)
        .prop_map(|variants| variants.into_iter().map(|(id, variant)| VariantRecord { id, ..variant }).collect())
}

/// What a line may say for Meta; a variant without what only a product has.
fn given(is_product: bool) -> impl Strategy<Value = Given> {
    let condition = prop::option::of(prop::sample::select(vec!["new", "refurbished", "used"]));
    let attributes = (prop::option::of("[a-zäß]{1,8}"), prop::option::of(0_i64..4_294_967_296), any::<bool>());
    (prop::option::of("https://[a-z]{1,5}/[^\\x00]{0,9}"), condition, attributes, words(), any::<bool>()).prop_map(
        move |(link, condition, (label, number, is_archived), category, has_currency)| {
            let attributes: Map<String, Value> = [
                label.map(|label| ("custom_label_2", label.into())),
                number.map(|number| ("custom_number_0", number.into())),
                is_archived.then(|| ("status", "archived".into())),
            ]
            .into_iter()
            .flatten()
            .map(|(name, value): (&str, Value)| (name.to_owned(), value))
            .collect();
            Given {
                link,
                condition: condition.map(str::to_owned),
                currency: (is_product && has_currency).then(|| "JPY".to_owned()),
                google_product_category: is_product.then_some(category),
                attributes: (!attributes.is_empty()).then_some(attributes),
            }
        },
    )
}

fn trails() -> impl Strategy<Value = Vec<CategoryRef>> {
    proptest::collection::btree_map(ids(), words(), 0..4).prop_map(|titles| {
        let mut trail: Vec<CategoryRef> = Vec::new();
        for (id, title) in titles {
            let parent_id = trail.last().map(|above| above.id.clone());
            trail.push(CategoryRef { id, title, parent_id });
        }
        trail
    })
}

fn records() -> impl Strategy<Value = ProductRecord> {
    let texts = (ids(), words(), maybe_words(), maybe_words(), maybe_words());
    let words_chosen = (prop::sample::select(vec!["draft", "active", "archived"]), any::<bool>(), times());
    let media = (maybe_words(), proptest::collection::vec(words(), 0..3));
    let makers = (proptest::option::of((ids(), words())), proptest::option::of((ids(), words())));
    (texts, words_chosen, media, makers, (trails(), given(true)), variants_of_a_line()).prop_map(
        |(texts, chosen, media, makers, (categories, given), variants)| ProductRecord {
            id: texts.0,
            title: texts.1,
            subtitle: texts.2,
            description: texts.3,
            slug: texts.4,
            status: chosen.0.to_owned(),
            visibility: if chosen.1 { "public" } else { "private" }.to_owned(),
            deleted_at: chosen.2,
            thumbnail: media.0,
            images: media.1,
            vendor: makers.0.map(|(id, name)| VendorRef { id, name }),
            brand: makers.1.map(|(id, title)| BrandRef { id, title }),
            extra: (!variants.is_empty())
                .then(|| [("n".to_owned(), serde_json::json!([1.5, null, {"a": true}]))].into_iter().collect()),
            given,
            categories,
            variants,
        },
    )
}

proptest! {
    #[test]
    fn a_written_record_reads_back_equal(record in records()) {
        let line = serde_json::to_vec(&record).expect("records are JSON");
        prop_assert!(!line.contains(&b'\n'));
        prop_assert_eq!(parse(&line), Ok(record));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    /// Truncated and modified lines reach deeper code than random bytes.
    #[test]
    fn no_spoilt_line_makes_it_panic(
        record in records(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut line = serde_json::to_vec(&record).expect("records are JSON");
        let at = at.index(line.len());
        if cut { line.truncate(at) } else { line[at] = byte }
        if let Err(refusals) = parse(&line) {
            prop_assert!(!refusals.is_empty());
            prop_assert!(refusals.iter().all(|r| !r.message.is_empty()));
        }
    }
}
