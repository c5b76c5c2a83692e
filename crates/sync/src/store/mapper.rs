//! Mapper modules: the active one, the previous ones, and the files that were offered.
//!
//! The active mapper is the last row of `mapper_activation`; without a row it is the built-in one. An activation is one
//! transaction that waits for the pipeline ([`lease::hold_pipeline`]), and the pipeline's own transactions compare the
//! mapper that they decided with ([`lease::Fence::begin_decided`]): nothing is recorded under a mapper that is not
//! active.
//!
//! Files are kept for the last twenty activations and the last five previews ([`files`]). Activations and offers are kept for ever, on purpose. A row has a
//! few hundred bytes, and there is one row for each activation and for each different file that was offered. Without
//! its offer, an old file that is still in the watched folder, or is restored from a backup, would be activated again.

pub mod files;

#[cfg(doc)]
use super::lease;
use super::reask::{self, Reask};
use super::{Result, Tx, bulk, execute, fetch_all, fetch_optional, outbox};
use crate::clock::Millis;
use crate::domain::intent::{Intent, Origin};
use crate::domain::reask::Reason;
use crate::domain::settings::MapperSettings;

/// The name of the built-in mapper in `mapper_activation`.
pub const BUILTIN: &str = "builtin";

/// The number of last activations whose modules are kept.
const KEPT: i64 = 20;

/// An activation, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Activation {
    /// Grows with every activation.
    pub id: i64,
    /// The module's digest, or [`BUILTIN`].
    pub mapper: String,
    /// The name that the module states. `None` for the built-in mapper.
    pub name: Option<String>,
    /// The version that the module states. `None` for the built-in mapper.
    pub version: Option<String>,
    /// Where it was requested: `api`, `cli`, `directory` or `rollback`.
    pub source: String,
    /// When it was activated.
    pub activated_at: i64,
}

/// A stored module.
#[derive(Clone, Debug)]
pub struct StoredModule<'a> {
    /// SHA-256 of the file, hex.
    pub digest: &'a str,
    /// The name that it states.
    pub name: &'a str,
    /// The version that it states.
    pub version: &'a str,
    /// The file.
    pub bytes: &'a [u8],
}

/// Returns the active mapper: a module's digest, or [`BUILTIN`].
///
/// # Errors
/// When the database query fails.
pub async fn active(tx: &mut Tx) -> Result<String> {
    let row: Option<(String,)> =
        fetch_optional!(tx, (String,), "SELECT mapper FROM mapper_activation ORDER BY id DESC LIMIT 1")?;
    Ok(row.map_or_else(|| BUILTIN.into(), |(mapper,)| mapper))
}

/// Returns the last activation and the one that it replaced. No activation at all means that the built-in mapper has
/// always been active.
///
/// # Errors
/// When the database query fails.
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

/// Returns the file of a module.
///
/// # Errors
/// When the database query fails.
pub async fn bytes(tx: &mut Tx, digest: &str) -> Result<Option<Vec<u8>>> {
    let row: Option<(Vec<u8>,)> =
        fetch_optional!(tx, (Vec<u8>,), "SELECT bytes FROM mapper_module WHERE digest = $1", digest)?;
    Ok(row.map(|(bytes,)| bytes))
}

/// Stores a module. A stored module with this digest is overwritten, which repairs a damaged row.
///
/// # Errors
/// When the database query fails.
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

/// Activates a mapper, and asks again for the variants that failed under another one. `row_digest` is the mapper's name
/// in state rows. The caller has [stored](keep) the module and [waited](lease::hold_pipeline) for the pipeline. Returns
/// the number of variants that were asked for again, or `None` when the mapper is already active; then nothing is
/// written.
///
/// Unfinished decisions of the previous mapper are made anew: re-asks under way start over, and deletes that the
/// mass-delete guard holds are decided again without being released.
///
/// # Errors
/// When the database query fails.
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
    files::forget(tx).await?;
    reask::restart_repeating(tx, now).await?;
    bulk::look_at_held_again(tx).await?;
    bulk::requeue_failed_under_another(tx, row_digest, now).await.map(Some)
}

/// Records that a file was offered, and the reason if it was refused.
///
/// # Errors
/// When the database query fails.
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

/// Records a file that was found rather than requested, unless a file with its digest was offered before. Returns
/// whether it is new. Of two replicas that find the same file at once, exactly one gets true.
///
/// # Errors
/// When the database query fails.
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
    /// When it was offered.
    pub offered_at: i64,
}

/// Returns the last offered file, if it was refused and no mapper was activated since.
///
/// # Errors
/// When the database query fails.
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

/// What became of a file that was offered.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Offer {
    /// Why it was refused; `None` when it was activated.
    pub refused: Option<String>,
}

/// Returns what became of the file with this digest, from whatever source it was offered; `None` when it never was.
///
/// # Errors
/// When the database query fails.
pub async fn offer(tx: &mut Tx, digest: &str) -> Result<Option<Offer>> {
    fetch_optional!(tx, Offer, "SELECT refused FROM mapper_offer WHERE digest = $1", digest)
}

/// Counts a try of a file and returns the number of tries that were not taken back, this one included.
///
/// # Errors
/// When the database query fails.
pub async fn begin_try(tx: &mut Tx, digest: &str, now: Millis) -> Result<i64> {
    let row: Option<(i64,)> = fetch_optional!(
        tx,
        (i64,),
        "INSERT INTO mapper_trial (digest, tries, tried_at) VALUES ($1, 1, $2)
         ON CONFLICT (digest) DO UPDATE SET tries = mapper_trial.tries + 1, tried_at = excluded.tried_at
         RETURNING tries",
        digest,
        now
    )?;
    Ok(row.map_or(1, |(tries,)| tries))
}

/// Returns the number of tries of a file that were counted and not taken back, if the last one began before an instant.
///
/// # Errors
/// When the database query fails.
pub async fn unfinished(tx: &mut Tx, digest: &str, before: Millis) -> Result<i64> {
    let row: Option<(i64,)> = fetch_optional!(
        tx,
        (i64,),
        "SELECT tries FROM mapper_trial WHERE digest = $1 AND tried_at <= $2",
        digest,
        before
    )?;
    Ok(row.map_or(0, |(tries,)| tries))
}

/// Takes back a try that has ended.
///
/// # Errors
/// When the database query fails.
pub async fn discount_try(tx: &mut Tx, digest: &str) -> Result<()> {
    execute!(tx, "UPDATE mapper_trial SET tries = tries - 1 WHERE digest = $1 AND tries > 0", digest)?;
    Ok(())
}

/// Records that a file passed its trial by this version of the service.
///
/// # Errors
/// When the database query fails.
pub async fn passed(tx: &mut Tx, digest: &str, version: &str, now: Millis) -> Result<()> {
    execute!(
        tx,
        "INSERT INTO mapper_trial (digest, tries, passed_by, tried_at) VALUES ($1, 0, $2, $3)
         ON CONFLICT (digest) DO UPDATE SET tries = 0, passed_by = excluded.passed_by, tried_at = excluded.tried_at",
        digest,
        version,
        now
    )?;
    Ok(())
}

/// Returns whether a file passed its trial by this version of the service.
///
/// # Errors
/// When the database query fails.
pub async fn has_passed(tx: &mut Tx, digest: &str, version: &str) -> Result<bool> {
    let row: Option<(String,)> = fetch_optional!(
        tx,
        (String,),
        "SELECT digest FROM mapper_trial WHERE digest = $1 AND passed_by = $2",
        digest,
        version
    )?;
    Ok(row.is_some())
}

/// The mappers, as operators see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mappers {
    /// The last activation. `None` means that the built-in mapper is active and was never chosen.
    pub active: Option<Activation>,
    /// The activation that it replaced.
    pub previous: Option<Activation>,
    /// The re-map under way, or the last one.
    pub remap: Option<Reask>,
    /// The last offered file, if it was refused and no mapper was activated since.
    pub refused: Option<RefusedOffer>,
}

/// Loads [`Mappers`].
///
/// # Errors
/// When the database query fails.
pub async fn mappers(tx: &mut Tx) -> Result<Mappers> {
    let (active, previous) = activations(tx).await?;
    let remap = reask::find(tx, Reason::Remap).await?;
    Ok(Mappers { active, previous, remap, refused: last_refused(tx).await? })
}

/// What payloads were mapped with.
#[derive(Clone, Copy, Debug)]
pub struct MappedWith<'a> {
    /// The mapper's digest, as in state rows. Empty when it is unknown.
    pub digest: &'a str,
    /// The settings that it read. `None` when they are unknown.
    pub settings: Option<&'a MapperSettings>,
}

/// Asks again for variants that were sent or failed while they were mapped with a mapper or settings that have been
/// replaced since. An activation and a re-ask cover only the rows that they find, and these variants were under way.
///
/// # Errors
/// When the database query fails.
pub async fn ask_again_if_replaced(tx: &mut Tx, with: MappedWith<'_>, variants: &[&str], now: Millis) -> Result<()> {
    if variants.is_empty() {
        return Ok(());
    }
    if is_other_mapper(tx, with.digest).await? || are_other_settings(tx, with.settings).await? {
        outbox::append_if_idle(tx, variants, Intent::Upsert, Origin::Recovery, now).await?;
    }
    Ok(())
}

async fn is_other_mapper(tx: &mut Tx, digest: &str) -> Result<bool> {
    if digest.is_empty() {
        return Ok(false);
    }
    let active = active(tx).await?;
    Ok(if active == BUILTIN { !digest.starts_with(BUILTIN) } else { digest != active })
}

async fn are_other_settings(tx: &mut Tx, settings: Option<&MapperSettings>) -> Result<bool> {
    let Some(settings) = settings else { return Ok(false) };
    Ok(super::settings::load(tx).await?.mapper != *settings)
}
