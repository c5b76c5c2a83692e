//! `/admin/meta/status`, `/bootstrap`, and what is asked for single variants.

use axum::extract::State;
use serde::Serialize;

use super::App;
use super::auth::{Manage, View};
use super::envelope::Envelope;
use super::error::ApiError;
use super::extract::VariantId;
use super::shell::to_the_end;
use crate::admin::status::{self, ConnectionStatus};
use crate::admin::{bootstrap, intents};
use crate::domain::intent::Intent;

/// How much was queued.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrapped {
    /// Variants.
    pub enqueued_variants: u64,
}

/// A variant was queued.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnqueuedVariant {
    /// The variant.
    pub variant_id: String,
    /// True.
    pub enqueued: bool,
}

/// `GET /admin/meta/status`.
///
/// # Errors
/// 401, 403; 5xx when the store does not answer.
pub async fn status(_: View, State(app): State<App>) -> Result<Envelope<ConnectionStatus>, ApiError> {
    Ok(Envelope::ok(status::status(&app.pipeline).await?))
}

/// `POST /admin/meta/bootstrap`.
///
/// # Errors
/// 401, 403; 5xx when the store does not answer.
pub async fn bootstrap(_: Manage, State(app): State<App>) -> Result<Envelope<Bootstrapped>, ApiError> {
    let enqueued_variants = to_the_end(async move { bootstrap::bootstrap(&app.pipeline).await }).await?;
    Ok(Envelope::accepted(Bootstrapped { enqueued_variants }))
}

/// `POST /admin/meta/resync/{variantId}` and `POST /admin/meta/items/{variantId}/resync`.
///
/// # Errors
/// 401, 403; 404 when neither shop nor state knows the variant; 5xx when the store does not answer.
pub async fn resync(
    _: Manage,
    State(app): State<App>,
    VariantId(variant_id): VariantId,
) -> Result<Envelope<EnqueuedVariant>, ApiError> {
    intents::enqueue(&app.pipeline, &variant_id, Intent::Upsert).await?;
    Ok(Envelope::ok(EnqueuedVariant { variant_id, enqueued: true }))
}

/// `POST /admin/meta/items/{variantId}/delete-from-meta`.
///
/// # Errors
/// As [`resync`].
pub async fn delete_from_meta(
    _: Manage,
    State(app): State<App>,
    VariantId(variant_id): VariantId,
) -> Result<Envelope<EnqueuedVariant>, ApiError> {
    intents::enqueue(&app.pipeline, &variant_id, Intent::Delete).await?;
    Ok(Envelope::accepted(EnqueuedVariant { variant_id, enqueued: true }))
}
