//! `/openapi.json`, the description of the API for programs, and `/docs`, the same for readers, with calls that can be
//! tried.
//!
//! The viewer is Swagger UI, in the vendored form of `utoipa-swagger-ui`: it comes from the utoipa project, needs no network
//! and no Node when it is built, and runs under a policy without inline scripts, inline styles and evaluation. The crates
//! for RapiDoc and Scalar load their scripts from elsewhere. All files of the crate are in the binary, compressed: 1.2 MB
//! instead of 4.3 MB.
//! Promises: everything comes from this server; a token that is entered there stays in the page until it is closed.
//! Left out on purpose: the content of the description ([`super::openapi`]).

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::routing::{MethodRouter, get};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerFile;

use super::openapi::complete;
use crate::http::Api;

/// The page calls nothing but this server, and runs nothing that this server does not serve as a file. Its icons are
/// `data:` images in its style sheet.
const POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const CSP: HeaderName = header::CONTENT_SECURITY_POLICY;

/// A browser may keep the viewer's files for an hour: nothing in them is private, and only another version changes them.
const KEPT: &str = "public, max-age=3600";

/// The files of the viewer that the page loads.
const FILES: [&str; 3] = ["favicon-32x32.png", "swagger-ui-bundle.js", "swagger-ui.css"];

/// The document, and its page.
pub(in crate::http) fn pages(described: OpenApi) -> Router<Api> {
    // Bytes: a response shares them, so one that is not read costs no memory.
    let document = Bytes::from(complete(described).to_string());
    let json = HeaderValue::from_static("application/json");
    let own = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind), (CSP, POLICY)], text) })
    };
    let routes = Router::new()
        .route("/openapi.json", get(move || async move { ([(header::CONTENT_TYPE, json)], document) }))
        .route("/docs", own("text/html; charset=utf-8", include_str!("docs/page.html")))
        .route("/docs/start.js", own("text/javascript", include_str!("docs/start.js")));
    // A test holds that the crate has each of them.
    let files =
        FILES.into_iter().filter_map(|name| Some((name, utoipa_swagger_ui::serve(name, Arc::default()).ok()??)));
    files.fold(routes, |routes, (name, file)| routes.route(&format!("/docs/{name}"), viewer(file)))
}

fn viewer(file: SwaggerFile<'static>) -> MethodRouter<Api> {
    let mut headers = HeaderMap::from_iter([
        (CSP, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static(KEPT)),
    ]);
    if let Ok(kind) = HeaderValue::from_str(&file.content_type) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if file.gzpipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    get(move || async move { (headers, bytes) })
}
