//! Labels what is running out, so that ads can say so: `custom_label_3` is `last-pieces` while one to three are left.

use meta_catalog_mapper::{Context, Item, Outcome, mapper, patch};

// The module is called as the crate is in Cargo.toml: name and version are what operators see.
mapper!(map);

/// As many, and it is still running out.
const FEW: i64 = 3;

/// The one function of a mapper: what to say of an item.
fn map(_context: &Context, item: &Item<'_>) -> Outcome {
    match left(item) {
        Some(1..=FEW) => patch().text("custom_label_3", "last-pieces").into(),
        _ => patch().into(),
    }
}

/// How many can be sold; none if the shop does not count them.
fn left(item: &Item<'_>) -> Option<i64> {
    let stock = item.variant.inventory.as_ref().filter(|stock| stock.track_inventory && !stock.allow_backorder)?;
    Some(stock.quantity_on_hand.saturating_sub(stock.reserved_quantity))
}

#[cfg(test)]
mod tests {
    use meta_catalog_mapper::{Inventory, Product, Variant};

    use super::*;

    fn outcome(on_hand: i64, reserved: i64) -> Outcome {
        let inventory = Inventory {
            track_inventory: true,
            quantity_on_hand: on_hand,
            reserved_quantity: reserved,
            allow_backorder: false,
        };
        let variant = Variant { inventory: Some(inventory), ..Variant::default() };
        map(&Context::default(), &Item::new(&Product::default(), &variant))
    }

    #[test]
    fn the_last_pieces_have_a_label() {
        let label = patch().text("custom_label_3", "last-pieces").into();
        assert_eq!(outcome(5, 2), label);
        assert_eq!(outcome(1, 0), label);
    }

    #[test]
    fn plenty_and_none_have_not() {
        assert_eq!(outcome(5, 1), patch().into());
        assert_eq!(outcome(2, 2), patch().into());
    }
}
