//! System users: find or create one, install the app for it, mint its token, list its catalogs.
//!
//! The steps are: find or create, install the app, assign the catalog (`assigned_users.rs`), mint.

use serde::Deserialize;

use super::Caller;
use super::call::Call;
use super::catalogs::Catalog;
use super::error::GraphFailure;
use super::oauth::{SCOPES, TokenAnswer, TokenGrant};
use super::paging::PageBudget;
use super::tolerant;
use super::transport::GraphClient;

/// A business user that does not represent a person.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SystemUser {
    /// The id in the scope of this app; Business Settings shows another one.
    #[serde(deserialize_with = "tolerant::id")]
    pub id: String,
    /// Its name; `None` when Meta omits it.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub name: Option<String>,
    /// Its role as Meta spells it, such as `ADMIN`.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub role: Option<String>,
}

/// The roles that an app can assign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemUserRole {
    /// Access to everything of the business. A business may have very few of these.
    Admin,
    /// Access to assigned objects only.
    Employee,
}

impl SystemUserRole {
    const fn name(self) -> &'static str {
        match self {
            Self::Admin => "ADMIN",
            Self::Employee => "EMPLOYEE",
        }
    }
}

/// The lifetime of a minted token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenLifetime {
    /// No expiry.
    Unlimited,
    /// 60 days; some businesses allow only this.
    SixtyDays,
}

#[derive(Deserialize)]
pub(super) struct Created {
    #[serde(deserialize_with = "tolerant::id")]
    pub(super) id: String,
}

/// The answer of a write that reports only success; `{"success":false}` is handled before.
#[derive(Deserialize)]
pub(super) struct Done {}

impl GraphClient {
    /// Returns every system user of a business.
    ///
    /// # Errors
    /// When Meta refuses, when the transport fails, or when a listing does not end.
    pub async fn system_users(&self, caller: Caller<'_>, business_id: &str) -> Result<Vec<SystemUser>, GraphFailure> {
        let call = Call::get(business_id, "system_users").by(caller).param("fields", "id,name,role");
        self.list(call, &mut PageBudget::default()).await
    }

    /// Creates a system user and returns its id. Not idempotent: search by name first.
    ///
    /// # Errors
    /// When Meta refuses (see [`AccountCause`](super::AccountCause)) or when the transport fails.
    pub async fn create_system_user(
        &self,
        caller: Caller<'_>,
        business_id: &str,
        name: &str,
        role: SystemUserRole,
    ) -> Result<String, GraphFailure> {
        let call = Call::post(business_id, "system_users").by(caller).param("name", name).param("role", role.name());
        Ok(self.send::<Created>(call).await?.value.id)
    }

    /// Installs the caller's app for a system user. No token can be minted without it. Idempotent.
    ///
    /// # Errors
    /// When Meta refuses or the transport fails.
    pub async fn install_app(&self, caller: Caller<'_>, system_user_id: &str) -> Result<(), GraphFailure> {
        let call =
            Call::post(system_user_id, "applications").by(caller).param("business_app", caller.app.app_id.as_str());
        self.send::<Done>(call).await?;
        Ok(())
    }

    /// Mints a token for a system user with the [`SCOPES`] of this service.
    ///
    /// # Errors
    /// When Meta refuses (app not installed, only expiring tokens allowed) or when the transport fails.
    pub async fn mint_token(
        &self,
        caller: Caller<'_>,
        system_user_id: &str,
        lifetime: TokenLifetime,
    ) -> Result<TokenGrant, GraphFailure> {
        let call = Call::post(system_user_id, "access_tokens")
            .by(caller)
            .param("business_app", caller.app.app_id.as_str())
            .param("scope", SCOPES.join(","));
        let call = match lifetime {
            // Meta issues a token without expiry only when the parameter is left out.
            TokenLifetime::Unlimited => call,
            TokenLifetime::SixtyDays => call.param("set_token_expires_in_60_days", "true"),
        };
        Ok(self.send::<TokenAnswer>(call).await?.value.into())
    }

    /// Returns the catalogs assigned to a system user. Read-only: the write edge is the catalog's `assigned_users`.
    ///
    /// # Errors
    /// When Meta refuses, when the transport fails, or when a listing does not end.
    pub async fn assigned_catalogs(
        &self,
        caller: Caller<'_>,
        system_user_id: &str,
    ) -> Result<Vec<Catalog>, GraphFailure> {
        let call = Call::get(system_user_id, "assigned_product_catalogs").by(caller).param("fields", "id,name");
        self.list(call, &mut PageBudget::default()).await
    }
}
