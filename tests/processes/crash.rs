//! A real process dies, or one of its actors panics, between every two effects; the next start sets everything right.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use catalog_sync::clock::{Clock as _, SystemClock};
use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::failpoints::Point;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use testkit::{CATALOG, Engine, Plant, Serve, product, selection, variant};

/// The lease of these installations. Nobody waits for its end here; it is short so that a process often looks whether
/// something is new.
const LEASE: Duration = Duration::from_secs(6);

pub(crate) async fn open(engine: Engine) -> Plant {
    open_with(engine, LEASE).await
}

/// Opens an installation on either database.
pub(crate) async fn open_with(engine: Engine, lease: Duration) -> Plant {
    let database = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(testkit::postgres::database().await),
    };
    Plant::open_with(Path::new(env!("CARGO_BIN_EXE_meta-catalog")), database, lease).await
}

/// Each test twice, once a database.
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($plant:ident) $body:block)+) => {
        $($(#[$doc])* async fn $name($plant: Plant) $body)+
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::open(super::Engine::Sqlite).await).await; })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::open(super::Engine::Postgres).await).await; })+
        }
    };
}

/// What each round of edits leads through: a push, a noop, a skip, a delete.
const DRAIN: [Point; 10] = [
    Point::DrainRead,
    Point::DrainMapped,
    Point::DrainSettling,
    Point::DrainSettled,
    Point::DrainBeginning,
    Point::DrainBegun,
    Point::DrainCalling,
    Point::DrainAnswered,
    Point::DrainRecording,
    Point::DrainRecorded,
];
const POLL: [Point; 4] = [Point::PollAsking, Point::PollAnswered, Point::PollRecording, Point::PollRecorded];
const WINDOW: [Point; 2] = [Point::WindowOpening, Point::WindowOpened];
const SELECTION: [Point; 5] = [
    Point::SelectionUserMade,
    Point::SelectionAssigned,
    Point::SelectionMinted,
    Point::SelectionCommitting,
    Point::SelectionCommitted,
];
const OTHERS: [Point; 5] =
    [Point::LeaseTaken, Point::LeaseRenewed, Point::CoalescerAsked, Point::MapperAsked, Point::LimiterAsked];

/// A round of edits that gives every step of the pipeline something to do.
async fn edit(plant: &Plant, round: i64) {
    let mut archived = product("q", &[variant("d", 500)]);
    archived["status"] = json!(if round % 2 == 0 { "active" } else { "archived" });
    let changed = variant("a", 1_000 + round);
    let skipped = variant(&format!("free-{round}"), 0);
    plant.import(&[product("p", &[changed, variant("b", 700), skipped]), archived]).await;
}

/// Runs into the failpoint, which ends the process.
async fn dies_at(plant: &Plant, point: Point) -> Serve {
    let mut serve = plant.serve_with(&format!("{}=kill", point.name()));
    let status = serve.end().await;
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(6),
        "{}: {}",
        point.name(),
        serve.log.text()
    );
    plant.lease_ends().await;
    serve
}

/// Starts again, settles and compares; then the process is killed.
async fn recovers(plant: &Plant, what: &str) {
    let mut serve = plant.serve().await;
    plant.settle(&serve).await;
    let told = plant.differences().await;
    assert!(told.is_empty(), "after {what}: {told:#?}\n{}", serve.log.text());
    // The comparison excuses rows that Meta refused; here it refuses none.
    let failed = plant.count("SELECT COUNT(*) FROM meta_sync_state WHERE status = 'failed'").await;
    assert_eq!(failed, 0, "after {what}: rows that are failed and never sent again\n{}", serve.log.text());
    assert_eq!(plant.stranded().await, 0, "after {what}: a row is submitted iff its last handle is open");
    serve.kill().await;
    plant.lease_ends().await;
}

/// A variant with a sale that ends in an hour.
fn on_sale(id: &str, price: i64) -> Value {
    let now = SystemClock.now();
    let mut sale = variant(id, price);
    sale["specialPrice"] = json!(price - 50);
    sale["specialPriceStart"] = json!(now - 3_600_000);
    sale["specialPriceEnd"] = json!(now + 3_600_000);
    sale
}

on_both! {
    /// Killed at each point of drain and poll, with work for each of them.
    async fn a_kill_anywhere_in_drain_and_poll(plant) {
        for (round, point) in (0..).zip(DRAIN.into_iter().chain(POLL)) {
            edit(&plant, round).await;
            dies_at(&plant, point).await;
            assert_eq!(plant.twice_open().await, 0, "{}", point.name());
            recovers(&plant, point.name()).await;
        }
    }

    /// Killed while the calls of an earlier kill are resolved.
    async fn a_kill_while_an_unknown_call_is_resolved(plant) {
        for (round, point) in (0..).zip([Point::DrainResolving, Point::DrainResolved]) {
            edit(&plant, round).await;
            dies_at(&plant, Point::DrainAnswered).await;
            dies_at(&plant, point).await;
            recovers(&plant, point.name()).await;
        }
    }

    /// Killed while a sale ends, and in the actors that drain and poll stand on.
    async fn a_kill_in_the_other_actors(plant) {
        for (round, point) in (0..).zip(WINDOW) {
            plant.import(&[product("p", &[on_sale("s", 5_000 + round)])]).await;
            plant.ahead(0);
            recovers(&plant, "the sale").await;
            assert!(plant.item("s").expect("at Meta").get("sale_price").is_some());
            plant.ahead(2 * 3_600_000);
            dies_at(&plant, point).await;
            recovers(&plant, point.name()).await;
            assert!(plant.item("s").expect("at Meta").get("sale_price").is_none(), "{}", point.name());
        }
        for (round, point) in (0..).zip(OTHERS) {
            edit(&plant, round).await;
            dies_at(&plant, point).await;
            recovers(&plant, point.name()).await;
        }
    }

    /// Invariant 1, first story: Meta took a price, we never recorded it, and the price reverts.
    async fn taken_by_meta_and_then_the_price_reverts(plant) {
        plant.import(&[product("p", &[variant("a", 100)])]).await;
        recovers(&plant, "the start").await;
        plant.import(&[product("p", &[variant("a", 200)])]).await;
        dies_at(&plant, Point::DrainAnswered).await;
        assert_eq!(plant.item("a").expect("at Meta")["price"], "2.00 INR", "Meta took it");
        assert_eq!(plant.status("a").await, Some(SyncStatus::Synced), "and we do not know");
        plant.import(&[product("p", &[variant("a", 100)])]).await;
        recovers(&plant, "the price reverted").await;
        assert_eq!(plant.item("a").expect("at Meta")["price"], "1.00 INR");
    }

    /// Second story: a new variant was taken and is archived before we look again: it was never known to be at Meta.
    async fn taken_by_meta_and_then_archived(plant) {
        plant.import(&[product("p", &[variant("a", 100)])]).await;
        dies_at(&plant, Point::DrainAnswered).await;
        assert!(plant.item("a").is_some(), "Meta took it");
        let mut archived = product("p", &[]);
        archived["status"] = json!("archived");
        plant.import(&[archived]).await;
        recovers(&plant, "the archive").await;
        assert_eq!((plant.item("a"), plant.status("a").await), (None, Some(SyncStatus::Deleted)));
    }

    /// Third story: a sale price was taken, and the sale is over before we look again.
    async fn taken_by_meta_and_then_the_sale_ends(plant) {
        plant.import(&[product("p", &[variant("a", 10_000)])]).await;
        recovers(&plant, "the start").await;
        plant.import(&[product("p", &[on_sale("a", 10_000)])]).await;
        dies_at(&plant, Point::DrainAnswered).await;
        assert!(plant.item("a").expect("at Meta").get("sale_price").is_some(), "Meta took it");
        plant.ahead(2 * 3_600_000);
        recovers(&plant, "the end of the sale").await;
        assert!(plant.item("a").expect("at Meta").get("sale_price").is_none());
    }

    /// A selection of a catalog that dies anywhere is simply made again; until then nothing of it counts.
    async fn a_kill_in_a_selection(plant) {
        let token = plant.token().await;
        let select = async |serve: &Serve| {
            let request = reqwest::Client::new().post(format!("{}/admin/meta/select-catalog", serve.address()));
            request.bearer_auth(token.expose_secret()).json(&selection(CATALOG)).send().await
        };
        let system_user = "SELECT COUNT(*) FROM setting WHERE key = 'token_kind' AND value LIKE '%system_user%'";
        for (round, point) in (0..).zip(SELECTION) {
            plant.set(json!({"token_kind": null})).await;
            plant.connect().await;
            let mut serve = plant.serve_with(&format!("{}=kill", point.name()));
            serve.listening().await;
            select(&serve).await.expect_err("it dies");
            serve.end().await;
            plant.lease_ends().await;
            let committed = i64::from(point == Point::SelectionCommitted);
            assert_eq!(plant.count(system_user).await, committed, "{}", point.name());
            let mut serve = plant.serve().await;
            assert!(select(&serve).await.expect("an answer").status().is_success());
            assert_eq!(plant.count(system_user).await, 1);
            edit(&plant, round).await;
            plant.settle(&serve).await;
            plant.check().await;
            serve.kill().await;
            plant.lease_ends().await;
        }
    }

    /// Settings that change while a tick is under way, followed by the request to push everything again: the tick must
    /// not answer that request with payloads of the old settings.
    async fn settings_that_change_during_a_tick(plant) {
        plant.import(&[product("p", &[variant("a", 100)])]).await;
        let mut serve = plant.serve_waiting_at("coalescer.asked", "");
        serve.log.until("failpoint coalescer.asked").await;
        plant.set(json!({"default_condition": "used"})).await;
        plant.ask(&["a".to_owned()], Intent::Upsert, Origin::Operator).await;
        plant.go_on();
        plant.settle(&serve).await;
        plant.check().await;
        assert_eq!(plant.item("a").expect("at Meta")["condition"], "used");
        serve.kill().await;
        plant.lease_ends().await;

        // The end of a preview is the same story: nothing that is queued with it may count as previewed.
        plant.set(json!({"feed_mode": "preview"})).await;
        plant.import(&[product("q", &[variant("b", 100)])]).await;
        let serve = plant.serve_waiting_at("coalescer.asked", "");
        serve.log.until("failpoint coalescer.asked").await;
        plant.set(json!({"feed_mode": "live"})).await;
        plant.ask(&["b".to_owned()], Intent::Upsert, Origin::Operator).await;
        plant.go_on();
        plant.settle(&serve).await;
        assert_eq!(plant.status("b").await, Some(SyncStatus::Synced));
        plant.check().await;
    }

    /// Committing the `sending` row took so long that the call could outlive the lease: it is not made.
    async fn no_call_under_a_lease_that_is_about_to_end(plant) {
        plant.import(&[product("p", &[variant("a", 100)])]).await;
        // The process does not hear of a renewal until the call was to be made.
        let serve = plant.serve_waiting_at("drain.begun", "lease.renewed=pause:8000");
        serve.log.until("failpoint drain.begun").await;
        // For the process, time passes: its lease has a second left.
        plant.ahead(5_000);
        plant.go_on();
        serve.log.until("call not made: the lease is about to expire").await;
        assert_eq!(plant.meta.calls().items_batch, 0);
        plant.settle(&serve).await;
        plant.check().await;
    }

    /// Disconnected while a tick is under way: the token in its hands is not used any more.
    async fn disconnected_during_a_tick(plant) {
        plant.import(&[product("p", &[variant("a", 100)])]).await;
        let serve = plant.serve_waiting_at("drain.mapped", "");
        serve.log.until("failpoint drain.mapped").await;
        plant.disconnect().await;
        plant.go_on();
        serve.log.until("the connection to Meta changed meanwhile").await;
        assert_eq!(plant.meta.calls().items_batch, 0);
        plant.connect().await;
        plant.settle(&serve).await;
        plant.check().await;
    }

    /// A delete that Meta canceled is queued again, unless the shop has said something newer meanwhile. (Found by torture.)
    async fn what_is_queued_again_does_not_beat_what_was_said_meanwhile(plant) {
        plant.import(&[product("p", &[variant("a", 100)])]).await;
        recovers(&plant, "the start").await;
        let with_status = |status: &str| {
            let mut p = product("p", &[]);
            p["status"] = json!(status);
            p
        };
        plant.import(&[with_status("archived")]).await;
        let kind = graph_simulator::Kind::HandleCanceled {};
        plant.meta.plan(graph_simulator::Fault { on: "items_batch".into(), skip: 0, times: 1, kind });
        let serve = plant.serve_waiting_at("poll.asking", "");
        serve.log.until("failpoint poll.asking").await;
        // Back on sale while the delete waits for its verdict.
        plant.import(&[with_status("active")]).await;
        plant.go_on();
        plant.settle(&serve).await;
        plant.check().await;
        assert!(plant.item("a").is_some());
    }

    /// A token that is exchanged and then lost with the process: the old one still works, and is exchanged again.
    async fn a_kill_in_a_token_refresh(plant) {
        for (round, point) in (0..).zip([Point::TokenExchanged, Point::TokenWritten]) {
            // Less than seven days: to be refreshed at the first use.
            plant.connect_for(3 * 24 * 3600).await;
            edit(&plant, round).await;
            dies_at(&plant, point).await;
            recovers(&plant, point.name()).await;
            assert_eq!(plant.count("SELECT COUNT(*) FROM integration_credentials WHERE access_token_expires_at IS NULL
                OR access_token_expires_at > 1000 * CAST(1 AS BIGINT)").await, 1);
        }
    }

    /// Each actor panics at each of its points: the tree restarts it, and everything settles in the same process.
    async fn a_panic_anywhere(plant) {
        let mut round = 0;
        // A few at a time: an actor that fails again and again is restarted ever later.
        let drain = DRAIN.chunks(3);
        for points in drain.chain([&POLL[..], &WINDOW, &OTHERS]) {
            edit(&plant, round).await;
            plant.import(&[product("r", &[on_sale("s", 5_000 + round)])]).await;
            let failpoints: Vec<_> = points.iter().map(|point| format!("{}=panic", point.name())).collect();
            plant.ahead(0);
            let mut serve = plant.serve_with(&failpoints.join(","));
            serve.listening().await;
            plant.settle(&serve).await;
            plant.ahead(2 * 3_600_000);
            let struck = points.iter().map(|point| format!("failpoint {}: Panic", point.name()));
            let struck: Vec<String> = struck.collect();
            plant.until("every point panicked", &serve, async || {
                round += 1;
                edit(&plant, round).await;
                struck.iter().all(|line| serve.log.has(line))
            }).await;
            plant.settle(&serve).await;
            plant.check().await;
            assert!(serve.ended().is_none(), "{}", serve.log.text());
            serve.kill().await;
            plant.lease_ends().await;
        }
    }

    /// A killed import has taken whole chunks, each with its intents; a strict one nothing. Running it again ends it.
    async fn a_kill_in_an_import(plant) {
        let file = plant.folder().join("products.ndjson");
        let lines: Vec<String> =
            (0..1_100).map(|n| product(&format!("p{n}"), &[variant(&format!("v{n}"), 100 + n)]).to_string()).collect();
        std::fs::write(&file, lines.join("\n")).expect("written");
        let name = file.to_str().expect("plain");
        let taken = async || {
            (plant.count("SELECT COUNT(*) FROM product_variant").await, plant.count("SELECT COUNT(*) FROM meta_outbox").await)
        };
        for (failpoint, arguments, expected) in [
            ("import.chunk=kill", &["import", name, "--strict"][..], 0),
            ("import.ending=kill", &["import", name, "--strict"], 0),
            ("import.writing=kill", &["import", name], 0),
            ("import.chunk=kill", &["import", name], 500),
            ("import.writing=kill@2", &["import", name], 500),
            ("import.ending=kill", &["import", name], 1_100),
        ] {
            let output = plant.program.with("FAILPOINTS", failpoint).run(arguments, &plant.config).await;
            assert!(!output.status.success(), "{failpoint}: {}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(taken().await, (expected, expected), "{failpoint} {arguments:?}");
        }
        let output = plant.program.run(&["import", name], &plant.config).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(taken().await, (1_100, 1_100), "what is equal is left alone");

        // What a complete file does not name is deleted whole or not at all.
        let fewer = plant.folder().join("fewer.ndjson");
        std::fs::write(&fewer, lines[..1_050].join("\n")).expect("written");
        let complete = ["import", fewer.to_str().expect("plain"), "--complete"];
        let deleted = async || plant.count("SELECT COUNT(*) FROM product_variant WHERE deleted_at IS NOT NULL").await;
        let output = plant.program.with("FAILPOINTS", "import.deleting=kill").run(&complete, &plant.config).await;
        assert!(!output.status.success() && deleted().await == 0, "{}", String::from_utf8_lossy(&output.stderr));
        let output = plant.program.run(&complete, &plant.config).await;
        assert!(output.status.success() && deleted().await == 50, "{}", String::from_utf8_lossy(&output.stderr));
        recovers(&plant, "the import").await;
    }
}

/// Every point is run into by a test above.
#[test]
fn no_point_is_forgotten() {
    let killed = DRAIN.into_iter().chain(POLL).chain(WINDOW).chain(OTHERS).chain(SELECTION).chain([
        Point::DrainResolving,
        Point::DrainResolved,
        Point::TokenExchanged,
        Point::TokenWritten,
        Point::ImportWriting,
        Point::ImportChunk,
        Point::ImportEnding,
        Point::ImportDeleting,
    ]);
    let killed = killed.chain(crate::mapper::kill::killed()).chain(crate::keys::killed()).chain(crate::drift::killed());
    let killed: HashSet<&str> = killed.map(Point::name).collect();
    let all: HashSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
    assert_eq!(killed, all);
}
