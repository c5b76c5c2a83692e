//! Login and token management.
//!
//! Purpose: the dialog's address, the exchanges that return a token, and the validity of a token.
//! Promises: codes, secrets and tokens are passed as [`SecretString`]. The three `oauth/access_token` calls and
//! `debug_token` carry secrets in their query because Meta's protocol requires it; the URL is never shown.
//! Left out on purpose: the `state` nonce (the caller creates and checks it) and the time at which a token is renewed.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::call::Call;
use super::error::{GraphError, GraphFailure, TOKEN_EDGE};
use super::tolerant;
use super::transport::GraphClient;
use super::words;
use super::{AppCredentials, Caller};

/// The permissions that this service requests; the first depends on the second.
pub const SCOPES: [&str; 2] = ["catalog_management", "business_management"];

/// A newly issued access token.
#[derive(Clone, Debug)]
pub struct TokenGrant {
    /// The token.
    pub access_token: SecretString,
    /// Its remaining lifetime; `None` when Meta gives no end.
    pub expires_in: Option<Duration>,
}

/// The identity that a token represents.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Identity {
    /// The id of the user or system user.
    #[serde(deserialize_with = "tolerant::id")]
    pub id: String,
    /// The display name; `None` when Meta omits it.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub name: Option<String>,
}

/// The report of `debug_token` on a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// False when the token is dead; [`error`](Self::error) may give the reason.
    pub is_valid: bool,
    /// The app that the token was issued for.
    pub app_id: Option<String>,
    /// The (system) user that it represents.
    pub user_id: Option<String>,
    /// `USER`, `SYSTEM_USER`, `PAGE` or `APP`.
    pub kind: Option<String>,
    /// The token's expiry in seconds since the Unix epoch; `None` means never.
    pub expires_at: Option<u64>,
    /// The expiry of data access in seconds since the Unix epoch; `None` means never.
    pub data_access_expires_at: Option<u64>,
    /// The permissions granted.
    pub scopes: Vec<String>,
    /// The permissions that are limited to some objects.
    pub granular_scopes: Vec<GranularScope>,
    /// Why the token is not valid.
    pub error: Option<GraphError>,
}

/// A permission and the objects that it is limited to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct GranularScope {
    /// The permission.
    #[serde(deserialize_with = "tolerant::text")]
    pub scope: String,
    /// The objects that it covers; `None` means all.
    #[serde(default, deserialize_with = "targets")]
    pub target_ids: Option<Vec<String>>,
}

fn targets<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Vec<String>>, D::Error> {
    let value = Option::<Vec<Value>>::deserialize(input)?;
    Ok(value.map(|ids| ids.iter().filter_map(|id| words::id(id).ok()).collect()))
}

/// The answer of every call that issues a token.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    #[serde(deserialize_with = "tolerant::secret")]
    access_token: SecretString,
    #[serde(default, deserialize_with = "tolerant::u64_or_none")]
    expires_in: Option<u64>,
}

impl From<TokenAnswer> for TokenGrant {
    fn from(answer: TokenAnswer) -> Self {
        Self {
            access_token: answer.access_token,
            // Other calls of Meta's express "never" as zero.
            expires_in: answer.expires_in.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct DebugAnswer {
    data: DebugData,
}

#[derive(Deserialize)]
struct DebugData {
    #[serde(default)]
    is_valid: bool,
    #[serde(default, deserialize_with = "tolerant::id_or_none")]
    app_id: Option<String>,
    #[serde(default, deserialize_with = "tolerant::id_or_none")]
    user_id: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "tolerant::text_or_none")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "tolerant::u64_or_none")]
    expires_at: Option<u64>,
    #[serde(default, deserialize_with = "tolerant::u64_or_none")]
    data_access_expires_at: Option<u64>,
    #[serde(default, deserialize_with = "tolerant::text_list")]
    scopes: Vec<String>,
    #[serde(default, deserialize_with = "tolerant::list")]
    granular_scopes: Vec<GranularScope>,
    error: Option<Value>,
}

impl From<DebugAnswer> for TokenInfo {
    fn from(DebugAnswer { data }: DebugAnswer) -> Self {
        Self {
            is_valid: data.is_valid,
            app_id: data.app_id,
            user_id: data.user_id,
            kind: data.kind,
            expires_at: data.expires_at.filter(|at| *at > 0),
            data_access_expires_at: data.data_access_expires_at.filter(|at| *at > 0),
            scopes: data.scopes,
            granular_scopes: data.granular_scopes,
            error: data.error.as_ref().map(GraphError::from_value),
        }
    }
}

impl GraphClient {
    /// Returns the URL of the login dialog for the operator's browser. `redirect_uri` must equal a registered one
    /// exactly.
    #[must_use]
    pub fn dialog_url(&self, app_id: &str, redirect_uri: &str, state: &str) -> Url {
        let mut url = self.versioned(&self.config().dialog_base_url, &["dialog", "oauth"]);
        url.query_pairs_mut()
            .append_pair("client_id", app_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("state", state)
            .append_pair("response_type", "code")
            .append_pair("scope", &SCOPES.join(","));
        url
    }

    /// Exchanges the code of the redirect for a user token. A code works once.
    ///
    /// # Errors
    /// When Meta refuses (a used, expired or malformed code, another `redirect_uri`, a wrong secret) or when the
    /// transport fails.
    pub async fn exchange_code(
        &self,
        app: &AppCredentials,
        code: &SecretString,
        redirect_uri: &str,
    ) -> Result<TokenGrant, GraphFailure> {
        let call = Call::get_root(TOKEN_EDGE)
            .param("client_id", app.app_id.as_str())
            .param("redirect_uri", redirect_uri)
            .secret("client_secret", &app.app_secret)
            .secret("code", code);
        self.grant(call).await
    }

    /// Exchanges a valid user token for one that lasts about 60 days. It replaces the old one.
    ///
    /// # Errors
    /// When Meta refuses (an expired token cannot be exchanged) or when the transport fails.
    pub async fn extend_user_token(
        &self,
        app: &AppCredentials,
        token: &SecretString,
    ) -> Result<TokenGrant, GraphFailure> {
        self.grant(exchange(app, token)).await
    }

    /// Renews an expiring system-user token for 60 days. The old token stays valid until its own expiry.
    ///
    /// # Errors
    /// When Meta refuses (the token has expired already) or when the transport fails.
    pub async fn renew_system_user_token(
        &self,
        app: &AppCredentials,
        token: &SecretString,
    ) -> Result<TokenGrant, GraphFailure> {
        self.grant(exchange(app, token).param("set_token_expires_in_60_days", "true")).await
    }

    /// Returns the identity that the token represents.
    ///
    /// # Errors
    /// When Meta refuses, in particular a dead token, or when the transport fails.
    pub async fn me(&self, caller: Caller<'_>) -> Result<Identity, GraphFailure> {
        let call = Call::get_node("me", "me").by(caller).param("fields", "id,name");
        Ok(self.send(call).await?.value)
    }

    /// Returns the validity of a token. A dead token is a result, not an error.
    ///
    /// # Errors
    /// When Meta refuses the app's own credentials, or when the transport fails.
    pub async fn debug_token(&self, app: &AppCredentials, token: &SecretString) -> Result<TokenInfo, GraphFailure> {
        let call = Call::get_root("debug_token").by_app(app).secret("input_token", token);
        let mut info = TokenInfo::from(self.send::<DebugAnswer>(call).await?.value);
        // Meta may quote the token that it examined.
        let mut redactor = super::redact::Redactor::default();
        redactor.hide(token.expose_secret());
        info.error.iter_mut().flat_map(GraphError::texts_mut).for_each(|text| redactor.scrub(text));
        Ok(info)
    }

    async fn grant(&self, call: Call<'_>) -> Result<TokenGrant, GraphFailure> {
        Ok(self.send::<TokenAnswer>(call).await?.value.into())
    }
}

fn exchange<'a>(app: &'a AppCredentials, token: &'a SecretString) -> Call<'a> {
    Call::get_root(TOKEN_EDGE)
        .param("grant_type", "fb_exchange_token")
        .param("client_id", app.app_id.as_str())
        .secret("client_secret", &app.app_secret)
        .secret("fb_exchange_token", token)
}
