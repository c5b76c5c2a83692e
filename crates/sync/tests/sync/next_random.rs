//! What an operator is told comes next, and what the drain then does, over random shops: states, intents, answers of the
//! mapper, exclusions and the guard. `NEXT_SHOPS` sets the number of shops for each database; `NEXT_SEED` repeats one.

use std::collections::HashMap;

use catalog_sync::admin::intents::{Request, enqueue};
use catalog_sync::admin::{explain, item_detail, mapper};
use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::plan::EXCLUDED;
use catalog_sync::mapping::activation::Source;
use serde_json::{Value, json};
use testkit::modules::module;
use testkit::{Engine, Shop, product, variable, variant};

const PRODUCTS: usize = 16;
const VARIANTS: usize = 5;

/// Outcome, faults, held.
type Last = (Option<String>, i64, Option<i64>);

fn shop_of(random: &mut fastrand::Rng, broken: bool) -> Vec<Value> {
    let mut products = Vec::new();
    for p in 0..PRODUCTS {
        let mut variants = Vec::new();
        for v in 0..VARIANTS {
            let mut one = variant(&format!("v-{p}-{v}"), if random.u8(..8) == 0 { 0 } else { random.i64(1..4) * 100 });
            if broken && random.u8(..10) == 0 {
                one["extra"] = json!({"evil": "trap"});
            }
            variants.push(one);
        }
        let mut made = product(&format!("p-{p}"), &variants);
        match random.u8(..10) {
            0 => made["status"] = json!("archived"),
            1 => made["visibility"] = json!("private"),
            2 => made["slug"] = json!(null),
            _ => {}
        }
        products.push(made);
    }
    products
}

/// Brings a shop into a random state. Sync is off afterwards, so nothing is decided.
async fn shuffle(shop: &Shop, random: &mut fastrand::Rng) {
    let ids: Vec<String> = (0..PRODUCTS).flat_map(|p| (0..VARIANTS).map(move |v| format!("v-{p}-{v}"))).collect();
    let some = |random: &mut fastrand::Rng, of: u8| -> Vec<String> {
        ids.iter().filter(|_| random.u8(..of) == 0).cloned().collect()
    };
    some(random, 10).iter().for_each(|id| shop.meta.reject(id, "Something is wrong"));
    let mut first = shop_of(random, false);
    first.truncate(PRODUCTS - 3);
    shop.import(&first).await;
    shop.settle().await;
    shop.ask(&some(random, 8), Intent::Delete, Origin::Operator).await;
    shop.settle().await;
    shop.set(json!({"sync_enabled": false})).await;
    shop.ticks("drain", 2).await;

    if random.bool() {
        mapper::activate(&shop.service.app, module("fixtures/evil"), Source::Api, false).await.expect("activated");
    }
    shop.import(&shop_of(random, true)).await;
    let list = |ids: &[String]| ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
    let out = some(random, 12);
    if !out.is_empty() {
        enqueue(&shop.service.app, &out, Request::Exclude).await.expect("queued");
    }
    shop.ask(&some(random, 8), Intent::Delete, Origin::Event).await;
    shop.ask(&some(random, 4), Intent::Upsert, Origin::Operator).await;
    for (of, change) in [
        (12, "UPDATE meta_sync_state SET status = 'submitted' WHERE status = 'synced' AND variant_id IN"),
        (
            12,
            "UPDATE meta_sync_state SET status = 'failed', last_pushed_hash = NULL WHERE status = 'synced' AND variant_id IN",
        ),
        (16, "UPDATE meta_sync_state SET catalog_id = '1' WHERE status <> 'submitted' AND variant_id IN"),
        (16, "UPDATE product_variant SET images = '{\"not\": \"a list\"}' WHERE id IN"),
        (16, "UPDATE product_variant SET deleted_at = 1 WHERE id IN"),
        (10, "UPDATE meta_outbox SET parked_at = 1 WHERE processed_at IS NULL AND variant_id IN"),
        (10, "UPDATE meta_outbox SET held_at = 1 WHERE processed_at IS NULL AND intent = 'upsert' AND variant_id IN"),
        (10, "UPDATE meta_outbox SET released_at = 1 WHERE processed_at IS NULL AND held_at IS NULL AND variant_id IN"),
        (10, "DELETE FROM meta_outbox WHERE processed_at IS NULL AND variant_id IN"),
    ] {
        let chosen = list(&some(random, of));
        if !chosen.is_empty() {
            shop.sql(&format!("{change} ({chosen})")).await;
        }
    }
    if random.bool() {
        // The guard is closed: more was deleted within the hour than it lets pass.
        shop.sql("UPDATE meta_batch_handles SET implicit_deletes = 500 WHERE handle IS NOT NULL").await;
    }
}

/// The intents of each variant: those that are open, or else the last one.
async fn last(shop: &Shop) -> HashMap<String, Last> {
    let rows: Vec<(String, Option<String>, i64, Option<i64>)> = shop
        .rows(
            "SELECT variant_id, outcome, attempts, held_at FROM meta_outbox
             ORDER BY processed_at IS NULL, seq",
        )
        .await;
    let mut last: HashMap<String, Last> = HashMap::new();
    for (id, outcome, attempts, held) in rows {
        let known = last.entry(id).or_default();
        let so_far = if known.0.is_some() || outcome.is_some() { Last::default() } else { known.clone() };
        *known = (outcome, so_far.1 + attempts, held.or(so_far.2));
    }
    last
}

/// Number of the records of a variant that were sent, and the last operation.
async fn sent(shop: &Shop) -> HashMap<String, (usize, String)> {
    let calls: Vec<(String,)> =
        shop.rows("SELECT CAST(rows AS TEXT) FROM meta_batch_handles ORDER BY submitted_at, id").await;
    let mut sent: HashMap<String, (usize, String)> = HashMap::new();
    for (rows,) in calls {
        let rows: Vec<(String, String, Value, Value)> = serde_json::from_str(&rows).expect("rows");
        for (id, op, ..) in rows {
            let entry = sent.entry(id).or_default();
            *entry = (entry.0 + 1, op);
        }
    }
    sent
}

/// Returns how often each action was told.
async fn told_and_done(engine: Engine, seed: u64) -> HashMap<&'static str, usize> {
    let mut random = fastrand::Rng::with_seed(seed);
    let shop = Shop::open(engine).await;
    shuffle(&shop, &mut random).await;
    let app = &shop.service.app;

    let mut told = Vec::new();
    let mut silent = Vec::new();
    let open: HashMap<String, Last> =
        last(&shop).await.into_iter().filter(|(_, (outcome, ..))| outcome.is_none()).collect();
    for id in (0..PRODUCTS).flat_map(|p| (0..VARIANTS).map(move |v| format!("v-{p}-{v}"))) {
        let detail = item_detail::detail(app, &id).await.expect("the source has it");
        let explained = explain::explain(app, &id).await.expect("the source has it");
        assert_eq!(explained.next, detail.next, "seed {seed}: {id}");
        let is_judged = explained.mapper_error.is_none();
        let failed = explained.rules.iter().find(|rule| !rule.passed).map(|rule| rule.rule.as_str());
        if is_judged {
            // A rule that fails is what the eligibility says, and none fails where it says nothing.
            assert_eq!(failed, detail.eligibility.reason.as_deref(), "seed {seed}: {id}");
            assert_eq!(failed.is_none(), detail.eligibility.eligible, "seed {seed}: {id}");
        }
        let names_rule = explained.rules.iter().any(|rule| rule.rule == detail.next.reason);
        assert!(!names_rule || failed == Some(&detail.next.reason), "seed {seed}: {id}: {explained:?}");
        assert!(detail.next.action != "upsert" || failed.is_none_or(|_| !is_judged), "seed {seed}: {id}");
        assert!(failed != Some(EXCLUDED) || detail.next.action != "upsert", "seed {seed}: {id}");
        if !open.contains_key(&id) {
            silent.push(id.clone());
        }
        told.push((id, detail.next));
    }
    // Without an open intent, what is told is what a resync would bring.
    shop.ask(&silent, Intent::Upsert, Origin::Operator).await;
    let (before, sent_before) = (last(&shop).await, sent(&shop).await);
    shop.set(json!({"sync_enabled": true})).await;
    shop.ticks("drain", 3).await;
    let (after, sent_after) = (last(&shop).await, sent(&shop).await);

    let mut actions = HashMap::new();
    for (id, next) in told {
        let (outcome, attempts, held) = &after[&id];
        let op = match (sent_before.get(&id), sent_after.get(&id)) {
            (before, Some((count, op))) if before.is_none_or(|before| before.0 < *count) => Some(op.as_str()),
            _ => None,
        };
        let did = match (outcome.as_deref(), op) {
            (Some("submitted" | "failed"), Some("u")) => "upsert",
            (Some("submitted" | "failed"), Some(_)) => "delete",
            (Some("noop"), None) => "noop",
            (Some("skipped"), None) => "skip",
            (Some("dropped"), None) => "drop",
            (None, None) if *attempts > before[&id].1 => "fault",
            // An older intent of one that waits may be held or parked.
            (None, None) if held.is_some() && (before[&id].2.is_none() || next.action == "hold") => "hold",
            (None, None) => "wait",
            other => panic!("seed {seed}: {id}: {other:?} after {next:?}"),
        };
        assert_eq!(
            did, next.action,
            "seed {seed}: {id}: told {next:?}, before {:?}, after {:?}",
            before[&id], after[&id]
        );
        *actions.entry(next.action).or_default() += 1;
    }
    shop.close().await;
    actions
}

async fn random_shops(engine: Engine) {
    let seeds: Vec<u64> = match variable("NEXT_SEED") {
        Some(seed) => vec![seed],
        None => (0..variable("NEXT_SHOPS").unwrap_or(6)).collect(),
    };
    let mut actions: HashMap<&str, usize> = HashMap::new();
    for seed in &seeds {
        for (action, count) in told_and_done(engine, *seed).await {
            *actions.entry(action).or_default() += count;
        }
    }
    assert!(seeds.len() < 6 || actions.len() == 8, "every action is told at least once: {actions:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_drain_does_what_is_told_of_random_shops_on_sqlite() {
    random_shops(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_drain_does_what_is_told_of_random_shops_on_postgres() {
    random_shops(Engine::Postgres).await;
}
