//! `/items/{variantId}`: one variant, why it is at Meta as it is, and what an operator can do about it.
//!
//! Promises: Meta is asked only when the visitor asks for it, never by a refresh; what takes an item out of the catalog is
//! confirmed on a page of its own; a variant that the shop no longer has is shown as long as something is recorded of it.
//! Left out on purpose: the list ([`super`]'s `/items`), and what the actions do ([`catalog_sync::admin::intents`]).

pub(super) mod said;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use self::said::{Told, happened, next_sentence, rule_name, source_note, todo_of_cause, todo_of_rule};
use super::flash;
use super::frame::{Frame, Place, Visit};
use super::shell::{page, see_other, with_status};
use super::words::{self, Look, of_state};
use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::error::ApiError;
use crate::http::extract::VariantId;
use catalog_sync::admin::compare::{self, ComparedField, ItemComparison};
use catalog_sync::admin::explain::{self, ItemExplanation};
use catalog_sync::admin::intents::{self, Request};
use catalog_sync::admin::item_detail::{self, ItemDetail, StateView, WarningView};
use catalog_sync::admin::{AdminError, timeline};

use catalog_sync::domain::advice;
use catalog_sync::domain::cause;
use catalog_sync::domain::lint::Finding;
use catalog_sync::report::clip;

/// What stays as it is in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The longest value that a cell shows at once, in characters.
const SHOWN: usize = 160;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/items/{variant_id}", get(read))
        .route("/items/{variant_id}/resync", post(resync))
        .route("/items/{variant_id}/push", post(push))
        .route("/items/{variant_id}/delete", get(ask_to_delete).post(delete))
        .route("/items/{variant_id}/exclude", get(ask_to_exclude).post(exclude))
        .route("/items/{variant_id}/include", post(include))
}

/// The path of a variant's page.
#[must_use]
pub fn path_of(variant_id: &str) -> String {
    format!("/items/{}", utf8_percent_encode(variant_id, SEGMENT))
}

#[derive(Deserialize)]
struct Asked {
    live: Option<String>,
}

/// An API call that does the same as a button.
struct Call {
    name: &'static str,
    curl: String,
}

#[derive(Template)]
#[template(path = "item.html")]
struct ItemPage {
    frame: Frame,
    id: String,
    /// The path of this page.
    path: String,
    look: Look,
    next: String,
    /// What the shop has; `None` when it no longer has the variant.
    shop: Option<Box<InShop>>,
    state: Option<StateView>,
    todo: Option<&'static str>,
    events: Vec<Told>,
    calls: Vec<Call>,
    /// The catalog in Commerce Manager.
    at_meta: Option<String>,
}

impl ItemPage {
    /// Whether an operator keeps the variant out.
    fn is_excluded(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.excluded)
    }
}

/// What is known of a variant that the shop has.
struct InShop {
    detail: ItemDetail,
    explained: ItemExplanation,
    comparison: ItemComparison,
    is_live: bool,
}

/// A value in a cell: its beginning, and the whole where it is longer.
struct Cell {
    short: String,
    whole: Option<String>,
}

fn cell(value: Option<&String>) -> Option<Cell> {
    let value = value?;
    let short = clip(value, SHOWN).into_owned();
    let whole = (short.len() < value.len()).then(|| value.clone());
    Some(Cell { short, whole })
}

/// The name of a field at Meta, where it is another.
fn renamed(row: &ComparedField) -> Option<&str> {
    row.read_as.as_deref().filter(|read| *read != row.field)
}

impl InShop {
    /// How many fields differ between the sides that are known.
    fn differing(&self) -> String {
        match self.comparison.rows.iter().filter(|row| row.changes || row.agreement == "differs").count() {
            0 => "No difference is known.".to_owned(),
            many => format!("{}.", words::counted(many, "field differs", "fields differ")),
        }
    }

    /// What Meta says is wrong with the item, each with what to do about it.
    fn errors(&self) -> Vec<(&str, &'static str)> {
        let live = self.comparison.live.as_ref().filter(|live| live.found);
        let errors = live.into_iter().flat_map(|live| &live.errors);
        errors.map(|error| (&*error.message, todo_of_cause(&cause::of_meta(&error.message)))).collect()
    }

    /// Why Meta was not asked, or has nothing.
    fn not_found(&self) -> Option<String> {
        let live = self.comparison.live.as_ref().filter(|live| !live.found)?;
        Some(match live.errors.first() {
            Some(error) => format!("Meta was not asked: {}", error.message),
            None => "Meta has no item with this id. After a push that may be so for some minutes.".to_owned(),
        })
    }
}

/// Where a warning comes from.
fn found_by(warning: &WarningView) -> &'static str {
    if Finding::of_code(&warning.code).is_some() { "compared with other items" } else { "mapper" }
}

async fn read(
    visit: Visit,
    State(api): State<Api>,
    VariantId(id): VariantId,
    Query(Asked { live }): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let is_live = live.is_some_and(|live| live == "1" || live == "true");
    if is_live && headers.contains_key("hx-request") {
        // A refresh of the page by itself: Meta is not asked again, and what is shown stays.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let app = &api.app;
    let found = match item_detail::detail(app, &id).await {
        Ok(detail) => Some(detail),
        Err(AdminError::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let state = match &found {
        Some(detail) => detail.sync_state.clone(),
        None => item_detail::state(app, &id).await?,
    };
    if found.is_none() && state.is_none() {
        return unknown(&api, visit, &id).await;
    }
    let events = timeline::timeline(app, &id).await?;
    let shop = match found {
        Some(detail) => {
            let explained = explain::explain_with(app, &id, &detail).await?;
            let comparison = compare::compare_with(app, &id, detail.clone(), is_live).await?;
            Some(Box::new(InShop { detail, explained, comparison, is_live }))
        }
        None => None,
    };
    let title = shop.as_ref().map(|shop| shop.detail.product.title.clone()).filter(|title| !title.trim().is_empty());
    let frame = Frame::load(&api, visit, Place::Items, title.unwrap_or_else(|| clip(&id, 100).into_owned())).await?;
    let is_queued = events.iter().any(|event| event.open);
    let next = match &shop {
        Some(shop) => next_sentence(&shop.detail.next, is_queued, frame.status.sync_enabled),
        None => {
            "The shop no longer has this variant. Its item is removed from Meta when it is decided next.".to_owned()
        }
    };
    let path = path_of(&id);
    page(&ItemPage {
        look: of_state(state.as_ref().map_or("never_synced", |state| &state.status)),
        next,
        todo: state.as_ref().and_then(|state| state.cause.as_deref()).map(todo_of_cause),
        events: events.iter().map(happened).collect(),
        calls: calls(&api.site.api_url, &id, state.as_ref()),
        at_meta: frame.status.selection.as_ref().map(|selection| {
            let digits = |id: &str| id.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
            let catalog = digits(&selection.catalog_id);
            format!("https://business.facebook.com/commerce/catalogs/{catalog}/products")
        }),
        frame,
        path,
        id,
        shop,
        state,
    })
}

/// The API calls that do the same as this page, to paste into a shell.
fn calls(api_url: &str, id: &str, state: Option<&StateView>) -> Vec<Call> {
    // Nothing that the shell could read is left in the id; a quote in the configured address ends nothing.
    let base = api_url.trim_end_matches('/').replace('\'', "%27");
    let id = utf8_percent_encode(id, SEGMENT);
    let call = |name, method: &str, rest: &str| Call {
        name,
        curl: format!(
            "curl {method}-H \"Authorization: Bearer $META_CATALOG_TOKEN\" '{base}/admin/meta/items/{id}{rest}'"
        ),
    };
    let is_excluded = state.is_some_and(|state| state.excluded);
    vec![
        call("Explain", "", "/explain"),
        call("Compare with Meta", "", "/compare?live=true"),
        call("Decide again", "-X POST ", "/resync"),
        call("Push again", "-X POST ", "/resync?force=true"),
        call("Delete from Meta", "-X POST ", "/delete-from-meta"),
        if is_excluded { call("Include", "-X POST ", "/include") } else { call("Exclude", "-X POST ", "/exclude") },
    ]
}

#[derive(Template)]
#[template(path = "item_unknown.html")]
struct Unknown {
    frame: Frame,
    id: String,
}

async fn unknown(api: &Api, visit: Visit, id: &str) -> Result<Response, ApiError> {
    let frame = Frame::load(api, visit, Place::Items, "There is no such item").await?;
    with_status(StatusCode::NOT_FOUND, &Unknown { frame, id: clip(id, 200).into_owned() })
}

/// What is to be confirmed.
#[derive(Template)]
#[template(path = "item_confirm.html")]
struct Confirm {
    frame: Frame,
    path: String,
    id: String,
    title: &'static str,
    text: &'static str,
    /// The last part of the path that does it.
    verb: &'static str,
    stay: &'static str,
}

async fn confirm(api: &Api, visit: Visit, id: String, request: Request) -> Result<Response, ApiError> {
    let (title, text, verb, stay) = match request {
        Request::Exclude => (
            "Exclude this item",
            "The item is removed from Meta and kept out, through every bootstrap, re-map and other catalog, until you include \
             it again. Ads and tags that use it stop showing it.",
            "exclude",
            "Keep it in",
        ),
        _ => (
            "Delete this item from Meta",
            "The item is removed from the catalog at Meta. Ads and tags that use it stop showing it. The next change of the shop \
             brings it back; to keep it out, exclude it instead.",
            "delete",
            "Keep the item",
        ),
    };
    let path = path_of(&id);
    page(&Confirm { frame: Frame::load(api, visit, Place::Items, title).await?, path, id, title, text, verb, stay })
}

async fn ask_to_delete(
    _: Manage,
    visit: Visit,
    State(api): State<Api>,
    VariantId(id): VariantId,
) -> Result<Response, ApiError> {
    confirm(&api, visit, id, Request::Delete).await
}

async fn ask_to_exclude(
    _: Manage,
    visit: Visit,
    State(api): State<Api>,
    VariantId(id): VariantId,
) -> Result<Response, ApiError> {
    confirm(&api, visit, id, Request::Exclude).await
}

async fn done(api: &Api, id: String, request: Request, code: &str) -> Result<Response, ApiError> {
    let path = path_of(&id);
    intents::enqueue(&api.app, &[id], request).await?;
    Ok(see_other(&flash::with(&path, code, 1)))
}

async fn resync(_: Manage, State(api): State<Api>, VariantId(id): VariantId) -> Result<Response, ApiError> {
    done(&api, id, Request::Resync { force: false }, "resync").await
}

async fn push(_: Manage, State(api): State<Api>, VariantId(id): VariantId) -> Result<Response, ApiError> {
    done(&api, id, Request::Resync { force: true }, "push").await
}

async fn delete(_: Manage, State(api): State<Api>, VariantId(id): VariantId) -> Result<Response, ApiError> {
    done(&api, id, Request::Delete, "delete").await
}

async fn exclude(_: Manage, State(api): State<Api>, VariantId(id): VariantId) -> Result<Response, ApiError> {
    done(&api, id, Request::Exclude, "exclude").await
}

async fn include(_: Manage, State(api): State<Api>, VariantId(id): VariantId) -> Result<Response, ApiError> {
    done(&api, id, Request::Include, "include").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_holds_nothing_that_a_shell_reads() {
        let known = calls("https://api.shop.example/", "a'b $(x)/ä\n", None);
        assert_eq!(
            known[2].curl,
            "curl -X POST -H \"Authorization: Bearer $META_CATALOG_TOKEN\" \
             'https://api.shop.example/admin/meta/items/a%27b%20%24%28x%29%2F%C3%A4%0A/resync'"
        );
        assert_eq!(known.last().map(|call| call.name), Some("Exclude"));
        assert_eq!(path_of("a/b-1"), "/items/a%2Fb-1");
    }

    #[test]
    fn a_long_value_is_cut_with_the_whole_beside() {
        assert!(cell(None).is_none());
        let short = cell(Some(&"short".to_owned())).expect("a cell");
        assert_eq!((&*short.short, short.whole), ("short", None));
        let long = "ä".repeat(500);
        let cut = cell(Some(&long)).expect("a cell");
        assert_eq!((cut.short.chars().count(), cut.whole), (SHOWN + 1, Some(long)));
    }
}
