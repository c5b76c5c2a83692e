//! Meta's cursor paging.
//!
//! Purpose: read an edge, or a nested edge that came with its parent, to the last page.
//! Promises: only the cursor is taken from an answer, never the `next` URL, which could send a token to another host;
//! the number of pages is bounded; a listing that exceeds the bound is a failure, so an incomplete list is never
//! returned.
//! Left out on purpose: paging backwards, and storing cursors (a cursor becomes invalid with its item).

use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::call::Call;
use super::error::{FailureKind, GraphFailure};
use super::tolerant;
use super::transport::GraphClient;

/// The most pages that one listing may read, including nested ones.
const MAX_PAGES: u32 = 500;

/// One page of an edge.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct Page<T> {
    /// May be empty although more pages follow.
    #[serde(deserialize_with = "tolerant::list")]
    data: Vec<T>,
    #[serde(default)]
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    cursors: Option<Cursors>,
    #[serde(default, deserialize_with = "tolerant::link_or_none")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Cursors {
    #[serde(default, deserialize_with = "tolerant::cursor_or_none")]
    after: Option<String>,
}

/// The continuation of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    End,
    After(String),
    /// `next` is present, but no known place has a cursor.
    Lost,
}

impl<T> Page<T> {
    /// The elements of this page only.
    pub(super) fn into_data(self) -> Vec<T> {
        self.data
    }

    /// The last page is the one without `next`; `cursors.after` is present on it too.
    pub(super) fn next(&self) -> Next {
        let Some(paging) = &self.paging else {
            return Next::End;
        };
        let Some(next) = &paging.next else {
            return Next::End;
        };
        let given = paging.cursors.as_ref().and_then(|cursors| cursors.after.clone());
        let in_url = || {
            let url = Url::parse(next).ok()?;
            url.query_pairs().find(|(name, _)| name == "after").map(|(_, value)| value.into_owned())
        };
        let usable = |after: &String| super::words::opaque(after, super::words::LONGEST_TOKEN).is_ok();
        given.or_else(in_url).filter(usable).map_or(Next::Lost, Next::After)
    }
}

/// The number of pages that a listing may still read.
pub(super) struct PageBudget(u32);

impl Default for PageBudget {
    fn default() -> Self {
        Self(MAX_PAGES)
    }
}

impl GraphClient {
    /// Returns every element of an edge. `call` requests its first page.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        budget: &mut PageBudget,
    ) -> Result<Vec<T>, GraphFailure> {
        let first = self.send::<Page<T>>(call.clone()).await?.value;
        self.list_on(first, call, budget).await
    }

    /// Returns every element of an edge whose first page is known. `call` requests a page without a cursor.
    pub(super) async fn list_on<T: DeserializeOwned>(
        &self,
        first: Page<T>,
        call: Call<'_>,
        budget: &mut PageBudget,
    ) -> Result<Vec<T>, GraphFailure> {
        let fail = |detail: &str| {
            Err(GraphFailure::without_error(FailureKind::Unreadable, call.edge, Some(200), detail.to_owned()))
        };
        let mut page = first;
        let mut elements = Vec::new();
        let mut last_cursor = None;
        loop {
            let next = page.next();
            elements.append(&mut page.data);
            let after = match next {
                Next::End => return Ok(elements),
                Next::After(after) => after,
                Next::Lost => return fail("a page announces a next page but has no cursor"),
            };
            if last_cursor.as_ref() == Some(&after) {
                return fail("the listing repeats a cursor");
            }
            let Some(left) = budget.0.checked_sub(1) else {
                return fail("the listing does not end");
            };
            budget.0 = left;
            page = self.send(call.clone().param("after", after.clone())).await?.value;
            last_cursor = Some(after);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn end_and_cursor_are_told_in_every_form() {
        let after = |cursor: &str| Next::After(cursor.to_owned());
        let cases = [
            (json!({"data": []}), Next::End),
            (json!({"data": null}), Next::End),
            (json!({"data": [1], "paging": null}), Next::End),
            (json!({"data": [1], "paging": {"cursors": {"before": "b", "after": "a"}}}), Next::End),
            (json!({"data": [], "paging": {"cursors": {"after": "a"}, "next": "https://x/y"}}), after("a")),
            (
                json!({"data": [1], "paging": {"next": "https://evil.example/v25.0/1/products?limit=1&after=a%3D"}}),
                after("a="),
            ),
            (json!({"data": [1], "paging": {"cursors": {}, "next": "https://x/y?limit=1"}}), Next::Lost),
            (json!({"data": [1], "paging": {"cursors": {"after": ""}, "next": "nonsense"}}), Next::Lost),
        ];
        for (page, expected) in cases {
            let read: Page<Value> = serde_json::from_value(page.clone()).expect("a page");
            assert_eq!(read.next(), expected, "{page}");
        }
        assert!(serde_json::from_value::<Page<Value>>(json!({"paging": {}})).is_err(), "an edge has data");
    }
}
