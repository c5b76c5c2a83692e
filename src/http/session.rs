//! Signed-in users: sessions of a Better-Auth instance.
//!
//! Purpose: find the session token in a request, and decide from the session's rows who the caller is and which
//! permissions it has.
//! Promises: a cookie is accepted only with its signature; only the rows are trusted; every cause of a refusal looks
//! the same from outside. All functions are pure: [`catalog_sync::store::better_auth`] reads the rows.
//! Left out on purpose: refreshing, ending and creating sessions, which Better-Auth does, and its other plugins (jwt,
//! api-key), which create no sessions.

use axum::http::{HeaderMap, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use url::Url;

use catalog_sync::clock::Millis;
use catalog_sync::domain::access::{Permission, Roles};
use catalog_sync::store::better_auth::{Ban, Session};

/// The role of a user without a stored role.
const DEFAULT_ROLE: &str = "user";
/// 32 bytes of base64, with padding.
const SIGNATURE_LENGTH: usize = 44;

/// How the Better-Auth instance is set up, and what its roles may do here.
#[derive(Clone, Debug)]
pub struct SessionRules {
    /// Its secret.
    pub secret: SecretString,
    /// Name of its session cookie.
    pub cookie_name: String,
    /// Whether a token without signature counts as a bearer token.
    pub raw_bearer: bool,
    /// Whether an impersonated session may manage.
    pub impersonation_may_manage: bool,
    /// What each role may do.
    pub roles: Roles,
}

/// How a request carries its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// In a header, which a browser does not send by itself.
    Bearer,
    /// In a cookie, which a browser sends with requests of any page.
    Cookie,
}

/// A token that a request carries, its signature verified where it has to have one.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The session's token.
    pub token: SecretString,
    /// Where it was.
    pub via: Via,
}

/// The holder of a valid session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The user.
    pub user_id: String,
    /// The user who impersonates that user.
    pub impersonated_by: Option<String>,
    /// What they may do.
    pub permissions: Vec<Permission>,
}

/// Why a session is refused. Only for the log: from outside, all causes look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Revoked, or never created.
    #[error("there is no such session")]
    Unknown,
    /// Expired.
    #[error("the session has expired")]
    Expired,
    /// The user is banned.
    #[error("the session's user is banned")]
    Banned,
    /// The impersonator of the session's user is banned or deleted.
    #[error("the session's impersonator is banned or gone")]
    Impersonator,
}

/// The secret of an `Authorization: Bearer` header. The scheme is case-insensitive; an unreadable header is ignored.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, secret) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let secret = trimmed(secret);
    (scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty()).then_some(secret)
}

/// The session token of a request. A bearer token takes precedence over a cookie; a token with a wrong signature is
/// ignored.
#[must_use]
pub fn claim(headers: &HeaderMap, rules: &SessionRules) -> Option<Claim> {
    let by_bearer = bearer(headers).and_then(|secret| {
        if secret.contains('.') {
            verified(&percent_decoded(secret), &rules.secret)
        } else {
            rules.raw_bearer.then(|| SecretString::from(secret))
        }
    });
    if let Some(token) = by_bearer {
        return Some(Claim { token, via: Via::Bearer });
    }
    let value = cookie(headers, &rules.cookie_name)?;
    let token = verified(&percent_decoded(&value), &rules.secret)?;
    Some(Claim { token, via: Via::Cookie })
}

/// The value of the first cookie with exactly this name, without the quotes around it.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get_all(header::COOKIE).iter().find_map(|line| {
        // Another application's cookie may contain bytes that are not UTF-8.
        let line = String::from_utf8_lossy(line.as_bytes());
        let mut pairs = line.split(';').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(known, _)| trimmed(known) == name)?;
        let value = trimmed(value);
        let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Some(unquoted.unwrap_or(value).to_owned())
    })
}

/// Removes the blanks that HTTP allows around a part of a header. Any other blank of Unicode is part of it: a browser
/// lets a page set a cookie whose name begins with one beside the real cookie.
fn trimmed(part: &str) -> &str {
    part.trim_matches([' ', '\t'])
}

/// Decodes once; undecodable text is returned unchanged.
fn percent_decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), |decoded| decoded.into_owned())
}

/// The token of `token.signature`, if the signature is the token's.
fn verified(signed: &str, secret: &SecretString) -> Option<SecretString> {
    let (token, signature) = signed.rsplit_once('.')?;
    if token.is_empty() || signature.len() != SIGNATURE_LENGTH {
        return None;
    }
    let signature = STANDARD.decode(signature).ok()?;
    // The key is the text itself, whatever it looks like.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(token.as_bytes());
    // Compares in constant time.
    mac.verify_slice(&signature).ok().map(|()| SecretString::from(token))
}

/// Returns the holder of the session.
///
/// # Errors
/// When the session is refused.
pub fn decide(session: Option<Session>, now: Millis, rules: &SessionRules) -> Result<Holder, Refusal> {
    let session = session.ok_or(Refusal::Unknown)?;
    if session.expires_at < now {
        return Err(Refusal::Expired);
    }
    if in_force(session.ban, now) {
        return Err(Refusal::Banned);
    }
    if let Some(impersonator) = &session.impersonator
        && impersonator.ban.is_none_or(|ban| in_force(ban, now))
    {
        return Err(Refusal::Impersonator);
    }
    let mut permissions = granted(session.role.as_deref(), &rules.roles);
    if session.impersonator.is_some() && !rules.impersonation_may_manage {
        permissions.retain(|permission| *permission != Permission::Manage);
    }
    let impersonated_by = session.impersonator.map(|impersonator| impersonator.id);
    Ok(Holder { user_id: session.user_id, impersonated_by, permissions })
}

/// Returns whether the ban is active; a ban that ended is not.
fn in_force(ban: Ban, now: Millis) -> bool {
    ban.banned && ban.until.is_none_or(|until| until >= now)
}

/// What a stored list of roles may do: names joined by commas, compared exactly.
fn granted(role: Option<&str>, roles: &Roles) -> Vec<Permission> {
    let names = role.filter(|names| !names.is_empty()).unwrap_or(DEFAULT_ROLE);
    let of = |permission: &Permission| {
        names.split(',').filter_map(|name| roles.0.get(name)).any(|granted| granted.contains(permission))
    };
    [Permission::View, Permission::Manage].into_iter().filter(of).collect()
}

/// Returns whether a request with a session cookie is intended: it changes nothing, or a trusted page sent it.
///
/// `ours` are the URLs whose origins are trusted. A browser names the origin with every such request, and no page can
/// make it name another one, nor another host than the one it sends the request and its cookie to.
#[must_use]
pub fn is_intended(method: &Method, headers: &HeaderMap, ours: impl Iterator<Item = String>) -> bool {
    if method.is_safe() {
        return true;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-fetch-site") == Some("same-origin") {
        return true;
    }
    let Some(origin) = text(header::ORIGIN.as_str()).and_then(|text| Url::parse(text).ok()).map(|url| url.origin())
    else {
        return false;
    };
    let origin = if origin.is_tuple() { origin.ascii_serialization() } else { String::new() };
    // A page of the host that the request is sent to, on a network without https, where browsers send no Sec-Fetch-Site.
    let is_of_this_host = origin.split_once("://").is_some_and(|(_, host)| text(header::HOST.as_str()) == Some(host));
    let ours: Vec<String> = ours.collect();
    // Where browsers use https, a page without it may be somebody else's on the way.
    let is_as_safe = origin.starts_with("https://") || !ours.iter().any(|known| known.starts_with("https://"));
    (is_of_this_host && is_as_safe) || ours.contains(&origin)
}

#[cfg(test)]
mod tests;
