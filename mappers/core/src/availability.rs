//! Stock as Meta's four words, written with blanks (Google writes underscores).
//!
//! A shop that does not track the stock of a variant has it in stock. A variant without a stock record
//! counts as sold out: selling what may not exist is the dearer mistake. Quantities below zero count as
//! zero.

use crate::item::Inventory;
use crate::trace::branch;

/// The value of `availability`.
pub(crate) fn of(inventory: Option<&Inventory>) -> &'static str {
    let Some(stock) = inventory else {
        branch!("availability.no_record");
        return "out of stock";
    };
    if !stock.track_inventory {
        branch!("availability.untracked");
        "in stock"
    } else if stock.quantity_on_hand.saturating_sub(stock.reserved_quantity) > 0 {
        branch!("availability.in_stock");
        "in stock"
    } else if stock.allow_backorder {
        branch!("availability.backorder");
        "available for order"
    } else {
        branch!("availability.sold_out");
        "out of stock"
    }
}
