//! Against a real Better-Auth on PostgreSQL: what is done there counts at the next request here.

use std::path::Path;

use reqwest::Method;
use serde_json::Value;

use testkit::Testbed;
use testkit::better_auth::{Deployment, config};
use testkit::postgres::database;

use super::installation::{Installation, Plan, answer};

const SECRET: &str = "made-for-this-test-only-kQ7w2Zx9Lr4T";

/// What the bearer of this may do: the statuses of looking and of changing something.
async fn may(shop: &Installation, name: &str, value: &str) -> (u16, u16) {
    let ask = async |method: Method, path: &str| {
        let request = shop.anonymous(method, path).header("origin", shop.base()).header(name, value);
        answer(request).await.status.as_u16()
    };
    let view = ask(Method::GET, "/admin/meta/status").await;
    (view, ask(Method::POST, "/admin/meta/items/bulk/resync-failed").await)
}

const BOTH: (u16, u16) = (200, 202);
const VIEW: (u16, u16) = (200, 403);
const NOTHING: (u16, u16) = (403, 403);
const NOBODY: (u16, u16) = (401, 401);

#[tokio::test]
async fn what_happens_there_counts_at_the_next_request_here() {
    let url = database().await;
    let mut auth = Testbed::start(&url, SECRET, Path::new(env!("CARGO_TARGET_TMPDIR"))).await;
    let user = "boss@example.test";
    auth.run(&["create-user", user, "catalog-admin"]).await;
    let deployment = Deployment {
        secret: SECRET.into(),
        cookie_name: "better-auth.session_token".into(),
        bearer_requires_signature: false,
    };
    let shop = Plan::with_config(config(&deployment, &url, "")).start().await;
    // Real sessions have real times.
    shop.stand_at(catalog_sync::clock::Clock::now(&catalog_sync::clock::SystemClock));
    let text = |session: &Value, part: &str| session[part].as_str().expect("text").to_owned();

    let session = auth.run(&["sign-in", user]).await;
    let cookie = text(&session, "cookie");
    assert_eq!(may(&shop, "cookie", &cookie).await, BOTH);
    assert_eq!(may(&shop, "authorization", &format!("Bearer {}", text(&session, "signed"))).await, BOTH);
    assert_eq!(may(&shop, "authorization", &format!("Bearer {}", text(&session, "token"))).await, BOTH);

    auth.run(&["set-role", user, "catalog-viewer"]).await;
    assert_eq!(may(&shop, "cookie", &cookie).await, VIEW, "demoted");
    auth.run(&["set-role", user, "user"]).await;
    assert_eq!(may(&shop, "cookie", &cookie).await, NOTHING, "demoted to nothing");
    auth.run(&["set-role", user, "catalog-admin"]).await;
    assert_eq!(may(&shop, "cookie", &cookie).await, BOTH, "promoted");

    auth.run(&["revoke", &text(&session, "token")]).await;
    assert_eq!(may(&shop, "cookie", &cookie).await, NOBODY, "revoked");

    let session = auth.run(&["sign-in", user]).await;
    let cookie = text(&session, "cookie");
    assert_eq!(may(&shop, "cookie", &cookie).await, BOTH);
    auth.run(&["sign-out", &cookie]).await;
    assert_eq!(may(&shop, "cookie", &cookie).await, NOBODY, "signed out");

    let cookie = text(&auth.run(&["sign-in", user]).await, "cookie");
    auth.run(&["ban", user]).await;
    assert_eq!(may(&shop, "cookie", &cookie).await, NOBODY, "banned");
    auth.run(&["unban", user]).await;
    let cookie = text(&auth.run(&["sign-in", user]).await, "cookie");
    assert_eq!(may(&shop, "cookie", &cookie).await, BOTH, "forgiven");

    let taken_on = text(&auth.run(&["impersonate", user]).await, "cookie");
    assert_eq!(may(&shop, "cookie", &taken_on).await, VIEW, "whoever took the user on only looks");

    auth.run(&["remove", user]).await;
    assert_eq!(may(&shop, "cookie", &cookie).await, NOBODY, "removed");
    assert_eq!(may(&shop, "cookie", &taken_on).await, NOBODY, "removed");
    shop.stop().await;
}
