//! `/admin/meta/businesses` and `/admin/meta/select-catalog`.

use axum::extract::State;

use super::App;
use super::auth::{Manage, View};
use super::envelope::Envelope;
use super::error::ApiError;
use super::extract::Body;
use super::shell::to_the_end;
use crate::admin::businesses::{self, BusinessSummary};
use crate::admin::select::{self, Selected, Selection};

/// `GET /admin/meta/businesses`.
///
/// # Errors
/// 400 `meta_misconfigured` when not connected; 401, 403; 500 with Meta's word.
pub async fn businesses(_: View, State(app): State<App>) -> Result<Envelope<Vec<BusinessSummary>>, ApiError> {
    Ok(Envelope::ok(businesses::list(&app.pipeline).await?))
}

/// `POST /admin/meta/select-catalog`.
///
/// # Errors
/// 400 `meta_account_error` with Meta's refusal, `meta_misconfigured` when not connected; 401, 403; 500 when Meta is in
/// trouble.
pub async fn select_catalog(
    _: Manage,
    State(app): State<App>,
    Body(selection): Body<Selection>,
) -> Result<Envelope<Selected>, ApiError> {
    let selected = to_the_end(async move { select::select(&app.pipeline, &app.selecting, selection).await }).await?;
    Ok(Envelope::ok(selected))
}
