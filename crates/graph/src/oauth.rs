//! Logging in and looking after tokens.
//!
//! Purpose: the dialog's address, the exchanges that bring a token, and what a token is good for.
//! Promises: codes, secrets and tokens are taken and given as [`SecretString`]. The three `oauth/access_token` calls
//! and `debug_token` carry secrets in their query because Meta's protocol says so; the URL is never shown.
//! Left out on purpose: the `state` nonce (the caller makes and checks it) and when to renew a token.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::call::Call;
use super::error::{GraphError, GraphFailure, TOKEN_EDGE};
use super::tolerant;
use super::transport::GraphClient;
use super::{AppCredentials, Caller};

/// The permissions this service asks for; the first depends on the second.
pub const SCOPES: [&str; 2] = ["catalog_management", "business_management"];

/// A fresh access token.
#[derive(Clone, Debug)]
pub struct TokenGrant {
    /// The token.
    pub access_token: SecretString,
    /// How long it lives from now on; `None` when Meta gave no end.
    pub expires_in: Option<Duration>,
}

/// Who a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Identity {
    /// The id of the user or system user.
    #[serde(deserialize_with = "tolerant::text")]
    pub id: String,
    /// The name shown to people, if Meta gives it.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub name: Option<String>,
}

/// What `debug_token` says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// False when the token is dead; [`error`](Self::error) may say why.
    pub is_valid: bool,
    /// The app the token was made for.
    pub app_id: Option<String>,
    /// The (system) user it speaks for.
    pub user_id: Option<String>,
    /// `USER`, `SYSTEM_USER`, `PAGE` or `APP`.
    pub kind: Option<String>,
    /// The token's end in seconds since the Unix epoch; `None` = never.
    pub expires_at: Option<u64>,
    /// The end of access to data in seconds since the Unix epoch; `None` = never.
    pub data_access_expires_at: Option<u64>,
    /// The permissions granted.
    pub scopes: Vec<String>,
    /// The permissions that are limited to some objects.
    pub granular_scopes: Vec<GranularScope>,
    /// Why the token is not valid.
    pub error: Option<GraphError>,
}

/// A permission and what it is limited to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct GranularScope {
    /// The permission.
    #[serde(deserialize_with = "tolerant::text")]
    pub scope: String,
    /// The objects it holds for; `None` = all.
    #[serde(default, deserialize_with = "targets")]
    pub target_ids: Option<Vec<String>>,
}

fn targets<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Vec<String>>, D::Error> {
    let value = Option::<Vec<Value>>::deserialize(input)?;
    Ok(value.map(|ids| ids.iter().filter_map(tolerant::as_text).collect()))
}

/// The answer of every call that makes a token.
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
            // Elsewhere Meta writes "never" as zero.
            expires_in: answer.expires_in.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        }
    }
}

#[derive(Deserialize)]
struct DebugAnswer {
    data: DebugData,
}

#[derive(Deserialize)]
struct DebugData {
    #[serde(default)]
    is_valid: bool,
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    app_id: Option<String>,
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
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

impl From<DebugData> for TokenInfo {
    fn from(data: DebugData) -> Self {
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
    /// Where to send the operator's browser. `redirect_uri` must equal a registered one to the letter.
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

    /// Turns the code of the redirect into a user token. A code works once.
    ///
    /// # Errors
    /// Meta's refusal (used, expired or malformed code, other `redirect_uri`, wrong secret) or a transport failure.
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

    /// Turns a living user token into one of about 60 days. It replaces the old one.
    ///
    /// # Errors
    /// Meta's refusal (an expired token cannot be exchanged) or a transport failure.
    pub async fn extend_user_token(
        &self,
        app: &AppCredentials,
        token: &SecretString,
    ) -> Result<TokenGrant, GraphFailure> {
        self.grant(exchange(app, token)).await
    }

    /// Renews an expiring system-user token for 60 days. The old one stays good until its own end.
    ///
    /// # Errors
    /// Meta's refusal (it must be done before the token ends) or a transport failure.
    pub async fn renew_system_user_token(
        &self,
        app: &AppCredentials,
        token: &SecretString,
    ) -> Result<TokenGrant, GraphFailure> {
        self.grant(exchange(app, token).param("set_token_expires_in_60_days", "true")).await
    }

    /// Who the token speaks for.
    ///
    /// # Errors
    /// Meta's refusal, above all of a dead token, or a transport failure.
    pub async fn me(&self, caller: Caller<'_>) -> Result<Identity, GraphFailure> {
        let call = Call::get_node("me", "me").by(caller).param("fields", "id,name");
        Ok(self.send(call).await?.value)
    }

    /// What a token is good for. A dead token is an answer, not an error.
    ///
    /// # Errors
    /// Meta's refusal of the app's own credentials, or a transport failure.
    pub async fn debug_token(&self, app: &AppCredentials, token: &SecretString) -> Result<TokenInfo, GraphFailure> {
        let call = Call::get_root("debug_token").by_app(app).secret("input_token", token);
        let mut info = TokenInfo::from(self.send::<DebugAnswer>(call).await?.value.data);
        // Meta may quote the token it looked at.
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
