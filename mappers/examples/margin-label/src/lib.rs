//! Labels each item by its margin, so that ads can bid on it.
//!
//! `custom_label_2` becomes `margin-low`, `-mid` or `-high`, or `margin-negative` for what is sold below cost. The cost comes from the
//! variant's `extra`: `{"cost": 1234}`, hundredths of the currency as prices are. Without a cost there is no label.
//! The margin is that of the regular price, so that it does not change with every sale.

use meta_catalog_mapper::{Context, Item, Patch, mapper, patch};

mapper!(map);

/// Bands by the least margin in percent, best first.
const BANDS: [(i64, &str); 3] = [(50, "margin-high"), (20, "margin-mid"), (0, "margin-low")];
const BELOW_COST: &str = "margin-negative";

fn map(_context: &Context, item: &Item<'_>) -> Patch {
    let cost = match item.variant.try_extra::<i64>("cost") {
        Ok(Some(cost)) => cost,
        Ok(None) => return patch(),
        Err(error) => {
            let message = format!("{error}; give the cost in hundredths as a whole number");
            return patch().warn("cost_unreadable", "custom_label_2", message);
        }
    };
    match item.variant.price.and_then(|price| label(price, cost)) {
        Some(label) => patch().text("custom_label_2", label),
        None => patch(),
    }
}

/// The band of a price; none where there is no margin to speak of.
fn label(price: i64, cost: i64) -> Option<&'static str> {
    if price <= 0 || cost < 0 {
        return None;
    }
    let percent = (i128::from(price) - i128::from(cost)) * 100;
    let band = BANDS.iter().find(|(least, _)| percent >= i128::from(*least) * i128::from(price));
    Some(band.map_or(BELOW_COST, |(_, label)| label))
}

#[cfg(test)]
mod tests {
    use meta_catalog_mapper::{Outcome, Product, Variant};

    use super::*;

    #[test]
    fn bands_begin_at_their_least_margin() {
        assert_eq!(label(10_000, 5_000), Some("margin-high"));
        assert_eq!(label(10_000, 5_001), Some("margin-mid"));
        assert_eq!(label(10_000, 8_000), Some("margin-mid"));
        assert_eq!(label(10_000, 8_001), Some("margin-low"));
        assert_eq!(label(10_000, 10_000), Some("margin-low"));
        assert_eq!(label(10_000, 10_001), Some("margin-negative"));
        assert_eq!(label(i64::MAX, 0), Some("margin-high"));
        assert_eq!(label(0, 0), None);
    }

    #[test]
    fn the_cost_comes_from_the_shops_extra() {
        assert_eq!(outcome(r#"{"colour":"red","cost":2500}"#), patch().text("custom_label_2", "margin-high").into());
        assert_eq!(outcome(r#"{"colour":"red"}"#), patch().into());
    }

    #[test]
    fn a_cost_that_is_no_number_is_told() {
        let Outcome::Patched(patch) = outcome(r#"{"cost":"25.00"}"#) else { panic!("a patch") };
        assert_eq!(patch.changes, []);
        assert_eq!(patch.warnings[0].code, "cost_unreadable");
    }

    fn outcome(extra: &str) -> Outcome {
        let product = Product::default();
        let variant = Variant { price: Some(10_000), extra_json: Some(extra.into()), ..Variant::default() };
        map(&Context::default(), &Item::new(&product, &variant)).into()
    }
}
