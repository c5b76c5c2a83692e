//! Sessions of the operator's page: a person signs in with an API token, and a cookie stands for it for some hours.
//!
//! Promises: the cookie holds no token but the sealed id of one, so it is worth nothing elsewhere and ends when the token is
//! revoked or expires; it is sent only with requests of this site's own pages, and no script reads it.
//! Left out on purpose: whether a request that changes something comes from a page of ours ([`super::auth`]).

use axum::http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::session::cookie;
use super::{Api, Site};
use catalog_sync::clock::Millis;
use catalog_sync::store::StoreError;
use catalog_sync::store::seal::Place;

/// How long a session lasts. It is not prolonged.
pub const SECONDS: i64 = 8 * 60 * 60;

/// The associated data of the sealed value: no value of the database opens as a session.
const PLACE: Place<'static> = Place { table: "page_session", row: "cookie", column: "session" };

#[derive(Serialize, Deserialize)]
struct Session {
    token_id: String,
    ends_at: Millis,
}

impl Site {
    /// Whether browsers reach this site by https only.
    fn is_secure(&self) -> bool {
        self.api_url.starts_with("https://")
    }

    /// The prefix binds the cookie to this host and to https; without https no browser would take it.
    fn cookie_name(&self) -> &'static str {
        if self.is_secure() { "__Host-meta-catalog" } else { "meta-catalog" }
    }

    fn cookie(&self, value: &str, seconds: i64) -> String {
        let secure = if self.is_secure() { "; Secure" } else { "" };
        format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}", self.cookie_name())
    }
}

/// Returns the cookie of a new session for the API token with this id.
///
/// # Errors
/// When the operating system returns no random bytes.
pub fn begin(api: &Api, token_id: &str) -> Result<HeaderValue, StoreError> {
    let session = Session { token_id: token_id.to_owned(), ends_at: api.app.now() + SECONDS * 1_000 };
    let text = SecretString::from(serde_json::to_string(&session).unwrap_or_default());
    let sealed = api.app.keyring.seal(PLACE, &text).map_err(StoreError::Seal)?;
    // A sealed value is base64url with colons.
    Ok(HeaderValue::from_str(&api.site.cookie(&sealed, SECONDS)).unwrap_or(HeaderValue::from_static("")))
}

/// Returns the cookie that ends a session in the browser.
#[must_use]
pub fn end(site: &Site) -> HeaderValue {
    HeaderValue::from_str(&site.cookie("", 0)).unwrap_or(HeaderValue::from_static(""))
}

/// Returns the id of the API token that the request's session stands for; `None` without a session that is under way.
#[must_use]
pub fn token_id(headers: &HeaderMap, api: &Api) -> Option<String> {
    let sealed = cookie(headers, api.site.cookie_name()).filter(|value| !value.is_empty())?;
    let opened = api.app.keyring.open(PLACE, &sealed).ok()?;
    let session: Session = serde_json::from_str(opened.expose_secret()).ok()?;
    (session.ends_at > api.app.now()).then_some(session.token_id)
}
