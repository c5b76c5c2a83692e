//! `/admin/meta/mapper…`: which mapper is active, swapping it, and previews.

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use crate::http::Api;
use crate::http::auth::{Manage, View};
use crate::http::envelope::Envelope;
use crate::http::error::ApiError;
use crate::http::extract::{ModuleFile, Params, PreviewId};
use catalog_sync::admin::mapper::{self, Activated, MapperState, Source};
use catalog_sync::admin::preview::{self, PreviewView};

/// Query parameters of the mapper swaps.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SwapQuery {
    /// `true`: every variant is queued again, so that each payload that the new mapper changes is sent. `false`: a
    /// variant is mapped again when it changes.
    #[serde(default)]
    #[param(required = false, default = false)]
    pub remap: bool,
}

/// A module's file, as the document shows it.
#[derive(Clone, Copy, Debug)]
pub struct ModuleBody;

impl utoipa::ToSchema for ModuleBody {}

impl utoipa::PartialSchema for ModuleBody {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
            .description(Some("The bytes of a .wasm file: a component of the world `catalog:mapper@1`, or a core module made with the SDK; at most 4 MiB."))
            .build()
            .into()
    }
}

/// `GET /admin/meta/mapper`.
///
/// # Errors
/// 401, 403; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/mapper", tag = "Mapper", operation_id = "getMapper",
    summary = "Which mapper is active",
    description = "The active mapper, the mapper that a rollback restores, the running or last re-map, and the last offered file if it was refused.",
    security(("bearerToken" = ["metaCatalog:view"])),
    responses((status = 200, description = "The mappers.", body = Envelope<MapperState>,
        example = json!({"data": {
            "active": module_example(),
            "previous": builtin_example("default", None),
            "remap": {"running": true, "total": 440, "queued": 100, "startedAt": "2025-11-24T16:00:00.000Z", "finishedAt": null},
            "refused": null
        }, "message": "Success", "statusCode": 200}))),
)]
pub async fn read(_: View, State(api): State<Api>, _: Params<NoQuery>) -> Result<Envelope<MapperState>, ApiError> {
    Ok(Envelope::ok(mapper::state(&api.app).await?))
}

/// `PUT /admin/meta/mapper`.
///
/// # Errors
/// 400 with what is wrong with the module; 401, 403, 413, 415; 503 when this machine could not try it; 5xx when the
/// store does not answer.
#[utoipa::path(
    put, path = "/admin/meta/mapper", tag = "Mapper", operation_id = "activateMapper",
    summary = "Activate a mapper module",
    description = "The body is the module's file. The module is loaded and run on every sample. A module that fails on a sample is refused and nothing is changed. Running batches finish with the previous mapper; other replicas follow. Variants that failed under another mapper are tried again.",
    params(SwapQuery),
    request_body(description = "The module's file.", content(
        (ModuleBody = "application/wasm"), (ModuleBody = "application/octet-stream"),
    )),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["mapper_refused"]))),
    responses((status = 200, description = "The module is active.", body = Envelope<Activated>,
        example = json!(activated_example(module_example(), builtin_example("default", None), 4)))),
)]
pub async fn activate(
    _: Manage,
    State(api): State<Api>,
    Params(SwapQuery { remap }): Params<SwapQuery>,
    ModuleFile(bytes): ModuleFile,
) -> Result<Envelope<Activated>, ApiError> {
    Ok(Envelope::ok(mapper::activate(&api.app, bytes, Source::Api, remap).await?))
}

/// `DELETE /admin/meta/mapper`.
///
/// # Errors
/// 401, 403; 5xx when the database query fails.
#[utoipa::path(
    delete, path = "/admin/meta/mapper", tag = "Mapper", operation_id = "resetMapper",
    summary = "Go back to the built-in mapper",
    description = "Always possible, also when the active module is unusable. Variants that failed under another mapper are tried again.",
    params(SwapQuery),
    security(("bearerToken" = ["metaCatalog:manage"])),
    responses((status = 200, description = "The built-in mapper is active.", body = Envelope<Activated>,
        example = json!(activated_example(builtin_example("api", Some("2025-11-24T17:00:00.000Z")), module_example(), 0)))),
)]
pub async fn reset(
    _: Manage,
    State(api): State<Api>,
    Params(SwapQuery { remap }): Params<SwapQuery>,
) -> Result<Envelope<Activated>, ApiError> {
    Ok(Envelope::ok(mapper::reset(&api.app, Source::Api, remap).await?))
}

/// `POST /admin/meta/mapper/rollback`.
///
/// # Errors
/// 400 when the previous mapper no longer runs; 401, 403; 404 when there was none; 503 when this machine could not try
/// it; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/admin/meta/mapper/rollback", tag = "Mapper", operation_id = "rollbackMapper",
    summary = "Roll back to the previous mapper",
    description = "Rolling back twice restores the current mapper. A module is run on every sample again, because the service may be newer than at the activation.",
    params(SwapQuery),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["mapper_refused", "NOT_FOUND", "BAD_REQUEST"]))),
    responses((status = 200, description = "The previous mapper is active.", body = Envelope<Activated>,
        example = json!(activated_example(builtin_example("rollback", Some("2025-11-24T17:00:00.000Z")), module_example(), 0)))),
)]
pub async fn rollback(
    _: Manage,
    State(api): State<Api>,
    Params(SwapQuery { remap }): Params<SwapQuery>,
) -> Result<Envelope<Activated>, ApiError> {
    Ok(Envelope::ok(mapper::rollback(&api.app, remap).await?))
}

/// `POST /admin/meta/mapper/remap`.
///
/// # Errors
/// 401, 403; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/admin/meta/mapper/remap", tag = "Mapper", operation_id = "remap",
    summary = "Queue every variant again",
    description = "Maps every variant with the active mapper, in chunks and with lower priority than changes of the shop. Payloads that Meta already holds are not sent. A running re-map restarts.",
    security(("bearerToken" = ["metaCatalog:manage"])),
    responses((status = 202, description = "The re-map has started.", body = Envelope<MapperState>,
        example = json!({"data": {
            "active": builtin_example("default", None),
            "previous": null,
            "remap": {"running": true, "total": 440, "queued": 0, "startedAt": "2025-11-24T16:00:00.000Z", "finishedAt": null},
            "refused": null
        }, "message": "Success", "statusCode": 202}))),
)]
pub async fn remap(_: Manage, State(api): State<Api>) -> Result<Envelope<MapperState>, ApiError> {
    Ok(Envelope::accepted(mapper::remap(&api.app).await?))
}

/// `POST /admin/meta/mapper/preview`.
///
/// # Errors
/// 400 with what is wrong with the module, or when another preview is running; 401, 403, 413, 415; 503 when this
/// machine could not try it; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/admin/meta/mapper/preview", tag = "Mapper", operation_id = "previewMapper",
    summary = "Preview the effect of a module",
    description = "Compares the module with the active mapper on the whole catalog, in the background; nothing is changed. A module that cannot be activated is refused at once. Only one preview runs at a time.",
    request_body(description = "The module's file.", content(
        (ModuleBody = "application/wasm"), (ModuleBody = "application/octet-stream"),
    )),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["mapper_refused", "mapper_preview_running"]))),
    responses((status = 202, description = "The preview has started.", body = Envelope<PreviewView>,
        example = json!({"data": {
            "id": "019ab7d0-0000-7000-8000-000000000000", "state": "running",
            "module": compared_example(),
            "total": 440, "done": 0, "fileStored": true, "startedAt": "2025-11-24T16:00:00.000Z", "finishedAt": null, "error": null, "report": null
        }, "message": "Success", "statusCode": 202}))),
)]
pub async fn preview(
    _: Manage,
    State(api): State<Api>,
    ModuleFile(bytes): ModuleFile,
) -> Result<Envelope<PreviewView>, ApiError> {
    Ok(Envelope::accepted(preview::start(&api.app, &api.previewing, bytes).await?))
}

/// `GET /admin/meta/mapper/preview/{id}`.
///
/// # Errors
/// 401, 403; 404 when there is none of this id any more; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/mapper/preview/{id}", tag = "Mapper", operation_id = "getPreview",
    summary = "The progress or the report of a preview",
    description = "The last 20 previews are kept. Counts are numbers of variants. Samples are a few of each kind, with long values truncated. The `…Anyway` counts also occur with the active mapper.",
    params(("id" = String, Path, description = "The preview's id.", pattern = r"^[^\u0000]+$", example = "019ab7d0-0000-7000-8000-000000000000")),
    security(("bearerToken" = ["metaCatalog:view"])),
    extensions(("x-error-codes" = json!(["NOT_FOUND"]))),
    responses((status = 200, description = "The preview.", body = Envelope<PreviewView>,
        example = json!({"data": {
            "id": "019ab7d0-0000-7000-8000-000000000000", "state": "done",
            "module": compared_example(),
            "total": 440, "done": 440, "fileStored": true, "startedAt": "2025-11-24T16:00:00.000Z", "finishedAt": "2025-11-24T16:00:04.000Z", "error": null,
            "report": {
                "active": {"name": "builtin", "version": "0.1.0", "digest": "builtin-0.1.0-5965baac7b8b"},
                "variants": 440, "unchanged": 20, "changed": 420,
                "fields": [{"field": "custom_label_2", "changed": 0, "added": 420, "removed": 0, "samples": [
                    {"variantId": "v-1", "before": null, "after": "\"margin-high\""}
                ]}],
                "fieldsLeftOut": 0,
                "newlyRejected": {"count": 0, "samples": []}, "newlyEligible": {"count": 0, "samples": []},
                "rejectedOtherwise": {"count": 0, "samples": []}, "newlyFailing": {"count": 0, "samples": []},
                "noLongerFailing": {"count": 0, "samples": []}, "failingAnyway": {"count": 0, "samples": []},
                "notTried": 0,
                "warnings": [{"code": "cost_unreadable", "before": 0, "after": 3}],
                "effect": {
                    "pushes": 420, "pushesAnyway": 2, "deletes": 0, "deletesAnyway": 0, "skips": 0, "skipsAnyway": 12,
                    "inPlace": 6, "waiting": 0, "undecided": 0
                }
            }
        }, "message": "Success", "statusCode": 200}))),
)]
pub async fn preview_report(
    _: View,
    State(api): State<Api>,
    PreviewId(id): PreviewId,
) -> Result<Envelope<PreviewView>, ApiError> {
    Ok(Envelope::ok(preview::find(&api.app, &id).await?))
}

/// `DELETE /admin/meta/mapper/preview/{id}`.
///
/// # Errors
/// 401, 403; 404 when there is none of this id any more; 5xx when the database query fails.
#[utoipa::path(
    delete, path = "/admin/meta/mapper/preview/{id}", tag = "Mapper", operation_id = "cancelPreview",
    summary = "Cancel a preview",
    description = "Ends a running preview without a report, in whichever process it runs. That process finishes the current thousand variants first, and until then refuses another preview. A preview that has ended is unchanged.",
    params(("id" = String, Path, description = "The preview's id.", pattern = r"^[^\u0000]+$", example = "019ab7d0-0000-7000-8000-000000000000")),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["NOT_FOUND"]))),
    responses((status = 200, description = "The preview.", body = Envelope<PreviewView>,
        example = json!({"data": {
            "id": "019ab7d0-0000-7000-8000-000000000000", "state": "cancelled",
            "module": compared_example(),
            "total": 440, "done": 100, "fileStored": true, "startedAt": "2025-11-24T16:00:00.000Z", "finishedAt": "2025-11-24T16:00:02.000Z",
            "error": "this preview was cancelled; start it again for a report", "report": null
        }, "message": "Success", "statusCode": 200}))),
)]
pub async fn cancel_preview(
    _: Manage,
    State(api): State<Api>,
    PreviewId(id): PreviewId,
) -> Result<Envelope<PreviewView>, ApiError> {
    Ok(Envelope::ok(preview::cancel(&api.app, &id).await?))
}

/// `POST /admin/meta/mapper/preview/{id}/activate`.
///
/// # Errors
/// 400 when the preview has no report, or the module is refused now; 401, 403; 404 when the preview or its file is no
/// longer stored; 503 when this machine could not try the module; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/admin/meta/mapper/preview/{id}/activate", tag = "Mapper", operation_id = "activatePreviewed",
    summary = "Activate a previewed module",
    description = "Activates the module of a preview that is done; its file is not sent again. The files of the last five previews are in the database, so any replica can do this. The module is run on every sample again.",
    params(("id" = String, Path, description = "The preview's id.", pattern = r"^[^\u0000]+$", example = "019ab7d0-0000-7000-8000-000000000000"), SwapQuery),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["mapper_refused", "NOT_FOUND"]))),
    responses((status = 200, description = "The module is active.", body = Envelope<Activated>,
        example = json!(activated_example(module_example(), builtin_example("default", None), 4)))),
)]
pub async fn activate_previewed(
    _: Manage,
    State(api): State<Api>,
    PreviewId(id): PreviewId,
    Params(SwapQuery { remap }): Params<SwapQuery>,
) -> Result<Envelope<Activated>, ApiError> {
    Ok(Envelope::ok(mapper::activate_previewed(&api.app, &id, remap).await?))
}

fn compared_example() -> Value {
    json!({
        "name": "margin-label", "version": "1.2.0",
        "digest": "64aa1ee420e3cc6da199cc1dfc6f44bf390060eed8873d274a1163c7da9ad273"
    })
}

fn module_example() -> Value {
    let mut module = compared_example();
    module["source"] = json!("api");
    module["activatedAt"] = json!("2025-11-24T16:00:00.000Z");
    module
}

fn builtin_example(source: &str, activated_at: Option<&str>) -> Value {
    json!({
        "name": "builtin", "version": "0.1.0", "digest": "builtin-0.1.0-5965baac7b8b",
        "source": source, "activatedAt": activated_at
    })
}

/// `requeued` variants failed under another mapper.
#[allow(clippy::needless_pass_by_value, reason = "the values become a part of it")]
fn activated_example(active: Value, previous: Value, requeued: u32) -> Value {
    let data = json!({
        "active": active, "previous": previous, "remap": null, "refused": null, "changed": true, "requeued": requeued
    });
    json!({"data": data, "message": "Success", "statusCode": 200})
}

/// For a path that takes a query with other methods: none is taken here.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoQuery {}
