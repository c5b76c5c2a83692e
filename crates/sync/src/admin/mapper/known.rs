//! What is known of modules besides which one is active: what was offered, how the running mapper does, and what an
//! activation leads to.

use std::time::Duration;

use crate::admin::AdminError;
use crate::admin::time::iso;
use crate::app::App;
use crate::mapping::builtin_digest;
use crate::store::bulk;
use crate::store::mapper::{BUILTIN, files};

/// Most modules that are listed.
const LISTED: i64 = 50;
/// Up to this number, variants are counted for a question.
pub const MOST_COUNTED: i64 = 100_000;

/// Whether the digest of a view is that of the built-in mapper. Its name says nothing: a module names itself.
#[must_use]
pub fn is_builtin(digest: &str) -> bool {
    // Other digests are hexadecimal.
    digest.starts_with(BUILTIN)
}

/// A file that was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownModule {
    /// SHA-256 of the file, hex.
    pub digest: String,
    /// The name that the module states; `None` when its file is no longer stored, or it was refused.
    pub name: Option<String>,
    /// The version that the module states; as `name`.
    pub version: Option<String>,
    /// Where it came from last: `api`, `cli` or `directory`.
    pub source: String,
    /// Why it was refused; `None` when it was activated.
    pub refused: Option<String>,
    /// When it was offered last, ISO 8601.
    pub offered_at: Option<String>,
    /// When it was activated last, ISO 8601.
    pub activated_at: Option<String>,
}

/// Returns the modules that were offered, the latest first.
///
/// # Errors
/// When the database query fails.
pub async fn known(app: &App) -> Result<Vec<KnownModule>, AdminError> {
    let mut tx = app.db.read().await?;
    let rows = files::known(&mut tx, LISTED).await?;
    let module = |row: files::Known| KnownModule {
        digest: row.digest,
        name: row.name,
        version: row.version,
        source: row.source,
        refused: row.refused,
        offered_at: iso(row.offered_at),
        activated_at: row.activated_at.and_then(iso),
    };
    Ok(rows.into_iter().map(module).collect())
}

/// The mapper that runs in this process, as measured here since it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningMapper {
    /// Its digest, as in state rows. While the active module cannot run here, that of the one before.
    pub digest: String,
    /// The interface that a module speaks; `None` for the built-in mapper.
    pub interface: Option<&'static str>,
    /// Variants that it was asked for.
    pub variants: u64,
    /// Variants on which it failed by its own fault.
    pub faults: u64,
    /// Time per variant in the median of the latest batches; `None` before the first one.
    pub median: Option<Duration>,
    /// Time per variant that 95 % of the latest batches stayed below.
    pub p95: Option<Duration>,
    /// The most memory that a run of the module had, in bytes; `None` for the built-in mapper.
    pub most_memory: Option<usize>,
}

/// Returns the mapper that runs in this process.
#[must_use]
pub fn running(app: &App) -> RunningMapper {
    let mapper = app.active.current();
    let speed = mapper.speed();
    RunningMapper {
        digest: (**mapper.digest()).into(),
        interface: mapper.interface(),
        variants: speed.variants,
        faults: speed.faults,
        median: speed.median,
        p95: speed.p95,
        most_memory: mapper.most_memory(),
    }
}

/// Returns the number of variants that an activation of this mapper tries again, because they failed under another one;
/// counted up to [`MOST_COUNTED`]. `digest` is that of a [view](super::MapperView).
///
/// # Errors
/// When the database query fails.
pub async fn retried(app: &App, digest: &str) -> Result<i64, AdminError> {
    let digest = if is_builtin(digest) { builtin_digest() } else { digest };
    let mut tx = app.db.read().await?;
    Ok(bulk::count_failed_under_another(&mut tx, digest, MOST_COUNTED).await?)
}
