//! The report of a preview, as it is stored and shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::mapping::LoadedMapper;

/// What activating a module would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewReport {
    /// The mapper that the module is compared with: the active mapper, or the built-in mapper when the active one
    /// cannot run.
    pub active: Compared,
    /// Number of variants for which both mappers were asked.
    pub variants: u64,
    /// Variants for which both mappers return the same result.
    pub unchanged: u64,
    /// Variants for which both mappers return a payload, but different ones.
    pub changed: u64,
    /// The fields in which those payloads differ, most changed first.
    pub fields: Vec<FieldDifference>,
    /// Number of differences in fields that are not listed, because there are too many fields.
    pub fields_left_out: u64,
    /// Variants that have a payload now and would be rejected.
    pub newly_rejected: Group,
    /// Variants that are rejected now and would have a payload.
    pub newly_eligible: Group,
    /// Variants that both mappers reject, for different reasons.
    pub rejected_otherwise: Group,
    /// Variants on which the module would fail and the active mapper does not.
    pub newly_failing: Group,
    /// Variants on which the active mapper fails and the module would not.
    pub no_longer_failing: Group,
    /// Variants on which both mappers fail, or whose source row cannot be read.
    pub failing_anyway: Group,
    /// Variants that cannot be compared, because one of the mappers was not asked: other variants used up the time of
    /// their chunk, or the machine was too busy. They are no evidence about the module;
    /// `effect` counts them as undecided.
    #[serde(default)]
    pub not_tried: u64,
    /// Warnings by code whose count changes; most changed first.
    pub warnings: Vec<WarningDifference>,
    /// What would be sent to Meta if every variant were mapped again (`remap`).
    pub effect: Effect,
}

/// A compared mapper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// Its name, as it reports it.
    pub name: String,
    /// The version that the mapper gives itself.
    pub version: String,
    /// SHA-256 of its file in hex; for the built-in mapper `builtin-`, the version of this service and a hash of its
    /// results for the samples.
    pub digest: String,
}

impl Compared {
    /// Returns the names of a mapper.
    #[must_use]
    pub fn of(mapper: &LoadedMapper) -> Self {
        Self { name: mapper.name().into(), version: mapper.version().into(), digest: (**mapper.digest()).into() }
    }
}

/// A field in which payloads differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldDifference {
    /// Name of the field.
    pub field: String,
    /// Variants in which the value of the field changes.
    pub changed: u64,
    /// Variants that do not have the field now and would have it.
    pub added: u64,
    /// Variants that would no longer have the field.
    pub removed: u64,
    /// A few of these variants, the first ones by id.
    pub samples: Vec<FieldSample>,
}

/// A field of one variant, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldSample {
    /// Id of the variant.
    pub variant_id: String,
    /// JSON text of the value that the active mapper returns, truncated if it is long; null when there is no value.
    pub before: Option<String>,
    /// JSON text of the value that the module returns, truncated if it is long; null when there is no value.
    pub after: Option<String>,
}

/// The variants of one kind of difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Number of variants.
    pub count: u64,
    /// A few of these variants, the first ones by id.
    pub samples: Vec<GroupSample>,
}

/// A sample variant of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupSample {
    /// Id of the variant.
    pub variant_id: String,
    /// The reason of the rejection, or the fault; before and after if both mappers have one.
    pub reason: String,
}

/// A warning that the module gives more or less often than the active mapper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WarningDifference {
    /// Code of the warning.
    pub code: String,
    /// How often the active mapper gives the warning.
    pub before: u64,
    /// How often the module would give the warning.
    pub after: u64,
}

/// What would be sent to Meta with the module. What is sent anyway would also be sent with the active mapper, because
/// the shop has changed or Meta has refused an earlier call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// Payloads that are sent because of the module.
    pub pushes: u64,
    /// Payloads that are sent anyway.
    pub pushes_anyway: u64,
    /// Items that are deleted because of the module.
    pub deletes: u64,
    /// Items that are deleted anyway.
    pub deletes_anyway: u64,
    /// Variants that are marked as not eligible because of the module; Meta does not hold them.
    pub skips: u64,
    /// Variants marked as not eligible anyway.
    pub skips_anyway: u64,
    /// Variants that Meta already has as the module would send them.
    pub in_place: u64,
    /// Variants that wait for Meta's verdict and are decided after it.
    pub waiting: u64,
    /// Variants without a result from the module, and variants that were not tried.
    pub undecided: u64,
}
