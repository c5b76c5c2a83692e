//! The client of Meta's Graph API.
//!
//! Purpose: every call of this service to Meta, typed, one file per group of calls. Start at [`GraphClient`].
//! Promises: a token is sent in a header only; every call with a token carries `appsecret_proof`; no secret and no URL
//! reaches a log, an error or a `Debug`; answers are parsed in every shape that Meta is known to send, and every text in
//! them is cleaned and bounded where it enters (`words.rs`); a call is judged by `error.code` ([`ErrorClass`]).
//! Left out on purpose: retries, pacing and token storage. They belong to the actors, because only those know the
//! budgets.

mod assigned_users;
mod batch_status;
mod businesses;
mod call;
mod catalogs;
mod config;
mod error;
mod items_batch;
mod look_up;
mod oauth;
mod paging;
mod products;
mod proof;
mod redact;
mod subscribed_apps;
mod system_users;
mod tolerant;
mod transport;
mod usage;
pub mod webhook;
mod words;

#[cfg(test)]
mod tests;

use secrecy::SecretString;

pub use batch_status::{BatchState, BatchStatus, BatchStatusAnswer, RowMessage};
pub use businesses::Business;
pub use catalogs::Catalog;
pub use config::{
    DEFAULT_DIALOG_BASE_URL, DEFAULT_GRAPH_BASE_URL, DEFAULT_VERSION, GraphConfig, GraphConfigError, Timeouts,
};
pub use error::{AccountCause, Bucket, ErrorClass, FailureKind, GraphError, GraphFailure, TokenCause};
pub use items_batch::{BatchAnswer, ClearValue, ItemsBatchBody, MAX_BYTES, MAX_ROWS, PushRefused, RowValidation};
pub use look_up::{Form, LookUp, fitting};
pub use oauth::{GranularScope, Identity, SCOPES, TokenGrant, TokenInfo};
pub use products::{ItemError, LiveItem, MoreFields};
pub use system_users::{SystemUser, SystemUserRole, TokenLifetime};
pub use transport::GraphClient;
pub use usage::{Usage, UseCaseUsage};
pub use words::{LONGEST_MESSAGE, clip, shown_cleaned};

/// What fuzzing asks of this crate.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    pub use crate::transport::shown::{harmless, shown};
}

/// The app's credentials at Meta.
#[derive(Clone, Debug)]
pub struct AppCredentials {
    /// The app's id.
    pub app_id: String,
    /// The app's secret.
    pub app_secret: SecretString,
}

/// The identity that makes a call.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The app that the token was issued for.
    pub app: &'a AppCredentials,
    /// The access token of a user or a system user.
    pub token: &'a SecretString,
}
