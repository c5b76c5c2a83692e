//! The catalog of the demonstration: 200 products with 600 variants, or any other number of variants.
//!
//! Purpose: products that cover every possible outcome of a variant (each kind within the first products), and as many
//! copies of them as a load test needs.
//! Promises: the same input gives the same products; every id, slug, SKU and valid EAN is unique; [`scaled`] keeps one
//! catalog in memory however many variants it yields.
//! Left out on purpose: writing the products anywhere. `scripts/make-sample-catalog.py` writes the file.

use catalog_sync::clock::Millis;
use catalog_sync::domain::record::{ProductRecord, VariantRecord};
use catalog_sync::intake::import;

/// A variant whose sale runs at the time of the import; the demonstration ends the sale. Present from one variant on.
pub(crate) const RUNNING_SALE: &str = "prod-001-1";

/// A valid variant without a sale; the demonstration changes its price. Present from two variants on.
pub(crate) const PRICE_EDIT: &str = "prod-001-2";

/// A product with two valid variants; the demonstration archives it. Present, with one variant, from four variants on.
pub(crate) const ARCHIVED_LATER: &str = "prod-002";

const CATALOG: &str = include_str!("../../config/sample-catalog.ndjson");
const DAY: Millis = 24 * 60 * 60 * 1000;

/// The sample catalog as it is imported at `now_ms` (milliseconds since the Unix epoch): the sale of [`RUNNING_SALE`]
/// began one day ago and ends in thirty days; all other times are fixed.
#[must_use]
pub(crate) fn sample(now_ms: Millis) -> Vec<ProductRecord> {
    let read = |line: &str| import::parse(line.as_bytes()).expect("a test reads every line of the file");
    let mut products: Vec<ProductRecord> = CATALOG.lines().map(read).collect();
    for variant in products.iter_mut().flat_map(|product| &mut product.variants) {
        if variant.id == RUNNING_SALE {
            variant.special_price_start = Some(now_ms - DAY);
            variant.special_price_end = Some(now_ms + 30 * DAY);
        }
    }
    products
}

/// Products with `variants` variants in total, one at a time. The sample comes first (its beginning, if fewer are
/// requested), then copies of it under new ids.
pub(crate) fn scaled(variants: usize, now_ms: Millis) -> impl Iterator<Item = ProductRecord> + Send {
    let shapes = sample(now_ms);
    let mut wanted = variants;
    let products = (0_usize..).map(move |at| copy(&shapes, at));
    products.map_while(move |mut product| {
        if wanted == 0 {
            return None;
        }
        product.variants.truncate(wanted);
        wanted -= product.variants.len();
        Some(product)
    })
}

/// The `at`-th product of an endless catalog.
fn copy(shapes: &[ProductRecord], at: usize) -> ProductRecord {
    let (round, at) = (at / shapes.len(), at % shapes.len());
    let mut product = shapes[at].clone();
    if round == 0 {
        return product;
    }
    product.id = format!("{}-r{round}", product.id);
    product.title = format!("{} No. {round}", product.title);
    product.slug = product.slug.map(|slug| format!("{slug}-r{round}"));
    for (index, variant) in product.variants.iter_mut().enumerate() {
        // No product has a hundred variants, so the number is unique within the round.
        renumber(variant, round, at * 100 + index);
    }
    product
}

fn renumber(variant: &mut VariantRecord, round: usize, number: usize) {
    variant.id = format!("{}-r{round}", variant.id);
    variant.sku = variant.sku.as_ref().map(|sku| format!("{sku}-R{round}"));
    // A code that is not valid is kept.
    if let Some(ean) = variant.ean.as_deref()
        && ean.len() == 13
        && with_check_digit(&ean[..12]) == ean
    {
        let number = (round * 100_000 + number) % 10_000_000_000;
        variant.ean = Some(with_check_digit(&format!("20{number:010}")));
    }
}

/// Twelve digits of a GTIN-13, followed by their check digit.
fn with_check_digit(digits: &str) -> String {
    let weighted = digits.bytes().rev().zip([3, 1].into_iter().cycle());
    let sum: u32 = weighted.map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests;
