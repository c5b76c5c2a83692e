//! Which mapper is active, and changing it, for an operator ([`crate::mapping::activation`]).

mod known;
mod view;

use serde::Serialize;
use utoipa::ToSchema;

use super::audit::{Act, Action, Details, recorded};
use super::{AdminError, preview};
use crate::app::App;
pub use crate::mapping::activation::Source;
use crate::mapping::activation::{self, ActivationError};
use crate::store::mapper;
pub use known::{KnownModule, MOST_COUNTED, RunningMapper, is_builtin, known, retried, running};
use view::state_view;
pub use view::{MapperState, MapperView, RefusedView, RemapView};

/// The result of an activation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activated {
    /// Which mapper is active now.
    #[serde(flatten)]
    pub state: MapperState,
    /// False when the mapper was already active: nothing was swapped. A requested re-map begins nevertheless.
    pub changed: bool,
    /// Variants that had failed under another mapper and are tried again.
    pub requeued: u64,
}

/// Returns the mappers' state.
///
/// # Errors
/// When the database query fails.
pub async fn state(app: &App) -> Result<MapperState, AdminError> {
    let mut tx = app.db.read().await?;
    Ok(state_view(mapper::mappers(&mut tx).await?))
}

/// Activates a module. With `remap`, every variant is queued again.
///
/// # Errors
/// [`AdminError::Module`] when the module is refused, [`AdminError::NotTried`] when this machine cannot try it; nothing
/// is changed in either case.
pub async fn activate(app: &App, bytes: Vec<u8>, source: Source, remap: bool) -> Result<Activated, AdminError> {
    let act = Act::new(Action::MapperActivated).with("remap", remap);
    recorded(app, act, async { told(app, activation::activate(&app.active, bytes, source, remap).await) }, tell).await
}

/// Activates the module of a preview that is done, without its file. With `remap`, every variant is queued again.
///
/// # Errors
/// [`AdminError::NotFound`] when the preview or its file is no longer stored, [`AdminError::Invalid`] when it has no
/// report; otherwise as [`activate`].
pub async fn activate_previewed(app: &App, id: &str, remap: bool) -> Result<Activated, AdminError> {
    let work = async {
        let bytes = preview::file(app, id).await?;
        told(app, activation::activate(&app.active, bytes, Source::Api, remap).await)
    };
    recorded(app, Act::new(Action::MapperActivated).with("remap", remap).with("preview", id), work, tell).await
}

/// Activates the built-in mapper again.
///
/// # Errors
/// When the database query fails.
pub async fn reset(app: &App, source: Source, remap: bool) -> Result<Activated, AdminError> {
    let act = Act::new(Action::MapperReset).with("remap", remap);
    recorded(app, act, async { told(app, activation::reset(&app.active, source, remap).await) }, tell).await
}

/// Activates the mapper before the active one. Rolling back twice restores the current mapper.
///
/// # Errors
/// [`AdminError::NotFound`] when there is no mapper before; [`AdminError::Module`] when it no longer runs;
/// [`AdminError::NotTried`] when this machine cannot try it; nothing is changed in any of these cases.
pub async fn rollback(app: &App, remap: bool) -> Result<Activated, AdminError> {
    let act = Act::new(Action::MapperRolledBack).with("remap", remap);
    recorded(app, act, async { told(app, activation::rollback(&app.active, remap).await) }, tell).await
}

/// Asks for every variant again with the active mapper: every payload that differs is sent.
///
/// # Errors
/// When the database query fails.
pub async fn remap(app: &App) -> Result<MapperState, AdminError> {
    let work = async {
        let state = activation::remap(&app.active).await?;
        app.wake.reask.nudge();
        Ok(state_view(state))
    };
    recorded(app, Act::new(Action::Remap), work, |_, _| ()).await
}

/// What the audit trail tells of an activation.
fn tell(done: &Activated, details: &mut Details) {
    let active = &done.state.active;
    details.add("mapper", format!("{} {}", active.name, active.version));
    details.add("digest", active.digest.as_str());
    details.add("changed", done.changed);
    details.add("requeued", done.requeued);
}

/// Wakes the actors that have work after an activation.
fn told(app: &App, done: Result<activation::Activated, ActivationError>) -> Result<Activated, AdminError> {
    let activation::Activated { state, changed, requeued } = done?;
    app.wake.reask.nudge();
    app.work_arrived();
    Ok(Activated { state: state_view(state), changed, requeued })
}
