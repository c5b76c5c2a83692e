//! Which process runs the pipeline, and the fence that stops every other process from committing to it.
//!
//! PostgreSQL: a lease row, taken and renewed by the server's clock. Every pipeline transaction locks it first and
//! compares the epoch, never the time: a holder that lost the lease commits nothing, however late it resumes. A plain
//! SELECT (or KEY SHARE) would let it commit between the read and the takeover.
//! SQLite: the process's lock file decides ([`super::connect::lock_sqlite`]); the row holds the epoch.

use std::time::Duration;

use super::{Db, Deposed, Result, StoreError, Tx, execute, fetch_one, fetch_optional};

const NAME: &str = "pipeline";

/// How long a transaction outside the pipeline waits for the lease row. Longer than a hanging pipeline transaction can
/// last with the default lease, and shorter than a caller waits for a response.
const HOLD_WITHIN: Duration = Duration::from_secs(25);

/// PostgreSQL's code for `lock_timeout`.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// The right to write to the pipeline: a holder and the epoch in which it took the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The process.
    pub holder: String,
    /// Grows with every takeover.
    pub epoch: i64,
}

/// The revisions that a renewal returns, so that replicas notice changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Revision of the settings.
    pub settings: i64,
    /// Revision of the credential.
    pub credential: i64,
    /// The active mapper: a module's digest, or [`super::mapper::BUILTIN`].
    pub mapper: String,
}

/// Takes the lease for `ttl_ms` milliseconds. Returns `None` while another holder's lease is valid. A process that lost
/// track of its own lease takes it again, in a new epoch, without waiting for its end.
///
/// # Errors
/// When the database query fails.
pub async fn take(db: &Db, holder: &str, ttl_ms: i64) -> Result<Option<Fence>> {
    let mut tx = db.write_pipeline().await?;
    let taken: Option<(i64,)> = fetch_optional!(
        tx,
        (i64,),
        "UPDATE lease SET holder = $2, epoch = epoch + 1,
                expires_at = @pg{clock_timestamp() + $3 * interval '1 millisecond'}@sqlite{$3},
                taken_at = @pg{CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)}@sqlite{CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)}
         WHERE name = $1 @pg{AND (expires_at < clock_timestamp() OR holder IN ('', $2))}
         RETURNING epoch",
        NAME,
        holder,
        ttl_ms
    )?;
    tx.commit().await?;
    Ok(taken.map(|(epoch,)| Fence { holder: holder.to_owned(), epoch }))
}

/// Renews the lease. Returns `None` when another holder has it.
///
/// # Errors
/// When the database query fails.
pub async fn renew(db: &Db, fence: &Fence, ttl_ms: i64) -> Result<Option<Renewal>> {
    let mut tx = db.write_pipeline().await?;
    let row: Option<(i64, i64, String)> = fetch_optional!(
        tx,
        (i64, i64, String),
        "UPDATE lease SET expires_at = @pg{clock_timestamp() + $4 * interval '1 millisecond'}@sqlite{$4}
         WHERE name = $1 AND holder = $2 AND epoch = $3
         RETURNING (SELECT value FROM revision WHERE name = 'settings'),
                   (SELECT value FROM revision WHERE name = 'credential'),
                   COALESCE((SELECT mapper FROM mapper_activation ORDER BY id DESC LIMIT 1), $5)",
        NAME,
        &fence.holder,
        fence.epoch,
        ttl_ms,
        super::mapper::BUILTIN
    )?;
    tx.commit().await?;
    Ok(row.map(|(settings, credential, mapper)| Renewal { settings, credential, mapper }))
}

/// Releases the lease, so that another replica need not wait for its end.
///
/// # Errors
/// When the database query fails.
pub async fn release(db: &Db, fence: &Fence) -> Result<()> {
    let mut tx = db.write_pipeline().await?;
    execute!(
        tx,
        "UPDATE lease SET holder = '' WHERE name = $1 AND holder = $2 AND epoch = $3",
        NAME,
        &fence.holder,
        fence.epoch
    )?;
    tx.commit().await
}

/// Returns whether a process holds a lease that has not ended. For PostgreSQL; on SQLite the lock file tells.
///
/// # Errors
/// When the database query fails.
pub async fn is_held(tx: &mut Tx) -> Result<bool> {
    let held: Option<(i64,)> = fetch_optional!(
        tx,
        (i64,),
        "SELECT epoch FROM lease WHERE name = $1 AND holder <> '' @pg{AND expires_at > clock_timestamp()}",
        NAME
    )?;
    Ok(held.is_some())
}

/// The lease, as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Held {
    /// The process that took it last. Empty when it was given up, or never taken.
    pub holder: String,
    /// The number of takeovers.
    pub epoch: i64,
    /// When it was taken, by the clock of the database. `None` before the first time.
    pub taken_at: Option<i64>,
    /// Whether it has ended without being given up: its holder hangs, or is gone. Not known on SQLite.
    pub has_ended: bool,
}

/// Returns the lease.
///
/// # Errors
/// When the database query fails.
pub async fn held(tx: &mut Tx) -> Result<Held> {
    fetch_one!(
        tx,
        Held,
        "SELECT holder, epoch, taken_at, @pg{expires_at < clock_timestamp()}@sqlite{FALSE} AS has_ended
         FROM lease WHERE name = $1",
        NAME
    )
}

impl Fence {
    /// Begins a pipeline transaction. Its first statement locks the lease row. With `catalog`, the selected catalog
    /// must still be that one.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when the lease or the catalog changed.
    pub async fn begin(&self, db: &Db, catalog: Option<&str>) -> Result<Tx> {
        let mut tx = db.write_pipeline().await?;
        let held: Option<(i64,)> = fetch_optional!(
            tx,
            (i64,),
            "SELECT epoch FROM lease WHERE name = $1 AND holder = $2 AND epoch = $3 @pg{FOR UPDATE}",
            NAME,
            &self.holder,
            self.epoch
        )?;
        if held.is_none() {
            return Err(StoreError::Deposed(Deposed::Lease));
        }
        if let Some(catalog) = catalog {
            // A separate statement that begins after the lock is held: a statement that waits for a lock continues with
            // the snapshot from before the wait, which would show the catalog before the change that it waited for.
            let selected: Option<(String,)> =
                fetch_optional!(tx, (String,), "SELECT value FROM setting WHERE grp = 'meta' AND key = 'catalog_id'")?;
            let selected: Option<String> = selected.and_then(|(text,)| serde_json::from_str(&text).ok());
            if selected.as_deref() != Some(catalog) {
                return Err(StoreError::Deposed(Deposed::Catalog));
            }
        }
        Ok(tx)
    }

    /// Begins a transaction that records what was decided under settings of this version and with this mapper. When an
    /// operator changes either and then requeues variants, a tick that still has the old ones must not mark those
    /// intents.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when the lease, the catalog, the settings or the mapper changed.
    pub async fn begin_decided(&self, db: &Db, catalog: &str, settings: i64, mapper: &str) -> Result<Tx> {
        let mut tx = self.begin(db, Some(catalog)).await?;
        let (now,): (i64,) = fetch_one!(tx, (i64,), "SELECT value FROM revision WHERE name = 'settings'")?;
        if now != settings {
            return Err(StoreError::Deposed(Deposed::Settings));
        }
        if super::mapper::active(&mut tx).await? != mapper {
            return Err(StoreError::Deposed(Deposed::Mapper));
        }
        Ok(tx)
    }
}

/// Makes a transaction outside the pipeline wait for the pipeline's transactions, and makes them wait for this one. For
/// writes that change what the pipeline's decisions rest on, such as the selected catalog.
///
/// Slow work belongs before this call: the pipeline's statements wait, and its lease expires meanwhile. On PostgreSQL
/// the rest of the transaction has timeouts, so that a process that hangs in it does not block the pipeline for ever.
///
/// # Errors
/// [`StoreError::Busy`] when another transaction holds the lease row for the whole wait, or when the database query
/// fails.
pub async fn hold_pipeline(tx: &mut Tx) -> Result<()> {
    // Equivalent to SET LOCAL, in milliseconds.
    let _: Option<(String,)> = fetch_optional!(
        tx,
        (String,),
        "@pg{SELECT set_config('idle_in_transaction_session_timeout', '10000', true)
                || set_config('statement_timeout', '60000', true)
                || set_config('lock_timeout', $1, true)}@sqlite{SELECT $1}",
        HOLD_WITHIN.as_millis().to_string()
    )?;
    let held: Result<Option<(i64,)>> =
        fetch_optional!(tx, (i64,), "SELECT epoch FROM lease WHERE name = $1 @pg{FOR UPDATE}", NAME);
    match held {
        Ok(_) => Ok(()),
        Err(StoreError::Database(sqlx::Error::Database(said)))
            if said.code().as_deref() == Some(LOCK_NOT_AVAILABLE) =>
        {
            Err(StoreError::Busy(format!(
                "another transaction has held the pipeline's lease (the row of table lease) for {} s; nothing was \
                 changed: try again in a moment, and if that does not help, look in pg_stat_activity for a transaction \
                 that does not end",
                HOLD_WITHIN.as_secs()
            )))
        }
        Err(error) => Err(error),
    }
}
