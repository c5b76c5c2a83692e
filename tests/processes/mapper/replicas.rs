//! Real processes on one PostgreSQL database: a swap requested at one replica while another drains, and a replica on a
//! machine where no module runs.

use std::time::Duration;

use catalog_sync::admin::mapper::{self, Source};
use catalog_sync::store::Db;
use graph_simulator::{Fault, Kind};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::crash::open_with;
use testkit::modules::{digest, module};
use testkit::swaps::Words;
use testkit::{Engine, Plant, Serve, product, variant};

/// The lease is short, because a test waits for its expiry.
const LEASE: Duration = Duration::from_secs(12);
const RUNS: &str = "this process runs the pipeline";
const MAPPER: &str = "/admin/meta/mapper";
const STATUS: &str = "/admin/meta/status";

/// Variants per call.
const BATCH: usize = 10;

/// An operator with every permission, who can call any replica.
struct Operator {
    client: reqwest::Client,
    token: SecretString,
}

impl Operator {
    async fn of(plant: &Plant) -> Self {
        Self { client: reqwest::Client::new(), token: plant.token().await }
    }

    /// Sends a request and returns status and body.
    async fn ask(&self, replica: &Serve, method: Method, path: &str, module: Option<&[u8]>) -> (u16, Value) {
        let url = format!("{}{path}", replica.address());
        let mut request = self.client.request(method, url).bearer_auth(self.token.expose_secret());
        if let Some(module) = module {
            request = request.header("content-type", "application/wasm").body(module.to_vec());
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{error}\n{}", replica.log.text()));
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// Returns the data of a successful response.
    async fn told(&self, replica: &Serve, method: Method, path: &str, module: Option<&[u8]>) -> Value {
        let (status, mut body) = self.ask(replica, method, path, module).await;
        assert_eq!(status, 200, "{body}\n{}", replica.log.text());
        body["data"].take()
    }

    /// Checks that two replicas report the same mappers, and returns them.
    async fn agreed(&self, replicas: [&Serve; 2]) -> Value {
        let [one, other] = replicas;
        let said = self.told(one, Method::GET, MAPPER, None).await;
        assert_eq!(said, self.told(other, Method::GET, MAPPER, None).await);
        said
    }
}

/// Returns this many variants with the fields that both modules read.
fn variants(of: &str, count: usize) -> Vec<Value> {
    let ids: Vec<usize> = (0..count).collect();
    let products = ids.chunks(5).map(|ids| {
        let variants = ids.iter().map(|id| {
            let mut variant = variant(&format!("{of}-{id:04}"), 1_000);
            variant["extra"] = json!({ "cost": 500 });
            variant
        });
        product(&format!("{of}-{:04}", ids[0]), &variants.collect::<Vec<Value>>())
    });
    products.collect()
}

/// Returns the rows of a query with two columns.
async fn rows<T>(plant: &Plant, sql: &'static str) -> Vec<(String, T)>
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let Db::Postgres { pool, .. } = plant.db() else { panic!("PostgreSQL") };
    sqlx::query_as(sql).fetch_all(pool).await.expect("rows")
}

/// Checks that each call was mapped by the module that was active when the call began. The fence orders activations and
/// the beginnings of calls, and the time that each records (a call in its id) is taken inside that order.
async fn calls_follow_the_activations(plant: &Plant) {
    let activations: Vec<(String, i64)> =
        rows(plant, "SELECT mapper, activated_at FROM mapper_activation ORDER BY id").await;
    let calls: Vec<(String, String)> =
        rows(plant, "SELECT id, mapper_digest FROM meta_batch_handles ORDER BY id").await;
    for (id, mapper) in calls {
        let noted = uuid::Uuid::parse_str(&id).expect("an id").get_timestamp().expect("of version 7");
        let (seconds, nanos) = noted.to_unix();
        let begun = i64::try_from(seconds * 1_000).expect("a time") + i64::from(nanos / 1_000_000);
        // Of two events in the same millisecond, either may be first.
        let active = |at: i64| activations.iter().rev().find(|(_, since)| *since <= at).map(|(mapper, _)| mapper);
        assert!(
            [active(begun), active(begun - 1)].contains(&Some(&mapper)),
            "a call of {begun} is by {mapper}: {activations:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_through_the_replica_that_stands_by() {
    let plant = open_with(Engine::Postgres, LEASE).await;
    let operator = Operator::of(&plant).await;
    let modules = [module("fixtures/twin"), module("margin-label")];
    let [old, new] = [digest(&modules[0]), digest(&modules[1])];
    mapper::activate(&plant.app, modules[0].clone(), Source::Cli, false).await.expect("activated");
    plant.set(json!({ "batch_size": BATCH })).await;
    plant.import(&variants("first", 20 * BATCH)).await;

    // The draining replica waits with its fourth call mapped by the old module and not yet recorded.
    let go = plant.folder().join("go");
    let mut first = plant.serve_with(&format!("drain.mapped=wait:{}@4", go.display()));
    first.listening().await;
    first.log.until("failpoint drain.mapped").await;
    let second = plant.serve().await;
    assert!(!second.log.has(RUNS));

    let swapped = operator.told(&second, Method::PUT, MAPPER, Some(&modules[1])).await;
    assert_eq!((&swapped["changed"], &swapped["active"]["digest"]), (&json!(true), &json!(new)));
    let said = operator.agreed([&first, &second]).await;
    assert_eq!((&said["active"], &said["previous"]["digest"]), (&swapped["active"], &json!(old)));
    plant.go_on();
    first.log.until("another mapper is active now").await;
    plant.settle(&first).await;
    assert!(!second.log.has(RUNS));
    let words = Words::of(&plant.app, &modules).await;
    let calls = words.whole_calls(plant.db()).await;
    assert_eq!(calls.get(&old), Some(&3), "what was mapped before the swap and not recorded is mapped anew: {calls:?}");
    let pushed = words.pushed_by_one(plant.db(), &plant.meta).await;
    assert_eq!(pushed, [(old.clone(), 3 * BATCH), (new.clone(), 17 * BATCH)].into());
    calls_follow_the_activations(&plant).await;

    // The process is killed in the middle of a call: Meta has the call, and its response is lost.
    let held = Fault { on: "items_batch".into(), skip: 2, times: 1, kind: Kind::Held {} };
    plant.meta.plan(held);
    let made = plant.meta.calls().items_batch;
    plant.import(&variants("second", 10 * BATCH)).await;
    plant.until("the call", &first, async || plant.meta.calls().items_batch >= made + 3).await;
    first.kill().await;
    plant.meta.clear_faults();
    plant.import(&variants("third", 2 * BATCH)).await;
    second.log.until(RUNS).await;
    plant.settle(&second).await;
    let taken_over = plant.count("SELECT COUNT(*) FROM meta_batch_handles WHERE epoch > 1").await;
    assert!(taken_over >= 2, "{taken_over} calls of the second");
    let words = Words::of(&plant.app, &modules).await;
    words.whole_calls(plant.db()).await;
    let pushed = words.pushed_by_one(plant.db(), &plant.meta).await;
    assert_eq!(pushed, [(old.clone(), 3 * BATCH), (new.clone(), 29 * BATCH)].into());
    calls_follow_the_activations(&plant).await;

    // The rollback happens beside a standby replica that has loaded the newer module.
    let third = plant.serve().await;
    third.log.until(&format!("digest={new}")).await;
    let back = operator.told(&second, Method::POST, &format!("{MAPPER}/rollback"), None).await;
    assert_eq!((&back["active"]["digest"], &back["active"]["source"]), (&json!(old), &json!("rollback")));
    third.log.until(&format!("digest={old}")).await;
    assert_eq!(operator.agreed([&second, &third]).await["active"], back["active"]);
    plant.import(&variants("fourth", BATCH)).await;
    plant.settle(&second).await;
    let words = Words::of(&plant.app, &modules).await;
    words.whole_calls(plant.db()).await;
    let pushed = words.pushed_by_one(plant.db(), &plant.meta).await;
    assert_eq!(pushed, [(old, 4 * BATCH), (new, 29 * BATCH)].into());
    calls_follow_the_activations(&plant).await;
    assert_eq!((plant.stranded().await, plant.twice_open().await), (0, 0));
    assert!(!third.log.has(RUNS));
}

/// Address space in KiB. It is enough for everything except the module engine, which reserves more than twice as much.
const LITTLE: u64 = 32 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_where_no_module_runs_leaves_the_pipeline_to_others() {
    let plant = open_with(Engine::Postgres, LEASE).await;
    let operator = Operator::of(&plant).await;
    let [twin, margin] = [module("fixtures/twin"), module("margin-label")];
    let mut little = plant.program.within(LITTLE).serve(&plant.config);
    little.listening().await;
    little.log.until(RUNS).await;
    plant.import(&variants("first", BATCH)).await;
    plant.settle(&little).await;

    // A module that is sent to this replica is refused with the reason, and nothing changes.
    for path in [MAPPER.to_owned(), format!("{MAPPER}/preview")] {
        let method = if path == MAPPER { Method::PUT } else { Method::POST };
        let (status, body) = operator.ask(&little, method, &path, Some(&twin)).await;
        let message = body["message"].as_str().expect("a message");
        assert_eq!((status, &body["errorCode"]), (500, &json!("INTERNAL_SERVER_ERROR")), "{body}");
        assert!(message.contains("WebAssembly engine cannot start") && message.contains("ulimit -v"), "{message}");
    }
    let said = operator.told(&little, Method::GET, MAPPER, None).await;
    assert_eq!((&said["active"]["name"], &said["refused"]), (&json!("builtin"), &Value::Null));
    assert_eq!(operator.told(&little, Method::GET, STATUS, None).await["problem"], Value::Null);
    plant.import(&variants("second", BATCH)).await;
    plant.settle(&little).await;

    // After an activation elsewhere, this replica gives the lease up to a replica that can run the module.
    mapper::activate(&plant.app, twin, Source::Cli, false).await.expect("activated");
    plant.import(&variants("third", BATCH)).await;
    little.log.until("lease given up").await;
    let problem = operator.told(&little, Method::GET, STATUS, None).await["problem"].take();
    assert_eq!(problem["code"], "mapper_unusable", "{problem}");
    let message = problem["message"].as_str().expect("a message");
    assert!(message.contains("ulimit -v") && message.contains("reset to the built-in mapper"), "{message}");
    let mut able = plant.serve().await;
    able.log.until(RUNS).await;
    plant.settle(&able).await;
    let labelled = plant.item("third-0000").expect("at Meta");
    assert_eq!(labelled["custom_label_3"], "fixture", "{labelled}");

    // The module can still be swapped on the other replica, and this replica can reset to the built-in mapper.
    let swapped = operator.told(&able, Method::PUT, MAPPER, Some(&margin)).await;
    assert_eq!(operator.agreed([&little, &able]).await["active"], swapped["active"]);
    able.kill().await;
    plant.lease_ends().await;
    let back = operator.told(&little, Method::DELETE, MAPPER, None).await;
    assert_eq!(back["active"]["name"], "builtin");
    plant.import(&variants("fourth", BATCH)).await;
    plant.settle(&little).await;
    assert_eq!(operator.told(&little, Method::GET, STATUS, None).await["problem"], Value::Null);
    let plain = plant.item("fourth-0000").expect("at Meta");
    assert!(plain["custom_label_3"].is_null() && plain["custom_label_2"].is_null(), "{plain}");
    assert!(little.ended().is_none());
}
