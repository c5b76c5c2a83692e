//! The connection for people: which account, whose token, until when, with which permissions.

use super::AdminError;
use crate::app::App;
use crate::clock::Millis;
use crate::domain::credential::TokenKind;
use crate::store::credential;
use meta_graph::SCOPES;

/// The connection to Meta, without its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The Facebook user or system user that calls are made as.
    pub account_id: String,
    /// Its name, if Meta told it.
    pub account_name: Option<String>,
    /// Whose token is used.
    pub token_kind: TokenKind,
    /// When the token ends; `None` when no end is recorded.
    pub ends_at: Option<Millis>,
    /// When the operator connected.
    pub connected_at: Millis,
    /// Each permission that this service needs, and whether it was granted; `None` when that is unknown.
    pub scopes: Vec<(&'static str, Option<bool>)>,
}

impl Connected {
    /// Returns the permissions that are known to be missing.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.scopes.iter().filter(|(_, granted)| *granted == Some(false)).map(|(scope, _)| *scope).collect()
    }
}

/// Returns the connection, or `None` without one.
///
/// # Errors
/// When the database query fails.
pub async fn find(app: &App) -> Result<Option<Connected>, AdminError> {
    let mut tx = app.db.read().await?;
    let known = credential::load(&mut tx, &app.keyring).await?;
    Ok(known.map(|known| Connected {
        scopes: scopes(known.scope.as_deref()),
        account_id: known.account_id,
        account_name: known.metadata.account_name,
        token_kind: known.metadata.token_kind,
        ends_at: known.access_token_expires_at,
        connected_at: known.connected_at,
    }))
}

fn scopes(granted: Option<&str>) -> Vec<(&'static str, Option<bool>)> {
    let has = |scope| granted.map(|granted| granted.split(',').any(|known| known.trim() == scope));
    SCOPES.into_iter().map(|scope| (scope, has(scope))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_missing_only_where_it_is_known() {
        let missing = |granted| {
            let connected = Connected {
                account_id: String::new(),
                account_name: None,
                token_kind: TokenKind::User,
                ends_at: None,
                connected_at: 0,
                scopes: scopes(granted),
            };
            connected.missing()
        };
        assert_eq!(missing(Some("catalog_management, public_profile")), ["business_management"]);
        assert_eq!(missing(Some("business_management,catalog_management")), [""; 0]);
        assert_eq!(missing(None), [""; 0]);
    }
}
