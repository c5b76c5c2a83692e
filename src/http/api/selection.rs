//! `/admin/meta/businesses` and `/admin/meta/select-catalog`.

use axum::extract::State;

use crate::http::Api;
use crate::http::auth::{Manage, View};
use crate::http::envelope::Envelope;
use crate::http::error::ApiError;
use crate::http::extract::Body;
use catalog_sync::admin::businesses::{self, BusinessSummary};
use catalog_sync::admin::select::{self, Selected, Selection};

/// `GET /admin/meta/businesses`.
///
/// # Errors
/// 400 `meta_misconfigured` when not connected; 401, 403; 500 with Meta's word.
#[utoipa::path(
    get, path = "/admin/meta/businesses", tag = "Connection", operation_id = "listBusinesses",
    summary = "List the businesses and catalogs to select from",
    description = "Every business of the connected operator, with the catalogs that it owns and those shared with it. Empty when the operator administers no business.",
    security(("bearerToken" = ["metaCatalog:view"])),
    extensions(("x-error-codes" = json!(["meta_misconfigured"]))),
    responses((status = 200, description = "The businesses.", body = Envelope<Vec<BusinessSummary>>,
        example = json!({"data": [{"id": "3000000001", "name": "Acme Holdings",
            "ownedCatalogs": [{"id": "4000000001", "name": "Acme Master Catalog", "productCount": 444, "vertical": "commerce"}],
            "clientCatalogs": []}], "message": "Success", "statusCode": 200}))),
)]
pub async fn businesses(_: View, State(api): State<Api>) -> Result<Envelope<Vec<BusinessSummary>>, ApiError> {
    Ok(Envelope::ok(businesses::list(&api.app).await?))
}

/// `POST /admin/meta/select-catalog`.
///
/// # Errors
/// 400 `meta_account_error` with Meta's refusal, `meta_misconfigured` when not connected; 401, 403; 500 when Meta is in
/// trouble.
#[utoipa::path(
    post, path = "/admin/meta/select-catalog", tag = "Connection", operation_id = "selectCatalog",
    summary = "Select the catalog",
    description = "Finds or creates the system user, assigns the catalog to it and creates its token. Each step can be repeated: after a partial failure, send the selection again.",
    request_body(content = Selection, description = "The choice; the names are kept for display."),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["meta_account_error", "meta_misconfigured"]))),
    responses((status = 200, description = "The catalog is selected.", body = Envelope<Selected>,
        example = json!({"data": {"systemUserId": "5000000001", "catalogId": "4000000001", "tokenKind": "system_user"}, "message": "Success", "statusCode": 200}))),
)]
pub async fn select_catalog(
    _: Manage,
    State(api): State<Api>,
    Body(selection): Body<Selection>,
) -> Result<Envelope<Selected>, ApiError> {
    let selected = select::select(&api.app, selection).await?;
    Ok(Envelope::ok(selected))
}
