//! The channel to Meta: its problem, the breaker, the size of the next call, and how the outcome of a call changes
//! them.
//!
//! Promises: pure; the jitter is an argument. Every problem message states what an operator can do.
//! Left out on purpose: the outcome of a call ([`super::outcome`]) and storing ([`crate::store::channel`]).

use super::breaker::Breaker;
use super::outcome::{CallOutcome, Problem, Refusal, Shape};
use crate::clock::Millis;

/// The state of the channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// Why no calls are made, or why they are slow.
    pub problem: Option<Problem>,
    /// The credential version that the problem occurred with. A newer one clears the problem.
    pub problem_credential: Option<i64>,
    /// Delays calls after faults of the channel.
    pub breaker: Breaker,
    /// The shape of the next call.
    pub shape: Shape,
}

/// A call to `items_batch` and its circumstances.
#[derive(Clone, Copy, Debug)]
pub struct Call<'c> {
    /// Its outcome.
    pub outcome: &'c CallOutcome,
    /// The number of its rows.
    pub rows: usize,
    /// The setting `batch_size`.
    pub batch_size: usize,
    /// The version of the credential.
    pub credential: i64,
    /// When it ended.
    pub now: Millis,
    /// A new number in `0.0..1.0` for each call. It spreads the waits of replicas and restarts.
    pub jitter: f64,
}

impl Channel {
    /// Returns whether the problem lasts until the credential differs from this one.
    #[must_use]
    pub fn is_stopped_for(&self, credential: i64) -> bool {
        self.problem_credential == Some(credential)
    }

    /// Clears the problem.
    pub fn clear_problem(&mut self) {
        (self.problem, self.problem_credential) = (None, None);
    }

    /// Records a problem. With a credential, no call is made until the credential changes.
    pub fn note_problem(&mut self, problem: Problem, credential: Option<i64>) {
        (self.problem, self.problem_credential) = (Some(problem), credential);
    }

    /// Updates the state after a call.
    pub fn called(&mut self, call: Call<'_>) {
        let Call { outcome, rows, batch_size, credential, now, jitter } = call;
        let notice = |code: &str, message: String| Problem { code: code.into(), message };
        match outcome {
            CallOutcome::Accepted { .. } | CallOutcome::NothingTaken { .. } => {
                self.breaker.succeeded();
                self.shape = self.shape.accepted(batch_size);
                self.clear_problem();
            }
            CallOutcome::Unknown { reason } | CallOutcome::NotSent { reason } => {
                self.breaker.failed(now, jitter);
                let message = format!(
                    "Meta is unreachable or its answers are invalid; calls are retried with back-off ({reason})"
                );
                self.note_problem(notice("meta_unreachable", message), None);
            }
            CallOutcome::Throttled { reason } => {
                let message = format!("Meta's quota is used up; calls resume when it is available again ({reason})");
                self.note_problem(notice("meta_throttled", message), None);
            }
            CallOutcome::Stopped(problem) => self.note_problem(problem.clone(), Some(credential)),
            CallOutcome::Hindered(problem) => {
                self.breaker.failed(now, jitter);
                self.note_problem(problem.clone(), None);
            }
            CallOutcome::RefusedWhole { reason, channel: is_gone } => {
                let (shape, refusal) = self.shape.refused(rows, *is_gone);
                self.shape = shape;
                if refusal == Refusal::Pause {
                    self.breaker.failed(now, jitter);
                    let (code, what) = if *is_gone {
                        (
                            "meta_catalog_gone",
                            "Meta does not know the selected catalog, or hides it from this account; select a catalog again",
                        )
                    } else {
                        (
                            "meta_refused",
                            "Meta refuses whole batches; the batch size is halved until the faulty item is found",
                        )
                    };
                    self.note_problem(notice(code, format!("{what} ({reason})")), None);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(channel: &mut Channel, outcome: &CallOutcome) {
        channel.called(Call { outcome, rows: 8, batch_size: 100, credential: 3, now: 1_000, jitter: 0.0 });
    }

    fn problem(code: &str) -> Problem {
        Problem { code: code.into(), message: "do this".into() }
    }

    /// For each outcome: the problem, whether it waits for another credential, whether the breaker opens, the row cap.
    #[test]
    fn the_table() {
        let reason = || "why".to_owned();
        let gone = |channel| CallOutcome::RefusedWhole { reason: reason(), channel };
        let table = [
            (CallOutcome::Unknown { reason: reason() }, Some("meta_unreachable"), false, true, None),
            (CallOutcome::NotSent { reason: reason() }, Some("meta_unreachable"), false, true, None),
            (CallOutcome::Throttled { reason: reason() }, Some("meta_throttled"), false, false, None),
            (CallOutcome::Stopped(problem("meta_token_dead")), Some("meta_token_dead"), true, false, None),
            (CallOutcome::Hindered(problem("meta_account_error")), Some("meta_account_error"), false, true, None),
            (gone(true), Some("meta_catalog_gone"), false, true, None),
            (gone(false), None, false, false, Some(4)),
        ];
        for (outcome, code, waits_for_credential, opens, cap) in table {
            let mut channel = Channel::default();
            called(&mut channel, &outcome);
            assert_eq!(channel.problem.as_ref().map(|problem| problem.code.as_str()), code, "{outcome:?}");
            assert_eq!(channel.is_stopped_for(3), waits_for_credential, "{outcome:?}");
            assert_eq!(channel.breaker.open_until().is_some(), opens, "{outcome:?}");
            assert_eq!(channel.shape.row_cap, cap, "{outcome:?}");
            // A successful call ends any of these problems.
            called(&mut channel, &CallOutcome::NothingTaken { named: std::collections::HashMap::new() });
            assert_eq!((channel.problem, channel.breaker.open_until()), (None, None), "{outcome:?}");
        }
    }

    #[test]
    fn every_fourth_refusal_pauses() {
        let mut channel = Channel::default();
        let refused = CallOutcome::RefusedWhole { reason: "why".into(), channel: false };
        for _ in 0..3 {
            called(&mut channel, &refused);
            assert_eq!(channel.problem, None);
        }
        called(&mut channel, &refused);
        assert_eq!(channel.problem.map(|problem| problem.code).as_deref(), Some("meta_refused"));
    }

    #[test]
    fn the_jitter_is_the_callers() {
        let until = |jitter| {
            let mut channel = Channel::default();
            let outcome = CallOutcome::NotSent { reason: String::new() };
            channel.called(Call { outcome: &outcome, rows: 1, batch_size: 1, credential: 1, now: 0, jitter });
            channel.breaker.open_until()
        };
        assert_ne!(until(0.0), until(0.9));
    }
}
