//! Mapper modules: which one is active, what was active before, what was offered, and the re-map.
//!
//! The active mapper is the last row of `mapper_activation`; without one it is the built-in. An activation is one
//! transaction that waits for the pipeline ([`lease::hold_pipeline`]), and the pipeline's own transactions compare the
//! mapper they decided with ([`lease::Fence::begin_decided`]): nothing is recorded under a mapper that is not active.
//!
//! Files are kept for the last twenty activations. Activations and offers stay for ever, on purpose: a row is some hundred
//! bytes, there is one for each time that somebody activated a mapper and for each different file that was offered, and
//! without its offer an old file that still lies in the watched folder, or comes back with a backup, would be activated
//! again.

#[cfg(doc)]
use super::lease;
use super::{Result, Tx, bulk, execute, fetch_all, fetch_one, fetch_optional, outbox};
use crate::clock::Millis;
use crate::domain::intent::{Intent, Origin};

/// How `mapper_activation` names the built-in mapper.
pub const BUILTIN: &str = "builtin";

/// Modules of this many last activations are kept.
const KEPT: i64 = 20;

/// An activation, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Activation {
    /// Grows with every activation.
    pub id: i64,
    /// The module's digest, or [`BUILTIN`].
    pub mapper: String,
    /// What the module calls itself; none for the built-in.
    pub name: Option<String>,
    /// The module's own version; none for the built-in.
    pub version: Option<String>,
    /// Who asked for it: `api`, `cli`, `directory` or `rollback`.
    pub source: String,
    /// When.
    pub activated_at: i64,
}

/// A module as it is kept.
#[derive(Clone, Debug)]
pub struct StoredModule<'a> {
    /// SHA-256 of the file, hex.
    pub digest: &'a str,
    /// What it calls itself.
    pub name: &'a str,
    /// Its own version.
    pub version: &'a str,
    /// The file.
    pub bytes: &'a [u8],
}

/// What is active: a module's digest, or [`BUILTIN`].
///
/// # Errors
/// When the database does not answer.
pub async fn active(tx: &mut Tx) -> Result<String> {
    let row: Option<(String,)> =
        fetch_optional!(tx, (String,), "SELECT mapper FROM mapper_activation ORDER BY id DESC LIMIT 1")?;
    Ok(row.map_or_else(|| BUILTIN.into(), |(mapper,)| mapper))
}

/// The last activation and the one it took the place of. None at all = the built-in mapper since the beginning.
///
/// # Errors
/// When the database does not answer.
pub async fn activations(tx: &mut Tx) -> Result<(Option<Activation>, Option<Activation>)> {
    let rows: Vec<Activation> = fetch_all!(
        tx,
        Activation,
        "WITH last AS (SELECT id, previous FROM mapper_activation ORDER BY id DESC LIMIT 1)
         SELECT a.id, a.mapper, m.name, m.version, a.source, a.activated_at
         FROM mapper_activation a LEFT JOIN mapper_module m ON m.digest = a.mapper
         WHERE a.id IN (SELECT id FROM last UNION SELECT previous FROM last)
         ORDER BY a.id DESC"
    )?;
    let mut rows = rows.into_iter();
    Ok((rows.next(), rows.next()))
}

/// The file of a module.
///
/// # Errors
/// When the database does not answer.
pub async fn bytes(tx: &mut Tx, digest: &str) -> Result<Option<Vec<u8>>> {
    let row: Option<(Vec<u8>,)> =
        fetch_optional!(tx, (Vec<u8>,), "SELECT bytes FROM mapper_module WHERE digest = $1", digest)?;
    Ok(row.map(|(bytes,)| bytes))
}

/// Keeps a module. One of this digest that is kept already gets these bytes: that mends a damaged row.
///
/// # Errors
/// When the database does not answer.
pub async fn keep(tx: &mut Tx, module: &StoredModule<'_>, now: Millis) -> Result<()> {
    execute!(
        tx,
        "INSERT INTO mapper_module (digest, name, version, bytes, added_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (digest) DO UPDATE SET name = excluded.name, version = excluded.version, bytes = excluded.bytes",
        module.digest,
        module.name,
        module.version,
        module.bytes,
        now
    )?;
    Ok(())
}

/// Makes a mapper the active one, and asks again for what failed under another. `row_digest` is how state rows name it.
/// The caller has [kept](keep) the module and [waited](lease::hold_pipeline) for the pipeline. Answers how many rows
/// were asked for again; none when the mapper is active already, and then nothing is written.
///
/// What the mapper before decided and is not done yet is decided anew: a re-map under way begins again, and deletes
/// that the mass-delete guard holds back are looked at once more, without being released from it.
///
/// # Errors
/// When the database does not answer.
pub async fn activate(tx: &mut Tx, mapper: &str, row_digest: &str, source: &str, now: Millis) -> Result<Option<u64>> {
    if active(tx).await? == mapper {
        return Ok(None);
    }
    execute!(
        tx,
        "INSERT INTO mapper_activation (mapper, previous, source, activated_at)
         VALUES ($1, (SELECT MAX(id) FROM mapper_activation), $2, $3)",
        mapper,
        source,
        now
    )?;
    // Another activation may hold a row that it keeps, and wait for us: that one stays.
    execute!(
        tx,
        "DELETE FROM mapper_module WHERE digest IN (
             SELECT digest FROM mapper_module WHERE digest NOT IN (
                 SELECT mapper FROM mapper_activation ORDER BY id DESC LIMIT $1)
             @pg{FOR UPDATE SKIP LOCKED})",
        KEPT
    )?;
    execute!(tx, "UPDATE mapper_remap SET after_id = '', queued = 0, started_at = $1 WHERE finished_at IS NULL", now)?;
    bulk::look_at_held_again(tx).await?;
    bulk::requeue_failed_under_another(tx, row_digest, now).await.map(Some)
}

/// Remembers that a file was offered, and why it was refused if it was.
///
/// # Errors
/// When the database does not answer.
pub async fn offered(tx: &mut Tx, digest: &str, source: &str, refused: Option<&str>, now: Millis) -> Result<()> {
    execute!(
        tx,
        "INSERT INTO mapper_offer (digest, source, refused, offered_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (digest) DO UPDATE SET source = excluded.source, refused = excluded.refused,
             offered_at = excluded.offered_at",
        digest,
        source,
        refused,
        now
    )?;
    Ok(())
}

/// Remembers a file that nobody asked for, unless one of its digest was offered before; answers whether it is new. Of
/// two replicas that find the same file at once, one gets yes.
///
/// # Errors
/// When the database does not answer.
pub async fn claimed(tx: &mut Tx, digest: &str, source: &str, refused: Option<&str>, now: Millis) -> Result<bool> {
    let claimed = execute!(
        tx,
        "INSERT INTO mapper_offer (digest, source, refused, offered_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (digest) DO NOTHING",
        digest,
        source,
        refused,
        now
    )?;
    Ok(claimed > 0)
}

/// A file that was refused.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct RefusedOffer {
    /// SHA-256 of the file, hex.
    pub digest: String,
    /// Where it came from: `api`, `cli` or `directory`.
    pub source: String,
    /// Why it was refused.
    pub reason: String,
    /// When.
    pub offered_at: i64,
}

/// The last file that was offered, if it was refused and no mapper was activated since.
///
/// # Errors
/// When the database does not answer.
pub async fn last_refused(tx: &mut Tx) -> Result<Option<RefusedOffer>> {
    fetch_optional!(
        tx,
        RefusedOffer,
        "WITH last AS (SELECT digest, source, refused, offered_at FROM mapper_offer
                       ORDER BY offered_at DESC, digest LIMIT 1)
         SELECT digest, source, refused AS reason, offered_at FROM last
         WHERE refused IS NOT NULL
           AND offered_at >= COALESCE((SELECT MAX(activated_at) FROM mapper_activation), 0)"
    )
}

/// Whether a file of this digest was offered before, from anywhere.
///
/// # Errors
/// When the database does not answer.
pub async fn was_offered(tx: &mut Tx, digest: &str) -> Result<bool> {
    let row: Option<(String,)> =
        fetch_optional!(tx, (String,), "SELECT digest FROM mapper_offer WHERE digest = $1", digest)?;
    Ok(row.is_some())
}

/// The re-map under way, or the last one.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Remap {
    /// The last variant that was asked for again.
    pub after_id: String,
    /// How many variants there were at its start.
    pub total: i64,
    /// How many were asked for again.
    pub queued: i64,
    /// When it began.
    pub started_at: i64,
    /// When it ended; none while it runs.
    pub finished_at: Option<i64>,
}

/// The re-map under way, or the last one.
///
/// # Errors
/// When the database does not answer.
pub async fn remap(tx: &mut Tx) -> Result<Option<Remap>> {
    fetch_optional!(tx, Remap, "SELECT after_id, total, queued, started_at, finished_at FROM mapper_remap")
}

/// How many variants a re-map asks for. Reads all of them: not for a transaction that the pipeline waits for.
///
/// # Errors
/// When the database does not answer.
pub async fn count_variants(tx: &mut Tx) -> Result<i64> {
    let (count,): (i64,) = fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM variant_index")?;
    Ok(count)
}

/// Begins a re-map of `total` variants ([`count_variants`]); one under way begins anew.
///
/// # Errors
/// When the database does not answer.
pub async fn begin_remap(tx: &mut Tx, total: i64, now: Millis) -> Result<()> {
    execute!(
        tx,
        "INSERT INTO mapper_remap (one, after_id, total, queued, started_at)
         VALUES (1, '', $1, 0, $2)
         ON CONFLICT (one) DO UPDATE SET after_id = '', total = excluded.total, queued = 0,
             started_at = excluded.started_at, finished_at = NULL",
        total,
        now
    )?;
    Ok(())
}

/// Asks again for the next `limit` variants of a re-map, and moves its cursor; at the end, marks it finished. Answers
/// whether there is more. Writes nothing when the re-map began anew since it was read.
///
/// A variant that waits for the drain anyway is mapped then, and counts as asked for; if it is in a call just now, the
/// drain asks for it once more ([`ask_again_if_replaced`]). The others are asked for as a recovery, which gives way to
/// whatever else is asked meanwhile. Like a bootstrap, it brings back what an operator deleted at Meta earlier, if the
/// shop still sells it.
///
/// # Errors
/// When the database does not answer.
pub async fn step_remap(tx: &mut Tx, remap: &Remap, limit: i64, now: Millis) -> Result<bool> {
    let chunk: Vec<(String, bool)> = fetch_all!(
        tx,
        (String, bool),
        "SELECT variant_id, EXISTS (
             SELECT 1 FROM meta_outbox AS o @sqlite{INDEXED BY meta_outbox_open_variant}
             WHERE o.variant_id = chunk.variant_id AND o.processed_at IS NULL AND o.parked_at IS NULL
               AND o.held_at IS NULL)
         FROM (SELECT variant_id FROM variant_index WHERE variant_id > $1 ORDER BY variant_id LIMIT $2) AS chunk
         ORDER BY variant_id",
        &remap.after_id,
        limit
    )?;
    let moved = execute!(
        tx,
        "UPDATE mapper_remap SET after_id = COALESCE($1, after_id), queued = queued + $2,
             finished_at = CASE WHEN CAST($1 AS TEXT) IS NULL THEN CAST($3 AS BIGINT) END
         WHERE started_at = $4 AND after_id = $5 AND finished_at IS NULL",
        chunk.last().map(|(id, _)| id),
        i64::try_from(chunk.len()).unwrap_or(i64::MAX),
        now,
        remap.started_at,
        &remap.after_id
    )?;
    if moved == 0 {
        return Ok(true);
    }
    if chunk.is_empty() {
        return Ok(false);
    }
    let idle: Vec<String> = chunk.into_iter().filter(|(_, waits)| !waits).map(|(id, _)| id).collect();
    outbox::append(tx, &idle, Intent::Upsert, Origin::Recovery, now).await?;
    Ok(true)
}

/// Asks again for variants that went out or failed under a mapper which is not the active one any more: an activation
/// and its re-map ask for what they find, and these were under way. `digest` is how state rows name that mapper.
///
/// # Errors
/// When the database does not answer.
pub async fn ask_again_if_replaced(tx: &mut Tx, digest: &str, variants: &[&str], now: Millis) -> Result<()> {
    if variants.is_empty() || digest.is_empty() {
        return Ok(());
    }
    let active = active(tx).await?;
    let is_active = if active == BUILTIN { digest.starts_with(BUILTIN) } else { digest == active };
    if !is_active {
        outbox::append_if_idle(tx, variants, Intent::Upsert, Origin::Recovery, now).await?;
    }
    Ok(())
}
