//! Re-asks: asking for many variants again, chunk by chunk, for one reason.
//!
//! What each reason asks for, and in which words, is decided here; the store walks ([`crate::store::reask`]), the
//! ReaskActor paces it ([`crate::pipeline::reask`]).

use super::intent::Origin;
use super::state::unknown_word;

/// Why variants are asked for again. At most one re-ask of each is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// An operator wants every eligible variant in the catalog.
    Bootstrap,
    /// An operator wants every variant mapped anew.
    Remap,
    /// A setting changed that the mapper reads.
    Settings,
    /// The built-in mapper of this version makes other payloads than the one before, or image URLs have another prefix.
    MapperUpgrade,
}

/// Which variants a re-ask walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Variants whose product is active, public and not deleted.
    Eligible,
    /// Every variant of the shop.
    All,
    /// Variants that were mapped before: `synced`, `submitted`, `failed` or `skipped`. What an operator deleted at Meta
    /// stays deleted, and what was never asked for stays so.
    Mapped,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Bootstrap, Self::Remap, Self::Settings, Self::MapperUpgrade];

    /// The word in the store and on the admin surface.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Remap => "remap",
            Self::Settings => "settings",
            Self::MapperUpgrade => "mapper_upgrade",
        }
    }

    /// Which variants it walks.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::Bootstrap => Scope::Eligible,
            Self::Remap => Scope::All,
            Self::Settings | Self::MapperUpgrade => Scope::Mapped,
        }
    }

    /// The origin of its intents. A bootstrap is an operator's word; the others repeat what was asked before, and give way
    /// to whatever else is asked meanwhile.
    #[must_use]
    pub fn origin(self) -> Origin {
        match self {
            Self::Bootstrap => Origin::Operator,
            Self::Remap | Self::Settings | Self::MapperUpgrade => Origin::Recovery,
        }
    }

    /// Whether a variant that waits for the drain anyway is passed over: it will be mapped then.
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

/// Most variants of one step.
const LONGEST_STEP: usize = 1_000;

/// How a re-ask is paced: it adds a step while fewer live intents than the backlog are waiting. So it is never more than
/// three calls ahead of the drain, and a change of the shop waits for no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Live intents above which it waits.
    pub backlog: i64,
    /// Variants of one step.
    pub step: i64,
}

impl Pace {
    /// For calls of at most this many items.
    #[must_use]
    pub fn of(batch_size: usize) -> Self {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        Self { backlog: whole(batch_size.saturating_mul(2)), step: whole(batch_size.clamp(1, LONGEST_STEP)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
