//! Authentication and permissions of a request.
//!
//! Promises: a handler that takes [`View`] or [`Manage`] runs only for a caller with that permission. It must be the
//! first argument, so that nothing else of the request is read before. A program authenticates with an API token, a
//! user with a session of a Better-Auth instance ([`super::session`]); neither needs the other's database. A person may also
//! sign in to the operator's page with an API token ([`super::page_session`]). A login through
//! Facebook is completed only while the caller that began it may still do so ([`may_complete`]).
//! Left out on purpose: making tokens (`meta-catalog token create`) and signing in (Better-Auth).

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use secrecy::SecretString;
use tracing::{Span, info, warn};

use super::Api;
use super::code::Code;
use super::error::ApiError;
use super::page_session;
use super::session::{self, SessionRules, Via};
use super::shell::TakesNoQuery;
use catalog_sync::admin::audit::{self, Caller, CallerKind};
use catalog_sync::domain::access::{Permission, permissions};
use catalog_sync::report::chain;
use catalog_sync::store::api_token::{self, ApiToken};
use catalog_sync::store::better_auth::{BetterAuthDb, LookUpError, Session};
use catalog_sync::store::oauth_state::{Began, Starter};

/// Prefix of every API token; every other token belongs to a session.
pub const API_TOKEN_PREFIX: &str = "mct_";

/// The authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A program with an API token.
    ApiToken {
        /// The token's id.
        id: String,
        /// What it is for.
        name: String,
    },
    /// A signed-in user.
    Session {
        /// The user.
        user_id: String,
        /// The user who impersonates that user.
        impersonated_by: Option<String>,
    },
}

impl From<&Subject> for Caller {
    fn from(subject: &Subject) -> Self {
        match subject {
            Subject::ApiToken { id, name } => {
                Self { kind: CallerKind::ApiToken, id: id.clone(), name: Some(name.clone()), impersonator: None }
            }
            Subject::Session { user_id, impersonated_by } => {
                Self { kind: CallerKind::User, id: user_id.clone(), name: None, impersonator: impersonated_by.clone() }
            }
        }
    }
}

/// Tells the log and the audit trail of the caller.
fn announce(subject: &Subject) {
    // A page has several extractors that need the caller.
    if audit::caller_is(subject.into()) {
        Span::current().record("principal", tracing::field::display(subject));
    }
}

/// The form that is logged.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiToken { id, .. } => write!(f, "api-token:{id}"),
            Self::Session { user_id, impersonated_by: None } => write!(f, "user:{user_id}"),
            Self::Session { user_id, impersonated_by: Some(by) } => write!(f, "user:{user_id}, impersonator {by}"),
        }
    }
}

/// The authenticated caller with its permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The caller.
    pub subject: Subject,
    /// The caller's permissions.
    pub permissions: Vec<Permission>,
}

impl Principal {
    /// Returns whether the caller has the permission.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }
}

/// Verifies sessions.
#[derive(Clone, Debug)]
pub struct Sessions {
    rules: SessionRules,
    db: BetterAuthDb,
}

impl Sessions {
    /// Sessions of one Better-Auth instance.
    #[must_use]
    pub fn new(rules: SessionRules, db: BetterAuthDb) -> Self {
        Self { rules, db }
    }

    /// Looks up a session that does not exist, and logs why the query fails, so that a wrong URL or name shows before
    /// the first user is refused.
    pub async fn try_out(&self) {
        match self.db.session(&SecretString::from("")).await {
            Ok(_) => info!("sessions can be looked up"),
            Err(error) => warn!(cause = chain(&error), "{AWAY}"),
        }
    }

    /// Closes the connections and waits until they are closed.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

const AWAY: &str = "sessions cannot be verified at the moment, so every session is refused; API tokens work. If this \
                    lasts, check BETTER_AUTH_DATABASE_URL and sessions.names in the configuration; the log has the cause";

impl From<LookUpError> for ApiError {
    fn from(error: LookUpError) -> Self {
        Self::new(Code::Unavailable, AWAY).because(chain(&error))
    }
}

/// Returns the caller, and how the credentials were sent.
///
/// # Errors
/// 401 when no valid credentials were sent; 5xx when the credentials cannot be verified.
pub async fn authenticate(parts: &Parts, api: &Api) -> Result<(Principal, Via), ApiError> {
    if let Some(secret) = session::bearer(&parts.headers).filter(|secret| secret.starts_with(API_TOKEN_PREFIX)) {
        let mut tx = api.app.db.read().await?;
        let token = api_token::find(&mut tx, &SecretString::from(secret)).await?;
        return Ok((of_token(token, api)?, Via::Bearer));
    }
    let mut refused = ApiError::unauthorized();
    if let Some(id) = page_session::token_id(&parts.headers, api) {
        let mut tx = api.app.db.read().await?;
        let token = api_token::by_id(&mut tx, &id).await?;
        match of_token(token, api) {
            Ok(principal) => return Ok((principal, Via::Cookie)),
            // A session of the shop's own may still be good.
            Err(error) => refused = error,
        }
    }
    let Some(sessions) = api.sessions.as_deref() else { return Err(refused) };
    let Some(claim) = session::claim(&parts.headers, &sessions.rules) else { return Err(refused) };
    let row = sessions.db.session(&claim.token).await?;
    Ok((of_session(row, sessions, api)?, claim.via))
}

/// Returns the caller with this API token, which a person typed in, and the token.
///
/// # Errors
/// 401 when it is not valid; 5xx when the database query fails.
pub async fn of_typed_token(secret: &SecretString, api: &Api) -> Result<(Principal, ApiToken), ApiError> {
    let mut tx = api.app.db.read().await?;
    let token = api_token::find(&mut tx, secret).await?;
    drop(tx);
    let principal = of_token(token.clone(), api)?;
    Ok((principal, token.ok_or_else(ApiError::unauthorized)?))
}

fn of_token(token: Option<ApiToken>, api: &Api) -> Result<Principal, ApiError> {
    let token = token.ok_or_else(|| ApiError::unauthorized().because("the API token does not exist or was revoked"))?;
    if token.has_expired(api.app.now()) {
        return Err(ApiError::new(Code::Unauthorized, EXPIRED));
    }
    let permissions = permissions(&token.role).to_vec();
    Ok(Principal { subject: Subject::ApiToken { id: token.id, name: token.name }, permissions })
}

const EXPIRED: &str = "this API token has expired; create another one with `meta-catalog token create`";

fn of_session(row: Option<Session>, sessions: &Sessions, api: &Api) -> Result<Principal, ApiError> {
    let holder = session::decide(row, api.app.clock.now(), &sessions.rules)
        .map_err(|refusal| ApiError::unauthorized().because(refusal.to_string()))?;
    let subject = Subject::Session { user_id: holder.user_id, impersonated_by: holder.impersonated_by };
    Ok(Principal { subject, permissions: holder.permissions })
}

/// Returns what a login has to know of the caller that begins it. `headers` are those that authenticated the caller.
///
/// # Errors
/// 401 when they do not.
pub fn starter(principal: &Principal, headers: &HeaderMap, api: &Api) -> Result<Starter, ApiError> {
    match &principal.subject {
        Subject::ApiToken { id, .. } => Ok(Starter::ApiToken { id: id.clone() }),
        Subject::Session { user_id, .. } => {
            let claim = api.sessions.as_deref().and_then(|sessions| session::claim(headers, &sessions.rules));
            let token = claim.ok_or_else(ApiError::unauthorized)?.token;
            Ok(Starter::Session { user_id: user_id.clone(), token })
        }
    }
}

/// Decides whether a login may be completed: the caller that began it must still have the permission to connect, and any
/// credentials that came along must be that caller's. The inner error is the refusal.
///
/// # Errors
/// 5xx when it cannot be found out.
pub async fn may_complete(
    api: &Api,
    starter: &Starter,
    carried: Option<&Principal>,
) -> Result<Result<(), ApiError>, ApiError> {
    let principal = match starter {
        Starter::ApiToken { id } => {
            let mut tx = api.app.db.read().await?;
            of_token(api_token::by_id(&mut tx, id).await?, api)
        }
        Starter::Session { user_id, token } => match api.sessions.as_deref() {
            Some(sessions) => {
                let row = sessions.db.session(token).await?.filter(|session| session.user_id == *user_id);
                of_session(row, sessions, api)
            }
            None => Err(ApiError::unauthorized()),
        },
    };
    let principal = match principal {
        Ok(principal) => principal,
        Err(refused) => return Ok(Err(ApiError::new(Code::Unauthorized, STARTER_GONE).because(refused.for_the_log()))),
    };
    announce(&principal.subject);
    if carried.is_some_and(|carried| carried.subject != principal.subject) {
        return Ok(Err(ApiError::new(Code::Forbidden, STARTED_BY_ANOTHER)));
    }
    if !principal.may(Permission::Manage) {
        return Ok(Err(ApiError::new(Code::Forbidden, STARTER_LOWERED)));
    }
    Ok(Ok(()))
}

/// Decides whether a completed login answers as the first time. It changes nothing any more, so the caller that began it
/// need not be able to begin another; credentials that come along must be that caller's.
///
/// # Errors
/// 403 when they are another caller's.
pub fn may_repeat(began: &Began, carried: Option<&Principal>) -> Result<(), ApiError> {
    let is_same = |principal: &Principal| match (&principal.subject, began) {
        (Subject::ApiToken { id, .. }, Began::ApiToken(began)) => id == began,
        (Subject::Session { user_id, .. }, Began::User(began)) => user_id == began,
        _ => false,
    };
    if carried.is_none_or(is_same) { Ok(()) } else { Err(ApiError::new(Code::Forbidden, STARTED_BY_ANOTHER)) }
}

const STARTER_GONE: &str = "the user who started this login is no longer signed in, or its API token is no longer valid; sign \
                            in again and start the login from the settings page";
const STARTER_LOWERED: &str = "the user or API token that started this login no longer has the permission \
                               metaCatalog:manage; start it again as a user or with a token that has it";
const STARTED_BY_ANOTHER: &str = "another user or API token started this login; start it again from the settings page, in \
                                  this browser";

async fn require(parts: &Parts, api: &Api, permission: Permission) -> Result<Principal, ApiError> {
    let (principal, via) = authenticate(parts, api).await?;
    announce(&principal.subject);
    if !principal.may(permission) {
        return Err(ApiError::forbidden(permission.as_str()));
    }
    if via == Via::Cookie {
        of_own_page(parts, api)?;
    }
    TakesNoQuery::check(parts)?;
    Ok(principal)
}

/// Checks that no foreign page made a browser send this request.
///
/// # Errors
/// 403 when the request changes something and its origin is not trusted.
pub fn of_own_page(parts: &Parts, api: &Api) -> Result<(), ApiError> {
    match session::is_intended(&parts.method, &parts.headers, api.site.trusted_origins()) {
        true => Ok(()),
        false => Err(ApiError::new(Code::Forbidden, FOREIGN_PAGE)),
    }
}

const FOREIGN_PAGE: &str = "a request with a session cookie may change something only when its Origin is that of \
                            PUBLIC_ADMIN_URL (public_admin_url) or PUBLIC_API_URL (public_api_url), or one of \
                            http.allowed_origins: configure where browsers reach the admin UI and this API, or send the session as `Authorization: Bearer …`";

/// The caller whose valid credentials came along, on a route that needs none.
#[derive(Clone, Debug)]
pub struct Carried(pub Option<Principal>);

impl FromRequestParts<Api> for Carried {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        match authenticate(parts, api).await {
            Ok((principal, _)) => Ok(Self(Some(principal))),
            Err(error) if error.code() == Code::Unauthorized => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }
}

/// A caller with the view permission.
#[derive(Clone, Debug)]
pub struct View(pub Principal);

/// A caller with the manage permission.
#[derive(Clone, Debug)]
pub struct Manage(pub Principal);

impl FromRequestParts<Api> for View {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        require(parts, api, Permission::View).await.map(Self)
    }
}

impl FromRequestParts<Api> for Manage {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        require(parts, api, Permission::Manage).await.map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_names_who_it_was_and_who_took_them_on() {
        let named = |by: Option<&str>| {
            Subject::Session { user_id: "u".into(), impersonated_by: by.map(str::to_owned) }.to_string()
        };
        assert_eq!([named(None), named(Some("i"))], ["user:u", "user:u, impersonator i"]);
    }

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
