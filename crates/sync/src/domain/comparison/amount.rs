//! The amount in a price that is written for people.

use mapper_core::minor_units;

/// Returns the amount of a price in thousandths, or `None` where its text allows no reading or more than one.
///
/// Which of `.` and `,` separates the decimals depends on a locale that Meta does not tell. It is certain only from the
/// text and from the number of decimals that the currency has: `1.234` is one thousand two hundred thirty-four dollars,
/// and of Kuwaiti dinars it may be either.
#[must_use]
pub fn amount(text: &str, currency: &str) -> Option<i128> {
    let decimals = usize::try_from(minor_units(currency)?).ok()?;
    let first = text.find(|c: char| c.is_ascii_digit())?;
    let last = text.rfind(|c: char| c.is_ascii_digit())?;
    let (before, number, after) = (&text[..first], &text[first..=last], &text[last + 1..]);
    // A minus sign is no price, and a digit in the sign of the currency is none that we know.
    if before.contains(['-', '−', '(']) || after.contains('-') {
        return None;
    }
    // `$.50` has its decimals alone, and `Rs.50` has the point of a shortened word.
    let mut before_point = before.strip_suffix(['.', ',']).map(str::chars);
    if before_point.as_mut().is_some_and(|sign| !sign.next_back().is_some_and(char::is_alphabetic)) {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    let mut separators: Vec<char> = Vec::new();
    let mut rest = number;
    while let Some(at) = rest.find(|c: char| !c.is_ascii_digit()) {
        let separator = rest[at..].chars().next()?;
        if !matches!(separator, '.' | ',' | '\'' | '’' | ' ' | '\u{a0}' | '\u{202f}') {
            return None;
        }
        parts.push(&rest[..at]);
        separators.push(separator);
        rest = &rest[at + separator.len_utf8()..];
    }
    parts.push(rest);
    let fraction = fraction(&parts, &separators, decimals)?;
    let groups = if fraction.is_empty() { &parts[..] } else { &parts[..parts.len() - 1] };
    let separators = &separators[..groups.len() - 1];
    let (head, tail) = groups.split_first()?;
    // Thousands have three digits; in India those above the first thousand have two.
    let is_grouped = tail.split_last().is_none_or(|(last, middle)| {
        last.len() == 3 && middle.iter().all(|group| matches!(group.len(), 2 | 3)) && matches!(head.len(), 1..=3)
    });
    if !is_grouped || separators.iter().any(|one| *one != separators[0]) {
        return None;
    }
    format!("{}{fraction:0<3}", groups.concat()).parse().ok()
}

/// Returns the decimals, empty where there are none; `None` where it is not certain.
fn fraction<'t>(parts: &[&'t str], separators: &[char], decimals: usize) -> Option<&'t str> {
    let (Some(separator), Some(last)) = (separators.last(), parts.last()) else { return Some("") };
    let may_separate_decimals = matches!(separator, '.' | ',');
    let is_repeated = separators.iter().filter(|one| *one == separator).count() > 1;
    match last.len() {
        // What is sent has two decimals whatever the currency.
        1 | 2 if may_separate_decimals && !is_repeated => Some(last),
        3 if decimals < 3 || is_repeated || !may_separate_decimals => Some(""),
        3 if separators.len() > 1 => Some(last),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_read_only_where_it_has_one_reading() {
        for (text, currency, expected) in [
            ("299.00", "INR", Some(299_000)),
            ("₹299.00", "INR", Some(299_000)),
            ("₹299", "INR", Some(299_000)),
            ("₹1,23,456.50", "INR", Some(123_456_500)),
            ("£1,234,567.50", "GBP", Some(1_234_567_500)),
            ("$10.00", "USD", Some(10_000)),
            ("$1,234", "USD", Some(1_234_000)),
            ("14,50 EUR", "EUR", Some(14_500)),
            ("1.234,50 €", "EUR", Some(1_234_500)),
            ("1\u{a0}234,5 €", "EUR", Some(1_234_500)),
            ("CHF 1'234.50", "CHF", Some(1_234_500)),
            ("AED30.00", "AED", Some(30_000)),
            ("199.000₫", "VND", Some(199_000_000)),
            ("Rp460.000", "IDR", Some(460_000_000)),
            ("¥1,234", "JPY", Some(1_234_000)),
            ("1,234.567 KWD", "KWD", Some(1_234_567)),
            // More than one reading, or none.
            ("1.234 KWD", "KWD", None),
            ("1.234.567", "KWD", Some(1_234_567_000)),
            ("1.2345", "EUR", None),
            ("1.23.45", "EUR", None),
            ("12,34,56", "EUR", None),
            ("1,234'567.00", "EUR", None),
            ("10.00 - 20.00", "EUR", None),
            ("-5.00", "EUR", None),
            ("free", "EUR", None),
            ("$.50", "USD", None),
            (",50 €", "EUR", None),
            ("Rs.299.00", "INR", Some(299_000)),
            ("", "EUR", None),
            ("5.00", "ABC", None),
            ("99999999999999999999999999999999999999999", "EUR", None),
        ] {
            assert_eq!(amount(text, currency), expected, "{text} {currency}");
        }
    }
}
