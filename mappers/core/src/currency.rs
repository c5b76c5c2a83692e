//! The currencies of ISO 4217.
//!
//! The table is that of the crate `iso_currency`, which is kept up to date; codes that were replaced lately (such as
//! `BGN`) are in it.
//!
//! Left out on purpose: codes in which nothing has a price (`XAU` for gold, `XTS` for tests, `XXX` for none). ISO 4217
//! gives them no minor unit.

use iso_currency::Currency;

/// The number of decimals of a currency by its code in capitals: 2 for `INR`, 0 for `JPY`, 3 for `KWD`. `None` for a
/// code that is no currency.
#[must_use]
pub fn minor_units(code: &str) -> Option<u32> {
    Currency::from_code(code)?.exponent().map(u32::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_those_of_the_standard() {
        for (code, decimals) in [("INR", 2), ("USD", 2), ("JPY", 0), ("KRW", 0), ("VND", 0), ("KWD", 3), ("CLF", 4)] {
            assert_eq!(minor_units(code), Some(decimals), "{code}");
        }
        for none in ["ZZZ", "inr", "XXX", "XTS", "XAU", "", "INRX", "₹"] {
            assert_eq!(minor_units(none), None, "{none}");
        }
    }
}
