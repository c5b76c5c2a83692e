//! The TokenActor: hands out the access token and renews it in time.
//!
//! Promises:
//! - Each request reads the credential again (requests that arrive meanwhile share the read), so a disconnect by
//!   another replica takes effect at once.
//! - A valid token is returned without a call to Meta. However many requests arrive while a token must be refreshed,
//!   there is one exchange, and its outcome answers all of them.
//! - A refresh that fails, hangs or panics also results in an answer: the old token while it is still valid, else the
//!   fault. The next exchange then waits, 30 s doubling to 15 min.
//! - A credential that changes during a refresh wins: the refresh's report has an older generation and is ignored, and
//!   its write was conditional on the version.
//! - A token that Meta reported as dead is not handed out again.
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

/// The time limit for a read of the credential.
const LOAD_WITHIN: Duration = Duration::from_secs(15);
/// The time limit for an exchange. The next read finds the result of one that succeeds later.
const REFRESH_WITHIN: Duration = Duration::from_secs(60);
/// A read, an exchange that loses to another one, and the read after it.
const ANSWER_WITHIN: Duration = Duration::from_secs(100);

/// An access token with the data that decisions need. Debug does not show the token.
#[derive(Clone, Debug)]
pub struct StoredToken {
    /// The token itself.
    pub token: SecretString,
    /// Its owner.
    pub kind: TokenKind,
    /// When it expires, if it does.
    pub expires_at: Option<Millis>,
    /// The credential's version. Every write of the credential creates a new one.
    pub version: i64,
    /// Meta's id of its account, if known.
    pub account_id: Option<String>,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// There is no credential.
    #[error("not connected to Meta; connect an account in the settings")]
    NotConnected,
    /// The token has expired and cannot be exchanged.
    #[error("the access token has expired and cannot be renewed any more; connect the account again")]
    Expired {
        /// When it expired.
        at: Millis,
    },
    /// Meta refused the token.
    #[error("Meta no longer accepts the access token: {problem}")]
    Dead {
        /// Meta's message and the next step.
        problem: String,
    },
    /// The credential changed during the refresh and must be read again.
    #[error("the credential changed during the renewal; try again")]
    Superseded,
    /// The store or Meta could not be reached.
    #[error("the access token is currently not available: {reason}")]
    Unavailable {
        /// The error.
        reason: String,
    },
}

/// The storage of the token and its exchange.
#[ractor::async_trait]
pub trait TokenSource: Send + Sync + 'static {
    /// Reads the current credential. `None` when not connected.
    ///
    /// # Errors
    /// [`TokenFault::Unavailable`], or [`TokenFault::Dead`] when the token is known to be refused.
    async fn load(&self) -> Result<Option<StoredToken>, TokenFault>;

    /// Exchanges the token and writes the new one `WHERE version = current.version`.
    ///
    /// # Errors
    /// [`TokenFault::Superseded`] when that row no longer exists; [`TokenFault::Dead`] or [`TokenFault::Expired`] when
    /// Meta reports it; [`TokenFault::Unavailable`] for every temporary failure.
    async fn refresh(&self, current: &StoredToken) -> Result<StoredToken, TokenFault>;
}

/// The answer to a request.
type Answer = Result<Arc<StoredToken>, TokenFault>;

/// A handle to the actor. Clones share it. It exists before the tree.
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
    /// Returns a handle to the child `token`, which may start later.
    #[must_use]
    pub fn new() -> Self {
        Self { slot: Slot::new("token") }
    }

    /// Returns the actor behind this handle.
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

    /// Returns the token for calls to Meta.
    ///
    /// # Errors
    /// A [`TokenFault`]. An actor that is down is reported as [`TokenFault::Unavailable`].
    pub async fn get(&self) -> Result<Arc<StoredToken>, TokenFault> {
        let get = |reply| TokenMsg(Msg::Get(reply));
        self.slot
            .call(get, ANSWER_WITHIN)
            .await
            .unwrap_or_else(|error| Err(TokenFault::Unavailable { reason: error.to_string() }))
    }

    /// Reports that this process changed the credential. All knowledge and work about the old one is discarded.
    pub fn forget(&self) {
        self.tell(Msg::Forget);
    }

    /// Reports that Meta refused the token of this version (code 190, 102). `problem` states what to do about it.
    pub fn dead(&self, version: i64, problem: String) {
        self.tell(Msg::Dead { version, problem });
    }

    /// An actor that is down has nothing to discard, and reads the current state once it runs.
    fn tell(&self, message: Msg) {
        let _ = self.slot.cast(TokenMsg(message));
    }
}

/// The actor's message, created only by [`Tokens`] and the actor.
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

/// Runs `work` outside the actor and sends its one outcome back, even when it panics or hangs.
///
/// A hanging task is not aborted: it may be about to write, and its write is conditional.
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
        // If the actor ended meanwhile, no waiters are left.
        let _ = myself.cast(TokenMsg(report(outcome)));
    });
}

#[cfg(test)]
mod tests;
