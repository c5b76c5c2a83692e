//! Items that are changed behind our back: a sweep finds every one and nothing else, and what may be is repaired.

use std::collections::BTreeMap;

use catalog_sync::admin::drift::{self, Choice, DriftAsked, DriftView};
use catalog_sync::domain::drift::Class;
use catalog_sync::domain::intent::{Intent, Origin};
use serde_json::json;
use testkit::{CATALOG, Engine, Stage};

/// The grace of these tests, in milliseconds: the shortest.
pub(crate) const GRACE: i64 = 60_000;

/// Opens a shop with these variants at Meta, at rest. It sweeps only when it is asked to.
pub(crate) async fn at_rest(engine: Engine, variants: &[&str]) -> Stage {
    let stage = Stage::open(engine).await;
    stage.set(json!({"drift_grace_minutes": 1, "drift_sweep_hours": 0, "drift_budget_percent": 50})).await;
    stage.sell(variants, 10_000).await;
    stage.settle().await;
    stage.pass(GRACE + 1);
    stage
}

pub(crate) async fn told(stage: &Stage) -> DriftView {
    drift::drift(&stage.service.app, DriftAsked::default()).await.expect("read")
}

/// Lets time pass until the drift actor has nothing to do. No time that counts: far less than the grace.
pub(crate) async fn looked(stage: &Stage) {
    let now = stage.now();
    let due = format!("SELECT COUNT(*) FROM drift_finding WHERE look_at <= {now}");
    stage
        .until("the looks are over", async || {
            stage.service.app.wake.drift.nudge();
            let sweeping = stage.count("SELECT COUNT(*) FROM drift_sweep WHERE outcome IS NULL").await;
            sweeping == 0 && stage.count(&due).await == 0
        })
        .await;
}

/// Sweeps once.
pub(crate) async fn sweep(stage: &Stage) {
    assert!(drift::sweep(&stage.service.app).await.expect("begun"), "a sweep is under way");
    looked(stage).await;
}

/// Lets the grace pass, and looks again.
async fn look_again(stage: &Stage) {
    stage.pass(GRACE + 1);
    looked(stage).await;
}

/// The variants with findings of each class and standing.
async fn found(stage: &Stage, standing: &str) -> BTreeMap<&'static str, Vec<String>> {
    let mut found: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for class in Class::ALL {
        let asked = DriftAsked { class: Some(class.as_str()), ..DriftAsked::default() };
        let view = drift::drift(&stage.service.app, asked).await.expect("read");
        for one in view.findings.into_iter().filter(|one| one.standing == standing) {
            found.entry(class.as_str()).or_default().push(one.variant_id);
        }
    }
    found
}

fn of(list: &[(&'static str, &[&str])]) -> BTreeMap<&'static str, Vec<String>> {
    list.iter().map(|(class, ids)| (*class, ids.iter().map(|id| (*id).to_owned()).collect())).collect()
}

fn tamper(stage: &Stage, variant: &str, changes: serde_json::Value) {
    assert!(stage.meta.tamper(CATALOG, variant, &changes));
}

async fn repairs(stage: &Stage) -> i64 {
    stage.count("SELECT COUNT(*) FROM meta_outbox WHERE origin = 'drift'").await
}

fn classes(words: &[&str]) -> Choice {
    Choice { classes: Some(words.iter().map(|word| (*word).to_owned()).collect()), variant_ids: None }
}

/// Waits until nothing is to be repaired, sent or judged.
async fn repaired(stage: &Stage, times: i64) {
    stage
        .until("the repairs are queued", async || {
            stage.service.app.wake.drift.nudge();
            repairs(stage).await == times
        })
        .await;
    stage.settle().await;
}

async fn every_class(engine: Engine) {
    let ids: Vec<String> = (0..16).map(|n| format!("v{n:02}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let stage = at_rest(engine, &ids).await;
    assert_eq!(stage.meta.lose_items(CATALOG, &["v00"]), Some(1));
    tamper(&stage, "v01", json!({"price": "1.00 INR"}));
    tamper(&stage, "v02", json!({"availability": "out of stock"}));
    tamper(&stage, "v03", json!({"title": "Another name"}));
    tamper(&stage, "v04", json!({"link": "https://elsewhere.example/x"}));
    tamper(&stage, "v05", json!({"image_link": "https://elsewhere.example/x.jpg"}));
    tamper(&stage, "v06", json!({"visibility": "staging"}));
    assert!(stage.meta.review(CATALOG, "v07", &json!({"review_status": "rejected"})));
    assert!(stage.meta.review(CATALOG, "v08", &json!({"image_fetch_status": "FETCH_FAILED"})));
    tamper(&stage, "v09", json!({"price": "ask in the shop"}));
    stage.sql("UPDATE product_variant SET price = 20000 WHERE id = 'v10'").await;
    stage.sql("UPDATE product_variant SET deleted_at = 1 WHERE id = 'v13'").await;
    tamper(&stage, "v11", json!({"sale_price": "1.00 INR"}));
    // What Meta fills in by itself, or writes in another form.
    tamper(&stage, "v12", json!({"color": "blue", "availability": "IN_STOCK", "title": "Product  p "}));
    // An item that is not ours is left alone.
    tamper(&stage, "foreign", json!({"title": "Not ours", "price": "1.00 INR"}));
    let expected = of(&[
        ("missing", &["v00"]),
        ("price", &["v01", "v11"]),
        ("availability", &["v02"]),
        ("text", &["v03"]),
        ("url", &["v04"]),
        ("image", &["v05"]),
        ("hidden", &["v06"]),
        ("rejected", &["v07"]),
        ("image_failed", &["v08"]),
        ("unparseable", &["v09"]),
        ("stale_local", &["v10"]),
        ("not_sold", &["v13"]),
    ]);

    // One look is a suspicion, the second one a finding; the first sweep repairs nothing.
    sweep(&stage).await;
    assert_eq!((found(&stage, "suspected").await, found(&stage, "confirmed").await), (expected.clone(), of(&[])));
    let view = told(&stage).await;
    let first = view.sweep.expect("a sweep");
    assert_eq!((first.looked, first.passed, first.unknown, first.calls), (16, 0, 0, 1), "{first:?}");
    look_again(&stage).await;
    assert_eq!((found(&stage, "suspected").await, found(&stage, "confirmed").await), (of(&[]), expected));
    assert_eq!(repairs(&stage).await, 0, "the first sweep is a dry run");

    // What an operator asks for is repaired, through the drain.
    let app = &stage.service.app;
    assert_eq!(drift::ignore(app, &classes(&["text"]), true).await.expect("ignored"), 1);
    let asked = classes(&["price", "availability", "text", "url", "image", "stale_local"]);
    assert_eq!(drift::repair(app, &asked).await.expect("asked"), 6);
    assert_eq!(drift::repair(app, &asked).await.expect("asked"), 0, "once");
    repaired(&stage, 6).await;
    assert_eq!(stage.item("v01").expect("an item")["price"], "100.00 INR");
    assert_eq!(stage.item("v10").expect("an item")["price"], "200.00 INR");
    assert_eq!(stage.item("v04").expect("an item")["link"], "https://shop.example/product/p");
    assert!(stage.item("v11").expect("an item").get("sale_price").is_none(), "a special price of somebody else");
    look_again(&stage).await;
    look_again(&stage).await;
    assert_eq!(found(&stage, "repaired").await, of(&[]));
    let open = found(&stage, "confirmed").await;
    let kept: Vec<&str> = open.keys().copied().collect();
    assert_eq!(kept, ["hidden", "image_failed", "missing", "not_sold", "rejected", "unparseable"]);
    assert_eq!(found(&stage, "ignored").await, of(&[("text", &["v03"])]));

    // The second sweep repairs by itself what the settings say, and nothing else.
    let before = repairs(&stage).await;
    sweep(&stage).await;
    repaired(&stage, before + 1).await;
    assert_eq!(stage.item("v00").expect("an item")["price"], "100.00 INR");
    look_again(&stage).await;
    look_again(&stage).await;
    assert!(!found(&stage, "confirmed").await.contains_key("missing"));
    assert_eq!(stage.item("foreign").expect("it stays")["title"], "Not ours");
    assert_eq!(stage.stranded().await, 0);
    stage.close().await;
}

async fn another_writer(engine: Engine) {
    let stage = at_rest(engine, &["a", "b"]).await;
    stage.set(json!({"drift_repair": ["price"]})).await;
    // A sweep that only tells comes first.
    sweep(&stage).await;
    for round in 1..=4 {
        tamper(&stage, "a", json!({"price": "1.00 INR"}));
        sweep(&stage).await;
        look_again(&stage).await;
        if round <= 3 {
            repaired(&stage, round).await;
            stage.pass(GRACE + 1);
            looked(&stage).await;
            assert_eq!(found(&stage, "repaired").await, of(&[]), "round {round}");
        }
    }
    stage
        .until("the repair is stopped", async || {
            stage.service.app.wake.drift.nudge();
            found(&stage, "flapping").await == of(&[("price", &["a"])])
        })
        .await;
    assert_eq!(repairs(&stage).await, 3);
    // An operator may try once more.
    assert_eq!(drift::repair(&stage.service.app, &classes(&["price"])).await.expect("asked"), 1);
    repaired(&stage, 4).await;
    assert_eq!(stage.item("a").expect("an item")["price"], "100.00 INR");
    stage.close().await;
}

/// What moves is passed by, a failed or short answer says nothing, and a suspicion that was wrong goes.
async fn nothing_is_concluded_from_what_is_not_known(engine: Engine) {
    let stage = at_rest(engine, &["a", "b", "c"]).await;
    // Meta shows less for a moment.
    let item = stage.item("a").expect("an item");
    assert_eq!(stage.meta.lose_items(CATALOG, &["a"]), Some(1));
    sweep(&stage).await;
    assert_eq!(found(&stage, "suspected").await, of(&[("missing", &["a"])]));
    tamper(&stage, "a", item);
    look_again(&stage).await;
    assert_eq!(told(&stage).await.classes.iter().map(|class| class.suspected + class.confirmed).sum::<i64>(), 0);

    // Calls that fail are made again, and then passed by as unknown.
    stage.strikes("products", 0, 3, graph_simulator::Kind::Status5xx { status: 500, after_accept: false });
    assert!(drift::sweep(&stage.service.app).await.expect("begun"));
    stage
        .until("the sweep ends", async || {
            stage.service.app.wake.drift.nudge();
            stage.count("SELECT COUNT(*) FROM drift_sweep WHERE outcome IS NULL").await == 0
        })
        .await;
    let view = told(&stage).await.sweep.expect("a sweep");
    assert_eq!((view.looked, view.unknown, view.coverage_percent), (0, 3, Some(0)), "{view:?}");
    assert_eq!(stage.count("SELECT COUNT(*) FROM drift_finding").await, 0);

    // An operator's delete is the last word, also over a finding.
    tamper(&stage, "b", json!({"price": "1.00 INR"}));
    sweep(&stage).await;
    look_again(&stage).await;
    assert_eq!(found(&stage, "confirmed").await, of(&[("price", &["b"])]));
    stage.ask(&["b"], Intent::Delete, Origin::Operator).await;
    drift::repair(&stage.service.app, &classes(&["price"])).await.expect("asked");
    stage.settle().await;
    look_again(&stage).await;
    assert_eq!((stage.item("b"), repairs(&stage).await), (None, 0));
    assert_eq!(stage.count("SELECT COUNT(*) FROM drift_finding").await, 0, "we claim nothing of it any more");
    stage.close().await;
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::Engine::Sqlite).await; })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::Engine::Postgres).await; })+
        }
    };
}

on_both![every_class, another_writer, nothing_is_concluded_from_what_is_not_known];
