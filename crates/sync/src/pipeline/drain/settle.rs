//! The decisions on a window, and the record of the intents that need no call.

use std::collections::HashMap;

use mapper_core::word::{MapperFault, Word};
use tracing::info;

use super::draft::SendRow;
use super::prepare::Tick;
use crate::actors::mapper::{MapAnswer, MapItem};
use crate::app::App;
use crate::domain::cause::Source;
use crate::domain::intent::Folded;
use crate::domain::lint::Noted;
use crate::domain::plan::Answer;
use crate::domain::state::{SyncState, SyncStatus};
use crate::failpoints::{Point, at};
use crate::store::StoreError;
use crate::store::outbox::{self, IntentOutcome};
use crate::store::sync_state::{self, Pushed, Settled};

/// Intents that end without a call.
pub(super) enum Done {
    Noop { product_id: Option<String>, reeval_at: Option<i64>, noted: Noted },
    Skip { product_id: Option<String>, reason: String },
    Drop,
}

/// The mapper's answers for a chunk.
#[derive(Default)]
pub(super) struct Mapped {
    items: HashMap<String, MapItem>,
    unreadable: HashMap<String, String>,
    /// Whether the mapper returned no answer at all.
    is_missing: bool,
}

impl Mapped {
    pub(super) fn new(answer: MapAnswer, unreadable: Vec<(String, String)>) -> Self {
        Self {
            items: answer.into_iter().map(|item| (item.variant_id.clone(), item)).collect(),
            unreadable: unreadable.into_iter().collect(),
            is_missing: false,
        }
    }

    pub(super) fn missing() -> Self {
        Self { is_missing: true, ..Self::default() }
    }

    /// Returns whether the mapper left variants unanswered without being at fault for them.
    pub(super) fn is_partial(&self) -> bool {
        let unanswered = |fault: &MapperFault| !fault.kind.blames_the_row();
        self.is_missing || self.items.values().any(|item| item.outcome.as_ref().is_err_and(unanswered))
    }

    /// Returns the answer of source and mapper for a variant.
    pub(super) fn answer(&self, variant_id: &str) -> Answer<'_> {
        match (self.items.get(variant_id), self.unreadable.get(variant_id)) {
            (Some(item), _) => Answer::from(&item.outcome),
            (None, Some(reason)) => Answer::Unreadable(reason),
            (None, None) if self.is_missing => Answer::Missing,
            (None, None) => Answer::Gone,
        }
    }

    /// Returns what the state keeps of a variant's payload.
    pub(super) fn noted(&self, variant_id: &str) -> Noted {
        match self.items.get(variant_id) {
            Some(MapItem { product_id, outcome: Ok(Word::Mapped(payload)), .. }) => {
                Noted::of(payload, Some(product_id))
            }
            _ => Noted::NOTHING,
        }
    }

    pub(super) fn product_id(&self, variant_id: &str) -> Option<&str> {
        self.items.get(variant_id).map(|item| item.product_id.as_str())
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
    state: Option<SyncState>,
    reason: String,
}

/// The records of a window, except those of the call.
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

    /// Returns whether no intent ends without a call.
    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty() && self.previewed.is_empty()
    }

    /// Adds an intent that a preview would have sent.
    pub(super) fn previewed(&mut self, intent: &Folded, row: &SendRow<'_>) {
        info!(variant_id = intent.variant_id, op = row.op.as_str(), hash = row.hash, "preview: record would be sent");
        self.previewed.extend(&intent.seqs);
    }

    /// Adds a delete that the mass-delete guard holds back.
    pub(super) fn hold_back(&mut self, intent: &Folded) {
        self.held_back.extend(&intent.seqs);
    }

    /// Adds an intent that ends without a call.
    pub(super) fn done(&mut self, intent: &Folded, state: Option<&SyncState>, done: Done) {
        if self.preview {
            self.previewed.extend(&intent.seqs);
            return;
        }
        self.done.push(Entry {
            variant_id: intent.variant_id.clone(),
            seqs: intent.seqs.clone(),
            version: state.map_or(0, |state| state.version),
            done,
        });
    }

    /// Adds an intent that cannot be mapped; it is retried up to `max_attempts` times.
    pub(super) fn fault(&mut self, intent: &Folded, state: Option<&SyncState>, reason: String) {
        if !self.preview {
            self.faults.push(FaultEntry {
                variant_id: intent.variant_id.clone(),
                seqs: intent.seqs.clone(),
                state: state.cloned(),
                reason,
            });
        }
    }

    /// Records all entries: the faults first, then everything else.
    ///
    /// Uses two transactions, because each may create rows, in the order of their ids. A transaction that created rows
    /// twice could deadlock with an intake transaction.
    pub(super) async fn commit(self, app: &App, tick: &Tick) -> Result<(), StoreError> {
        let now = app.now();
        if !self.faults.is_empty() {
            let mut tx = tick.begin_decided(app).await?;
            self.record_faults(&mut tx, tick, now).await?;
            tx.commit().await?;
        }
        if self.previewed.is_empty() && self.held_back.is_empty() && self.done.is_empty() {
            return Ok(());
        }
        let mut tx = tick.begin_decided(app).await?;
        let mut marks: Vec<(i64, IntentOutcome)> =
            self.previewed.iter().map(|seq| (*seq, IntentOutcome::Previewed)).collect();

        let mut noops = Vec::new();
        let mut skips = Vec::new();
        let mut drops = Vec::new();
        let mut by_variant: HashMap<&str, (&Entry, IntentOutcome)> = HashMap::new();
        for entry in &self.done {
            let settled = |product_id, skipped, reeval_at, noted| Settled {
                variant_id: &entry.variant_id,
                product_id,
                version: entry.version,
                skipped,
                reeval_at,
                noted,
            };
            let outcome = match &entry.done {
                Done::Noop { product_id, reeval_at, noted } => {
                    noops.push(settled(product_id.as_deref(), None, *reeval_at, noted));
                    IntentOutcome::Noop
                }
                Done::Skip { product_id, reason } => {
                    skips.push(settled(product_id.as_deref(), Some(reason.as_str()), None, &Noted::NOTHING));
                    IntentOutcome::Skipped
                }
                Done::Drop => {
                    drops.push(entry.variant_id.as_str());
                    marks.extend(entry.seqs.iter().map(|seq| (*seq, IntentOutcome::Dropped)));
                    continue;
                }
            };
            by_variant.insert(&entry.variant_id, (entry, outcome));
        }
        // Only rows that are unchanged since the decision are confirmed; the others stay open and are decided again.
        let mut confirmed = Vec::new();
        if !noops.is_empty() {
            confirmed.extend(sync_state::confirm_noops(&mut tx, &noops.iter().collect::<Vec<_>>(), now).await?);
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
            sync_state::forget_dropped(&mut tx, &drops).await?;
        }
        outbox::mark(&mut tx, &marks, now).await?;
        outbox::hold(&mut tx, &self.held_back, now).await?;
        at(Point::DrainSettling).await;
        tx.commit().await?;
        app.states_changed();
        at(Point::DrainSettled).await;
        Ok(())
    }

    async fn record_faults(&self, tx: &mut crate::store::Tx, tick: &Tick, now: i64) -> Result<(), StoreError> {
        // A variant whose submission is open keeps its state: only the verdict may change that state.
        let rows: Vec<Pushed<'_>> = self
            .faults
            .iter()
            .filter(|fault| fault.state.as_ref().is_none_or(|state| state.status != SyncStatus::Submitted))
            .map(|fault| Pushed {
                variant_id: &fault.variant_id,
                product_id: None,
                status: SyncStatus::Failed,
                handle: None,
                hash: None,
                pushed: false,
                error: Some(&fault.reason),
                count_attempt: true,
                at_meta: fault.state.as_ref().is_some_and(|state| state.at_meta),
                fields_at_meta: fault.state.as_ref().and_then(|state| state.fields_at_meta),
                mapper_digest: Some(tick.mapper.digest()),
                reeval_at: None,
                noted: &Noted::NOTHING,
                cause: Some(Source::Mapper.cause("mapper_error")),
            })
            .collect();
        if !rows.is_empty() {
            sync_state::record_pushed(tx, &tick.catalog, &rows, now).await?;
        }
        let faults: Vec<(i64, &str)> =
            self.faults.iter().flat_map(|fault| fault.seqs.iter().map(|seq| (*seq, fault.reason.as_str()))).collect();
        outbox::note_faults(tx, &faults, "mapper", tick.settings.max_attempts, now).await?;
        Ok(())
    }
}
