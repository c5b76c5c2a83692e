//! `/sign-in` and `/sign-out`.
//!
//! Promises: a token that is typed in becomes a session cookie and is kept nowhere; more attempts than people make are
//! refused before the database is asked; nobody is sent to another site after signing in.

use std::num::NonZeroU32;
use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header, request::Parts};
use axum::response::Response;
use axum::routing::{get, post};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use secrecy::SecretString;
use serde::Deserialize;

use super::assets::{ASSETS, Assets};
use super::shell::{page, see_other, with_status};

use crate::http::Api;
use crate::http::auth::{self, Carried};
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::page_session;

/// Attempts a second, of everybody: a token cannot be guessed, so this only spares the database.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(5).expect("not zero");
/// Attempts at once.
const BURST: NonZeroU32 = NonZeroU32::new(20).expect("not zero");

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    assets: &'static Assets,
    next: String,
    wrong: Option<String>,
    /// Whether people of the shop's own sign-in are accepted, too.
    has_sessions: bool,
}

#[derive(Deserialize)]
struct Asked {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Typed {
    token: SecretString,
    next: Option<String>,
}

pub(super) fn routes() -> Router<Api> {
    let attempts = Arc::new(RateLimiter::direct(Quota::per_second(ATTEMPTS).allow_burst(BURST)));
    let sign_in = move |parts: Parts, State(api): State<Api>, Form(typed): Form<Typed>| async move {
        sign_in(&attempts, &parts, &api, typed).await
    };
    Router::new().route("/sign-in", get(form).post(sign_in)).route("/sign-out", post(sign_out))
}

/// The page to go to: one of this site.
fn local(next: Option<String>) -> String {
    let is_local = |next: &String| {
        next.starts_with('/') && !next.starts_with("//") && !next.contains(|c: char| c == '\\' || c.is_control())
    };
    next.filter(is_local).unwrap_or_else(|| "/".to_owned())
}

async fn form(
    Carried(carried): Carried,
    State(api): State<Api>,
    Query(Asked { next }): Query<Asked>,
) -> Result<Response, ApiError> {
    if carried.is_some() {
        return Ok(see_other(&local(next)));
    }
    page(&SignIn { assets: &ASSETS, next: local(next), wrong: None, has_sessions: api.sessions.is_some() })
}

async fn sign_in(
    attempts: &DefaultDirectRateLimiter,
    parts: &Parts,
    api: &Api,
    Typed { token, next }: Typed,
) -> Result<Response, ApiError> {
    auth::of_own_page(parts, api)?;
    if attempts.check().is_err() {
        return Err(ApiError::new(Code::TooManyRequests, "too many people sign in at once; try again in a moment"));
    }
    let next = local(next);
    match auth::of_typed_token(&token, api).await {
        Ok((_, token)) => {
            let mut response = see_other(&next);
            response.headers_mut().append(header::SET_COOKIE, page_session::begin(api, &token.id)?);
            Ok(response)
        }
        Err(error) if error.code() == Code::Unauthorized => {
            let wrong = match error.for_people().contains("expired") {
                true => error.for_people().to_owned(),
                false => "This token is not known here, or it was revoked. Copy all of it, from mct_ on.".to_owned(),
            };
            let form = SignIn { assets: &ASSETS, next, wrong: Some(wrong), has_sessions: api.sessions.is_some() };
            with_status(StatusCode::UNPROCESSABLE_ENTITY, &form)
        }
        Err(error) => Err(error),
    }
}

async fn sign_out(parts: Parts, State(api): State<Api>) -> Result<Response, ApiError> {
    auth::of_own_page(&parts, &api)?;
    let mut response = see_other("/sign-in");
    response.headers_mut().append(header::SET_COOKIE, page_session::end(&api.site));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for (asked, goes) in [
            ("/items?status=failed", "/items?status=failed"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            // Browsers take a tab out of an address.
            ("/\t/evil.example", "/"),
            ("https://evil.example", "/"),
            ("", "/"),
        ] {
            assert_eq!(local(Some(asked.to_owned())), goes);
        }
    }
}
