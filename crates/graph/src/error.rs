//! Every outcome of a Graph call that is not an answer.
//!
//! Purpose: one type that holds what failed, what Meta said, and (through [`ErrorClass`]) what to do about it.
//! Promises: a failure is judged by `error.code`, and by the HTTP status only when no code decides; it holds no secret
//! and no URL.
//! Left out on purpose: retries. This module never repeats a call; callers own pacing and budgets.

mod class;
mod object;

use std::fmt;

pub use class::{AccountCause, Bucket, ErrorClass, TokenCause};
pub use object::GraphError;

use super::usage::Usage;
use super::words;

/// The edge that mints tokens.
pub(super) const TOKEN_EDGE: &str = "oauth/access_token";

/// The stage at which a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// An argument was invalid, so the call could not be built; nothing was sent.
    NotSent,
    /// No connection was established; nothing was sent.
    Connect,
    /// No complete answer within the time limit.
    Timeout,
    /// The connection broke before an answer started.
    Reset,
    /// The answer was truncated.
    Truncated,
    /// The answer exceeds the size limit of this client.
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
    /// Whether Meta may have carried out the call although no valid answer arrived.
    ///
    /// A refusal counts as an answer here; [`GraphFailure::outcome_unknown`] gives the complete result.
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

/// A Graph call without a usable answer.
#[derive(Clone)]
pub struct GraphFailure(Box<Inner>);

// Boxed to keep every `Result` of this module small.
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
    /// A failure without Meta's error object. `detail` is shown to people and must not hold a secret.
    pub(super) fn without_error(
        kind: FailureKind,
        edge: &'static str,
        http_status: Option<u16>,
        mut detail: String,
    ) -> Self {
        // It may quote a header or the text of a library.
        words::clean(&mut detail);
        words::shorten(&mut detail, words::LONGEST_MESSAGE);
        let class = match kind {
            FailureKind::NotSent => ErrorClass::BadRequest,
            // A gateway between this client and Meta has its own limit.
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

    /// A failure with Meta's error object.
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

    /// Every text that came from outside, so that secrets can be removed from it.
    pub(super) fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let error = self.0.error.as_mut().map(GraphError::texts_mut);
        std::iter::once(&mut self.0.detail).chain(error.into_iter().flatten())
    }

    /// The stage at which the call failed.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    /// The error class, which determines the reaction.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.0.class
    }

    /// Meta's error object; `None` when the answer has none.
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

    /// The cause: Meta's message when there is one, otherwise this client's.
    #[must_use]
    pub fn message(&self) -> &str {
        match self.error() {
            Some(error) if !error.message.is_empty() => &error.message,
            Some(_) => "Meta sent an error without a message",
            None => &self.0.detail,
        }
    }

    /// The HTTP status; `None` when no answer started. For logs: a code always takes precedence over it.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The usage headers of the answer.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.0.usage
    }

    /// Whether it is unknown if Meta carried out the call.
    ///
    /// Every transient failure counts, even when Meta reported it in an error object: Meta does not document that such
    /// a call had no effect, and repeating an UPDATE or DELETE has no cost.
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

    /// Whether Meta answered the question, but with nothing that can be read. Unlike an outage, this may concern the
    /// object of this one call, and for ever.
    #[must_use]
    pub fn unusable_answer(&self) -> bool {
        matches!(self.kind(), FailureKind::Unreadable | FailureKind::TooLarge | FailureKind::SuccessFalse)
            && self.http_status().is_some_and(|status| status < 500)
    }

    /// Returns one sentence for the operator: the problem and its fix.
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

/// [`ErrorClass::of`], except that on the edge that mints tokens a plain code 1 means a wrong app secret, not a
/// transient failure.
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
