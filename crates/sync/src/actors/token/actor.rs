//! The state machine: Idle, Loading or Refreshing, the latter two with their waiters.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::judge::{Judgement, Memory};
use super::{Answer, LOAD_WITHIN, Msg, REFRESH_WITHIN, StoredToken, TokenFault, TokenMsg, TokenSource, report_back};
use crate::clock::SharedClock;
use crate::runtime::jitter::Jitter;

/// When a refresh loses to a changed credential this often in one request, it is treated as a failure.
const RELOADS: u8 = 3;

pub(super) struct TokenActor {
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) clock: SharedClock,
    pub(super) jitter: Jitter,
}

/// The requests that wait for one answer.
#[derive(Default)]
struct Waiters {
    replies: Vec<RpcReplyPort<Answer>>,
    /// How often the credential changed during a refresh for them.
    reloads: u8,
}

impl Waiters {
    fn answer(self, answer: &Answer) {
        for reply in self.replies {
            // A caller that stopped waiting does not need the answer.
            let _ = reply.send(answer.clone());
        }
    }
}

#[derive(Default)]
enum Phase {
    #[default]
    Idle,
    Loading(Waiters),
    Refreshing(Waiters, Arc<StoredToken>),
}

#[derive(Default)]
pub(super) struct State {
    phase: Phase,
    /// The generation of the work whose report counts.
    generation: u64,
    memory: Memory,
}

impl TokenActor {
    fn load(&self, myself: ActorRef<TokenMsg>, state: &mut State, waiters: Waiters) {
        state.generation += 1;
        state.phase = Phase::Loading(waiters);
        let (source, generation) = (Arc::clone(&self.source), state.generation);
        report_back(
            myself,
            "reading the credential",
            LOAD_WITHIN,
            async move { source.load().await },
            move |outcome| Msg::Loaded { generation, outcome },
        );
    }

    fn refresh(&self, myself: ActorRef<TokenMsg>, state: &mut State, waiters: Waiters, current: Arc<StoredToken>) {
        state.generation += 1;
        state.phase = Phase::Refreshing(waiters, Arc::clone(&current));
        let (source, generation) = (Arc::clone(&self.source), state.generation);
        report_back(
            myself,
            "renewing the access token",
            REFRESH_WITHIN,
            async move { source.refresh(&current).await },
            move |outcome| Msg::Refreshed { generation, outcome },
        );
    }

    fn loaded(
        &self,
        myself: ActorRef<TokenMsg>,
        state: &mut State,
        waiters: Waiters,
        outcome: Result<Option<StoredToken>, TokenFault>,
    ) {
        let token = match outcome {
            Ok(Some(token)) => Arc::new(token),
            Ok(None) => return waiters.answer(&Err(TokenFault::NotConnected)),
            Err(fault) => return waiters.answer(&Err(fault)),
        };
        match state.memory.judge(&token, self.clock.now()) {
            Judgement::Hand => waiters.answer(&Ok(token)),
            Judgement::Fault(fault) => waiters.answer(&Err(fault)),
            Judgement::Refresh => self.refresh(myself, state, waiters, token),
        }
    }

    fn refreshed(
        &self,
        myself: ActorRef<TokenMsg>,
        state: &mut State,
        mut waiters: Waiters,
        old: Arc<StoredToken>,
        outcome: Result<StoredToken, TokenFault>,
    ) {
        let now = self.clock.now();
        match outcome {
            Ok(token) => {
                state.memory.refreshed(&token, now);
                let token = Arc::new(token);
                waiters.answer(&state.memory.usable(&token, now).map(|()| token));
            }
            Err(TokenFault::Superseded) if waiters.reloads < RELOADS => {
                waiters.reloads += 1;
                self.load(myself, state, waiters);
            }
            Err(TokenFault::NotConnected) => waiters.answer(&Err(TokenFault::NotConnected)),
            Err(fault @ (TokenFault::Dead { .. } | TokenFault::Expired { .. })) => {
                tracing::error!(%fault, "access token renewal refused");
                state.memory.refused(old.version, fault.clone());
                waiters.answer(&Err(fault));
            }
            Err(fault @ (TokenFault::Superseded | TokenFault::Unavailable { .. })) => {
                tracing::warn!(%fault, "access token renewal failed; retrying later");
                state.memory.refresh_failed(old.version, now, (self.jitter)());
                waiters.answer(&state.memory.usable(&old, now).map(|()| old));
            }
        }
    }
}

#[ractor::async_trait]
impl Actor for TokenActor {
    type Msg = TokenMsg;
    type State = State;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<TokenMsg>, (): ()) -> Result<State, ActorProcessingErr> {
        Ok(State::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<TokenMsg>,
        TokenMsg(message): TokenMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Get(reply) => match &mut state.phase {
                Phase::Loading(waiters) | Phase::Refreshing(waiters, _) => {
                    waiters.replies.push(reply);
                }
                Phase::Idle => {
                    let waiters = Waiters { replies: vec![reply], reloads: 0 };
                    self.load(myself, state, waiters);
                }
            },
            Msg::Forget => {
                state.memory = Memory::default();
                match std::mem::take(&mut state.phase) {
                    Phase::Idle => {}
                    Phase::Loading(waiters) | Phase::Refreshing(waiters, _) => {
                        self.load(myself, state, waiters);
                    }
                }
            }
            Msg::Dead { version, problem } => {
                state.memory.refused(version, TokenFault::Dead { problem });
            }
            Msg::Loaded { generation, .. } | Msg::Refreshed { generation, .. } if generation != state.generation => {
                tracing::debug!(generation, "report about an older credential ignored");
            }
            Msg::Loaded { outcome, .. } => match std::mem::take(&mut state.phase) {
                Phase::Loading(waiters) => self.loaded(myself, state, waiters, outcome),
                other => state.phase = other,
            },
            Msg::Refreshed { outcome, .. } => match std::mem::take(&mut state.phase) {
                Phase::Refreshing(waiters, old) => {
                    self.refreshed(myself, state, waiters, old, outcome);
                }
                other => state.phase = other,
            },
        }
        Ok(())
    }
}
