//! The report of a preview, as it is kept and shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::mapping::LoadedMapper;

/// What activating a module would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewReport {
    /// The mapper that the module is compared with: the active one, or the built-in one where that does not run.
    pub active: Compared,
    /// Variants that both mappers were asked about.
    pub variants: u64,
    /// Variants on which both say the same.
    pub unchanged: u64,
    /// Variants that both give a payload, but not the same one.
    pub changed: u64,
    /// Where those payloads differ, field by field; most changed first.
    pub fields: Vec<FieldDifference>,
    /// How often other fields differ, which are not listed since there are too many.
    pub fields_left_out: u64,
    /// Variants that get a payload now and would be rejected.
    pub newly_rejected: Group,
    /// Variants that are rejected now and would get a payload.
    pub newly_eligible: Group,
    /// Variants that are rejected by both, for another reason.
    pub rejected_otherwise: Group,
    /// Variants that the module would fail on and the active mapper does not.
    pub newly_failing: Group,
    /// Variants that the active mapper fails on and the module would not.
    pub no_longer_failing: Group,
    /// Variants that both fail on, or whose source row cannot be read.
    pub failing_anyway: Group,
    /// Variants that cannot be compared, since one of the mappers was not asked about them: others had used up the time
    /// of their chunk, or the machine was too busy. They say nothing of the module; in `effect` they are undecided.
    #[serde(default)]
    pub not_tried: u64,
    /// Warnings by code; most changed first.
    pub warnings: Vec<WarningDifference>,
    /// What would go to Meta if every variant were asked for again (`remap`).
    pub effect: Effect,
}

/// A mapper that is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// What it calls itself.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// SHA-256 of its file in hex, or `builtin-`, the version of this service and a hash of what it makes of the samples.
    pub digest: String,
}

impl Compared {
    /// Names a mapper.
    #[must_use]
    pub fn of(mapper: &LoadedMapper) -> Self {
        Self { name: mapper.name().into(), version: mapper.version().into(), digest: (**mapper.digest()).into() }
    }
}

/// A field in which payloads differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldDifference {
    /// Its name.
    pub field: String,
    /// Variants in which its value changes.
    pub changed: u64,
    /// Variants that do not have it now.
    pub added: u64,
    /// Variants that would not have it any more.
    pub removed: u64,
    /// A few of them, first by id.
    pub samples: Vec<FieldSample>,
}

/// A field of one variant, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldSample {
    /// The variant.
    pub variant_id: String,
    /// JSON text of the value by the active mapper, cut when long; null when there is none.
    pub before: Option<String>,
    /// The same by the module.
    pub after: Option<String>,
}

/// Variants of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// How many.
    pub count: u64,
    /// A few of them, first by id.
    pub samples: Vec<GroupSample>,
}

/// One variant of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupSample {
    /// The variant.
    pub variant_id: String,
    /// Why: the reason of the rejection, or the fault. Before and after when both have one.
    pub reason: String,
}

/// A warning that is given for more or fewer variants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WarningDifference {
    /// Its code.
    pub code: String,
    /// How often the active mapper gives it.
    pub before: u64,
    /// How often the module would.
    pub after: u64,
}

/// What would go to Meta: by the module, and because of it. What goes anyway would go with the active mapper as well,
/// for the shop has changed or Meta has refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// Payloads sent because of the module.
    pub pushes: u64,
    /// Payloads sent anyway.
    pub pushes_anyway: u64,
    /// Items deleted because of the module.
    pub deletes: u64,
    /// Items deleted anyway.
    pub deletes_anyway: u64,
    /// Variants marked as not eligible because of the module; Meta does not hold them.
    pub skips: u64,
    /// Variants marked so anyway.
    pub skips_anyway: u64,
    /// Variants that Meta holds as the module would have them.
    pub in_place: u64,
    /// Variants that wait for Meta's verdict, and are decided then.
    pub waiting: u64,
    /// Variants without an answer of the module's, and those that were not tried.
    pub undecided: u64,
}
