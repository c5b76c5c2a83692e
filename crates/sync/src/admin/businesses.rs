//! The businesses and catalogs from which the connected operator can choose.

use serde::Serialize;
use utoipa::ToSchema;

use super::{AdminError, connect};
use crate::app::App;
use crate::store::credential::{self, Credential};
use meta_graph::{AppCredentials, Business, Caller, Catalog};

/// A business with its catalogs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BusinessSummary {
    /// The business's id.
    pub id: String,
    /// The business's name; empty when Meta gives none.
    pub name: String,
    /// Catalogs that the business owns.
    pub owned_catalogs: Vec<CatalogSummary>,
    /// Catalogs that are shared with the business.
    pub client_catalogs: Vec<CatalogSummary>,
}

/// A catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogSummary {
    /// The catalog's id.
    pub id: String,
    /// The catalog's name; empty when Meta gives none.
    pub name: String,
    /// Number of items in the catalog.
    pub product_count: Option<u64>,
    /// The kind of goods that the catalog is for.
    pub vertical: Option<String>,
}

/// Returns every business of the operator; empty when the operator administers none.
///
/// # Errors
/// [`AdminError::Misconfigured`] when Meta is not connected or the token has expired; [`AdminError::Graph`] when the
/// call to Meta fails.
pub async fn list(app: &App) -> Result<Vec<BusinessSummary>, AdminError> {
    let operator = Operator::load(app).await?;
    let businesses = app.graph.businesses(operator.caller()).await.map_err(AdminError::Graph)?;
    Ok(businesses.into_iter().map(Into::into).collect())
}

/// The connected person, in whose name businesses are listed and a system user is created: a system user's own list of
/// businesses may be empty.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) credentials: AppCredentials,
    pub(super) credential: Credential,
    /// Whether the operator's own token is used; otherwise the access token is used.
    own_token: bool,
}

impl Operator {
    pub(super) async fn load(app: &App) -> Result<Self, AdminError> {
        let settings = app.load_settings().await?;
        let credentials = connect::app_credentials(app, &settings).await?;
        let mut tx = app.db.read().await?;
        let credential = credential::load(&mut tx, &app.keyring).await?.ok_or_else(|| {
            AdminError::Misconfigured("not connected to Meta; start with GET /admin/meta/oauth/start".into())
        })?;
        let now = app.now();
        let living = credential.user_token_expires_at.is_none_or(|ends| ends > now);
        let own_token = living && credential.user_token.is_some();
        if !own_token && credential.access_token_expires_at.is_some_and(|ends| ends <= now) {
            return Err(AdminError::Misconfigured(
                "the access token has expired; connect again with GET /admin/meta/oauth/start".into(),
            ));
        }
        Ok(Self { credentials, credential, own_token })
    }

    pub(super) fn caller(&self) -> Caller<'_> {
        let own = self.credential.user_token.as_ref().filter(|_| self.own_token);
        Caller { app: &self.credentials, token: own.unwrap_or(&self.credential.access_token) }
    }
}

impl From<Business> for BusinessSummary {
    fn from(business: Business) -> Self {
        let all = |catalogs: Vec<Catalog>| catalogs.into_iter().map(Into::into).collect();
        Self {
            id: business.id,
            name: business.name.unwrap_or_default(),
            owned_catalogs: all(business.owned_catalogs),
            client_catalogs: all(business.client_catalogs),
        }
    }
}

impl From<Catalog> for CatalogSummary {
    fn from(catalog: Catalog) -> Self {
        Self {
            id: catalog.id,
            name: catalog.name.unwrap_or_default(),
            product_count: catalog.product_count,
            vertical: catalog.vertical,
        }
    }
}
