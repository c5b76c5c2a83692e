//! The only place that sends a Graph call over the wire.
//!
//! Purpose: send a [`Call`], read the answer within limits, and distinguish answers from failures.
//! Promises: the token is sent in the `Authorization` header; no URL, secret or body is ever logged or put into an
//! error; no redirect is followed; no answer grows past its cap; each call is sent once.
//! Left out on purpose: retries, pacing and caching.
//! (One exception: when an HTTP/2 connection refuses a request before processing it, the HTTP client sends it again on
//! a new connection. Such a request was not a call yet.)

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tracing::Instrument;
use url::Url;

use super::call::Call;
use super::config::{GraphConfig, GraphConfigError, is_loopback};
use super::error::{FailureKind, GraphError, GraphFailure};
use super::usage::Usage;
use super::words;

const USER_AGENT: &str = concat!("meta-catalog/", env!("CARGO_PKG_VERSION"));

/// Shorter than the time after which servers drop an idle connection, so that no call starts on a connection that is
/// about to close.
const KEEP_IDLE_CONNECTIONS: Duration = Duration::from_secs(30);

/// Client of the Graph API. Cheap to clone; all clones share one connection pool.
#[derive(Clone)]
pub struct GraphClient {
    http: reqwest::Client,
    config: Arc<GraphConfig>,
}

/// A successful answer and its usage headers.
pub(super) struct Answer<T> {
    pub(super) value: T,
    pub(super) usage: Usage,
}

impl GraphClient {
    /// Returns a client for the given hosts. Does no I/O.
    ///
    /// # Errors
    /// When a setting is invalid or the HTTP client cannot be set up.
    pub fn new(config: GraphConfig) -> Result<Self, GraphConfigError> {
        config.validate()?;
        let mut http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(config.timeouts.connect)
            .timeout(config.timeouts.request)
            .pool_idle_timeout(KEEP_IDLE_CONNECTIONS)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false);
        if config.graph_base_url.scheme() == "http" {
            // Without this, a machine without CA certificates could not even call a local simulator.
            http = http.tls_certs_only([]);
            if !is_loopback(&config.graph_base_url) {
                tracing::warn!("the Graph base URL is plain http: tokens are sent unencrypted");
            }
        }
        if is_loopback(&config.graph_base_url) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| GraphConfigError::Http(describe(error)))?;
        Ok(Self { http, config: Arc::new(config) })
    }

    /// The version of the API in use, such as `v25.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.config.version
    }

    /// The longest duration of a call. A lease must outlive it.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        self.config.timeouts.request
    }

    pub(super) fn config(&self) -> &GraphConfig {
        &self.config
    }

    /// Sends a call and parses its answer as `T`.
    pub(super) async fn send<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<Answer<T>, GraphFailure> {
        let span = tracing::info_span!("graph", method = %call.method, edge = call.edge, catalog_id = call.catalog_id);
        async {
            let result = self.exchange(call).await.and_then(|(raw, usage)| match interpret(&raw) {
                Ok(value) => Ok(Answer { value, usage }),
                Err(failure) => Err(raw.redact(failure).with_usage(usage)),
            });
            match &result {
                Ok(_) => tracing::debug!("answered"),
                Err(failure) => tracing::debug!(%failure, class = ?failure.class(), "failed"),
            }
            result
        }
        .instrument(span)
        .await
    }

    /// Sends the call and reads the whole answer, whatever its status.
    async fn exchange(&self, call: Call<'_>) -> Result<(RawAnswer, Usage), GraphFailure> {
        let (edge, cap, redactor) = (call.edge, call.cap, call.redactor());
        let request = self.request(call)?;
        let fail = |kind, status: Option<StatusCode>, error: reqwest::Error| {
            let mut detail = describe(error);
            redactor.scrub(&mut detail);
            GraphFailure::without_error(kind, edge, status.map(|status| status.as_u16()), detail)
        };

        let mut response = request.send().await.map_err(|error| fail(unanswered(&error), None, error))?;
        let status = response.status();
        let usage = Usage::from_headers(response.headers());
        if !usage.is_empty() {
            tracing::debug!(?usage, "Meta reports usage");
        }
        let body = match read_capped(&mut response, cap).await {
            Ok(Some(body)) => body,
            Ok(None) => {
                let detail = format!("the answer is longer than {cap} bytes");
                let failure = GraphFailure::without_error(FailureKind::TooLarge, edge, Some(status.as_u16()), detail);
                return Err(failure.with_usage(usage));
            }
            Err(error) => {
                let kind = if error.is_timeout() { FailureKind::Timeout } else { FailureKind::Truncated };
                return Err(fail(kind, Some(status), error).with_usage(usage));
            }
        };
        let content_type = content_type(&response);
        Ok((RawAnswer { edge, status, content_type, body, redactor }, usage))
    }

    fn request(&self, call: Call<'_>) -> Result<RequestBuilder, GraphFailure> {
        let not_sent = |detail| GraphFailure::without_error(FailureKind::NotSent, call.edge, None, detail);
        call.check_path().map_err(not_sent)?;
        let mut url = self.versioned(&self.config.graph_base_url, &call.path);
        let form = call.method == reqwest::Method::POST && call.json.is_none();
        if !form {
            append(&mut url, call.exposed_params());
        }
        let signature = call.token_and_proof();
        if let Some((_, proof)) = &signature {
            append(&mut url, [("appsecret_proof", proof.as_str())].into_iter());
        }
        let mut request = self.http.request(call.method.clone(), url);
        if let Some((token, _)) = &signature {
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
                .map_err(|_| not_sent("the stored token has characters that no token has; reconnect".to_owned()))?;
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer);
        }
        if form {
            request = request.form(&call.exposed_params().collect::<Vec<_>>());
        }
        Ok(match call.json {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body),
            None => request,
        })
    }

    /// `base` + version + `path`.
    pub(super) fn versioned(&self, base: &Url, path: &[&str]) -> Url {
        let mut url = base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(&self.config.version).extend(path);
        }
        url
    }
}

fn append<'a>(url: &mut Url, params: impl Iterator<Item = (&'static str, &'a str)>) {
    let mut params = params.peekable();
    // Without this check, a call without parameters would end in a bare `?`.
    if params.peek().is_some() {
        url.query_pairs_mut().extend_pairs(params);
    }
}

/// The failure kind of a request without an answer.
fn unanswered(error: &reqwest::Error) -> FailureKind {
    if error.is_builder() {
        FailureKind::NotSent
    } else if error.is_connect() {
        FailureKind::Connect
    } else if error.is_timeout() {
        FailureKind::Timeout
    } else {
        FailureKind::Reset
    }
}

/// The error and its causes in one line, without the URL, because its query may hold secrets.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

/// Returns the whole body, or `None` when it is longer than `cap`.
async fn read_capped(response: &mut Response, cap: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if announced > cap {
        return Ok(None);
    }
    let mut body = Vec::with_capacity(announced);
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > cap {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The media type without its parameters, shortened for display.
fn content_type(response: &Response) -> String {
    let header = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = header.split(';').next().unwrap_or_default().trim();
    if kind.is_empty() { "no content type".to_owned() } else { kind.chars().take(60).collect() }
}

/// An answer as received.
struct RawAnswer {
    edge: &'static str,
    status: StatusCode,
    content_type: String,
    body: Vec<u8>,
    redactor: super::redact::Redactor,
}

impl RawAnswer {
    fn fail(&self, kind: FailureKind, what: impl AsRef<str>) -> GraphFailure {
        GraphFailure::without_error(kind, self.edge, Some(self.status.as_u16()), what.as_ref().to_owned())
    }

    /// Removes the call's own secrets from Meta's texts.
    fn redact(&self, mut failure: GraphFailure) -> GraphFailure {
        failure.texts_mut().for_each(|text| self.redactor.scrub(text));
        failure
    }
}

/// Distinguishes an answer from a failure. Pure.
fn interpret<T: DeserializeOwned>(raw: &RawAnswer) -> Result<T, GraphFailure> {
    if raw.status.is_redirection() {
        return Err(raw.fail(FailureKind::Redirected, "the answer is a redirect; Meta's API sends none"));
    }
    if raw.body.trim_ascii_start().first() != Some(&b'{') {
        let json = !raw.body.is_empty() && serde_json::from_slice::<IgnoredAny>(&raw.body).is_ok();
        let kind = if json { FailureKind::Unreadable } else { FailureKind::NotJson };
        let (length, content_type) = (raw.body.len(), &raw.content_type);
        return Err(raw.fail(kind, format!("expected a JSON object, got {length} bytes of {content_type}")));
    }
    let mut answer = words::parse(&raw.body).map_err(|error| not_json(raw, &error))?;
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        return Err(GraphFailure::refused(raw.edge, raw.status.as_u16(), GraphError::from_value(error)));
    }
    if answer.get("success") == Some(&Value::Bool(false)) {
        return Err(raw.fail(FailureKind::SuccessFalse, "Meta answered {\"success\":false} without a reason"));
    }
    if !raw.status.is_success() {
        return Err(raw.fail(FailureKind::Unreadable, "an error status with JSON that is not a Graph error"));
    }
    words::bound(&mut answer);
    // Without the JSON library's own message: it quotes values, and a value may be a new token.
    serde_json::from_value(answer).map_err(|_| raw.fail(FailureKind::Unreadable, "JSON of an unexpected shape"))
}

/// Reports the position at which a body ends or stops being JSON.
fn not_json(raw: &RawAnswer, error: &serde_json::Error) -> GraphFailure {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        raw.fail(FailureKind::Truncated, "the JSON is truncated")
    } else if serde_json::from_slice::<IgnoredAny>(&raw.body).is_ok() {
        let what = format!("JSON with a too deep or too large value at line {line} column {column}");
        raw.fail(FailureKind::Unreadable, what)
    } else {
        raw.fail(FailureKind::NotJson, format!("broken JSON at line {line} column {column}"))
    }
}

#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(not(feature = "fuzzing"), expect(unreachable_pub, reason = "fuzzing exports it"))]
pub(crate) mod shown;
#[cfg(test)]
mod tests;
