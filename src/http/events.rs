//! `POST /events`: what changed in the shop.

use axum::extract::State;
use serde::Serialize;

use super::App;
use super::auth::Manage;
use super::envelope::Envelope;
use super::error::ApiError;
use super::extract::Body;
use crate::admin::events::{self, EventsRequest};

/// How much was queued.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Enqueued {
    /// Intents.
    pub enqueued: u64,
}

/// `POST /events`, one event or a list.
///
/// # Errors
/// 400 with each event that cannot be taken under `details`; 401, 403; 5xx when the store does not answer.
pub async fn take(
    _: Manage,
    State(app): State<App>,
    Body(request): Body<EventsRequest>,
) -> Result<Envelope<Enqueued>, ApiError> {
    Ok(Envelope::accepted(Enqueued { enqueued: events::take(&app.pipeline, request).await? }))
}
