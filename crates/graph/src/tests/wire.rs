//! The bytes on the wire, call by call, and how listings are paged.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::{APP_SECRET, Account, FakeMeta, Received, Reply, TOKEN};
use crate::proof::app_secret_proof;
use crate::*;

fn ok(value: Value) -> Reply {
    Reply::Json(200, value)
}

#[tokio::test]
async fn every_call_with_a_token_is_signed_and_takes_its_documented_form() {
    let done = || ok(json!({"success": true}));
    let empty = || ok(json!({"data": []}));
    let meta = FakeMeta::answering([
        ok(json!({"id": "104", "name": "Sync"})),
        empty(),
        empty(),
        ok(json!({"id": 1000})),
        done(),
        done(),
        ok(json!({"access_token": "EAABminted"})),
        ok(json!({"access_token": "EAABminted", "expires_in": 5_184_000})),
        empty(),
        ok(json!({"id": "987", "product_count": 444.0})),
        ok(json!({"handles": ["AcH"]})),
        ok(json!({"data": [{"handle": "AcH", "status": "started"}]})),
        empty(),
        ok(json!({"data": [{"retailer_id": "b"}, {"retailer_id": "not asked for"}]})),
        done(),
        done(),
    ]);
    let (client, account) = (meta.client(), Account::new());
    let caller = account.caller();

    assert_eq!(client.me(caller).await.expect("me").id, "104");
    assert_eq!(client.businesses(caller).await.expect("businesses"), []);
    assert_eq!(client.system_users(caller, "111").await.expect("system users"), []);
    let created = client.create_system_user(caller, "111", "Sync & Co", SystemUserRole::Admin).await;
    assert_eq!(created.expect("a system user"), "1000");
    client.install_app(caller, "1000").await.expect("installed");
    client.assign_catalog(caller, "987", "1000").await.expect("assigned");
    let endless = client.mint_token(caller, "1000", TokenLifetime::Unlimited).await.expect("a token");
    assert_eq!(endless.expires_in, None);
    let ending = client.mint_token(caller, "1000", TokenLifetime::SixtyDays).await.expect("a token");
    assert_eq!(ending.expires_in, Some(Duration::from_secs(5_184_000)));
    assert_eq!(client.assigned_catalogs(caller, "1000").await.expect("catalogs"), []);
    assert_eq!(client.catalog(caller, "987").await.expect("a catalog").product_count, Some(444));
    let mut body = ItemsBatchBody::new();
    body.push_delete("sku-1").expect("it fits");
    assert_eq!(client.submit_items_batch(caller, "987", body).await.expect("taken").handles, ["AcH"]);
    let status = client.batch_status(caller, "987", "AcH").await.expect("an answer").status.expect("a status");
    assert_eq!(status.state, BatchState::Started);
    assert_eq!(client.live_item(caller, "987", "a\"&b", &["name", "price"]).await.expect("an answer"), None);
    let ids = ["a".to_owned(), "b".to_owned()];
    let existing = client.existing_items(caller, "987", &ids).await.expect("an answer");
    assert_eq!(existing.into_iter().collect::<Vec<_>>(), ["b"]);
    client.subscribe_catalog(caller, "987").await.expect("subscribed");
    client.unsubscribe_catalog(caller, "987").await.expect("left");

    insta::assert_snapshot!(meta.lines().join("\n"), @r#"
    GET /v26.0/me fields=id,name
    GET /v26.0/me/businesses fields=id,name,owned_product_catalogs.limit(50){id,name,product_count,vertical},client_product_catalogs.limit(50){id,name,product_count,vertical}
    GET /v26.0/111/system_users fields=id,name,role
    POST /v26.0/111/system_users : name=Sync & Co role=ADMIN
    POST /v26.0/1000/applications : business_app=634
    POST /v26.0/987/assigned_users : user=1000 tasks=["MANAGE"]
    POST /v26.0/1000/access_tokens : business_app=634 scope=catalog_management,business_management
    POST /v26.0/1000/access_tokens : business_app=634 scope=catalog_management,business_management set_token_expires_in_60_days=true
    GET /v26.0/1000/assigned_product_catalogs fields=id,name
    GET /v26.0/987 fields=id,name,product_count,vertical
    POST /v26.0/987/items_batch :{"item_type":"PRODUCT_ITEM","allow_upsert":true,"requests":[{"method":"DELETE","data":{"id":"sku-1"}}]}
    GET /v26.0/987/check_batch_request_status handle=AcH load_ids_of_invalid_requests=true fields=handle,status,errors,errors_total_count,warnings,warnings_total_count,ids_of_invalid_requests
    GET /v26.0/987/products filter={"retailer_id":{"eq":"a\"&b"}} fields=id,retailer_id,availability,price,currency,review_status,errors,name limit=1
    GET /v26.0/987/products filter={"or":[{"retailer_id":{"eq":"a"}},{"retailer_id":{"eq":"b"}}]} fields=retailer_id limit=2
    POST /v26.0/987/subscribed_apps
    DELETE /v26.0/987/subscribed_apps
    "#);
    let proof = app_secret_proof(&APP_SECRET.into(), &TOKEN.into());
    for request in meta.received() {
        let line = request.line();
        assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()), "{line}");
        assert_eq!(request.query("appsecret_proof").as_ref(), Some(&proof), "{line}");
        assert!(request.header("user-agent").is_some_and(|agent| agent.starts_with("meta-catalog/")), "{line}");
        assert!(!request.uri.to_string().contains(TOKEN), "{line}");
        assert!(!request.body.contains(TOKEN), "{line}");
    }
}

#[tokio::test]
async fn exchanges_carry_their_credentials_in_the_parameters() {
    let grant = || ok(json!({"access_token": "EAABnew", "token_type": "bearer", "expires_in": 5_183_944}));
    let debug = json!({"data": {
        "app_id": 634, "type": "SYSTEM_USER", "expires_at": 0, "data_access_expires_at": 1_800_000_000, "is_valid": true,
        "scopes": ["catalog_management"], "user_id": "104",
        "granular_scopes": [{"scope": "catalog_management", "target_ids": ["987"]}, {"scope": "business_management"}]
    }});
    let dead = json!({"data": {
        "is_valid": false, "scopes": [],
        "error": {"code": 190, "subcode": 463, "message": format!("Session of {TOKEN} has expired")}
    }});
    let meta = FakeMeta::answering([grant(), grant(), grant(), ok(debug), ok(dead)]);
    let (client, account) = (meta.client(), Account::new());
    let app = &account.app;
    let token = account.caller().token;

    let grant = client.exchange_code(app, &"AQcode".into(), "https://shop.example/cb?a=b").await.expect("a token");
    assert_eq!(grant.expires_in, Some(Duration::from_secs(5_183_944)));
    client.extend_user_token(app, token).await.expect("a token");
    client.renew_system_user_token(app, token).await.expect("a token");
    let info = client.debug_token(app, token).await.expect("an answer");
    assert!(info.is_valid);
    assert_eq!((info.app_id.as_deref(), info.expires_at), (Some("634"), None));
    assert_eq!(info.data_access_expires_at, Some(1_800_000_000));
    assert_eq!(info.granular_scopes[0].target_ids.as_deref(), Some(&["987".to_owned()][..]));
    assert_eq!(info.granular_scopes[1].target_ids, None);
    let info = client.debug_token(app, token).await.expect("a dead token is an answer");
    let error = info.error.expect("a reason");
    assert_eq!((info.is_valid, error.code, error.subcode), (false, Some(190), Some(463)));
    assert_eq!(error.message, "Session of [redacted] has expired");

    insta::assert_snapshot!(meta.lines().join("\n"), @r"
    GET /v26.0/oauth/access_token client_id=634 redirect_uri=https://shop.example/cb?a=b client_secret=appsecret0123456789 code=AQcode
    GET /v26.0/oauth/access_token grant_type=fb_exchange_token client_id=634 client_secret=appsecret0123456789 fb_exchange_token=EAABtokenofthecaller
    GET /v26.0/oauth/access_token grant_type=fb_exchange_token client_id=634 client_secret=appsecret0123456789 fb_exchange_token=EAABtokenofthecaller set_token_expires_in_60_days=true
    GET /v26.0/debug_token input_token=EAABtokenofthecaller
    GET /v26.0/debug_token input_token=EAABtokenofthecaller
    ");
    let received = meta.received();
    let signed: Vec<_> = received.iter().map(|request| request.header("authorization")).collect();
    let app_token = format!("Bearer 634|{APP_SECRET}");
    assert_eq!(signed, [None, None, None, Some(app_token.as_str()), Some(app_token.as_str())]);
}

#[test]
fn dialog_url_asks_for_a_code_with_both_scopes() {
    let meta = FakeMeta::answering([]);
    let url = meta.client().dialog_url("634", "https://shop.example/cb?a=b", "n/o&nce");
    let expected = "/v26.0/dialog/oauth?client_id=634&redirect_uri=https%3A%2F%2Fshop.example%2Fcb%3Fa%3Db\
                    &state=n%2Fo%26nce&response_type=code&scope=catalog_management%2Cbusiness_management";
    assert!(url.as_str().ends_with(expected), "{url}");
}

#[tokio::test]
async fn businesses_and_their_catalogs_are_followed_to_the_end_on_our_host_only() {
    let catalog = |id: &str| json!({"id": id, "name": format!("catalog {id}")});
    // This URL has no server: following it would fail the test.
    let next = "https://evil.invalid/v26.0/steal?access_token=x";
    let more = |after: &str| json!({"cursors": {"after": after}, "next": next});
    let end = json!({"cursors": {"before": "x", "after": "y"}});
    let meta = FakeMeta::answering([
        ok(json!({
            "data": [{"id": "111", "name": "Acme",
                "owned_product_catalogs": {"data": [catalog("1")], "paging": more("owned=")},
                "client_product_catalogs": {"data": [catalog("4")], "paging": end}}],
            "paging": more("businesses")
        })),
        // An empty page with a next one.
        ok(json!({"data": [], "paging": more("businesses-2")})),
        ok(json!({"data": [{"id": "112"}], "paging": end})),
        ok(json!({"data": [catalog("2")], "paging": {"next": "https://evil.invalid/x?after=owned-2"}})),
        ok(json!({"data": [catalog("3")]})),
    ]);
    let account = Account::new();
    let businesses = meta.client().businesses(account.caller()).await.expect("businesses");
    let ids = |catalogs: &[Catalog]| catalogs.iter().map(|catalog| catalog.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&businesses[0].owned_catalogs), ["1", "2", "3"]);
    assert_eq!(ids(&businesses[0].client_catalogs), ["4"]);
    assert_eq!((businesses[1].id.as_str(), businesses[1].owned_catalogs.len()), ("112", 0));
    let cursors: Vec<_> = meta.received().iter().map(|request: &Received| request.query("after")).collect();
    let expected = [None, Some("businesses"), Some("businesses-2"), Some("owned="), Some("owned-2")];
    assert_eq!(cursors, expected.map(|cursor| cursor.map(str::to_owned)));
    assert_eq!(meta.received()[3].uri.path(), "/v26.0/111/owned_product_catalogs");
}

#[tokio::test]
async fn listing_that_never_ends_is_a_failure() {
    let page = |after: &str| ok(json!({"data": [], "paging": {"cursors": {"after": after}, "next": "https://x/"}}));
    let account = Account::new();
    let circle = FakeMeta::answering([page("a"), page("a")]);
    let failure = circle.client().system_users(account.caller(), "111").await.expect_err("a circle");
    assert_eq!(failure.kind(), FailureKind::Unreadable);

    let endless = FakeMeta::answering((0..1_000).map(|n| page(&n.to_string())));
    let failure = endless.client().system_users(account.caller(), "111").await.expect_err("no end");
    assert_eq!(failure.kind(), FailureKind::Unreadable);
    assert!(endless.received().len() < 1_000);
}
