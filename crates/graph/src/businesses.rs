//! The businesses of the connected user and their catalogs.
//!
//! Promises: the result is complete; both the businesses and each business's catalogs are read to the last page.

use serde::Deserialize;

use super::Caller;
use super::call::Call;
use super::catalogs::{CATALOG_FIELDS, Catalog};
use super::error::GraphFailure;
use super::paging::{Page, PageBudget};
use super::tolerant;
use super::transport::GraphClient;

const OWNED: &str = "owned_product_catalogs";
const CLIENT: &str = "client_product_catalogs";
const CATALOGS_A_PAGE: &str = "50";

/// A business and the catalogs that it can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Business {
    /// Its id.
    pub id: String,
    /// Its name; `None` when Meta omits it.
    pub name: Option<String>,
    /// The catalogs it owns.
    pub owned_catalogs: Vec<Catalog>,
    /// The catalogs that other businesses share with it.
    pub client_catalogs: Vec<Catalog>,
}

#[derive(Deserialize)]
pub(super) struct BusinessNode {
    #[serde(deserialize_with = "tolerant::id")]
    id: String,
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    name: Option<String>,
    // Meta omits a nested edge that has no elements.
    owned_product_catalogs: Option<Page<Catalog>>,
    client_product_catalogs: Option<Page<Catalog>>,
}

impl GraphClient {
    /// Returns every business of the user, with every catalog. Empty when the user administers none.
    ///
    /// # Errors
    /// When Meta refuses, when the transport fails, or when a listing does not end.
    pub async fn businesses(&self, caller: Caller<'_>) -> Result<Vec<Business>, GraphFailure> {
        let nested = |edge| format!("{edge}.limit({CATALOGS_A_PAGE}){{{CATALOG_FIELDS}}}");
        let fields = format!("id,name,{},{}", nested(OWNED), nested(CLIENT));
        let mut budget = PageBudget::default();
        let call = Call::get("me", "businesses").by(caller).param("fields", fields);
        let nodes = self.list::<BusinessNode>(call, &mut budget).await?;

        let mut businesses = Vec::with_capacity(nodes.len());
        for node in nodes {
            let owned = self.rest(caller, &node.id, OWNED, node.owned_product_catalogs, &mut budget).await?;
            let client = self.rest(caller, &node.id, CLIENT, node.client_product_catalogs, &mut budget).await?;
            businesses.push(Business { id: node.id, name: node.name, owned_catalogs: owned, client_catalogs: client });
        }
        Ok(businesses)
    }

    /// Reads the remaining pages of a nested edge.
    async fn rest(
        &self,
        caller: Caller<'_>,
        business_id: &str,
        edge: &'static str,
        first: Option<Page<Catalog>>,
        budget: &mut PageBudget,
    ) -> Result<Vec<Catalog>, GraphFailure> {
        let Some(first) = first else {
            return Ok(Vec::new());
        };
        let call =
            Call::get(business_id, edge).by(caller).param("fields", CATALOG_FIELDS).param("limit", CATALOGS_A_PAGE);
        self.list_on(first, call, budget).await
    }
}
