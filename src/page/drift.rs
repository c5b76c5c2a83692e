//! `/drift`: what Meta shows differently, and what is done about it.
//!
//! Promises: the findings of one class are listed, part by part; a repair tells the number of items before it is asked for.
//! Left out on purpose: what a sweep does ([`catalog_sync::admin::drift`]) and its settings, which have a page.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Form, Router};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::flash;
use super::frame::{Frame, Place, Visit};
use super::shell::{page, see_other};
use super::words::{self, Look};
use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::error::ApiError;
use catalog_sync::admin::drift::{self, Choice, ClassView, DriftAsked, DriftView, FindingView};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/drift", get(show))
        .route("/drift/sweep", post(sweep))
        .route("/drift/repair", get(ask_repair).post(repair))
        .route("/drift/ignore", post(ignore))
}

/// What is shown, from the address.
#[derive(Clone, Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    class: String,
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "drift.html")]
struct Drift<'d> {
    frame: Frame,
    view: &'d DriftView,
    /// The class whose findings are listed.
    class: Option<&'d ClassView>,
    /// The address of the next part of the list.
    next: Option<String>,
}

async fn show(
    State(api): State<Api>,
    visit: Visit,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, ApiError> {
    // An address that is no class of ours shows the overview.
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let has_class = drift::is_class(&asked.class);
    let class = has_class.then_some(asked.class.as_str());
    let after = Some(asked.after.as_str()).filter(|after| !after.is_empty());
    let view = drift::drift(&api.app, DriftAsked { class, after, limit: None }).await?;
    let frame = Frame::load(&api, visit, Place::Drift, "Drift").await?;
    let shown = view.classes.iter().find(|one| Some(one.class) == class);
    let next = view.next.as_deref().zip(shown).map(|(next, shown)| {
        format!("/drift?class={}&after={}", shown.class, utf8_percent_encode(next, NON_ALPHANUMERIC))
    });
    page(&Drift { frame, view: &view, class: shown, next })
}

async fn sweep(_: Manage, State(api): State<Api>) -> Result<Response, ApiError> {
    let begun = drift::sweep(&api.app).await?;
    Ok(see_other(&flash::with("/drift", if begun { "sweep" } else { "sweeping" }, 0)))
}

/// The findings that a form means.
#[derive(Debug, Default, Deserialize)]
struct Chosen {
    #[serde(default)]
    class: String,
    /// Blank means all of the class.
    #[serde(default)]
    variant: String,
    /// Takes an earlier decision back.
    #[serde(default)]
    back: bool,
}

impl Chosen {
    fn choice(&self) -> Choice {
        let some = |text: &String| (!text.is_empty()).then(|| vec![text.clone()]);
        Choice { classes: some(&self.class), variant_ids: some(&self.variant) }
    }

    fn address(&self) -> String {
        if drift::is_class(&self.class) { format!("/drift?class={}", self.class) } else { "/drift".to_owned() }
    }
}

#[derive(Template)]
#[template(path = "drift_confirm.html")]
struct Confirm {
    frame: Frame,
    class: &'static str,
    findings: i64,
    left: i64,
}

async fn ask_repair(
    _: Manage,
    State(api): State<Api>,
    visit: Visit,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, ApiError> {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let view = drift::drift(&api.app, DriftAsked::default()).await?;
    let class = view.classes.iter().find(|one| one.class == asked.class && one.repairable && one.open() > 0);
    let Some(class) = class else { return Ok(see_other("/drift")) };
    let (class, findings) = (class.class, class.open());
    let frame = Frame::load(&api, visit, Place::Drift, "Drift").await?;
    page(&Confirm { frame, class, findings, left: view.repairs.left })
}

async fn repair(_: Manage, State(api): State<Api>, Form(chosen): Form<Chosen>) -> Result<Response, ApiError> {
    let asked = drift::repair(&api.app, &chosen.choice()).await?;
    Ok(see_other(&flash::with(&chosen.address(), "drift-repair", asked)))
}

async fn ignore(_: Manage, State(api): State<Api>, Form(chosen): Form<Chosen>) -> Result<Response, ApiError> {
    let marked = drift::ignore(&api.app, &chosen.choice(), !chosen.back).await?;
    let code = if chosen.back { "drift-heed" } else { "drift-ignore" };
    Ok(see_other(&flash::with(&chosen.address(), code, marked)))
}

/// What a class is called, and what to do about it.
fn about(class: &str) -> (&'static str, &'static str) {
    match class {
        "missing" => ("Missing", "Meta does not have the item. Sending it again creates it."),
        "price" => ("Price", "Meta shows another price, or a special price that is not yours."),
        "availability" => ("Availability", "Meta shows another availability."),
        "text" => ("Texts", "Meta shows another title, description or property."),
        "url" => ("Link", "The item leads to another page."),
        "image" => ("Images", "Meta shows other images."),
        "stale_local" => (
            "Changed in the shop",
            "The shop says something else than what was sent, and nothing is queued: the change came without an event.",
        ),
        "not_sold" => (
            "No longer sold",
            "The shop does not sell the item any more, and Meta still has it. Queue it on its page, or bootstrap, if that is right.",
        ),
        "hidden" => ("Hidden", "Meta does not show the item to shoppers. See Commerce Manager."),
        "rejected" => ("Rejected", "Meta's review rejected the item. Its page tells the reasons."),
        "image_failed" => {
            ("Images not fetched", "Meta could not load the images. Check that their addresses are public.")
        }
        "unparseable" => ("Price unclear", "Meta writes the price in a form that allows more than one reading."),
        _ => ("", ""),
    }
}

/// How a finding is shown.
fn look(finding: &FindingView) -> Look {
    let told = |name, icon, tone, means| Look { name, icon, tone, means };
    match finding.standing {
        "confirmed" => told("Confirmed", "fail", "bad", "Two looks saw it."),
        "asked" => {
            told("To be sent", "send", "busy", "You asked for the repair; it is queued within the budget of the hour.")
        }
        "repaired" => {
            told("Sent again", "clock", "busy", "The item was sent again. The next look tells whether it helped.")
        }
        "flapping" => told(
            "Keeps coming back",
            "refresh",
            "warn",
            "It came back after three repairs within a week: something else writes the item. Find it first.",
        ),
        "ignored" => told("Ignored", "dashed", "plain", "You ignore it. It goes when Meta shows what was sent."),
        _ => told("Seen once", "clock", "warn", "A second look confirms it or lets it go."),
    }
}
