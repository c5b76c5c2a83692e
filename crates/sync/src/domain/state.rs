//! The known state of a variant at Meta.

use serde::{Deserialize, Serialize};

use super::intent::Intent;

/// The six stored states. The admin API adds `never_synced` for a variant without a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncStatus {
    /// Meta confirmed the payload.
    Synced,
    /// Sent; the verdict on `last_handle` is open.
    Submitted,
    /// Known, but never pushed.
    Pending,
    /// The last push or mapping failed.
    Failed,
    /// Not eligible and not at Meta.
    Skipped,
    /// Confirmed deleted at Meta.
    Deleted,
}

impl SyncStatus {
    /// Every state, in the order of the status counts.
    pub const ALL: [Self; 6] =
        [Self::Synced, Self::Submitted, Self::Pending, Self::Failed, Self::Skipped, Self::Deleted];

    /// Returns its word in the store and in the admin API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Submitted => "submitted",
            Self::Pending => "pending",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Deleted => "deleted",
        }
    }
}

impl std::str::FromStr for SyncStatus {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or_else(|| unknown_word(word))
    }
}

/// The stored state of a variant, as far as decisions need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncState {
    /// Its state.
    pub status: SyncStatus,
    /// The catalog of the claims below.
    pub catalog_id: Option<String>,
    /// Hash of the payload that Meta confirmed or is processing. `None` for a submitted delete.
    pub hash: Option<String>,
    /// Whether it was ever sent to that catalog and not confirmed as deleted.
    pub at_meta: bool,
    /// Id of the interned set of fields that Meta may hold.
    pub fields_at_meta: Option<i64>,
    /// Consecutive failed verdicts.
    pub attempts: i64,
    /// Whether an operator keeps the variant out of every catalog.
    pub excluded: bool,
    /// Grows with every write of the row.
    pub version: i64,
}

/// The operation of a record in a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// `UPDATE` with `allow_upsert`.
    #[serde(rename = "u")]
    Upsert,
    /// `DELETE` that was requested.
    #[serde(rename = "d")]
    Delete,
    /// `DELETE` that was not requested: the result of an upsert whose variant is no longer eligible, or gone.
    #[serde(rename = "i")]
    ImplicitDelete,
}

impl Op {
    /// Returns its word in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Delete => "delete",
            Self::ImplicitDelete => "implicit delete",
        }
    }

    /// Returns whether it is sent as a `DELETE`.
    #[must_use]
    pub fn is_delete(self) -> bool {
        matches!(self, Self::Delete | Self::ImplicitDelete)
    }

    /// Returns the intent that was requested.
    #[must_use]
    pub fn intent(self) -> Intent {
        match self {
            Self::Upsert | Self::ImplicitDelete => Intent::Upsert,
            Self::Delete => Intent::Delete,
        }
    }
}

/// Returns the error text for a stored word that no version writes.
pub(crate) fn unknown_word(word: &str) -> String {
    format!("unknown word {word:?}")
}
