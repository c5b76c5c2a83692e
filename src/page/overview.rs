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
use super::limits::{Meter, meters};
use super::shell::{page, see_other};
use super::spark::Spark;
use super::words::{self, Look, counted, millis, number, of_state};
use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::error::ApiError;
use catalog_sync::admin;
use catalog_sync::admin::history::{self, Latency, MinuteView};
use catalog_sync::admin::issues::{self, Issue};
use catalog_sync::clock::Millis;
use catalog_sync::domain::history::minute_of;
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

/// Minutes of the line.
const MINUTES: usize = 60;

/// What the minutes of the last hour add up to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    sent: i64,
    confirmed: i64,
    refused: i64,
}

/// The last hour.
#[derive(Debug, PartialEq, Eq)]
struct Hour {
    /// Whether no minute is known.
    is_empty: bool,
    sums: Sums,
    /// Rows confirmed in each minute.
    confirmed: Spark,
}

/// Puts the minutes in their places, the running one in the last; those that are not known stay empty.
fn hour(minutes: &[MinuteView], now: Millis) -> Hour {
    let newest = minute_of(now);
    let mut values = vec![None; MINUTES];
    let mut sums = Sums::default();
    for minute in minutes {
        let past = minute.at.as_deref().and_then(millis).map(|at| newest - minute_of(at));
        let place = past.and_then(|past| (MINUTES - 1).checked_sub(usize::try_from(past).ok()?));
        let Some(value) = place.and_then(|place| values.get_mut(place)) else { continue };
        *value = Some(minute.confirmed);
        sums.sent += minute.sent;
        sums.confirmed += minute.confirmed;
        sums.refused += minute.refused;
    }
    let most = values.iter().flatten().copied().max();
    let title = match most {
        None => "No minute is known yet.".to_owned(),
        Some(0) => "No row was confirmed.".to_owned(),
        Some(most) => format!("Rows confirmed each minute, up to {}", number(most)),
    };
    Hour { is_empty: most.is_none(), sums, confirmed: Spark { title, values } }
}

/// How long a verdict took: tenths below ten seconds.
fn took(millis: &i64) -> String {
    match millis {
        ..10_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        _ => words::span(millis),
    }
}

/// The time that a re-ask still takes.
fn left(seconds: &u64) -> String {
    match seconds {
        0..60 => "a minute".to_owned(),
        60..7_200 => counted(seconds.div_ceil(60), "minute", "minutes"),
        7_200..172_800 => counted(seconds.div_ceil(3_600), "hour", "hours"),
        _ => counted(seconds.div_ceil(86_400), "day", "days"),
    }
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'o> {
    frame: Frame,
    stats: Vec<Stat>,
    hour: Hour,
    latency: Option<Latency>,
    meters: Vec<Meter<'o>>,
    issues: Vec<Issue>,
    issue_groups: usize,
}

impl Overview<'_> {
    /// Whether there is nothing to show numbers of: nothing is connected, and nothing was ever sent.
    fn is_blank(&self) -> bool {
        let status = &self.frame.status;
        let counts = &status.counts;
        let is_idle = counts.outbox_pending == 0 && self.hour.sums == Sums::default();
        !status.connected && is_idle && self.stats.iter().all(|stat| stat.count == 0)
    }
}

async fn overview(State(api): State<Api>, visit: Visit) -> Result<Response, ApiError> {
    let frame = Frame::load(&api, visit, Place::Overview, "Overview").await?;
    let mut issues = issues::list(&api.app).await?;
    let issue_groups = issues.len();
    issues.truncate(TOP);
    let minutes = history::last_hour(&api.app).await?;
    let latency = history::latency(&api.app).await?;
    let limits = admin::limits::limits(&api.app, &api.app.settings.current()).await;
    let hour = hour(&minutes, frame.now);
    let counts = &frame.status.counts;
    let stat = |state: &str, count, path| Stat { look: of_state(state), count, path };
    let totals = api.app.totals().await?;
    let mut stats = vec![
        stat("synced", counts.synced, "/items?status=synced"),
        stat("submitted", counts.submitted, "/items?status=submitted"),
        stat("pending", counts.pending, "/items?status=pending"),
        stat("failed", counts.failed, "/items?status=failed"),
        stat("skipped", counts.skipped, "/items?status=skipped"),
        stat("deleted", counts.deleted, "/items?status=deleted"),
    ];
    // So that they add up to the number of variants.
    let unknown = totals.variants - stats.iter().map(|stat| stat.count).sum::<i64>();
    if unknown > 0 {
        stats.push(stat("never_synced", unknown, "/items?status=never_synced"));
    }
    page(&Overview { stats, hour, latency, meters: meters(&limits), issues, issue_groups, frame })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minutes_of_the_last_hour_are_in_their_places() {
        let now = 1_764_000_000_000;
        let minute = |past: i64, confirmed| MinuteView {
            at: catalog_sync::admin::time::iso(now - past * 60_000),
            sent: 10,
            confirmed,
            refused: 1,
            latency_p50_ms: None,
            latency_p95_ms: None,
            backlog: None,
            oldest_ms: None,
        };
        // The oldest that still has a place, one that has none any more, and one of a clock that was set back.
        let minutes = [minute(60, 99), minute(59, 3), minute(0, 1_200), minute(-2, 99)];
        let Hour { is_empty, sums, confirmed } = hour(&minutes, now);
        assert!(!is_empty);
        assert_eq!(sums, Sums { sent: 20, confirmed: 1_203, refused: 2 });
        assert_eq!((confirmed.values[0], confirmed.values[1], confirmed.values[59]), (Some(3), None, Some(1_200)));
        assert_eq!(confirmed.title, "Rows confirmed each minute, up to 1,200");
        assert!(hour(&[], now).is_empty);
    }

    #[test]
    fn times_are_written_for_people() {
        assert_eq!([900, 9_999, 10_000, 61_000].map(|ms| took(&ms)), ["0.9 s", "9.9 s", "10 s", "1 min"]);
        let lefts = [(0, "a minute"), (60, "1 minute"), (61, "2 minutes"), (7_200, "2 hours"), (200_000, "3 days")];
        for (seconds, text) in lefts {
            assert_eq!(left(&seconds), text);
        }
    }
}
