//! Reading requests: axum's extractors, refusing in the one envelope.

use axum::Json;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody, JsonRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::{StatusCode, request::Parts};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use std::error::Error;

use super::App;
use super::error::ApiError;

/// A JSON body.
#[derive(Clone, Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        // Of its own: what a long request may take is not for a client that sends a byte now and then.
        let limit = app.limits.time;
        match tokio::time::timeout(limit, Json::<T>::from_request(request, app)).await {
            Ok(Ok(Json(body))) => Ok(Self(body)),
            Ok(Err(rejection)) => Err(refused_body(&rejection, app.limits.body)),
            Err(_) => Err(ApiError::late(format!("the body did not arrive within {} s", limit.as_secs()))),
        }
    }
}

fn refused_body(rejection: &JsonRejection, most: usize) -> ApiError {
    match rejection {
        JsonRejection::JsonDataError(error) => ApiError::validation(innermost(error)),
        JsonRejection::JsonSyntaxError(error) => {
            ApiError::bad_request(format!("the body is not JSON: {}", innermost(error)))
        }
        JsonRejection::MissingJsonContentType(_) => ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            "send the body as JSON, with `Content-Type: application/json`",
        ),
        JsonRejection::BytesRejection(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_))) => {
            ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "PAYLOAD_TOO_LARGE",
                format!("the body is longer than {most} bytes"),
            )
        }
        _ => ApiError::bad_request("the body broke off"),
    }
}

/// The query.
#[derive(Clone, Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        // The parser itself would put a replacement character in its place.
        if percent_decode_str(parts.uri.query().unwrap_or_default()).decode_utf8().is_err() {
            return Err(ApiError::bad_request("the query is not UTF-8 text"));
        }
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(ApiError::validation(innermost(&rejection))),
        }
    }
}

/// The variant in the path.
#[derive(Clone, Debug)]
pub struct VariantId(pub String);

impl FromRequestParts<App> for VariantId {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match Path::<String>::from_request_parts(parts, app).await {
            Ok(Path(id)) if !id.contains('\0') => Ok(Self(id)),
            _ => Err(ApiError::bad_request("the variant id in the path is not UTF-8 text")),
        }
    }
}

/// What the deserializer itself said, without axum's wrapping.
fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
