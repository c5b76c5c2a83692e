//! Variants that a tick passes over for now, so that they do not hold up the others.
//!
//! Promises: pure. Nothing is set aside for ever: [`SetAside::take_back`] and [`SetAside::read_to_the_end`] end it, and so do
//! accepted calls. All of it is lost on a restart, which is harmless: the next refusals and slow answers make it anew.

use std::collections::HashSet;

use crate::domain::intent::{Folded, Intent};
use crate::domain::outcome::{CallOutcome, Refusal, Shape};

/// After this many accepted calls, variants that delayed a tick are tried again.
const CALLS_WITHOUT_SLOW: u32 = 20;

/// What is passed over.
#[derive(Debug, Default)]
pub(super) struct SetAside {
    /// Variants that were refused alone while no other call succeeded. They wait until a call succeeds, so that they do not
    /// block the call that shows whether they or the channel are at fault.
    suspects: HashSet<String>,
    /// Variants that delayed a tick because the mapper was slow. They wait until a tick has read to the end of the outbox, or
    /// some calls were accepted.
    slow: HashSet<String>,
    /// The number of accepted calls since a variant was slow.
    calls_since_slow: u32,
    /// The variants of a call that was refused as a whole, without those that were sent since. The next calls are made of
    /// these alone, or the row at fault would never be found: each call has other rows of the lanes in front.
    narrowing: HashSet<String>,
}

impl SetAside {
    /// Whether a tick may send this now. Intents that need no mapper do not wait for a slow one.
    pub(super) fn takes(&self, folded: &Folded) -> bool {
        let id = &folded.variant_id;
        !(self.suspects.contains(id) || folded.intent == Intent::Upsert && self.slow.contains(id))
            && (self.narrowing.is_empty() || self.narrowing.contains(id))
    }

    /// Notes variants that delayed a tick.
    pub(super) fn slow(&mut self, variants: impl IntoIterator<Item = String>) {
        self.slow.extend(variants);
        self.calls_since_slow = 0;
    }

    /// Notes the outcome of a call with these variants. `shape` is that of the call.
    pub(super) fn after<'v>(&mut self, outcome: &CallOutcome, variants: impl Iterator<Item = &'v str>, shape: Shape) {
        let variants: Vec<&str> = variants.collect();
        match outcome {
            CallOutcome::Accepted { .. } => {
                self.suspects.clear();
                self.narrow(&variants);
                self.calls_since_slow = self.calls_since_slow.saturating_add(1);
                if self.calls_since_slow >= CALLS_WITHOUT_SLOW {
                    self.slow.clear();
                }
            }
            CallOutcome::RefusedWhole { channel: false, .. } if variants.len() > 1 => {
                self.narrowing = variants.into_iter().map(ToOwned::to_owned).collect();
            }
            CallOutcome::RefusedWhole { channel: false, .. } => {
                self.narrow(&variants);
                if shape.refused(variants.len(), false).1 == Refusal::Pause {
                    self.suspects.extend(variants.into_iter().map(ToOwned::to_owned));
                }
            }
            _ => {}
        }
    }

    /// Takes back what waits for the calls of others, since there is nothing else to send. Returns whether there was any.
    pub(super) fn take_back(&mut self) -> bool {
        let was_any = !(self.suspects.is_empty() && self.narrowing.is_empty());
        self.suspects.clear();
        self.narrowing.clear();
        was_any
    }

    /// Notes that a tick has read everything: nothing waits behind a slow variant.
    pub(super) fn read_to_the_end(&mut self) {
        self.slow.clear();
    }

    fn narrow(&mut self, without: &[&str]) {
        for id in without {
            self.narrowing.remove(*id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::intent::Origin;

    const CAPPED: Shape = Shape { row_cap: Some(1), refusals: 0 };

    fn asked(variant: &str, intent: Intent) -> Folded {
        let (variant_id, origin) = (variant.to_owned(), Origin::Event);
        Folded { variant_id, intent, origin, seqs: vec![1], attempts: 0, released: false }
    }

    fn taken(set_aside: &SetAside) -> String {
        ["a", "b", "c", "d"].into_iter().filter(|id| set_aside.takes(&asked(id, Intent::Upsert))).collect()
    }

    fn accepted() -> CallOutcome {
        CallOutcome::Accepted { handle: "h".into(), refused: Default::default() }
    }

    fn refused(channel: bool) -> CallOutcome {
        CallOutcome::RefusedWhole { reason: "no".into(), channel }
    }

    #[test]
    fn the_row_at_fault_is_looked_for_among_those_refused_together() {
        let mut set_aside = SetAside::default();
        assert_eq!(taken(&set_aside), "abcd");
        set_aside.after(&refused(true), ["a", "b"].into_iter(), Shape::default());
        assert_eq!(taken(&set_aside), "abcd", "the channel is at fault");
        set_aside.after(&refused(false), ["a", "b", "c"].into_iter(), Shape::default());
        assert_eq!(taken(&set_aside), "abc");
        set_aside.after(&accepted(), ["a"].into_iter(), Shape::default());
        assert_eq!(taken(&set_aside), "bc");
        set_aside.after(&refused(false), ["b"].into_iter(), CAPPED);
        assert_eq!(taken(&set_aside), "c", "b failed alone");
        set_aside.after(&accepted(), ["c"].into_iter(), CAPPED);
        assert_eq!(taken(&set_aside), "abcd");

        set_aside.after(&refused(false), ["a", "b"].into_iter(), Shape::default());
        assert!(set_aside.take_back() && !set_aside.take_back());
        assert_eq!(taken(&set_aside), "abcd");
    }

    #[test]
    fn what_is_refused_alone_too_often_waits_for_a_success() {
        let mut set_aside = SetAside::default();
        set_aside.after(&refused(false), ["a"].into_iter(), Shape { refusals: 2, ..CAPPED });
        assert_eq!(taken(&set_aside), "abcd", "the row fails");
        set_aside.after(&refused(false), ["a"].into_iter(), Shape { refusals: 3, ..CAPPED });
        assert_eq!(taken(&set_aside), "bcd", "the channel pauses");
        set_aside.after(&accepted(), ["b"].into_iter(), CAPPED);
        assert_eq!(taken(&set_aside), "abcd");
    }

    #[test]
    fn what_is_slow_to_map_waits_for_the_end_or_for_calls() {
        let mut set_aside = SetAside::default();
        let slow = || ["a".to_owned()];
        set_aside.slow(slow());
        assert_eq!(taken(&set_aside), "bcd");
        assert!(set_aside.takes(&asked("a", Intent::Delete)), "a delete needs no mapper");
        set_aside.read_to_the_end();
        assert_eq!(taken(&set_aside), "abcd");

        set_aside.slow(slow());
        for _ in 1..CALLS_WITHOUT_SLOW {
            set_aside.after(&accepted(), ["b"].into_iter(), Shape::default());
        }
        assert_eq!(taken(&set_aside), "bcd");
        set_aside.after(&accepted(), ["b"].into_iter(), Shape::default());
        assert_eq!(taken(&set_aside), "abcd");
    }
}
