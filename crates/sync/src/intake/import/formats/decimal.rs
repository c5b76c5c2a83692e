//! Prices as shops write them: decimals, read exactly.
//!
//! The service stores hundredths whatever the currency, and Meta gets the stored number divided by 100: 1500 yen are
//! stored as 150000 and sent as `1500.00 JPY`. A third decimal of a dinar has no place there and is refused.

/// Reads `12.34`, `12,34`, `1,234.50` or `1.234,50` as hundredths. `decimals` is the number of decimals of the currency.
///
/// # Errors
/// Returns what is wrong and what would be correct. A number that could mean two amounts (`1,234`) is refused.
pub fn hundredths(text: &str, decimals: u32) -> Result<i64, String> {
    let text = text.trim();
    let is_number = text.bytes().any(|b| b.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b','));
    if !is_number {
        return Err("must be a price such as 12.34, without a sign, currency or blank".into());
    }
    let mark = decimal_mark(text, decimals)?;
    let (whole, fraction) = mark.map_or((text, ""), |at| (&text[..at], &text[at + 1..]));
    let grouping = whole.bytes().find(|b| !b.is_ascii_digit());
    if let Some(grouping) = grouping {
        let mut groups = whole.split(char::from(grouping));
        let first = groups.next().unwrap_or_default();
        if !(1..=3).contains(&first.len()) || groups.any(|g| g.len() != 3 || g.contains(['.', ','])) {
            return Err("has separators that group no thousands; write 1234.50".into());
        }
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > decimals as usize {
        return Err(format!("has more decimals than the currency, which has {decimals}"));
    }
    if fraction.len() > 2 {
        return Err("has more than two decimals; prices are kept in hundredths, so round it".into());
    }
    let digits: String = whole.chars().filter(char::is_ascii_digit).chain(format!("{fraction:0<2}").chars()).collect();
    digits.parse().map_err(|_| "is too large".into())
}

/// Reads a price of a file whose decimal mark is known and which groups no thousands. More decimals than the currency has
/// are rounded half up, as the shop's own pages do with net prices.
///
/// # Errors
/// Returns what is wrong and what would be correct.
pub fn rounded(text: &str, mark: char, decimals: u32) -> Result<i64, String> {
    let text = text.trim();
    let is_plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    match text.split_once(mark) {
        Some((whole, fraction)) if text.len() > 1 && is_plain(whole) && is_plain(fraction) => {
            let kept = decimals.min(2);
            let (fraction, rest) = fraction.split_at(fraction.len().min(kept as usize));
            let price = hundredths(&format!("{whole}.{fraction:0<2}"), 2)?;
            let is_half = rest.starts_with(['5', '6', '7', '8', '9']);
            let up = if is_half { 10_i64.pow(2 - kept) } else { 0 };
            price.checked_add(up).ok_or_else(|| "is too large".into())
        }
        _ => hundredths(text, decimals),
    }
}

/// Returns the decimal mark that a price shows; `None` when it has none, or when it could group thousands.
#[must_use]
pub fn shown_mark(text: &str) -> Option<char> {
    let text = text.trim();
    let at = decimal_mark(text, 2).ok()??;
    let is_price = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b','));
    text[at..].chars().next().filter(|_| is_price)
}

/// Returns the place of the decimal mark, if there is one.
fn decimal_mark(text: &str, decimals: u32) -> Result<Option<usize>, String> {
    let Some(last) = text.rfind(['.', ',']) else { return Ok(None) };
    let first = text.find(['.', ',']).unwrap_or(last);
    let bytes = text.as_bytes();
    let after = text.len() - last - 1;
    if first == last {
        if after == 3 && decimals < 3 && (1..=3).contains(&last) && !text.starts_with('0') {
            return Err("could mean thousands or decimals; write 1234.00 or 1.23".into());
        }
        return Ok(Some(last));
    }
    // Several equal marks group thousands; two kinds: the last one is the decimal mark.
    Ok((bytes[first] != bytes[last]).then_some(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly() {
        for (text, decimals, expected) in [
            ("12.34", 2, 1_234),
            ("12,34", 2, 1_234),
            ("0.29", 2, 29),
            (".5", 2, 50),
            ("7", 2, 700),
            ("1,234.50", 2, 123_450),
            ("1.234,5", 2, 123_450),
            ("1.234.567", 2, 123_456_700),
            ("19.9900", 2, 1_999),
            ("0.100", 2, 10),
            ("1500", 0, 150_000),
            ("1500.00", 0, 150_000),
            ("1.250", 3, 125),
            (" 90071992547409.91 ", 2, 9_007_199_254_740_991),
        ] {
            assert_eq!(hundredths(text, decimals), Ok(expected), "{text}");
        }
    }

    #[test]
    fn with_a_known_mark_any_number_of_decimals_is_rounded_half_up() {
        for (text, mark, decimals, expected) in [
            ("16.7983", '.', 2, Ok(1_680)),
            ("8,264", ',', 2, Ok(826)),
            ("8,265", ',', 2, Ok(827)),
            ("0.994999", '.', 2, Ok(99)),
            ("19.999", '.', 2, Ok(2_000)),
            ("1499.5", '.', 0, Ok(150_000)),
            ("1.2555", '.', 3, Ok(126)),
            ("12,5", ',', 2, Ok(1_250)),
            ("12", ',', 2, Ok(1_200)),
            (".5", '.', 2, Ok(50)),
            ("1.234,50", ',', 2, Ok(123_450)),
        ] {
            assert_eq!(rounded(text, mark, decimals), expected, "{text}");
        }
        for (text, mark) in [("8.264", ','), (".", '.'), ("1.2.3", '.'), ("-1.5", '.'), ("99999999999999999999.5", '.')]
        {
            assert!(rounded(text, mark, 2).is_err(), "{text}");
        }
        for (text, mark) in [("1.5", Some('.')), ("1.234,5", Some(',')), ("1,234", None), ("12", None), ("1.5 €", None)]
        {
            assert_eq!(shown_mark(text), mark, "{text}");
        }
    }

    #[test]
    fn what_is_no_price_or_two_prices_is_refused() {
        for (text, decimals, part) in [
            ("", 2, "must be a price"),
            ("-1", 2, "must be a price"),
            ("€ 12", 2, "must be a price"),
            ("1e3", 2, "must be a price"),
            ("1,234", 2, "could mean"),
            ("1.234", 0, "could mean"),
            ("12.345678", 2, "more decimals than the currency, which has 2"),
            ("12.5", 0, "more decimals than the currency, which has 0"),
            ("1.255", 3, "more than two decimals"),
            ("1,23,456.00", 2, "group no thousands"),
            ("1.23,456,00", 2, "group no thousands"),
            ("99999999999999999999", 2, "too large"),
        ] {
            let refused = hundredths(text, decimals).expect_err(text);
            assert!(refused.contains(part), "{text}: {refused}");
        }
    }
}
