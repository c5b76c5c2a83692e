//! A real process is killed at each failpoint of an activation and of a re-map. The next start runs the old or the new
//! module, never neither, and continues the work.

use catalog_sync::admin::mapper::{self, Source};
use catalog_sync::failpoints::Point;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::crash::{open, open_with};
use testkit::modules::{digest, module};
use testkit::{Engine, Plant, Serve, product, variant};

/// The failpoints of an activation, and whether the activation is committed at each of them.
const ACTIVATION: [(Point, bool); 5] = [
    (Point::MapperRehearsed, false),
    (Point::MapperActivating, false),
    (Point::MapperActivated, true),
    (Point::MapperFollowing, true),
    (Point::MapperSwapped, true),
];

const REMAP: [Point; 2] = [Point::ReaskWriting, Point::ReaskWritten];

/// Returns the failpoints that the tests of this module cover.
pub(crate) fn killed() -> impl Iterator<Item = Point> {
    ACTIVATION.into_iter().map(|(point, _)| point).chain(REMAP)
}

/// Sends a module to a running service.
async fn put(plant: &Plant, serve: &Serve, bytes: Vec<u8>) -> reqwest::Result<Value> {
    let token = plant.token().await;
    let request = reqwest::Client::new().put(format!("{}/admin/meta/mapper", serve.address()));
    let request = request.bearer_auth(token.expose_secret());
    request.header("content-type", "application/wasm").body(bytes).send().await?.json().await
}

async fn active(plant: &Plant) -> String {
    mapper::state(&plant.app).await.expect("a state").active.digest
}

/// Returns the digest of the mapper that pushed a row.
async fn pushed_by(plant: &Plant, variant: &'static str) -> Option<String> {
    let sql = "SELECT mapper_digest FROM meta_sync_state WHERE variant_id = $1";
    match plant.db() {
        catalog_sync::store::Db::Sqlite { readers, .. } => {
            sqlx::query_scalar(sql).bind(variant).fetch_one(readers).await.expect("a row")
        }
        catalog_sync::store::Db::Postgres { pool, .. } => {
            sqlx::query_scalar(sql).bind(variant).fetch_one(pool).await.expect("a row")
        }
    }
}

/// Starts the service after a kill. It runs the mapper in the store, and everything settles.
async fn goes_on(plant: &Plant, round: i64, expected: &str) {
    plant.import(&[product("p", &[variant("a", 1_000 + round)])]).await;
    let mut serve = plant.serve().await;
    plant.settle(&serve).await;
    assert_eq!(pushed_by(plant, "a").await.as_deref(), Some(expected), "{}", serve.log.text());
    assert_eq!(active(plant).await, expected);
    serve.kill().await;
    plant.lease_ends().await;
}

async fn killed_in_an_activation(engine: Engine) {
    let plant = open(engine).await;
    let modules = [module("fixtures/twin"), module("margin-label")];
    mapper::activate(&plant.app, modules[0].clone(), Source::Cli, false).await.expect("activated");
    let mut old = 0;
    for (round, (point, counts)) in (0..).zip(ACTIVATION) {
        let new = 1 - old;
        let mut serve = plant.serve_with(&format!("{}=kill", point.name()));
        serve.listening().await;
        put(&plant, &serve, modules[new].clone()).await.expect_err("it dies");
        serve.end().await;
        assert!(serve.log.has(point.name()), "{}", serve.log.text());
        plant.lease_ends().await;
        old = if counts { new } else { old };
        assert_eq!(active(&plant).await, digest(&modules[old]), "{}", point.name());
        goes_on(&plant, round, &digest(&modules[old])).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_an_activation_leaves_the_old_or_the_new_on_sqlite() {
    killed_in_an_activation(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_an_activation_leaves_the_old_or_the_new_on_postgres() {
    killed_in_an_activation(Engine::Postgres).await;
}

async fn killed_in_a_remap(engine: Engine) {
    let plant = open(engine).await;
    let mut total = 0;
    let lines: Vec<Value> = (0..15)
        .map(|p| {
            let variants: Vec<Value> = (0..100)
                .map(|v| {
                    total += 1;
                    let mut variant = variant(&format!("v-{p:02}-{v:02}"), 1_000);
                    variant["extra"] = json!({ "cost": 100 });
                    variant
                })
                .collect();
            product(&format!("p-{p}"), &variants)
        })
        .collect();
    plant.import(&lines).await;
    let mut serve = plant.serve().await;
    plant.settle(&serve).await;
    serve.kill().await;
    plant.lease_ends().await;

    let modules = [module("fixtures/twin"), module("margin-label")];
    for (bytes, point) in modules.iter().zip(REMAP) {
        mapper::activate(&plant.app, bytes.clone(), Source::Cli, true).await.expect("activated");
        let mut serve = plant.serve_with(&format!("{}=kill", point.name()));
        serve.end().await;
        assert!(serve.log.has(point.name()), "{}", serve.log.text());
        plant.lease_ends().await;
        let remap = mapper::state(&plant.app).await.expect("a state").remap.expect("a re-map");
        let committed = if point == Point::ReaskWritten { 1_000 } else { 0 };
        assert_eq!((remap.running, remap.queued), (true, committed), "{}", point.name());

        let mut serve = plant.serve().await;
        plant
            .until("the re-map is done", &serve, async || {
                mapper::state(&plant.app).await.expect("a state").remap.is_some_and(|remap| !remap.running)
            })
            .await;
        plant.settle(&serve).await;
        let remap = mapper::state(&plant.app).await.expect("a state").remap.expect("a re-map");
        assert_eq!((remap.queued, remap.total), (total, total), "each variant once");
        let digest = digest(bytes);
        let others = plant.count("SELECT COUNT(DISTINCT mapper_digest) FROM meta_sync_state").await;
        assert_eq!((others, pushed_by(&plant, "v-14-99").await), (1, Some(digest)), "{}", point.name());
        serve.kill().await;
        plant.lease_ends().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_remap_goes_on_where_it_was_on_sqlite() {
    killed_in_a_remap(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_remap_goes_on_where_it_was_on_postgres() {
    killed_in_a_remap(Engine::Postgres).await;
}

/// After two concurrent activations on one replica, it runs the one committed last, whichever it swapped last. This
/// replica does not hold the lease, so nothing else makes it read the active mapper.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_swap_gives_way_to_what_was_activated_since() {
    // A replica without the lease requests it every sixth of its length, and reads the store then. The long lease rules
    // that out.
    let plant = open_with(Engine::Postgres, std::time::Duration::from_secs(3_600)).await;
    let mut holder = plant.serve().await;
    let held = "SELECT COUNT(*) FROM lease WHERE expires_at > now()";
    plant.until("the lease is held", &holder, async || plant.count(held).await == 1).await;
    let point = Point::MapperFollowing.name();
    let mut other = plant.serve_waiting_at(point, "");
    other.listening().await;
    let (late, last) = (module("fixtures/twin"), module("margin-label"));
    let meanwhile = async {
        other.log.until(point).await;
        mapper::activate(&plant.app, last.clone(), Source::Cli, false).await.expect("activated");
        plant.go_on();
    };
    let (answer, ()) = tokio::join!(put(&plant, &other, late.clone()), meanwhile);
    assert_eq!(answer.expect("an answer")["statusCode"], 200);
    let swapped_last = || {
        let text = other.log.text();
        let last = text.lines().rfind(|line| line.contains("mapper swapped"));
        last.unwrap_or_default().to_owned()
    };
    plant.until("it runs what is active", &other, async || swapped_last().contains(&digest(&last))).await;
    assert!(other.log.has(&digest(&late)), "it did swap late: {}", other.log.text());
    other.kill().await;
    holder.kill().await;
}

/// A committed activation is complete: a store failure after the commit does not fail the activation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_committed_activation_is_answered_as_one() {
    let plant = open(Engine::Postgres).await;
    let point = Point::MapperActivated.name();
    let mut serve = plant.serve_waiting_at(point, "");
    serve.listening().await;
    let twin = module("fixtures/twin");
    let catalog_sync::store::Db::Postgres { pool, .. } = plant.db() else { panic!("PostgreSQL was asked for") };
    let meanwhile = async {
        serve.log.until(point).await;
        sqlx::query("ALTER TABLE mapper_activation RENAME TO away").execute(pool).await.expect("renamed");
        plant.go_on();
    };
    let (answer, ()) = tokio::join!(put(&plant, &serve, twin.clone()), meanwhile);
    let answer = answer.expect("an answer");
    assert_eq!((&answer["statusCode"], &answer["data"]["changed"]), (&json!(200), &json!(true)), "{answer}");
    serve.log.until("not swapped in yet").await;
    sqlx::query("ALTER TABLE away RENAME TO mapper_activation").execute(pool).await.expect("renamed");
    goes_on_with(&plant, &serve, &digest(&twin)).await;
    serve.kill().await;
}

/// Checks that a new push is made by this mapper.
async fn goes_on_with(plant: &Plant, serve: &Serve, expected: &str) {
    plant.import(&[product("p", &[variant("a", 1_000)])]).await;
    plant.settle(serve).await;
    assert_eq!(pushed_by(plant, "a").await.as_deref(), Some(expected), "{}", serve.log.text());
}
