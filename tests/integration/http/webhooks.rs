//! Meta's notifications: who may send them, what they lead to, and that nothing depends on them.

use std::time::{Duration, Instant};

use graph_simulator::Fate;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;
use testkit::{CATALOG, Engine, Site, product, until, variant};

use super::installation::{Answer, Installation, Plan, SECOND_CATALOG, answer};

const SECRET: &str = "simulator-app-secret";
/// How long Meta takes for a batch, in milliseconds.
const TAKES: i64 = 60_000;
/// More than the limiter wants between two questions, in milliseconds, and less than any pause of a handle.
const BETWEEN_CALLS: i64 = 1_500;

fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn notification(handle: &str) -> String {
    let value = json!({"catalog_id": CATALOG, "handle": handle, "status": "Finished"});
    json!({"object": "catalog", "entry": [{"id": CATALOG, "time": 1, "changes": [{"field": "items_batch", "value": value}]}]})
        .to_string()
}

async fn send(shop: &Installation, body: &str, signature: &str) -> Answer {
    let request = shop.anonymous(Method::POST, "/webhooks/meta").header("x-hub-signature-256", signature);
    answer(request.body(body.to_owned())).await
}

fn verify_token() -> String {
    meta_graph::webhook::verify_token(&SecretString::from(SECRET)).expose_secret().to_owned()
}

/// Starts a connected installation with a selected catalog that Meta can reach over https, as far as it knows. Meta's clock
/// stands still, and its notifications come here.
async fn notified(plan: Plan) -> Installation {
    let plan = Plan { config: "public_api_url = \"https://shop.example\"\n".into(), ..plan };
    let shop = plan.start().await;
    shop.meta.freeze();
    shop.meta.configure(|world| {
        world.times.processing_ms = TAKES;
        world.times.visible_after_ms = 0;
        world.quotas.batch_per_minute = 100_000;
    });
    shop.set_app().await;
    Site::connect(&shop).await;
    shop.select(CATALOG).await.data();
    shop.set(json!({"drain_pacing": "budget", "storefront_base_url": "https://shop.example", "sync_enabled": true}))
        .await
        .data();
    subscribed(&shop, json!([CATALOG])).await;
    shop.meta.set_webhook(&shop.url("/webhooks/meta"), &verify_token()).await.expect("verified");
    shop
}

/// Waits for the subscription. Each call needs a millisecond of its own.
async fn subscribed(shop: &Installation, catalogs: Value) {
    let holds = async || {
        shop.clock.advance(2);
        let row: Vec<(Option<String>,)> = shop.rows("SELECT catalog_id FROM webhook").await;
        shop.meta.webhooks()["subscribed"] == catalogs && row[0].0.as_deref() == catalogs[0].as_str()
    };
    wait(shop, "the subscription", holds).await;
    shop.clock.advance(10_000);
}

async fn sell(shop: &Installation, variants: &[&str]) {
    let list: Vec<Value> = variants.iter().map(|id| variant(id, 19_900)).collect();
    shop.import(&[product("p", &list)]).await;
    shop.app.wake.drain.nudge();
}

fn polls(shop: &Installation) -> u64 {
    shop.called("GET check_batch_request_status")
}

async fn open(shop: &Installation) -> i64 {
    shop.count("SELECT COUNT(*) FROM meta_batch_handles WHERE state = 'pending'").await
}

async fn wait(shop: &Installation, what: &str, holds: impl AsyncFnMut() -> bool) {
    until(what, holds, || format!("{} {:?}", shop.meta.webhooks(), shop.board())).await;
}

/// Waits until a new submission was asked for in vain, so that it pauses. The clock is moved by what the limiter wants between
/// two calls, which is no pause.
async fn first_question(shop: &Installation, asked: u64) {
    wait(shop, "the first question", async || {
        let paused =
            shop.count("SELECT COUNT(*) FROM meta_batch_handles WHERE state = 'pending' AND next_poll_at > 0").await;
        polls(shop) == asked + 1 && paused == 1
    })
    .await;
    shop.clock.advance(BETWEEN_CALLS);
}

/// Lets time pass here and at Meta until all is settled. Fails when that never happens.
async fn settle(shop: &Installation) {
    let is_settled = async || {
        shop.clock.advance(1_000);
        shop.meta.advance(1_000);
        shop.app.wake.drain.nudge();
        shop.app.wake.poll.nudge();
        shop.open_work().await == 0
    };
    wait(shop, "all is settled", is_settled).await;
}

/// Waits until the poll has looked for what is due, from now on: a tick that was under way does not count.
async fn looks_for_polls(shop: &Installation) {
    let ticks = || shop.board().get("poll").map_or(0, |vitals| vitals.ticks);
    for _ in 0..2 {
        let before = ticks();
        shop.app.wake.poll.nudge();
        wait(shop, "the poll looks for what is due", async || ticks() > before).await;
    }
}

/// The service's clock stands still, so no pause ends by itself: only the notification leads to the question.
async fn a_notification_leads_to_the_verdict(engine: Engine) {
    let shop = notified(Plan::on(engine)).await;
    let mut took = Vec::new();
    for round in 0..5 {
        sell(&shop, &[&format!("v-{round}")]).await;
        let asked = polls(&shop);
        first_question(&shop, asked).await;
        let asked = polls(&shop);
        looks_for_polls(&shop).await;
        assert_eq!(polls(&shop), asked, "it pauses");
        let began = Instant::now();
        shop.meta.advance(TAKES);
        wait(&shop, "the verdict", async || open(&shop).await == 0).await;
        took.push(began.elapsed());
        assert_eq!(polls(&shop), asked + 1, "one question, and that at once");
        // The pause between two batches.
        shop.clock.advance(10_000);
    }
    took.sort();
    println!("from Meta's verdict to ours: median {:?}, longest {:?}", took[2], took[4]);
    assert!(took[2] < Duration::from_secs(1), "{took:?}");
    shop.check_at(shop.app.now()).await;
    let system = shop.get("/admin/meta/system").await.data();
    assert_eq!(system["webhook"]["callbackUrl"], "https://shop.example/webhooks/meta");
    assert_eq!(system["webhook"]["catalogId"], CATALOG);
    assert!(system["webhook"]["receivedAt"].is_string() && system["webhook"]["wokeAt"].is_string());
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_leads_to_the_verdict_on_sqlite() {
    a_notification_leads_to_the_verdict(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_leads_to_the_verdict_on_postgres() {
    a_notification_leads_to_the_verdict(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_to_another_replica_wakes_the_one_that_polls() {
    let shop = notified(Plan::on(Engine::Postgres)).await;
    let other = shop.start_replica().await;
    shop.meta.set_webhook(&format!("http://{}/webhooks/meta", other.address), &verify_token()).await.expect("verified");
    sell(&shop, &["v"]).await;
    first_question(&shop, 0).await;
    shop.meta.advance(TAKES);
    wait(&shop, "the verdict", async || open(&shop).await == 0).await;
    assert_eq!(polls(&shop), 2);
    assert!(other.service.app.lease.current().is_none(), "the other one does not poll");
    other.shutdown().await.expect("a clean end");
    shop.stop().await;
}

/// Notifications are lost, late, doubled, forged, and replayed: everything ends as without them.
async fn everything_ends_as_without(engine: Engine) {
    let shop = notified(Plan::on(engine)).await;
    let fates =
        [Fate::Lose {}, Fate::Delay { ms: 20_000 }, Fate::Delay { ms: 600_000 }, Fate::Double {}, Fate::Forge {}];
    for (round, fate) in fates.into_iter().enumerate() {
        shop.meta.plan_webhooks(fate, 1);
        let ids = [format!("v-{round}-a"), format!("v-{round}-b")];
        let ids = [ids[0].as_str(), ids[1].as_str()];
        shop.meta.reject(ids[1], "Image is too small");
        sell(&shop, &ids).await;
        settle(&shop).await;
        let statuses: Vec<_> = [shop.status(ids[0]).await, shop.status(ids[1]).await].into_iter().flatten().collect();
        assert_eq!(statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>(), ["synced", "failed"], "{fate:?}");
        shop.meta.clear_rejects();
    }
    // All of it once more, with its good signatures: nothing is open, so nothing is asked.
    let asked = polls(&shop);
    let before: Vec<(String, String, i64)> =
        shop.rows("SELECT variant_id, status, version FROM meta_sync_state ORDER BY variant_id").await;
    let again = shop.meta.replay_webhooks();
    let delivered = || shop.meta.webhooks()["deliveries"].as_array().map_or(0, Vec::len);
    let expected = delivered() + again;
    wait(&shop, "all is delivered again", async || delivered() >= expected).await;
    looks_for_polls(&shop).await;
    let after: Vec<(String, String, i64)> =
        shop.rows("SELECT variant_id, status, version FROM meta_sync_state ORDER BY variant_id").await;
    assert_eq!((polls(&shop), after), (asked, before));
    assert_eq!(shop.stranded().await, 0);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_ends_as_without_on_sqlite() {
    everything_ends_as_without(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_ends_as_without_on_postgres() {
    everything_ends_as_without(Engine::Postgres).await;
}

/// A notification that says "Finished" too early, from a recording or by a mistake of Meta's, is no verdict.
#[tokio::test]
async fn a_notification_is_never_the_verdict_and_is_not_believed_for_ever() {
    let shop = notified(Plan::on(Engine::Sqlite)).await;
    sell(&shop, &["v"]).await;
    first_question(&shop, 0).await;
    let [(handle,)]: [(String,); 1] = shop.rows("SELECT handle FROM meta_batch_handles").await.try_into().expect("one");
    let body = notification(&handle);
    for n in 1..=20 {
        assert_eq!(send(&shop, &body, &signature(SECRET, body.as_bytes())).await.data(), json!({"received": true}));
        let expected = 1 + n.min(5);
        let recorded = "SELECT COUNT(*) FROM meta_batch_handles WHERE state = 'pending' AND next_poll_at > 0";
        wait(&shop, "a question", async || polls(&shop) == expected && shop.count(recorded).await == 1).await;
        shop.clock.advance(BETWEEN_CALLS);
    }
    looks_for_polls(&shop).await;
    assert_eq!(polls(&shop), 6, "five notifications are believed");
    assert_eq!(shop.status("v").await.map(|status| status.as_str()), Some("submitted"));
    settle(&shop).await;
    shop.check_at(shop.app.now()).await;
    shop.stop().await;
}

#[tokio::test]
async fn only_what_the_app_secret_signed_changes_anything() {
    let shop = Installation::start(Engine::Sqlite).await;
    let body = notification("AcH");
    let good = signature(SECRET, body.as_bytes());
    assert_eq!(send(&shop, &body, &good).await.failure(), (401, "UNAUTHORIZED".into()), "no app secret is set");
    shop.set_app().await;
    let unsigned = answer(shop.anonymous(Method::POST, "/webhooks/meta").body(body.clone())).await;
    assert_eq!(unsigned.failure(), (401, "UNAUTHORIZED".into()));
    for wrong in ["", "sha256=", "sha1=00", "sha256=zz", &good[..40], &signature("another", body.as_bytes()), "é"] {
        assert_eq!(send(&shop, &body, wrong).await.failure(), (401, "UNAUTHORIZED".into()), "{wrong}");
    }
    assert_eq!(send(&shop, &format!("{body} "), &good).await.failure().0, 401, "the bytes count");
    let received = async || shop.get("/admin/meta/system").await.data()["webhook"]["receivedAt"].clone();
    assert_eq!(received().await, Value::Null);
    assert_eq!(send(&shop, &body, &good).await.status, 200);
    assert!(received().await.is_string());
    for other in ["{}", "[]", "not JSON", "", r#"{"object":"page","entry":[{"changes":[{"field":"feed"}]}],"new":1}"#] {
        let signed = signature(SECRET, other.as_bytes());
        assert_eq!(send(&shop, other, &signed).await.data(), json!({"received": true}), "{other}");
    }
    let long = " ".repeat(1024 * 1024 + 1);
    let refused = send(&shop, &long, &signature(SECRET, long.as_bytes())).await;
    assert_eq!(refused.failure(), (413, "PAYLOAD_TOO_LARGE".into()));
    shop.stop().await;
}

#[tokio::test]
async fn bad_signatures_cost_a_bounded_amount_of_work() {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.set_app().await;
    let mut refused = Vec::new();
    for _ in 0..300 {
        refused.push(send(&shop, "{}", &signature("made up", b"{}")).await.failure().0);
        if refused.last() == Some(&429) {
            break;
        }
    }
    assert_eq!(refused.last(), Some(&429), "{refused:?}");
    let good = signature(SECRET, b"{}");
    wait(&shop, "the door opens again", async || send(&shop, "{}", &good).await.status == 200).await;
    shop.stop().await;
}

#[tokio::test]
async fn the_address_is_verified_by_a_token_of_the_app_secret() {
    let shop = Installation::start(Engine::Sqlite).await;
    let ask = async |query: &str| answer(shop.anonymous(Method::GET, &format!("/webhooks/meta?{query}"))).await;
    let token = verify_token();
    let right = format!("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}&hub.new=1");
    assert_eq!(ask(&right).await.failure(), (403, "FORBIDDEN".into()), "no app secret is set");
    assert_eq!(shop.get("/admin/meta/webhook").await.data(), json!({"callbackUrl": null, "verifyToken": null}));
    shop.set_app().await;
    assert_eq!(shop.get("/admin/meta/webhook").await.data(), json!({"callbackUrl": null, "verifyToken": token}));
    let told = ask(&right).await;
    assert_eq!((told.status.as_u16(), told.text.as_str()), (200, "1158201444"));
    assert_eq!(told.headers["content-type"], "text/plain; charset=utf-8");
    for wrong in [
        "",
        "hub.mode=subscribe&hub.challenge=1",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=x",
        &format!("hub.mode=unsubscribe&hub.challenge=1&hub.verify_token={token}"),
        &format!("hub.challenge=1&hub.verify_token={}", token.to_uppercase()),
    ] {
        assert_eq!(ask(wrong).await.failure(), (403, "FORBIDDEN".into()), "{wrong}");
    }
    for challenge in ["", "%3Cscript%3E%20", &"1".repeat(101), "%0A"] {
        let asked = ask(&format!("hub.mode=subscribe&hub.challenge={challenge}&hub.verify_token={token}")).await;
        assert_eq!(asked.failure(), (400, "BAD_REQUEST".into()), "{challenge}");
    }
    shop.stop().await;
}

#[tokio::test]
async fn the_subscription_follows_the_catalog_and_its_failure_stops_nothing() {
    let shop = notified(Plan::on(Engine::Sqlite)).await;
    shop.select(SECOND_CATALOG).await.data();
    subscribed(&shop, json!([SECOND_CATALOG])).await;
    let subscribe = json!({"on": "subscribed_apps", "skip": 1, "times": 1, "kind": "graph_error", "code": 200});
    shop.plan(subscribe);
    shop.select(CATALOG).await.data();
    let webhook = async || shop.get("/admin/meta/system").await.data()["webhook"].clone();
    wait(&shop, "the failure is told", async || {
        shop.clock.advance(2);
        webhook().await["problem"].is_string()
    })
    .await;
    assert_eq!(webhook().await["catalogId"], Value::Null);
    sell(&shop, &["v"]).await;
    settle(&shop).await;
    shop.check_at(shop.app.now()).await;
    shop.clock.advance(10 * 60 * 1_000);
    shop.app.wake.webhook.nudge();
    subscribed(&shop, json!([CATALOG])).await;
    wait(&shop, "the failure is over", async || webhook().await["problem"] == Value::Null).await;
    shop.stop().await;
}
