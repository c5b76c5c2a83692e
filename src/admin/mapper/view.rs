//! How the mappers are shown, in the API and on the command line.

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::time::iso;
use crate::mapping::builtin_digest;
use crate::store::mapper::{Activation, BUILTIN, Mappers, RefusedOffer};
use crate::store::reask::Reask;

/// A mapper that is or was active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MapperView {
    /// The name that the module declares; `builtin` for the built-in one.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// SHA-256 of the module's file in hex, or `builtin-`, the version of this service and a hash of what it makes of
    /// the samples: what the variants that it mapped are marked with.
    pub digest: String,
    /// Where it came from: `api`, `cli`, `directory` or `rollback`; `default` for the built-in mapper when no mapper
    /// was activated.
    pub source: String,
    /// When it became active; null for the built-in mapper when no mapper was activated.
    pub activated_at: Option<String>,
}

/// A re-map: every variant is queued again, so that each payload that the new mapper changes is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemapView {
    /// Whether the re-map is running.
    pub running: bool,
    /// Variants at its start.
    pub total: i64,
    /// Number of variants queued so far.
    pub queued: i64,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended; null while it runs.
    pub finished_at: Option<String>,
}

/// A file that was offered and refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedView {
    /// SHA-256 of the file in hex.
    pub digest: String,
    /// Where it came from: `api`, `cli` or `directory`.
    pub source: String,
    /// What is wrong with it.
    pub reason: String,
    /// When it was offered.
    pub offered_at: Option<String>,
}

/// The active mapper, and the mapper that `rollback` restores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MapperState {
    /// The active one.
    pub active: MapperView,
    /// The previous mapper; null when there was none.
    pub previous: Option<MapperView>,
    /// The running or last re-map; null when there was none.
    pub remap: Option<RemapView>,
    /// The file that was offered last, if it was refused and no mapper was activated since.
    pub refused: Option<RefusedView>,
}

/// Returns the mappers as operators see them.
pub(super) fn state_view(mappers: Mappers) -> MapperState {
    let Mappers { active, previous, remap, refused } = mappers;
    // The first module replaced the built-in mapper, which has no activation of its own.
    let previous = match (&active, previous) {
        (Some(_), None) => Some(builtin_view()),
        (_, previous) => previous.map(view),
    };
    MapperState {
        active: active.map_or_else(builtin_view, view),
        previous,
        remap: remap.map(remap_view),
        refused: refused.map(refused_view),
    }
}

fn builtin_view() -> MapperView {
    MapperView {
        name: BUILTIN.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        digest: builtin_digest().into(),
        source: "default".into(),
        activated_at: None,
    }
}

fn view(activation: Activation) -> MapperView {
    let Activation { mapper, name, version, source, activated_at, .. } = activation;
    let activated_at = iso(activated_at);
    if mapper == BUILTIN {
        return MapperView { source, activated_at, ..builtin_view() };
    }
    // The name of an old module is unknown when its file is no longer kept.
    MapperView {
        name: name.unwrap_or_default(),
        version: version.unwrap_or_default(),
        digest: mapper,
        source,
        activated_at,
    }
}

fn refused_view(offer: RefusedOffer) -> RefusedView {
    let RefusedOffer { digest, source, reason, offered_at } = offer;
    RefusedView { digest, source, reason, offered_at: iso(offered_at) }
}

fn remap_view(remap: Reask) -> RemapView {
    RemapView {
        running: remap.finished_at.is_none(),
        total: remap.total.unwrap_or_default(),
        queued: remap.queued,
        started_at: iso(remap.started_at),
        finished_at: remap.finished_at.and_then(iso),
    }
}
