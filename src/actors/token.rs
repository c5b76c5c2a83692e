//! The TokenActor: hands out the access token and keeps it fresh.
//!
//! Promises:
//! - Each request reads the credential anew (requests that come in meanwhile share the reading), so a
//!   disconnect by another replica counts at once.
//! - A valid token is answered without calling Meta; however many ask while one must be refreshed, that
//!   costs one exchange, and its one outcome answers all of them.
//! - A refresh that fails, hangs or panics answers too: with the old token while it is still valid, else
//!   with the fault. The next exchange then waits, 30 s doubling to 15 min.
//! - A credential that changed under a refresh wins: the refresh's report is of an older generation and
//!   is ignored, its write was conditional on the version.
//! - A token that Meta called dead is not handed out again.
//!
//! Left out on purpose: sealing, the exchange and the store, all behind [`TokenSource`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorRef, RpcReplyPort};
use secrecy::SecretString;

use crate::clock::{Millis, SharedClock};
pub use crate::domain::credential::TokenKind;
use crate::runtime::jitter::Jitter;
use crate::runtime::slots::Slot;
use crate::runtime::tree::Child;

mod actor;
mod judge;

use actor::TokenActor;

/// A reading of the credential that takes longer has failed.
const LOAD_WITHIN: Duration = Duration::from_secs(15);
/// An exchange that takes longer has failed; its late success is found by the next reading.
const REFRESH_WITHIN: Duration = Duration::from_secs(60);
/// A reading, an exchange that lost to another one, and the reading after it.
const ANSWER_WITHIN: Duration = Duration::from_secs(100);

/// An access token with what decides about it. Debug does not show the token.
#[derive(Clone, Debug)]
pub struct StoredToken {
    /// The token itself.
    pub token: SecretString,
    /// Whose it is.
    pub kind: TokenKind,
    /// When it ends, if it does.
    pub expires_at: Option<Millis>,
    /// The credential's version; every write of the credential makes a new one.
    pub version: i64,
    /// Meta's id of the account it belongs to, if known.
    pub account_id: Option<String>,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// There is no credential.
    #[error("not connected to Meta; connect an account in the settings")]
    NotConnected,
    /// An expired token cannot be exchanged.
    #[error("the access token has expired and cannot be renewed any more; connect the account again")]
    Expired {
        /// When it ended.
        at: Millis,
    },
    /// Meta refused the token.
    #[error("Meta no longer accepts the access token: {problem}")]
    Dead {
        /// What Meta said and what to do.
        problem: String,
    },
    /// The credential changed while it was being refreshed; read it again.
    #[error("the credential changed during the renewal; try again")]
    Superseded,
    /// The store or Meta could not be asked.
    #[error("the access token is currently not available: {reason}")]
    Unavailable {
        /// What went wrong.
        reason: String,
    },
}

/// Where the token lives and how it is exchanged.
#[ractor::async_trait]
pub trait TokenSource: Send + Sync + 'static {
    /// Reads the credential as it is now; `None` when not connected.
    ///
    /// # Errors
    /// [`TokenFault::Unavailable`], or [`TokenFault::Dead`] if it is known to be refused.
    async fn load(&self) -> Result<Option<StoredToken>, TokenFault>;

    /// Exchanges the token and writes the new one `WHERE version = current.version`.
    ///
    /// # Errors
    /// [`TokenFault::Superseded`] when that row is gone; [`TokenFault::Dead`] or
    /// [`TokenFault::Expired`] when Meta says so; anything that may pass as [`TokenFault::Unavailable`].
    async fn refresh(&self, current: &StoredToken) -> Result<StoredToken, TokenFault>;
}

/// What a request is answered with.
type Answer = Result<Arc<StoredToken>, TokenFault>;

/// Asks the actor; clones ask the same one. Exists before the tree.
#[derive(Clone, Debug)]
pub struct Tokens {
    slot: Slot<TokenMsg>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self::new()
    }
}

impl Tokens {
    /// A handle to the child called `token`, once it exists.
    #[must_use]
    pub fn new() -> Self {
        Self { slot: Slot::new("token") }
    }

    /// The actor behind this handle.
    pub fn child(&self, source: Arc<dyn TokenSource>, clock: SharedClock, jitter: Jitter) -> Child {
        Child::new(&self.slot, move || {
            let actor = TokenActor {
                source: Arc::clone(&source),
                clock: SharedClock::clone(&clock),
                jitter: Jitter::clone(&jitter),
            };
            (actor, ())
        })
    }

    /// The token to call Meta with.
    ///
    /// # Errors
    /// See [`TokenFault`]; an actor that is down is [`TokenFault::Unavailable`].
    pub async fn get(&self) -> Result<Arc<StoredToken>, TokenFault> {
        let get = |reply| TokenMsg(Msg::Get(reply));
        self.slot
            .call(get, ANSWER_WITHIN)
            .await
            .unwrap_or_else(|error| Err(TokenFault::Unavailable { reason: error.to_string() }))
    }

    /// The credential was changed here: whatever is known or under way about the old one is void.
    pub fn forget(&self) {
        self.tell(Msg::Forget);
    }

    /// Meta refused the token of this version (code 190, 102); `problem` says what to do about it.
    pub fn dead(&self, version: i64, problem: String) {
        self.tell(Msg::Dead { version, problem });
    }

    /// An actor that is down has nothing to forget, and finds out itself once it is up.
    fn tell(&self, message: Msg) {
        let _ = self.slot.cast(TokenMsg(message));
    }
}

/// The actor's message; made by [`Tokens`] and the actor alone.
pub struct TokenMsg(Msg);

impl fmt::Debug for TokenMsg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenMsg")
    }
}

enum Msg {
    Get(RpcReplyPort<Answer>),
    Forget,
    Dead { version: i64, problem: String },
    Loaded { generation: u64, outcome: Result<Option<StoredToken>, TokenFault> },
    Refreshed { generation: u64, outcome: Result<StoredToken, TokenFault> },
}

/// Runs `work` apart from the actor and sends its one outcome back, also when it panics or hangs.
///
/// A hanging task is left alone: it may be about to write, and its write is conditional.
fn report_back<T: Send + 'static>(
    myself: ActorRef<TokenMsg>,
    what: &'static str,
    within: Duration,
    work: impl Future<Output = Result<T, TokenFault>> + Send + 'static,
    report: impl FnOnce(Result<T, TokenFault>) -> Msg + Send + 'static,
) {
    let work = tokio::spawn(work);
    tokio::spawn(async move {
        let outcome = match tokio::time::timeout(within, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(ended)) => Err(TokenFault::Unavailable {
                reason: match ended.try_into_panic() {
                    Ok(panic) => format!("{what}: {}", crate::runtime::vitals::panic_text(&*panic)),
                    Err(_) => format!("{what} was cancelled"),
                },
            }),
            Err(_) => Err(TokenFault::Unavailable { reason: format!("{what} did not end within {within:?}") }),
        };
        // An actor that ended meanwhile has no waiters left.
        let _ = myself.cast(TokenMsg(report(outcome)));
    });
}

#[cfg(test)]
mod tests;
