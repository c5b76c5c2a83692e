//! The root: the actor of the supervisor crate, which also records the reason of every end.
//!
//! The crate logs why a child ended but does not expose the reason, and a meltdown reports no reason at all. So the
//! root records the reasons and forwards every event to the crate.

use std::collections::HashMap;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use ractor_supervisor::supervisor::{Supervisor, SupervisorArguments, SupervisorMsg, SupervisorState};
use tokio::sync::watch;

use super::Pulse;
use crate::report::chain;

pub(super) struct Root;

pub(super) struct RootArguments {
    /// By full name.
    pub(super) pulses: HashMap<String, Pulse>,
    /// The error that the root itself failed with.
    pub(super) last_error: watch::Sender<Option<String>>,
    pub(super) supervisor: SupervisorArguments,
}

pub(super) struct RootState {
    pulses: HashMap<String, Pulse>,
    last_error: watch::Sender<Option<String>>,
    supervisor: SupervisorState,
}

impl RootState {
    fn note(&self, result: Result<(), ActorProcessingErr>) -> Result<(), ActorProcessingErr> {
        result.inspect_err(|error| {
            self.last_error.send_replace(Some(chain(&**error)));
        })
    }

    fn note_end(&self, event: &SupervisionEvent) {
        let (SupervisionEvent::ActorFailed(cell, _) | SupervisionEvent::ActorTerminated(cell, _, _)) = event else {
            return;
        };
        let name = cell.get_name().unwrap_or_default();
        let Some(pulse) = self.pulses.get(&name) else {
            return;
        };
        if let SupervisionEvent::ActorFailed(_, error) = event {
            let reason = chain(&**error);
            tracing::error!(actor = %name, %reason, "actor failed; restarting");
            pulse.failed(reason);
        } else {
            pulse.ended();
        }
    }
}

#[ractor::async_trait]
impl Actor for Root {
    type Msg = SupervisorMsg;
    type State = RootState;
    type Arguments = RootArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMsg>,
        arguments: RootArguments,
    ) -> Result<RootState, ActorProcessingErr> {
        Ok(RootState {
            pulses: arguments.pulses,
            last_error: arguments.last_error,
            supervisor: Supervisor.pre_start(myself, arguments.supervisor).await?,
        })
    }

    async fn post_start(
        &self,
        myself: ActorRef<SupervisorMsg>,
        state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        let result = Supervisor.post_start(myself, &mut state.supervisor).await;
        state.note(result)
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMsg>,
        message: SupervisorMsg,
        state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        let result = Supervisor.handle(myself, message, &mut state.supervisor).await;
        state.note(result)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMsg>,
        event: SupervisionEvent,
        state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        state.note_end(&event);
        let result = Supervisor.handle_supervisor_evt(myself, event, &mut state.supervisor).await;
        state.note(result)
    }
}
