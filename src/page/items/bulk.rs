//! Actions on many items: the page that confirms them, and what it sends.
//!
//! Promises: the page tells the exact number; when more than that would be touched, nothing is done and the page comes back
//! with the new number; removing more than a hundred items needs the number typed in.

use askama::Template;
use axum::extract::{Query as FromQuery, RawForm, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::query::Query;
use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::error::ApiError;
use crate::page::flash;
use crate::page::frame::{Frame, Place, Visit};
use crate::page::shell::{see_other, with_status};
use crate::page::words::{self, counted};
use catalog_sync::admin::bulk::{self as actions, Action};
use catalog_sync::admin::items::Filter;
use catalog_sync::admin::{AdminError, intents, items};

/// Removing more items than this needs their number typed in.
const MANY: u64 = 100;

/// The actions, with their names.
pub(super) const OFFERED: [(Action, &str); 6] = [
    (Action::Resync, "Decide again"),
    (Action::Push, "Push again"),
    (Action::Delete, "Delete from Meta"),
    (Action::Exclude, "Exclude"),
    (Action::Include, "Include again"),
    (Action::Release, "Release held deletes"),
];

fn name(action: Action) -> &'static str {
    OFFERED.iter().find(|(offered, _)| *offered == action).map_or("", |(_, name)| name)
}

/// What the action does, for the page that confirms it.
fn means(action: Action) -> &'static str {
    match action {
        Action::Resync => {
            "Each item is read and mapped again. What Meta already has is not sent; what changed is sent, and what is no longer \
             eligible is removed."
        }
        Action::Push => {
            "Each item is mapped again and sent, even when Meta has exactly this payload. It uses calls for all of them."
        }
        Action::Delete => {
            "The items are removed from the catalog at Meta. Ads and tags that use them stop showing them. The next change of \
             the shop brings an item back; to keep it out, exclude it instead."
        }
        Action::Exclude => {
            "The items are removed from Meta and kept out, through every bootstrap, re-map and other catalog, until you include \
             them again. Items that are excluded already are not counted."
        }
        Action::Include => {
            "The items are no longer kept out. What is eligible is sent to Meta. Only excluded items are counted."
        }
        Action::Release => "The held removals are carried out: the items disappear from the catalog at Meta.",
    }
}

/// A form of the list or of the confirmation.
#[derive(Clone, Debug, Default)]
struct Sent {
    action: String,
    query: Query,
    /// The chosen items; empty for everything that the query selects.
    ids: Vec<String>,
    is_selection: bool,
    expected: Option<u64>,
    typed: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Fields {
    action: String,
    scope: String,
    expected: Option<u64>,
    typed: String,
}

impl Sent {
    /// Reads a form. A field `id` may come many times.
    fn read(form: &[u8]) -> Result<Self, ApiError> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(form).into_owned().collect();
        let (ids, rest): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(name, _)| name == "id");
        let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(rest).finish();
        let unread = |_| ApiError::bad_request("the form cannot be read; load the list again");
        let uri =
            |encoded: &str| format!("/?{encoded}").parse().map_err(|_| ApiError::bad_request("the form is too long"));
        let uri = uri(&encoded)?;
        let FromQuery(query) = FromQuery::<Query>::try_from_uri(&uri).map_err(unread)?;
        let FromQuery(fields) = FromQuery::<Fields>::try_from_uri(&uri).map_err(unread)?;
        let ids: Vec<String> = ids.into_iter().map(|(_, id)| id).collect();
        if ids.len() > intents::MOST || ids.iter().any(|id| id.contains('\0')) {
            return Err(ApiError::validation(format!("at most {} items can be chosen one by one", intents::MOST)));
        }
        let is_selection = fields.scope == "selected";
        let Fields { action, expected, typed, .. } = fields;
        let ids = if is_selection { ids } else { Vec::new() };
        Ok(Self { action, query: query.resolved(), ids, is_selection, expected, typed })
    }

    fn action(&self) -> Result<Action, ApiError> {
        Action::named(&self.action).ok_or_else(|| ApiError::validation("choose what to do with the items"))
    }

    async fn filter(&self, api: &Api) -> Result<Filter, ApiError> {
        if self.is_selection {
            return Ok(Filter { ids: Some(self.ids.clone()), ..Filter::default() });
        }
        let selected = self.query.selected().map_err(ApiError::validation)?;
        Ok(items::filter(&api.app, selected.asked()).await?)
    }
}

#[derive(Template)]
#[template(path = "items_confirm.html")]
struct Confirm {
    frame: Frame,
    title: String,
    means: &'static str,
    action: Action,
    count: u64,
    sent: Sent,
    /// Whether the number has to be typed in.
    is_typed: bool,
    /// What was wrong with the last try.
    wrong: Option<String>,
    back: String,
}

impl Confirm {
    /// What the query selects, in words.
    fn selects(&self) -> String {
        if self.sent.is_selection {
            return "the items that you selected".to_owned();
        }
        let fields = self.sent.query.fields();
        if fields.is_empty() {
            return "every item".to_owned();
        }
        let part = |(name, value): &(&'static str, &str)| match *name {
            "status" => format!("state “{}”", words::of_state(value).name),
            "held" => "with a held delete".to_owned(),
            "parked" => "set aside after faults".to_owned(),
            "excluded" => "excluded".to_owned(),
            name => format!("{name} “{value}”"),
        };
        format!("every item with this filter: {}", fields.iter().map(part).collect::<Vec<_>>().join(", "))
    }
}

async fn confirm(
    api: &Api,
    visit: Visit,
    sent: Sent,
    status: StatusCode,
    wrong: Option<String>,
) -> Result<Response, ApiError> {
    let count = actions::count(&api.app, &sent.filter(api).await?, sent.action()?).await?;
    counted_as(api, visit, sent, count, status, wrong).await
}

async fn counted_as(
    api: &Api,
    visit: Visit,
    sent: Sent,
    count: u64,
    status: StatusCode,
    wrong: Option<String>,
) -> Result<Response, ApiError> {
    let action = sent.action()?;
    let frame = Frame::load(api, visit, Place::Items, name(action)).await?;
    let is_typed = action.removes() && count > MANY;
    let title = format!("{}: {}", name(action), counted(count, "item", "items"));
    let back = sent.query.path("/items", &[]);
    with_status(status, &Confirm { frame, title, means: means(action), action, count, sent, is_typed, wrong, back })
}

/// `GET /items/bulk`: confirms an action on everything that a query selects.
pub(super) async fn ask(
    _: Manage,
    visit: Visit,
    State(api): State<Api>,
    axum::extract::RawQuery(query): axum::extract::RawQuery,
) -> Result<Response, ApiError> {
    let sent = Sent::read(query.unwrap_or_default().as_bytes())?;
    confirm(&api, visit, sent, StatusCode::OK, None).await
}

/// `POST /items/bulk/confirm`: confirms an action on chosen items, which are too many for an address. It changes nothing.
pub(super) async fn ask_for_selected(
    _: Manage,
    visit: Visit,
    State(api): State<Api>,
    RawForm(form): RawForm,
) -> Result<Response, ApiError> {
    confirm(&api, visit, Sent::read(&form)?, StatusCode::OK, None).await
}

/// `POST /items/bulk`: does it.
pub(super) async fn apply(
    _: Manage,
    visit: Visit,
    State(api): State<Api>,
    RawForm(form): RawForm,
) -> Result<Response, ApiError> {
    let sent = Sent::read(&form)?;
    let action = sent.action()?;
    let filter = sent.filter(&api).await?;
    let Some(expected) = sent.expected else {
        return confirm(&api, visit, sent, StatusCode::OK, None).await;
    };
    if action.removes() && expected > MANY && digits(&sent.typed) != expected.to_string() {
        let wrong = "The number is not the one above. Nothing was done.".to_owned();
        return confirm(&api, visit, sent, StatusCode::UNPROCESSABLE_ENTITY, Some(wrong)).await;
    }
    match actions::apply(&api.app, &filter, action, Some(expected)).await {
        Ok(touched) => {
            let code = if action == Action::Release { "released" } else { action.as_str() };
            Ok(see_other(&flash::with(&sent.query.path("/items", &[]), code, touched)))
        }
        Err(AdminError::Outgrown { confirmed, found }) => {
            let wrong = format!(
                "You confirmed {}, and {} would be touched now. Nothing was done. Confirm the new number, or go back.",
                counted(confirmed, "item", "items"),
                words::number(found)
            );
            counted_as(&api, visit, sent, found, StatusCode::CONFLICT, Some(wrong)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The number as it may be typed: with or without its commas.
fn digits(typed: &str) -> String {
    typed.chars().filter(|c| !c.is_whitespace() && !matches!(c, ',' | '.' | '\'')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read() {
        let sent =
            Sent::read(b"action=delete&status=failed&search=a%26b&id=1&id=2&scope=selected&expected=2").expect("taken");
        assert_eq!((&*sent.query.status, &*sent.query.search, sent.expected), ("failed", "a&b", Some(2)));
        assert_eq!(sent.ids, ["1", "2"]);
        let all = Sent::read(b"action=delete&id=1&scope=all").expect("taken");
        assert!(all.ids.is_empty() && !all.is_selection, "everything that the filter shows");
        assert!(Sent::read(b"expected=x").is_err());
        assert!(Sent::read("id=1&".repeat(1_001).as_bytes()).is_err());
        assert!(Sent::read(b"action=drop").expect("read").action().is_err());
    }

    #[test]
    fn a_number_is_typed_with_or_without_commas() {
        for (typed, expected) in [("1,234", "1234"), (" 1234 ", "1234"), ("1 234", "1234"), ("12x", "12x"), ("", "")] {
            assert_eq!(digits(typed), expected);
        }
        for (action, name) in OFFERED {
            assert!(!name.is_empty() && means(action).ends_with('.'), "{action:?}");
        }
    }
}
