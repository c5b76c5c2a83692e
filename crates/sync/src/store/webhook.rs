//! Notifications of Meta: which catalog is subscribed, and when the last ones came. One row.
//!
//! Left out on purpose: what they named ([`super::submission::bring_forward`]).

use super::{Result, Tx, execute, fetch_one};
use crate::clock::Millis;
use crate::domain::webhook::Subscription;

/// The row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webhook {
    /// The subscription.
    pub subscription: Subscription,
    /// Why the last call about the subscription failed.
    pub problem: Option<String>,
    /// When the last notification with a good signature came.
    pub received_at: Option<Millis>,
    /// When the last one came that named an open submission.
    pub woke_at: Option<Millis>,
    /// How many of those came.
    pub wakes: i64,
}

#[derive(sqlx::FromRow)]
struct WebhookRow {
    catalog_id: Option<String>,
    subscribed_at: Option<i64>,
    failed_id: Option<String>,
    failed_at: Option<i64>,
    problem: Option<String>,
    received_at: Option<i64>,
    woke_at: Option<i64>,
    wakes: i64,
}

/// Loads the row.
///
/// # Errors
/// When the database query fails.
pub async fn load(tx: &mut Tx) -> Result<Webhook> {
    let row: WebhookRow = fetch_one!(
        tx,
        WebhookRow,
        "SELECT catalog_id, subscribed_at, failed_id, failed_at, problem, received_at, woke_at, wakes
         FROM webhook WHERE id = 1"
    )?;
    Ok(Webhook {
        subscription: Subscription {
            held: row.catalog_id.zip(row.subscribed_at),
            failed: row.failed_id.zip(row.failed_at),
        },
        problem: row.problem,
        received_at: row.received_at,
        woke_at: row.woke_at,
        wakes: row.wakes,
    })
}

/// Records that a notification came. Those that come at once take their turns here, so they lock submissions one after the
/// other.
///
/// # Errors
/// When the database query fails.
pub async fn received(tx: &mut Tx, now: Millis) -> Result<()> {
    execute!(tx, "UPDATE webhook SET received_at = $1 WHERE id = 1", now)?;
    Ok(())
}

/// Records that a notification named an open submission.
///
/// # Errors
/// When the database query fails.
pub async fn woke(tx: &mut Tx, now: Millis) -> Result<()> {
    execute!(tx, "UPDATE webhook SET woke_at = $1, wakes = wakes + 1 WHERE id = 1", now)?;
    Ok(())
}

/// Records that this catalog is subscribed; `None` that none is.
///
/// # Errors
/// When the database query fails.
pub async fn subscribed(tx: &mut Tx, catalog: Option<&str>, now: Millis) -> Result<()> {
    execute!(
        tx,
        "UPDATE webhook SET catalog_id = $1, subscribed_at = $2, failed_id = NULL, failed_at = NULL, problem = NULL
         WHERE id = 1",
        catalog,
        catalog.map(|_| now)
    )?;
    Ok(())
}

/// Records that a call about the subscription of this catalog failed.
///
/// # Errors
/// When the database query fails.
pub async fn failed(tx: &mut Tx, catalog: &str, problem: &str, now: Millis) -> Result<()> {
    execute!(
        tx,
        "UPDATE webhook SET failed_id = $1, failed_at = $2, problem = $3 WHERE id = 1",
        catalog,
        now,
        problem
    )?;
    Ok(())
}
