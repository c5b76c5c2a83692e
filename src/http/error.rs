//! The JSON shape of every failure, built in one place.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use tracing::{error, info};
use utoipa::ToSchema;

use super::code::Code;
use catalog_sync::admin::AdminError;
use catalog_sync::intake::events::EventsError;
use catalog_sync::report::chain;
use catalog_sync::store::StoreError;
use meta_graph::GraphFailure;

/// A failure: `{"message", "statusCode", "errorCode", "details"?, "fbType"?, "fbCode"?, "fbSubcode"?, "fbTraceId"?}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorEnvelope {
    /// Human-readable message: what is wrong and what to do.
    pub message: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status_code: u16,
    /// Machine-readable error code.
    pub error_code: &'static str,
    /// By name: what is wrong with each part of the input, or what a third party returned.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// Meta's `error.type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub fb_type: Option<String>,
    /// Meta's `error.code`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub fb_code: Option<i64>,
    /// Meta's `error.error_subcode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub fb_subcode: Option<i64>,
    /// Meta's `error.fbtrace_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub fb_trace_id: Option<String>,
}

/// The failure that a response tells, in the response's extensions.
#[derive(Clone, Debug)]
pub struct Failed(pub Box<ErrorEnvelope>);

/// Why a request fails.
#[derive(Debug)]
pub struct ApiError {
    code: Code,
    /// See [`Self::word`].
    word: &'static str,
    envelope: Box<ErrorEnvelope>,
    /// Only for the log.
    cause: Option<String>,
}

impl ApiError {
    /// An error with this code; `message` is for people.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let envelope = ErrorEnvelope {
            message: message.into(),
            status_code: code.status().as_u16(),
            error_code: code.word(),
            details: BTreeMap::new(),
            fb_type: None,
            fb_code: None,
            fb_subcode: None,
            fb_trace_id: None,
        };
        Self { code, word: code.word(), envelope: Box::new(envelope), cause: None }
    }

    /// The request cannot be read.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// The request can be read, but a value is not valid.
    #[must_use]
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(Code::Validation, message)
    }

    /// No valid credentials were sent.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(
            Code::Unauthorized,
            "sign in, or send an API token as `Authorization: Bearer …` (`meta-catalog token create` makes one)",
        )
    }

    /// The caller lacks the permission.
    #[must_use]
    pub fn forbidden(permission: &str) -> Self {
        Self::new(Code::Forbidden, format!("this needs the permission {permission}"))
    }

    /// The request took too long, on our side or on the caller's.
    #[must_use]
    pub fn late(message: impl Into<String>) -> Self {
        Self::new(Code::RequestTimeout, message)
    }

    /// An internal error; the cause is only for the log.
    #[must_use]
    pub fn internal(cause: impl Into<String>) -> Self {
        let message = "internal error; the log has the cause under this request's id";
        Self { cause: Some(cause.into()), ..Self::new(Code::Internal, message) }
    }

    /// The code that a page is told in its address.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.word
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// Its message.
    #[must_use]
    pub fn for_people(&self) -> &str {
        &self.envelope.message
    }

    /// What is known of it: its cause, or its message.
    #[must_use]
    pub fn for_the_log(self) -> String {
        self.cause.unwrap_or(self.envelope.message)
    }

    /// Adds a cause, which is only for the log.
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

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let cause = chain(&error);
        if let StoreError::Busy(message) = error {
            return Self::new(Code::Unavailable, message).because(cause);
        }
        if error.is_away() {
            let message = "the database does not respond; try again in a moment";
            let error = Self::new(Code::Unavailable, message);
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

/// The code of each failure of a use case; a failure of the store has the code that [`ApiError::from`] gives it. The audit
/// trail keeps the same words ([`catalog_sync::admin::error::Coded`]).
fn code_of(error: &AdminError) -> Code {
    match error {
        AdminError::Invalid { .. } => Code::Validation,
        AdminError::Misconfigured(_) => Code::Misconfigured,
        AdminError::State(_) => Code::OAuthState,
        AdminError::Denied { .. } | AdminError::Changed(_) => Code::BadRequest,
        AdminError::Exchange(_) => Code::OAuthExchange,
        AdminError::Account { .. } | AdminError::Unusable(_) => Code::Account,
        AdminError::Module(_) => Code::MapperRefused,
        AdminError::NotTried(_) => Code::Unavailable,
        AdminError::PreviewRunning(_) => Code::PreviewRunning,
        AdminError::NotFound(_) => Code::NotFound,
        AdminError::Outgrown { .. } => Code::Outgrown,
        AdminError::NoModules(_) | AdminError::Graph(_) | AdminError::Store(_) | AdminError::Internal(_) => {
            Code::Internal
        }
    }
}

impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> Self {
        let failure = Self::new(code_of(&error), error.to_string());
        match error {
            AdminError::Store(error) => error.into(),
            AdminError::Internal(cause) => Self::internal(cause),
            AdminError::Invalid { details, .. } => failure.details(details),
            AdminError::Exchange(meta) | AdminError::Account { failure: meta, .. } | AdminError::Graph(meta) => {
                failure.meta(&meta)
            }
            AdminError::Denied { code, .. } => Self { word: code, ..failure },
            AdminError::NotTried(_) | AdminError::NoModules(_) => {
                let cause = failure.envelope.message.clone();
                failure.because(cause)
            }
            AdminError::Misconfigured(_)
            | AdminError::State(_)
            | AdminError::Unusable(_)
            | AdminError::Changed(_)
            | AdminError::Module(_)
            | AdminError::PreviewRunning(_)
            | AdminError::Outgrown { .. }
            | AdminError::NotFound(_) => failure,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { code, envelope, cause, .. } = self;
        let (status, code) = (code.status(), code.word());
        // The only place that logs a failure.
        match cause {
            Some(cause) if status.is_server_error() => error!(error_code = code, cause, "request failed"),
            Some(cause) => info!(error_code = code, cause, "request refused"),
            // The message may quote the request, and a request may hold a secret in the wrong place.
            None => info!(error_code = code, "request refused"),
        }
        // For layers outside the handler: a page shows the failure in its own way.
        let failed = Extension(Failed(envelope.clone()));
        let mut response = (status, failed, Json(envelope)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog_sync::admin::error::Coded as _;
    use catalog_sync::mapping::Refused;
    use mapper_core::word::{FaultKind, MapperFault as Gap};
    use wasm_host::LoadError;

    /// The trail tells a failure by the word that the response has.
    #[test]
    fn the_audit_trail_has_the_same_codes() {
        let busy = || StoreError::Busy("it is locked".into());
        let each = [
            AdminError::invalid("x"),
            AdminError::Misconfigured("x".into()),
            AdminError::State(None),
            AdminError::Denied { code: "access_denied", message: "x" },
            AdminError::Unusable("x".into()),
            AdminError::Module("x".into()),
            AdminError::NotTried("x".into()),
            AdminError::PreviewRunning("x".into()),
            AdminError::NotFound("x".into()),
            AdminError::Changed("x".into()),
            AdminError::Internal("x".into()),
            AdminError::Store(busy()),
            AdminError::Store(StoreError::Url("x".into())),
        ];
        for error in each {
            let word = error.code();
            assert_eq!(ApiError::from(error).envelope.error_code, word);
        }
        assert_eq!(busy().code(), ApiError::from(busy()).envelope.error_code);
    }

    /// A fault of this machine says nothing about the module.
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
