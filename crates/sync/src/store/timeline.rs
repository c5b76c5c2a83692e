//! What became of one variant: its intents, and the calls that they were sent with.
//!
//! A submission does not list its variants in an index. A processed intent leads to its call all the same: both are recorded
//! in one transaction, at one instant (`pipeline::drain::record`), so a call that was taken has the intent's
//! `processed_at` as `submitted_at`, and one of which Meta took nothing has it as `completed_at`.

use serde::Serialize;

use super::{Result, Tx, fetch_all, json, list};
use crate::clock::Millis;

/// An intent of a variant, open or processed.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PastIntent {
    /// Its number.
    pub seq: i64,
    /// `upsert` or `delete`.
    pub intent: String,
    /// Where it comes from.
    pub origin: String,
    /// When it was queued.
    pub enqueued_at: i64,
    /// When it was processed.
    pub processed_at: Option<i64>,
    /// What became of it.
    pub outcome: Option<String>,
    /// Its last fault.
    pub last_error: Option<String>,
    /// Since when it is held.
    pub held_at: Option<i64>,
    /// When an operator released it.
    pub released_at: Option<i64>,
    /// Since when it is parked.
    pub parked_at: Option<i64>,
}

/// Returns the latest intents of a variant, the latest first.
///
/// # Errors
/// When the database query fails.
pub async fn intents(tx: &mut Tx, variant_id: &str, limit: i64) -> Result<Vec<PastIntent>> {
    // Each half is read along the end of its index.
    fetch_all!(
        tx,
        PastIntent,
        "SELECT seq, intent, origin, enqueued_at, processed_at, outcome, last_error, held_at, released_at, parked_at FROM (
             SELECT * FROM (SELECT * FROM meta_outbox @sqlite{INDEXED BY meta_outbox_open_variant}
                 WHERE variant_id = $1 AND processed_at IS NULL ORDER BY variant_id DESC, seq DESC LIMIT $2) AS open
             UNION ALL
             SELECT * FROM (SELECT * FROM meta_outbox @sqlite{INDEXED BY meta_outbox_done_variant}
                 WHERE variant_id = $1 AND processed_at IS NOT NULL ORDER BY variant_id DESC, seq DESC LIMIT $2) AS done
         ) AS known ORDER BY seq DESC LIMIT $2",
        variant_id,
        limit
    )
}

/// A call that intents were sent with.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PastCall {
    /// The submission's id.
    pub id: String,
    /// Its state.
    pub state: String,
    /// Meta's handles.
    pub handle: Option<String>,
    /// When Meta took it, or when it was made.
    pub submitted_at: i64,
    /// When it was closed.
    pub completed_at: Option<i64>,
    /// Why it failed as a whole, or why its verdict says nothing.
    pub reason: Option<String>,
    /// Meta's errors and warnings, as JSON.
    pub errors: Option<String>,
}

impl PastCall {
    /// When its outcome was recorded.
    #[must_use]
    pub fn recorded_at(&self) -> Option<Millis> {
        if self.handle.is_some() { Some(self.submitted_at) } else { self.completed_at }
    }
}

/// Returns the calls with a variant whose outcome was recorded at one of these instants.
///
/// # Errors
/// When the database query fails.
pub async fn calls(tx: &mut Tx, variant_id: &str, recorded: &[Millis]) -> Result<Vec<PastCall>> {
    let instants: Vec<(Millis,)> = recorded.iter().map(|at| (*at,)).collect();
    let mut calls: Vec<PastCall> = fetch_all!(
        tx,
        PastCall,
        "SELECT h.id, h.state, h.handle, h.submitted_at, h.completed_at, h.reason, CAST(h.errors AS TEXT) AS errors
         FROM @rows($1: at bigint) AS t CROSS JOIN meta_batch_handles h
         WHERE h.submitted_at = t.at AND h.handle IS NOT NULL
         UNION ALL
         SELECT h.id, h.state, h.handle, h.submitted_at, h.completed_at, h.reason, CAST(h.errors AS TEXT) AS errors
         FROM @rows($2: at bigint) AS t CROSS JOIN meta_batch_handles h
         WHERE h.completed_at = t.at AND h.handle IS NULL",
        list::rows(&instants),
        list::rows(&instants)
    )?;
    // One call at a time is made, so two at one instant are rare; only then the records are read.
    let is_alone = |at| calls.iter().filter(|call| call.recorded_at() == at).count() == 1;
    let doubtful: Vec<&str> =
        calls.iter().filter(|call| !is_alone(call.recorded_at())).map(|call| call.id.as_str()).collect();
    if doubtful.is_empty() {
        return Ok(calls);
    }
    let with = with_variant(tx, variant_id, &doubtful).await?;
    let doubtful: Vec<String> = doubtful.into_iter().map(str::to_owned).collect();
    calls.retain(|call| !doubtful.contains(&call.id) || with.contains(&call.id));
    Ok(calls)
}

/// Returns which of these submissions have a record of the variant.
async fn with_variant(tx: &mut Tx, variant_id: &str, submissions: &[&str]) -> Result<Vec<String>> {
    #[derive(Serialize)]
    struct Record<'a>(&'a str);
    let record = json(&[[Record(variant_id)]])?;
    let found: Vec<(String,)> = fetch_all!(
        tx,
        (String,),
        "SELECT h.id FROM meta_batch_handles h WHERE h.id IN (SELECT id FROM @ids($1) AS wanted)
           AND @pg{h.rows @> CAST($2 AS jsonb)}@sqlite{EXISTS (
               SELECT 1 FROM json_each(h.rows) AS r WHERE json_extract(r.value, '$[0]') = json_extract($2, '$[0][0]'))}",
        list::ids(submissions),
        &*record
    )?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}
