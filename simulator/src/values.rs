//! Structured texts: prices, times, intervals. Pure.

/// `9.99 USD`: the amount in hundredths and the currency.
pub(crate) fn price(text: &str) -> Option<(i128, &str)> {
    let (amount, currency) = text.split_once(' ')?;
    if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let (whole, cents) = amount.split_once('.').map_or((amount, None), |(whole, cents)| (whole, Some(cents)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || cents.is_some_and(|cents| !digits(cents)) {
        return None;
    }
    let cents: String = cents.unwrap_or_default().chars().chain("00".chars()).take(2).collect();
    Some((whole.parse::<i128>().ok()?.checked_mul(100)? + cents.parse::<i128>().ok()?, currency))
}

/// Two times with offset and a slash between.
pub(crate) fn interval(text: &str) -> bool {
    text.split_once('/').is_some_and(|(from, to)| moment(from.trim()) && moment(to.trim()))
}

/// `YYYY-MM-DDTHH:MM[:SS[.fff]]±HH[:]MM`, or `Z` for the offset.
fn moment(text: &str) -> bool {
    let Some((date, time)) = text.split_once('T') else {
        return false;
    };
    let Some(zone) = time.find(['+', '-', 'Z']) else {
        return false;
    };
    let (time, zone) = time.split_at(zone);
    let zone: String = zone.chars().filter(|c| *c != ':').collect();
    let like = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(b, f)| if f == b'0' { b.is_ascii_digit() } else { b == f })
    };
    let time = time.split('.').next().unwrap_or_default();
    like(date, "0000-00-00")
        && (like(time, "00:00") || like(time, "00:00:00"))
        && (zone == "Z" || like(&zone, "+0000") || like(&zone, "-0000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_offset_forms_of_an_interval_are_taken() {
        for text in ["2014-11-01T12:00-0300/2014-12-01T00:00-0300", "2014-11-01T09:30-08:00/2014-12-01T09:30:00Z"] {
            assert!(interval(text), "{text}");
        }
    }

    #[test]
    fn prices_are_read_in_hundredths() {
        assert_eq!(price("299.00 INR"), Some((29_900, "INR")));
        assert_eq!(price("71 USD"), Some((7_100, "USD")));
        assert_eq!(price("0.5 USD"), Some((50, "USD")));
        for bad in ["USD 1", "1.0.0 USD", "1 usd", "-1 USD", " USD", "1. USD", "1  USD"] {
            assert_eq!(price(bad), None, "{bad}");
        }
    }
}
