//! The decision table of the drain: what to do with one variant's folded intent.

use super::intent::Intent;
use super::state::{Held, SyncStatus};

/// The variant as the source and the mapper show it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Now<'a> {
    /// Belongs into the catalog; the hash of its payload.
    Eligible(&'a str),
    /// Does not belong into the catalog; the mapper's code.
    NotEligible(&'a str),
    /// Not in the source at all.
    Gone,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Send the payload.
    Upsert,
    /// Send a delete.
    Delete,
    /// Meta holds it, or is judging exactly it: mark the intents, touch nothing.
    Noop,
    /// Not eligible and not at Meta: say so in the state, with the mapper's code.
    Skip(&'a str),
    /// Nothing at Meta to remove; a `pending` row goes too.
    Drop,
    /// A submission of this variant is unresolved: the intents stay open. Meta documents no order between
    /// batches, so there is never a second one under way for a variant.
    Wait,
}

/// Decides; see the table in the design notes (`docs/architecture.md`, "Drain").
///
/// A delete needs no look at the source: `now` is ignored for it.
#[must_use]
pub fn decide<'a>(intent: Intent, now: Now<'a>, held: Option<&Held>, catalog: &str) -> Decision<'a> {
    // Claims count only for the current catalog.
    let claims = held.filter(|held| held.catalog_id.as_deref() == Some(catalog));
    let submitted = claims.is_some_and(|held| held.status == SyncStatus::Submitted);
    let at_meta = claims.is_some_and(|held| held.at_meta);

    if let (Intent::Upsert, Now::Eligible(hash)) = (intent, now) {
        let same = claims.is_some_and(|held| held.hash.as_deref() == Some(hash));
        let synced = claims.is_some_and(|held| held.status == SyncStatus::Synced);
        return match () {
            () if same && (synced || submitted) => Decision::Noop,
            () if submitted => Decision::Wait,
            () => Decision::Upsert,
        };
    }
    match (intent, now) {
        _ if submitted => Decision::Wait,
        _ if at_meta => Decision::Delete,
        (Intent::Upsert, Now::NotEligible(reason)) => Decision::Skip(reason),
        _ => Decision::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOG: &str = "c1";

    fn held(status: SyncStatus, hash: Option<&str>, at_meta: bool) -> Held {
        Held {
            status,
            catalog_id: Some(CATALOG.into()),
            hash: hash.map(Into::into),
            at_meta,
            fields_at_meta: None,
            attempts: 0,
            version: 1,
        }
    }

    /// Every line of the design's table, and every state against every intent.
    #[test]
    fn the_table() {
        use Decision::{Delete, Drop, Noop, Skip, Upsert, Wait};
        use Now::{Eligible, Gone, NotEligible};
        use SyncStatus::{Deleted, Failed, Pending, Skipped, Submitted, Synced};
        const WHY: &str = "product_not_active";

        let states = [
            None,
            Some(held(Pending, None, false)),
            Some(held(Synced, Some("h"), true)),
            Some(held(Submitted, Some("h"), true)),
            Some(held(Submitted, None, true)), // a delete under way
            Some(held(Failed, None, true)),
            Some(held(Failed, None, false)),
            Some(held(Failed, Some("h"), true)), // a hash that should not be there does not matter
            Some(held(Skipped, None, false)),
            Some(held(Deleted, None, false)),
        ];
        let table: [(Intent, Now<'_>, [Decision<'_>; 10]); 6] = [
            (Intent::Upsert, Eligible("h"), [Upsert, Upsert, Noop, Noop, Wait, Upsert, Upsert, Upsert, Upsert, Upsert]),
            (
                Intent::Upsert,
                Eligible("other"),
                [Upsert, Upsert, Upsert, Wait, Wait, Upsert, Upsert, Upsert, Upsert, Upsert],
            ),
            (
                Intent::Upsert,
                NotEligible(WHY),
                [Skip(WHY), Skip(WHY), Delete, Wait, Wait, Delete, Skip(WHY), Delete, Skip(WHY), Skip(WHY)],
            ),
            (Intent::Upsert, Gone, [Drop, Drop, Delete, Wait, Wait, Delete, Drop, Delete, Drop, Drop]),
            (Intent::Delete, Eligible("h"), [Drop, Drop, Delete, Wait, Wait, Delete, Drop, Delete, Drop, Drop]),
            (Intent::Delete, Gone, [Drop, Drop, Delete, Wait, Wait, Delete, Drop, Delete, Drop, Drop]),
        ];
        for (intent, now, expected) in table {
            for (state, expected) in states.iter().zip(expected) {
                assert_eq!(decide(intent, now, state.as_ref(), CATALOG), expected, "{intent:?} {now:?} {state:?}");
            }
        }
    }

    #[test]
    fn claims_of_another_catalog_do_not_count() {
        for status in SyncStatus::ALL {
            let mut other = held(status, Some("h"), true);
            other.catalog_id = Some("c2".into());
            assert_eq!(decide(Intent::Upsert, Now::Eligible("h"), Some(&other), CATALOG), Decision::Upsert);
            assert_eq!(decide(Intent::Delete, Now::Gone, Some(&other), CATALOG), Decision::Drop);
        }
    }
}
