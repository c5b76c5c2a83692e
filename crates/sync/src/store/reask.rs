//! Re-asks: the progress of each one (one row per reason), and the walk itself.
//!
//! Promises: the intents of a chunk and the cursor are written in one transaction, so a process that dies loses nothing
//! and repeats nothing. A step of a re-ask that was restarted meanwhile writes nothing.
//! Left out on purpose: pacing ([`crate::pipeline::reask`]) and the meaning of each reason ([`crate::domain::reask`]).

use super::{Result, StoreError, Tx, execute, fetch_all, fetch_one, fetch_optional, list, outbox};
use crate::clock::Millis;
use crate::domain::intent::{Intent, Lane};
use crate::domain::reask::{Named, Reason, Scope};

/// A re-ask under way, or the last one of its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reask {
    /// Its reason.
    pub reason: Reason,
    /// The last variant that was asked for. Empty at the start.
    pub after_id: String,
    /// The number of variants at its start. `None` until they are counted.
    pub total: Option<i64>,
    /// The number of variants it has passed.
    pub queued: i64,
    /// When it began.
    pub started_at: Millis,
    /// When it ended. `None` while it is under way.
    pub finished_at: Option<Millis>,
}

#[derive(sqlx::FromRow)]
struct Row {
    reason: String,
    after_id: String,
    total: Option<i64>,
    queued: i64,
    started_at: i64,
    finished_at: Option<i64>,
}

impl TryFrom<Row> for Reask {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let corrupt = |found| StoreError::Corrupt { table: "reask", column: "reason", found };
        Ok(Self {
            reason: row.reason.parse().map_err(corrupt)?,
            after_id: row.after_id,
            total: row.total,
            queued: row.queued,
            started_at: row.started_at,
            finished_at: row.finished_at,
        })
    }
}

/// Returns every re-ask, the latest first.
///
/// # Errors
/// When the database query fails, or the database holds a word that this version does not know.
pub async fn all(tx: &mut Tx) -> Result<Vec<Reask>> {
    let rows: Vec<Row> = fetch_all!(
        tx,
        Row,
        "SELECT reason, after_id, total, queued, started_at, finished_at FROM reask ORDER BY started_at DESC, reason"
    )?;
    rows.into_iter().map(Reask::try_from).collect()
}

/// Returns the re-ask of one reason, or `None`.
///
/// # Errors
/// As [`all`].
pub async fn find(tx: &mut Tx, reason: Reason) -> Result<Option<Reask>> {
    Ok(all(tx).await?.into_iter().find(|reask| reask.reason == reason))
}

/// Returns the re-ask under way that began first, or `None`.
///
/// # Errors
/// As [`all`].
pub async fn next(tx: &mut Tx) -> Result<Option<Reask>> {
    Ok(all(tx).await?.into_iter().rfind(|reask| reask.finished_at.is_none()))
}

// The variants that show a name. `$which` selects the names, and `$plain` keeps SQLite from using the index of a name, so
// that a walk goes on from its cursor along the primary key: it costs one pass over the variants, however many show the
// name. A category is part of the trail of every category below it; UNION ends in a circle.
macro_rules! renamed {
    ($which:literal, $plain:literal) => {
        concat!(
            "(",
            $plain,
            "brand_id IN (SELECT id FROM reask_subject WHERE kind = 'brand' AND ",
            $which,
            ")
             OR ",
            $plain,
            "vendor_id IN (SELECT id FROM reask_subject WHERE kind = 'vendor' AND ",
            $which,
            ")
             OR ",
            $plain,
            "product_id IN (SELECT id FROM reask_subject WHERE kind = 'product' AND ",
            $which,
            ")
             OR ",
            $plain,
            "category_id IN (
                 WITH RECURSIVE below (id) AS (
                     SELECT id FROM reask_subject WHERE kind = 'category' AND ",
            $which,
            "
                     UNION
                     SELECT c.id FROM category c JOIN below ON c.parent_id = below.id)
                 SELECT id FROM below))"
        )
    };
}

mod walk;

/// Returns the number of variants that a re-ask walks. It reads all of them, so it must not run in a transaction that
/// the pipeline waits for.
///
/// # Errors
/// When the database query fails.
pub async fn count(tx: &mut Tx, reason: Reason) -> Result<i64> {
    let counted: Result<(i64,)> = match reason.scope() {
        Scope::Eligible => fetch_one!(
            tx,
            (i64,),
            "SELECT COUNT(*) FROM variant_index
             WHERE status = 'active' AND visibility = 'public' AND NOT product_deleted AND NOT variant_deleted"
        ),
        Scope::All => fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM variant_index"),
        Scope::Mapped => fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM meta_sync_state WHERE status <> 'pending'"),
        Scope::Renamed => {
            fetch_one!(tx, (i64,), concat!("SELECT COUNT(*) FROM variant_index WHERE ", renamed!("true", "")))
        }
    };
    counted.map(|(count,)| count)
}

/// Begins a re-ask. One of the same reason that is under way starts over. `total` is the result of [`count`], or `None`
/// to have it counted with the first step.
///
/// # Errors
/// When the database query fails.
pub async fn begin(tx: &mut Tx, reason: Reason, total: Option<i64>, now: Millis) -> Result<()> {
    execute!(
        tx,
        "INSERT INTO reask (reason, after_id, total, queued, started_at)
         VALUES ($1, '', CAST($2 AS BIGINT), 0, $3)
         ON CONFLICT (reason) DO UPDATE SET after_id = '', total = excluded.total, queued = 0,
             started_at = excluded.started_at, finished_at = NULL",
        reason.as_str(),
        total,
        now
    )?;
    Ok(())
}

/// Restarts every re-ask that is under way: what it asked for so far was for another catalog.
///
/// # Errors
/// When the database query fails.
pub async fn restart(tx: &mut Tx, now: Millis) -> Result<()> {
    execute!(tx, "UPDATE reask SET after_id = '', queued = 0, started_at = $1 WHERE finished_at IS NULL", now)?;
    Ok(())
}

/// Restarts every repeating re-ask that is under way: what it asked for so far was decided with another mapper.
///
/// # Errors
/// When the database query fails.
pub async fn restart_repeating(tx: &mut Tx, now: Millis) -> Result<()> {
    execute!(
        tx,
        "UPDATE reask SET after_id = '', queued = 0, started_at = $1
         WHERE finished_at IS NULL AND reason <> $2",
        now,
        Reason::Bootstrap.as_str()
    )?;
    Ok(())
}

/// What a step of a re-ask did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It walked on, and more variants follow.
    More,
    /// It walked to the end.
    Done,
    /// It wrote nothing: the re-ask was restarted since it was read, or another transaction writes its row.
    Passed,
}

/// Asks again for the next `limit` variants of a re-ask and moves its cursor. At the end it marks the re-ask as
/// finished. `total` is the result of [`count`], when it was not known before.
///
/// A re-ask that repeats skips variants with a live open intent, since the drain maps them anyway
/// ([`Reason::passes_waiting`]). If such a variant is part of a call at that moment, the drain asks for it again
/// ([`super::mapper::ask_again_if_replaced`]). Every re-ask skips a variant that an operator had deleted since it began,
/// and one that the service began skips every variant whose last word is an operator's delete.
///
/// # Errors
/// When the database query fails.
pub async fn step(tx: &mut Tx, reask: &Reask, total: Option<i64>, limit: i64, now: Millis) -> Result<Step> {
    // Passes a row that another transaction holds: this transaction holds the lease, so it must not wait.
    let unchanged: Option<(String,)> = fetch_optional!(
        tx,
        (String,),
        "SELECT reason FROM reask WHERE reason = $1 AND started_at = $2 AND after_id = $3 AND finished_at IS NULL
         @pg{FOR UPDATE SKIP LOCKED}",
        reask.reason.as_str(),
        reask.started_at,
        &reask.after_id
    )?;
    if unchanged.is_none() {
        return Ok(Step::Passed);
    }
    if reask.reason == Reason::Renamed && reask.after_id.is_empty() {
        // Passes a name that a transaction is writing: it belongs to the next walk.
        execute!(
            tx,
            "UPDATE reask_subject SET walking = TRUE
             WHERE (kind, id) IN (SELECT kind, id FROM reask_subject WHERE NOT walking @pg{FOR UPDATE SKIP LOCKED})"
        )?;
    }
    let chunk = walk::chunk(tx, reask, limit).await?;
    let is_last = i64::try_from(chunk.len()).unwrap_or(i64::MAX) < limit;
    execute!(
        tx,
        "UPDATE reask SET after_id = COALESCE($1, after_id), queued = queued + $2, total = COALESCE(total, $3),
             finished_at = CASE WHEN $4 THEN CAST($5 AS BIGINT) END
         WHERE reason = $6",
        chunk.last().map(|walked| &walked.variant_id),
        i64::try_from(chunk.len()).unwrap_or(i64::MAX),
        total,
        is_last,
        now,
        reask.reason.as_str()
    )?;
    let passes = reask.reason.passes_waiting();
    let is_wanted = |walked: &walk::Walked| !(walked.removed || passes && walked.waits);
    let wanted: Vec<String> = chunk.into_iter().filter(is_wanted).map(|walked| walked.variant_id).collect();
    if !wanted.is_empty() {
        outbox::append_to(tx, Lane::Bulk, &wanted, Intent::Upsert, reask.reason.origin(), now).await?;
    }
    if is_last && reask.reason == Reason::Renamed {
        // A name that changes at this moment stays, and its walk begins anew.
        execute!(
            tx,
            "DELETE FROM reask_subject
             WHERE (kind, id) IN (SELECT kind, id FROM reask_subject WHERE walking @pg{FOR UPDATE SKIP LOCKED})"
        )?;
    }
    Ok(if is_last { Step::Done } else { Step::More })
}

/// Returns whether names have changed that no re-ask under way covers.
///
/// # Errors
/// When the database query fails.
pub async fn is_renamed(tx: &mut Tx) -> Result<bool> {
    let (renamed,): (bool,) = fetch_one!(
        tx,
        (bool,),
        "SELECT EXISTS (SELECT 1 FROM reask_subject)
            AND NOT EXISTS (SELECT 1 FROM reask WHERE reason = $1 AND finished_at IS NULL)",
        Reason::Renamed.as_str()
    )?;
    Ok(renamed)
}

/// Notes names that have changed, as the triggers on the managed tables do. The ReaskActor begins the re-ask of their
/// variants, after the one under way. It locks nothing but the names, so imports do not wait for each other or for a
/// step. Returns the number of variants that show the names.
///
/// # Errors
/// When the database query fails.
pub async fn note_renamed(tx: &mut Tx, names: &[(Named, &str)]) -> Result<u64> {
    let list: Vec<(&str, &str)> = names.iter().map(|(kind, id)| (kind.as_str(), *id)).collect();
    execute!(
        tx,
        "INSERT INTO reask_subject (kind, id)
         SELECT DISTINCT r.kind, r.id FROM @rows($1: kind text, id text) AS r WHERE true ORDER BY 1, 2
         ON CONFLICT (kind, id) DO UPDATE SET walking = FALSE",
        list::rows(&list)
    )?;
    let (variants,): (i64,) = fetch_one!(
        tx,
        (i64,),
        concat!(
            "SELECT COUNT(*) FROM variant_index WHERE ",
            renamed!("(kind, id) IN (SELECT r.kind, r.id FROM @rows($1: kind text, id text) AS r)", "")
        ),
        list::rows(&list)
    )?;
    Ok(u64::try_from(variants).unwrap_or_default())
}

/// What payloads are made with, besides the settings and the active mapper.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct MadeWith {
    /// The digest of the built-in mapper, which modules use as well.
    pub builtin_digest: String,
    /// The prefix of bare image keys.
    pub s3_public_url: String,
}

/// Returns what payloads were made with when the pipeline was last taken over. `None` in a database of an earlier
/// version.
///
/// # Errors
/// When the database query fails.
pub async fn made_with(tx: &mut Tx) -> Result<Option<MadeWith>> {
    fetch_optional!(tx, MadeWith, "SELECT builtin_digest, s3_public_url FROM made_with")
}

/// Records what payloads are made with, in an installation that has made none yet.
///
/// # Errors
/// When the database query fails.
pub async fn note_first_made_with(tx: &mut Tx, now: &MadeWith) -> Result<()> {
    execute!(
        tx,
        "INSERT INTO made_with (one, builtin_digest, s3_public_url)
         SELECT 1, $1, $2
         WHERE NOT EXISTS (
             SELECT 1 FROM meta_sync_state WHERE status <> 'pending')
         ON CONFLICT (one) DO NOTHING",
        &now.builtin_digest,
        &now.s3_public_url
    )?;
    Ok(())
}

/// Records what payloads are made with from now on.
///
/// # Errors
/// When the database query fails.
pub async fn note_made_with(tx: &mut Tx, now: &MadeWith) -> Result<()> {
    execute!(
        tx,
        "INSERT INTO made_with (one, builtin_digest, s3_public_url) VALUES (1, $1, $2)
         ON CONFLICT (one) DO UPDATE SET builtin_digest = excluded.builtin_digest,
             s3_public_url = excluded.s3_public_url",
        &now.builtin_digest,
        &now.s3_public_url
    )?;
    Ok(())
}
