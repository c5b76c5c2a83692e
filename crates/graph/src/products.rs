//! Items as Meta stores them.
//!
//! Purpose: read one item, and find out which of many exist.
//! Promises: texts are passed through as Meta shows them. `price` is formatted for display ("₹299.00", "£34.00") and
//! cannot be compared with the value that was sent.
//! Left out on purpose: reading a whole catalog, and the write edge of single items, whose field names differ.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::form_urlencoded::byte_serialize;

use super::Caller;
use super::call::Call;
use super::error::GraphFailure;
use super::paging::{Page, PageBudget};
use super::tolerant;
use super::transport::GraphClient;

const LIVE_FIELDS: &str = "id,retailer_id,availability,price,currency,review_status,errors";

/// The most ids in one look-up.
pub(super) const IDS_A_CALL: usize = 50;
/// The largest encoded filter of a look-up, in bytes; the filter is part of the URL.
pub(super) const FILTER_BYTES: usize = 6_000;

/// An item as Meta shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LiveItem {
    /// Meta's own id of the item.
    #[serde(deserialize_with = "tolerant::id")]
    pub id: String,
    /// The retailer id that this service sent.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub retailer_id: Option<String>,
    /// Availability, such as `in stock`.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub availability: Option<String>,
    /// For display only; its format depends on currency and locale.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub price: Option<String>,
    /// ISO 4217.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub currency: Option<String>,
    /// `approved`, `pending`, `rejected`, `outdated` or empty.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub review_status: Option<String>,
    /// Meta's current problems with the item.
    #[serde(default, deserialize_with = "tolerant::readable_list")]
    pub errors: Vec<ItemError>,
    /// The other fields that were asked for, as Meta writes them.
    #[serde(flatten)]
    pub more: MoreFields,
}

/// Fields as Meta writes them, by name.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct MoreFields(pub Map<String, Value>);

impl fmt::Debug for MoreFields {
    /// Tells their number: they may be long, and their text is from outside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fields", self.0.len())
    }
}

/// A problem that Meta reports for an item.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ItemError {
    /// Short text.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub title: Option<String>,
    /// Long text.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub description: Option<String>,
    /// Code, such as `IMAGE_FETCH_FAILED`.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub error_type: Option<String>,
    /// Priority: `HIGH`, `MEDIUM` or `LOW`.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub error_priority: Option<String>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    retailer_id: Option<String>,
}

impl GraphClient {
    /// Returns the item with this retailer id, or `None`. `more` names fields to read besides those of [`LiveItem`]. For
    /// minutes after a batch the item may be outdated or missing.
    ///
    /// # Errors
    /// When Meta refuses or the transport fails.
    pub async fn live_item(
        &self,
        caller: Caller<'_>,
        catalog_id: &str,
        retailer_id: &str,
        more: &[&str],
    ) -> Result<Option<LiveItem>, GraphFailure> {
        let filter = json!({"retailer_id": {"eq": retailer_id}}).to_string();
        let mut fields: Vec<&str> = LIVE_FIELDS.split(',').collect();
        fields.extend(more.iter().filter(|name| !LIVE_FIELDS.split(',').any(|known| known == **name)));
        let fields = fields.join(",");
        let call = products(caller, catalog_id, filter, &fields, 1);
        let page = self.send::<Page<LiveItem>>(call).await?.value;
        Ok(page.into_data().into_iter().next())
    }

    /// Returns which of these retailer ids the catalog has, with one call for every 50 or so.
    ///
    /// # Errors
    /// When Meta refuses or the transport fails in any of the calls; an incomplete result is never returned.
    pub async fn existing_items(
        &self,
        caller: Caller<'_>,
        catalog_id: &str,
        retailer_ids: &[String],
    ) -> Result<HashSet<String>, GraphFailure> {
        let mut existing = HashSet::new();
        for filter in filters(retailer_ids) {
            let call = products(caller, catalog_id, filter.json, "retailer_id", filter.ids);
            let found = self.list::<Found>(call, &mut PageBudget::default()).await?;
            existing.extend(found.into_iter().filter_map(|item| item.retailer_id));
        }
        let ids = || retailer_ids.iter().map(String::as_str);
        let (asked, cleaned): (HashSet<&str>, _) = (ids().collect(), super::words::shown_cleaned(ids()));
        let ours = |id: String| match cleaned.get(&id) {
            Some(ours) => Some((*ours).to_owned()),
            None => asked.contains(id.as_str()).then_some(id),
        };
        Ok(existing.into_iter().filter_map(ours).collect())
    }
}

fn products<'a>(caller: Caller<'a>, catalog_id: &'a str, filter: String, fields: &'a str, limit: usize) -> Call<'a> {
    Call::get(catalog_id, "products")
        .on_catalog(catalog_id)
        .by(caller)
        .param("filter", filter)
        .param("fields", fields)
        .param("limit", limit.to_string())
}

struct Filter {
    json: String,
    ids: usize,
}

/// The filters that together cover every id, each short enough for a URL.
fn filters(retailer_ids: &[String]) -> Vec<Filter> {
    let close = |terms: &mut Vec<String>| {
        let ids = terms.len();
        Filter { json: format!("{{\"or\":[{}]}}", std::mem::take(terms).join(",")), ids }
    };
    let mut filters = Vec::new();
    let (mut terms, mut bytes) = (Vec::new(), 0);
    for id in retailer_ids {
        let term = json!({"retailer_id": {"eq": id}}).to_string();
        let encoded: usize = byte_serialize(term.as_bytes()).map(str::len).sum();
        if !terms.is_empty() && (terms.len() == IDS_A_CALL || bytes + encoded > FILTER_BYTES) {
            filters.push(close(&mut terms));
            bytes = 0;
        }
        bytes += encoded;
        terms.push(term);
    }
    if !terms.is_empty() {
        filters.push(close(&mut terms));
    }
    filters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_asked_for_once_and_filters_stay_short() {
        let ids: Vec<String> =
            (0..120).map(|n| format!("sku-{n}")).chain((0..40).map(|n| "क".repeat(90) + &n.to_string())).collect();
        let filters = filters(&ids);
        let mut asked = Vec::new();
        for filter in &filters {
            let json: serde_json::Value = serde_json::from_str(&filter.json).expect("JSON");
            let terms = json["or"].as_array().expect("a list");
            assert_eq!(terms.len(), filter.ids);
            assert!(filter.ids <= IDS_A_CALL);
            let encoded: usize = byte_serialize(filter.json.as_bytes()).map(str::len).sum();
            assert!(encoded < FILTER_BYTES + 1_000, "{encoded}");
            asked.extend(terms.iter().map(|term| term["retailer_id"]["eq"].as_str().expect("a text").to_owned()));
        }
        assert_eq!(asked, ids);
        assert!(super::filters(&[]).is_empty());
    }

    #[test]
    fn item_is_read_with_and_without_errors() {
        let bare: LiveItem = serde_json::from_str(r#"{"id":5577001}"#).expect("an item");
        assert_eq!((bare.id.as_str(), bare.errors.len()), ("5577001", 0));
        let whole: LiveItem = serde_json::from_str(
            r#"{"id":"1","retailer_id":"sku-1","price":"₹299.00","errors":[{"title":"t","error_type":"EMPTY_PRICE"}]}"#,
        )
        .expect("an item");
        assert_eq!((whole.price.as_deref(), whole.more.0.len()), (Some("₹299.00"), 0));
        assert_eq!(whole.errors[0].error_type.as_deref(), Some("EMPTY_PRICE"));
        let more: LiveItem =
            serde_json::from_str(r#"{"id":"1","name":"Shirt","additional_image_urls":["a"]}"#).expect("an item");
        assert_eq!(Value::from(more.more.0), json!({"name": "Shirt", "additional_image_urls": ["a"]}));
    }
}
