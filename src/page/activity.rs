//! `/activity`: the calls to Meta with their verdicts, and what operators did.
//!
//! Promises: a page of either list costs the same however long the list is; the filter is part of the address.
//! Left out on purpose: what became of a single item, which its own page tells.

mod trail;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::flash;
use super::frame::{Frame, Place, Visit};
use super::shell::{page, see_other};
use super::words::{self, Look};
use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::error::ApiError;
use catalog_sync::admin::submissions::{self, Recent, Said, Show};
use catalog_sync::report::clip;

/// Submissions of one page.
const ROWS: usize = 25;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/activity", get(activity))
        .route("/activity/verdicts", post(ask_again))
        .route("/activity/{id}", get(one))
}

/// The query of the page, of both tabs.
#[derive(Clone, Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    tab: String,
    #[serde(default)]
    show: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    principal: String,
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The page of a variant.
fn item(variant_id: &str) -> String {
    format!("/items/{}", encoded(variant_id))
}

async fn activity(State(api): State<Api>, visit: Visit, Query(asked): Query<Asked>) -> Result<Response, ApiError> {
    let frame = Frame::load(&api, visit, Place::Activity, "Activity").await?;
    if asked.tab == "audit" { trail::show(&api, frame, &asked).await } else { calls(&api, frame, &asked).await }
}

/// The choices of the filter: the word in the address, and what it is called.
const SHOWN: [(&str, Show, &str); 4] = [
    ("", Show::All, "All calls"),
    ("open", Show::Open, "Verdict open"),
    ("settled", Show::Settled, "With a verdict"),
    ("failed", Show::Failed, "Failed as a whole"),
];

/// A call in the list.
struct Call {
    about: Recent,
    look: Look,
    /// How long Meta took.
    latency: Option<i64>,
    path: String,
}

impl Call {
    fn of(about: Recent) -> Self {
        let look = look(&about.state, about.errors.unwrap_or_default());
        let latency = about.completed_at.filter(|_| about.state == "completed").map(|ended| ended - about.submitted_at);
        Self { look, latency, path: format!("/activity/{}", encoded(&about.id)), about }
    }

    /// The beginning of Meta's handle.
    fn handle(&self) -> String {
        self.about.handle.as_deref().map_or_else(|| "no handle".to_owned(), |handle| clip(handle, 14).into_owned())
    }
}

fn look(state: &str, errors: i64) -> Look {
    let (name, icon, tone, means) = match (state, errors) {
        ("sending", _) => ("Being sent", "send", "busy", "The call is under way, or its outcome is not known yet."),
        ("pending", _) => ("Verdict open", "clock", "busy", "Meta took the call and works on it."),
        ("completed", 0) => ("Taken", "ok", "good", "Meta's verdict is clean."),
        ("completed", _) => ("With errors", "issues", "warn", "Meta refused some of the items."),
        _ => ("Failed", "fail", "bad", "Nothing of the call was done, or it is not known what was."),
    };
    Look { name, icon, tone, means }
}

#[derive(Template)]
#[template(path = "activity.html")]
struct Calls {
    frame: Frame,
    show: &'static str,
    calls: Vec<Call>,
    /// The address of the older calls.
    older: Option<String>,
    /// The address of the latest ones, where these are not the latest.
    latest: Option<String>,
}

impl Calls {
    fn choices(&self) -> &'static [(&'static str, Show, &'static str)] {
        &SHOWN
    }
}

async fn calls(api: &Api, frame: Frame, asked: &Asked) -> Result<Response, ApiError> {
    let (word, show, _) = SHOWN.into_iter().find(|(word, ..)| *word == asked.show).unwrap_or(SHOWN[0]);
    let part = submissions::recent(&api.app, show, Some(&asked.after), ROWS).await?;
    let latest = format!("/activity?show={word}");
    page(&Calls {
        frame,
        show: word,
        calls: part.rows.into_iter().map(Call::of).collect(),
        older: part.next.map(|next| format!("{latest}&after={}", encoded(&next))),
        latest: (!asked.after.is_empty()).then_some(latest),
    })
}

#[derive(Template)]
#[template(path = "submission.html")]
struct One {
    frame: Frame,
    call: Call,
    catalog_id: String,
    /// Errors, then warnings: the title, the number of all, and a sample.
    told: [(&'static str, i64, Vec<Said>); 2],
}

impl One {
    /// Whether there are more than those that are shown. Meta's own list is a sample, too.
    fn is_sample(&self, count: &i64, said: &[Said]) -> bool {
        !said.is_empty() && i64::try_from(said.len()).is_ok_and(|shown| shown < *count)
    }
}

async fn one(State(api): State<Api>, visit: Visit, Path(id): Path<String>) -> Result<Response, ApiError> {
    let found = submissions::find(&api.app, &id).await?;
    let frame = Frame::load(&api, visit, Place::Activity, "Call to Meta").await?;
    let (errors, warnings) = (found.about.errors.unwrap_or_default(), found.about.warnings.unwrap_or_default());
    page(&One {
        frame,
        call: Call::of(found.about),
        catalog_id: found.catalog_id,
        told: [("Errors", errors, found.errors), ("Warnings", warnings, found.warnings)],
    })
}

/// `POST /activity/verdicts`: asks for the open verdicts at once.
async fn ask_again(_: Manage, State(api): State<Api>) -> Result<Response, ApiError> {
    let open = submissions::ask_again(&api.app).await?;
    Ok(see_other(&flash::with("/activity?show=open", "asked", open)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_with_errors_is_not_shown_as_clean() {
        let cases = [
            ("sending", 0, "Being sent"),
            ("pending", 0, "Verdict open"),
            ("completed", 0, "Taken"),
            ("completed", 3, "With errors"),
            ("failed", 0, "Failed"),
            ("from a later version", 0, "Failed"),
        ];
        for (state, errors, name) in cases {
            assert_eq!(look(state, errors).name, name, "{state} {errors}");
        }
    }
}
