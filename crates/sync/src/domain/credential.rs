//! The kind of token that the connection to Meta uses.

use serde::{Deserialize, Serialize};

/// The owner of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// The operator's token, valid for about 60 days. It can be exchanged for a longer one while it is valid.
    #[default]
    User,
    /// The system user's token. It does not expire unless Meta set an expiry; then it is renewed before.
    SystemUser,
}

impl TokenKind {
    /// Returns its word in the store and in the admin API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::SystemUser => "system_user",
        }
    }
}
