//! The query of the list: what it selects, and the address that says so.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::search::{Typed, cause_of, parse};
use catalog_sync::admin::items::ItemsAsked;

/// The fields of the address and of the forms. They are outside input; the use case refuses what is not valid.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Query {
    pub(super) status: String,
    /// What was typed: see [`super::search`].
    pub(super) search: String,
    pub(super) cause: String,
    pub(super) warning: String,
    /// A cause, or the code of a warning.
    code: String,
    pub(super) held: String,
    pub(super) parked: String,
    pub(super) excluded: String,
    pub(super) after: String,
    pub(super) before: String,
    /// The path of another choice of the rail.
    pub(super) to: String,
}

/// What a query selects: its fields and what was typed, together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selected {
    typed: Typed,
    status: String,
    cause: String,
    warning: String,
    held: bool,
    parked: bool,
    excluded: bool,
}

fn is_set(flag: &str) -> bool {
    matches!(flag, "true" | "1")
}

impl Query {
    /// The same query, with `code` as what it stands for.
    pub(super) fn resolved(mut self) -> Self {
        let code = std::mem::take(&mut self.code);
        if code.contains(':') && self.cause.is_empty() {
            self.cause = cause_of(&code);
        } else if self.warning.is_empty() {
            self.warning = code;
        }
        self
    }

    /// Takes what was typed apart, or says what is wrong with it.
    pub(super) fn selected(&self) -> Result<Selected, String> {
        let typed = parse(&self.search)?;
        let both = |word: &str, field: &str, typed: &Option<String>| match typed {
            Some(typed) if !field.is_empty() && field != typed => {
                Err(format!("“{word}:” says another one than the filter beside it. Remove one of them."))
            }
            Some(typed) => Ok(typed.clone()),
            None => Ok(field.to_owned()),
        };
        Ok(Selected {
            status: both("state", &self.status, &typed.state)?,
            cause: both("reason", &self.cause, &typed.reason)?,
            warning: both("warning", &self.warning, &typed.warning)?,
            held: is_set(&self.held) || typed.held,
            parked: is_set(&self.parked) || typed.parked,
            excluded: is_set(&self.excluded) || typed.excluded,
            typed,
        })
    }

    /// The fields that are given, without the place in the list.
    pub(super) fn fields(&self) -> Vec<(&'static str, &str)> {
        let flag = |flag| if is_set(flag) { "true" } else { "" };
        let fields = [
            ("status", &*self.status),
            ("search", self.search.trim()),
            ("cause", &*self.cause),
            ("warning", &*self.warning),
            ("held", flag(&*self.held)),
            ("parked", flag(&*self.parked)),
            ("excluded", flag(&*self.excluded)),
        ];
        fields.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The path of a page of this query, with more fields.
    pub(super) fn path(&self, page: &str, more: &[(&'static str, &str)]) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let fields = self.fields();
        let pairs = more.iter().chain(&fields).map(|(name, value)| format!("{name}={}", encoded(value)));
        let query = pairs.collect::<Vec<_>>().join("&");
        if query.is_empty() { page.to_owned() } else { format!("{page}?{query}") }
    }

    /// Whether it selects everything.
    pub(super) fn is_empty(&self) -> bool {
        self.fields().is_empty()
    }

    /// Another choice of the rail, with the same search.
    pub(super) fn chosen(&self, field: &str, value: &str) -> Self {
        let mut chosen = Self { search: self.search.clone(), ..Self::default() };
        let place = match field {
            "status" => &mut chosen.status,
            "held" => &mut chosen.held,
            "parked" => &mut chosen.parked,
            "excluded" => &mut chosen.excluded,
            _ => return chosen,
        };
        value.clone_into(place);
        chosen
    }
}

impl Selected {
    /// As the use cases take it.
    pub(super) fn asked(&self) -> ItemsAsked<'_> {
        let flag = |is_set: bool| is_set.then_some("true");
        ItemsAsked {
            page: None,
            limit: None,
            status: Some(&self.status),
            search: Some(&self.typed.text),
            eligible_only: flag(self.typed.eligible),
            warning: Some(&self.warning),
            cause: Some(&self.cause),
            held: flag(self.held),
            parked: flag(self.parked),
            excluded: flag(self.excluded),
            id: self.typed.id.as_deref(),
            vendor: self.typed.vendor.as_deref(),
            brand: self.typed.brand.as_deref(),
            category: self.typed.category.as_deref(),
        }
    }

    /// Whether it selects by a state alone, or nothing.
    pub(super) fn is_plain(&self) -> bool {
        *self
            == Self {
                status: self.status.clone(),
                typed: Typed { state: self.typed.state.clone(), ..Typed::default() },
                ..Self::default()
            }
    }

    /// The state, or nothing.
    pub(super) fn status(&self) -> &str {
        &self.status
    }

    /// Whether it selects only what needs care, so that an empty list is good.
    pub(super) fn is_trouble(&self) -> bool {
        let is_care =
            self.status == "failed" || self.held || self.parked || !self.cause.is_empty() || !self.warning.is_empty();
        is_care
            && self.typed.text.is_empty()
            && self.typed.id.is_none()
            && self.typed.vendor.is_none()
            && self.typed.brand.is_none()
            && self.typed.category.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(search: &str) -> Query {
        Query { search: search.into(), ..Query::default() }
    }

    #[test]
    fn an_address_says_what_is_selected() {
        let query = Query { status: "failed".into(), search: " a&b ".into(), held: "yes".into(), ..Query::default() };
        assert_eq!(query.path("/items", &[("after", "x_y")]), "/items?after=x%5Fy&status=failed&search=a%26b");
        assert_eq!(Query::default().path("/items", &[]), "/items");
        assert_eq!(query.chosen("held", "true").path("/items", &[]), "/items?search=a%26b&held=true");
        let coded = |code: &str| Query { code: code.into(), ..Query::default() }.resolved();
        assert_eq!(coded("meta:x").cause, "meta:x");
        assert_eq!(coded("missing_brand").warning, "missing_brand");
    }

    #[test]
    fn fields_and_words_are_put_together() {
        let selected = Query { status: "failed".into(), ..search("is:held red") }.selected().expect("taken");
        assert!(selected.held && selected.status == "failed" && selected.typed.text == "red");
        let asked = selected.asked();
        assert_eq!((asked.held, asked.search, asked.excluded), (Some("true"), Some("red"), None));
        let both = Query { status: "failed".into(), ..search("state:synced") }.selected();
        assert!(both.expect_err("refused").contains("another one"));
        assert!(search("state:failed").selected().expect("taken").is_plain());
        assert!(!search("red").selected().expect("taken").is_plain());
        assert!(search("is:held").selected().expect("taken").is_trouble());
    }
}
