//! Global trade item numbers: GTIN-8, -12, -13 and -14.
//!
//! A source may be written with blanks and dashes, or as a spreadsheet keeps text ([`text::unquoted`]); what is left must be ASCII digits of one of the four
//! lengths whose check digit holds. Leading zeros are part of the number. All zeros satisfies the check
//! digit and is a placeholder, so it is refused. Own code, since the one crate for this
//! (`gtin-validate`) has not been released for years and the check is a single fold.
//!
//! Left out on purpose: ISBN-10 is not converted, and numbers that GS1 sets aside for use inside a shop
//! are sent, with a warning.

use crate::item::Variant;
use crate::text;
use crate::trace::branch;
use crate::warnings::{WarningCode, Warnings};

/// The first valid number of `ean`, `upc`, `barcode`.
pub(crate) fn pick(variant: &Variant, warnings: &mut Warnings) -> Option<String> {
    let sources = [("ean", &variant.ean), ("upc", &variant.upc), ("barcode", &variant.barcode)];
    for (source, raw) in sources {
        let Some(raw) = raw.as_deref().filter(|raw| !raw.trim().is_empty()) else {
            continue;
        };
        let Some(number) = parse(raw) else {
            warnings.add(
                WarningCode::InvalidGtin,
                Some("gtin"),
                format!(
                    "variant.{source} is no GTIN of 8, 12, 13 or 14 digits with a valid check digit; it is left out"
                ),
            );
            continue;
        };
        branch!(match source {
            "ean" => "gtin.from_ean",
            "upc" => "gtin.from_upc",
            _ => "gtin.from_barcode",
        });
        if is_restricted(&number) {
            warnings.add(
                WarningCode::RestrictedGtin,
                Some("gtin"),
                format!("variant.{source} lies in a range that GS1 keeps for use inside a shop; give the maker's number or none"),
            );
        }
        return Some(number);
    }
    branch!("gtin.none");
    None
}

/// The digits of a valid number.
pub(crate) fn parse(raw: &str) -> Option<String> {
    let raw = text::unquoted(raw);
    let number: String = raw.chars().filter(|c| !is_separator(*c)).collect();
    let well_formed = matches!(number.len(), 8 | 12..=14) && number.bytes().all(|b| b.is_ascii_digit());
    if !well_formed {
        branch!("gtin.malformed");
        return None;
    }
    if number.bytes().all(|b| b == b'0') {
        branch!("gtin.all_zeros");
        return None;
    }
    if !check_digit_holds(&number) {
        branch!("gtin.check_digit");
        return None;
    }
    if number.len() != raw.len() {
        branch!("gtin.separators");
    }
    Some(number)
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Counted from the right, digits weigh 1, 3, 1, 3 …; the sum must be a multiple of ten.
fn check_digit_holds(digits: &str) -> bool {
    let weighted = digits.bytes().rev().zip([1_u32, 3].into_iter().cycle());
    weighted.map(|(digit, weight)| u32::from(digit - b'0') * weight).sum::<u32>().is_multiple_of(10)
}

/// GS1 prefixes 020–029, 040–049 and 200–299 are for restricted circulation; so are GTIN-8 of 0 and 2.
fn is_restricted(number: &str) -> bool {
    let digits = number.as_bytes();
    match digits.len() {
        8 => matches!(digits[0], b'0' | b'2'),
        // Written as a GTIN-13 it has a zero in front.
        12 => matches!(digits[0], b'2' | b'4'),
        13 => is_restricted_prefix(digits[0], digits[1]),
        // The first digit of a GTIN-14 tells the packaging.
        _ => is_restricted_prefix(digits[1], digits[2]),
    }
}

fn is_restricted_prefix(first: u8, second: u8) -> bool {
    first == b'2' || (first == b'0' && matches!(second, b'2' | b'4'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A number with its check digit, of any of the four lengths.
    fn numbers() -> impl Strategy<Value = String> {
        let body = prop_oneof![Just(7_usize), Just(11), Just(12), Just(13)]
            .prop_flat_map(|len| proptest::collection::vec(0_u8..10, len));
        body.prop_filter("a placeholder", |digits| digits.iter().any(|d| *d != 0)).prop_map(|digits| {
            let sum: u32 =
                digits.iter().rev().enumerate().map(|(i, d)| u32::from(*d) * if i % 2 == 0 { 3 } else { 1 }).sum();
            let check = (10 - sum % 10) % 10;
            digits.iter().map(u8::to_string).collect::<String>() + &check.to_string()
        })
    }

    proptest! {
        #[test]
        fn a_valid_number_passes_and_no_single_digit_may_change(number in numbers(), at in 0_usize..14, by in 1_u8..10) {
            prop_assert_eq!(parse(&number), Some(number.clone()));
            let at = at % number.len();
            let mut digits = number.into_bytes();
            digits[at] = (digits[at] - b'0' + by) % 10 + b'0';
            let changed = String::from_utf8(digits).expect("digits are ASCII");
            prop_assert_eq!(parse(&changed), None);
        }

        #[test]
        fn separators_are_no_part_of_the_number(number in numbers(), at in 0_usize..8, dash in "[- \u{a0}\u{2013}]{1,3}") {
            let mut written = number.clone();
            written.insert_str(at, &dash);
            prop_assert_eq!(parse(&written), Some(number));
        }
    }

    #[test]
    fn only_ascii_digits_count() {
        assert_eq!(parse("٤٠٠٦٣٨١٣٣٣٩٣١"), None);
        assert_eq!(parse("4006381333931"), Some("4006381333931".into()));
    }

    #[test]
    fn numbers_for_use_inside_a_shop_are_known() {
        for inside in ["20000004", "212345678905", "2012345678903", "0212345678905", "00212345678905"] {
            assert!(is_restricted(inside), "{inside}");
        }
        for outside in ["96385074", "036000291452", "4006381333931", "14006381333938"] {
            assert!(!is_restricted(outside), "{outside}");
        }
    }
}
