//! The layer around every page: its policy, its caching, and how a failure looks.
//!
//! Promises: a page runs only what this server serves as a file, posts only to this server and cannot be framed; a page
//! that did not change costs no bytes (`ETag`); a caller without a session is sent to sign in and comes back to the page
//! it wanted; a failure is a page with its request id and what to do next.

use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use super::assets::{ASSETS, Assets};
use super::words;

use crate::http::code::Code;
use crate::http::error::{ApiError, ErrorEnvelope, Failed};
use crate::http::shell::RequestId;

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
/// A browser keeps the page and asks each time whether it is current.
const ASK_EACH_TIME: HeaderValue = HeaderValue::from_static("private, no-cache");
/// No refusal of the framework is as long.
const LONGEST_REFUSAL: usize = 4 * 1024;
/// No page is as long.
const LONGEST: usize = 16 * 1024 * 1024;

/// Renders a template as a page.
///
/// # Errors
/// When the template fails.
pub fn page(template: &impl Template) -> Result<Response, ApiError> {
    with_status(StatusCode::OK, template)
}

/// Renders a template as a page with another status, such as a form with what is wrong in it.
///
/// # Errors
/// When the template fails.
pub fn with_status(status: StatusCode, template: &impl Template) -> Result<Response, ApiError> {
    let html = template.render().map_err(|error| ApiError::internal(format!("the page was not rendered: {error}")))?;
    Ok((status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response())
}

/// Sends the browser to another page.
#[must_use]
pub fn see_other(location: &str) -> Response {
    let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

#[derive(Template)]
#[template(path = "failure.html")]
struct Failure<'f> {
    assets: &'static Assets,
    title: &'static str,
    failed: &'f ErrorEnvelope,
    request_id: &'f str,
    again: Option<&'f str>,
}

/// See the module.
pub async fn dress(request: Request, next: Next) -> Response {
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let id = request.extensions().get::<RequestId>().and_then(|id| id.0.to_str().ok()).unwrap_or_default().to_owned();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let by_script = request.headers().contains_key("hx-request");
    let is_browser = accepts_pages(request.headers());
    let mut response = next.run(request).await;
    if is_browser {
        response = told(response).await;
    }
    if let Some(Failed(failed)) = response.extensions_mut().remove::<Failed>().filter(|_| is_browser) {
        response = failure(&failed, &id, &method, &uri, by_script);
    } else if method == Method::GET && response.status() == StatusCode::OK && is_page(response.headers()) {
        response = tagged(response, known.as_ref()).await;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.entry(header::CACHE_CONTROL).or_insert(ASK_EACH_TIME);
    // What a cookie's holder sees is no answer for another.
    headers.append(header::VARY, HeaderValue::from_static("Cookie"));
    response
}

/// A refusal of the framework, such as of a form with a field that cannot be read, tells its failure as ours do.
async fn told(response: Response) -> Response {
    let is_told = response.extensions().get::<Failed>().is_some() || is_page(response.headers());
    let code = match response.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Code::PayloadTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
        status if status.is_client_error() => Code::BadRequest,
        _ => return response,
    };
    if is_told {
        return response;
    }
    let text = to_bytes(response.into_body(), LONGEST_REFUSAL).await.unwrap_or_default();
    ApiError::new(code, words::sentence(&String::from_utf8_lossy(&text))).into_response()
}

/// Whether the caller shows pages. A program that has lost its way gets JSON, as from the API.
fn accepts_pages(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|kinds| kinds.to_str().is_ok_and(|kinds| kinds.contains("text/html")))
}

/// A download may be longer than memory, so it passes as it comes.
fn is_page(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

fn failure(failed: &ErrorEnvelope, id: &str, method: &Method, uri: &Uri, by_script: bool) -> Response {
    let status = StatusCode::from_u16(failed.status_code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // A script's request keeps its status: the script loads the whole page again.
    if status == StatusCode::UNAUTHORIZED && !by_script {
        let wanted = if method.is_safe() { uri.path_and_query().map_or("/", |wanted| wanted.as_str()) } else { "/" };
        return see_other(&format!("/sign-in?next={}", utf8_percent_encode(wanted, NON_ALPHANUMERIC)));
    }
    let title = match status {
        StatusCode::FORBIDDEN => "This needs another permission",
        StatusCode::NOT_FOUND => "There is no such page",
        status if status.is_client_error() => "This was not done",
        StatusCode::SERVICE_UNAVAILABLE => "The service cannot answer at the moment",
        _ => "Something failed",
    };
    let again = method.is_safe().then(|| uri.path_and_query().map_or("/", |wanted| wanted.as_str()));
    // Such an address is another site's.
    let again = again.filter(|again| !again.starts_with("//"));
    let page = Failure { assets: &ASSETS, title, failed, request_id: id, again };
    with_status(status, &page).unwrap_or_else(|_| status.into_response())
}

/// Answers with 304 when the browser has this page.
async fn tagged(response: Response, known: Option<&HeaderValue>) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, LONGEST).await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let digest = Sha256::digest(&bytes);
    // Weak: the bytes differ once compressed.
    let tag: String = digest[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let Ok(tag) = HeaderValue::from_str(&format!("W/\"{tag}\"")) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    let is_known = known == Some(&tag);
    parts.headers.insert(header::ETAG, tag);
    if is_known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}
