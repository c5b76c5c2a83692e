//! Words of the admin surface as the OpenAPI document lists them, taken from where they are defined.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::items::NEVER_SYNCED;
use crate::domain::credential::TokenKind;
use crate::domain::reask::Reason;
use crate::domain::state::SyncStatus;

/// A stored sync state.
#[must_use]
pub fn sync_status() -> Object {
    words(SyncStatus::ALL.map(SyncStatus::as_str))
}

/// A sync state, or the word for a variant without a state.
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

/// Why variants are asked for again.
#[must_use]
pub fn reask_reason() -> Object {
    words(Reason::ALL.map(Reason::as_str))
}

/// One of these words.
pub fn words(words: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}
