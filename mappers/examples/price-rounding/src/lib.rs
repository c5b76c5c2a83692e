//! Rounds price and sale price to the nearest amount that ends in .95 or .99.
//!
//! Only for a shop whose pages and checkout round in the same way: Meta compares the catalog with the page, and turns
//! down items whose prices differ.
//!
//! Whether a sale runs is the built-in mapper's to say, so this asks it. A sale price that rounding would lift to the
//! price takes the next amount below it; where there is none, the sale is not sent, with a warning.

use meta_catalog_mapper::{Context, Item, Patch, mapper, patch};

mapper!(map);

/// The last two digits of a price, in order.
const ENDINGS: [i64; 2] = [95, 99];

fn map(_context: &Context, item: &Item<'_>) -> Patch {
    // What the built-in mapper rejects, a patch does not bring back.
    let Ok(builtin) = item.builtin() else {
        return patch();
    };
    let [price, sale] = ["price", "sale_price"].map(|field| builtin.text(field));
    let Some(price) = price.as_deref().and_then(charm) else {
        return patch();
    };
    let patch = patch().text("price", price.to_string());
    let Some(sale) = sale.as_deref().and_then(charm) else {
        return patch;
    };
    let sale = if sale.hundredths < price.hundredths { Some(sale.hundredths) } else { below(price.hundredths) };
    match sale {
        Some(hundredths) => patch.text("sale_price", Amount { hundredths, ..price }.to_string()),
        None => {
            let message =
                "rounding leaves no sale price below the price, so the sale is not sent; lower the sale price";
            patch.remove("sale_price").remove("sale_price_effective_date").warn(
                "sale_rounded_away",
                "sale_price",
                message,
            )
        }
    }
}

/// An amount as the wire has it: `299.00 INR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Amount<'a> {
    hundredths: i64,
    currency: &'a str,
}

impl std::fmt::Display for Amount<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:02} {}", self.hundredths / 100, self.hundredths % 100, self.currency)
    }
}

/// Reads an amount; none if it is not written like one.
fn parse(text: &str) -> Option<Amount<'_>> {
    let (number, currency) = text.split_once(' ')?;
    let (major, minor) = number.split_once('.').filter(|(_, minor)| minor.len() == 2)?;
    let (major, minor) = (major.parse::<u64>().ok()?, minor.parse::<u8>().ok()?);
    let hundredths = i64::try_from(major).ok()?.checked_mul(100)?.checked_add(i64::from(minor))?;
    Some(Amount { hundredths, currency })
}

/// The nearest amount with one of the endings, the higher of two that are equally near; none if the text is no amount.
fn charm(text: &str) -> Option<Amount<'_>> {
    let amount = parse(text)?;
    let whole = amount.hundredths / 100;
    let candidates = [whole - 1, whole].into_iter().flat_map(|whole| ENDINGS.map(|ending| (whole, ending)));
    let hundredths = candidates
        .filter(|(whole, _)| *whole >= 0)
        .filter_map(|(whole, ending)| whole.checked_mul(100)?.checked_add(ending))
        .min_by_key(|candidate| (candidate.abs_diff(amount.hundredths), -candidate))?;
    Some(Amount { hundredths, ..amount })
}

/// The next amount with one of the endings below another such.
fn below(hundredths: i64) -> Option<i64> {
    let whole = hundredths / 100;
    let candidates = [whole - 1, whole].into_iter().flat_map(|whole| ENDINGS.map(|ending| whole * 100 + ending));
    candidates.filter(|candidate| (0..hundredths).contains(candidate)).max()
}

#[cfg(test)]
mod tests {
    use meta_catalog_mapper::{Outcome, Payload, Product, Variant, reject};

    use super::*;

    fn rounded(price: &str, sale: Option<&str>) -> Outcome {
        let builtin = Payload::new("v-1").text("price", price).text_if("sale_price", sale).into();
        outcome(&builtin)
    }

    fn outcome(builtin: &Outcome) -> Outcome {
        let (product, variant) = (Product::default(), Variant::default());
        map(&Context::default(), &Item::new(&product, &variant).with_builtin(builtin)).into()
    }

    #[test]
    fn prices_go_to_the_nearest_ending() {
        for (from, to) in [
            ("12.34 EUR", "11.99 EUR"),
            ("12.50 EUR", "12.95 EUR"),
            ("12.46 EUR", "11.99 EUR"),
            ("12.47 EUR", "12.95 EUR"),
            ("12.97 EUR", "12.99 EUR"),
            ("12.95 EUR", "12.95 EUR"),
            ("0.01 EUR", "0.95 EUR"),
            ("92233720368547758.07 EUR", "92233720368547757.99 EUR"),
        ] {
            assert_eq!(rounded(from, None), patch().text("price", to).into(), "{from}");
        }
    }

    #[test]
    fn a_sale_stays_below_the_price() {
        let both = |price, sale| patch().text("price", price).text("sale_price", sale).into();
        assert_eq!(rounded("20.00 EUR", Some("15.10 EUR")), both("19.99 EUR", "14.99 EUR"));
        assert_eq!(rounded("20.00 EUR", Some("19.99 EUR")), both("19.99 EUR", "19.95 EUR"));
        assert_eq!(rounded("19.96 EUR", Some("19.94 EUR")), both("19.95 EUR", "18.99 EUR"));
    }

    #[test]
    fn a_sale_without_room_is_not_sent() {
        let Outcome::Patched(patch) = rounded("0.90 EUR", Some("0.50 EUR")) else { panic!("a patch") };
        let removed: Vec<_> = patch.changes.iter().filter(|change| change.value.is_none()).map(|c| &*c.name).collect();
        assert_eq!(removed, ["sale_price", "sale_price_effective_date"]);
        assert_eq!(patch.warnings[0].code, "sale_rounded_away");
    }

    #[test]
    fn what_is_no_price_stays_as_it_is() {
        for odd in ["299 INR", "299.0 INR", "-1.00 INR", "299.00", ""] {
            assert_eq!(rounded(odd, None), patch().into(), "{odd}");
        }
        assert_eq!(outcome(&reject("missing_price", "").into()), patch().into());
    }
}
