//! `/system`: versions, database, lease, actors and limits, and the same as a file.
//!
//! Left out on purpose: actions. What is wrong here is repaired on the machine, or repairs itself.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::frame::{Frame, Place, Visit};
use super::limits::{Meter, meters};
use super::shell::page;
use super::words::{self, Look};
use crate::http::Api;
use crate::http::auth::View;
use crate::http::error::ApiError;
use catalog_sync::admin::system::{self, ActorView, SystemView};
use catalog_sync::admin::webhook::{self, WebhookSetup};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/system", get(system_page)).route("/system/diagnostics.json", get(diagnostics))
}

#[derive(Template)]
#[template(path = "system.html")]
struct System<'s> {
    frame: Frame,
    system: &'s SystemView,
    meters: Vec<Meter<'s>>,
    /// What the app at Meta needs, for those who may connect it.
    webhook: Option<WebhookSetup>,
}

async fn system_page(State(api): State<Api>, visit: Visit) -> Result<Response, ApiError> {
    let system = system::system(&api.app, &api.board).await?;
    let frame = Frame::load(&api, visit, Place::System, "System").await?;
    let webhook = if frame.may_manage { Some(webhook::setup(&api.app).await?) } else { None };
    page(&System { frame, meters: meters(&system.limits), system: &system, webhook })
}

/// `GET /system/diagnostics.json`: what the page shows, to send along with a question.
async fn diagnostics(_: View, State(api): State<Api>) -> Result<Response, ApiError> {
    let system = system::system(&api.app, &api.board).await?;
    let json = serde_json::to_string_pretty(&system)
        .map_err(|error| ApiError::internal(format!("the diagnostics were not written: {error}")))?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"meta-catalog-diagnostics.json\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, json).into_response())
}

/// What an actor does.
fn does(actor: &str) -> &'static str {
    match actor {
        "limiter" => "keeps to Meta's allowances",
        "token" => "renews the access token",
        "mapper" => "makes what is sent",
        "coalescer" => "reads the queue",
        "lease" => "keeps the right to run the sync",
        "sale-window" => "begins and ends sale prices",
        "reask" => "asks again for many items",
        "lint" => "compares variants with each other",
        "drift" => "compares items with what Meta shows",
        "history" => "writes down each minute",
        "retention" => "deletes what is old",
        "webhook" => "subscribes to Meta's notifications",
        "poll" => "asks Meta for verdicts",
        "drain" => "sends to Meta",
        "mapper-directory" => "watches the folder of mappers",
        _ => "",
    }
}

/// How an actor is shown. An actor that rests is running.
fn look(actor: &ActorView) -> Look {
    let told = |name, icon, tone, means| Look { name, icon, tone, means };
    match (actor.running, actor.keeps_failing) {
        (_, true) => told("Keeps failing", "fail", "bad", "It failed five times within five minutes."),
        (false, false) => {
            told("Down", "clock", "warn", "It has not started, or waits for its restart after a failure.")
        }
        (true, false) if actor.recent_restarts > 0 => {
            told("Recovered", "refresh", "warn", "It was restarted within the last five minutes.")
        }
        (true, false) => told("Running", "ok", "good", "It runs, or rests until its next round."),
    }
}

/// A size for people: three digits are enough beside the exact number.
fn size(bytes: &i64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let (mut tenths, mut unit) = (bytes.unsigned_abs() / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1_000, unit + 1);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// The version and its look.
fn version_look(age: &str) -> Look {
    let told = |name, icon, tone, means| Look { name, icon, tone, means };
    match age {
        "current" => told("current", "ok", "good", "Meta ends it in more than 90 days."),
        "ends_soon" => told("ends soon", "clock", "warn", "Set META_GRAPH_VERSION to a later version and restart."),
        "ended" => {
            told("ended", "fail", "bad", "Meta answers with another version: set META_GRAPH_VERSION and restart.")
        }
        _ => told("no end known", "ok", "plain", "Meta announced no end of this version."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_three_digits_or_four() {
        let table = [
            (0, "0.0 kB"),
            (999, "0.9 kB"),
            (4_096, "4.0 kB"),
            (999_999, "999.9 kB"),
            (1_000_000, "1.0 MB"),
            (12_345_678, "12.3 MB"),
            (9_876_543_210, "9.8 GB"),
            (i64::MAX, "9223372.0 TB"),
        ];
        for (bytes, text) in table {
            assert_eq!(size(&bytes), text, "{bytes}");
        }
    }
}
