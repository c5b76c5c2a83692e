//! Evaluation of Meta's verdict on a submission.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::report::{LONGEST_MESSAGE, clip};

/// The answer to a poll, as far as the decision needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PollAnswer {
    /// Meta's status of the batch, in any letter case.
    pub status: String,
    /// `(retailer id, message)`: a sample of the errors, not the full list.
    pub errors: Vec<(String, String)>,
    /// The total number of errors.
    pub errors_total_count: u64,
    /// The complete list of invalid rows, unless it is empty. Ids may repeat.
    pub ids_of_invalid_requests: Vec<String>,
}

/// The meaning of a poll answer for the submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not final. Poll again.
    Open,
    /// Final. Rows named in `failed` failed with that message; all others succeeded.
    Settled {
        /// Variant id → message.
        failed: HashMap<String, String>,
    },
    /// Final, but which rows failed is unknown: the rows in `named` failed with their message, every other row with
    /// [`VERDICT_INCOMPLETE`].
    Incomplete {
        /// Variant id → message.
        named: HashMap<String, String>,
    },
    /// The whole batch did not run. Every row failed with this reason and is to be sent again.
    NotRun {
        /// `canceled` or `error`.
        reason: &'static str,
    },
}

impl Verdict {
    /// Combines the verdicts on a submission that Meta split over several handles. The result is final only when each
    /// verdict is final, and then each row has the worst result of all. Meta does not state which row belongs to which
    /// handle, so after a part that did not run, every row is to be sent again.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Open, _) | (_, Self::Open) => Self::Open,
            (Self::NotRun { reason }, _) | (_, Self::NotRun { reason }) => Self::NotRun { reason },
            (Self::Settled { failed: one }, Self::Settled { failed: two }) => {
                Self::Settled { failed: merged(one, two) }
            }
            (
                Self::Incomplete { named: one } | Self::Settled { failed: one },
                Self::Incomplete { named: two } | Self::Settled { failed: two },
            ) => Self::Incomplete { named: merged(one, two) },
        }
    }
}

fn merged(mut one: HashMap<String, String>, two: HashMap<String, String>) -> HashMap<String, String> {
    for (id, message) in two {
        add(one.entry(id).or_default(), &message);
    }
    one
}

/// Adds another message to those of a row. However many there are, the row has at most [`LONGEST_MESSAGE`] characters.
fn add(known: &mut String, message: &str) {
    // Cut before: the rest of what may be thousands of errors costs nothing.
    if known.len() >= LONGEST_MESSAGE && known.ends_with('…') {
        return;
    }
    if !known.is_empty() {
        known.push_str("; ");
    }
    known.push_str(message);
    if let Cow::Owned(cut) = clip(known, LONGEST_MESSAGE) {
        *known = cut;
    }
}

/// The error of rows whose outcome is unknown because the error list is incomplete.
pub const VERDICT_INCOMPLETE: &str = "verdict incomplete: Meta counted more errors than it named";

/// Evaluates a poll answer for a submission of `rows`.
///
/// `finished` is the only success; `canceled` and `error` fail; every other status waits. The comparison ignores case.
#[must_use]
pub fn judge(answer: &PollAnswer, rows: &HashSet<&str>) -> Verdict {
    match answer.status.to_ascii_lowercase().as_str() {
        "finished" => judge_finished(answer, rows),
        "canceled" => Verdict::NotRun { reason: "canceled" },
        "error" => Verdict::NotRun { reason: "error" },
        _ => Verdict::Open,
    }
}

fn judge_finished(answer: &PollAnswer, rows: &HashSet<&str>) -> Verdict {
    let mut failed: HashMap<String, String> = HashMap::new();
    for (id, message) in answer.errors.iter().filter(|(id, _)| rows.contains(id.as_str())) {
        add(failed.entry(id.clone()).or_default(), message);
    }
    for id in answer.ids_of_invalid_requests.iter().filter(|id| rows.contains(id.as_str())) {
        failed.entry(id.clone()).or_insert_with(|| "refused by Meta without a message".into());
    }
    let listed = answer.errors.len() as u64;
    let complete_list = !answer.ids_of_invalid_requests.is_empty();
    // The Graph client writes this character for one that cannot be read. Such an id may mean any row.
    let garbled = |id: &String| id.contains(char::REPLACEMENT_CHARACTER) && !rows.contains(id.as_str());
    let some_garbled = answer.errors.iter().map(|(id, _)| id).chain(&answer.ids_of_invalid_requests).any(garbled);
    let some_unnamed = some_garbled || !complete_list && answer.errors_total_count > listed;
    // Errors that name none of our rows say nothing about our rows.
    let names_none_of_ours = failed.is_empty() && (complete_list || listed > 0);
    if some_unnamed || names_none_of_ours { Verdict::Incomplete { named: failed } } else { Verdict::Settled { failed } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: &str, errors: &[(&str, &str)], total: u64, invalid: &[&str]) -> PollAnswer {
        PollAnswer {
            status: status.into(),
            errors: errors.iter().map(|&(id, message)| (id.into(), message.into())).collect(),
            errors_total_count: total,
            ids_of_invalid_requests: invalid.iter().map(|&id| id.into()).collect(),
        }
    }

    fn failed(rows: &[(&str, &str)]) -> HashMap<String, String> {
        rows.iter().map(|&(id, message)| (id.into(), message.into())).collect()
    }

    #[test]
    fn words() {
        let rows = HashSet::from(["a", "b"]);
        for (word, expected) in [
            ("scheduled", Verdict::Open),
            ("dispatched", Verdict::Open),
            ("started", Verdict::Open),
            ("STARTED", Verdict::Open),
            ("in_progress", Verdict::Open),
            ("", Verdict::Open),
            ("finished", Verdict::Settled { failed: HashMap::new() }),
            ("Finished", Verdict::Settled { failed: HashMap::new() }),
            ("FINISHED", Verdict::Settled { failed: HashMap::new() }),
            ("Canceled", Verdict::NotRun { reason: "canceled" }),
            ("error", Verdict::NotRun { reason: "error" }),
        ] {
            assert_eq!(judge(&answer(word, &[], 0, &[]), &rows), expected, "{word}");
        }
    }

    #[test]
    fn parts_of_one_submission() {
        let settled = |rows: &[(&str, &str)]| Verdict::Settled { failed: failed(rows) };
        let incomplete = |rows: &[(&str, &str)]| Verdict::Incomplete { named: failed(rows) };
        let not_run = Verdict::NotRun { reason: "canceled" };
        for (one, two, expected) in [
            (settled(&[]), Verdict::Open, Verdict::Open),
            (not_run.clone(), Verdict::Open, Verdict::Open),
            (settled(&[]), settled(&[]), settled(&[])),
            (settled(&[("a", "x")]), settled(&[("b", "y")]), settled(&[("a", "x"), ("b", "y")])),
            (settled(&[("a", "x")]), settled(&[("a", "x")]), settled(&[("a", "x; x")])),
            (settled(&[("a", "x")]), incomplete(&[]), incomplete(&[("a", "x")])),
            (settled(&[("a", "x")]), not_run.clone(), not_run.clone()),
            (incomplete(&[]), not_run.clone(), not_run),
        ] {
            assert_eq!(one.clone().and(two.clone()), expected);
            assert_eq!(two.and(one), expected);
        }
    }

    #[test]
    fn error_lists() {
        let rows = HashSet::from(["a", "b", "c"]);
        let judge = |errors: &[(&str, &str)], total, invalid: &[&str]| {
            judge(&answer("finished", errors, total, invalid), &rows)
        };
        let nameless = "refused by Meta without a message";

        // A list as long as its count is complete. Messages of one row are joined.
        let both = [("a", "x"), ("a", "y")];
        assert_eq!(judge(&both, 2, &[]), Verdict::Settled { failed: failed(&[("a", "x; y")]) });
        // The id list is complete whatever the sample contains, repeated ids included.
        assert_eq!(
            judge(&[("a", "x")], 6, &["a", "a", "b"]),
            Verdict::Settled { failed: failed(&[("a", "x"), ("b", nameless)]) }
        );
        // A sample without the id list leaves the unnamed rows undecided.
        assert_eq!(judge(&[("a", "x")], 2, &[]), Verdict::Incomplete { named: failed(&[("a", "x")]) });
        assert_eq!(judge(&[], 3, &[]), Verdict::Incomplete { named: HashMap::new() });
        // Errors that name only foreign rows say nothing about our rows.
        assert_eq!(judge(&[("z", "x")], 1, &[]), Verdict::Incomplete { named: HashMap::new() });
        assert_eq!(judge(&[], 1, &["z"]), Verdict::Incomplete { named: HashMap::new() });
        // An id that cannot be read may mean any of our rows.
        assert_eq!(judge(&[("a", "x")], 2, &["a", "\u{fffd}"]), Verdict::Incomplete { named: failed(&[("a", "x")]) });
        assert_eq!(
            judge(&[("a", "x"), ("b\u{fffd}", "y")], 2, &[]),
            Verdict::Incomplete { named: failed(&[("a", "x")]) }
        );
    }

    #[test]
    fn a_row_with_many_errors_has_one_bounded_message() {
        let long = "ä".repeat(700);
        let errors: Vec<(&str, &str)> = (0..10_000).map(|_| ("a", long.as_str())).collect();
        let verdict = judge(&answer("finished", &errors, 10_000, &["a"]), &HashSet::from(["a"]));
        let two = verdict.clone().and(verdict.clone());
        for verdict in [verdict, two] {
            let Verdict::Settled { failed } = verdict else { panic!("complete") };
            assert_eq!(failed["a"].chars().count(), LONGEST_MESSAGE + 1);
            assert!(failed["a"].ends_with('…'));
        }
    }
}
