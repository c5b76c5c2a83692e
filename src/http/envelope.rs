//! The shape of every success.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A success: `{"data", "message": "Success", "statusCode", "metadata"?}`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<T> {
    /// The answer.
    pub data: T,
    /// Always `Success`.
    pub message: &'static str,
    /// The HTTP status.
    pub status_code: u16,
    /// Where in a list the answer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<PageInfo>,
}

/// Where in a list a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    /// Number of the page, from 1.
    pub page: u64,
    /// Most rows of a page.
    pub limit: u64,
    /// Rows of all pages.
    pub total: u64,
    /// Pages.
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
        Self::with(StatusCode::OK, data, None)
    }

    /// Queued: it will be done.
    #[must_use]
    pub fn accepted(data: T) -> Self {
        Self::with(StatusCode::ACCEPTED, data, None)
    }

    /// A page of a list.
    #[must_use]
    pub fn page(data: T, info: PageInfo) -> Self {
        Self::with(StatusCode::OK, data, Some(info))
    }

    fn with(status: StatusCode, data: T, metadata: Option<PageInfo>) -> Self {
        Self { data, message: "Success", status_code: status.as_u16(), metadata }
    }
}

impl<T: Serialize> IntoResponse for Envelope<T> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status_code).unwrap_or(StatusCode::OK);
        (status, Json(self)).into_response()
    }
}
