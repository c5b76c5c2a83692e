//! The two transactions before and after a call.

use tracing::warn;

use super::draft::{CallDraft, CallRow};
use super::prepare::Tick;
use crate::app::App;
use crate::clock::Millis;
use crate::domain::cause;
use crate::domain::channel;
use crate::domain::intent::Intent;
use crate::domain::outcome::{CallOutcome, NOT_TAKEN, Refusal};
use crate::domain::state::{Op, SyncStatus};
use crate::failpoints::{Point, at};
use crate::pipeline::channel::save_budgets;
use crate::report::clip;
use crate::store::field_set::FieldSets;
use crate::store::mapper::MappedWith;
use crate::store::outbox::{self, ChannelFault, IntentOutcome};
use crate::store::sent_body::{self, Packed};
use crate::store::submission::{self, NewSubmission, Row};
use crate::store::sync_state::{self, Pushed};
use crate::store::{self, Deposed, StoreError, Tx, credential};

/// Commits the `sending` row before the call, with the body that it is about to be made with.
pub(super) async fn begin(
    app: &App,
    tick: &Tick,
    id: &str,
    draft: &CallDraft,
    sets: &FieldSets,
    body: Option<&Packed>,
) -> Result<(), StoreError> {
    let rows: Vec<Row> = draft
        .rows
        .iter()
        .map(|row| Row(row.variant_id.clone(), row.op, row.hash.clone(), sets.id(&row.sent)))
        .collect();
    let new = NewSubmission {
        id,
        catalog_id: &tick.catalog,
        epoch: tick.lease.fence.epoch,
        rows: &rows,
        mapper_digest: tick.mapper.digest(),
        implicit_deletes: draft.implicit_deletes,
    };
    let mut tx = tick.begin_decided(app).await?;
    // After a disconnect no call is made with the old credential, however long the tick has been running.
    let version = tick.access.token.version;
    // Nor with one that a poll found unusable meanwhile.
    let is_stopped = store::channel::load(&mut tx).await?.is_stopped_for(version);
    if is_stopped || credential::version(&mut tx).await? != Some(version) {
        return Err(StoreError::Deposed(Deposed::Credential));
    }
    let now = app.now();
    submission::begin(&mut tx, &new, now).await?;
    if let Some(body) = body {
        sent_body::keep(&mut tx, id, body, now).await?;
    }
    // The permit is used: a crash during the call must not yield another permit at once.
    save_budgets(app, &mut tx).await?;
    at(Point::DrainBeginning).await;
    tx.commit().await
}

/// Records the outcome of the call in one transaction, and returns it as it was recorded.
pub(super) async fn finish(
    app: &App,
    tick: &mut Tick,
    id: &str,
    draft: &CallDraft,
    sets: &FieldSets,
    outcome: CallOutcome,
    jitter: f64,
) -> Result<CallOutcome, StoreError> {
    let now = app.now();
    let mut tx = match tick.lease.fence.begin(&app.db, Some(&tick.catalog)).await {
        Ok(tx) => tx,
        Err(StoreError::Deposed(Deposed::Catalog)) => return finish_for_old_catalog(app, tick, id, outcome).await,
        Err(error) => return Err(error),
    };
    let outcome = checked(&mut tx, outcome).await?;
    let call = Call { tick, draft, sets, now };
    match &outcome {
        CallOutcome::Accepted { handle, refused } => {
            let state = |row: &CallRow| match refused.get(&row.variant_id) {
                Some(message) => (SyncStatus::Failed, Some(message.clone())),
                None => (SyncStatus::Submitted, None),
            };
            call.push(&mut tx, Some(handle), state).await?;
            call.mark(&mut tx, |row| {
                if refused.contains_key(&row.variant_id) { IntentOutcome::Failed } else { IntentOutcome::Submitted }
            })
            .await?;
            call.ask_again(&mut tx).await?;
            submission::accepted(&mut tx, id, handle, now).await?;
            if !refused.is_empty() {
                submission::note_refused(&mut tx, id, refused.len()).await?;
            }
        }
        CallOutcome::NothingTaken { named } => {
            call.fail_by_name(&mut tx, |row| named.get(&row.variant_id).map_or(NOT_TAKEN, String::as_str)).await?;
            submission::note_refused(&mut tx, id, draft.len()).await?;
            submission::close(&mut tx, id, Some(NOT_TAKEN), None, now).await?;
        }
        CallOutcome::Unknown { reason } => {
            let why = format!("outcome unknown: {reason}");
            call.push(&mut tx, None, |_| (SyncStatus::Failed, Some(why.clone()))).await?;
            call.note(&mut tx, "unknown", &why).await?;
            submission::close(&mut tx, id, Some(&why), None, now).await?;
        }
        CallOutcome::RefusedWhole { reason, channel } => {
            let (_, refusal) = tick.channel.shape.refused(draft.len(), *channel);
            if refusal == Refusal::RowFails {
                call.fail_by_name(&mut tx, |_| reason).await?;
                submission::note_refused(&mut tx, id, draft.len()).await?;
            } else {
                call.note(&mut tx, "refused", reason).await?;
            }
            submission::close(&mut tx, id, Some(reason), None, now).await?;
        }
        CallOutcome::NotSent { reason } | CallOutcome::Throttled { reason } => {
            call.note(&mut tx, outcome.name(), reason).await?;
            submission::close(&mut tx, id, Some(reason), None, now).await?;
        }
        CallOutcome::Stopped(problem) | CallOutcome::Hindered(problem) => {
            call.note(&mut tx, outcome.name(), &problem.message).await?;
            submission::close(&mut tx, id, Some(&problem.message), None, now).await?;
        }
    }
    tick.channel.called(channel::Call {
        outcome: &outcome,
        rows: draft.len(),
        batch_size: tick.settings.batch_size,
        credential: tick.access.token.version,
        now,
        jitter,
    });
    store::channel::save(&mut tx, &tick.channel, now).await?;
    save_budgets(app, &mut tx).await?;
    at(Point::DrainRecording).await;
    tx.commit().await?;
    app.states_changed();
    Ok(outcome)
}

/// A handle that Meta gave before cannot be asked for: the answer would concern the earlier batch. So the outcome of
/// the call is unknown.
async fn checked(tx: &mut Tx, outcome: CallOutcome) -> Result<CallOutcome, StoreError> {
    match outcome {
        CallOutcome::Accepted { handle, .. } if submission::is_repeated(tx, &handle).await? => {
            let shown = clip(&handle, 60);
            warn!(handle = %shown, "Meta answered with a handle that it gave before");
            Ok(CallOutcome::Unknown { reason: format!("Meta answered with a handle that it gave before: {shown}") })
        }
        other => Ok(other),
    }
}

struct Call<'c> {
    tick: &'c Tick,
    draft: &'c CallDraft,
    sets: &'c FieldSets,
    now: Millis,
}

impl Call<'_> {
    /// Writes every row as sent. Sent records may be at Meta, and a row that failed has no claim.
    async fn push(
        &self,
        tx: &mut Tx,
        handle: Option<&str>,
        state: impl Fn(&CallRow) -> (SyncStatus, Option<String>),
    ) -> Result<(), StoreError> {
        let states: Vec<_> = self.draft.rows.iter().map(|row| (row, state(row))).collect();
        let rows: Vec<Pushed<'_>> = states
            .iter()
            .map(|(row, (status, error))| {
                let submitted = *status == SyncStatus::Submitted;
                Pushed {
                    variant_id: &row.variant_id,
                    product_id: row.product_id.as_deref(),
                    status: *status,
                    handle: handle.filter(|_| submitted),
                    hash: row.hash.as_deref().filter(|_| submitted),
                    pushed: true,
                    error: error.as_deref(),
                    count_attempt: handle.is_some() && !submitted,
                    at_meta: true,
                    fields_at_meta: if row.op == Op::Upsert { self.sets.id(&row.union) } else { row.fields_before },
                    mapper_digest: Some(self.tick.mapper.digest()),
                    reeval_at: row.reeval_at,
                    noted: &row.noted,
                    cause: error.as_deref().map(|error| match handle {
                        Some(_) => cause::of_meta(error),
                        None => cause::of_service(error),
                    }),
                }
            })
            .collect();
        sync_state::record_pushed(tx, &self.tick.catalog, &rows, self.now).await?;
        Ok(())
    }

    /// Fails the rows permanently: no record reached the catalog, so Meta holds what it held before.
    async fn fail_by_name<'m>(&self, tx: &mut Tx, message: impl Fn(&CallRow) -> &'m str) -> Result<(), StoreError> {
        let rows: Vec<Pushed<'_>> = self
            .draft
            .rows
            .iter()
            .map(|row| Pushed {
                variant_id: &row.variant_id,
                product_id: row.product_id.as_deref(),
                status: SyncStatus::Failed,
                handle: None,
                hash: None,
                pushed: true,
                error: Some(message(row)),
                count_attempt: true,
                at_meta: row.at_meta,
                fields_at_meta: row.fields_before,
                mapper_digest: Some(self.tick.mapper.digest()),
                reeval_at: row.reeval_at,
                noted: &row.noted,
                cause: Some(match message(row) {
                    NOT_TAKEN => cause::of_service(NOT_TAKEN),
                    message => cause::of_meta(message),
                }),
            })
            .collect();
        sync_state::record_pushed(tx, &self.tick.catalog, &rows, self.now).await?;
        self.mark(tx, |_| IntentOutcome::Failed).await?;
        self.ask_again(tx).await
    }

    /// Queues the upserts again if the active mapper or the mapper's settings changed after they were mapped. A re-ask
    /// may have skipped these variants while their intents were open.
    async fn ask_again(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let mapped = self.draft.rows.iter().filter(|row| row.op.intent() == Intent::Upsert);
        let mapped: Vec<&str> = mapped.map(|row| row.variant_id.as_str()).collect();
        let with = MappedWith { digest: self.tick.mapper.digest(), settings: Some(&self.tick.settings.mapper) };
        store::mapper::ask_again_if_replaced(tx, with, &mapped, self.now).await
    }

    async fn mark(&self, tx: &mut Tx, outcome: impl Fn(&CallRow) -> IntentOutcome) -> Result<(), StoreError> {
        let marks: Vec<(i64, IntentOutcome)> =
            self.draft.rows.iter().flat_map(|row| row.seqs.iter().map(|seq| (*seq, outcome(row)))).collect();
        outbox::mark(tx, &marks, self.now).await?;
        Ok(())
    }

    /// Records a fault of the channel: the intents stay open and are never parked for it.
    async fn note(&self, tx: &mut Tx, class: &'static str, error: &str) -> Result<(), StoreError> {
        let seqs: Vec<i64> = self.draft.rows.iter().flat_map(|row| row.seqs.iter().copied()).collect();
        outbox::note_fault(tx, &seqs, ChannelFault { class, error }).await?;
        Ok(())
    }
}

/// Finishes a call during which another catalog was selected: its handle is polled at the old catalog, and the intents
/// stay open for the new one.
async fn finish_for_old_catalog(
    app: &App,
    tick: &Tick,
    id: &str,
    outcome: CallOutcome,
) -> Result<CallOutcome, StoreError> {
    warn!(catalog_id = tick.catalog, "another catalog was selected during the call");
    let now = app.now();
    let mut tx = tick.lease.fence.begin(&app.db, None).await?;
    let outcome = checked(&mut tx, outcome).await?;
    match &outcome {
        CallOutcome::Accepted { handle, .. } => submission::accepted(&mut tx, id, handle, now).await?,
        _ => submission::close(&mut tx, id, Some("another catalog was selected during the call"), None, now).await?,
    }
    tx.commit().await?;
    Ok(outcome)
}
