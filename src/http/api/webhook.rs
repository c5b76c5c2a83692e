//! `/webhooks/meta`: Meta's notifications, and what the app's settings at Meta need for them.
//!
//! Promises: open to everybody, guarded by the verify token and by the signature of each body; nothing is read of a request
//! without a well-formed signature, and nothing of a body before its signature is known to be good; bad signatures cost at
//! most a bounded amount of work and of log.
//! Left out on purpose: what a notification leads to ([`catalog_sync::admin::webhook`]).

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde::Serialize;
use tracing::{info, warn};
use utoipa::ToSchema;

use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::code::Code;
use crate::http::envelope::Envelope;
use crate::http::error::ApiError;
use crate::http::extract::{Params, read_bytes};
use catalog_sync::admin::webhook::{self, WebhookSetup};
use meta_graph::webhook::{SIGNATURE_HEADER, Signature};

/// Bad signatures a second that are looked at.
const BAD_SIGNATURES: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
/// Bad signatures at once that are looked at.
const BURST: NonZeroU32 = NonZeroU32::new(50).expect("not zero");
/// After more of them, everything is refused for so long. A notification that is refused is delivered again, and polls go on.
const CLOSED: Duration = Duration::from_millis(100);
/// The time between two messages about bad signatures.
const QUIET: Duration = Duration::from_secs(60);
/// The longest challenge that is repeated. Meta's are numbers.
const LONGEST_CHALLENGE: usize = 100;

/// Bounds what bad signatures cost. Shared by all requests of the process.
#[derive(Clone, Debug)]
pub struct BadSignatures(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    allowed: DefaultDirectRateLimiter,
    /// Until when everything is refused, and when a bad signature was last logged.
    state: Mutex<(Option<Instant>, Option<Instant>)>,
}

impl Default for BadSignatures {
    fn default() -> Self {
        let allowed = RateLimiter::direct(Quota::per_second(BAD_SIGNATURES).allow_burst(BURST));
        Self(Arc::new(Counted { allowed, state: Mutex::default() }))
    }
}

impl BadSignatures {
    fn is_closed(&self, now: Instant) -> bool {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).0.is_some_and(|until| now < until)
    }

    /// Counts one. Returns whether it is to be logged.
    fn count(&self, now: Instant) -> bool {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.allowed.check().is_err() {
            state.0 = Some(now + CLOSED);
        }
        let is_loud = state.1.is_none_or(|last| now.duration_since(last) >= QUIET);
        if is_loud {
            state.1 = Some(now);
        }
        is_loud
    }
}

/// A notification was taken.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Taken {
    /// Always `true`.
    pub received: bool,
}

/// `GET /webhooks/meta`: Meta's verification of the address. Unknown parameters are Meta's.
///
/// # Errors
/// 403 with another verify token; 400 without a challenge; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/webhooks/meta", tag = "Webhooks", operation_id = "verifyWebhook",
    summary = "Verify the address for notifications",
    description = "Called by Meta when the callback URL and the verify token are saved in the app's settings. Repeats the challenge as plain text.",
    params(
        ("hub.mode" = Option<String>, Query, description = "`subscribe`."),
        ("hub.challenge" = Option<String>, Query, description = "Repeated in the response: 1 to 100 visible ASCII characters.", example = "1158201444"),
        ("hub.verify_token" = Option<String>, Query, description = "The token that the settings at Meta have."),
    ),
    extensions(("x-error-codes" = json!(["BAD_REQUEST", "VALIDATION_ERROR", "FORBIDDEN", "REQUEST_TIMEOUT", "INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE"]))),
    responses((status = 200, description = "The verify token is right.", body = String, content_type = "text/plain", example = json!("1158201444"))),
)]
pub async fn verify(State(api): State<Api>, query: Params<Vec<(String, String)>>) -> Result<Response, ApiError> {
    let one = |name: &str| query.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let token = one("hub.verify_token").unwrap_or_default();
    if one("hub.mode") != Some("subscribe") || !webhook::is_verified(&api.app, token).await? {
        let message = "the verify token is not the one of this service; GET /admin/meta/webhook shows it";
        return Err(ApiError::new(Code::Forbidden, message));
    }
    let fits =
        |text: &&str| (1..=LONGEST_CHALLENGE).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    let challenge = one("hub.challenge").filter(fits);
    let challenge = challenge.ok_or_else(|| ApiError::bad_request("hub.challenge is missing, or not a short word"))?;
    info!("Meta verified the address for notifications");
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], challenge.to_owned()).into_response())
}

/// `POST /webhooks/meta`: a notification of Meta's.
///
/// # Errors
/// 401 without a good signature; 429 after too many bad ones; 413 when the body is too long; 5xx when the database query
/// fails: Meta delivers it again.
#[utoipa::path(
    post, path = "/webhooks/meta", tag = "Webhooks", operation_id = "takeWebhook",
    summary = "Take a notification of Meta's",
    description = "Called by Meta. A notification that a batch has finished makes the service ask for its verdict at once; it is never the verdict itself. Objects and fields of other kinds are ignored.",
    params(("X-Hub-Signature-256" = Option<String>, Header, description = "`sha256=` and the HMAC of the body under the app secret, in hexadecimal digits.")),
    request_body(content = serde_json::Value, content_type = "application/json", description = "`{\"object\": \"catalog\", \"entry\": […]}`",
        example = json!({"object": "catalog", "entry": [{"id": "4000000001", "time": 1764000000, "changes": [{"field": "items_batch", "value": {"catalog_id": "4000000001", "handle": "AcH…", "status": "Finished"}}]}]})),
    extensions(("x-error-codes" = json!(["UNAUTHORIZED", "TOO_MANY_REQUESTS", "REQUEST_TIMEOUT", "INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE"]))),
    responses((status = 200, description = "The signature is good.", body = Envelope<Taken>,
        example = json!({"data": {"received": true}, "message": "Success", "statusCode": 200}))),
)]
pub async fn take(State(api): State<Api>, request: Request) -> Result<Envelope<Taken>, ApiError> {
    if api.bad_signatures.is_closed(Instant::now()) {
        return Err(ApiError::new(
            Code::TooManyRequests,
            "too many requests with a bad signature; try again in a moment",
        ));
    }
    let header = request.headers().get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok());
    let Some(signature) = header.and_then(Signature::parse) else { return Err(unsigned(&api)) };
    let body = read_bytes(request, &api).await?;
    if webhook::take(&api.app, signature, &body).await? {
        return Ok(Envelope::ok(Taken { received: true }));
    }
    Err(unsigned(&api))
}

/// Counts a request without a good signature and refuses it.
fn unsigned(api: &Api) -> ApiError {
    if api.bad_signatures.count(Instant::now()) {
        warn!(
            "a notification without a good signature was refused; if it is Meta's, the setting app_secret is not the app's secret"
        );
    }
    ApiError::new(Code::Unauthorized, "the signature in X-Hub-Signature-256 is missing or not that of the app secret")
}

/// `GET /admin/meta/webhook`.
///
/// # Errors
/// 401, 403; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/webhook", tag = "Connection", operation_id = "getWebhookSetup",
    summary = "What the app's settings at Meta need for notifications",
    description = "The callback URL and the verify token for the product Webhooks, object Catalog, field `items_batch`. The verify token is derived from the app secret. `GET /admin/meta/system` shows whether notifications come.",
    security(("bearerToken" = ["metaCatalog:manage"])),
    responses((status = 200, description = "Callback URL and verify token.", body = Envelope<WebhookSetup>,
        example = json!({"data": {"callbackUrl": "https://api.shop.example/webhooks/meta", "verifyToken": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}, "message": "Success", "statusCode": 200}))),
)]
pub async fn setup(_: Manage, State(api): State<Api>) -> Result<Envelope<WebhookSetup>, ApiError> {
    Ok(Envelope::ok(webhook::setup(&api.app).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_bad_signatures_close_the_door_for_a_moment() {
        let (bad, now) = (BadSignatures::default(), Instant::now());
        assert!(bad.count(now), "the first one is logged");
        assert!((0..20).all(|_| !bad.count(now)) && !bad.is_closed(now));
        (0..200).for_each(|_| {
            bad.count(now);
        });
        assert!(bad.is_closed(now) && !bad.is_closed(now + CLOSED));
        assert!(bad.count(now + QUIET), "and one a minute");
    }
}
