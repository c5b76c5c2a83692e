//! Times in the format of the admin surface.

use crate::clock::Millis;

/// Returns ISO 8601 in UTC with milliseconds, such as `2026-01-31T09:30:00.000Z`; `None` when the year has more than
/// four digits.
#[must_use]
pub fn iso(at: Millis) -> Option<String> {
    jiff::Timestamp::from_millisecond(at).ok().map(|at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_always_written() {
        assert_eq!(iso(1_764_000_000_000).as_deref(), Some("2025-11-24T16:00:00.000Z"));
        assert_eq!(iso(1_764_000_000_007).as_deref(), Some("2025-11-24T16:00:00.007Z"));
        assert_eq!(iso(i64::MAX), None);
    }
}
