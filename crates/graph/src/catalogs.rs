//! The catalog node.

use serde::Deserialize;

use super::Caller;
use super::call::Call;
use super::error::GraphFailure;
use super::tolerant;
use super::transport::GraphClient;

/// The fields that are requested of a catalog, on the node and on nested edges.
pub(super) const CATALOG_FIELDS: &str = "id,name,product_count,vertical";

/// A product catalog.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Catalog {
    /// Its id.
    #[serde(deserialize_with = "tolerant::id")]
    pub id: String,
    /// Its name; `None` when Meta omits it.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub name: Option<String>,
    /// The number of items in it.
    #[serde(default, deserialize_with = "tolerant::u64_or_none")]
    pub product_count: Option<u64>,
    /// Its purpose; `commerce` is for products.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub vertical: Option<String>,
}

impl GraphClient {
    /// Returns the current catalog node, including its item count.
    ///
    /// # Errors
    /// When Meta refuses ([`ErrorClass::CatalogGone`](super::ErrorClass::CatalogGone) when the catalog is hidden from
    /// the token) or when the transport fails.
    pub async fn catalog(&self, caller: Caller<'_>, catalog_id: &str) -> Result<Catalog, GraphFailure> {
        let call =
            Call::get_node("catalog", catalog_id).on_catalog(catalog_id).by(caller).param("fields", CATALOG_FIELDS);
        Ok(self.send(call).await?.value)
    }
}
