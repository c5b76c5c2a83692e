//! Connecting to Meta through Facebook Login, and disconnecting.
//!
//! Promises: a state is valid for ten minutes and for one callback, no matter how many callbacks are sent; a failed
//! callback changes nothing but its state; a new connection clears the problem that stopped the old one.

use std::collections::BTreeMap;

use secrecy::SecretString;
use tracing::{info, warn};
use url::Url;

use super::AdminError;
use crate::app::App;
use crate::domain::credential::TokenKind;
use crate::domain::settings::{Settings, key};
use crate::ids;
use crate::pipeline::token_source::expires_at;
use crate::report::clip;
use crate::store::credential::{self, Credential, Metadata};
use crate::store::settings::Changes;
use crate::store::{self, oauth_state};
use meta_graph::{AppCredentials, Caller};

/// The path to which Facebook redirects the operator's browser.
pub const CALLBACK_PATH: &str = "/admin/meta/oauth/callback";

/// The longest text from Facebook that is returned, in characters.
const QUOTED: usize = 300;

/// Returns the app's credentials.
///
/// # Errors
/// [`AdminError::Misconfigured`] when id or secret is blank; says what to set.
pub async fn app_credentials(app: &App, settings: &Settings) -> Result<AppCredentials, AdminError> {
    app.app_credentials(settings).await?.ok_or_else(|| {
        AdminError::Misconfigured("app_id or app_secret is blank; set both with PATCH /admin/settings/admin".into())
    })
}

/// Returns the URL to which the operator's browser is sent. `api_url` is where browsers reach this API.
///
/// # Errors
/// [`AdminError::Misconfigured`] when the app is not set.
pub async fn start(app: &App, api_url: &str) -> Result<Url, AdminError> {
    let settings = app.load_settings().await?;
    let credentials = app_credentials(app, &settings).await?;
    let nonce = ids::secret("").map_err(|error| AdminError::Internal(error.to_string()))?;
    let mut tx = app.db.write().await?;
    oauth_state::create(&mut tx, &nonce, app.now()).await?;
    tx.commit().await?;
    Ok(app.graph.dialog_url(&credentials.app_id, &redirect_uri(&settings, api_url), &nonce))
}

/// Returns the redirect URI. It must be identical in the dialog and in the exchange.
fn redirect_uri(settings: &Settings, api_url: &str) -> String {
    if settings.redirect_uri.is_empty() {
        return format!("{}{CALLBACK_PATH}", api_url.trim_end_matches('/'));
    }
    settings.redirect_uri.clone()
}

/// The parameters of Facebook's callback.
#[derive(Debug, Default)]
pub struct Callback {
    /// The authorization code.
    pub code: Option<SecretString>,
    /// Our nonce.
    pub state: Option<SecretString>,
    /// Every parameter with which Facebook reports a failure, by name.
    pub refusal: BTreeMap<String, String>,
}

/// Completes a login: the code is exchanged for a token of about 60 days, which becomes the connection.
///
/// # Errors
/// [`AdminError::State`], [`AdminError::Denied`], [`AdminError::Misconfigured`], [`AdminError::Exchange`],
/// [`AdminError::Graph`] or [`AdminError::Store`], by what failed: the state, the operator's consent, the app's
/// settings, Facebook, or the database query.
pub async fn callback(app: &App, api_url: &str, callback: Callback) -> Result<(), AdminError> {
    let state = use_up(app, callback.state.as_ref()).await?;
    if !callback.refusal.is_empty() {
        return Err(denied(callback.refusal));
    }
    state.map_err(AdminError::State)?;
    let Some(code) = callback.code else { return Err(denied(BTreeMap::new())) };
    let settings = app.load_settings().await?;
    let credentials = app_credentials(app, &settings).await?;

    let graph = &app.graph;
    let uri = redirect_uri(&settings, api_url);
    let short = graph.exchange_code(&credentials, &code, &uri).await.map_err(AdminError::of_exchange)?;
    let grant = graph.extend_user_token(&credentials, &short.access_token).await.map_err(AdminError::of_exchange)?;
    let caller = Caller { app: &credentials, token: &grant.access_token };
    let me = graph.me(caller).await.map_err(AdminError::of_exchange)?;
    // For the record only, so its failure is no reason to make the operator log in again.
    let scope = match graph.debug_token(&credentials, &grant.access_token).await {
        Ok(info) => Some(info.scopes.join(",")),
        Err(failure) => {
            warn!(%failure, "granted scopes unknown");
            None
        }
    };

    let now = app.now();
    let ends = expires_at(&grant, now);
    let connection = Credential {
        account_id: me.id.clone(),
        access_token: grant.access_token.clone(),
        access_token_expires_at: ends,
        user_token: Some(grant.access_token),
        user_token_expires_at: ends,
        scope,
        metadata: Metadata { token_kind: TokenKind::User, account_name: me.name },
        version: 0,
        connected_at: now,
    };
    let kind = Changes { values: [(key::token_kind.to_owned(), None)].into(), app_secret: None };
    let mut tx = app.db.write().await?;
    store::lease::hold_pipeline(&mut tx).await?;
    credential::replace(&mut tx, &app.keyring, &connection, now).await?;
    store::settings::write(&mut tx, &app.keyring, &kind, now).await?;
    super::clear_problem(&mut tx, now).await?;
    tx.commit().await?;
    super::connection_changed(app).await?;
    info!(account_id = me.id, "connected to Meta");
    Ok(())
}

/// Uses up the state, also for a login that Facebook refused: the login is over in both cases.
async fn use_up(
    app: &App,
    state: Option<&SecretString>,
) -> Result<Result<(), Option<oauth_state::Refused>>, AdminError> {
    use secrecy::ExposeSecret as _;
    let Some(state) = state else { return Ok(Err(None)) };
    let mut tx = app.db.write().await?;
    let used = oauth_state::consume(&mut tx, state.expose_secret(), app.now()).await?;
    tx.commit().await?;
    Ok(used.map_err(Some))
}

fn denied(said: BTreeMap<String, String>) -> AdminError {
    let details: BTreeMap<String, String> =
        said.into_iter().map(|(name, text)| (name, clip(&text, QUOTED).into_owned())).collect();
    let message = match details.get("error_description").or(details.get("error_message")).or(details.get("error")) {
        Some(text) => format!("Facebook did not grant access: {text}"),
        None => "Facebook returned no code; start the login again from the settings page".to_owned(),
    };
    AdminError::Denied { message, details }
}

/// Ends the connection. State rows and open submissions are kept, because the operator may connect again.
///
/// # Errors
/// When the database query fails.
pub async fn disconnect(app: &App) -> Result<(), AdminError> {
    let mut tx = app.db.write().await?;
    let had_one = credential::delete(&mut tx).await?;
    tx.commit().await?;
    app.tokens.forget();
    if had_one {
        info!("disconnected from Meta");
    }
    Ok(())
}
