//! `POST /events`: what changed in the shop.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::envelope::Envelope;
use crate::http::error::ApiError;
use crate::http::extract::{Body, UniqueMap, present};
use catalog_sync::admin::schema::words;
use catalog_sync::intake::events::{self, Events, LONGEST_ID, MOST};

/// Number of queued intents.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Enqueued {
    /// Number of intents.
    pub enqueued: u64,
}

/// A request: one event, or a list of them under `events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventsRequest {
    /// Name of the one event.
    #[serde(default, deserialize_with = "present")]
    pub event: Option<String>,
    /// The variant it is about.
    #[serde(default, deserialize_with = "present")]
    pub variant_id: Option<String>,
    /// The product it is about.
    #[serde(default, deserialize_with = "present")]
    pub product_id: Option<String>,
    /// The vendor it is about.
    #[serde(default, deserialize_with = "present")]
    pub vendor_id: Option<String>,
    /// The brand it is about.
    #[serde(default, deserialize_with = "present")]
    pub brand_id: Option<String>,
    /// The category it is about.
    #[serde(default, deserialize_with = "present")]
    pub category_id: Option<String>,
    /// Many events, in the order they happened.
    #[serde(default, deserialize_with = "present")]
    pub events: Option<Vec<UniqueMap>>,
}

impl EventsRequest {
    fn read(self) -> Result<Events, ApiError> {
        let Self { event, variant_id, product_id, vendor_id, brand_id, category_id, events } = self;
        let single = [
            ("event", event),
            ("variantId", variant_id),
            ("productId", product_id),
            ("vendorId", vendor_id),
            ("brandId", brand_id),
            ("categoryId", category_id),
        ];
        let single = single.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::String(text?))));
        let single: serde_json::Map<String, Value> = single.collect();
        match events {
            None => Ok(Events::One(single)),
            Some(events) if single.is_empty() => Ok(Events::Many(events.into_iter().map(|one| one.0).collect())),
            Some(_) => Err(ApiError::validation("send either one event or a list under `events`, not both")),
        }
    }
}

/// `POST /events`, one event or a list.
///
/// # Errors
/// 400 with each event that cannot be taken under `details`; 401, 403; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/events", tag = "Events", operation_id = "takeEvents",
    summary = "Report changes in the shop",
    description = "Accepts all events or none. Returns how many intents were queued. A product event queues each variant of the product. An event about a vendor, brand or category asks again for each variant that shows its name, at the pace of a re-ask.",
    request_body(content = EventsBody, description = "One event, or many in the order they happened.", examples(
        ("one" = (summary = "One event",
            value = json!(one_example()))),
        ("many" = (summary = "Several events", value = json!(many_example()))),
    )),
    security(("bearerToken" = ["metaCatalog:manage"])),
    responses((status = 202, description = "Queued.", body = Envelope<Enqueued>,
        example = json!({"data": {"enqueued": 1}, "message": "Success", "statusCode": 202}))),
)]
pub async fn take(
    _: Manage,
    State(api): State<Api>,
    Body(request): Body<EventsRequest>,
) -> Result<Envelope<Enqueued>, ApiError> {
    Ok(Envelope::accepted(Enqueued { enqueued: events::take(&api.app, &request.read()?).await? }))
}

/// `POST /admin/meta/events`: the same beside the other endpoints.
///
/// # Errors
/// As [`take`].
#[utoipa::path(
    post, path = "/admin/meta/events", tag = "Events", operation_id = "takeAdminEvents",
    summary = "Report changes in the shop",
    description = "The same as `POST /events`.",
    request_body(content = EventsBody, description = "One event, or many in the order they happened.", examples(
        ("one" = (summary = "One event",
            value = json!(one_example()))),
        ("many" = (summary = "Several events", value = json!(many_example()))),
    )),
    security(("bearerToken" = ["metaCatalog:manage"])),
    responses((status = 202, description = "Queued.", body = Envelope<Enqueued>,
        example = json!({"data": {"enqueued": 1}, "message": "Success", "statusCode": 202}))),
)]
pub async fn take_admin(
    may: Manage,
    api: State<Api>,
    request: Body<EventsRequest>,
) -> Result<Envelope<Enqueued>, ApiError> {
    take(may, api, request).await
}

fn one_example() -> Value {
    json!({"event": "inventory.stock.adjusted", "variantId": "v-1"})
}

fn many_example() -> Value {
    json!({"events": [
        {"event": "vendor.product.basics.updated", "productId": "p-1"},
        {"event": "vendor.product.variant.deleted", "variantId": "v-2"}
    ]})
}

/// What an [`EventsRequest`] takes, as its schema: which id belongs to which event cannot be told by its fields alone.
#[derive(Clone, Copy, Debug)]
pub struct EventsBody;

impl ToSchema for EventsBody {}

impl PartialSchema for EventsBody {
    fn schema() -> RefOr<Schema> {
        let many = ArrayBuilder::new().items(one_event()).max_items(Some(MOST));
        let list = ObjectBuilder::new()
            .property("events", many)
            .required("events")
            .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
            .description(Some("Many events, in the order they happened."));
        one_event().item(list).into()
    }
}

fn one_event() -> OneOfBuilder {
    let subjects = events::subjects().into_iter();
    subjects.fold(OneOfBuilder::new(), |one, (key, names)| one.item(event(names, key)))
}

fn event(names: Vec<&'static str>, key: &str) -> Object {
    let id = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(LONGEST_ID))
        .pattern(Some(r"^[^\u0000]+$"));
    ObjectBuilder::new()
        .property("event", words(names))
        .property(key, id)
        .required("event")
        .required(key)
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
        .description(Some(format!("An event that names its subject by `{key}`.")))
        .build()
}
