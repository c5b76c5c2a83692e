//! Products that come with a request: taken, tried, refused, and the whole shop at once.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{CATALOG, Engine, product, until, variant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::installation::{Answer, Installation, answer, secret_of};

async fn send(shop: &Installation, query: &str, lines: &[Value]) -> Answer {
    let file = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let request = shop.request_as("catalog-admin", Method::POST, &format!("/admin/meta/import{query}"));
    answer(request.header("content-type", "application/x-ndjson").body(file)).await
}

async fn imported(database: Engine) {
    let shop = Installation::start(database).await;
    shop.connect().await;
    shop.select(CATALOG).await.data();
    shop.set(json!({"storefront_base_url": "https://shop.example", "drain_pacing": "budget", "sync_enabled": true}))
        .await
        .data();
    let all = [
        product("p-1", &[variant("v-1", 100), variant("free", 0)]),
        product("p-2", &[variant("v-2", 100)]),
        json!({"id": "p-3", "title": "T", "status": "sold", "visibility": "public"}),
    ];

    // A dry run tells and writes nothing; after the import, the same file brings nothing more.
    let tried = send(&shop, "?dryRun=true", &all).await.data();
    assert_eq!((&tried["dryRun"], &tried["products"], &tried["refused"]), (&json!(true), &json!(2), &json!(1)));
    assert_eq!((&tried["variantsChanged"], &tried["toFix"][0]["line"]), (&json!(3), &json!(3)));
    let skipped = &tried["found"][0];
    assert_eq!(
        (&skipped["what"], &skipped["code"], &skipped["count"]),
        (&json!("skipped"), &json!("missing_price"), &json!(1))
    );
    assert_eq!(shop.get("/admin/meta/items").await.json()["metadata"]["total"], json!(0));
    let done = send(&shop, "", &all).await.data();
    assert_eq!((&done["intentsQueued"], &done["unnamed"], &done["found"]), (&json!(3), &Value::Null, &Value::Null));
    let has = |id: &str| shop.meta.items(CATALOG).is_some_and(|items| items.contains_key(id));
    let counted = async |what: &str, count: u64| {
        shop.clock.advance(1_000);
        shop.meta.advance(1_000);
        shop.get("/admin/meta/status").await.data()["counts"][what] == json!(count)
    };
    until("both are synced", async || counted("synced", 2).await, String::new).await;
    assert!(has("v-1") && has("v-2"));
    let again = send(&shop, "", &all).await.data();
    assert_eq!((&again["products"], &again["variantsChanged"], &again["refused"]), (&json!(2), &json!(0), &json!(1)));

    // With a refused line, nothing is known to be left out; without, what is left out goes.
    let kept = send(&shop, "?complete=true", &all[1..]).await.data();
    let why = kept["unnamed"]["refused"].as_str().expect("a reason");
    assert!(why.contains("1 products were refused") && kept["unnamed"]["deleted"] == json!(0), "{why}");
    let gone = send(&shop, "?complete=true", &all[1..2]).await.data();
    assert_eq!(gone["unnamed"], json!({"count": 2, "of": 3, "deleted": 2, "refused": null}));
    until("one is deleted", async || counted("deleted", 1).await, String::new).await;
    assert!(!has("v-1") && has("v-2"));

    // Strict: all or nothing.
    let strict = send(&shop, "?strict=true", &all).await.data();
    assert_eq!((&strict["products"], &strict["refused"]), (&json!(0), &json!(1)));

    for (query, lines, code) in [
        ("?strict=true&dryRun=true", &all[..], "VALIDATION_ERROR"),
        ("?allowMassDelete=true", &all[..], "VALIDATION_ERROR"),
        ("?format=csv", &all[..], "VALIDATION_ERROR"),
        ("", &[], "BAD_REQUEST"),
    ] {
        assert_eq!(send(&shop, query, lines).await.failure(), (400, code.into()), "{query}");
    }
    let path = "/admin/meta/import";
    let json = shop.request_as("catalog-admin", Method::POST, path).json(&json!({}));
    assert_eq!(answer(json).await.failure(), (415, "UNSUPPORTED_MEDIA_TYPE".into()));
    let long = shop.request_as("catalog-admin", Method::POST, path).header("content-type", "application/x-ndjson");
    assert_eq!(answer(long.body(vec![b' '; 17 << 20])).await.failure(), (413, "PAYLOAD_TOO_LARGE".into()));
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn products_come_with_a_request_on_sqlite() {
    imported(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn products_come_with_a_request_on_postgres() {
    imported(Engine::Postgres).await;
}

/// One at a time: each keeps its file in memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_import_is_refused_until_the_first_has_ended() {
    let shop = Installation::start(Engine::Sqlite).await;
    let mut first = TcpStream::connect(shop.base().trim_start_matches("http://")).await.expect("a connection");
    let secret = secret_of("catalog-admin");
    let head = format!(
        "POST /admin/meta/import HTTP/1.1\r\nhost: shop.example\r\nauthorization: Bearer {secret}\r\n\
         content-type: application/x-ndjson\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\
         connection: close\r\n\r\n"
    );
    first.write_all(head.as_bytes()).await.expect("sent");
    // The service asks for the body, so the request has its turn.
    let mut asked = [0; 21];
    first.read_exact(&mut asked).await.expect("it asks");
    assert_eq!(&asked, b"HTTP/1.1 100 Continue");
    let one = [product("p-1", &[variant("v-1", 100)])];
    assert_eq!(send(&shop, "", &one).await.failure(), (400, "import_running".into()));
    first.write_all(b"\n").await.expect("sent");
    let mut response = String::new();
    first.read_to_string(&mut response).await.expect("a response");
    assert!(response.contains("HTTP/1.1 200 "), "{response}");
    assert_eq!(send(&shop, "", &one).await.data()["products"], json!(1));
    shop.stop().await;
}
