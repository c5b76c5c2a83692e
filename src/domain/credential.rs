//! Whose token the connection to Meta rests on.

use serde::{Deserialize, Serialize};

/// Whose token it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// The operator's, good for about 60 days; can be exchanged for a longer one while it is valid.
    #[default]
    User,
    /// The system user's. Without an end unless Meta gave one; then it is renewed before.
    SystemUser,
}

impl TokenKind {
    /// The word in the store and on the admin surface.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::SystemUser => "system_user",
        }
    }
}
