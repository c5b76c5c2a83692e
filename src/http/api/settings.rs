//! `/admin/settings/admin`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, Object, ObjectBuilder, Schema, SchemaType, Type};

use crate::http::Api;
use crate::http::auth::{Manage, View};
use crate::http::envelope::Envelope;
use crate::http::error::ApiError;
use crate::http::extract::{Body, UniqueMap};
use catalog_sync::admin;
use catalog_sync::admin::schema::words;
use catalog_sync::domain::settings::{ATTRIBUTES, Kind, SPECS, Spec};

/// The settings by group; there is one group.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SettingsDocument {
    /// The group `meta`: value by key.
    #[schema(schema_with = values)]
    pub meta: Map<String, Value>,
}

/// The settings to change, by group; there is one group.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsPatch {
    /// The group `meta`: new value by key; `null` restores the default.
    #[schema(schema_with = changes)]
    pub meta: UniqueMap,
}

/// `GET /admin/settings/admin`.
///
/// # Errors
/// 401, 403; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/settings/admin", tag = "Settings", operation_id = "getSettings",
    summary = "Read all settings",
    description = "The secret reads as `********` when it is set.",
    security(("bearerToken" = ["metaCatalog:view"])),
    responses((status = 200, description = "The settings.", body = Envelope<SettingsDocument>,
        example = json!({"data": {"meta": {"app_id": "1000000001", "app_secret": "********", "currency": "INR", "sync_enabled": true}}, "message": "Success", "statusCode": 200}))),
)]
pub async fn read(_: View, State(api): State<Api>) -> Result<Envelope<SettingsDocument>, ApiError> {
    Ok(Envelope::ok(SettingsDocument { meta: admin::settings::read(&api.app).await? }))
}

/// `PATCH /admin/settings/admin`.
///
/// # Errors
/// 400 with each unacceptable key under `details`; 401, 403; 5xx when the database query fails.
#[utoipa::path(
    patch, path = "/admin/settings/admin", tag = "Settings", operation_id = "changeSettings",
    summary = "Change settings",
    description = "Changes all given settings or none. `null` restores the default. The mask, or omitting the key, keeps the secret.",
    request_body(content = SettingsPatch, description = "The settings to change.",
        example = json!({"meta": {"currency": "INR", "batch_size": 1000}})),
    security(("bearerToken" = ["metaCatalog:manage"])),
    responses((status = 200, description = "The settings after the change.", body = Envelope<SettingsDocument>,
        example = json!({"data": {"meta": {"app_id": "1000000001", "app_secret": "********", "currency": "INR", "sync_enabled": true}}, "message": "Success", "statusCode": 200}))),
)]
pub async fn patch(
    _: Manage,
    State(api): State<Api>,
    Body(asked): Body<SettingsPatch>,
) -> Result<Envelope<SettingsDocument>, ApiError> {
    Ok(Envelope::ok(SettingsDocument { meta: admin::settings::patch(&api.app, &asked.meta.0).await? }))
}

fn values() -> Object {
    group(|spec| schema(spec, false))
}

fn changes() -> Object {
    group(|spec| schema(spec, true))
}

fn group(of: impl Fn(&Spec) -> Schema) -> Object {
    SPECS
        .iter()
        .fold(ObjectBuilder::new(), |group, spec| group.property(spec.key, of(spec)))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
        .build()
}

/// What a setting takes, from its specification.
fn schema(spec: &Spec, nullable: bool) -> Schema {
    let (kind, builder) = match spec.kind {
        Kind::Words(list) => {
            let kinds = if nullable { vec![Type::Array, Type::Null] } else { vec![Type::Array] };
            return ArrayBuilder::new()
                .schema_type(SchemaType::from_iter(kinds))
                .items(ObjectBuilder::from(words(list.iter().copied())).schema_type(Type::String))
                .unique_items(true)
                .default(Some(spec.default_value()))
                .description(Some(spec.help.trim()))
                .build()
                .into();
        }
        Kind::Text(limit) => (Type::String, ObjectBuilder::new().max_length(Some(limit)).pattern(Some(NO_NUL))),
        Kind::Secret => (Type::String, ObjectBuilder::new().max_length(Some(500)).pattern(Some(NO_NUL))),
        Kind::Url => (Type::String, ObjectBuilder::new().pattern(Some(r"^\s*(https?://.+)?$"))),
        Kind::PathTemplate => {
            (Type::String, ObjectBuilder::new().pattern(Some(r"^/[^{}]*(\{(slug|variantId|productId|sku)\}[^{}]*)+$")))
        }
        Kind::Synonyms => {
            let attribute = ObjectBuilder::from(words(ATTRIBUTES)).schema_type(Type::String);
            (Type::Object, ObjectBuilder::new().additional_properties(Some(attribute)))
        }
        Kind::Currency => (Type::String, ObjectBuilder::new().pattern(Some("^[A-Za-z]{3}$"))),
        Kind::TimeZone => (Type::String, ObjectBuilder::new().examples(["Asia/Kolkata"])),
        Kind::Word(list) => (Type::String, ObjectBuilder::from(words(list.iter().copied()))),
        Kind::Flag => (Type::Boolean, ObjectBuilder::new()),
        Kind::Whole(low, high) => (Type::Integer, ObjectBuilder::new().minimum(Some(low)).maximum(Some(high))),
    };
    let builder = builder.default(Some(spec.default_value())).description(Some(spec.help.trim()));
    if !nullable {
        return builder.schema_type(kind).build().into();
    }
    let mut object = builder.schema_type(SchemaType::from_iter([kind, Type::Null])).build();
    if let Some(values) = &mut object.enum_values {
        values.push(Value::Null);
    }
    object.into()
}

const NO_NUL: &str = r"^[^\u0000]*$";
