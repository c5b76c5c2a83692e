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

/// Why a use case failed. Each text is for the operator and contains no secret; the causes of [`AdminError::Store`] and
/// [`AdminError::Internal`] are for the log only.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The input is not valid.
    #[error("{message}")]
    Invalid {
        /// What is wrong with the input as a whole.
        message: String,
        /// What is wrong with each part, by the part's name.
        details: BTreeMap<String, String>,
    },
    /// A setting is missing, or Meta is not connected.
    #[error("{0}")]
    Misconfigured(String),
    /// The state of an OAuth callback is missing, unknown, expired or already used.
    #[error("{}", state_message(*.0))]
    State(Option<Refused>),
    /// Facebook returned no code, most often because the operator denied access; says what happened and what to do. The
    /// words are ours: anybody can send a browser to the callback with words that look like Facebook's.
    #[error("{message}")]
    Denied {
        /// A stable code: one of OAuth 2.0, or one of ours.
        code: &'static str,
        /// What happened and what to do.
        message: &'static str,
    },
    /// Facebook refused to exchange the code for a token.
    #[error("Facebook did not accept the login: {} Start it again from the settings page.", sentence(.0))]
    Exchange(GraphFailure),
    /// Meta refused a step that needs the account or the business to be in order.
    #[error("Meta refused to {step}: {} {}", sentence(.failure), account_hint(step, .failure))]
    Account {
        /// The refused step, as in "create the system user".
        step: &'static str,
        /// Meta's error.
        failure: GraphFailure,
    },
    /// Meta carried the request out, and its result still cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// The file is not a mapper module that can become active; says why and how to fix it.
    #[error("{0}")]
    Module(String),
    /// No mapper module can run in this process, whatever its file contains; says why.
    #[error("no mapper module can run in this process; nothing was changed: {0}")]
    NoModules(HostError),
    /// The module could not be tried, which says nothing about the module; says why.
    #[error("{0}. This says nothing about the module; try it again in a moment")]
    NotTried(String),
    /// Another preview is running; only one runs at a time.
    #[error("a preview is already running ({0}); wait until it ends, or cancel it")]
    PreviewRunning(String),
    /// The requested thing does not exist.
    #[error("{0}")]
    NotFound(String),
    /// Another request changed the same thing in the meantime.
    #[error("{0}")]
    Changed(String),
    /// More would happen than was confirmed. Nothing was changed.
    #[error(
        "{confirmed} variants were confirmed, and {found} are selected now; nothing was changed. Look again and confirm the new number"
    )]
    Outgrown {
        /// The number that was confirmed.
        confirmed: u64,
        /// The number that would be touched now.
        found: u64,
    },
    /// A call to Meta failed.
    #[error("the call to Meta failed: {} {}", sentence(.0), what_to_do(.0))]
    Graph(GraphFailure),
    /// The database query failed, or the database contains a value that it must not contain.
    #[error("the database query failed")]
    Store(#[from] StoreError),
    /// Something inside this service failed.
    #[error("{0}")]
    Internal(String),
}

/// A failure with a stable code, which the API and the audit trail tell.
pub trait Coded {
    /// Returns its code.
    fn code(&self) -> &'static str;
}

impl Coded for StoreError {
    fn code(&self) -> &'static str {
        if self.is_away() { "SERVICE_UNAVAILABLE" } else { "INTERNAL_SERVER_ERROR" }
    }
}

impl Coded for AdminError {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "VALIDATION_ERROR",
            Self::Misconfigured(_) => "meta_misconfigured",
            Self::State(_) => "meta_oauth_state_invalid",
            Self::Denied { .. } | Self::Changed(_) => "BAD_REQUEST",
            Self::Exchange(_) => "meta_oauth_exchange_failed",
            Self::Account { .. } | Self::Unusable(_) => "meta_account_error",
            Self::Module(_) => "mapper_refused",
            Self::NotTried(_) => "SERVICE_UNAVAILABLE",
            Self::PreviewRunning(_) => "mapper_preview_running",
            Self::NotFound(_) => "NOT_FOUND",
            Self::Outgrown { .. } => "OUTGROWN",
            Self::NoModules(_) | Self::Graph(_) | Self::Internal(_) => "INTERNAL_SERVER_ERROR",
            Self::Store(error) => error.code(),
        }
    }
}

impl AdminError {
    /// An error about the input as a whole.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), details: BTreeMap::new() }
    }

    /// An error about several parts of the input, by name.
    #[must_use]
    pub fn invalid_parts(message: impl Into<String>, details: BTreeMap<String, String>) -> Self {
        Self::Invalid { message: message.into(), details }
    }

    /// The error for a step for which the account may not be fit: a refusal is [`AdminError::Account`], everything else
    /// [`AdminError::Graph`].
    #[must_use]
    pub fn of_step(step: &'static str, failure: GraphFailure) -> Self {
        if refused_for_good(&failure) { Self::Account { step, failure } } else { Self::Graph(failure) }
    }

    /// The error for the exchange of a code.
    #[must_use]
    pub fn of_exchange(failure: GraphFailure) -> Self {
        if refused_for_good(&failure) { Self::Exchange(failure) } else { Self::Graph(failure) }
    }
}

/// What an operator does about a refused step. Meta gives one code for whatever it does not show; the step tells what.
fn account_hint(step: &str, failure: &GraphFailure) -> &'static str {
    match failure.class() {
        ErrorClass::CatalogGone
            if step.contains("list the system users") || step.contains("create the system user") =>
        {
            "The connected account has no access to this business, or there is none with this id: select one that GET \
             /admin/meta/businesses lists."
        }
        ErrorClass::CatalogGone if step.contains("assign the catalog") => {
            "The connected account has no access to this catalog, or there is none with this id: select one that GET \
             /admin/meta/businesses lists."
        }
        _ => failure.operator_hint(),
    }
}

/// Whether Meta understood the call and refused it, as opposed to a failure that may be temporary.
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

/// Returns what the operator has to do. A failure's own hint is written for calls that the pipeline repeats; an
/// operator's call is not repeated.
fn what_to_do(failure: &GraphFailure) -> &'static str {
    match failure.class() {
        ErrorClass::Transient | ErrorClass::Unknown | ErrorClass::Throttled(_) | ErrorClass::ReduceData => {
            "The problem may be temporary: try again in a moment."
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

/// Meta's message, ended with a full stop.
pub(super) fn sentence(failure: &GraphFailure) -> String {
    let text = failure.message().trim();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

fn state_message(cause: Option<Refused>) -> &'static str {
    match cause {
        None => "the callback has no state; start the login again from the settings page",
        Some(Refused::Unknown) => "this login was not started here; start it again from the settings page",
        Some(Refused::Replayed) => "the state of this login was already used; start it again from the settings page",
        Some(Refused::Expired) => "this login took longer than ten minutes; start it again from the settings page",
    }
}
