//! What an operator is told comes next, and what the drain then does, over one table: `GET /items/{id}` and the drain ask the
//! same function ([`catalog_sync::domain::plan`]), and each must show what it decides.

use catalog_sync::admin::intents::{Request, enqueue};
use catalog_sync::admin::{explain, item_detail};
use catalog_sync::domain::intent::{Intent, Origin};
use serde_json::json;

use testkit::{Engine, Shop, product, variant};

/// A variant, what is told of it, and what the drain makes of its intent.
struct Line {
    variant: &'static str,
    next: (&'static str, &'static str),
    done: Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// Processed with this outcome.
    Processed(&'static str),
    /// Open, with a fault counted.
    Faulty,
    /// Open, and nothing counted.
    Open,
    /// Held back by the guard.
    Held,
}

const fn line(variant: &'static str, action: &'static str, reason: &'static str, done: Done) -> Line {
    Line { variant, next: (action, reason), done }
}

const TABLE: [Line; 10] = [
    line("new", "upsert", "not_at_meta", Done::Processed("submitted")),
    line("changed", "upsert", "changed", Done::Processed("submitted")),
    line("failed", "upsert", "failed_before", Done::Processed("submitted")),
    line("same", "noop", "unchanged", Done::Processed("noop")),
    line("free", "skip", "missing_price", Done::Processed("skipped")),
    line("unwanted", "delete", "delete_asked", Done::Processed("submitted")),
    line("never-sent", "drop", "not_at_meta", Done::Processed("dropped")),
    line("archived", "delete", "product_not_active", Done::Processed("submitted")),
    line("judged", "wait", "submission_open", Done::Open),
    line("broken", "fault", "mapper_error", Done::Faulty),
];

/// The last intent of a variant: outcome, faults, held.
async fn last(shop: &Shop, variant: &str) -> (Option<String>, i64, Option<i64>) {
    let sql = "SELECT outcome, attempts, held_at FROM meta_outbox WHERE variant_id = $1 ORDER BY seq DESC LIMIT 1";
    let mut rows = shop.rows_of(sql, variant).await;
    rows.pop().expect("an intent")
}

async fn next(shop: &Shop, variant: &str) -> (String, String) {
    let next = item_detail::detail(&shop.service.app, variant).await.expect("a detail").next;
    (next.action.to_owned(), next.reason)
}

async fn told_and_done(shop: &Shop, table: &[Line]) {
    for Line { variant, next: (action, reason), .. } in table {
        assert_eq!(next(shop, variant).await, ((*action).to_owned(), (*reason).to_owned()), "{variant}");
    }
    shop.set(json!({"sync_enabled": true})).await;
    shop.ticks("drain", 2).await;
    for Line { variant, done, .. } in table {
        let (outcome, attempts, held) = last(shop, variant).await;
        let did = match (outcome, attempts, held) {
            (Some(outcome), ..) => format!("Processed({outcome:?})"),
            (None, _, Some(_)) => "Held".into(),
            (None, 0, None) => "Open".into(),
            (None, ..) => "Faulty".into(),
        };
        assert_eq!(did, format!("{done:?}"), "{variant}");
    }
}

async fn the_drain_does_what_is_told(engine: Engine) {
    let shop = Shop::open(engine).await;
    let on_sale = ["changed", "failed", "same", "unwanted", "judged", "broken"];
    shop.import(&[
        product("p", &on_sale.map(|id| variant(id, 500))),
        product("leaving", &[variant("archived", 500), variant("also-archived", 500)]),
    ])
    .await;
    shop.settle().await;
    shop.set(json!({"sync_enabled": false})).await;
    shop.ticks("drain", 2).await;

    shop.import(&[product("p", &[variant("new", 700), variant("changed", 900), variant("free", 0)])]).await;
    shop.import(&[product("q", &[variant("never-sent", 500)])]).await;
    let mut leaving = product("leaving", &[]);
    leaving["status"] = json!("archived");
    shop.import(&[leaving]).await;
    shop.ask(&["unwanted", "never-sent"], Intent::Delete, Origin::Operator).await;
    shop.ask(&["same", "judged", "broken", "failed"], Intent::Upsert, Origin::Event).await;
    shop.sql("UPDATE meta_sync_state SET status = 'submitted', last_pushed_hash = NULL WHERE variant_id = 'judged'")
        .await;
    shop.sql("UPDATE meta_sync_state SET status = 'failed', last_pushed_hash = NULL WHERE variant_id = 'failed'").await;
    shop.sql("UPDATE product_variant SET images = '{\"not\": \"a list\"}' WHERE id = 'broken'").await;
    told_and_done(&shop, &TABLE).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_drain_does_what_is_told_on_sqlite() {
    the_drain_does_what_is_told(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_drain_does_what_is_told_on_postgres() {
    the_drain_does_what_is_told(Engine::Postgres).await;
}

/// More implicit deletes than the guard lets through: the hundredth goes, the rest is told to be held, before and after.
async fn the_guard_is_told(engine: Engine) {
    let shop = Shop::open(engine).await;
    let variants: Vec<_> = (0..101).map(|v| variant(&format!("v-{v:03}"), 500)).collect();
    shop.import(&[product("leaving", &variants), product("next", &[variant("later", 500)])]).await;
    shop.settle().await;
    let archive = async |id: &str| {
        let mut archived = product(id, &[]);
        archived["status"] = json!("archived");
        shop.import(&[archived]).await;
    };
    archive("leaving").await;
    shop.settle().await;
    let held: Vec<&str> = vec!["v-100"];
    assert_eq!(next(&shop, held[0]).await, ("hold".into(), "mass_delete_guard".into()));
    shop.set(json!({"sync_enabled": false})).await;
    shop.ticks("drain", 2).await;
    archive("next").await;
    // A preview sends nothing, so it holds nothing back.
    shop.set(json!({"feed_mode": "preview"})).await;
    assert_eq!(next(&shop, "later").await, ("delete".into(), "product_not_active".into()));
    shop.set(json!({"feed_mode": "live"})).await;
    told_and_done(&shop, &[line("later", "hold", "mass_delete_guard", Done::Held)]).await;
    // Released, it goes.
    catalog_sync::admin::bulk::release_held(&shop.service.app).await.expect("released");
    assert_eq!(next(&shop, "later").await, ("delete".into(), "product_not_active".into()));
    shop.settle().await;
    assert_eq!((shop.item("later"), shop.item("v-100")), (None, None));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guard_is_told_on_sqlite() {
    the_guard_is_told(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guard_is_told_on_postgres() {
    the_guard_is_told(Engine::Postgres).await;
}

/// The explanation says what the item page says, and a rule that fails is the reason of what comes next.
async fn explained(engine: Engine) {
    let shop = Shop::open(engine).await;
    let mut sold = product("p", &[variant("good", 100), variant("free", 0)]);
    sold["brand"] = json!(null);
    sold["vendor"] = json!({"name": "North Mill"});
    shop.import(&[sold]).await;
    shop.settle().await;
    let app = &shop.service.app;

    let good = explain::explain(app, "good").await.expect("an explanation");
    assert!(good.mapper.is_builtin && good.rules.iter().all(|rule| rule.passed), "{:?}", good.rules);
    let brand = good.fields.iter().find(|field| field.field == "brand").expect("it has several sources");
    let won: Vec<_> = brand.sources.iter().filter(|source| source.won).map(|source| source.source.as_str()).collect();
    assert_eq!(won, ["vendor"]);
    assert_eq!((good.next.action, &*good.next.reason), ("noop", "unchanged"));
    assert_eq!(good.last_submission.expect("it was sent").status, "synced");

    let free = explain::explain(app, "free").await.expect("an explanation");
    let failed: Vec<_> = free.rules.iter().filter(|rule| !rule.passed).map(|rule| rule.rule.as_str()).collect();
    assert_eq!((failed, &*free.next.reason), (vec!["missing_price"], "missing_price"));
    assert!(free.fields.is_empty() && free.last_submission.is_none());

    enqueue(app, &["good".to_owned()], Request::Exclude).await.expect("queued");
    let out = explain::explain(app, "good").await.expect("an explanation");
    let failed: Vec<_> = out.rules.iter().filter(|rule| !rule.passed).map(|rule| rule.rule.as_str()).collect();
    assert_eq!(
        (failed, out.next.action, &*out.next.reason),
        (vec!["excluded_by_operator"], "delete", "excluded_by_operator")
    );
    shop.settle().await;
    assert_eq!(shop.item("good"), None);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_agrees_with_what_comes_next_on_sqlite() {
    explained(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_agrees_with_what_comes_next_on_postgres() {
    explained(Engine::Postgres).await;
}
