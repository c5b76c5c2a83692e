//! `/admin/meta/items…` and `/admin/meta/errors`.

use axum::extract::State;
use serde::Deserialize;

use super::App;
use super::auth::{Manage, View};
use super::envelope::{Envelope, PageInfo};
use super::error::ApiError;
use super::events::Enqueued;
use super::extract::{Params, VariantId};
use super::shell::to_the_end;
use crate::admin::bulk;
use crate::admin::item_detail::{self, ItemDetail};
use crate::admin::items::{self, FailedItem, ItemSummary, ItemsAsked, Listed};
use crate::admin::live::{self, LiveStatus};

/// What `/items` takes. Read as text: what is wrong with a value is told by its name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ItemsQuery {
    /// From 1; default 1.
    #[serde(default)]
    pub page: Option<String>,
    /// 1 to 100; default 50.
    #[serde(default)]
    pub limit: Option<String>,
    /// A sync status, `never_synced` included.
    #[serde(default)]
    pub status: Option<String>,
    /// Found in id, sku, title or slug, whatever the case.
    #[serde(default)]
    pub search: Option<String>,
    /// `true` = only variants whose product is active, public and not deleted.
    #[serde(default)]
    pub eligible_only: Option<String>,
}

/// What `/errors` takes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// From 1; default 1.
    #[serde(default)]
    pub page: Option<String>,
    /// 1 to 200; default 50.
    #[serde(default)]
    pub limit: Option<String>,
}

impl<T> From<Listed<T>> for Envelope<Vec<T>> {
    fn from(listed: Listed<T>) -> Self {
        let Listed { rows, page, total } = listed;
        Self::page(rows, PageInfo::new(page.number, page.limit, total))
    }
}

/// `GET /admin/meta/items`.
///
/// # Errors
/// 400 with each unacceptable parameter under `details`; 401, 403; 5xx when the store does not answer.
pub async fn list(
    _: View,
    State(app): State<App>,
    Params(query): Params<ItemsQuery>,
) -> Result<Envelope<Vec<ItemSummary>>, ApiError> {
    let asked = ItemsAsked {
        page: query.page.as_deref(),
        limit: query.limit.as_deref(),
        status: query.status.as_deref(),
        search: query.search.as_deref(),
        eligible_only: query.eligible_only.as_deref(),
    };
    Ok(items::list(&app.pipeline, asked).await?.into())
}

/// `GET /admin/meta/errors`.
///
/// # Errors
/// As [`list`].
pub async fn errors(
    _: View,
    State(app): State<App>,
    Params(query): Params<PageQuery>,
) -> Result<Envelope<Vec<FailedItem>>, ApiError> {
    Ok(items::failed(&app.pipeline, query.page.as_deref(), query.limit.as_deref()).await?.into())
}

/// `GET /admin/meta/items/{variantId}`.
///
/// # Errors
/// 401, 403; 404 when the shop does not know the variant; 5xx when the store does not answer.
pub async fn detail(
    _: View,
    State(app): State<App>,
    VariantId(variant_id): VariantId,
) -> Result<Envelope<ItemDetail>, ApiError> {
    Ok(Envelope::ok(item_detail::detail(&app.pipeline, &variant_id).await?))
}

/// `GET /admin/meta/items/{variantId}/meta-status`.
///
/// # Errors
/// 401, 403; 404 when neither shop nor state knows the variant; 500 when Meta is in trouble.
pub async fn meta_status(
    _: View,
    State(app): State<App>,
    VariantId(variant_id): VariantId,
) -> Result<Envelope<LiveStatus>, ApiError> {
    Ok(Envelope::ok(live::live_status(&app.pipeline, &variant_id).await?))
}

/// `POST /admin/meta/items/bulk/resync-failed`.
///
/// # Errors
/// 401, 403; 5xx when the store does not answer.
pub async fn resync_failed(_: Manage, State(app): State<App>) -> Result<Envelope<Enqueued>, ApiError> {
    let enqueued = to_the_end(async move { bulk::resync_failed(&app.pipeline).await }).await?;
    Ok(Envelope::accepted(Enqueued { enqueued }))
}

/// `POST /admin/meta/items/bulk/resync-skipped`.
///
/// # Errors
/// 401, 403; 5xx when the store does not answer.
pub async fn resync_skipped(_: Manage, State(app): State<App>) -> Result<Envelope<Enqueued>, ApiError> {
    let enqueued = to_the_end(async move { bulk::resync_skipped(&app.pipeline).await }).await?;
    Ok(Envelope::accepted(Enqueued { enqueued }))
}

/// How many variants' deletes were released.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Released {
    /// Variants.
    pub released: i64,
}

/// `POST /admin/meta/held-deletes/release`: the explicit confirm that the mass-delete guard waits for.
///
/// # Errors
/// 401, 403; 5xx when the store does not answer.
pub async fn release_held(_: Manage, State(app): State<App>) -> Result<Envelope<Released>, ApiError> {
    let released = to_the_end(async move { bulk::release_held(&app.pipeline).await }).await?;
    Ok(Envelope::accepted(Released { released }))
}
