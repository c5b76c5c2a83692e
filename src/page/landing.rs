//! `/settings/meta`: where the browser lands after Facebook's consent.
//!
//! It needs no session. The browser comes from another site, so it does not send the cookie of the session, which only
//! requests of this site's own pages carry. This page goes on to the set-up by itself, and from here the cookie is sent.
//! It shows nothing but what became of the login, by a code from a closed list.

use askama::Template;
use axum::Router;
use axum::extract::Query;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::assets::{ASSETS, Assets};
use super::shell::page;
use super::words;
use crate::http::Api;
use crate::http::error::ApiError;

#[derive(Template)]
#[template(path = "landing.html")]
struct Landing {
    assets: &'static Assets,
    /// Why the login was not completed; `None` when it was.
    failed: Option<(&'static str, &'static str)>,
}

#[derive(Deserialize)]
struct Came {
    error: Option<String>,
}

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/settings/meta", get(land))
}

async fn land(Query(Came { error }): Query<Came>) -> Result<Response, ApiError> {
    page(&Landing { assets: &ASSETS, failed: error.as_deref().map(what_happened) })
}

/// What happened, and what to do.
fn what_happened(code: &str) -> (&'static str, &'static str) {
    match code {
        "access_denied" | "user_denied" => (
            "Facebook was not connected: the permissions were not granted",
            "Nothing was changed. Connect again and leave every permission switched on; the catalog cannot be kept in step \
             without them.",
        ),
        "meta_oauth_state_invalid" => (
            "This login is no longer valid",
            "It was used already, or more than ten minutes passed, or it was begun somewhere else. Nothing was changed.",
        ),
        "meta_oauth_exchange_failed" => (
            "Facebook did not accept the login",
            "Most often the app secret is wrong, or the redirect URI differs from the one in the app's settings. Check both in \
             the set-up, then connect again.",
        ),
        "meta_misconfigured" => {
            ("The app's id or secret is missing", "Enter both in the first step of the set-up, then connect again.")
        }
        "UNAUTHORIZED" | "FORBIDDEN" => (
            "This login belongs to somebody else",
            "Another user or token began it, or the one that began it may no longer connect. Sign in here and connect again.",
        ),
        _ => (
            "Facebook was not connected",
            "Facebook or this service could not complete the login; the log has the cause. Nothing was changed. Try again in a \
             moment.",
        ),
    }
}
