//! The API under schemathesis: requests made from the OpenAPI document, and answers judged by it.
//!
//! All of its checks are on but two. `negative_data_rejection` is off for lists, whose empty parameters count as absent.
//! `positive_data_acceptance`, which takes every refusal of well-formed data for a mistake, is off for twelve operations. There the
//! endpoints refuse such data by right: a page number beside a position of the list, ids beside a filter, the callback without a
//! login that was begun, `oauth/start` and `businesses` without an app or a connection, `select-catalog` with ids that Meta does not
//! know, settings whose rules no schema can tell, options of an import that exclude each other, bytes that are no mapper
//! module, and what claims to come from Meta (`openapi/schemathesis.toml`).

use serde_json::json;

use super::api_checks;
use testkit::{CATALOG, Engine};

use super::installation::{Installation, secret_of};

/// Requests that both runs together must come to.
const FEWEST_CASES: usize = 2000;
/// One run; answers how many requests it made.
async fn attack(shop: &Installation, examples: u32, more: &[&str]) -> usize {
    let mut command = api_checks::program("schemathesis");
    command
        .arg("--config-file")
        .arg(api_checks::folder().join("schemathesis.toml"))
        .args(["run", &shop.url("/openapi.json"), "--no-color"])
        // One worker: CPython 3.11 miscounts the depth of its parser when threads share it. A fixed seed: the same requests
        // each time, so that a failure is one of the change at hand.
        .args(["--workers", "1", "--seed", "20261124"])
        .args(["--max-examples", &examples.to_string()])
        .args(["--header", &format!("Authorization: Bearer {}", secret_of("catalog-admin"))])
        .args(more)
        .current_dir(std::env::temp_dir());
    let said = tokio::task::spawn_blocking(move || api_checks::run(&mut command)).await.expect("no panic");
    let count = said.lines().find_map(|line| line.split_once(" generated,")?.0.trim().parse().ok());
    count.unwrap_or_else(|| panic!("no count in\n{said}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_requests_are_answered_as_documented() {
    // Everything, before anything is set up.
    let shop = Installation::start(Engine::Sqlite).await;
    let bare = attack(&shop, 80, &[]).await;
    shop.stop().await;

    // Connected, with a healthy Meta. What takes the connection apart is left out: an app that Meta refuses makes its
    // refusal a failed call, which is a 500 by the contract.
    let shop = Installation::start(Engine::Sqlite).await;
    shop.stock(&[json!({"id": "p-1", "title": "Linen shirt", "slug": "linen-shirt", "status": "active",
        "visibility": "public", "thumbnail": "img/p-1.jpg", "variants": [{"id": "v-1", "sku": "LS-1", "price": 29900}]})])
    .await;
    shop.connect().await;
    shop.select(CATALOG).await.data();
    shop.set(json!({"storefront_base_url": "https://shop.example"})).await.data();
    let keep = ["--exclude-operation-id", "changeSettings", "--exclude-operation-id", "disconnect"];
    let connected = attack(&shop, 80, &keep).await;
    shop.stop().await;

    assert!(bare + connected >= FEWEST_CASES, "{bare} + {connected}");
}
