//! Swapping and previewing mappers through the API.

use catalog_sync::store::Db;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection as _;

use testkit::modules::{digest, module};
use testkit::{CATALOG, Engine, until};

use super::installation::{Installation, answer, assert_told};

const MAPPER: &str = "/admin/meta/mapper";

async fn a_life(database: Engine) {
    let shop = Installation::start(database).await;
    let builtin = catalog_sync::mapping::builtin_digest().to_owned();
    let (margin, twin) = (module("margin-label"), module("fixtures/twin"));
    let (of_margin, of_twin) = (digest(&margin), digest(&twin));
    assert_eq!(shop.mappers().await, (builtin.clone(), None));
    let nothing = shop.post(&format!("{MAPPER}/rollback"), Value::Null).await;
    assert_told!("mapper-nothing-before", nothing);

    let first = shop.put_module(margin.clone()).await.data();
    assert_eq!((&first["active"]["digest"], &first["changed"]), (&json!(of_margin), &json!(true)));
    assert_eq!((&first["active"]["source"], &first["previous"]["name"]), (&json!("api"), &json!("builtin")));
    assert_eq!(shop.app.active.current().digest().to_string(), of_margin);
    let again = shop.put_module(margin).await.data();
    assert_eq!((&again["changed"], &again["active"]), (&json!(false), &first["active"]));
    let second = shop.put_module(twin).await.data();
    assert_eq!(second["active"]["digest"], json!(of_twin));

    // What is refused changes nothing, and is told.
    shop.clock.advance(1);
    let refused = module("fixtures/always-trap");
    let answer = shop.put_module(refused.clone()).await;
    assert_eq!(answer.failure(), (400, "mapper_refused".into()));
    assert_eq!(shop.mappers().await, (of_twin.clone(), Some(of_margin.clone())));
    let told = shop.get(MAPPER).await.data()["refused"].take();
    assert_eq!((&told["digest"], &told["source"]), (&json!(digest(&refused)), &json!("api")));
    assert_eq!(told["reason"], answer.json()["message"]);

    shop.clock.advance(1);
    let rollback = async || shop.post(&format!("{MAPPER}/rollback"), Value::Null).await.data();
    let back = rollback().await;
    assert_eq!((&back["active"]["digest"], &back["active"]["source"]), (&json!(of_margin), &json!("rollback")));
    assert_eq!(back["refused"], Value::Null, "a swap since");
    rollback().await;
    assert_eq!(shop.mappers().await, (of_twin.clone(), Some(of_margin)));

    let reset = shop.delete(&format!("{MAPPER}?remap=true")).await.data();
    assert_eq!((&reset["active"]["digest"], &reset["remap"]["running"]), (&json!(builtin), &json!(true)));
    assert_eq!(shop.mappers().await, (builtin, Some(of_twin)));
    assert!(shop.app.active.current().digest().starts_with("builtin-"));
    let asked = shop.post(&format!("{MAPPER}/remap"), Value::Null).await;
    assert_eq!((asked.status.as_u16(), &asked.data()["remap"]["total"]), (202, &json!(0)));
    shop.stop().await;
}

#[tokio::test]
async fn mappers_come_and_go_on_sqlite() {
    a_life(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mappers_come_and_go_on_postgres() {
    a_life(Engine::Postgres).await;
}

#[tokio::test]
async fn a_body_is_a_module_of_a_decent_size() {
    let shop = Installation::start(Engine::Sqlite).await;
    for (method, path) in [(Method::PUT, MAPPER.to_owned()), (Method::POST, format!("{MAPPER}/preview"))] {
        let request = || shop.request_as("catalog-admin", method.clone(), &path);
        let name = |what: &str| format!("mapper-{}-{what}", if method == Method::PUT { "put" } else { "preview" });
        assert_told!(name("not-wasm"), answer(request().json(&json!({"a": 1}))).await);
        assert_told!(name("untyped"), answer(request()).await);
        assert_told!(name("empty"), shop.send_module(method.clone(), &path, Vec::new()).await);
        assert_told!(name("too-long"), shop.send_module(method.clone(), &path, vec![0; (4 << 20) + 1]).await);
        // Longer than what other bodies may be.
        assert_told!(name("no-module"), shop.send_module(method.clone(), &path, vec![0; 2 << 20]).await);
        let octets = request().header("content-type", "application/octet-stream; x=y").body(vec![1]);
        assert_eq!(answer(octets).await.failure(), (400, "mapper_refused".into()));
    }
    let asked = async |path: &str| shop.send_module(Method::PUT, path, module("fixtures/twin")).await.failure();
    for query in ["remap=maybe", "remap", "remap=true&remap=true", "dry=true"] {
        assert_eq!(asked(&format!("{MAPPER}?{query}")).await, (400, "VALIDATION_ERROR".into()), "{query}");
    }
    assert_eq!(shop.get(&format!("{MAPPER}?remap=true")).await.failure(), (400, "VALIDATION_ERROR".into()));
    assert!(shop.mappers().await.0.starts_with("builtin-"));
    shop.stop().await;
}

/// A transaction of another program's that holds what every activation needs.
enum Outsider {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl Outsider {
    async fn holding(shop: &Installation) -> Self {
        match &shop.app.db {
            Db::Sqlite { writer, .. } => {
                let mut own = sqlx::SqliteConnection::connect_with(&writer.connect_options()).await.expect("opened");
                sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut own).await.expect("held");
                Self::Sqlite(own)
            }
            Db::Postgres { pool, .. } => {
                let mut own = sqlx::PgConnection::connect_with(&pool.connect_options()).await.expect("connected");
                sqlx::raw_sql("BEGIN; SELECT epoch FROM lease FOR UPDATE").execute(&mut own).await.expect("held");
                Self::Postgres(own)
            }
        }
    }

    async fn lets_go(self) {
        match self {
            Self::Sqlite(own) => own.close().await.expect("closed"),
            Self::Postgres(own) => own.close().await.expect("closed"),
        }
    }
}

/// Longer than an activation waits.
async fn held_too_long(database: Engine, name: &str) {
    let shop = Installation::start(database).await;
    let margin = module("margin-label");
    shop.put_module(margin.clone()).await.data();
    let before = shop.get(MAPPER).await.data();
    let outsider = Outsider::holding(&shop).await;
    let refused = shop.put_module(module("fixtures/twin")).await;
    assert_told!(name, refused);
    assert_eq!(shop.get(MAPPER).await.data(), before);
    assert_eq!(shop.app.active.current().digest().to_string(), digest(&margin));
    outsider.lets_go().await;
    // A module of which nothing was kept, and nothing of the refusal either.
    let kept: Vec<(i64,)> = shop.rows("SELECT COUNT(*) FROM mapper_module").await;
    let offered: Vec<(i64,)> = shop.rows("SELECT COUNT(*) FROM mapper_offer").await;
    assert_eq!((kept, offered), (vec![(1,)], vec![(1,)]));
    assert_eq!(shop.put_module(module("fixtures/twin")).await.data()["changed"], json!(true));
    shop.stop().await;
}

#[tokio::test]
async fn an_activation_does_not_wait_for_ever_on_sqlite() {
    held_too_long(Engine::Sqlite, "mapper-busy-sqlite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_does_not_wait_for_ever_on_postgres() {
    held_too_long(Engine::Postgres, "mapper-busy-postgres").await;
}

/// Variants of every kind that a preview tells apart.
async fn stock(shop: &Installation) {
    let of = |id: &str, price: i64, extra: Value| json!({"id": id, "sku": id, "price": price, "extra": extra});
    let product = |id: &str, variants: Vec<Value>| {
        json!({"id": id, "title": "Linen shirt", "slug": id, "status": "active", "visibility": "public",
               "thumbnail": "img/p-1.jpg", "variants": variants})
    };
    shop.stock(&[
        product(
            "p-1",
            vec![
                of("a-low", 10_000, json!({"cost": 9_000})),
                of("b-high", 10_000, json!({"cost": 1_000})),
                of("c-none", 10_000, json!({})),
                of("d-unreadable", 10_000, json!({"cost": "12"})),
                of("e-free", 0, json!({"cost": 1})),
            ],
        ),
        product("p-2", (0..1_200).map(|n| of(&format!("z-{n:04}"), 5_000, json!({"cost": 4_900}))).collect()),
    ])
    .await;
}

async fn previewed(shop: &Installation, bytes: Vec<u8>) -> Value {
    let begun = shop.send_module(Method::POST, &format!("{MAPPER}/preview"), bytes).await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    let id = begun.data()["id"].as_str().expect("an id").to_owned();
    loop {
        let mut preview = shop.get(&format!("{MAPPER}/preview/{id}")).await.data();
        if preview["state"] != "running" {
            preview["id"] = json!("[id]");
            preview["module"]["digest"] = json!("[digest]");
            return preview;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Activates the module of the only preview, goes back, and finds the file gone.
async fn activated_from_a_preview(shop: &Installation) {
    let ids: Vec<(String,)> = shop.rows("SELECT id FROM mapper_preview").await;
    let path = format!("{MAPPER}/preview/{}/activate", ids[0].0);
    let viewer = shop.request_as("catalog-viewer", Method::POST, &path);
    assert_eq!(answer(viewer).await.failure(), (403, "FORBIDDEN".into()));
    let active = shop.post(&path, Value::Null).await.data();
    assert_eq!((&active["active"]["name"], &active["changed"]), (&json!("margin-label"), &json!(true)));
    assert_eq!((&active["active"]["source"], &active["remap"]), (&json!("api"), &Value::Null));
    let again = shop.post(&format!("{path}?remap=true"), Value::Null).await.data();
    assert_eq!((&again["changed"], again["remap"].is_object()), (&json!(false), true));
    shop.delete(MAPPER).await.data();

    shop.sql("DELETE FROM mapper_module").await;
    let gone = shop.post(&path, Value::Null).await;
    assert_told!("mapper-preview-file-gone", gone);
    let preview = shop.get(&format!("{MAPPER}/preview/{}", ids[0].0)).await.data();
    assert_eq!(preview["fileStored"], json!(false));
    shop.sql("UPDATE mapper_preview SET report = NULL, finished_at = NULL").await;
    assert_told!("mapper-preview-no-report", shop.post(&path, Value::Null).await);
    assert!(shop.mappers().await.0.starts_with("builtin-"));
}

async fn a_preview(database: Engine) {
    let shop = Installation::start(database).await;
    stock(&shop).await;
    shop.connect().await;
    shop.select(CATALOG).await.data();
    shop.set(json!({"storefront_base_url": "https://shop.example"})).await.data();
    // The change of the setting asks again for what is mapped; nothing is yet.
    let no_reask_runs = async || {
        let status = shop.get("/admin/meta/status").await.data();
        status["reasks"].as_array().expect("a list").iter().all(|reask| reask["running"] == false)
    };
    until("no re-ask is under way", no_reask_runs, String::new).await;
    // At Meta as the built-in mapper has it: would not be sent anyway.
    let item = shop.get("/admin/meta/items/a-low").await.data();
    let hash = mapper_core::sha256_hex(&item["mappedItemData"].to_string());
    shop.sql(&format!(
        "INSERT INTO meta_sync_state (variant_id, catalog_id, status, last_pushed_hash, at_meta, created_at, updated_at)
         VALUES ('a-low', '{CATALOG}', 'synced', '{hash}', TRUE, 0, 0)"
    ))
    .await;
    let mut preview = previewed(&shop, module("margin-label")).await;
    let digest = preview["report"]["active"]["digest"].take();
    assert_eq!(digest, catalog_sync::mapping::builtin_digest(), "{preview}");
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/http"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_json_snapshot!("mapper-preview", preview);
    });
    assert!(shop.mappers().await.0.starts_with("builtin-"), "nothing is changed");
    assert_eq!(shop.get(MAPPER).await.data()["refused"], Value::Null);
    assert_eq!(shop.queued().await, []);

    // Whoever looks may not start one, but may read the report.
    let viewer = shop.request_as("catalog-viewer", Method::POST, &format!("{MAPPER}/preview"));
    assert_eq!(answer(viewer).await.failure(), (403, "FORBIDDEN".into()));
    let refused = shop.send_module(Method::POST, &format!("{MAPPER}/preview"), module("fixtures/always-spin")).await;
    assert_eq!(refused.failure(), (400, "mapper_refused".into()));
    assert_eq!(shop.get(MAPPER).await.data()["refused"], Value::Null, "a preview is no offer");
    assert_told!("mapper-preview-unknown", shop.get(&format!("{MAPPER}/preview/nobodys")).await);

    activated_from_a_preview(&shop).await;

    // Its process died.
    shop.sql("UPDATE mapper_preview SET report = NULL, finished_at = NULL, done = 1000").await;
    shop.sql("UPDATE mapper_preview SET id = 'cut-short'").await;
    let young = shop.get(&format!("{MAPPER}/preview/cut-short")).await.data();
    assert_eq!((&young["state"], &young["error"]), (&json!("running"), &Value::Null));
    shop.clock.advance(4 * 60_000);
    let lost = shop.get(&format!("{MAPPER}/preview/cut-short")).await.data();
    assert_eq!((&lost["state"], &lost["done"]), (&json!("lost"), &json!(1_000)));
    assert!(lost["error"].as_str().is_some_and(|error| error.contains("start it again")), "{lost}");
    shop.stop().await;
}

#[tokio::test]
async fn a_preview_tells_what_would_change_on_sqlite() {
    a_preview(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_tells_what_would_change_on_postgres() {
    a_preview(Engine::Postgres).await;
}

#[tokio::test]
async fn old_previews_are_forgotten() {
    let shop = Installation::start(Engine::Sqlite).await;
    for n in 0..30 {
        shop.sql(&format!(
            "INSERT INTO mapper_preview (id, digest, name, version, total, done, started_at, updated_at, finished_at)
             VALUES ('old-{n}', 'd', 'n', '1', 0, 0, {n}, {n}, {n})"
        ))
        .await;
    }
    previewed(&shop, module("fixtures/twin")).await;
    let kept: Vec<(i64,)> = shop.rows("SELECT COUNT(*) FROM mapper_preview").await;
    assert_eq!(kept, [(20,)]);
    shop.stop().await;
}

/// One row of each chunk takes seconds, so that there is time to cancel.
async fn a_cancelled_preview(database: Engine) {
    let shop = Installation::start(database).await;
    let variant = |n: usize| {
        let extra = if n.is_multiple_of(1_000) { json!({"evil": "spin"}) } else { json!({}) };
        json!({"id": format!("v-{n:04}"), "sku": "s", "price": 5_000, "extra": extra})
    };
    shop.stock(&[json!({"id": "p", "title": "Linen shirt", "slug": "p", "status": "active", "visibility": "public",
        "thumbnail": "img/p.jpg", "variants": (0..4_000).map(variant).collect::<Vec<_>>()})])
        .await;
    let path = format!("{MAPPER}/preview");
    let begin = async || shop.send_module(Method::POST, &path, module("fixtures/evil")).await;
    let id = begin().await.data()["id"].as_str().expect("an id").to_owned();
    let one = format!("{path}/{id}");
    let viewer = shop.request_as("catalog-viewer", Method::DELETE, &one);
    assert_eq!(answer(viewer).await.failure(), (403, "FORBIDDEN".into()));
    assert_eq!(shop.delete(&format!("{path}/nobodys")).await.failure(), (404, "NOT_FOUND".into()));
    let cancelled = shop.delete(&one).await.data();
    assert_eq!((&cancelled["id"], &cancelled["state"]), (&json!(id), &json!("cancelled")));
    assert!(cancelled["error"].as_str().is_some_and(|error| error.contains("cancelled")), "{cancelled}");
    assert!(cancelled["finishedAt"].is_string() && cancelled["report"].is_null(), "{cancelled}");

    // The walk ends after the chunk that it is at, and the next preview may begin.
    let next = loop {
        let next = begin().await;
        if next.status != 400 {
            break next.data()["id"].as_str().expect("an id").to_owned();
        }
        assert_eq!(next.failure(), (400, "mapper_preview_running".into()));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let after = shop.get(&one).await.data();
    assert_eq!(after["state"], "cancelled");
    assert!(after["done"].as_i64().expect("a number") < 4_000, "{after}");
    // Again changes nothing, also not of one that ended by itself.
    assert_eq!(shop.delete(&one).await.data(), after);
    shop.delete(&format!("{path}/{next}")).await.data();
    shop.sql(&format!("UPDATE mapper_preview SET error = 'broken', cancelled_at = NULL WHERE id = '{id}'")).await;
    assert_eq!(shop.delete(&one).await.data()["state"], "failed");
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_can_be_cancelled_on_sqlite() {
    a_cancelled_preview(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_can_be_cancelled_on_postgres() {
    a_cancelled_preview(Engine::Postgres).await;
}
