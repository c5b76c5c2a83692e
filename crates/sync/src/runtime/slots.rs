//! Addresses of sibling actors.
//!
//! An [`ActorRef`] is dead once its actor restarts. A [`Slot`] is a shared cell that every (re)start refills, so it can
//! be handed out before the tree exists and stays valid as long as it exists.
//!
//! Promises: nothing here waits for an actor to start. The error of a call names the actor that was down.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ractor::rpc::CallResult;
use ractor::{ACTIVE_STATES, ActorRef, Message, RpcReplyPort};

/// Why an actor returned no answer. The error names the actor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The actor is not started, or waits for its restart.
    #[error("the {0} actor is down; it restarts automatically, and its vitals hold the reason")]
    Down(Arc<str>),
    /// The actor received the message and ended, or dropped it, without an answer.
    #[error("the {0} actor ended before it answered; it restarts automatically, and its vitals hold the reason")]
    NoAnswer(Arc<str>),
    /// No answer within the timeout. The actor may still execute the message.
    #[error("the {actor} actor did not answer within {waited:?}")]
    Timeout {
        /// Name of the actor.
        actor: Arc<str>,
        /// How long the caller waited.
        waited: Duration,
    },
}

/// The current address of a named actor. Clones share it.
pub struct Slot<M> {
    name: Arc<str>,
    current: Arc<RwLock<Option<ActorRef<M>>>>,
}

impl<M> Clone for Slot<M> {
    fn clone(&self) -> Self {
        Self { name: Arc::clone(&self.name), current: Arc::clone(&self.current) }
    }
}

impl<M> fmt::Debug for Slot<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<M: Message> Slot<M> {
    /// Returns an empty slot for the child with this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), current: Arc::default() }
    }

    /// Returns the child's name, without the instance.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the running actor, or `None`.
    #[must_use]
    pub fn get(&self) -> Option<ActorRef<M>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|actor| ACTIVE_STATES.contains(&actor.get_status())).cloned()
    }

    /// Sends a message without an answer.
    ///
    /// # Errors
    /// [`CallError::Down`] when the actor is not running; the message is dropped.
    pub fn cast(&self, message: M) -> Result<(), CallError> {
        let actor = self.get().ok_or_else(|| self.down())?;
        actor.cast(message).map_err(|_| self.down())
    }

    /// Sends a request and waits at most `timeout` for the answer.
    ///
    /// # Errors
    /// A [`CallError`] when there is no answer.
    pub async fn call<T: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<T>) -> M,
        timeout: Duration,
    ) -> Result<T, CallError> {
        let actor = self.get().ok_or_else(|| self.down())?;
        match actor.call(message, Some(timeout)).await {
            Ok(CallResult::Success(answer)) => Ok(answer),
            Ok(CallResult::SenderError) => Err(CallError::NoAnswer(Arc::clone(&self.name))),
            Ok(CallResult::Timeout) => Err(CallError::Timeout { actor: Arc::clone(&self.name), waited: timeout }),
            Err(_) => Err(self.down()),
        }
    }

    /// Stores the address of a started actor. The tree calls this for its children.
    pub fn fill(&self, actor: ActorRef<M>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(actor);
    }

    fn down(&self) -> CallError {
        CallError::Down(Arc::clone(&self.name))
    }
}
