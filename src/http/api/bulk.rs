//! `POST /admin/meta/items/bulk`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::envelope::Envelope;
use crate::http::error::ApiError;
use crate::http::extract::{Body, present};
use catalog_sync::admin::bulk::{self, Action};
use catalog_sync::admin::intents;
use catalog_sync::admin::items::{self, ItemsAsked};
use catalog_sync::admin::schema::{item_status, words};
use catalog_sync::store::items::Filter;

fn an_action() -> Object {
    words(Action::ALL.map(Action::as_str))
}

/// An action on many variants. Either `ids` or `filter` says which.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BulkRequest {
    /// `resync` decides again; `push` also sends what Meta confirmed; `delete` removes from Meta until the next change;
    /// `exclude` removes and keeps out; `include` takes that back; `release` releases held deletes.
    #[schema(schema_with = an_action)]
    pub action: String,
    /// The variants: at most 1,000.
    #[serde(default, deserialize_with = "present")]
    #[schema(min_items = 1, max_items = 1000, nullable = false, required = false)]
    pub ids: Option<Vec<String>>,
    /// Everything that this filter of the list selects.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, required = false)]
    pub filter: Option<BulkFilter>,
    /// Only count.
    #[serde(default)]
    pub dry_run: bool,
    /// The number that was confirmed. When more would be touched, 409: at all for what removes items, by a tenth and by ten
    /// for the others.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, required = false)]
    pub expected: Option<u64>,
}

/// A filter of the list of variants. An empty one selects everything.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BulkFilter {
    /// A sync status, `never_synced` included.
    #[schema(schema_with = item_status)]
    pub status: Option<String>,
    /// Text to find in the id, sku, title or slug; case-insensitive.
    #[schema(max_length = 200, pattern = r"^[^\u0000]*$")]
    pub search: Option<String>,
    /// Only variants whose product is active, public and not deleted.
    pub eligible_only: bool,
    /// The code of a warning.
    #[schema(max_length = 200, pattern = r"^[^\u0000]*$")]
    pub warning: Option<String>,
    /// A cause.
    #[schema(max_length = 200, pattern = r"^[^\u0000]*$")]
    pub cause: Option<String>,
    /// Only variants with a held delete.
    pub held: bool,
    /// Only variants with an intent that is parked.
    pub parked: bool,
    /// Only variants that an operator keeps out.
    pub excluded: bool,
    /// The id or name of a vendor.
    #[schema(max_length = 200, pattern = r"^[^\u0000]*$")]
    pub vendor: Option<String>,
    /// The id or title of a brand.
    #[schema(max_length = 200, pattern = r"^[^\u0000]*$")]
    pub brand: Option<String>,
    /// The id or title of a category, which stands for those below it too.
    #[schema(max_length = 200, pattern = r"^[^\u0000]*$")]
    pub category: Option<String>,
}

impl BulkFilter {
    fn asked(&self) -> ItemsAsked<'_> {
        let flag = |is_set: bool| is_set.then_some("true");
        ItemsAsked {
            page: None,
            limit: None,
            status: self.status.as_deref(),
            search: self.search.as_deref(),
            eligible_only: flag(self.eligible_only),
            warning: self.warning.as_deref(),
            cause: self.cause.as_deref(),
            held: flag(self.held),
            parked: flag(self.parked),
            excluded: flag(self.excluded),
            id: None,
            vendor: self.vendor.as_deref(),
            brand: self.brand.as_deref(),
            category: self.category.as_deref(),
        }
    }
}

/// What an action touched.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BulkDone {
    /// Number of variants that were touched, or would be.
    pub items: u64,
    /// Whether they were only counted.
    pub dry_run: bool,
}

/// `POST /admin/meta/items/bulk`.
///
/// # Errors
/// 400, 401, 403; 409 when more would be touched than `expected`; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/admin/meta/items/bulk", tag = "Items", operation_id = "bulk",
    summary = "Do something with many variants",
    description = "Count first with `dryRun`, then send the number as `expected`. What is selected at the beginning is touched once, in transactions of 2,000 variants; a request that was cut off can be repeated. Ids that do not exist are passed over.",
    request_body(content = BulkRequest, example = json!({"action": "resync", "filter": {"status": "failed"}, "dryRun": true})),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["OUTGROWN"]))),
    responses(
        (status = 200, description = "Counted.", body = Envelope<BulkDone>,
            example = json!({"data": {"items": 120, "dryRun": true}, "message": "Success", "statusCode": 200})),
        (status = 202, description = "Queued.", body = Envelope<BulkDone>,
            example = json!({"data": {"items": 120, "dryRun": false}, "message": "Success", "statusCode": 202})),
    ),
)]
pub async fn bulk(
    _: Manage,
    State(api): State<Api>,
    Body(request): Body<BulkRequest>,
) -> Result<Envelope<BulkDone>, ApiError> {
    let Some(action) = Action::named(&request.action) else {
        let known = Action::ALL.map(Action::as_str).join(", ");
        return Err(ApiError::validation(format!("action takes one of {known}")));
    };
    let filter = match (request.ids, request.filter) {
        (Some(ids), None) if ids.is_empty() || ids.len() > intents::MOST || ids.iter().any(|id| id.contains('\0')) => {
            return Err(ApiError::validation(format!("ids takes 1 to {} ids", intents::MOST)));
        }
        (Some(ids), None) => Filter { ids: Some(ids), ..Filter::default() },
        (None, Some(filter)) => items::filter(&api.app, filter.asked()).await?,
        _ => return Err(ApiError::validation("give either ids or filter")),
    };
    if request.dry_run {
        let items = bulk::count(&api.app, &filter, action).await?;
        return Ok(Envelope::ok(BulkDone { items, dry_run: true }));
    }
    let expected = request.expected;
    let items = bulk::apply(&api.app, &filter, action, expected).await?;
    Ok(Envelope::accepted(BulkDone { items, dry_run: false }))
}
