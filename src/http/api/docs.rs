//! `/openapi.json`, the description of the API for programs, and `/docs`, the same for readers, with calls that can be
//! tried.
//!
//! The page is Swagger UI, in the vendored form of `utoipa-swagger-ui`: it comes from the utoipa project, needs no
//! network and no Node when it is built, and runs under a policy without inline scripts, inline styles and evaluation.
//! RapiDoc's crate loads its script from elsewhere, and Scalar's bundle is twice as large.
//! Promises: everything comes from this server; a token that is entered there stays in the page until it is closed.
//! Left out on purpose: the content of the description ([`super::openapi`]).

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use super::openapi::complete;
use crate::http::error::ApiError;
use crate::http::{Api, shell};

/// The page calls nothing but this server, and runs nothing that this server does not serve as a file. Its icons are
/// `data:` images in its style sheet.
const POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The files of the page, of all that Swagger UI brings.
const FILES: [&str; 7] = [
    "index.css",
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-16x16.png",
    "favicon-32x32.png",
];

/// The document, and its page.
pub(in crate::http) fn pages(described: OpenApi) -> Router<Api> {
    let document = complete(described).to_string();
    let json = HeaderValue::from_static("application/json");
    Router::new()
        .route("/openapi.json", get(move || async move { ([(header::CONTENT_TYPE, json)], document) }))
        .route("/docs", get(async || page()))
        .route("/docs/{file}", get(async |Path(name): Path<String>| file(&name).await))
}

/// How the page behaves: the document lies beside it, a call can be tried at once, and no validator elsewhere is asked.
fn config() -> Arc<Config<'static>> {
    let config = Config::from("openapi.json").try_it_out_enabled(true).validator_url("none").doc_expansion("list");
    // Without the bar at the top, which opens documents from elsewhere.
    Arc::new(config.default_models_expand_depth(0).use_base_layout())
}

/// The page, with its files in the folder beside it.
fn page() -> Response {
    match utoipa_swagger_ui::serve("index.html", config()) {
        Ok(Some(file)) => {
            let html = String::from_utf8_lossy(&file.bytes)
                .replace("\"./", "\"docs/")
                .replace("\"index.css", "\"docs/index.css")
                .replace("Swagger UI", "meta-catalog API");
            served("text/html; charset=utf-8", html)
        }
        Ok(None) | Err(_) => ApiError::internal("Swagger UI has no page").into_response(),
    }
}

async fn file(name: &str) -> Response {
    let Some(known) = FILES.into_iter().find(|known| *known == name) else {
        return shell::no_route().await.into_response();
    };
    match utoipa_swagger_ui::serve(known, config()) {
        Ok(Some(file)) => served(&file.content_type.clone(), file.bytes.into_owned()),
        Ok(None) | Err(_) => ApiError::internal(format!("Swagger UI has no {known}")).into_response(),
    }
}

fn served(kind: &str, body: impl IntoResponse) -> Response {
    const CSP: HeaderName = header::CONTENT_SECURITY_POLICY;
    let mut response = ([(CSP, POLICY)], body).into_response();
    if let Ok(kind) = HeaderValue::from_str(kind) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}
