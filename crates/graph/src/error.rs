//! Everything that can come of a Graph call besides an answer.
//!
//! Purpose: one type that says what failed, what Meta said, and (through [`ErrorClass`]) what to do about it.
//! Promises: judged by `error.code`, never by the HTTP status where a code decides; holds no secret and no URL.
//! Left out on purpose: retries. No call is ever repeated in here; callers own pacing and budgets.

mod class;
mod object;

use std::fmt;

pub use class::{AccountCause, Bucket, ErrorClass, Scope, TokenCause};
pub use object::GraphError;

use super::usage::Usage;

/// The edge that makes tokens.
pub(super) const TOKEN_EDGE: &str = "oauth/access_token";

/// Where a call came to grief.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// An argument made the call impossible to build; nothing was sent.
    NotSent,
    /// No connection came about; nothing was sent.
    Connect,
    /// No complete answer within the time limit.
    Timeout,
    /// The connection broke before an answer began.
    Reset,
    /// The answer broke off in the middle.
    Truncated,
    /// The answer is longer than this client is willing to hold.
    TooLarge,
    /// The answer is a redirect, which is never followed.
    Redirected,
    /// The answer is not JSON.
    NotJson,
    /// The answer is JSON of an unexpected shape.
    Unreadable,
    /// The answer is `{"success":false}`.
    SuccessFalse,
    /// The answer is Meta's error object.
    Refused,
}

impl FailureKind {
    /// True when Meta may have carried the call out although we have no proper answer.
    ///
    /// A refusal counts as an answer here; see [`GraphFailure::outcome_unknown`] for the whole truth.
    #[must_use]
    pub const fn maybe_accepted(self) -> bool {
        match self {
            Self::NotSent | Self::Connect | Self::Refused => false,
            Self::Timeout
            | Self::Reset
            | Self::Truncated
            | Self::TooLarge
            | Self::Redirected
            | Self::NotJson
            | Self::Unreadable
            | Self::SuccessFalse => true,
        }
    }
}

/// A Graph call that brought no usable answer.
#[derive(Clone)]
pub struct GraphFailure(Box<Inner>);

// Boxed, so that every `Result` of this module stays small.
#[derive(Clone)]
struct Inner {
    kind: FailureKind,
    class: ErrorClass,
    edge: &'static str,
    http_status: Option<u16>,
    detail: String,
    error: Option<GraphError>,
    usage: Usage,
}

impl GraphFailure {
    /// A failure without Meta's error object. `detail` is for people and must hold no secret.
    pub(super) fn without_error(
        kind: FailureKind,
        edge: &'static str,
        http_status: Option<u16>,
        detail: String,
    ) -> Self {
        let class = match kind {
            FailureKind::NotSent => ErrorClass::BadRequest,
            // Some gateway in between has a limit of its own.
            FailureKind::NotJson | FailureKind::Unreadable if http_status == Some(413) => ErrorClass::ReduceData,
            FailureKind::Connect
            | FailureKind::Timeout
            | FailureKind::Reset
            | FailureKind::Truncated
            | FailureKind::TooLarge
            | FailureKind::Redirected
            | FailureKind::NotJson
            | FailureKind::Unreadable
            | FailureKind::SuccessFalse
            | FailureKind::Refused => ErrorClass::Transient,
        };
        Self(Box::new(Inner { kind, class, edge, http_status, detail, error: None, usage: Usage::default() }))
    }

    /// Meta's refusal.
    pub(super) fn refused(edge: &'static str, http_status: u16, error: GraphError) -> Self {
        Self(Box::new(Inner {
            kind: FailureKind::Refused,
            class: class_at(edge, &error, http_status),
            edge,
            http_status: Some(http_status),
            detail: String::new(),
            error: Some(error),
            usage: Usage::default(),
        }))
    }

    pub(super) fn with_usage(mut self, usage: Usage) -> Self {
        self.0.usage = usage;
        self
    }

    /// Every text that came from outside, for taking secrets out of it.
    pub(super) fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let error = self.0.error.as_mut().map(GraphError::texts_mut);
        std::iter::once(&mut self.0.detail).chain(error.into_iter().flatten())
    }

    /// Where the call came to grief.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    /// What kind of trouble it is, and through it what to do.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.0.class
    }

    /// Meta's error object, if there was one.
    #[must_use]
    pub fn error(&self) -> Option<&GraphError> {
        self.0.error.as_ref()
    }

    /// `error.code`.
    #[must_use]
    pub fn code(&self) -> Option<i64> {
        self.error().and_then(|error| error.code)
    }

    /// `error.error_subcode`.
    #[must_use]
    pub fn subcode(&self) -> Option<i64> {
        self.error().and_then(|error| error.subcode)
    }

    /// `error.type`.
    #[must_use]
    pub fn fb_type(&self) -> Option<&str> {
        self.error().and_then(|error| error.kind.as_deref())
    }

    /// `error.fbtrace_id`.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.error().and_then(|error| error.trace_id.as_deref())
    }

    /// What went wrong, in Meta's words if it had any, else in ours.
    #[must_use]
    pub fn message(&self) -> &str {
        match self.error() {
            Some(error) if !error.message.is_empty() => &error.message,
            Some(_) => "Meta sent an error without a message",
            None => &self.0.detail,
        }
    }

    /// The HTTP status, if an answer began. For logs only: nothing is decided by it where a code decides.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// What the usage headers of the answer said.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.0.usage
    }

    /// See [`ErrorClass::retry_alone`].
    #[must_use]
    pub fn retry_alone(&self) -> bool {
        self.class().retry_alone()
    }

    /// See [`ErrorClass::pauses`].
    #[must_use]
    pub fn pauses(&self) -> Option<Scope> {
        self.class().pauses()
    }

    /// See [`ErrorClass::shrinks`].
    #[must_use]
    pub fn shrinks(&self) -> bool {
        self.class().shrinks()
    }

    /// See [`ErrorClass::needs_reconnect`].
    #[must_use]
    pub fn needs_reconnect(&self) -> bool {
        self.class().needs_reconnect()
    }

    /// True when nobody can tell whether Meta carried the call out.
    ///
    /// Any trouble that passes by itself counts, even when Meta said so in an error object: it does not
    /// document that such a call had no effect, and to repeat an UPDATE or DELETE costs nothing.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        let answered_or_sent = self.kind().maybe_accepted() || self.kind() == FailureKind::Refused;
        answered_or_sent
            && match self.class() {
                ErrorClass::Transient | ErrorClass::Unknown => true,
                ErrorClass::ReduceData
                | ErrorClass::Throttled(_)
                | ErrorClass::PolicyBlocked
                | ErrorClass::TokenDead(_)
                | ErrorClass::Permission
                | ErrorClass::CatalogGone
                | ErrorClass::AccountState(_)
                | ErrorClass::AppRejected
                | ErrorClass::BadRequest => false,
            }
    }

    /// One sentence for the operator: what is wrong and what mends it.
    #[must_use]
    pub fn operator_hint(&self) -> &'static str {
        match self.kind() {
            FailureKind::NotSent => "The call could not be built; the message names the setting to correct.",
            FailureKind::Connect => {
                "The service cannot reach Meta: check its network, DNS, proxy and the Graph base URL; it retries automatically."
            }
            FailureKind::Redirected => {
                "The server at the Graph base URL is not Meta's API: check that setting and the network."
            }
            FailureKind::Timeout
            | FailureKind::Reset
            | FailureKind::Truncated
            | FailureKind::TooLarge
            | FailureKind::NotJson
            | FailureKind::Unreadable
            | FailureKind::SuccessFalse
            | FailureKind::Refused => self.class().operator_hint(),
        }
    }
}

/// [`ErrorClass::of`], but where tokens are made a plain code 1 means a wrong app secret, not a passing trouble.
fn class_at(edge: &str, error: &GraphError, http_status: u16) -> ErrorClass {
    let class = ErrorClass::of(error, http_status);
    let about_the_app = edge == TOKEN_EDGE && error.code == Some(1) && !error.is_transient && http_status < 500;
    if about_the_app { ErrorClass::AppRejected } else { class }
}

impl fmt::Display for GraphFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.edge, self.message())?;
        let mut notes = Vec::new();
        if let Some(status) = self.http_status() {
            notes.push(format!("HTTP {status}"));
        }
        if let Some(code) = self.code() {
            notes.push(format!("code {code}"));
        }
        if let Some(subcode) = self.subcode() {
            notes.push(format!("subcode {subcode}"));
        }
        if let Some(trace) = self.trace_id() {
            notes.push(format!("fbtrace_id {trace}"));
        }
        if notes.is_empty() { Ok(()) } else { write!(f, " ({})", notes.join(", ")) }
    }
}

impl fmt::Debug for GraphFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GraphFailure({:?}, {:?}, {self})", self.kind(), self.class())
    }
}

impl std::error::Error for GraphFailure {}

#[cfg(test)]
mod tests;
