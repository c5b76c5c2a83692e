//! Translates domain events of the shop into intents.
//!
//! Promises: either all events of a request are taken or none; the intents have the order of the events; each step is
//! one statement, whatever the number of events.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::app::App;
use crate::domain::intent::{Intent, Lane, Origin};
use crate::domain::reask::Named;
use crate::report::clip;
use crate::store::StoreError;
use crate::store::events::{self, Change, Target};

/// Maximum number of events in one request.
pub const MOST: usize = 1000;

/// Maximum length of an id, in characters.
pub const LONGEST_ID: usize = 200;

/// The subject and the intent of each event. What changes stock is prompt, as deletes are.
const EVENTS: [(&str, About, Intent); 12] = [
    ("vendor.product.variant.created", About::Variant, Intent::Upsert),
    ("vendor.product.variant.updated", About::Variant, Intent::Upsert),
    ("vendor.product.variant.deleted", About::Variant, Intent::Delete),
    ("vendor.product.basics.updated", About::Product, Intent::Upsert),
    ("vendor.product.media.updated", About::Product, Intent::Upsert),
    ("vendor.product.synced", About::Product, Intent::Upsert),
    ("vendor.product.deleted", About::Product, Intent::Delete),
    ("inventory.stock.adjusted", About::Stock, Intent::Upsert),
    ("inventory.policy.updated", About::Stock, Intent::Upsert),
    ("vendor.updated", About::Named(Named::Vendor), Intent::Upsert),
    ("brand.updated", About::Named(Named::Brand), Intent::Upsert),
    ("category.updated", About::Named(Named::Category), Intent::Upsert),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Variant,
    /// The stock of a variant.
    Stock,
    Product,
    Named(Named),
}

impl About {
    fn key(self) -> &'static str {
        match self {
            Self::Variant | Self::Stock => "variantId",
            Self::Product => "productId",
            Self::Named(Named::Vendor) => "vendorId",
            Self::Named(Named::Brand) => "brandId",
            Self::Named(Named::Category) => "categoryId",
        }
    }
}

/// Returns the key of each kind of subject, with the names of its events, for the OpenAPI document.
#[must_use]
pub fn subjects() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut subjects: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
    for (name, about, _) in EVENTS {
        match subjects.iter_mut().find(|(key, _)| *key == about.key()) {
            Some((_, names)) => names.push(name),
            None => subjects.push((about.key(), vec![name])),
        }
    }
    subjects
}

/// A request: one event, or several in the order in which they happened, each as its fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Events {
    /// One event.
    One(Map<String, Value>),
    /// Several events.
    Many(Vec<Map<String, Value>>),
}

/// Why the events were refused.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// Some events are invalid; nothing was queued.
    #[error("{message}")]
    Invalid {
        /// What is wrong with the request.
        message: String,
        /// What is wrong with each event, keyed by its place.
        details: BTreeMap<String, String>,
    },
    /// The database query failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Queues the intents of the events. Returns the number of intents.
///
/// # Errors
/// [`EventsError::Invalid`] names each invalid event; nothing is queued then. [`EventsError::Store`] when the database
/// query fails.
pub async fn take(app: &App, asked: &Events) -> Result<u64, EventsError> {
    let changes = read(asked)?;
    if changes.is_empty() {
        return Ok(0);
    }
    let mut tx = app.db.write().await?;
    let enqueued = events::append(&mut tx, &changes, app.now()).await?;
    tx.commit().await?;
    app.work_arrived();
    Ok(enqueued)
}

fn read(asked: &Events) -> Result<Vec<Change>, EventsError> {
    let invalid = |message: String| EventsError::Invalid { message, details: BTreeMap::new() };
    let list = match asked {
        Events::One(fields) => return read_one(fields).map(|change| vec![change]).map_err(invalid),
        Events::Many(list) => list,
    };
    if list.len() > MOST {
        return Err(invalid(format!("at most {MOST} events are allowed per request, got {}", list.len())));
    }
    let mut details = BTreeMap::new();
    let mut changes = Vec::with_capacity(list.len());
    for (index, fields) in list.iter().enumerate() {
        match read_one(fields) {
            Ok(change) => changes.push(change),
            Err(problem) => {
                details.insert(format!("events[{index}]"), problem);
            }
        }
    }
    if details.is_empty() {
        return Ok(changes);
    }
    Err(EventsError::Invalid { message: "some events are invalid; nothing was queued".into(), details })
}

fn read_one(fields: &Map<String, Value>) -> Result<Change, String> {
    let name = fields.get("event").and_then(Value::as_str).ok_or("event: must be the name of an event")?;
    let (_, about, intent) = EVENTS.into_iter().find(|(known, ..)| *known == name).ok_or_else(|| {
        let shown = clip(name, 100);
        format!("event: {shown:?} is not one of {}", EVENTS.map(|(known, ..)| known).join(", "))
    })?;
    let key = about.key();
    if let Some(unknown) = fields.keys().find(|field| field.as_str() != "event" && field.as_str() != key) {
        let shown: String = unknown.chars().take(100).collect();
        return Err(format!("{shown}: unknown field; {name} allows only event and {key}"));
    }
    let id = fields.get(key).and_then(Value::as_str).unwrap_or_default();
    if id.is_empty() || id.chars().count() > LONGEST_ID || id.contains('\0') {
        return Err(format!("{key}: must be an id of 1 to {LONGEST_ID} characters"));
    }
    let target = match about {
        About::Variant | About::Stock => Target::Variant(id.to_owned()),
        About::Product => Target::Product(id.to_owned()),
        About::Named(kind) => Target::Named(kind, id.to_owned()),
    };
    let lane = if about == About::Stock { Lane::Prompt } else { Lane::of(Origin::Event, intent) };
    Ok(Change { target, intent, lane })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(event: Value) -> Map<String, Value> {
        serde_json::from_value(event).expect("an object")
    }

    fn refused(asked: &Events) -> String {
        match read(asked).expect_err("refused") {
            EventsError::Invalid { message, details } if details.is_empty() => message,
            EventsError::Invalid { details, .. } => {
                details.iter().map(|(at, problem)| format!("{at} {problem}")).collect::<Vec<_>>().join("; ")
            }
            EventsError::Store(error) => panic!("{error:?}"),
        }
    }

    #[test]
    fn refusals_say_where_and_what() {
        let one = |event: Value| refused(&Events::One(fields(event)));
        let many = |events: Vec<Value>| refused(&Events::Many(events.into_iter().map(fields).collect()));
        insta::assert_snapshot!(
            [
                one(json!({})),
                one(json!({"event": "vendor.product.deleted", "variantId": "v"})),
                one(json!({"event": "inventory.stock.adjusted", "variantId": ""})),
                many(vec![
                    json!({"event": "inventory.stock.adjusted", "variantId": "v"}),
                    json!({"event": "vendor.product.deleted", "productId": 7}),
                    json!({"event": "inventory.stock.adjusted", "variantId": "v", "when": "now"}),
                ]),
                many(vec![json!({}); MOST + 1]),
            ]
            .join("\n"),
            @r"
        event: must be the name of an event
        variantId: unknown field; vendor.product.deleted allows only event and productId
        variantId: must be an id of 1 to 200 characters
        events[1] productId: must be an id of 1 to 200 characters; events[2] when: unknown field; inventory.stock.adjusted allows only event and variantId
        at most 1000 events are allowed per request, got 1001
        "
        );
    }

    #[test]
    fn an_empty_list_asks_for_nothing() {
        assert!(read(&Events::Many(Vec::new())).expect("taken").is_empty());
    }
}
