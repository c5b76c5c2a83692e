//! The shape of every success.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

const SUCCESS: &str = "Success";

/// A success: `{"data", "message": "Success", "statusCode"}`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<T> {
    /// The result.
    pub data: T,
    /// Always `Success`.
    #[schema(pattern = "^Success$", example = "Success")]
    pub message: &'static str,
    /// The HTTP status.
    pub status_code: u16,
}

/// A page of a list: `{"data", "message": "Success", "statusCode", "metadata"}`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Paged<T> {
    /// The rows of the page.
    pub data: Vec<T>,
    /// Always `Success`.
    #[schema(pattern = "^Success$", example = "Success")]
    pub message: &'static str,
    /// The HTTP status.
    pub status_code: u16,
    /// The position of the page in the list.
    pub metadata: PageInfo,
}

/// The position of a page in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    /// Page number, from 1.
    pub page: u64,
    /// Maximum number of rows per page.
    pub limit: u64,
    /// Number of rows on all pages.
    pub total: u64,
    /// Number of pages.
    pub total_pages: u64,
}

impl PageInfo {
    /// For a list of `total` rows.
    #[must_use]
    pub fn new(page: u64, limit: u64, total: u64) -> Self {
        Self { page, limit, total, total_pages: total.div_ceil(limit.max(1)) }
    }
}

impl<T> Envelope<T> {
    /// Done.
    #[must_use]
    pub fn ok(data: T) -> Self {
        Self::with(StatusCode::OK, data)
    }

    /// Queued: it will be done.
    #[must_use]
    pub fn accepted(data: T) -> Self {
        Self::with(StatusCode::ACCEPTED, data)
    }

    fn with(status: StatusCode, data: T) -> Self {
        Self { data, message: SUCCESS, status_code: status.as_u16() }
    }
}

impl<T> Paged<T> {
    /// A page of a list.
    #[must_use]
    pub fn new(data: Vec<T>, metadata: PageInfo) -> Self {
        Self { data, message: SUCCESS, status_code: StatusCode::OK.as_u16(), metadata }
    }
}

impl<T: Serialize> IntoResponse for Paged<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

impl<T: Serialize> IntoResponse for Envelope<T> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status_code).unwrap_or(StatusCode::OK);
        (status, Json(self)).into_response()
    }
}
