//! The sale: its price, its window and the next instant at which the answer changes.
//!
//! A sale price counts if it is above zero and below the regular price. The window includes its start
//! and excludes its end; a missing bound is open. `sale_price` and its window are sent **only while now
//! is inside**: outside there is neither, and the next edge is reported, so a sale never rests on the
//! channel reading our dates. A window whose end is not after its start is no sale.
//!
//! On the wire the window is `2026-11-01T00:00+0000/2026-12-01T00:00+0000`, minutes in UTC, always with
//! both ends:
//! - The start is rounded up and the end down to the minute, so the window sent never exceeds the
//!   shop's. A sale that does not span one whole minute boundary to the next cannot be said and is no
//!   sale, with a warning.
//! - An open bound is a fixed far one ([`FAR_PAST`], [`FAR_FUTURE`]: the values of Meta's own plugin,
//!   known to be taken), never "now", which would change the payload with every mapping. Should the
//!   other bound lie beyond it, the end of the calendar stands in.
//! - Without any bound there is no window: the sale lasts until it is cleared.
//!
//! Any `i64` is an acceptable time; a start before the year 0 or an end after the year 9999 is open.

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::item::Variant;
use crate::trace::branch;
use crate::warnings::{WarningCode, Warnings};

const MINUTE_MS: i64 = 60_000;
/// 1970-01-29T00:00 in minutes since the epoch.
const FAR_PAST: i64 = 40_320;
/// 2038-01-17T23:59 in minutes since the epoch.
const FAR_FUTURE: i64 = 35_789_759;
/// 0000-01-01T00:00, the first minute that four digits of year can say.
const CALENDAR_START: i64 = -1_036_120_320;
/// 9999-12-30T22:00, the last minute that `jiff` can say in any time zone.
const CALENDAR_END: i64 = 4_223_370_120;

/// What is to be said about a sale as of one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sale {
    /// The price in force now, in hundredths.
    pub(crate) price: Option<i64>,
    /// The window as the wire wants it.
    pub(crate) window: Option<String>,
    /// The next edge of the window, in milliseconds; always after now.
    pub(crate) reevaluate_at: Option<i64>,
}

/// Decides on the sale of a variant whose regular price is `price`, as of `now` in milliseconds.
pub(crate) fn decide(now: i64, price: i64, variant: &Variant, warnings: &mut Warnings) -> Sale {
    let Some(special) = variant.special_price else {
        branch!("sale.none");
        return Sale::default();
    };
    if special <= 0 {
        let message = "variant.specialPrice is not above zero, so there is no sale; clear it or correct it";
        warnings.add(WarningCode::SalePriceNotPositive, Some("sale_price"), message);
        return Sale::default();
    }
    if special >= price {
        let message = "variant.specialPrice is not below the price, so there is no sale; clear it or correct it";
        warnings.add(WarningCode::SalePriceNotBelowPrice, Some("sale_price"), message);
        return Sale::default();
    }

    let start = variant.special_price_start.filter(|ms| *ms >= CALENDAR_START * MINUTE_MS);
    let end = variant.special_price_end.filter(|ms| *ms <= CALENDAR_END * MINUTE_MS);
    if let (Some(start), Some(end)) = (start, end)
        && start >= end
    {
        let message =
            "the sale does not end after its start, so there is no sale; correct specialPriceStart and specialPriceEnd";
        warnings.add(WarningCode::SaleWindowInverted, Some("sale_price_effective_date"), message);
        return Sale::default();
    }
    let window = match window(start, end) {
        Ok(window) => window,
        Err(TooShort) => {
            let message = "the sale does not last from one full minute to another, so it cannot be sent; widen it";
            warnings.add(WarningCode::SaleWindowTooShort, Some("sale_price_effective_date"), message);
            return Sale::default();
        }
    };

    if let Some(start) = start.filter(|start| now < *start) {
        branch!("sale.before");
        return Sale { reevaluate_at: Some(start), ..Sale::default() };
    }
    if end.is_some_and(|end| end <= now) {
        branch!("sale.after");
        return Sale::default();
    }
    branch!("sale.running");
    Sale { price: Some(special), window, reevaluate_at: end }
}

/// The sale does not hold a span of whole minutes.
struct TooShort;

/// The window on the wire; `None` if both bounds are open. A start lies not before the calendar and an
/// end not after it.
fn window(start: Option<i64>, end: Option<i64>) -> Result<Option<String>, TooShort> {
    let start = start.map(|ms| ms.div_euclid(MINUTE_MS) + i64::from(ms.rem_euclid(MINUTE_MS) > 0));
    let end = end.map(|ms| ms.div_euclid(MINUTE_MS));
    let (start, end) = match (start, end) {
        (None, None) => {
            branch!("sale.no_window");
            return Ok(None);
        }
        (Some(start), None) => {
            branch!("sale.open_end");
            (start, if start < FAR_FUTURE { FAR_FUTURE } else { CALENDAR_END })
        }
        (None, Some(end)) => {
            branch!("sale.open_start");
            (if FAR_PAST < end { FAR_PAST } else { CALENDAR_START }, end)
        }
        (Some(start), Some(end)) => {
            branch!("sale.closed_window");
            (start, end)
        }
    };
    if start >= end {
        return Err(TooShort);
    }
    Ok(Some(format!("{}/{}", stamp(start), stamp(end))))
}

/// A minute since the epoch as `2026-11-01T00:00+0000`.
fn stamp(minute: i64) -> String {
    // A start not before the calendar and an end not after it, in this order, both lie inside it, so the
    // default is never used.
    let at = Timestamp::from_second(minute * 60).unwrap_or_default();
    let at = Offset::UTC.to_datetime(at);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}+0000", at.year(), at.month(), at.day(), at.hour(), at.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_far_bounds_are_the_minutes_they_claim_to_be() {
        assert_eq!(stamp(FAR_PAST), "1970-01-29T00:00+0000");
        assert_eq!(stamp(FAR_FUTURE), "2038-01-17T23:59+0000");
        assert_eq!(stamp(CALENDAR_START), "0000-01-01T00:00+0000");
        assert_eq!(stamp(CALENDAR_END), "9999-12-30T22:00+0000");
    }
}
