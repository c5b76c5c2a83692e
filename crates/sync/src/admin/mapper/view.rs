//! The views of the mappers, for the API and the command line.

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
    /// The name that the mapper gives itself; `builtin` for the built-in mapper.
    pub name: String,
    /// The version that the mapper gives itself.
    pub version: String,
    /// SHA-256 of the module's file in hex; for the built-in mapper `builtin-`, the version of this service and a hash
    /// of its outputs for the samples. Variants that the mapper mapped are marked with this digest.
    pub digest: String,
    /// Where the mapper came from: `api`, `cli`, `directory` or `rollback`; `default` for the built-in mapper when it
    /// was never activated.
    pub source: String,
    /// When the mapper became active; null for the built-in mapper when it was never activated.
    pub activated_at: Option<String>,
}

/// A re-map: every variant is asked for again, so that every payload that the new mapper makes differently is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemapView {
    /// Whether the re-map is running.
    pub running: bool,
    /// Variants at the start of the re-map.
    pub total: i64,
    /// Number of variants queued so far.
    pub queued: i64,
    /// When the re-map began.
    pub started_at: Option<String>,
    /// When the re-map ended; null while it runs.
    pub finished_at: Option<String>,
}

/// A file that was offered and refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedView {
    /// SHA-256 of the file in hex.
    pub digest: String,
    /// Where the file came from: `api`, `cli` or `directory`.
    pub source: String,
    /// What is wrong with the file.
    pub reason: String,
    /// When the file was offered.
    pub offered_at: Option<String>,
}

/// Which mapper is active, and which one `rollback` restores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MapperState {
    /// The active mapper.
    pub active: MapperView,
    /// The mapper before the active one; null when there was none.
    pub previous: Option<MapperView>,
    /// The running re-map, or the last one; null when there was none.
    pub remap: Option<RemapView>,
    /// The file that was offered last, if it was refused and no mapper was activated since.
    pub refused: Option<RefusedView>,
}

/// Returns the operator's view of the mappers.
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
    // The name of an old module is lost when its file is no longer stored.
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
