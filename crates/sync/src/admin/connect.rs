//! Connecting to Meta through Facebook Login, and disconnecting.
//!
//! Promises: a state is valid for ten minutes and for one callback, no matter how many callbacks are sent, and knows the
//! caller that began the login; a failed callback changes nothing but its state; nothing that Facebook's callback says is
//! repeated; a new connection clears the problem that stopped the old one.
//! Left out on purpose: whether that caller may still connect, which the callers of [`login`] decide before [`complete`].

use secrecy::{ExposeSecret, SecretString};
use tracing::{info, warn};
use url::Url;

use super::AdminError;
use super::audit::{Act, Action, recorded};
use crate::app::App;
use crate::domain::credential::TokenKind;
use crate::domain::settings::{Settings, key};
use crate::ids;
use crate::pipeline::token_source::expires_at;
use crate::store::credential::{self, Credential, Metadata};
use crate::store::oauth_state::{Began, Found, Starter};
use crate::store::settings::Changes;
use crate::store::{self, oauth_state};
use meta_graph::{AppCredentials, Caller};

/// The path to which Facebook redirects the operator's browser.
pub const CALLBACK_PATH: &str = "/admin/meta/oauth/callback";

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
pub async fn start(app: &App, api_url: &str, starter: &Starter) -> Result<Url, AdminError> {
    recorded(app, Act::new(Action::ConnectStarted), begin(app, api_url, starter), |_, _| ()).await
}

async fn begin(app: &App, api_url: &str, starter: &Starter) -> Result<Url, AdminError> {
    let settings = app.load_settings().await?;
    let credentials = app_credentials(app, &settings).await?;
    let redirect_uri = redirect_uri(&settings, api_url)?;
    let nonce = ids::secret("").map_err(|error| AdminError::Internal(error.to_string()))?;
    let mut tx = app.db.write().await?;
    oauth_state::create(&mut tx, &app.keyring, &nonce, starter, app.now()).await?;
    tx.commit().await?;
    Ok(app.graph.dialog_url(&credentials.app_id, &redirect_uri, &nonce))
}

/// Whether a URL names no host that a browser could reach (`0.0.0.0` or `[::]`).
fn is_unspecified(url: &str) -> bool {
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(url::Host::Ipv4(address)) => address.is_unspecified(),
        Some(url::Host::Ipv6(address)) => address.is_unspecified(),
        Some(url::Host::Domain(_)) | None => false,
    }
}

/// Returns the redirect URI. It must be identical in the app's settings at Meta, in the dialog and in the exchange.
///
/// # Errors
/// [`AdminError::Misconfigured`] when nothing says where browsers reach this API; says what to set.
pub fn redirect_uri(settings: &Settings, api_url: &str) -> Result<String, AdminError> {
    if !settings.redirect_uri.is_empty() {
        return Ok(settings.redirect_uri.clone());
    }
    if is_unspecified(api_url) {
        return Err(AdminError::Misconfigured(format!(
            "the service listens on every address ({api_url}), so Facebook cannot be told where to send the browser back; \
             set PUBLIC_API_URL (public_api_url) to the URL at which browsers reach this API, or the setting redirect_uri"
        )));
    }
    Ok(format!("{}{CALLBACK_PATH}", api_url.trim_end_matches('/')))
}

/// The parameters of Facebook's callback.
#[derive(Debug, Default)]
pub struct Callback {
    /// The authorization code.
    pub code: Option<SecretString>,
    /// Our nonce.
    pub state: Option<SecretString>,
    /// Set when Facebook reports a failure.
    pub refusal: Option<Refusal>,
}

/// A failure that Facebook reports.
#[derive(Debug, Default)]
pub struct Refusal {
    /// Its code.
    pub error: Option<String>,
}

/// What a callback is about.
#[derive(Debug)]
pub enum Came {
    /// A login to complete.
    Back(Login),
    /// A login that was completed lately: the browser loads the page again. Holds the caller that began it.
    Again(Began),
}

/// A login that came back from Facebook.
#[derive(Debug)]
pub struct Login {
    state: SecretString,
    code: Option<SecretString>,
    /// The caller that began it.
    pub starter: Starter,
}

impl Login {
    /// Uses up the state. Of any number of callbacks with the same state, exactly one gets `Ok`.
    ///
    /// # Errors
    /// [`AdminError::State`] when another callback used it up; [`AdminError::Store`].
    pub async fn use_up(&self, app: &App) -> Result<(), AdminError> {
        use_up(app, &self.state).await?.map_err(|refused| AdminError::State(Some(refused)))
    }
}

/// Returns the login that a callback belongs to. Its state stays good, unless Facebook reports a failure: then the login is
/// over.
///
/// # Errors
/// [`AdminError::State`], [`AdminError::Denied`] or [`AdminError::Store`], by what failed: the state, the operator's consent,
/// or the database query.
pub async fn login(app: &App, callback: Callback) -> Result<Came, AdminError> {
    if let Some(refusal) = callback.refusal {
        if let Some(state) = &callback.state {
            // An unknown state changes nothing about the answer.
            let _ = use_up(app, state).await?;
        }
        return Err(denied(&refusal));
    }
    let state = callback.state.ok_or(AdminError::State(None))?;
    let mut tx = app.db.read().await?;
    let found = oauth_state::find(&mut tx, &app.keyring, state.expose_secret(), app.now()).await?;
    drop(tx);
    Ok(match found.map_err(|refused| AdminError::State(Some(refused)))? {
        Found::Begun(starter) => Came::Back(Login { state, code: callback.code, starter }),
        Found::Completed(began) => Came::Again(began),
    })
}

/// Completes a login whose state is used up: the code is exchanged for a token of about 60 days, which becomes the
/// connection.
///
/// # Errors
/// [`AdminError::Denied`], [`AdminError::Misconfigured`], [`AdminError::Exchange`], [`AdminError::Graph`] or
/// [`AdminError::Store`], by what failed: the operator's consent, the app's settings, Facebook, or the database query.
pub async fn complete(app: &App, api_url: &str, login: Login) -> Result<(), AdminError> {
    let connected = recorded(app, Act::new(Action::Connected), connect(app, api_url, login), |account_id, details| {
        details.add("accountId", account_id.as_str());
    });
    connected.await.map(|_| ())
}

/// Returns the id of the connected account.
async fn connect(app: &App, api_url: &str, login: Login) -> Result<String, AdminError> {
    let Some(code) = login.code else { return Err(AdminError::Denied { code: "no_code", message: NO_CODE }) };
    let settings = app.load_settings().await?;
    let credentials = app_credentials(app, &settings).await?;

    let graph = &app.graph;
    let uri = redirect_uri(&settings, api_url)?;
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
    oauth_state::completed(&mut tx, login.state.expose_secret(), now).await?;
    tx.commit().await?;
    super::connection_changed(app).await?;
    info!(account_id = me.id, "connected to Meta");
    Ok(me.id)
}

async fn use_up(app: &App, state: &SecretString) -> Result<Result<(), oauth_state::Refused>, AdminError> {
    let mut tx = app.db.write().await?;
    let used = oauth_state::consume(&mut tx, state.expose_secret(), app.now()).await?;
    tx.commit().await?;
    Ok(used)
}

/// What the codes of OAuth 2.0 mean (RFC 6749, section 4.1.2.1). Facebook sends the first one when the operator cancels.
const ERRORS: [(&str, &str); 7] = [
    (
        "access_denied",
        "the login was cancelled, or access was not granted; start it again from the settings page and allow it",
    ),
    ("invalid_request", UNFIT),
    ("unauthorized_client", UNFIT),
    ("unsupported_response_type", UNFIT),
    (
        "invalid_scope",
        "Facebook does not let this app ask for catalog_management and business_management; add both to the app, \
                       then start the login again from the settings page",
    ),
    ("server_error", BUSY),
    ("temporarily_unavailable", BUSY),
];
const UNFIT: &str = "Facebook refused the login for this app; check app_id and redirect_uri, and the app's settings for \
                     Facebook Login, then start the login again from the settings page";
const BUSY: &str =
    "Facebook cannot log anybody in at the moment; start the login again from the settings page in a while";
const OTHER: &str = "Facebook ended the login with an error, which the address bar of the browser shows; start the login \
                     again from the settings page";
const NO_CODE: &str = "Facebook returned no code; start the login again from the settings page";

/// The error for a callback in which Facebook reports a failure.
fn denied(refusal: &Refusal) -> AdminError {
    let known = refusal.error.as_deref().and_then(|error| ERRORS.iter().find(|(code, _)| *code == error));
    let (code, message) = known.copied().unwrap_or(("login_failed", OTHER));
    AdminError::Denied { code, message }
}

/// Ends the connection. State rows and open submissions are kept, because the operator may connect again.
///
/// # Errors
/// When the database query fails.
pub async fn disconnect(app: &App) -> Result<(), AdminError> {
    let work = async {
        let mut tx = app.db.write().await?;
        let had_one = credential::delete(&mut tx).await?;
        tx.commit().await?;
        app.tokens.forget();
        if had_one {
            info!("disconnected from Meta");
        }
        Ok(())
    };
    recorded(app, Act::new(Action::Disconnected), work, |(), _| ()).await
}
