//! The edge that assigns users to a catalog. It is the only edge that writes such an assignment.

use super::Caller;
use super::call::Call;
use super::error::GraphFailure;
use super::system_users::Done;
use super::transport::GraphClient;

impl GraphClient {
    /// Lets a (system) user manage a catalog. A repeated call is expected to succeed.
    ///
    /// # Errors
    /// When Meta refuses (the caller must manage the catalog; 415 means that two-factor authentication is required) or
    /// when the transport fails.
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
