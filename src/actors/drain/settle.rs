//! Deciding a window, and recording what needs no call.

use std::collections::HashMap;

use mapper_core::sha256_hex;
use tracing::info;

use super::prepare::Tick;
use crate::actors::mapper::{MapAnswer, MapItem};
use crate::domain::decision::{Decision, Now, decide};
use crate::domain::intent::{Folded, Intent};
use crate::domain::state::{Held, Op, SyncStatus};
use crate::domain::word::{Payload, Word};
use crate::failpoints::{Point, at};
use crate::pipeline::Pipeline;
use crate::store::StoreError;
use crate::store::outbox::{self, Outcome};
use crate::store::sync_state::{self, Pushed, Settled};

/// What goes over the wire for one variant.
pub(super) struct SendRow<'m> {
    pub(super) op: Op,
    pub(super) product_id: Option<&'m str>,
    /// The payload; none for a delete.
    pub(super) payload: Option<&'m Payload>,
    pub(super) hash: Option<String>,
}

/// What follows for one variant.
pub(super) enum Step<'m> {
    Send(SendRow<'m>),
    Wait,
    /// The mapper or the source row is at fault.
    Fault(String),
    Done(Done),
}

/// Intents that end without a call.
pub(super) enum Done {
    Noop { product_id: Option<String>, reeval_at: Option<i64> },
    Skip { product_id: Option<String>, reason: String },
    Drop,
}

/// The mapper's word on a chunk.
#[derive(Default)]
pub(super) struct Mapped {
    items: HashMap<String, MapItem>,
    unreadable: HashMap<String, String>,
    /// The mapper did not answer: upserts wait.
    undecided: bool,
}

impl Mapped {
    pub(super) fn new(answer: MapAnswer, unreadable: Vec<(String, String)>) -> Self {
        Self {
            items: answer.into_iter().map(|item| (item.variant_id.clone(), item)).collect(),
            unreadable: unreadable.into_iter().collect(),
            undecided: false,
        }
    }

    /// Whether the mapper left variants unanswered that it is not at fault for.
    pub(super) fn is_partial(&self) -> bool {
        let unanswered = |item: &MapItem| item.outcome.as_ref().is_err_and(|gap| !gap.kind.blames_the_row());
        self.undecided || self.items.values().any(unanswered)
    }

    pub(super) fn undecided() -> Self {
        Self { undecided: true, ..Self::default() }
    }

    pub(super) fn decide(&self, intent: &Folded, held: Option<&Held>, catalog: &str) -> Step<'_> {
        if intent.intent == Intent::Upsert && self.undecided {
            return Step::Wait;
        }
        // A fault is the business of the next decision, not of a submission that waits for its verdict.
        let fault = |reason: &String| match held {
            Some(held) if held.status == SyncStatus::Submitted => Step::Wait,
            _ => Step::Fault(reason.clone()),
        };
        let item = self.items.get(&intent.variant_id);
        let product_id = item.map(|item| item.product_id.as_str());
        let (payload, now) = match (intent.intent, item.map(|item| &item.outcome)) {
            (Intent::Delete, _) => (None, None),
            (Intent::Upsert, Some(Ok(Word::Mapped(payload)))) => (Some(payload), None),
            (Intent::Upsert, Some(Ok(Word::Rejected(why)))) => (None, Some(Now::NotEligible(&why.code))),
            // Nothing is known of the variant itself: it is asked about again, and nothing counts against it.
            (Intent::Upsert, Some(Err(gap))) if !gap.kind.blames_the_row() => return Step::Wait,
            (Intent::Upsert, Some(Err(gap))) => return fault(&gap.message),
            (Intent::Upsert, None) => match self.unreadable.get(&intent.variant_id) {
                Some(reason) => return fault(reason),
                None => (None, None),
            },
        };
        let hash = payload.map(|payload| sha256_hex(&payload.data));
        let now = now.or(hash.as_deref().map(Now::Eligible)).unwrap_or(Now::Gone);
        match decide(intent.intent, now, held, catalog) {
            Decision::Upsert => Step::Send(SendRow { op: Op::Upsert, product_id, payload, hash }),
            Decision::Delete => {
                let op = if intent.intent == Intent::Delete { Op::Delete } else { Op::ImplicitDelete };
                Step::Send(SendRow { op, product_id, payload: None, hash: None })
            }
            Decision::Wait => Step::Wait,
            Decision::Drop => Step::Done(Done::Drop),
            Decision::Skip(code) => {
                let reason = match item.map(|item| &item.outcome) {
                    Some(Ok(Word::Rejected(why))) => why.text(),
                    _ => code.to_owned(),
                };
                Step::Done(Done::Skip { product_id: product_id.map(Into::into), reason })
            }
            Decision::Noop => Step::Done(Done::Noop {
                product_id: product_id.map(Into::into),
                reeval_at: payload.and_then(|payload| payload.reevaluate_at),
            }),
        }
    }
}

struct Entry {
    variant_id: String,
    seqs: Vec<i64>,
    version: i64,
    done: Done,
}

struct FaultEntry {
    variant_id: String,
    seqs: Vec<i64>,
    held: Option<Held>,
    reason: String,
}

/// What a window came to, apart from the call.
pub(super) struct Settlement {
    preview: bool,
    previewed: Vec<i64>,
    held_back: Vec<i64>,
    done: Vec<Entry>,
    faults: Vec<FaultEntry>,
}

impl Settlement {
    pub(super) fn new(preview: bool) -> Self {
        Self { preview, previewed: Vec::new(), held_back: Vec::new(), done: Vec::new(), faults: Vec::new() }
    }

    /// Would have been sent.
    pub(super) fn previewed(&mut self, intent: &Folded, row: SendRow<'_>) {
        info!(variant_id = intent.variant_id, op = row.op.as_str(), hash = row.hash, "preview: would be sent");
        self.previewed.extend(&intent.seqs);
    }

    /// A delete that the mass-delete guard holds back.
    pub(super) fn hold_back(&mut self, intent: &Folded) {
        self.held_back.extend(&intent.seqs);
    }

    /// Ends without a call.
    pub(super) fn done(&mut self, intent: &Folded, held: Option<&Held>, done: Done) {
        if self.preview {
            self.previewed.extend(&intent.seqs);
            return;
        }
        self.done.push(Entry {
            variant_id: intent.variant_id.clone(),
            seqs: intent.seqs.clone(),
            version: held.map_or(0, |held| held.version),
            done,
        });
    }

    /// Cannot be mapped; tried again until `max_attempts`.
    pub(super) fn fault(&mut self, intent: &Folded, held: Option<&Held>, reason: String) {
        if !self.preview {
            self.faults.push(FaultEntry {
                variant_id: intent.variant_id.clone(),
                seqs: intent.seqs.clone(),
                held: held.cloned(),
                reason,
            });
        }
    }

    /// Records all of it: the faults, then everything else.
    ///
    /// Two transactions, since each may create rows, in the order of their ids. One that did so twice could wait for an
    /// intake that waits for it.
    pub(super) async fn commit(self, pipeline: &Pipeline, tick: &Tick) -> Result<(), StoreError> {
        let now = pipeline.now();
        if !self.faults.is_empty() {
            let mut tx = tick.begin_decided(pipeline).await?;
            self.record_faults(&mut tx, tick, now).await?;
            tx.commit().await?;
        }
        if self.previewed.is_empty() && self.held_back.is_empty() && self.done.is_empty() {
            return Ok(());
        }
        let mut tx = tick.begin_decided(pipeline).await?;
        let mut marks: Vec<(i64, Outcome)> = self.previewed.iter().map(|seq| (*seq, Outcome::Previewed)).collect();

        let mut noops = Vec::new();
        let mut skips = Vec::new();
        let mut drops = Vec::new();
        let mut by_variant: HashMap<&str, (&Entry, Outcome)> = HashMap::new();
        for entry in &self.done {
            let settled = |product_id, skipped, reeval_at| Settled {
                variant_id: &entry.variant_id,
                product_id,
                version: entry.version,
                skipped,
                reeval_at,
            };
            let outcome = match &entry.done {
                Done::Noop { product_id, reeval_at } => {
                    noops.push(settled(product_id.as_deref(), None, *reeval_at));
                    Outcome::Noop
                }
                Done::Skip { product_id, reason } => {
                    skips.push(settled(product_id.as_deref(), Some(reason.as_str()), None));
                    Outcome::Skipped
                }
                Done::Drop => {
                    drops.push(entry.variant_id.as_str());
                    marks.extend(entry.seqs.iter().map(|seq| (*seq, Outcome::Dropped)));
                    continue;
                }
            };
            by_variant.insert(&entry.variant_id, (entry, outcome));
        }
        // Only rows that are still what they were decided on count; the others stay open and are decided again.
        let mut confirmed = Vec::new();
        if !noops.is_empty() {
            confirmed.extend(sync_state::confirm_noops(&mut tx, &noops.iter().collect::<Vec<_>>()).await?);
        }
        if !skips.is_empty() {
            confirmed.extend(sync_state::record_skips(&mut tx, &skips.iter().collect::<Vec<_>>(), now).await?);
        }
        for variant in &confirmed {
            if let Some((entry, outcome)) = by_variant.get(variant.as_str()) {
                marks.extend(entry.seqs.iter().map(|seq| (*seq, *outcome)));
            }
        }
        if !drops.is_empty() {
            sync_state::forget_pending(&mut tx, &drops).await?;
        }
        outbox::mark(&mut tx, &marks, now).await?;
        outbox::hold(&mut tx, &self.held_back, now).await?;
        at(Point::DrainSettling).await;
        tx.commit().await?;
        at(Point::DrainSettled).await;
        Ok(())
    }

    async fn record_faults(&self, tx: &mut crate::store::Tx, tick: &Tick, now: i64) -> Result<(), StoreError> {
        let max_attempts = tick.settings.whole("max_attempts");
        // A variant whose submission is open keeps its state: only the verdict may change it.
        let rows: Vec<Pushed<'_>> = self
            .faults
            .iter()
            .filter(|fault| fault.held.as_ref().is_none_or(|held| held.status != SyncStatus::Submitted))
            .map(|fault| Pushed {
                variant_id: &fault.variant_id,
                product_id: None,
                status: SyncStatus::Failed,
                handle: None,
                hash: None,
                pushed: false,
                error: Some(&fault.reason),
                count_attempt: true,
                at_meta: fault.held.as_ref().is_some_and(|held| held.at_meta),
                fields_at_meta: fault.held.as_ref().and_then(|held| held.fields_at_meta),
                mapper_digest: Some(tick.mapper.digest()),
                reeval_at: None,
            })
            .collect();
        if !rows.is_empty() {
            sync_state::record_pushed(tx, &tick.catalog, &rows, now).await?;
        }
        let faults: Vec<(i64, &str)> =
            self.faults.iter().flat_map(|fault| fault.seqs.iter().map(|seq| (*seq, fault.reason.as_str()))).collect();
        outbox::note_faults(tx, &faults, "mapper", i64::try_from(max_attempts).unwrap_or(i64::MAX), now).await?;
        Ok(())
    }
}
