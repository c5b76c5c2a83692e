//! Notifications of Meta: when they count as arriving, and how the subscription of the catalog is kept.
//!
//! A notification brings a poll forward and is never a verdict, so everything here may be wrong without harm: polls go on
//! by themselves.

use crate::clock::Millis;

/// The path to which Meta sends notifications.
pub const PATH: &str = "/webhooks/meta";

/// For so long after a notification that named an open submission others are expected, in milliseconds.
const EXPECTED_MS: Millis = 10 * 60 * 1_000;
/// The pause after a call about the subscription that failed, in milliseconds.
const RETRY_MS: Millis = 10 * 60 * 1_000;
/// A subscription is made again after this time, in milliseconds: somebody may have ended it at Meta.
const RENEW_MS: Millis = 24 * 60 * 60 * 1_000;

/// Whether notifications arrive: one that named an open submission did lately. The clocks of two replicas may differ.
#[must_use]
pub fn arrive(woke_at: Option<Millis>, now: Millis) -> bool {
    woke_at.is_some_and(|at| now.abs_diff(at) <= EXPECTED_MS.unsigned_abs())
}

/// What is known of the subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The catalog that is subscribed, and when it was last.
    pub held: Option<(String, Millis)>,
    /// The catalog that the last call was about and when it failed; `None` when it did not.
    pub failed: Option<(String, Millis)>,
}

/// The next call about the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// None is due.
    Nothing,
    /// End the subscription of this catalog.
    Leave(&'a str),
    /// Subscribe this catalog.
    Subscribe(&'a str),
}

impl Subscription {
    /// Returns the next call. `wanted` is the catalog whose notifications should come.
    #[must_use]
    pub fn next<'a>(&'a self, wanted: Option<&'a str>, now: Millis) -> Step<'a> {
        let step = match (&self.held, wanted) {
            (Some((held, _)), wanted) if wanted != Some(held) => Step::Leave(held),
            (Some((held, at)), Some(_)) if now.abs_diff(*at) >= RENEW_MS.unsigned_abs() => Step::Subscribe(held),
            (None, Some(wanted)) => Step::Subscribe(wanted),
            (Some(_), _) | (None, None) => Step::Nothing,
        };
        let about = match step {
            Step::Nothing => return step,
            Step::Leave(catalog) | Step::Subscribe(catalog) => catalog,
        };
        let failed_lately = self
            .failed
            .as_ref()
            .is_some_and(|(failed, at)| failed == about && now.abs_diff(*at) < RETRY_MS.unsigned_abs());
        if failed_lately { Step::Nothing } else { step }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_arrive_for_ten_minutes_after_one() {
        let table = [
            (None, false),
            (Some(1_000_000), true),
            (Some(1_000_000 - EXPECTED_MS), true),
            (Some(1_000_000 - EXPECTED_MS - 1), false),
            // The other replica's clock is ahead; or ours was set back by a day.
            (Some(1_000_300), true),
            (Some(90_000_000), false),
        ];
        for (woke_at, expected) in table {
            assert_eq!(arrive(woke_at, 1_000_000), expected, "{woke_at:?}");
        }
    }

    #[test]
    fn the_subscription_follows_the_selected_catalog() {
        let now = 100 * RENEW_MS;
        let at = |catalog: &str, at| Some((catalog.to_owned(), at));
        let table = [
            (None, None, None, Step::Nothing),
            (None, None, Some("a"), Step::Subscribe("a")),
            (at("a", now - 1), None, Some("a"), Step::Nothing),
            (at("a", now - RENEW_MS), None, Some("a"), Step::Subscribe("a")),
            // The one that is left comes first, so that none is forgotten.
            (at("a", now), None, Some("b"), Step::Leave("a")),
            (at("a", now), None, None, Step::Leave("a")),
            (None, at("a", now - 1), Some("a"), Step::Nothing),
            (None, at("a", now - RETRY_MS), Some("a"), Step::Subscribe("a")),
            (None, at("a", now - 1), Some("b"), Step::Subscribe("b")),
            (at("a", now - RENEW_MS), at("a", now - 1), Some("a"), Step::Nothing),
            // A clock that was set back.
            (at("a", now + RENEW_MS), None, Some("a"), Step::Subscribe("a")),
        ];
        for (held, failed, wanted, expected) in table {
            let subscription = Subscription { held, failed };
            assert_eq!(subscription.next(wanted, now), expected, "{subscription:?} {wanted:?}");
        }
    }
}
