//! Times as they come in JSON.

use jiff::civil::{DateTime, Time};
use jiff::fmt::temporal::Pieces;

use crate::trace::branch;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// ISO 8601 as milliseconds since the Unix epoch. Without an offset it is UTC, without a time of day
/// midnight. `infinity` and `-infinity` are what PostgreSQL writes for its open ends.
pub(super) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    match text {
        "infinity" => return Some(i64::MAX),
        "-infinity" => return Some(i64::MIN),
        _ => {}
    }
    // Taken apart rather than read as an instant: `jiff` has no instant for the last day of 9999, a
    // favourite for "for ever".
    let pieces = Pieces::parse(text).ok()?;
    let Some(time) = pieces.time() else {
        branch!("input.date_only");
        return millis(pieces.date().to_datetime(Time::midnight()), 0);
    };
    let offset = pieces.to_numeric_offset().map(|offset| offset.seconds());
    if offset.is_none() {
        branch!("input.time_without_offset");
    } else {
        branch!("input.time_with_offset");
    }
    millis(pieces.date().to_datetime(time), offset.unwrap_or_default())
}

fn millis(local: DateTime, offset_seconds: i32) -> Option<i64> {
    let since_epoch = i64::try_from(local.duration_since(EPOCH).as_millis()).ok()?;
    since_epoch.checked_sub(i64::from(offset_seconds) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_has_many_spellings() {
        for text in [
            "2026-11-01T00:00:00Z",
            "2026-11-01",
            "2026-11-01 00:00:00+00",
            "2026-11-01T05:30:00.000+05:30",
            "2026-10-31T21:00-0300",
            " 2026-11-01T00:00 ",
        ] {
            assert_eq!(parse(text), Some(1_793_491_200_000), "{text}");
        }
    }

    #[test]
    fn the_end_of_the_calendar_is_a_time() {
        assert_eq!(parse("9999-12-31T23:59:59.999Z"), Some(253_402_300_799_999));
        assert_eq!(parse("infinity"), Some(i64::MAX));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "soon", "2026-13-01", "2026-02-30", "12:00", "2026-11-01T00:00:00+99:99", "1793491200000"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
