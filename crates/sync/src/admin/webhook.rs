//! Meta's notifications: taking one, and what an operator reads of them.
//!
//! Promises: only a body that the app secret signed changes anything, and all that it changes is when the submissions with
//! the handles that it names are asked for; the verdict is always Meta's answer to that question. A notification that
//! comes twice, late or from a recording costs a bounded number of questions ([`submission::MOST_NOTICES`]).
//! Left out on purpose: the subscription ([`crate::pipeline::webhook`]).

use meta_graph::webhook::{Signature, handles, is_verify_token, verify_token};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tracing::debug;
use utoipa::ToSchema;

use super::AdminError;
use super::time::iso;
use crate::app::App;
use crate::store::webhook::Webhook;
use crate::store::{settings, submission, webhook};

/// Meta's notifications.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookView {
    /// The address for notifications; null when `PUBLIC_API_URL` is not an https URL, which Meta requires.
    pub callback_url: Option<String>,
    /// The catalog that is subscribed; null when none is.
    pub catalog_id: Option<String>,
    /// When it was subscribed last, ISO 8601; null when none is.
    pub subscribed_at: Option<String>,
    /// Why the last call about the subscription failed; null when it did not.
    pub problem: Option<String>,
    /// When the last notification came, ISO 8601; null before the first.
    pub received_at: Option<String>,
    /// When the last one came that named an open submission, ISO 8601; null before the first.
    pub woke_at: Option<String>,
}

/// What the app's settings at Meta need for notifications.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSetup {
    /// The callback URL; null when `PUBLIC_API_URL` is not an https URL, which Meta requires.
    pub callback_url: Option<String>,
    /// The verify token, which belongs to the app secret; null when no app secret is set.
    pub verify_token: Option<String>,
}

impl WebhookView {
    pub(super) fn of(app: &App, known: Webhook) -> Self {
        let (catalog_id, subscribed_at) = known.subscription.held.unzip();
        Self {
            callback_url: app.config.webhook_url.clone(),
            catalog_id,
            subscribed_at: subscribed_at.and_then(iso),
            problem: known.problem,
            received_at: known.received_at.and_then(iso),
            woke_at: known.woke_at.and_then(iso),
        }
    }
}

/// Returns what the operator enters in the app's settings at Meta.
///
/// # Errors
/// When the database query fails.
pub async fn setup(app: &App) -> Result<WebhookSetup, AdminError> {
    let secret = app_secret(app).await?;
    Ok(WebhookSetup {
        callback_url: app.config.webhook_url.clone(),
        verify_token: secret.map(|secret| verify_token(&secret).expose_secret().to_owned()),
    })
}

/// Whether Meta's verification of the address shows the verify token.
///
/// # Errors
/// When the database query fails.
pub async fn is_verified(app: &App, token: &str) -> Result<bool, AdminError> {
    Ok(app_secret(app).await?.is_some_and(|secret| is_verify_token(&secret, token)))
}

/// Takes a notification: the submissions that it names are the next to be polled. Returns whether its signature is good;
/// another one changes nothing.
///
/// # Errors
/// When the database query fails.
pub async fn take(app: &App, signature: Signature, body: &[u8]) -> Result<bool, AdminError> {
    let Some(secret) = app_secret(app).await? else { return Ok(false) };
    if !signature.is_of(&secret, body) {
        return Ok(false);
    }
    let handles = handles(body);
    let handles: Vec<&str> = handles.iter().map(String::as_str).collect();
    let now = app.now();
    let mut tx = app.db.write().await?;
    webhook::received(&mut tx, now).await?;
    let woken = submission::bring_forward(&mut tx, &handles).await?;
    if woken > 0 {
        webhook::woke(&mut tx, now).await?;
    }
    tx.commit().await?;
    debug!(handles = handles.len(), woken, "notification received");
    if woken > 0 {
        app.wake.poll.nudge();
    }
    Ok(true)
}

async fn app_secret(app: &App) -> Result<Option<SecretString>, AdminError> {
    let mut tx = app.db.read().await?;
    let secret = settings::app_secret(&mut tx, &app.keyring).await?;
    Ok(secret.filter(|secret| !secret.expose_secret().is_empty()))
}
