//! Money.
//!
//! A price is an integer number of hundredths, whatever the currency: the shop's tables say so, and a
//! currency with other subunits (yen, Kuwaiti dinar) earns a warning rather than a guess. Integer
//! arithmetic only. The text is Meta's: `299.00 INR`.

use std::borrow::Cow;

use crate::currency::minor_units;
use crate::text;
use crate::trace::branch;
use crate::warnings::{WarningCode, Warnings};

/// The currency code as it goes on the wire: upper case, without blanks. Warns of a code that ISO 4217
/// does not know, or whose subunits are no hundredths.
pub(crate) fn currency<'a>(setting: &'a str, warnings: &mut Warnings) -> Cow<'a, str> {
    let mut code = text::line(setting);
    if code.bytes().any(|b| b.is_ascii_lowercase()) {
        branch!("price.currency_upper_cased");
        code.to_mut().make_ascii_uppercase();
    }
    match minor_units(&code) {
        None => warnings.add(
            WarningCode::UnknownCurrency,
            Some("price"),
            format!("“{code}” is no ISO 4217 currency code; correct the setting `currency`"),
        ),
        Some(2) => {}
        Some(decimals) => warnings.add(
            WarningCode::CurrencyWithoutHundredths,
            Some("price"),
            format!(
                "{code} has {decimals} decimals, but prices are read as hundredths; check the setting `currency`, and that the shop stores hundredths of {code}"
            ),
        ),
    }
    code
}

/// Hundredths as `<major>.<minor> <code>`.
pub(crate) fn format(hundredths: i64, currency: &str) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let hundredths = hundredths.unsigned_abs();
    let mut text = format!("{sign}{}.{:02} {currency}", hundredths / 100, hundredths % 100);
    // Without a code there is nothing to keep apart from the number.
    text.truncate(text.trim_end().len());
    text
}
