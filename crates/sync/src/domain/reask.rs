//! Re-asks: asking again for many variants, chunk by chunk, for one reason.
//!
//! This module defines which variants each reason covers and the origin of the intents. The store walks the variants
//! ([`crate::store::reask`]), and the ReaskActor paces the walk ([`crate::pipeline::reask`]).

use std::time::Duration;

use super::intent::Origin;
use super::state::unknown_word;

/// Why variants are asked for again. At most one re-ask of each reason is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// An operator requests every eligible variant in the catalog.
    Bootstrap,
    /// An operator requests that every variant is mapped again.
    Remap,
    /// A setting that the mapper reads has changed.
    Settings,
    /// The built-in mapper of this version makes other payloads than the one before, or the prefix of image URLs has
    /// changed.
    MapperUpgrade,
    /// A name that several products share has changed: a vendor's, a brand's, a category's or an option's.
    Renamed,
}

/// What has a name that variants show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Named {
    /// A vendor.
    Vendor,
    /// A brand.
    Brand,
    /// A category. It is part of the trail of every category below it.
    Category,
}

impl Named {
    /// Returns its word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vendor => "vendor",
            Self::Brand => "brand",
            Self::Category => "category",
        }
    }
}

/// The variants that a re-ask walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Variants whose product is active, public and not deleted.
    Eligible,
    /// Every variant of the shop.
    All,
    /// Variants that were mapped before: all but the `pending` ones, whose intent is open. A variant that an operator
    /// deleted at Meta stays deleted, and a variant that was never asked for is not added.
    Mapped,
    /// Every variant that shows a name that has changed.
    Renamed,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Bootstrap, Self::Remap, Self::Settings, Self::MapperUpgrade, Self::Renamed];

    /// Returns its word in the store and in the admin API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Remap => "remap",
            Self::Settings => "settings",
            Self::MapperUpgrade => "mapper_upgrade",
            Self::Renamed => "renamed",
        }
    }

    /// Returns which variants it walks.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::Bootstrap => Scope::Eligible,
            Self::Remap => Scope::All,
            Self::Settings | Self::MapperUpgrade => Scope::Mapped,
            Self::Renamed => Scope::Renamed,
        }
    }

    /// Returns the origin of its intents. A bootstrap is an operator's request. The others repeat earlier requests, so
    /// they give way to every other intent.
    #[must_use]
    pub fn origin(self) -> Origin {
        match self {
            Self::Bootstrap => Origin::Operator,
            Self::Remap | Self::Settings | Self::MapperUpgrade | Self::Renamed => Origin::Recovery,
        }
    }

    /// Returns whether an operator asked for it, so that it replaces what an operator removed before.
    #[must_use]
    pub fn is_operators(self) -> bool {
        match self {
            Self::Bootstrap | Self::Remap => true,
            Self::Settings | Self::MapperUpgrade | Self::Renamed => false,
        }
    }

    /// Returns whether a variant with a live open intent is skipped, because the drain maps it anyway.
    #[must_use]
    pub fn passes_waiting(self) -> bool {
        self.origin() == Origin::Recovery
    }
}

impl std::str::FromStr for Reason {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word).ok_or_else(|| unknown_word(word))
    }
}

/// The largest number of variants of one step.
const LONGEST_STEP: usize = 1_000;

/// The pace of a re-ask: it adds a step while the number of live intents of the bulk lane is below the backlog. So it is
/// never more than three calls ahead of the drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The number of live intents from which it waits.
    pub backlog: i64,
    /// The number of variants of one step.
    pub step: i64,
}

impl Pace {
    /// Returns the pace for calls of at most this many items.
    #[must_use]
    pub fn of(batch_size: usize) -> Self {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        Self { backlog: whole(batch_size.saturating_mul(2)), step: whole(batch_size.clamp(1, LONGEST_STEP)) }
    }
}

/// The calls that a re-ask is sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    /// Rows in each call.
    pub rows: usize,
    /// The time between two calls.
    pub period: Duration,
    /// How long no call may be made.
    pub opens_in: Duration,
}

/// Returns how long it takes to send this many variants. It takes less when Meta holds some of them already, and more
/// while the shop changes much.
#[must_use]
pub fn time_left(variants: i64, calls: Calls) -> Duration {
    let variants = u64::try_from(variants).unwrap_or(0);
    let rows = u64::try_from(calls.rows).unwrap_or(u64::MAX).max(1);
    let needed = u32::try_from(variants.div_ceil(rows)).unwrap_or(u32::MAX);
    if needed == 0 { Duration::ZERO } else { calls.opens_in.saturating_add(calls.period.saturating_mul(needed)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_that_of_the_calls() {
        let at = |rows, period, opens_in| Calls {
            rows,
            period: Duration::from_secs(period),
            opens_in: Duration::from_secs(opens_in),
        };
        let table = [
            ("nothing is left", 0, at(1_000, 10, 60), 0),
            ("more was walked than counted", -5, at(1_000, 10, 60), 0),
            ("a call that is not full", 1, at(1_000, 10, 0), 10),
            ("full calls", 2_000, at(1_000, 10, 0), 20),
            ("one more", 2_001, at(1_000, 10, 0), 30),
            ("a closed bucket", 2_000, at(1_000, 10, 300), 320),
            ("a cut call", 100, at(1, 8, 0), 800),
            ("calls of no row", 2, at(0, 8, 0), 16),
            ("a million", 1_000_000, at(5_000, 8, 0), 1_600),
        ];
        for (name, variants, calls, seconds) in table {
            assert_eq!(time_left(variants, calls), Duration::from_secs(seconds), "{name}");
        }
        assert!(time_left(i64::MAX, at(1, u64::MAX, u64::MAX)) > Duration::ZERO, "no overflow");
    }

    #[test]
    fn words_are_read_back() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        assert!("brand".parse::<Reason>().is_err());
    }

    #[test]
    fn only_an_operators_word_beats_what_waits() {
        let beats: Vec<Reason> = Reason::ALL.into_iter().filter(|reason| !reason.passes_waiting()).collect();
        assert_eq!(beats, [Reason::Bootstrap]);
    }

    #[test]
    fn a_re_ask_is_at_most_three_calls_ahead() {
        for batch_size in [1, 7, 1_000, 5_000] {
            let Pace { backlog, step } = Pace::of(batch_size);
            assert!(step >= 1 && backlog + step <= 3 * i64::try_from(batch_size).expect("small"), "{batch_size}");
        }
    }
}
