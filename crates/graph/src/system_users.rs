//! System users: find or create one, install the app for it, mint its token, see what it may use.
//!
//! The order of the real flow is: find or create, install the app, assign the catalog (`assigned_users.rs`), mint.

use serde::Deserialize;

use super::Caller;
use super::call::Call;
use super::catalogs::Catalog;
use super::error::GraphFailure;
use super::oauth::{SCOPES, TokenAnswer, TokenGrant};
use super::paging::PageBudget;
use super::tolerant;
use super::transport::GraphClient;

/// A user of a business that is not a person.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SystemUser {
    /// The id for this app; Business Settings shows another one.
    #[serde(deserialize_with = "tolerant::text")]
    pub id: String,
    /// Its name, if Meta gives it.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub name: Option<String>,
    /// Its role as Meta spells it, such as `ADMIN`.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub role: Option<String>,
}

/// The roles an app gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemUserRole {
    /// May use everything of the business. A business has very few of these.
    Admin,
    /// May use what is assigned to it.
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

/// How long a minted token is to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenLifetime {
    /// No end.
    Unlimited,
    /// 60 days; some businesses are made to use this.
    SixtyDays,
}

#[derive(Deserialize)]
struct Created {
    #[serde(deserialize_with = "tolerant::text")]
    id: String,
}

/// A write whose answer says no more than that it was done; `{"success":false}` never gets here.
#[derive(Deserialize)]
pub(super) struct Done {}

impl GraphClient {
    /// Every system user of a business.
    ///
    /// # Errors
    /// Meta's refusal, a transport failure, or a listing that does not end.
    pub async fn system_users(&self, caller: Caller<'_>, business_id: &str) -> Result<Vec<SystemUser>, GraphFailure> {
        let call = Call::get(business_id, "system_users").by(caller).param("fields", "id,name,role");
        self.list(call, &mut PageBudget::default()).await
    }

    /// Creates a system user and returns its id. Not idempotent: look for one by name first.
    ///
    /// # Errors
    /// Meta's refusal (see [`AccountCause`](super::AccountCause)) or a transport failure.
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

    /// Installs the caller's app for a system user, without which no token can be minted. Idempotent.
    ///
    /// # Errors
    /// Meta's refusal or a transport failure.
    pub async fn install_app(&self, caller: Caller<'_>, system_user_id: &str) -> Result<(), GraphFailure> {
        let call =
            Call::post(system_user_id, "applications").by(caller).param("business_app", caller.app.app_id.as_str());
        self.send::<Done>(call).await?;
        Ok(())
    }

    /// Mints a token for a system user with the [`SCOPES`] of this service.
    ///
    /// # Errors
    /// Meta's refusal (app not installed, only expiring tokens allowed) or a transport failure.
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
            // Only leaving the parameter out gives a token without end.
            TokenLifetime::Unlimited => call,
            TokenLifetime::SixtyDays => call.param("set_token_expires_in_60_days", "true"),
        };
        Ok(self.send::<TokenAnswer>(call).await?.value.into())
    }

    /// The catalogs assigned to a system user. Reads only: the write edge is the catalog's `assigned_users`.
    ///
    /// # Errors
    /// Meta's refusal, a transport failure, or a listing that does not end.
    pub async fn assigned_catalogs(
        &self,
        caller: Caller<'_>,
        system_user_id: &str,
    ) -> Result<Vec<Catalog>, GraphFailure> {
        let call = Call::get(system_user_id, "assigned_product_catalogs").by(caller).param("fields", "id,name");
        self.list(call, &mut PageBudget::default()).await
    }
}
