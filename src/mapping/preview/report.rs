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
    /// Variants that both mappers were asked about.
    pub variants: u64,
    /// Variants with the same result from both mappers.
    pub unchanged: u64,
    /// Variants for which both mappers make a payload, but different ones.
    pub changed: u64,
    /// The fields in which those payloads differ; most changed first.
    pub fields: Vec<FieldDifference>,
    /// How often other fields differ that are not listed because there are too many.
    pub fields_left_out: u64,
    /// Variants that get a payload now and that the module would reject.
    pub newly_rejected: Group,
    /// Variants that are rejected now and for which the module would make a payload.
    pub newly_eligible: Group,
    /// Variants that both mappers reject, for different reasons.
    pub rejected_otherwise: Group,
    /// Variants on which the module would fail and the active mapper does not.
    pub newly_failing: Group,
    /// Variants on which the active mapper fails and the module would not.
    pub no_longer_failing: Group,
    /// Variants on which both mappers fail, or whose source row cannot be read.
    pub failing_anyway: Group,
    /// Variants that cannot be compared because one of the mappers was not asked about them: other variants had used up
    /// the time of their chunk, or the machine was too busy. They say nothing about the module; in `effect` they count
    /// as undecided.
    #[serde(default)]
    pub not_tried: u64,
    /// Warnings by code whose count changes; most changed first.
    pub warnings: Vec<WarningDifference>,
    /// What would go to Meta if every variant were asked for again (`remap`).
    pub effect: Effect,
}

/// A mapper that is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// The name that the mapper gives itself.
    pub name: String,
    /// The version that the mapper gives itself.
    pub version: String,
    /// SHA-256 of the module's file in hex; for the built-in mapper `builtin-`, the version of this service and a hash
    /// of its outputs for the samples.
    pub digest: String,
}

impl Compared {
    /// Describes a mapper.
    #[must_use]
    pub fn of(mapper: &LoadedMapper) -> Self {
        Self { name: mapper.name().into(), version: mapper.version().into(), digest: (**mapper.digest()).into() }
    }
}

/// A field in which payloads differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldDifference {
    /// The field's name.
    pub field: String,
    /// Variants in which the value of the field changes.
    pub changed: u64,
    /// Variants that do not have the field now.
    pub added: u64,
    /// Variants that would no longer have the field.
    pub removed: u64,
    /// A few of them, first by id.
    pub samples: Vec<FieldSample>,
}

/// A field of one variant, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldSample {
    /// The variant's id.
    pub variant_id: String,
    /// The value that the active mapper gives, as JSON text, cut when long; null when there is none.
    pub before: Option<String>,
    /// The value that the module gives, in the same form.
    pub after: Option<String>,
}

/// Variants of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// The number of variants.
    pub count: u64,
    /// A few of them, first by id.
    pub samples: Vec<GroupSample>,
}

/// One variant of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupSample {
    /// The variant's id.
    pub variant_id: String,
    /// The reason of the rejection, or the fault; before and after when both mappers have one.
    pub reason: String,
}

/// A warning that the module gives for more or fewer variants than the active mapper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WarningDifference {
    /// The warning's code.
    pub code: String,
    /// How often the active mapper gives the warning.
    pub before: u64,
    /// How often the module would give the warning.
    pub after: u64,
}

/// What would be sent to Meta: because of the module, and anyway. What is sent anyway would be sent with the active
/// mapper as well, because the shop has changed or Meta has refused.
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
    /// Variants that are marked as not eligible anyway.
    pub skips_anyway: u64,
    /// Variants that Meta already holds with the module's payload.
    pub in_place: u64,
    /// Variants that wait for Meta's verdict and are decided after it.
    pub waiting: u64,
    /// Variants for which the module has no answer, and variants that were not tried.
    pub undecided: u64,
}
