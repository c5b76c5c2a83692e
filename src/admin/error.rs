//! Why a use case failed.

use std::collections::BTreeMap;

use crate::actors::token::TokenFault;
use crate::mapping;
use crate::mapping::activation::ActivationError;
use crate::mapping::loader::MapperGone;
use crate::store::StoreError;
use crate::store::oauth_state::Refused;
use meta_graph::{ErrorClass, FailureKind, GraphFailure};
use wasm_host::HostError;

/// Why a use case failed. The text of each is for the operator and holds no secret; the cause behind
/// [`AdminError::Store`] and [`AdminError::Internal`] is only for the log.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The input is not what it must be.
    #[error("{message}")]
    Invalid {
        /// What is wrong with the input as a whole.
        message: String,
        /// What is wrong with each part, by its name.
        details: BTreeMap<String, String>,
    },
    /// A setting is missing, or Meta is not connected.
    #[error("{0}")]
    Misconfigured(String),
    /// The state of an OAuth callback is not one to be used now.
    #[error("{}", state_message(*.0))]
    State(Option<Refused>),
    /// Facebook sent no code, most often because the operator refused.
    #[error("{message}")]
    Denied {
        /// What happened and what to do.
        message: String,
        /// What Facebook said, word for word.
        details: BTreeMap<String, String>,
    },
    /// Facebook refused to give a token for the code.
    #[error("Facebook did not accept the login: {} Start it again from the settings page.", sentence(.0))]
    Exchange(GraphFailure),
    /// Meta refused a step that needs the account or the business to be in order.
    #[error("Meta refused to {step}: {} {}", sentence(.failure), .failure.operator_hint())]
    Account {
        /// What was to be done, as in "create the system user".
        step: &'static str,
        /// Meta's word.
        failure: GraphFailure,
    },
    /// Meta's call succeeded, but the result is not usable.
    #[error("{0}")]
    Unusable(String),
    /// The file is no mapper module that can become active; says why and how to fix it.
    #[error("{0}")]
    Module(String),
    /// No mapper module can run in this process, whatever is in its file; says why.
    #[error("no mapper module can run on this machine; nothing was changed: {0}")]
    NoModules(HostError),
    /// The module could not be tried, so it is not judged; says why.
    #[error("{0}. The module was not judged: offer it again in a moment")]
    NotTried(String),
    /// One preview of a mapper module at a time.
    #[error("another preview is running ({0}); wait until it ends, or read its progress")]
    PreviewRunning(String),
    /// The resource does not exist.
    #[error("{0}")]
    NotFound(String),
    /// A concurrent change conflicts with the request.
    #[error("{0}")]
    Changed(String),
    /// A call to Meta failed.
    #[error("the call to Meta failed: {} {}", sentence(.0), what_to_do(.0))]
    Graph(GraphFailure),
    /// The database query failed, or a stored value is invalid.
    #[error("the database query failed")]
    Store(#[from] StoreError),
    /// An internal error.
    #[error("{0}")]
    Internal(String),
}

impl AdminError {
    /// One thing wrong with the input as a whole.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), details: BTreeMap::new() }
    }

    /// Several things wrong, by name.
    #[must_use]
    pub fn invalid_parts(message: impl Into<String>, details: BTreeMap<String, String>) -> Self {
        Self::Invalid { message: message.into(), details }
    }

    /// Meta's word on a step that the account may not be fit for: a refusal is the account's, the rest is trouble.
    #[must_use]
    pub fn of_step(step: &'static str, failure: GraphFailure) -> Self {
        if refused_for_good(&failure) { Self::Account { step, failure } } else { Self::Graph(failure) }
    }

    /// Meta's word on the exchange of a code.
    #[must_use]
    pub fn of_exchange(failure: GraphFailure) -> Self {
        if refused_for_good(&failure) { Self::Exchange(failure) } else { Self::Graph(failure) }
    }
}

/// Returns whether Meta understood and refused the call, as opposed to a temporary failure.
fn refused_for_good(failure: &GraphFailure) -> bool {
    match failure.class() {
        ErrorClass::Transient | ErrorClass::Unknown | ErrorClass::Throttled(_) | ErrorClass::ReduceData => false,
        ErrorClass::PolicyBlocked
        | ErrorClass::TokenDead(_)
        | ErrorClass::Permission
        | ErrorClass::CatalogGone
        | ErrorClass::AccountState(_)
        | ErrorClass::AppRejected
        | ErrorClass::BadRequest => matches!(failure.kind(), FailureKind::Refused | FailureKind::NotSent),
    }
}

impl From<mapping::Refused> for AdminError {
    fn from(refused: mapping::Refused) -> Self {
        let is_the_machines = refused.is_the_machines();
        (if is_the_machines { Self::NotTried } else { Self::Module })(refused.to_string())
    }
}

impl From<ActivationError> for AdminError {
    fn from(error: ActivationError) -> Self {
        let message = error.to_string();
        match error {
            ActivationError::Store(error) => Self::Store(error),
            ActivationError::Gone(gone) => gone.into(),
            ActivationError::Refused(refused) => refused.into(),
            ActivationError::Lost(why) => Self::Module(why),
            ActivationError::NothingBefore => Self::NotFound(message),
            ActivationError::Changed => Self::Changed(message),
        }
    }
}

impl From<TokenFault> for AdminError {
    fn from(fault: TokenFault) -> Self {
        match fault {
            TokenFault::NotConnected | TokenFault::Expired { .. } | TokenFault::Dead { .. } => {
                Self::Misconfigured(fault.to_string())
            }
            TokenFault::Superseded | TokenFault::Unavailable { .. } => Self::Internal(fault.to_string()),
        }
    }
}

impl From<MapperGone> for AdminError {
    fn from(gone: MapperGone) -> Self {
        match gone {
            MapperGone::Host(error) => Self::NoModules(error),
            MapperGone::Thread => Self::Internal(gone.to_string()),
        }
    }
}

/// Returns the next step. A failure's own hint is for calls that the pipeline retries; an operator's call is not
/// retried.
fn what_to_do(failure: &GraphFailure) -> &'static str {
    match failure.class() {
        ErrorClass::Transient | ErrorClass::Unknown | ErrorClass::Throttled(_) | ErrorClass::ReduceData => {
            "The failure may be temporary: try again in a moment."
        }
        ErrorClass::PolicyBlocked
        | ErrorClass::TokenDead(_)
        | ErrorClass::Permission
        | ErrorClass::CatalogGone
        | ErrorClass::AccountState(_)
        | ErrorClass::AppRejected
        | ErrorClass::BadRequest => failure.operator_hint(),
    }
}

/// Returns Meta's message, with a full stop.
pub(super) fn sentence(failure: &GraphFailure) -> String {
    let text = failure.message().trim();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

fn state_message(cause: Option<Refused>) -> &'static str {
    match cause {
        None => "the callback carries no state; start the login again from the settings page",
        Some(Refused::Unknown) => "this login was not started here; start it again from the settings page",
        Some(Refused::Replayed) => "this login was completed before; start it again from the settings page",
        Some(Refused::Expired) => "this login took longer than ten minutes; start it again from the settings page",
    }
}
