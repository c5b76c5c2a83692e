//! `/items`: the list of variants, its filters, and actions on many of them.
//!
//! Promises: the filter is part of the address, and the rail is the filter; a page of the list costs the same wherever it
//! is; what cannot be read of a search is answered with what to type instead; an action on many items is confirmed on a
//! page that tells their exact number (`bulk`).
//! Left out on purpose: one item ([`super::item`]), and pictures, which this page would have to load from elsewhere.

mod bulk;
mod file;
mod query;
mod search;

use askama::Template;
use axum::Router;
use axum::extract::{Query as FromQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};

use self::query::{Query, Selected};
use super::frame::{Frame, Place, Visit};
use super::item;
use super::item::said::todo_of_cause;
use super::shell::{see_other, with_status};
use super::words::{self, Look, number, of_state};
use crate::http::Api;
use crate::http::error::ApiError;
use catalog_sync::admin::items::{Filter, ItemSummary, NEVER_SYNCED, Totals, filter, quick_count};
use catalog_sync::admin::walk::{self, Walked};
use catalog_sync::admin::{AdminError, bulk as actions};
use catalog_sync::domain::advice;
use catalog_sync::report::clip;

/// The longest error in a row, in characters.
const SHOWN: usize = 140;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/items", get(list))
        .route("/items.csv", get(file::download))
        .route("/items/bulk", get(bulk::ask).post(bulk::apply))
        .route("/items/bulk/confirm", post(bulk::ask_for_selected))
}

/// A choice of the rail.
struct Choice {
    look: Look,
    count: i64,
    path: String,
    is_chosen: bool,
}

/// A row of the table.
struct Row {
    id: String,
    path: String,
    title: String,
    sku: Option<String>,
    look: Look,
    is_excluded: bool,
    is_gone: bool,
    price: Option<String>,
    sent_at: Option<String>,
    error: Option<String>,
    todo: Option<&'static str>,
    warnings: usize,
}

impl From<ItemSummary> for Row {
    fn from(item: ItemSummary) -> Self {
        let title = if item.product_title.trim().is_empty() { &item.variant_id } else { &item.product_title };
        let is_wrong = matches!(&*item.sync_status, "failed" | "skipped");
        Self {
            path: item::path_of(&item.variant_id),
            title: clip(title, SHOWN).into_owned(),
            sku: item.sku.filter(|sku| !sku.is_empty()),
            look: of_state(&item.sync_status),
            is_excluded: item.excluded,
            is_gone: item.deleted,
            price: item.price.map(price),
            sent_at: item.last_pushed_at,
            error: item.last_error.filter(|_| is_wrong).map(|error| clip(&advice::title(&error), SHOWN).into_owned()),
            todo: item.cause.as_deref().filter(|_| is_wrong).map(todo_of_cause),
            warnings: item.warnings.len(),
            id: item.variant_id,
        }
    }
}

/// A price in subunits, exact.
fn price(subunits: i64) -> String {
    let sign = if subunits < 0 { "−" } else { "" };
    let subunits = subunits.unsigned_abs();
    format!("{sign}{}.{:02}", number(subunits / 100), subunits % 100)
}

/// Why the list is empty.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    /// The shop has nothing.
    Nothing,
    /// The filter hides all.
    Hidden,
    /// Nothing is wrong.
    AllGood,
    /// The walk looked at as many as one page may, and goes on.
    NotYet,
}

#[derive(Template)]
#[template(path = "items.html")]
struct Items {
    frame: Frame,
    query: Query,
    rail: Vec<Choice>,
    rows: Vec<Row>,
    /// What cannot be read of the search.
    hint: Option<String>,
    /// The number of items, where an index has it.
    count: Option<i64>,
    empty: Empty,
    currency: String,
    newest: Option<String>,
    newer: Option<String>,
    older: Option<String>,
    actions: [(actions::Action, &'static str); 6],
    file: String,
}

impl Items {
    fn words(&self) -> &'static [(&'static str, &'static str)] {
        &search::WORDS
    }

    /// The number of all items.
    fn total(&self) -> i64 {
        self.rail.first().map_or(0, |all| all.count)
    }

    /// What the rail does not show of the filter, with the path without it.
    fn chips(&self) -> Vec<(&'static str, &str, String)> {
        let without = |place: fn(&mut Query)| {
            let mut query = self.query.clone();
            place(&mut query);
            query.path("/items", &[])
        };
        let chips = [
            ("Reason", &*self.query.cause, without(|query| query.cause.clear())),
            ("Warning", &*self.query.warning, without(|query| query.warning.clear())),
        ];
        chips.into_iter().filter(|(_, value, _)| !value.is_empty()).collect()
    }
}

async fn list(visit: Visit, State(api): State<Api>, FromQuery(query): FromQuery<Query>) -> Result<Response, ApiError> {
    // The choice of a browser without script.
    if query.to == "/items" || query.to.starts_with("/items?") {
        return Ok(see_other(&query.to));
    }
    let query = query.resolved();
    let frame = Frame::load(&api, visit, Place::Items, "Items").await?;
    let (selected, hint) = match query.selected() {
        Ok(selected) => (selected, None),
        Err(hint) => (Selected::default(), Some(hint)),
    };
    let (walked, hint) = match hint {
        None => match walk::page(&api.app, selected.asked(), Some(&query.after), Some(&query.before)).await {
            Ok(walked) => (Some(walked), None),
            Err(AdminError::Invalid { message, details }) => (None, Some(told(&message, details.iter().next()))),
            Err(error) => return Err(error.into()),
        },
        hint => (None, hint),
    };
    let totals = api.app.totals().await?;
    let count = match (&hint, selected.is_plain(), selected.status()) {
        (Some(_), ..) => None,
        (None, true, "") => Some(totals.variants),
        (None, true, status) => Some(totals.of(Some(status))),
        (None, false, _) => {
            let filter = filter(&api.app, selected.asked()).await?;
            quick_count(&api.app, &filter).await?
        }
    };
    let status = if hint.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let is_walked = walked.is_some();
    let Walked { rows, next, previous, .. } =
        walked.unwrap_or(Walked { rows: Vec::new(), limit: 0, next: None, previous: None });
    let empty = match () {
        () if next.is_some() => Empty::NotYet,
        () if totals.variants == 0 => Empty::Nothing,
        () if selected.is_trouble() && is_walked => Empty::AllGood,
        () => Empty::Hidden,
    };
    let turn =
        |name: &'static str, cursor: Option<String>| cursor.map(|cursor| query.path("/items", &[(name, &cursor)]));
    let page = Items {
        rail: rail(&api, &frame, &query, &selected, &totals).await?,
        newest: (!query.after.is_empty() || !query.before.is_empty()).then(|| query.path("/items", &[])),
        newer: turn("before", previous),
        older: turn("after", next),
        file: query.path("/items.csv", &[]),
        rows: rows.into_iter().map(Row::from).collect(),
        hint,
        count,
        empty,
        currency: api.app.settings.current().mapper.currency.clone(),
        actions: bulk::OFFERED,
        query,
        frame,
    };
    with_status(status, &page)
}

/// A refusal of the use case as a sentence.
fn told(message: &str, detail: Option<(&String, &String)>) -> String {
    match detail {
        Some((name, what)) if name == "after" || name == "before" => {
            let _ = what;
            "This place in the list belongs to another filter. The list begins anew without it.".to_owned()
        }
        Some((name, what)) => words::sentence(&format!("{name} {what}")),
        None => words::sentence(message),
    }
}

async fn rail(
    api: &Api,
    frame: &Frame,
    query: &Query,
    selected: &Selected,
    totals: &Totals,
) -> Result<Vec<Choice>, ApiError> {
    let excluded = Filter { excluded: Some(true), ..Filter::default() };
    let excluded = quick_count(&api.app, &excluded).await?.unwrap_or_default();
    let flag = |name, icon, tone, means| Look { name, icon, tone, means };
    let has_flag = !query.held.is_empty() || !query.parked.is_empty() || !query.excluded.is_empty();
    let choice = |look, field: &str, value: &str, count| Choice {
        look,
        count,
        path: query.chosen(field, value).path("/items", &[]),
        is_chosen: match field {
            "held" => query.held == "true",
            "parked" => query.parked == "true",
            "excluded" => query.excluded == "true",
            _ => selected.status() == value && !has_flag,
        },
    };
    let states = ["synced", "submitted", "pending", "failed", "skipped", "deleted", NEVER_SYNCED];
    let all = flag("All", "items", "plain", "Every variant of the shop, and what Meta may still have of others.");
    let mut rail = vec![choice(all, "status", "", totals.variants)];
    rail.extend(states.map(|state| choice(of_state(state), "status", state, totals.of(Some(state)))));
    rail.push(choice(
        flag("Held deletes", "pause", "warn", "Their removal waits until it is released."),
        "held",
        "true",
        frame.status.held_deletes,
    ));
    rail.push(choice(
        flag("Set aside", "issues", "warn", "They failed too often and wait until they are decided again."),
        "parked",
        "true",
        frame.status.outbox_parked,
    ));
    rail.push(choice(flag("Excluded", "ban", "plain", "An operator keeps them out."), "excluded", "true", excluded));
    Ok(rail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() {
        for (subunits, shown) in
            [(0, "0.00"), (5, "0.05"), (29_900, "299.00"), (123_456_789, "1,234,567.89"), (-150, "−1.50")]
        {
            assert_eq!(price(subunits), shown);
        }
    }
}
