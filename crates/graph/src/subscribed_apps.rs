//! The edge that subscribes the app to what happens in a catalog. Meta then sends notifications ([`super::webhook`]).
//!
//! Left out on purpose: the address that they are sent to, which belongs to the settings of the app.

use super::Caller;
use super::call::Call;
use super::error::GraphFailure;
use super::system_users::Done;
use super::transport::GraphClient;
use super::usage::Usage;

impl GraphClient {
    /// Subscribes the app to a catalog. A repeated call is expected to succeed.
    ///
    /// # Errors
    /// When Meta refuses (the caller must manage the catalog) or when the transport fails.
    pub async fn subscribe_catalog(&self, caller: Caller<'_>, catalog_id: &str) -> Result<Usage, GraphFailure> {
        let call = Call::post(catalog_id, "subscribed_apps").on_catalog(catalog_id).by(caller);
        self.send::<Done>(call).await.map(|answer| answer.usage)
    }

    /// Ends the subscription of the app to a catalog.
    ///
    /// # Errors
    /// When Meta refuses or when the transport fails.
    pub async fn unsubscribe_catalog(&self, caller: Caller<'_>, catalog_id: &str) -> Result<Usage, GraphFailure> {
        let call = Call::delete(catalog_id, "subscribed_apps").on_catalog(catalog_id).by(caller);
        self.send::<Done>(call).await.map(|answer| answer.usage)
    }
}
