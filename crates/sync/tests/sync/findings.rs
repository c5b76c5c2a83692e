//! What an operator is told of variants: warnings and causes beside the state, in groups and in lists.

use catalog_sync::admin::items::{self, ItemsAsked};
use catalog_sync::admin::{issues, queue};
use catalog_sync::domain::intent::{Intent, Origin};
use serde_json::json;
use testkit::{Engine, Shop, product, variant};

async fn listed(shop: &Shop, asked: ItemsAsked<'_>) -> Vec<String> {
    let listed = items::list(&shop.service.app, asked).await.expect("a list");
    assert_eq!(listed.total as usize, listed.rows.len());
    let mut ids: Vec<String> = listed.rows.into_iter().map(|row| row.variant_id).collect();
    ids.sort();
    ids
}

async fn findings(engine: Engine) {
    let shop = Shop::open(engine).await;
    let ring = |id: &str| {
        let mut ring = variant(id, 100);
        ring["options"] = json!([{"name": "Ring size", "value": id}]);
        ring
    };
    let mut plain = product("p", &[ring("a"), ring("b")]);
    plain["categories"] = json!(["Sporting Goods", "Outdoor Recreation", "Cycling", "Bicycles"]);
    shop.import(&[plain, product("q", &[variant("free", 0), variant("good", 100)])]).await;
    shop.meta.reject("b", "The image at https://cdn.example/17.jpg could not be fetched (404)");
    shop.settle().await;

    let found = issues::list(&shop.service.app).await.expect("issues");
    let told: Vec<_> = found.iter().map(|i| (&*i.source, &*i.code, i.severity, i.count, i.setting)).collect();
    let missing = told.iter().find(|issue| issue.1 == "option_not_sent").expect("a warning");
    assert_eq!(*missing, ("warning", "option_not_sent", "warning", 2, Some("additional_variant_attributes")));
    assert!(told.contains(&("warning", "category_cut", "warning", 2, Some("category_levels"))), "{told:?}");
    assert!(told.contains(&("eligibility", "missing_price", "error", 1, None)), "{told:?}");
    assert!(told.is_sorted_by_key(|issue| ["error", "warning", "info"].iter().position(|w| *w == issue.2)), "{told:?}");
    let refused = found.iter().find(|issue| issue.source == "meta").expect("Meta refused one");
    assert_eq!((refused.count, &*refused.example.variant_id), (1, "b"));
    assert!(refused.example.message.as_deref().is_some_and(|message| message.contains("17.jpg")));
    assert!(!refused.code.contains("17"), "{}", refused.code);

    // The lists take the same words.
    let none = ItemsAsked::default();
    assert_eq!(listed(&shop, ItemsAsked { warning: Some("option_not_sent"), ..none }).await, ["a", "b"]);
    assert_eq!(listed(&shop, ItemsAsked { warning: Some("option"), ..none }).await, Vec::<String>::new());
    assert_eq!(listed(&shop, ItemsAsked { cause: Some("eligibility:missing_price"), ..none }).await, ["free"]);
    let cause = format!("meta:{}", refused.code);
    assert_eq!(listed(&shop, ItemsAsked { cause: Some(&cause), ..none }).await, ["b"]);
    let failed = items::failed(&shop.service.app, None, None, Some(&cause)).await.expect("a list");
    assert_eq!((failed.total, failed.rows[0].cause.as_deref()), (1, Some(&*cause)));
    assert!(failed.rows[0].warnings.contains(&"option_not_sent".to_owned()));

    // A correction takes warnings and cause away.
    shop.meta.clear_rejects();
    let mut better = product("p", &[variant("a", 100), variant("b", 200)]);
    better["categories"] = json!([]);
    shop.import(&[better]).await;
    shop.settle().await;
    let found = issues::list(&shop.service.app).await.expect("issues");
    let told: Vec<_> = found.iter().map(|issue| &*issue.code).collect();
    assert!(!told.contains(&"option_not_sent") && !told.contains(&"category_cut"), "{told:?}");
    assert!(found.iter().all(|issue| issue.source != "meta"));

    let submissions = queue::submissions(&shop.service.app, None, None, Some("completed")).await.expect("a list");
    assert!(submissions.total >= 2);
    assert!(submissions.rows.is_sorted_by(|a, b| a.submitted_at >= b.submitted_at));
    let verdict = submissions.rows.iter().filter_map(|row| row.verdict.as_ref());
    assert!(verdict.clone().any(|verdict| verdict["errors_total_count"] == 1), "Meta's error of the first call");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warnings_and_causes_are_grouped_and_listed_on_sqlite() {
    findings(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warnings_and_causes_are_grouped_and_listed_on_postgres() {
    findings(Engine::Postgres).await;
}

/// An item that Meta takes has no cause, however many warnings it has.
async fn taken(engine: Engine) {
    let shop = Shop::open(engine).await;
    shop.set(json!({"additional_variant_attributes": false})).await;
    let mut plain = product("p", &[variant("a", 100)]);
    plain["thumbnail"] = json!("https://cdn.example/a.webp");
    shop.import(&[plain]).await;
    // Its own warning has a name that contains another one's.
    shop.sql("UPDATE meta_sync_state SET warnings = 'missing_brand' WHERE variant_id = 'a'").await;
    shop.settle().await;
    let causes = "SELECT COUNT(*) FROM meta_sync_state WHERE cause IS NOT NULL";
    assert_eq!(shop.count(causes).await, 0);
    let found = issues::list(&shop.service.app).await.expect("issues");
    let told: Vec<_> = found.iter().map(|issue| (&*issue.source, &*issue.code)).collect();
    assert_eq!(told, [("warning", "image_format")]);
    shop.ask(&["a"], Intent::Delete, Origin::Operator).await;
    shop.settle().await;
    assert_eq!(shop.count(causes).await, 0);
    assert!(issues::list(&shop.service.app).await.expect("issues").is_empty());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_meta_takes_has_no_cause_on_sqlite() {
    taken(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_meta_takes_has_no_cause_on_postgres() {
    taken(Engine::Postgres).await;
}

/// Meta gives a message for a few of the items it refuses. The required field that is missing explains the others.
async fn no_message(engine: Engine) {
    let shop = Shop::open(engine).await;
    let ids: Vec<String> = (0..12).map(|number| format!("v-{number}")).collect();
    let mut plain = product("p", &ids.iter().map(|id| variant(id, 100)).collect::<Vec<_>>());
    plain["brand"] = json!(null);
    ids.iter().for_each(|id| shop.meta.reject(id, "Something is missing"));
    shop.import(&[plain]).await;
    shop.settle().await;
    let failed = items::failed(&shop.service.app, None, None, None).await.expect("a list");
    let of = |cause: &str| failed.rows.iter().filter(|row| row.cause.as_deref() == Some(cause)).count();
    let (told, explained) = (of("meta:Something is missing"), of("meta:missing_brand"));
    assert!(told > 0 && explained > 0 && told + explained == ids.len(), "{told} {explained}");
    let issues = issues::list(&shop.service.app).await.expect("issues");
    let explained = issues.iter().find(|issue| issue.source == "meta" && issue.code == "missing_brand").expect("one");
    assert_eq!(explained.setting, Some("identifier_exists_fallback"));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_without_a_message_has_a_cause_on_sqlite() {
    no_message(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_without_a_message_has_a_cause_on_postgres() {
    no_message(Engine::Postgres).await;
}

async fn lists(engine: Engine) {
    let shop = Shop::open(engine).await;
    shop.import(&[product("p", &[variant("gone", 100), variant("kept", 100), variant("left", 100)])]).await;
    shop.settle().await;
    // One is deleted in the shop, one vanishes from its tables.
    let mut leaving = product("p", &[variant("left", 100)]);
    leaving["variants"][0]["deletedAt"] = json!(1_700_000_000_000_i64);
    shop.set(json!({"sync_enabled": false})).await;
    shop.import(&[leaving]).await;
    shop.sql("DELETE FROM product_variant WHERE id = 'gone'").await;
    let none = ItemsAsked::default();
    let all = items::list(&shop.service.app, none).await.expect("a list");
    let mut told: Vec<_> = all.rows.iter().map(|row| (&*row.variant_id, row.deleted, &*row.sync_status)).collect();
    told.sort_unstable();
    assert_eq!(told, [("gone", true, "synced"), ("kept", false, "synced"), ("left", true, "synced")]);
    assert_eq!(all.total, 3, "as many as the counts of the status");
    assert_eq!(listed(&shop, ItemsAsked { eligible_only: Some("true"), ..none }).await, ["kept"]);
    assert_eq!(listed(&shop, ItemsAsked { search: Some("GONE"), ..none }).await, ["gone"]);

    shop.ask(&["kept"], Intent::Upsert, Origin::Operator).await;
    let live = queue::open_intents(&shop.service.app, None, None, None).await.expect("a list");
    let told: Vec<_> = live.rows.iter().map(|row| (&*row.variant_id, &*row.intent, &*row.origin)).collect();
    assert_eq!(told, [("kept", "upsert", "operator"), ("left", "delete", "import")]);
    shop.sql("UPDATE meta_outbox SET held_at = 5 WHERE variant_id = 'left' AND processed_at IS NULL").await;
    shop.sql("UPDATE meta_outbox SET parked_at = 6 WHERE variant_id = 'kept' AND processed_at IS NULL").await;
    for (state, variant) in [("held", "left"), ("parked", "kept")] {
        let listed = queue::open_intents(&shop.service.app, None, None, Some(state)).await.expect("a list");
        assert_eq!((listed.total, &*listed.rows[0].variant_id), (1, variant));
    }
    assert_eq!(listed(&shop, ItemsAsked { held: Some("1"), ..none }).await, ["left"]);
    assert_eq!(listed(&shop, ItemsAsked { parked: Some("1"), ..none }).await, ["kept"]);
    shop.sql("UPDATE meta_sync_state SET excluded = TRUE WHERE variant_id = 'gone'").await;
    assert_eq!(listed(&shop, ItemsAsked { excluded: Some("1"), ..none }).await, ["gone"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_variant_and_every_open_intent_is_listed_on_sqlite() {
    lists(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_variant_and_every_open_intent_is_listed_on_postgres() {
    lists(Engine::Postgres).await;
}
