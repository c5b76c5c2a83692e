//! Many items of a catalog by their retailer ids, in one call.
//!
//! Promises: one call, never more. An item that the answer does not have counts as absent only if the answer is certain
//! to be whole ([`LookUp::is_whole`]): it has no further page, and nothing in it that cannot be read or was not asked for.
//! Left out on purpose: walking a catalog. Meta's paging may miss items and repeat them, so a walk proves nothing.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};
use url::form_urlencoded::byte_serialize;

use super::call::Call;
use super::error::GraphFailure;
use super::paging::{Next, Page};
use super::products::{FILTER_BYTES, IDS_A_CALL, MoreFields};
use super::transport::GraphClient;
use super::usage::Usage;
use super::{Caller, words};

/// How the question is put. Both mean the same, so a misunderstanding of one of them shows by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `{"retailer_id":{"is_any":[…]}}`.
    IsAny,
    /// `{"or":[{"retailer_id":{"eq":…}},…]}`.
    EachOf,
}

/// What the catalog shows of the items that were asked for.
#[derive(Clone, Debug)]
pub struct LookUp {
    /// The items by retailer id, with the fields that were asked for.
    pub found: HashMap<String, Map<String, Value>>,
    /// Whether what is not in `found` is not in the catalog.
    pub is_whole: bool,
    /// Meta's usage headers.
    pub usage: Usage,
}

/// Returns how many of these ids, from the first on, fit into one look-up. At least one, when there is one.
#[must_use]
pub fn fitting(retailer_ids: &[&str]) -> usize {
    let mut bytes = 0;
    for (at, id) in retailer_ids.iter().take(IDS_A_CALL).enumerate() {
        // The longer of the two forms.
        let term = format!("{},", json!({"retailer_id": {"eq": id}}));
        bytes += byte_serialize(term.as_bytes()).map(str::len).sum::<usize>();
        if bytes > FILTER_BYTES && at > 0 {
            return at;
        }
    }
    retailer_ids.len().min(IDS_A_CALL)
}

impl GraphClient {
    /// Looks up the items with these retailer ids, at most [`fitting`] of them. `fields` names what to read besides the
    /// retailer id. For minutes after a batch, items may be outdated or missing.
    ///
    /// # Errors
    /// When Meta refuses or the transport fails.
    pub async fn look_up(
        &self,
        caller: Caller<'_>,
        catalog_id: &str,
        retailer_ids: &[&str],
        fields: &[&str],
        form: Form,
    ) -> Result<LookUp, GraphFailure> {
        let filter = match form {
            Form::IsAny => json!({"retailer_id": {"is_any": retailer_ids}}),
            Form::EachOf => {
                let terms = retailer_ids.iter().map(|id| json!({"retailer_id": {"eq": id}}));
                json!({"or": terms.collect::<Vec<_>>()})
            }
        };
        let mut fields: Vec<&str> = fields.iter().copied().filter(|name| *name != "retailer_id").collect();
        fields.push("retailer_id");
        let fields = fields.join(",");
        let call = Call::get(catalog_id, "products")
            .on_catalog(catalog_id)
            .by(caller)
            .param("filter", filter.to_string())
            .param("fields", &fields)
            .param("limit", retailer_ids.len().to_string());
        let answer = self.send::<Page<MoreFields>>(call).await?;
        Ok(read(retailer_ids, answer.value, answer.usage))
    }
}

fn read(asked: &[&str], page: Page<MoreFields>, usage: Usage) -> LookUp {
    let cleaned = words::shown_cleaned(asked.iter().copied());
    let known: HashSet<&str> = asked.iter().copied().collect();
    let has_more = page.next() != Next::End;
    let mut found: HashMap<String, Map<String, Value>> = HashMap::with_capacity(asked.len());
    let mut is_read = true;
    for MoreFields(item) in page.into_data() {
        let id = item.get("retailer_id").and_then(Value::as_str);
        let id = id.and_then(|id| cleaned.get(id).copied().or_else(|| known.get(id).copied())).map(str::to_owned);
        match id {
            Some(id) => drop(found.entry(id).or_insert(item)),
            None => is_read = false,
        }
    }
    // A further page matters only while something is missing.
    let is_whole = is_read && (!has_more || found.len() == known.len());
    LookUp { found, is_whole, usage }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_is_told_only_by_a_whole_answer() {
        let next = json!({"cursors": {"after": "a"}, "next": "https://x/y"});
        for (name, page, found, is_whole) in [
            ("everything", json!({"data": [{"retailer_id": "a"}, {"retailer_id": "b"}]}), 2, true),
            ("one is missing", json!({"data": [{"retailer_id": "a", "name": "A"}]}), 1, true),
            ("nothing", json!({"data": []}), 0, true),
            ("a further page", json!({"data": [{"retailer_id": "a"}], "paging": next}), 1, false),
            (
                "a page that cannot matter",
                json!({"data": [{"retailer_id": "a"}, {"retailer_id": "b"}], "paging": next}),
                2,
                true,
            ),
            ("a stranger", json!({"data": [{"retailer_id": "a"}, {"retailer_id": "c"}]}), 1, false),
            ("an item without its id", json!({"data": [{"id": "1"}]}), 0, false),
        ] {
            let page: Page<MoreFields> = serde_json::from_value(page).expect("a page");
            let told = read(&["a", "b"], page, Usage::default());
            assert_eq!((told.found.len(), told.is_whole), (found, is_whole), "{name}");
        }
    }

    #[test]
    fn fifty_common_ids_fit_and_long_ones_are_fewer() {
        let ids: Vec<String> = (0..60).map(|n| format!("0199a1b2-0000-7000-8000-{n:012}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        assert_eq!((fitting(&ids), fitting(&ids[..7]), fitting(&[])), (50, 7, 0));
        let long = "क".repeat(900);
        assert_eq!(fitting(&[&long, &long]), 1, "one is always asked for");
    }
}
