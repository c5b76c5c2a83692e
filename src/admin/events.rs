//! Domain events of the shop, translated into intents.
//!
//! Promises: all or nothing; the order of the events is the order of their intents; one statement per step, however
//! many events.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Fault;
use crate::domain::intent::Intent;
use crate::pipeline::Pipeline;
use crate::store::events::{self, Change, Target};
use crate::strict::{UniqueMap, present};

/// Most events of one request.
pub const MOST: usize = 1000;

/// Longest id, in characters.
pub const LONGEST_ID: usize = 200;

/// What each event is about and asks for.
const EVENTS: [(&str, About, Intent); 9] = [
    ("vendor.product.variant.created", About::Variant, Intent::Upsert),
    ("vendor.product.variant.updated", About::Variant, Intent::Upsert),
    ("vendor.product.variant.deleted", About::Variant, Intent::Delete),
    ("vendor.product.basics.updated", About::Product, Intent::Upsert),
    ("vendor.product.media.updated", About::Product, Intent::Upsert),
    ("vendor.product.synced", About::Product, Intent::Upsert),
    ("vendor.product.deleted", About::Product, Intent::Delete),
    ("inventory.stock.adjusted", About::Variant, Intent::Upsert),
    ("inventory.policy.updated", About::Variant, Intent::Upsert),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Variant,
    Product,
}

impl About {
    fn key(self) -> &'static str {
        match self {
            Self::Variant => "variantId",
            Self::Product => "productId",
        }
    }
}

/// The names of the events about a variant and of those about a product, for the OpenAPI document.
#[must_use]
pub fn names() -> (Vec<&'static str>, Vec<&'static str>) {
    let of = |asked| EVENTS.into_iter().filter(move |(_, about, _)| *about == asked).map(|(name, ..)| name).collect();
    (of(About::Variant), of(About::Product))
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
    /// Many events, in the order they happened.
    #[serde(default, deserialize_with = "present")]
    pub events: Option<Vec<UniqueMap>>,
}

/// Queues what the events ask for; answers how many intents that came to.
///
/// # Errors
/// [`Fault::Invalid`] names each event that cannot be taken; nothing is queued then.
pub async fn take(pipeline: &Pipeline, request: EventsRequest) -> Result<u64, Fault> {
    let changes = read(request)?;
    if changes.is_empty() {
        return Ok(0);
    }
    let mut tx = pipeline.db.write().await?;
    let enqueued = events::append(&mut tx, &changes, pipeline.now()).await?;
    tx.commit().await?;
    super::work_arrived(pipeline);
    Ok(enqueued)
}

fn read(request: EventsRequest) -> Result<Vec<Change>, Fault> {
    let EventsRequest { event, variant_id, product_id, events } = request;
    let single = event.is_some() || variant_id.is_some() || product_id.is_some();
    let Some(list) = events else {
        let text = |value: Option<String>| value.map(Value::String);
        let fields = [("event", text(event)), ("variantId", text(variant_id)), ("productId", text(product_id))];
        let fields = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        return read_one(&fields).map(|change| vec![change]).map_err(Fault::invalid);
    };
    if single {
        return Err(Fault::invalid("takes either one event or a list under `events`, not both"));
    }
    if list.len() > MOST {
        return Err(Fault::invalid(format!("takes at most {MOST} events at a time, got {}", list.len())));
    }
    let mut wrong = BTreeMap::new();
    let mut changes = Vec::with_capacity(list.len());
    for (index, UniqueMap(fields)) in list.iter().enumerate() {
        match read_one(fields) {
            Ok(change) => changes.push(change),
            Err(problem) => {
                wrong.insert(format!("events[{index}]"), problem);
            }
        }
    }
    if wrong.is_empty() {
        Ok(changes)
    } else {
        Err(Fault::invalid_parts("some events cannot be taken; nothing was queued", wrong))
    }
}

fn read_one(fields: &Map<String, Value>) -> Result<Change, String> {
    let name = fields.get("event").and_then(Value::as_str).ok_or("event: takes the name of an event")?;
    let (_, about, intent) = EVENTS.into_iter().find(|(known, ..)| *known == name).ok_or_else(|| {
        let shown: String = name.chars().take(100).collect();
        format!("event: {shown:?} is not one of {}", EVENTS.map(|(known, ..)| known).join(", "))
    })?;
    let key = about.key();
    if let Some(unknown) = fields.keys().find(|field| field.as_str() != "event" && field.as_str() != key) {
        let shown: String = unknown.chars().take(100).collect();
        return Err(format!("{shown}: {name} takes only event and {key}"));
    }
    let id = fields.get(key).and_then(Value::as_str).unwrap_or_default();
    if id.is_empty() || id.chars().count() > LONGEST_ID || id.contains('\0') {
        return Err(format!("{key}: takes an id of 1 to {LONGEST_ID} characters"));
    }
    let target = match about {
        About::Variant => Target::Variant(id.to_owned()),
        About::Product => Target::Product(id.to_owned()),
    };
    Ok(Change { target, intent })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(body: Value) -> String {
        let request: EventsRequest = serde_json::from_value(body).expect("a request");
        match read(request).expect_err("refused") {
            Fault::Invalid { message, details } if details.is_empty() => message,
            Fault::Invalid { details, .. } => {
                details.iter().map(|(at, problem)| format!("{at} {problem}")).collect::<Vec<_>>().join("; ")
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn refusals_say_where_and_what() {
        insta::assert_snapshot!(
            [
                refused(json!({})),
                refused(json!({"event": "vendor.product.deleted", "variantId": "v"})),
                refused(json!({"event": "inventory.stock.adjusted", "variantId": ""})),
                refused(json!({"event": "inventory.stock.adjusted", "variantId": "v", "events": []})),
                refused(json!({"events": [
                    {"event": "inventory.stock.adjusted", "variantId": "v"},
                    {"event": "vendor.product.deleted", "productId": 7},
                    {"event": "inventory.stock.adjusted", "variantId": "v", "when": "now"},
                ]})),
                refused(json!({"events": vec![json!({}); MOST + 1]})),
            ]
            .join("\n"),
            @r"
        event: takes the name of an event
        variantId: vendor.product.deleted takes only event and productId
        variantId: takes an id of 1 to 200 characters
        takes either one event or a list under `events`, not both
        events[1] productId: takes an id of 1 to 200 characters; events[2] when: inventory.stock.adjusted takes only event and variantId
        takes at most 1000 events at a time, got 1001
        "
        );
    }

    #[test]
    fn an_empty_list_asks_for_nothing() {
        assert!(
            read(EventsRequest { events: Some(Vec::new()), ..EventsRequest::default() }).expect("taken").is_empty()
        );
    }
}
