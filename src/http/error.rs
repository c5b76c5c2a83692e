//! The shape of every failure, made in one place.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::{error, info};
use utoipa::ToSchema;

use crate::admin::AdminError;
use crate::intake::events::EventsError;
use crate::report::chain;
use crate::store::StoreError;
use meta_graph::GraphFailure;

/// A failure: `{"message", "statusCode", "errorCode", "details"?, "fbType"?, "fbCode"?, "fbSubcode"?, "fbTraceId"?}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorEnvelope {
    /// For people: what is wrong and how to mend it.
    pub message: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status_code: u16,
    /// For programs.
    pub error_code: &'static str,
    /// What is wrong with each part of the input, or what a third party said, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// Meta's `error.type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fb_type: Option<String>,
    /// Meta's `error.code`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fb_code: Option<i64>,
    /// Meta's `error.error_subcode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fb_subcode: Option<i64>,
    /// Meta's `error.fbtrace_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fb_trace_id: Option<String>,
}

/// Why a request is not answered with success.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    envelope: Box<ErrorEnvelope>,
    /// For the log alone.
    cause: Option<String>,
}

impl ApiError {
    /// An error of this status; `code` is for programs, `message` for people.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let envelope = ErrorEnvelope {
            message: message.into(),
            status_code: status.as_u16(),
            error_code: code,
            details: BTreeMap::new(),
            fb_type: None,
            fb_code: None,
            fb_subcode: None,
            fb_trace_id: None,
        };
        Self { status, envelope: Box::new(envelope), cause: None }
    }

    /// The request is not what it must be.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    /// The request can be read, but its values are not what they must be.
    #[must_use]
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message)
    }

    /// Nobody says who is asking.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED",
            "sign in, or send an API token as `Authorization: Bearer …` (`meta-catalog token create` makes one)",
        )
    }

    /// Whoever is asking may not do it.
    #[must_use]
    pub fn forbidden(permission: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", format!("this needs the permission {permission}"))
    }

    /// The request took too long, on our side or on the asker's.
    #[must_use]
    pub fn late(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", message)
    }

    /// Something of ours, which is for the log alone.
    #[must_use]
    pub fn internal(cause: impl Into<String>) -> Self {
        let message = "something went wrong here; the log has it under this request's id";
        Self { cause: Some(cause.into()), ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL, message) }
    }

    /// With a cause, which is for the log alone.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    fn details(mut self, details: BTreeMap<String, String>) -> Self {
        self.envelope.details = details;
        self
    }

    fn meta(mut self, failure: &GraphFailure) -> Self {
        self.envelope.fb_type = failure.fb_type().map(str::to_owned);
        self.envelope.fb_code = failure.code();
        self.envelope.fb_subcode = failure.subcode();
        self.envelope.fb_trace_id = failure.trace_id().map(str::to_owned);
        self.cause = Some(failure.to_string());
        self
    }
}

const INTERNAL: &str = "INTERNAL_SERVER_ERROR";

/// Whether the database is not there just now, as against saying no.
fn away(error: &StoreError) -> bool {
    let StoreError::Database(error) = error else { return false };
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::Tls(_) => true,
        // PostgreSQL's own words for it: connection lost, no connection to spare, starting or shutting down; waited too
        // long for another transaction.
        sqlx::Error::Database(said) => {
            let code = said.code().unwrap_or_default();
            code.starts_with("08") || code.starts_with("57P") || ["53300", "55P03", "57014"].contains(&&*code)
        }
        _ => false,
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let cause = chain(&error);
        if let StoreError::Busy(message) = error {
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", message).because(cause);
        }
        if away(&error) {
            let message = "the database does not answer just now; try again in a moment";
            let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", message);
            return Self { cause: Some(cause), ..error };
        }
        Self::internal(cause)
    }
}

impl From<EventsError> for ApiError {
    fn from(error: EventsError) -> Self {
        match error {
            EventsError::Invalid { message, details } => Self::validation(message).details(details),
            EventsError::Store(error) => error.into(),
        }
    }
}

impl From<AdminError> for ApiError {
    fn from(fault: AdminError) -> Self {
        let message = fault.to_string();
        let bad = |code| Self::new(StatusCode::BAD_REQUEST, code, message.clone());
        match fault {
            AdminError::Invalid { details, .. } => Self::validation(message).details(details),
            AdminError::Misconfigured(_) => bad("meta_misconfigured"),
            AdminError::State(_) => bad("meta_oauth_state_invalid"),
            AdminError::Denied { details, .. } => bad("BAD_REQUEST").details(details),
            AdminError::Exchange(failure) => bad("meta_oauth_exchange_failed").meta(&failure),
            AdminError::Account { failure, .. } => bad("meta_account_error").meta(&failure),
            AdminError::Unusable(_) => bad("meta_account_error"),
            AdminError::Changed(_) => bad("BAD_REQUEST"),
            AdminError::Module(_) => bad("mapper_refused"),
            AdminError::NotTried(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", message.clone()).because(message)
            }
            AdminError::PreviewRunning(_) => bad("mapper_preview_running"),
            AdminError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message),
            AdminError::NoModules(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL, message.clone()).because(message)
            }
            AdminError::Graph(failure) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL, message).meta(&failure)
            }
            AdminError::Store(error) => error.into(),
            AdminError::Internal(cause) => Self::internal(cause),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, envelope, cause } = self;
        let code = envelope.error_code;
        // The one place where a failure is told; whoever made it did not log it.
        match cause {
            Some(cause) if status.is_server_error() => error!(error_code = code, cause, "request failed"),
            Some(cause) => info!(error_code = code, cause, "request refused"),
            // The message may quote the request, and a request may hold a secret in the wrong place.
            None => info!(error_code = code, "request refused"),
        }
        let mut response = (status, Json(envelope)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Refused;
    use mapper_core::word::{FaultKind, MapperFault as Gap};
    use wasm_host::LoadError;

    /// Whoever offers a module must not go and mend it for a fault of this machine's.
    #[test]
    fn what_is_this_machine_s_fault_is_no_bad_request() {
        let sample = |kind| Refused::Sample {
            sample: "s".into(),
            purpose: "p".into(),
            fault: Gap { kind, message: "it failed".into() },
        };
        let answer = |refused: Refused| {
            let ApiError { envelope, .. } = AdminError::from(refused).into();
            (envelope.status_code, envelope.error_code, envelope.message)
        };
        for refused in [
            sample(FaultKind::Busy),
            sample(FaultKind::Host),
            Refused::Load(LoadError::Thread("none".into())),
            Refused::Load(LoadError::Describe(Gap { kind: FaultKind::Busy, message: "it failed".into() })),
        ] {
            let (status, code, message) = answer(refused);
            assert_eq!((status, code), (503, "SERVICE_UNAVAILABLE"));
            assert!(message.ends_with("try it again in a moment"), "{message}");
            assert!(!message.contains("it is tried again"), "nobody does: {message}");
        }
        for refused in [
            sample(FaultKind::Time),
            sample(FaultKind::Trap),
            Refused::Slow { answered: 1, samples: 2 },
            Refused::Load(LoadError::NotWasm),
        ] {
            let (status, code, _) = answer(refused);
            assert_eq!((status, code), (400, "mapper_refused"));
        }
    }
}
