//! `/`: how it stands, in numbers that are links.

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::flash;
use super::frame::{Frame, Place, Visit};
use super::shell::{page, see_other};
use super::words::{self, Look, of_state};
use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::error::ApiError;
use catalog_sync::admin;
use catalog_sync::admin::issues::{self, Issue};
use catalog_sync::domain::settings::key;

/// Most groups of issues on this page.
const TOP: usize = 5;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/", get(overview)).route("/sync", post(switch))
}

/// A number of variants, with its list.
struct Stat {
    look: Look,
    count: i64,
    path: &'static str,
}

/// The path of the page that lists the items of an issue.
pub(super) fn items_of(issue: &Issue) -> String {
    let query = issue.items_url.split_once('?').map(|(_, query)| query).unwrap_or_default();
    format!("/items?{query}")
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    stats: Vec<Stat>,
    issues: Vec<Issue>,
    issue_groups: usize,
}

async fn overview(State(api): State<Api>, visit: Visit) -> Result<Response, ApiError> {
    let frame = Frame::load(&api, visit, Place::Overview, "Overview").await?;
    let mut issues = issues::list(&api.app).await?;
    let issue_groups = issues.len();
    issues.truncate(TOP);
    let counts = &frame.status.counts;
    let stat = |state: &str, count, path| Stat { look: of_state(state), count, path };
    let stats = vec![
        stat("synced", counts.synced, "/items?status=synced"),
        stat("submitted", counts.submitted, "/items?status=submitted"),
        stat("pending", counts.pending, "/items?status=pending"),
        stat("failed", counts.failed, "/items?status=failed"),
        stat("skipped", counts.skipped, "/items?status=skipped"),
        stat("deleted", counts.deleted, "/items?status=deleted"),
    ];
    page(&Overview { stats, issues, issue_groups, frame })
}

#[derive(Deserialize)]
struct Switch {
    on: bool,
}

/// `POST /sync`: the master switch.
async fn switch(_: Manage, State(api): State<Api>, Form(Switch { on }): Form<Switch>) -> Result<Response, ApiError> {
    let change = Map::from_iter([(key::sync_enabled.to_owned(), Value::Bool(on))]);
    admin::settings::patch(&api.app, &change).await?;
    Ok(see_other(&flash::with("/", if on { "resumed" } else { "paused" }, 0)))
}
