//! Who is asking, and what they may do.
//!
//! Promises: a handler that takes [`View`] or [`Manage`] runs only for somebody with that permission; take it as the
//! first argument, and nothing else of the request is looked at before.
//! Left out on purpose: signed-in people. [`authenticate`] is the one place that learns of them: another way of saying
//! who one is comes as another [`Subject`].

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};
use secrecy::SecretString;
use tracing::Span;

use super::App;
use super::error::ApiError;
use crate::store::api_token;

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// `metaCatalog:view`.
    View,
    /// `metaCatalog:manage`; does not imply [`Permission::View`].
    Manage,
}

impl Permission {
    /// Its name in role tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "metaCatalog:view",
            Self::Manage => "metaCatalog:manage",
        }
    }
}

/// The permissions of a role; an unknown role has none.
#[must_use]
pub fn permissions(role: &str) -> &'static [Permission] {
    match role {
        "catalog-admin" => &[Permission::View, Permission::Manage],
        "catalog-viewer" => &[Permission::View],
        _ => &[],
    }
}

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A program with an API token.
    ApiToken {
        /// The token's id.
        id: String,
        /// What it is for.
        name: String,
    },
}

/// As the log names it.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiToken { id, .. } => write!(f, "api-token:{id}"),
        }
    }
}

/// Who is asking, with what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Who it is.
    pub subject: Subject,
    /// What they may do.
    pub permissions: Vec<Permission>,
}

impl Principal {
    /// Whether they may.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }
}

/// Finds out who is asking.
///
/// # Errors
/// 401 when nobody says so or what they say does not hold; 5xx when that cannot be found out.
pub async fn authenticate(parts: &Parts, app: &App) -> Result<Principal, ApiError> {
    let Some(secret) = bearer(parts) else { return Err(ApiError::unauthorized()) };
    let mut tx = app.pipeline.db.read().await?;
    let Some(token) = api_token::find(&mut tx, &secret).await? else { return Err(ApiError::unauthorized()) };
    Ok(Principal {
        permissions: permissions(&token.role).to_vec(),
        subject: Subject::ApiToken { id: token.id, name: token.name },
    })
}

/// The scheme is case-insensitive; a header that cannot be read says nothing.
fn bearer(parts: &Parts) -> Option<SecretString> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    let secret = secret.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty()).then(|| SecretString::from(secret))
}

async fn require(parts: &Parts, app: &App, permission: Permission) -> Result<Principal, ApiError> {
    let principal = authenticate(parts, app).await?;
    Span::current().record("principal", tracing::field::display(&principal.subject));
    if principal.may(permission) { Ok(principal) } else { Err(ApiError::forbidden(permission.as_str())) }
}

/// Somebody who may view.
#[derive(Clone, Debug)]
pub struct View(pub Principal);

/// Somebody who may manage.
#[derive(Clone, Debug)]
pub struct Manage(pub Principal);

impl FromRequestParts<App> for View {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        require(parts, app, Permission::View).await.map(Self)
    }
}

impl FromRequestParts<App> for Manage {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        require(parts, app, Permission::Manage).await.map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manage_does_not_imply_view_and_unknown_roles_have_nothing() {
        assert_eq!(permissions("catalog-admin"), [Permission::View, Permission::Manage]);
        assert_eq!(permissions("catalog-viewer"), [Permission::View]);
        assert!(permissions("Catalog-Admin").is_empty());
        let manager = Principal {
            subject: Subject::ApiToken { id: "1".into(), name: "ci".into() },
            permissions: vec![Permission::Manage],
        };
        assert!(manager.may(Permission::Manage) && !manager.may(Permission::View));
    }
}
