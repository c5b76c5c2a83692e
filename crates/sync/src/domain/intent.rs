//! Intents: the requests in the outbox, and how several intents of one variant fold into one.

use std::collections::HashMap;

use super::state::unknown_word;

/// What is requested for a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intent {
    /// Make Meta's item equal to the mapper's word.
    Upsert,
    /// Remove Meta's item.
    Delete,
}

impl Intent {
    /// Returns its word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Delete => "delete",
        }
    }
}

impl std::str::FromStr for Intent {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "upsert" => Ok(Self::Upsert),
            "delete" => Ok(Self::Delete),
            _ => Err(unknown_word(word)),
        }
    }
}

/// The source of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A change event of the shop, or a trigger of the platform.
    Event,
    /// An operator, through the admin API.
    Operator,
    /// `meta-catalog import`.
    Import,
    /// A sale window opened or closed.
    Window,
    /// The pipeline, after an outcome that requires the row to be processed again.
    Recovery,
    /// A repair of what Meta shows differently ([`super::drift`]).
    Drift,
}

impl Origin {
    /// Returns whether it only repeats what was asked for before, so that it gives way to every other intent.
    #[must_use]
    pub fn repeats(self) -> bool {
        matches!(self, Self::Recovery | Self::Drift)
    }

    /// Returns its word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Operator => "operator",
            Self::Import => "import",
            Self::Window => "window",
            Self::Recovery => "recovery",
            Self::Drift => "drift",
        }
    }
}

impl std::str::FromStr for Origin {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "event" => Ok(Self::Event),
            "operator" => Ok(Self::Operator),
            "import" => Ok(Self::Import),
            "window" => Ok(Self::Window),
            "recovery" => Ok(Self::Recovery),
            "drift" => Ok(Self::Drift),
            _ => Err(unknown_word(word)),
        }
    }
}

/// A class of intents. Each has its share of every call, so none waits behind the backlog of another; within a lane the
/// first to arrive is the first to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// What costs money when it is late: stock, deletes, and what an operator asks of single variants.
    Prompt,
    /// Other changes of the shop, sale windows, and repetitions after a failure.
    Change,
    /// What concerns the whole shop: imports, re-asks, and repairs of drift.
    Bulk,
}

impl Lane {
    /// Every lane, in the order in which they share a call.
    pub const ALL: [Self; 3] = [Self::Prompt, Self::Change, Self::Bulk];

    /// Returns the lane of an intent by its origin. Stock events and the re-asks choose theirs.
    #[must_use]
    pub fn of(origin: Origin, intent: Intent) -> Self {
        match (origin, intent) {
            (Origin::Operator, _) | (Origin::Event, Intent::Delete) => Self::Prompt,
            (Origin::Event | Origin::Window | Origin::Recovery, _) | (Origin::Import, Intent::Delete) => Self::Change,
            (Origin::Import, Intent::Upsert) | (Origin::Drift, _) => Self::Bulk,
        }
    }

    /// Returns its number in the store.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Prompt => 0,
            Self::Change => 1,
            Self::Bulk => 2,
        }
    }

    /// Returns the lane with this number.
    #[must_use]
    pub fn numbered(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.number() == number)
    }

    /// Returns its word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Change => "change",
            Self::Bulk => "bulk",
        }
    }

    /// Returns how far an intent moves its lane's turn on. The lane with the earliest turn is next, so the shares of lanes
    /// that all have a backlog are as 1/2 to 1/3 to 1/6, and an empty lane leaves its share to the others.
    #[must_use]
    pub fn cost(self) -> i64 {
        match self {
            Self::Prompt => 2,
            Self::Change => 3,
            Self::Bulk => 6,
        }
    }
}

/// One unprocessed outbox row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIntent {
    /// Its exact id.
    pub seq: i64,
    /// Its variant.
    pub variant_id: String,
    /// What is requested.
    pub intent: Intent,
    /// Its source.
    pub origin: Origin,
    /// The number of faults so far.
    pub attempts: i64,
    /// Whether an operator released it from the mass-delete guard.
    pub released: bool,
}

/// All open intents of one variant, folded into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The variant.
    pub variant_id: String,
    /// What is requested.
    pub intent: Intent,
    /// The source of that request.
    pub origin: Origin,
    /// The exact rows that this represents. Only they are marked, so an intent that is committed later survives.
    pub seqs: Vec<i64>,
    /// The largest number of faults of any of them.
    pub attempts: i64,
    /// Whether the mass-delete guard has no say: an operator released any of them, or any of them asks for the delete.
    pub released: bool,
}

/// Folds open intents per variant. The result keeps the order in which the variants first appear in `rows`; the intents of
/// a variant count in the order of their ids.
///
/// The latest by `seq` wins. An operator's delete also beats later events of the same batch, but not a later request of
/// an operator: an operator who deletes an item does not expect that a stock update restores it at once. A recovery
/// and a repair of drift only repeat an earlier request, so they give way to every other intent, earlier or later.
#[must_use]
pub fn fold(mut rows: Vec<OpenIntent>) -> Vec<Folded> {
    let mut places: HashMap<String, usize> = HashMap::new();
    for row in &rows {
        let next = places.len();
        if !places.contains_key(&row.variant_id) {
            places.insert(row.variant_id.clone(), next);
        }
    }
    let mut folded: Vec<Option<Folded>> = vec![None; places.len()];
    rows.sort_unstable_by_key(|row| row.seq);
    for row in rows {
        let place = &mut folded[places[&row.variant_id]];
        let Some(whole) = place else {
            *place = Some(Folded {
                variant_id: row.variant_id,
                intent: row.intent,
                origin: row.origin,
                seqs: vec![row.seq],
                attempts: row.attempts,
                released: row.released || row.intent == Intent::Delete,
            });
            continue;
        };
        whole.seqs.push(row.seq);
        whole.attempts = whole.attempts.max(row.attempts);
        whole.released |= row.released || row.intent == Intent::Delete;
        let kept = (whole.intent, whole.origin) == (Intent::Delete, Origin::Operator) && row.origin != Origin::Operator;
        let repeats = row.origin.repeats() && !whole.origin.repeats();
        if !kept && !repeats {
            (whole.intent, whole.origin) = (row.intent, row.origin);
        }
    }
    folded.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: i64, variant: &str, intent: Intent, origin: Origin) -> OpenIntent {
        OpenIntent { seq, variant_id: variant.into(), intent, origin, attempts: seq % 3, released: false }
    }

    #[test]
    fn folding_table() {
        use Intent::{Delete, Upsert};
        use Origin::{Drift, Event, Operator, Recovery, Window};
        type Word = (Intent, Origin);
        let cases: &[(&[Word], Word)] = &[
            (&[(Upsert, Event)], (Upsert, Event)),
            (&[(Upsert, Event), (Delete, Event)], (Delete, Event)),
            // Deleted, then restored within one batch: the later intent counts.
            (&[(Delete, Event), (Upsert, Event)], (Upsert, Event)),
            (&[(Delete, Operator), (Upsert, Event)], (Delete, Operator)),
            (&[(Delete, Operator), (Upsert, Window), (Delete, Event)], (Delete, Operator)),
            (&[(Delete, Operator), (Upsert, Operator)], (Upsert, Operator)),
            (&[(Delete, Operator), (Upsert, Operator), (Upsert, Event)], (Upsert, Event)),
            (&[(Delete, Operator), (Upsert, Event), (Upsert, Operator)], (Upsert, Operator)),
            // Restored while its delete was under way: the repeated delete must not win.
            (&[(Upsert, Event), (Delete, Recovery)], (Upsert, Event)),
            (&[(Delete, Recovery), (Upsert, Event)], (Upsert, Event)),
            (&[(Delete, Recovery), (Upsert, Recovery)], (Upsert, Recovery)),
            (&[(Delete, Event), (Upsert, Drift)], (Delete, Event)),
            (&[(Upsert, Drift), (Upsert, Event)], (Upsert, Event)),
            (&[(Upsert, Drift), (Delete, Recovery)], (Delete, Recovery)),
        ];
        for (rows, expected) in cases {
            let rows: Vec<_> =
                rows.iter().zip(1..).map(|(&(intent, origin), seq)| row(seq, "v", intent, origin)).collect();
            let folded = fold(rows.iter().rev().cloned().collect());
            assert_eq!(folded.len(), 1);
            assert_eq!((folded[0].intent, folded[0].origin), *expected, "{rows:?}");
            assert_eq!(folded[0].seqs, rows.iter().map(|row| row.seq).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_delete_that_was_asked_for_stays_one_behind_an_update() {
        use Intent::{Delete, Upsert};
        let released = |intents: &[Intent]| {
            let rows = intents.iter().zip(1..).map(|(intent, seq)| row(seq, "v", *intent, Origin::Import));
            fold(rows.collect())[0].released
        };
        assert!(released(&[Delete, Upsert]) && released(&[Upsert, Delete]));
        assert!(!released(&[Upsert, Upsert]));
    }

    #[test]
    fn variants_keep_the_order_of_their_first_intent() {
        use Intent::Upsert;
        use Origin::Event;
        let folded = fold(vec![row(3, "a", Upsert, Event), row(1, "b", Upsert, Event), row(2, "a", Upsert, Event)]);
        let order: Vec<_> = folded.iter().map(|f| (f.variant_id.as_str(), f.seqs.as_slice(), f.attempts)).collect();
        assert_eq!(
            order,
            [("a", [2, 3].as_slice(), 2), ("b", [1].as_slice(), 1)],
            "the order of their turns, not of ids"
        );
    }
}
