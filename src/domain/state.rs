//! What is known of a variant at Meta.

use serde::{Deserialize, Serialize};

use super::intent::Intent;

/// The six stored states; the admin surface adds `never_synced` for a variant without a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncStatus {
    /// Meta confirmed the payload.
    Synced,
    /// Sent; the verdict on `last_handle` is open.
    Submitted,
    /// Known, never pushed.
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

    /// The word in the store and on the admin surface.
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

/// What the store remembers of a variant, as far as decisions need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncState {
    /// Its state.
    pub status: SyncStatus,
    /// The catalog that the claims below are about.
    pub catalog_id: Option<String>,
    /// Hash of the payload that Meta confirmed or is judging. A submitted delete has none.
    pub hash: Option<String>,
    /// Ever sent to that catalog and not confirmed deleted.
    pub at_meta: bool,
    /// Id of the interned set of fields that Meta may hold.
    pub fields_at_meta: Option<i64>,
    /// Verdict failures in a row.
    pub attempts: i64,
    /// Grows with every write of the row.
    pub version: i64,
}

/// The operation of a record in a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// `UPDATE` with `allow_upsert`.
    #[serde(rename = "u")]
    Upsert,
    /// `DELETE`, asked for.
    #[serde(rename = "d")]
    Delete,
    /// `DELETE` that nobody asked for: what an upsert came to, since the variant is not eligible any more, or gone.
    #[serde(rename = "i")]
    ImplicitDelete,
}

impl Op {
    /// The word in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Delete => "delete",
            Self::ImplicitDelete => "implicit delete",
        }
    }

    /// Whether it goes out as a `DELETE`.
    #[must_use]
    pub fn is_delete(self) -> bool {
        matches!(self, Self::Delete | Self::ImplicitDelete)
    }

    /// What it was that was asked for.
    #[must_use]
    pub fn intent(self) -> Intent {
        match self {
            Self::Upsert | Self::ImplicitDelete => Intent::Upsert,
            Self::Delete => Intent::Delete,
        }
    }
}

/// For a stored word that no version of ours writes.
pub(crate) fn unknown_word(word: &str) -> String {
    format!("unknown word {word:?}")
}
