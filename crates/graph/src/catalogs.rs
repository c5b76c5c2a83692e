//! The catalog node.

use serde::Deserialize;

use super::Caller;
use super::call::Call;
use super::error::GraphFailure;
use super::tolerant;
use super::transport::GraphClient;

/// What is asked of a catalog, here and where catalogs come nested.
pub(super) const CATALOG_FIELDS: &str = "id,name,product_count,vertical";

/// A product catalog.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Catalog {
    /// Its id.
    #[serde(deserialize_with = "tolerant::text")]
    pub id: String,
    /// Its name, if Meta gives it.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub name: Option<String>,
    /// How many items it holds.
    #[serde(default, deserialize_with = "tolerant::u64_or_none")]
    pub product_count: Option<u64>,
    /// What it is for; `commerce` takes products.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub vertical: Option<String>,
}

impl GraphClient {
    /// A catalog as Meta sees it now, its item count among the rest.
    ///
    /// # Errors
    /// Meta's refusal ([`ErrorClass::CatalogGone`](super::ErrorClass::CatalogGone) when it is hidden from the token)
    /// or a transport failure.
    pub async fn catalog(&self, caller: Caller<'_>, catalog_id: &str) -> Result<Catalog, GraphFailure> {
        let call =
            Call::get_node("catalog", catalog_id).on_catalog(catalog_id).by(caller).param("fields", CATALOG_FIELDS);
        Ok(self.send(call).await?.value)
    }
}
