//! The layers around every request: request id, span, limits, and responses when no handler produces one.

use std::any::Any;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::{Instrument, Span, field, info, info_span};

use super::Site;
use super::code::Code;
use super::error::ApiError;
use catalog_sync::admin::audit;
use catalog_sync::ids;
use catalog_sync::runtime::vitals::panic_text;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_REQUEST_ID: usize = 128;

/// Gives the request its id and its span, and logs its end. The query is not logged, because a callback's query holds a
/// code.
pub(super) async fn per_request(mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    request.extensions_mut().insert(RequestId(id.clone()));
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let span = info_span!(
        "request",
        request_id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        route,
        principal = field::Empty,
        status = field::Empty,
    );
    let started = tokio::time::Instant::now();
    async move {
        let mut response = audit::request(next.run(request)).await;
        let status = response.status().as_u16();
        Span::current().record("status", status);
        info!(
            status,
            elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request finished"
        );
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, id);
        // Responses must not be cached, and the callback's URL, which holds a code, must not leak as a referrer.
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }
    .instrument(span)
    .await
}

/// The id of a request, in its extensions.
#[derive(Clone, Debug)]
pub struct RequestId(pub HeaderValue);

/// Returns the caller's request id if it is safe to log, otherwise a new one.
fn request_id(request: &Request) -> HeaderValue {
    let fit = |value: &&HeaderValue| {
        (1..=LONGEST_REQUEST_ID).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    let given = request.headers().get(REQUEST_ID).filter(fit).cloned();
    given.unwrap_or_else(|| HeaderValue::from_str(&ids::request()).unwrap_or(HeaderValue::from_static("-")))
}

/// How long a browser may remember a preflight. Chromium remembers none longer.
const PREFLIGHT: Duration = Duration::from_secs(2 * 60 * 60);

/// Lets the pages of the trusted origins read responses and send the session cookie; errors included. The pages of other
/// origins get no permission, so a browser keeps the responses from them.
pub(super) fn cross_origin(site: &Site) -> CorsLayer {
    let origins = site.page_origins().filter_map(|origin| HeaderValue::from_str(&origin).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, REQUEST_ID])
        .expose_headers([REQUEST_ID])
        .max_age(PREFLIGHT)
}

/// Refuses an `OPTIONS` that is no preflight: [`cross_origin`] answers every one.
pub(super) async fn only_preflights(request: Request, next: Next) -> Response {
    let is_preflight = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() == Method::OPTIONS && !is_preflight {
        return wrong_method(request).await.into_response();
    }
    next.run(request).await
}

/// Responds with 408 when the handler takes longer.
pub(crate) async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::late(format!("no response within {} s; try again", limit.as_secs())).into_response(),
    }
}

/// Marks a route without parameters. [`super::auth`] refuses a query there, so that a misspelt key is not ignored, and
/// does so only after the caller is known and allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakesNoQuery;

impl TakesNoQuery {
    /// # Errors
    /// When the route has this mark and the request has a query.
    pub(super) fn check(parts: &Parts) -> Result<(), ApiError> {
        let has_query = parts.uri.query().is_some_and(|query| !query.is_empty());
        if has_query && parts.extensions.get::<Self>().is_some() {
            return Err(ApiError::validation("this endpoint takes no query parameters"));
        }
        Ok(())
    }
}

/// Answers for a path that nothing is at.
pub async fn no_route() -> ApiError {
    ApiError::new(Code::NotFound, "there is no such path")
}

pub(crate) async fn wrong_method(request: Request) -> ApiError {
    let message = format!("{} does not take {}", request.uri().path(), request.method());
    ApiError::new(Code::MethodNotAllowed, message)
}

type PanicHandler = fn(Box<dyn Any + Send>) -> Response<Body>;

/// A panic results in a 500 for its own request and does not affect other requests.
pub(crate) fn catch_panic() -> CatchPanicLayer<PanicHandler> {
    CatchPanicLayer::custom(|panic| ApiError::internal(panic_text(&*panic)).into_response())
}

/// Runs what changes something to its end, also when the caller disconnects or times out. It stands inside [`limit_time`].
pub(crate) async fn finish_changes(request: Request, next: Next) -> Response {
    if request.method().is_safe() { next.run(request).await } else { to_the_end(next.run(request)).await }
}

/// Runs the work to its end, as a part of the request, also when the caller disconnects or times out. Requests that change
/// something need no call of it: see [`finish_changes`].
pub(crate) async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    match tokio::spawn(audit::within_this_request(work).in_current_span()).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only the shutdown of the runtime cancels the task, and then nothing waits for this result.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::middleware::{from_fn, from_fn_with_state};
    use axum::routing::get;
    use serde_json::{Value, json};

    use super::*;

    async fn panics() -> StatusCode {
        panic!("on purpose")
    }

    async fn panics_apart() -> StatusCode {
        to_the_end(async { panic!("on purpose") }).await
    }

    #[tokio::test]
    async fn what_changes_something_goes_on_after_the_caller_has_left() {
        let (done, mut is_done) = tokio::sync::mpsc::channel(2);
        let work = move || {
            let done = done.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(30)).await;
                let _ = done.send(()).await;
            }
        };
        let router = Router::new()
            .route("/", get(work.clone()).post(work))
            .layer(from_fn(finish_changes))
            .layer(from_fn_with_state(Duration::from_millis(1), limit_time));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let http = reqwest::Client::new();
        for request in [http.get(&address), http.post(&address)] {
            let response = request.send().await.expect("a response");
            assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
        }
        assert_eq!(is_done.recv().await, Some(()));
        drop(http);
        server.abort();
        let _ = server.await;
        assert_eq!(is_done.recv().await, None, "what only reads ends with its caller");
    }

    /// Returns the responses of a small server with these layers, by path.
    async fn ask(paths: &[&str]) -> Vec<(u16, Value)> {
        let router = Router::new()
            .route("/slow", get(std::future::pending::<StatusCode>))
            .layer(from_fn_with_state(Duration::from_millis(1), limit_time))
            .route("/panics", get(panics))
            .route("/panics-apart", get(panics_apart))
            .layer(catch_panic())
            .layer(from_fn(per_request));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let mut answers = Vec::new();
        for path in paths {
            let answer = reqwest::get(format!("http://{address}{path}")).await.expect("an answer");
            assert!(answer.headers().contains_key(REQUEST_ID), "{path}");
            answers.push((answer.status().as_u16(), answer.json().await.expect("JSON")));
        }
        server.abort();
        answers
    }

    #[tokio::test]
    async fn a_late_and_a_panicking_handler_answer_in_the_envelope() {
        let late = json!({"message": "no response within 0 s; try again", "statusCode": 408,
                          "errorCode": "REQUEST_TIMEOUT"});
        let panicked = json!({"message": "internal error; the log has the cause under this request's id",
                              "statusCode": 500, "errorCode": "INTERNAL_SERVER_ERROR"});
        let answers = ask(&["/slow", "/panics", "/panics-apart"]).await;
        assert_eq!(answers, [(408, late), (500, panicked.clone()), (500, panicked)]);
    }
}
