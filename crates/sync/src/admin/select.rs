//! Selecting the catalog: from the operator's login to a system user that may manage exactly this catalog.
//!
//! The flow of Meta's API: find or create the system user, install the app for it, assign the catalog to it, mint its
//! token, check that the token can be used. Each step may be repeated, so a selection that failed half-way is made
//! again from the beginning. The result (credential, settings, dropped claims) is committed in one transaction.
//!
//! One selection runs at a time over all replicas ([`Work::Selection`]), so the second selection finds the system user
//! that the first one created. A replica that loses the exclusive right half-way is stopped by the credential's
//! version: its commit fails, and a retry finds the same system user by its name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::{info, warn};
use utoipa::ToSchema;

use super::AdminError;
use super::audit::{Act, Action, recorded};
use super::businesses::Operator;
use crate::app::App;
use crate::domain::credential::TokenKind;
use crate::domain::settings::key;
use crate::failpoints::{self, Point};
use crate::pipeline::token_source::expires_at;
use crate::runtime::exclusive::{Exclusive, Work};
use crate::store;
use crate::store::credential::{self, Credential, Metadata};
use crate::store::settings::Changes;
use meta_graph::{Caller, ErrorClass, GraphFailure, SCOPES, SystemUserRole, TokenGrant, TokenLifetime};

/// The name by which an existing system user is found.
pub const SYSTEM_USER_NAME: &str = "Supercommerce Catalog Sync";

/// How long a selection waits for another one. A selection takes a few seconds, unless Meta hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The catalog to select. The names are kept for display.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selection {
    /// 1 to 100 digits.
    #[schema(min_length = 1, max_length = 100, pattern = r"^ *[0-9]+ *$", example = "3000000001")]
    pub business_id: String,
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "Acme Holdings")]
    pub business_name: String,
    /// 1 to 100 digits.
    #[schema(min_length = 1, max_length = 100, pattern = r"^ *[0-9]+ *$", example = "4000000001")]
    pub catalog_id: String,
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "Acme Master Catalog")]
    pub catalog_name: String,
}

/// The result of a selection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selected {
    /// The id of the system user whose token is used from now on.
    pub system_user_id: String,
    /// The id of the selected catalog.
    pub catalog_id: String,
    /// Always the system user's token.
    pub token_kind: TokenKind,
}

impl Selection {
    /// Trims every part and checks its length.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] names each part that is not valid.
    pub fn checked(self) -> Result<Self, AdminError> {
        let mut wrong = BTreeMap::new();
        let mut part = |name: &str, text: String, limit: usize| {
            let text = text.trim().to_owned();
            if text.is_empty() || text.chars().count() > limit || text.contains('\0') {
                wrong.insert(name.to_owned(), format!("takes text of 1 to {limit} characters"));
            }
            text
        };
        let checked = Self {
            business_id: part("businessId", self.business_id, 100),
            business_name: part("businessName", self.business_name, 200),
            catalog_id: part("catalogId", self.catalog_id, 100),
            catalog_name: part("catalogName", self.catalog_name, 200),
        };
        // They become part of the path of calls.
        for (name, id) in [("businessId", &checked.business_id), ("catalogId", &checked.catalog_id)] {
            if !id.bytes().all(|byte| byte.is_ascii_digit()) {
                let message = "takes the digits of an id of Meta's, as GET /admin/meta/businesses lists them";
                wrong.entry(name.to_owned()).or_insert_with(|| message.into());
            }
        }
        if wrong.is_empty() { Ok(checked) } else { Err(AdminError::invalid_parts("the selection is not valid", wrong)) }
    }
}

/// Carries out the selection.
///
/// # Errors
/// [`AdminError::Account`] when Meta refuses a step; [`AdminError::Graph`] when a call to Meta fails;
/// [`AdminError::Unusable`] when the token or the assignment cannot be used; [`AdminError::Changed`] when the
/// connection changed during the selection or another selection does not end. Nothing is changed in the database in any
/// of these cases.
pub async fn select(app: &Arc<App>, selection: Selection) -> Result<Selected, AdminError> {
    let selection = selection.checked()?;
    let act = Act::new(Action::CatalogSelected)
        .on(&selection.catalog_name)
        .with("catalogId", selection.catalog_id.as_str())
        .with("businessId", selection.business_id.as_str());
    recorded(app, act, select_alone(app, selection), |_, _| ()).await
}

async fn select_alone(app: &Arc<App>, selection: Selection) -> Result<Selected, AdminError> {
    let Some(right) = Exclusive::wait(&app.db, &app.clock, Work::Selection, PATIENCE).await? else {
        return Err(AdminError::Changed(
            "another catalog selection is running; wait until it ends and try again".into(),
        ));
    };
    let selected = select_now(app, selection).await;
    right.end().await;
    selected
}

/// Selects again what was selected before a reconnect, so that calls are made with a system user's token. A failure
/// changes nothing: calls go on with the operator's own token, and the status says so. Returns whether it was selected.
///
/// # Errors
/// When the database query fails.
pub async fn select_again(app: &Arc<App>) -> Result<bool, AdminError> {
    let settings = app.load_settings().await?;
    let before = Selection {
        business_id: settings.business_id.clone(),
        business_name: settings.mapper.business_name.clone(),
        catalog_id: settings.catalog_id.clone(),
        catalog_name: settings.catalog_name.clone(),
    };
    // A catalog whose id was set by hand was never selected.
    let Ok(before) = before.checked() else { return Ok(false) };
    match select(app, before).await {
        Ok(_) => Ok(true),
        Err(error @ (AdminError::Store(_) | AdminError::Internal(_))) => Err(error),
        Err(error) => {
            warn!(%error, "the catalog could not be selected again; calls use the operator's own token");
            Ok(false)
        }
    }
}

async fn select_now(app: &App, selection: Selection) -> Result<Selected, AdminError> {
    let operator = Operator::load(app).await?;
    let minted = prepare(app, &operator, &selection).await?;
    commit(app, &operator, &selection, &minted).await?;
    super::connection_changed(app).await?;
    info!(
        system_user_id = minted.system_user_id,
        business_id = selection.business_id,
        catalog_id = selection.catalog_id,
        "catalog selected"
    );
    Ok(Selected {
        system_user_id: minted.system_user_id,
        catalog_id: selection.catalog_id,
        token_kind: TokenKind::SystemUser,
    })
}

struct Minted {
    system_user_id: String,
    grant: TokenGrant,
    scope: String,
}

/// Makes all calls to Meta.
async fn prepare(app: &App, operator: &Operator, selection: &Selection) -> Result<Minted, AdminError> {
    let graph = &app.graph;
    let caller = operator.caller();
    let at = |step: &'static str| move |failure: GraphFailure| AdminError::of_step(step, failure);

    let known = graph.system_users(caller, &selection.business_id).await.map_err(at("list the system users"))?;
    let system_user_id = match known.into_iter().find(|user| user.name.as_deref() == Some(SYSTEM_USER_NAME)) {
        Some(user) => user.id,
        None => graph
            .create_system_user(caller, &selection.business_id, SYSTEM_USER_NAME, SystemUserRole::Admin)
            .await
            .map_err(at("create the system user"))?,
    };
    failpoints::at(Point::SelectionUserMade).await;
    graph.install_app(caller, &system_user_id).await.map_err(at("install the app for the system user"))?;
    graph
        .assign_catalog(caller, &selection.catalog_id, &system_user_id)
        .await
        .map_err(at("assign the catalog to the system user"))?;
    failpoints::at(Point::SelectionAssigned).await;
    let grant = mint(app, caller, &system_user_id).await.map_err(at("mint the system user's token"))?;
    failpoints::at(Point::SelectionMinted).await;

    let info =
        graph.debug_token(&operator.credentials, &grant.access_token).await.map_err(at("check the new token"))?;
    let missing: Vec<&str> =
        SCOPES.into_iter().filter(|scope| !info.scopes.iter().any(|granted| granted == scope)).collect();
    if !info.is_valid || !missing.is_empty() {
        return Err(AdminError::Unusable(format!(
            "the system user's token cannot be used: {}; grant the app both permissions and select the catalog again",
            if info.is_valid {
                format!("it has no permission for {}", missing.join(" and "))
            } else {
                "Meta reports it as invalid".into()
            }
        )));
    }
    let assigned =
        graph.assigned_catalogs(caller, &system_user_id).await.map_err(at("list the system user's catalogs"))?;
    if !assigned.iter().any(|catalog| catalog.id == selection.catalog_id) {
        return Err(AdminError::Unusable(format!(
            "the catalog {} is not assigned to the system user {system_user_id}; select it again, and if that does not help, \
             assign it in Business Settings",
            selection.catalog_id
        )));
    }
    Ok(Minted { system_user_id, grant, scope: info.scopes.join(",") })
}

/// Mints a token that does not expire. Some businesses may only use tokens of 60 days, and Meta refuses the first
/// request for them.
async fn mint(app: &App, caller: Caller<'_>, system_user_id: &str) -> Result<TokenGrant, GraphFailure> {
    let graph = &app.graph;
    match graph.mint_token(caller, system_user_id, TokenLifetime::Unlimited).await {
        Err(first) if first.class() == ErrorClass::BadRequest => {
            // If the refusal had another cause, the first refusal describes it best.
            graph.mint_token(caller, system_user_id, TokenLifetime::SixtyDays).await.map_err(|_| first)
        }
        answer => answer,
    }
}

/// Commits credential, settings and, for another catalog, the dropped claims in one transaction.
async fn commit(app: &App, operator: &Operator, selection: &Selection, minted: &Minted) -> Result<(), AdminError> {
    let now = app.now();
    let before = &operator.credential;
    let (user_token, user_token_expires_at): (Option<SecretString>, _) =
        (before.user_token.clone(), before.user_token_expires_at);
    let connection = Credential {
        account_id: minted.system_user_id.clone(),
        access_token: minted.grant.access_token.clone(),
        access_token_expires_at: expires_at(&minted.grant, now),
        user_token,
        user_token_expires_at,
        scope: Some(minted.scope.clone()),
        metadata: Metadata { token_kind: TokenKind::SystemUser, account_name: Some(SYSTEM_USER_NAME.into()) },
        version: before.version,
        connected_at: before.connected_at,
    };
    let values = [
        (key::business_id, &selection.business_id),
        (key::business_name, &selection.business_name),
        (key::catalog_id, &selection.catalog_id),
        (key::catalog_name, &selection.catalog_name),
        (key::system_user_id, &minted.system_user_id),
        (key::token_kind, &TokenKind::SystemUser.as_str().to_owned()),
    ];
    let values = values.into_iter().map(|(key, value)| (key.to_owned(), Some(json!(value)))).collect();
    let changes = Changes { values, app_secret: None };

    let mut tx = app.db.write().await?;
    store::lease::hold_pipeline(&mut tx).await?;
    let written = credential::replace_if_current(&mut tx, &app.keyring, &connection, now).await?;
    if written.is_none() {
        return Err(AdminError::Changed(
            "the connection to Meta changed during the selection; select the catalog again".into(),
        ));
    }
    store::settings::write(&mut tx, &app.keyring, &changes, now).await?;
    super::clear_problem(&mut tx, now).await?;
    failpoints::at(Point::SelectionCommitting).await;
    tx.commit().await?;
    failpoints::at(Point::SelectionCommitted).await;
    Ok(())
}
