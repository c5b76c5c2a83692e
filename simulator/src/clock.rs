//! The simulator's clock: the machine's time with the offset that tests set, or frozen.
//!
//! Every rule that depends on time (codes, tokens, quota windows, processing, publishing) reads this clock, so one
//! control call moves all of them together.

/// Milliseconds since the Unix epoch.
pub(crate) type Millis = i64;

/// A clock that can be moved and frozen.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset: Millis,
    frozen_at: Option<Millis>,
}

impl Clock {
    /// Now, in milliseconds since the Unix epoch.
    pub(crate) fn now(&self) -> Millis {
        self.frozen_at.unwrap_or_else(|| machine() + self.offset)
    }

    /// Moves the clock by `by` milliseconds; a frozen clock stays frozen at the new time.
    pub(crate) fn advance(&mut self, by: Millis) {
        match &mut self.frozen_at {
            Some(at) => *at = at.saturating_add(by),
            None => self.offset = self.offset.saturating_add(by),
        }
    }

    /// Freezes the clock at its current time, or lets it continue from there.
    pub(crate) fn freeze(&mut self, freeze: bool) {
        match (self.frozen_at, freeze) {
            (None, true) => self.frozen_at = Some(self.now()),
            (Some(at), false) => {
                self.offset = at - machine();
                self.frozen_at = None;
            }
            _ => {}
        }
    }

    /// Whether the clock is frozen.
    pub(crate) fn frozen(&self) -> bool {
        self.frozen_at.is_some()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place of the simulator that reads the machine's clock")]
fn machine() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// `YYYY-MM-DDTHH:MM:SS+0000`, the way Graph writes times.
pub(crate) fn graph_time(at: Millis) -> String {
    let seconds = at.div_euclid(1_000);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Civil date from a day count (Hinnant's algorithm); a date crate would be here for this one function.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_when_told_and_runs_on_from_there() {
        let mut clock = Clock::default();
        clock.freeze(true);
        let at = clock.now();
        clock.advance(60_000);
        assert_eq!(clock.now(), at + 60_000);
        clock.freeze(false);
        assert!(clock.now() >= at + 60_000 && !clock.frozen());
    }

    #[test]
    fn graph_time_is_the_civil_date() {
        assert_eq!(graph_time(0), "1970-01-01T00:00:00+0000");
        assert_eq!(graph_time(1_709_164_800_000), "2024-02-29T00:00:00+0000");
        assert_eq!(graph_time(1_798_761_599_000), "2026-12-31T23:59:59+0000");
    }
}
