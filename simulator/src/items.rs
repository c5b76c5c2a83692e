//! The items of one catalog: the saved state, the state that `/products` shows, and when it became visible.
//!
//! An item is one JSON text, so a million of them fit into a small machine; it is parsed only when it changes or is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::clock::Millis;

/// An item's fields, names as in `items_batch`.
pub(crate) type Fields = Map<String, Value>;

/// One item.
#[derive(Debug)]
pub(crate) struct Item {
    /// Meta's own id of the item.
    pub(crate) meta_id: u64,
    /// As saved; `None` when deleted but still shown.
    saved: Option<Arc<str>>,
    /// As `/products` shows it; `None` when not visible yet.
    shown: Option<Arc<str>>,
    /// When the shown text became visible.
    pub(crate) shown_at: Millis,
    /// The review that a test planted; `None` when there is none.
    pub(crate) review: Option<Box<Review>>,
}

/// What Meta's review says of an item, planted by a test.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Review {
    pub(crate) review_status: Option<String>,
    pub(crate) review_rejection_reasons: Vec<String>,
    pub(crate) errors: Vec<Value>,
    pub(crate) image_fetch_status: Option<String>,
}

/// All items of a catalog, by retailer id.
#[derive(Debug, Default)]
pub(crate) struct Items(BTreeMap<Box<str>, Item>);

impl Items {
    /// The saved fields of an item.
    pub(crate) fn saved(&self, id: &str) -> Option<Fields> {
        parse(self.0.get(id)?.saved.as_ref()?)
    }

    /// Saves an item; `meta_id` is used when it is new.
    pub(crate) fn save(&mut self, id: &str, fields: &Fields, meta_id: impl FnOnce() -> u64) {
        // A map of JSON values always has a text.
        let text: Arc<str> = serde_json::to_string(fields).unwrap_or_default().into();
        match self.0.get_mut(id) {
            Some(item) => item.saved = Some(text),
            None => {
                let item = Item { meta_id: meta_id(), saved: Some(text), shown: None, shown_at: 0, review: None };
                self.0.insert(id.into(), item);
            }
        }
    }

    /// Deletes an item; it stays visible until published. Returns false when it does not exist.
    pub(crate) fn delete(&mut self, id: &str) -> bool {
        self.0.get_mut(id).and_then(|item| item.saved.take()).is_some()
    }

    /// Shows the saved state of an item from `now` on.
    pub(crate) fn publish(&mut self, id: &str, now: Millis) {
        let Some(item) = self.0.get_mut(id) else {
            return;
        };
        if item.saved.is_none() {
            self.0.remove(id);
            return;
        }
        if item.shown != item.saved {
            item.shown.clone_from(&item.saved);
            item.shown_at = now;
        }
    }

    /// Number of items `/products` shows.
    pub(crate) fn shown_count(&self) -> usize {
        self.0.values().filter(|item| item.shown.is_some()).count()
    }

    /// A visible item.
    pub(crate) fn shown(&self, id: &str) -> Option<(&str, &Item)> {
        let (id, item) = self.0.get_key_value(id)?;
        item.shown.as_ref().map(|_| (id.as_ref(), item))
    }

    /// Visible items after `after`, in the order of their ids.
    pub(crate) fn shown_after<'a>(
        &'a self,
        after: Option<&str>,
    ) -> impl DoubleEndedIterator<Item = (&'a str, &'a Item)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let range = self.0.range::<str, _>((from, Unbounded));
        range.filter(|(_, item)| item.shown.is_some()).map(|(id, item)| (id.as_ref(), item))
    }

    /// Saved items after `after`, in the order of their ids, as JSON text.
    pub(crate) fn saved_after<'a>(&'a self, after: Option<&str>) -> impl Iterator<Item = (&'a str, &'a str)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let range = self.0.range::<str, _>((from, Unbounded));
        range.filter_map(|(id, item)| Some((id.as_ref(), item.saved.as_deref()?)))
    }

    /// Finds a visible item by Meta's id. Walks all items: reads by that id are rare.
    pub(crate) fn by_meta_id(&self, meta_id: u64) -> Option<&str> {
        let mut found = self.0.iter().filter(|(_, item)| item.meta_id == meta_id && item.shown.is_some());
        found.next().map(|(id, _)| id.as_ref())
    }

    /// Changes an item behind the shop's back: fields replace what was sent, `null` removes one. Makes it when it is new.
    pub(crate) fn tamper(&mut self, id: &str, changes: Fields, meta_id: impl FnOnce() -> u64, now: Millis) {
        let mut fields = self.saved(id).unwrap_or_default();
        for (name, value) in changes {
            match value {
                Value::Null => drop(fields.remove(&name)),
                value => drop(fields.insert(name, value)),
            }
        }
        self.save(id, &fields, meta_id);
        self.publish(id, now);
    }

    /// Plants a review. Returns false when the item does not exist.
    pub(crate) fn review(&mut self, id: &str, review: Review) -> bool {
        self.0.get_mut(id).map(|item| item.review = Some(Box::new(review))).is_some()
    }
}

impl Item {
    /// The fields as `/products` shows them, names still as sent.
    pub(crate) fn shown_fields(&self) -> Option<Fields> {
        parse(self.shown.as_ref()?)
    }
}

fn parse(text: &str) -> Option<Fields> {
    serde_json::from_str(text).ok()
}

/// Merges what an UPDATE sent into what is saved: field by field, lists replaced whole, `""` and `[]` clear.
/// `null` changes nothing: it is unknown whether it clears at Meta, so no caller may rely on it.
pub(crate) fn merge(mut saved: Fields, sent: &Fields) -> Fields {
    for (name, value) in sent {
        match value {
            Value::Null => {}
            Value::String(text) if text.is_empty() => drop(saved.remove(name)),
            Value::Array(list) if list.is_empty() => drop(saved.remove(name)),
            _ => drop(saved.insert(name.clone(), value.clone())),
        }
    }
    saved
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn merging_is_field_by_field() {
        let saved = fields(json!({"title": "Belt", "sale_price": "1.00 USD", "video": [1], "tags": ["a", "b"]}));
        let sent = fields(json!({"sale_price": "", "video": [], "tags": ["c"], "brand": "Acme", "title": null}));
        assert_eq!(merge(saved, &sent), fields(json!({"title": "Belt", "tags": ["c"], "brand": "Acme"})));
    }

    #[test]
    fn a_deleted_item_is_shown_until_published() {
        let mut items = Items::default();
        items.save("a", &fields(json!({"title": "A"})), || 7);
        assert!(items.shown("a").is_none());
        items.publish("a", 1);
        assert!(items.delete("a") && !items.delete("a"));
        assert!(items.shown("a").is_some() && items.saved("a").is_none());
        items.publish("a", 2);
        assert!(items.shown("a").is_none());
    }
}
