//! Mapper modules: which one is active, what was active before, and what was offered.
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
use super::reask::{self, Reask};
use super::{Result, Tx, bulk, execute, fetch_all, fetch_optional, outbox};
use crate::clock::Millis;
use crate::domain::intent::{Intent, Origin};
use crate::domain::reask::Reason;
use crate::domain::settings::MapperSettings;

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
/// What the mapper before decided and is not done yet is decided anew: re-asks under way begin again, and deletes
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
    reask::begin_anew(tx, now).await?;
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

/// Which mappers there are, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mappers {
    /// The last activation; `None` means the built-in mapper, which nobody chose.
    pub active: Option<Activation>,
    /// The one it took the place of.
    pub previous: Option<Activation>,
    /// The re-map under way, or the last one.
    pub remap: Option<Reask>,
    /// The file that was offered last, if it was refused and no mapper was activated since.
    pub refused: Option<RefusedOffer>,
}

/// Reads [`Mappers`].
///
/// # Errors
/// When the database does not answer.
pub async fn mappers(tx: &mut Tx) -> Result<Mappers> {
    let (active, previous) = activations(tx).await?;
    let remap = reask::find(tx, Reason::Remap).await?;
    Ok(Mappers { active, previous, remap, refused: last_refused(tx).await? })
}

/// What payloads were mapped with.
#[derive(Clone, Copy, Debug)]
pub struct MappedWith<'a> {
    /// The mapper's digest, as state rows name it; blank when it is not known.
    pub digest: &'a str,
    /// The settings that it read; `None` when they are not known.
    pub settings: Option<&'a MapperSettings>,
}

/// Asks again for variants that went out or failed while they were mapped with something that is replaced by now: an
/// activation and a re-ask ask for what they find, and these were under way.
///
/// # Errors
/// When the database does not answer.
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
