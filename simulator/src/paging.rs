//! Cursor paging: opaque cursors, `next` only when there is more.

use serde_json::{Value, json};
use url::form_urlencoded;

use crate::errors::{GraphError, Result};
use crate::params::Params;

/// The part of a list a call asks for. Keys are sorted bytewise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    pub(crate) limit: usize,
    pub(crate) after: Option<String>,
    pub(crate) before: Option<String>,
}

impl Window {
    /// Reads `limit`, `after` and `before`.
    pub(crate) fn from_params(params: &Params, default: usize, max: usize) -> Result<Self> {
        // An empty key is the cursor of an empty first page: the list goes on from its start.
        let cursor = |name| -> Result<Option<String>> {
            let key = params.text(name).map(|text| decode(&text)).transpose()?;
            Ok(key.filter(|key| !key.is_empty()))
        };
        Ok(Self {
            limit: params.count("limit", default)?.clamp(1, max.max(1)),
            after: cursor("after")?,
            before: cursor("before")?,
        })
    }
}

/// What of a list is given, and whether there is more on either side.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) data: Vec<Value>,
    /// Keys of the first and last entry.
    pub(crate) edges: Option<(String, String)>,
    pub(crate) more: bool,
    pub(crate) earlier: bool,
}

/// Where a page was asked for, to write `next` and `previous`.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// Scheme, host and path.
    pub(crate) url: String,
    /// The query as sent, the token included: Meta repeats it too.
    pub(crate) query: String,
}

impl Page {
    /// The page of a list whose entries are all at hand, in the order of their keys.
    pub(crate) fn cut<T>(
        entries: &[(String, T)],
        window: &Window,
        mut render: impl FnMut(&T) -> Result<Value>,
    ) -> Result<Self> {
        let from = match &window.after {
            Some(after) => entries.iter().position(|(key, _)| key == after).map_or(entries.len(), |at| at + 1),
            None => 0,
        };
        let (from, to) = match &window.before {
            Some(before) => {
                let to = entries.iter().position(|(key, _)| key == before).unwrap_or(0);
                (to.saturating_sub(window.limit), to)
            }
            None => (from, entries.len().min(from + window.limit)),
        };
        let shown = &entries[from..to];
        Ok(Self {
            data: shown.iter().map(|(_, entry)| render(entry)).collect::<Result<_>>()?,
            edges: shown.first().zip(shown.last()).map(|(first, last)| (first.0.clone(), last.0.clone())),
            more: to < entries.len(),
            earlier: from > 0,
        })
    }

    /// `{"data":[…],"paging":{…}}`; an empty list has no `paging`.
    pub(crate) fn body(self, limit: usize, link: &Link, omit_paging: bool) -> Value {
        let mut body = json!({ "data": self.data });
        let Some((first, last)) = self.edges else {
            return body;
        };
        if omit_paging {
            return body;
        }
        let (before, after) = (encode(&first), encode(&last));
        let mut paging = json!({"cursors": {"before": before, "after": after}});
        if self.more {
            paging["next"] = link.with(limit, "after", &after).into();
        }
        if self.earlier {
            paging["previous"] = link.with(limit, "before", &before).into();
        }
        body["paging"] = paging;
        body
    }

    /// An empty page that still has a `next`, which Meta's documentation allows. `after` is where the list goes on.
    pub(crate) fn empty_with_next(limit: usize, link: &Link, after: Option<&str>) -> Value {
        let cursor = encode(after.unwrap_or_default());
        json!({"data": [], "paging": {
            "cursors": {"before": cursor, "after": cursor},
            "next": link.with(limit, "after", &cursor),
        }})
    }
}

impl Link {
    fn with(&self, limit: usize, name: &str, cursor: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let kept = form_urlencoded::parse(self.query.as_bytes());
        query.extend_pairs(kept.filter(|(key, _)| !matches!(key.as_ref(), "limit" | "after" | "before")));
        query.append_pair("limit", &limit.to_string()).append_pair(name, cursor);
        format!("{}?{}", self.url, query.finish())
    }
}

const PREFIX: &str = "QVFIU";

/// A cursor hides the key: clients must treat it as opaque.
fn encode(key: &str) -> String {
    format!("{PREFIX}{}", hex::encode(key))
}

fn decode(cursor: &str) -> Result<String> {
    let key =
        cursor.strip_prefix(PREFIX).and_then(|rest| hex::decode(rest).ok()).and_then(|b| String::from_utf8(b).ok());
    key.ok_or_else(|| GraphError::new(100, "(#100) Invalid parameter: the cursor is not valid"))
}
