//! Connecting, choosing a catalog, disconnecting.

use serde_json::json;

use crate::support::installation::{CATALOG, Database, Installation};

async fn the_whole_way(database: Database) {
    let shop = Installation::start(database).await;
    assert_eq!(shop.get("/admin/meta/status").await.data()["connected"], false);
    shop.connect().await;
    let businesses = shop.get("/admin/meta/businesses").await.data();
    assert_eq!(businesses[0]["ownedCatalogs"][0]["id"], CATALOG);
    let selected = shop.select(CATALOG).await.data();
    let again = shop.select(CATALOG).await.data();
    assert_eq!(selected, again, "one system user");
    let status = shop.get("/admin/meta/status").await.data();
    assert_eq!(status["selection"]["tokenKind"], "system_user");
    assert_eq!(status["accountId"], selected["systemUserId"]);
    assert_eq!(shop.delete("/admin/meta/oauth").await.data(), json!({"disconnected": true}));
    assert_eq!(shop.get("/admin/meta/status").await.data()["connected"], false);
    shop.stop().await;
}

#[tokio::test]
async fn the_whole_way_on_sqlite() {
    the_whole_way(Database::Sqlite).await;
}

#[tokio::test]
async fn the_whole_way_on_postgres() {
    the_whole_way(Database::Postgres).await;
}
