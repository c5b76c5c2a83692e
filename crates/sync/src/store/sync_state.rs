//! The sync state: one row per variant that was ever pushed, skipped or asked for.

mod sale_windows;

use std::collections::HashMap;

pub use sale_windows::{open_windows, windows_due};

use super::{Result, StoreError, Tx, execute, fetch_all, fetch_one, list};
use crate::clock::Millis;
use crate::domain::cause;
use crate::domain::lint::Noted;
use crate::domain::state::{SyncState, SyncStatus};

#[derive(sqlx::FromRow)]
struct HeldRow {
    variant_id: String,
    #[sqlx(flatten)]
    state: MaybeState,
}

/// The columns of a [`SyncState`]. All are NULL without a row.
#[derive(sqlx::FromRow)]
pub(super) struct MaybeState {
    status: Option<String>,
    catalog_id: Option<String>,
    last_pushed_hash: Option<String>,
    at_meta: Option<bool>,
    fields_at_meta: Option<i64>,
    failures: Option<i64>,
    excluded: Option<bool>,
    version: Option<i64>,
}

impl MaybeState {
    /// # Errors
    /// When the database holds a word that this version does not know.
    pub(super) fn into_state(self) -> Result<Option<SyncState>> {
        let Some(status) = self.status else { return Ok(None) };
        Ok(Some(SyncState {
            status: parse_status(&status)?,
            catalog_id: self.catalog_id,
            hash: self.last_pushed_hash,
            at_meta: self.at_meta.unwrap_or_default(),
            fields_at_meta: self.fields_at_meta,
            attempts: self.failures.unwrap_or_default(),
            excluded: self.excluded.unwrap_or_default(),
            version: self.version.unwrap_or_default(),
        }))
    }
}

/// Returns the states of these variants.
///
/// # Errors
/// When the database query fails, or the database holds a word that this version does not know.
pub async fn load(tx: &mut Tx, variants: &[&str]) -> Result<HashMap<String, SyncState>> {
    let rows: Vec<HeldRow> = fetch_all!(
        tx,
        HeldRow,
        "SELECT variant_id, status, catalog_id, last_pushed_hash, at_meta, fields_at_meta, attempts AS failures, excluded,
             version
         FROM meta_sync_state WHERE variant_id IN (SELECT id FROM @ids($1) AS wanted)",
        list::ids(variants)
    )?;
    rows.into_iter()
        .filter_map(|row| Some((row.variant_id, row.state.into_state().transpose()?)).map(|(id, held)| Ok((id, held?))))
        .collect()
}

fn parse_status(word: &str) -> Result<SyncStatus> {
    word.parse().map_err(|found| StoreError::Corrupt { table: "meta_sync_state", column: "status", found })
}

/// A row after a call, or after a mapper fault.
#[derive(Clone, Debug)]
pub struct Pushed<'a> {
    /// The variant.
    pub variant_id: &'a str,
    /// Its product, if the source still has the variant.
    pub product_id: Option<&'a str>,
    /// The new state.
    pub status: SyncStatus,
    /// The handle it waits for. `None` keeps the last one.
    pub handle: Option<&'a str>,
    /// The hash that Meta is processing now. `None` drops the claim.
    pub hash: Option<&'a str>,
    /// Whether a record was sent.
    pub pushed: bool,
    /// Why it failed.
    pub error: Option<&'a str>,
    /// Whether the fault counts against the row.
    pub count_attempt: bool,
    /// See [`SyncState::at_meta`].
    pub at_meta: bool,
    /// See [`SyncState::fields_at_meta`].
    pub fields_at_meta: Option<i64>,
    /// The mapper that made the payload.
    pub mapper_digest: Option<&'a str>,
    /// When the payload changes by time alone.
    pub reeval_at: Option<i64>,
    /// What is kept of the payload.
    pub noted: &'a Noted,
    /// Why it failed ([`crate::domain::cause`]).
    pub cause: Option<String>,
}

/// Writes rows after a call, and creates missing ones.
///
/// # Errors
/// When the database query fails.
pub async fn record_pushed(tx: &mut Tx, catalog: &str, rows: &[Pushed<'_>], now: Millis) -> Result<u64> {
    let list: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.variant_id,
                row.product_id,
                row.status.as_str(),
                row.handle,
                row.hash,
                row.pushed.then_some(now),
                row.error,
                i64::from(row.count_attempt),
                row.at_meta,
                row.fields_at_meta,
                row.mapper_digest,
                row.reeval_at,
                row.noted.warnings.as_deref(),
                row.noted.traits.as_ref(),
                row.cause.as_deref(),
            )
        })
        .collect();
    // Rows are written in id order, as in every statement that may insert a row: otherwise an intake that creates the
    // same rows could deadlock with this transaction.
    execute!(
        tx,
        "INSERT INTO meta_sync_state AS s (variant_id, product_id, catalog_id, meta_retailer_id, status, last_handle,
             last_pushed_hash, last_pushed_at, last_error, attempts, at_meta, fields_at_meta, mapper_digest, reeval_at,
             warnings, traits, cause, created_at, updated_at, issue_at)
         SELECT r.id, r.product, $2, CASE WHEN r.pushed IS NOT NULL THEN r.id END, r.status, r.handle,
             r.hash, r.pushed, r.error, r.bump, r.at_meta, r.fields, r.digest, r.reeval, r.warnings, r.traits, r.cause, $3, $3, $3
         FROM @rows($1: id text, product text, status text, handle text, hash text, pushed bigint, error text, bump bigint, at_meta bool, fields bigint, digest text, reeval bigint, warnings text, traits json, cause text) AS r
         WHERE true ORDER BY r.id
         ON CONFLICT (variant_id) DO UPDATE SET
             product_id = COALESCE(excluded.product_id, s.product_id),
             catalog_id = excluded.catalog_id,
             meta_retailer_id = COALESCE(excluded.meta_retailer_id, s.meta_retailer_id),
             status = excluded.status,
             last_handle = COALESCE(excluded.last_handle, s.last_handle),
             last_pushed_hash = excluded.last_pushed_hash,
             last_pushed_at = COALESCE(excluded.last_pushed_at, s.last_pushed_at),
             last_error = excluded.last_error,
             attempts = s.attempts + excluded.attempts,
             at_meta = excluded.at_meta,
             fields_at_meta = excluded.fields_at_meta,
             mapper_digest = COALESCE(excluded.mapper_digest, s.mapper_digest),
             -- A fault of the mapper says nothing about when a sale begins or ends.
             reeval_at = CASE WHEN excluded.last_pushed_at IS NULL THEN s.reeval_at ELSE excluded.reeval_at END,
             -- What says nothing of the payload takes no warning away.
             warnings = CASE WHEN excluded.status = 'failed' AND excluded.warnings IS NULL THEN s.warnings
                             ELSE excluded.warnings END,
             traits = CASE WHEN excluded.status = 'failed' AND excluded.traits IS NULL THEN s.traits
                           ELSE excluded.traits END,
             lint = CASE WHEN excluded.status = 'failed' OR excluded.traits IS NOT NULL THEN s.lint END,
             cause = excluded.cause,
             -- A push that leaves cause and warnings as they were leaves this, so its verdict need not write an index.
             issue_at = CASE WHEN excluded.status = 'submitted' AND s.cause IS NULL
                                 AND excluded.warnings IS NOT DISTINCT FROM s.warnings
                             THEN s.issue_at ELSE excluded.updated_at END,
             version = s.version + 1,
             updated_at = excluded.updated_at",
        list::rows(&list),
        catalog,
        now
    )
}

/// A variant whose intents end without a call.
#[derive(Clone, Debug)]
pub struct Settled<'a> {
    /// The variant.
    pub variant_id: &'a str,
    /// Its product, if the source still has the variant.
    pub product_id: Option<&'a str>,
    /// The version that the decision was based on. 0 when there was no row.
    pub version: i64,
    /// Why it is skipped. `None` for a noop.
    pub skipped: Option<&'a str>,
    /// When the payload changes by time alone.
    pub reeval_at: Option<i64>,
    /// What is kept of the payload.
    pub noted: &'a Noted,
}

/// Writes skips. Returns the variants whose row was still at the version that was read. `deleted` stays `deleted`.
///
/// # Errors
/// When the database query fails.
pub async fn record_skips(tx: &mut Tx, rows: &[&Settled<'_>], now: Millis) -> Result<Vec<String>> {
    // The inserted version is the successor of the version read: on a conflict it shows whether the row is unchanged.
    let list: Vec<_> = rows
        .iter()
        .map(|row| (row.variant_id, row.product_id, row.skipped, row.version + 1, row.skipped.map(cause::of_skip)))
        .collect();
    let done: Vec<(String,)> = fetch_all!(
        tx,
        (String,),
        "INSERT INTO meta_sync_state AS s (variant_id, product_id, status, last_error, version, cause, created_at,
             updated_at, issue_at)
         SELECT r.id, r.product, 'skipped', r.reason, r.version, r.cause, CAST($2 AS BIGINT), CAST($2 AS BIGINT),
             CAST($2 AS BIGINT)
         FROM @rows($1: id text, product text, reason text, version bigint, cause text) AS r
         -- A row that was read and no longer exists is not the row that the decision was based on.
         WHERE r.version = 1 OR EXISTS (SELECT 1 FROM meta_sync_state known WHERE known.variant_id = r.id)
         ORDER BY r.id
         ON CONFLICT (variant_id) DO UPDATE SET
             status = CASE WHEN s.status = 'deleted' THEN 'deleted' ELSE 'skipped' END,
             product_id = COALESCE(excluded.product_id, s.product_id),
             last_error = excluded.last_error, reeval_at = NULL, warnings = NULL, traits = NULL,
             lint = NULL, cause = excluded.cause,
             version = excluded.version, updated_at = excluded.updated_at, issue_at = excluded.issue_at
         WHERE s.version = excluded.version - 1
         RETURNING variant_id",
        list::rows(&list),
        now
    )?;
    Ok(done.into_iter().map(|(id,)| id).collect())
}

/// Confirms noops. Returns the variants whose row is still at the version that was read. The next start or end of a
/// sale is recorded even when today's payload is unchanged.
///
/// # Errors
/// When the database query fails.
pub async fn confirm_noops(tx: &mut Tx, rows: &[&Settled<'_>], now: Millis) -> Result<Vec<String>> {
    let list: Vec<_> = rows
        .iter()
        .map(|row| {
            (row.variant_id, row.version, row.reeval_at, row.noted.warnings.as_deref(), row.noted.traits.as_ref())
        })
        .collect();
    execute!(
        tx,
        "UPDATE meta_sync_state SET reeval_at = r.reeval, warnings = r.warnings, traits = r.traits,
             issue_at = CASE WHEN meta_sync_state.warnings IS DISTINCT FROM r.warnings THEN CAST($2 AS BIGINT)
                             ELSE issue_at END
         FROM @rows($1: id text, version bigint, reeval bigint, warnings text, traits json) AS r
         WHERE variant_id = r.id AND meta_sync_state.version = r.version
           AND (@sqlite{+}reeval_at IS DISTINCT FROM r.reeval
                OR @sqlite{+}meta_sync_state.warnings IS DISTINCT FROM r.warnings
                OR meta_sync_state.traits IS DISTINCT FROM r.traits)",
        list::rows(&list),
        now
    )?;
    let same: Vec<(String,)> = fetch_all!(
        tx,
        (String,),
        "SELECT s.variant_id FROM meta_sync_state s
         JOIN @rows($1: id text, version bigint) AS r ON s.variant_id = r.id AND s.version = r.version",
        list::rows(&rows.iter().map(|row| (row.variant_id, row.version)).collect::<Vec<_>>())
    )?;
    Ok(same.into_iter().map(|(id,)| id).collect())
}

/// Deletes the rows of variants that Meta does not hold and that were never tried, or failed and are gone from the shop.
///
/// # Errors
/// When the database query fails.
pub async fn forget_dropped(tx: &mut Tx, variants: &[&str]) -> Result<u64> {
    execute!(
        tx,
        "DELETE FROM meta_sync_state
         WHERE variant_id IN (SELECT id FROM @ids($1) AS gone) AND NOT at_meta AND NOT excluded
             AND (status = 'pending' OR status = 'failed' AND NOT EXISTS (
                 SELECT 1 FROM variant_index i WHERE i.variant_id = meta_sync_state.variant_id
                     AND NOT i.variant_deleted AND NOT i.product_deleted))",
        list::ids(variants)
    )
}

/// Returns the number of rows per state. No index holds all states: a row that is neither idle nor waits for a verdict is
/// synced, and a row that waits was pushed when its submission was accepted.
///
/// # Errors
/// When the database query fails, or the database holds a word that this version does not know.
pub async fn counts(tx: &mut Tx) -> Result<HashMap<SyncStatus, i64>> {
    let rows: Vec<(String, i64)> = fetch_all!(
        tx,
        (String, i64),
        "WITH part AS (
             SELECT idle AS word, COUNT(*) AS n FROM meta_sync_state WHERE idle IS NOT NULL GROUP BY idle
             UNION ALL
             SELECT 'submitted', COUNT(*) FROM meta_sync_state WHERE status = 'submitted'
                 AND last_pushed_at IN (SELECT submitted_at FROM meta_batch_handles WHERE state = 'pending'))
         SELECT word, n FROM part WHERE n > 0
         UNION ALL
         SELECT 'synced', CAST((SELECT COUNT(*) FROM meta_sync_state) - (SELECT SUM(n) FROM part) AS BIGINT)"
    )?;
    let counted = rows.into_iter().filter(|(_, count)| *count > 0);
    counted.map(|(word, count)| Ok((parse_status(&word)?, count))).collect()
}

/// Returns the number of variants that were never sent and wait.
///
/// # Errors
/// When the database query fails.
pub async fn count_pending(tx: &mut Tx) -> Result<i64> {
    let (count,): (i64,) = fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM meta_sync_state WHERE idle = 'pending'")?;
    Ok(count)
}

/// Returns the number of items that are at Meta according to the sync state.
///
/// # Errors
/// When the database query fails.
pub async fn count_at_meta(tx: &mut Tx) -> Result<i64> {
    let (count,): (i64,) = fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM meta_sync_state WHERE at_meta")?;
    Ok(count)
}

/// Drops every claim: the claims are about a catalog that is no longer selected, and what Meta holds in the selected
/// one is unknown.
///
/// # Errors
/// When the database query fails.
pub async fn drop_claims(tx: &mut Tx, now: Millis) -> Result<u64> {
    execute!(
        tx,
        "UPDATE meta_sync_state SET last_pushed_hash = NULL, fields_at_meta = NULL, at_meta = FALSE, last_handle = NULL,
             catalog_id = NULL, version = version + 1, updated_at = $1, issue_at = $1, attempts = 0,
             last_error = CASE WHEN status = 'skipped' THEN last_error END,
             cause = CASE WHEN status = 'skipped' THEN cause END,
             status = CASE WHEN status IN ('skipped', 'deleted') THEN status ELSE 'pending' END
         WHERE catalog_id IS NOT NULL OR at_meta OR status IN ('synced', 'submitted', 'failed')",
        now
    )
}

/// Sets or takes back an operator's exclusion of these variants. Creates missing rows. The drain acts on it with the next
/// intent.
///
/// # Errors
/// When the database query fails.
pub async fn set_excluded(tx: &mut Tx, variants: &[String], excluded: bool, now: Millis) -> Result<u64> {
    // The version grows, so that no decision that was made before is recorded.
    execute!(
        tx,
        "INSERT INTO meta_sync_state AS s (variant_id, product_id, status, excluded, created_at, updated_at)
         SELECT DISTINCT new.id, (SELECT i.product_id FROM variant_index i WHERE i.variant_id = new.id), 'pending',
             CAST($2 AS BOOLEAN), CAST($3 AS BIGINT), CAST($3 AS BIGINT)
         FROM @ids($1) AS new WHERE true ORDER BY 1
         ON CONFLICT (variant_id) DO UPDATE SET excluded = excluded.excluded, version = s.version + 1,
             updated_at = excluded.updated_at, issue_at = excluded.updated_at
         WHERE s.excluded <> excluded.excluded",
        list::ids(variants),
        excluded,
        now
    )
}

/// Records that Meta may hold more fields than were sent: of each row (variant, version of its state, set of fields).
///
/// # Errors
/// When the database query fails.
pub async fn widen_fields(tx: &mut Tx, rows: &[(&str, i64, i64)]) -> Result<u64> {
    if rows.is_empty() {
        return Ok(0);
    }
    execute!(
        tx,
        "UPDATE meta_sync_state SET fields_at_meta = r.fields
         FROM @rows($1: id text, version bigint, fields bigint) AS r
         WHERE variant_id = r.id AND meta_sync_state.version = r.version",
        list::rows(rows)
    )
}

/// Drops the claims that Meta holds these payloads, so that the next upsert sends them. What may be at Meta stays known.
///
/// # Errors
/// When the database query fails.
pub async fn forget_hashes(tx: &mut Tx, variants: &[String]) -> Result<u64> {
    execute!(
        tx,
        "UPDATE meta_sync_state SET last_pushed_hash = NULL, version = version + 1
         WHERE variant_id IN (SELECT id FROM @ids($1) AS again) AND last_pushed_hash IS NOT NULL",
        list::ids(variants)
    )
}

/// Drops the claim that Meta holds a payload, for every variant.
///
/// # Errors
/// When the database query fails.
pub async fn forget_every_hash(tx: &mut Tx) -> Result<u64> {
    execute!(
        tx,
        "UPDATE meta_sync_state SET last_pushed_hash = NULL, version = version + 1 WHERE last_pushed_hash IS NOT NULL"
    )
}
