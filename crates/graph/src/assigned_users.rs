//! Who may use a catalog: the only edge that assigns one.

use super::Caller;
use super::call::Call;
use super::error::GraphFailure;
use super::system_users::Done;
use super::transport::GraphClient;

impl GraphClient {
    /// Lets a (system) user manage a catalog. Repeating it is meant to succeed.
    ///
    /// # Errors
    /// Meta's refusal (the caller must manage the catalog; 415 = two-factor authentication needed) or a transport
    /// failure.
    pub async fn assign_catalog(
        &self,
        caller: Caller<'_>,
        catalog_id: &str,
        user_id: &str,
    ) -> Result<(), GraphFailure> {
        let call = Call::post(catalog_id, "assigned_users")
            .on_catalog(catalog_id)
            .by(caller)
            .param("user", user_id)
            .param("tasks", r#"["MANAGE"]"#);
        self.send::<Done>(call).await?;
        Ok(())
    }
}
