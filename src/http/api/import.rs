//! `/admin/meta/import`.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::envelope::Envelope;
use crate::http::error::ApiError;
use crate::http::extract::{Params, ProductFile};
use catalog_sync::admin::import::{self, ImportAsked, ImportReport};

/// Query parameters of the import.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// `true`: all or nothing; if one line is refused, nothing is written.
    #[serde(default)]
    #[param(required = false, default = false)]
    pub strict: bool,
    /// `true`: nothing is written; the report says what would be refused, skipped and warned of. Not with `strict`.
    #[serde(default)]
    #[param(required = false, default = false)]
    pub dry_run: bool,
    /// `true`: the file is the whole shop; variants that it does not name are deleted, unless a line is refused or they are
    /// more than 100 and more than a tenth of the shop.
    #[serde(default)]
    #[param(required = false, default = false)]
    pub complete: bool,
    /// `true`, with `complete`: they are deleted, however many they are.
    #[serde(default)]
    #[param(required = false, default = false)]
    pub allow_mass_delete: bool,
}

/// The lines, as the document shows them.
#[derive(Clone, Copy, Debug)]
pub struct ProductLines;

impl utoipa::ToSchema for ProductLines {}

impl utoipa::PartialSchema for ProductLines {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("One product with its variants per line, as a JSON object; at most 16 MiB in all. docs/import.md describes it. Larger files and other formats: the command `meta-catalog import`."))
            .build()
            .into()
    }
}

/// `POST /admin/meta/import`.
///
/// # Errors
/// 400, also while another import is running; 401, 403, 408, 413, 415; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/admin/meta/import", tag = "Events", operation_id = "importProducts",
    summary = "Import products",
    description = "As the command `meta-catalog import`, for up to 16 MiB: only what differs is written, and queued. A line that cannot be taken is refused, the others are imported. One import at a time.",
    params(ImportQuery),
    request_body(description = "The products.", content(
        (ProductLines = "application/x-ndjson"), (ProductLines = "application/octet-stream"),
    )),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["import_running"]))),
    responses((status = 200, description = "What became of it.", body = Envelope<ImportReport>,
        example = json!({"data": {
            "dryRun": false, "products": 1200, "productsChanged": 17, "variantsChanged": 40, "intentsQueued": 52,
            "refused": 2,
            "toFix": [{"count": 2, "line": 81, "message": "variants[0].price: must not be negative, got -1"}],
            "unnamed": null, "found": null
        }, "message": "Success", "statusCode": 200}))),
)]
pub async fn import(
    _: Manage,
    State(api): State<Api>,
    Params(query): Params<ImportQuery>,
    ProductFile(file, turn): ProductFile,
) -> Result<Envelope<ImportReport>, ApiError> {
    let ImportQuery { strict, dry_run, complete, allow_mass_delete } = query;
    let asked = ImportAsked { strict, dry_run, complete, allow_mass_delete };
    let report = import::import(&api.app, &file, asked).await;
    drop(turn);
    Ok(Envelope::ok(report?))
}
