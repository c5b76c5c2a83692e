//! Enum words of the admin surface for the OpenAPI document, taken from where they are defined.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::drift;
use super::dry_run::What;
use super::items::NEVER_SYNCED;
use crate::domain::advice::Weight;
use crate::domain::audit;
use crate::domain::budget::Bucket;
use crate::domain::comparison::Agreement;
use crate::domain::credential::TokenKind;
use crate::domain::drift::Class;
use crate::domain::outcome::Problem;
use crate::domain::plan::Action;
use crate::domain::problems::{Severity, VersionAge};
use crate::domain::reask::Reason;
use crate::domain::settings::Settings;
use crate::domain::state::SyncStatus;

/// The words of a stored sync state.
#[must_use]
pub fn sync_status() -> Object {
    words(SyncStatus::ALL.map(SyncStatus::as_str))
}

/// The words of a sync state, and the word for a variant without a state.
#[must_use]
pub fn item_status() -> Object {
    words(SyncStatus::ALL.map(SyncStatus::as_str).into_iter().chain([NEVER_SYNCED]))
}

impl PartialSchema for TokenKind {
    fn schema() -> RefOr<Schema> {
        let words = words([Self::User, Self::SystemUser].map(Self::as_str));
        ObjectBuilder::from(words).description(Some("Whose token is used.")).into()
    }
}

impl ToSchema for TokenKind {}

/// The classes of drift.
#[must_use]
pub fn drift_class() -> Object {
    words(Class::ALL.map(Class::as_str))
}

/// A list of classes of drift.
#[must_use]
pub fn drift_classes() -> Array {
    ArrayBuilder::new().items(drift_class()).min_items(Some(1)).build()
}

/// A list of the classes that sending again can repair.
#[must_use]
pub fn repairable_classes() -> Array {
    ArrayBuilder::new().items(words(Class::REPAIRABLE.iter().copied())).min_items(Some(1)).build()
}

/// The standings of a finding.
#[must_use]
pub fn drift_standing() -> Object {
    words(drift::STANDINGS)
}

/// The reasons of a re-ask.
#[must_use]
pub fn reask_reason() -> Object {
    words(Reason::ALL.map(Reason::as_str))
}

/// The sources of issues.
#[must_use]
pub fn issue_source() -> Object {
    words(["meta", "mapper", "eligibility", "service", "warning"])
}

/// How much an issue matters.
#[must_use]
pub fn issue_severity() -> Object {
    words([Weight::Error, Weight::Warning, Weight::Info].map(Weight::as_str))
}

/// What a dry run finds.
#[must_use]
pub fn finding_kind() -> Object {
    words(What::ALL.map(What::as_str))
}

/// How urgent a problem is.
#[must_use]
pub fn severity() -> Object {
    words([Severity::Stops, Severity::Warns].map(Severity::as_str))
}

/// Meta's allowances.
#[must_use]
pub fn bucket() -> Object {
    words(Bucket::ALL.map(Bucket::as_str))
}

/// How a version of the Graph API stands.
#[must_use]
pub fn version_age() -> Object {
    use VersionAge::{Current, Ended, EndsSoon, NoEnd};
    words([Current, EndsSoon, Ended, NoEnd].map(VersionAge::as_str))
}

/// The actions of the drain.
#[must_use]
pub fn action() -> Object {
    words(Action::WORDS)
}

/// What an operator can have done.
#[must_use]
pub fn audit_action() -> Object {
    words(audit::Action::ALL.iter().map(|one| one.as_str()))
}

/// How it can have ended.
#[must_use]
pub fn audit_outcome() -> Object {
    words(audit::Outcome::ALL.iter().map(|one| one.as_str()))
}

/// The kinds of callers.
#[must_use]
pub fn audit_caller() -> Object {
    words(audit::CallerKind::ALL.iter().map(|one| one.as_str()))
}

/// Where the last push of a variant is known from.
#[must_use]
pub fn sent_source() -> Object {
    words(super::compare::SOURCES)
}

/// Whether Meta shows what it was sent.
#[must_use]
pub fn agreement() -> Object {
    words(Agreement::WORDS)
}

/// What an event of a variant is.
#[must_use]
pub fn timeline_kind() -> Object {
    words(super::timeline::KINDS)
}

/// The codes of what an operator has to fix.
#[must_use]
pub fn problem_code() -> Object {
    words(Problem::CODES)
}

/// The keys of the settings without which nothing is synced.
#[must_use]
pub fn missing_keys() -> Array {
    ArrayBuilder::new().items(words(Settings::NEEDED)).build()
}

/// A string that is one of these words.
pub fn words(words: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}
