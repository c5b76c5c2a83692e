//! The outcomes of a call: accepted, refused by name, unknown, not sent; and mapper faults beside it.

use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::store::{Db, outbox};
use graph_simulator::Kind;
use serde_json::json;

use super::on_both;
use testkit::{Engine, Stage, graph_error, product, variant};

on_both! {
    /// Meta accepts the batch but refuses one row. That row fails at once, and the others wait for the verdict.
    async fn accepted_with_a_refused_row(stage) {
        stage.meta.configure(|world| world.times.processing_ms = 60_000);
        stage.strike("items_batch", Kind::ValidationErrors { ids: vec!["bad".into()], message: "No such brand".into() });
        stage.sell(&["good", "bad"], 100).await;
        stage.wait("the refused row has failed", async || stage.is("bad", SyncStatus::Failed).await).await;
        assert!(stage.is("good", SyncStatus::Submitted).await);
        let bad = stage.held("bad").await;
        assert_eq!((bad.hash, bad.attempts), (None, 1), "a refused payload is no claim");
        assert_eq!(stage.last_error("bad").await.as_deref(), Some("No such brand"));
        assert_eq!(stage.last_asked("bad").await.outcome.as_deref(), Some("failed"));
        stage.settle().await;
        assert!(stage.is("good", SyncStatus::Synced).await && stage.is("bad", SyncStatus::Failed).await);
        assert_eq!(stage.batches(), 1, "refused by name is final");
        stage.close().await;
    }

    /// Without a handle nothing was accepted, and no row waits for a verdict that cannot arrive.
    async fn an_answer_without_a_handle(stage) {
        stage.strike("items_batch", Kind::HandlesEmpty {});
        stage.strike("items_batch", Kind::ValidationErrors { ids: vec!["bad".into()], message: "No such brand".into() });
        stage.sell(&["other", "bad"], 100).await;
        stage.settle().await;
        assert_eq!(stage.last_error("bad").await.as_deref(), Some("No such brand"));
        assert!(stage.last_error("other").await.expect("a reason").starts_with("not taken"));
        for id in ["other", "bad"] {
            let held = stage.held(id).await;
            assert_eq!((held.status, held.hash, held.at_meta, held.attempts), (SyncStatus::Failed, None, false, 1));
            assert_eq!(stage.last_asked(id).await.outcome.as_deref(), Some("failed"));
        }
        assert_eq!((stage.batches(), stage.meta.calls().check_batch), (1, 0));
        stage.close().await;
    }

    /// A verdict that names a row is final: it is counted once and the hash is removed. Fields that Meta still has
    /// are cleared later.
    async fn refused_by_name_is_final(stage) {
        let mut rich = variant("a", 100);
        rich["options"] = json!([{"name": "Colour", "value": "Red"}]);
        stage.import(&[product("p", &[rich])]).await;
        stage.settle().await;
        assert_eq!(stage.item("a").expect("at Meta")["color"], "Red");

        // The update that would clear the colour is refused. Meta still has the colour, and the state must record that.
        stage.meta.reject("a", "Image too small");
        stage.sell(&["a"], 200).await;
        stage.settle().await;
        let held = stage.held("a").await;
        assert_eq!((held.status, held.hash, held.attempts, held.at_meta), (SyncStatus::Failed, None, 1, true));
        let asked = stage.last_asked("a").await;
        assert_eq!((asked.outcome.as_deref(), asked.attempts), (Some("submitted"), 0));
        assert_eq!(stage.asked("a").await.len(), 2, "no automatic retry");
        assert_eq!(stage.item("a").expect("at Meta")["color"], "Red");

        stage.meta.clear_rejects();
        stage.ask(&["a"], Intent::Upsert, Origin::Operator).await;
        stage.settle().await;
        assert_eq!(stage.item("a").expect("at Meta").get("color"), None);
        assert_eq!(stage.held("a").await.attempts, 0, "a success ends the count");
        stage.check().await;
        stage.close().await;
    }

    /// A row that the mapper cannot read fails with its reason, is retried and parked. The other rows are sent.
    async fn a_mapper_fault_costs_its_own_row(stage) {
        stage.set(json!({"max_attempts": 3, "sync_enabled": false})).await;
        stage.sell(&["good", "bad"], 100).await;
        stage.images("bad", r#"{"not": "a list"}"#).await;
        stage.set(json!({"sync_enabled": true})).await;
        stage.wait("the neighbour is out and the fault is told", async || {
            stage.is("good", SyncStatus::Synced).await && stage.is("bad", SyncStatus::Failed).await
        }).await;
        let reason = stage.last_error("bad").await.expect("a reason");
        assert!(reason.contains("images"), "{reason}");
        stage.until("it is parked", async || stage.last_asked("bad").await.parked).await;
        let asked = stage.last_asked("bad").await;
        assert_eq!((asked.attempts, asked.class.as_deref(), asked.outcome), (3, Some("mapper"), None));
        let ticks = stage.service.board.get("drain").expect("a drain").ticks;
        stage.wait("the drain looks again", async || {
            stage.service.board.get("drain").expect("a drain").ticks > ticks + 1
        }).await;
        assert_eq!(stage.last_asked("bad").await.attempts, 3, "parked is left alone");

        // After the repair and a new intent, the parked intent is processed together with the new one.
        stage.images("bad", "[]").await;
        stage.ask(&["bad"], Intent::Upsert, Origin::Operator).await;
        stage.settle().await;
        assert!(stage.is("bad", SyncStatus::Synced).await);
        assert!(stage.asked("bad").await.iter().all(|asked| asked.outcome.is_some() && !asked.parked));
        stage.check().await;
        stage.close().await;
    }

    /// While a submission waits for its verdict, a mapper fault does not change its row.
    async fn a_mapper_fault_waits_for_the_verdict(stage) {
        stage.strike("items_batch", Kind::HandleSlow { ms: 30_000 });
        stage.sell(&["a"], 100).await;
        stage.wait("a waits for its verdict", async || stage.is("a", SyncStatus::Submitted).await).await;
        stage.images("a", "5").await;
        stage.ask(&["a"], Intent::Upsert, Origin::Operator).await;
        stage.look_twice(5_000).await;
        assert!(stage.is("a", SyncStatus::Submitted).await);
        assert_eq!(stage.last_asked("a").await.attempts, 0);
        stage.until("the verdict is in and then the fault", async || stage.is("a", SyncStatus::Failed).await).await;
        assert_eq!(stage.last_asked("a").await.class.as_deref(), Some("mapper"));
        stage.close().await;
    }

    /// When the outcome is unknown, nothing is claimed, because Meta may have whatever was sent. The intent stays open
    /// and is never parked, and the row ends in the state of the source.
    async fn unknown_outcomes_drop_the_claim(stage) {
        let kinds = [
            Kind::DropBefore {},
            Kind::DropAfterAccept {},
            Kind::Truncated {},
            Kind::Status5xx { status: 500, after_accept: false },
            Kind::Status5xx { status: 503, after_accept: true },
            Kind::Html502 { after_accept: false },
            Kind::Html502 { after_accept: true },
            Kind::TextServiceUnavailable { after_accept: false },
            Kind::TextServiceUnavailable { after_accept: true },
            graph_error(1, None),
            graph_error(2, None),
            // Meta's own `is_transient` flag decides, whatever the code and the status.
            Kind::GraphError {
                code: 100, subcode: None, message: None, is_transient: Some(true), error_data: None, status: Some(400),
                after_accept: true,
            },
        ];
        stage.sell(&["a"], 99).await;
        stage.settle().await;
        for (price, kind) in (100..).zip(kinds) {
            let name = format!("{kind:?}");
            stage.strike("items_batch", kind);
            stage.sell(&["a"], price).await;
            stage.wait(&name, async || stage.last_asked("a").await.attempts == 1).await;
            let held = stage.held("a").await;
            assert_eq!((held.status, held.hash, held.at_meta), (SyncStatus::Failed, None, true), "{name}");
            let reason = stage.last_error("a").await.expect("a reason");
            assert!(reason.starts_with("outcome unknown: "), "{name}: {reason}");
            let asked = stage.last_asked("a").await;
            assert_eq!((asked.class.as_deref(), asked.parked, asked.outcome), (Some("unknown"), false, None), "{name}");
            assert_eq!(stage.problem().await.expect("a problem").code, "meta_unreachable", "{name}");
            // The price reverts before the row is decided again. A price that Meta may have taken must not remain.
            stage.sell(&["a"], 99).await;
            stage.settle().await;
            assert_eq!(stage.item("a").expect("at Meta")["price"], "0.99 INR", "{name}");
            assert_eq!(stage.problem().await, None, "{name}");
            stage.check().await;
        }
        stage.close().await;
    }

    /// An outage longer than `max_attempts` calls parks nothing. One call probes after each wait, and the waits grow.
    async fn the_breaker_paces_and_parks_nothing(stage) {
        stage.set(json!({"max_attempts": 2})).await;
        stage.strikes("items_batch", 0, 6, Kind::Html502 { after_accept: false });
        stage.sell(&["a", "b"], 100).await;
        let mut waits = Vec::new();
        for failures in 1..=6_u32 {
            stage.wait("the call has failed", async || stage.channel().await.breaker.failures() == failures).await;
            assert_eq!(stage.batches(), u64::from(failures), "one call probes");
            let until = stage.channel().await.breaker.open_until().expect("open");
            waits.push(until - stage.now());
            stage.almost(until).await;
            assert_eq!(stage.batches(), u64::from(failures), "no call while the breaker is open");
            stage.pass(until - stage.now());
        }
        for (wait, start) in waits.iter().zip([5_000, 10_000, 20_000, 40_000, 80_000, 160_000]) {
            assert!((start..=start * 5 / 4).contains(wait), "{waits:?}");
        }
        for id in ["a", "b"] {
            let asked = stage.last_asked(id).await;
            assert_eq!((asked.attempts, asked.parked), (6, false), "a fault of the channel never parks");
        }
        stage.settle().await;
        assert_eq!((stage.batches(), stage.channel().await.breaker.failures()), (7, 0));
        stage.check().await;
        stage.close().await;
    }

    /// A sale ends at Meta on time without an event.
    async fn a_sale_ends_by_itself(stage) {
        const HOUR: i64 = 3_600_000;
        let mut sale = variant("a", 10_000);
        sale["specialPrice"] = json!(9_000);
        sale["specialPriceStart"] = json!(stage.now() - HOUR);
        sale["specialPriceEnd"] = json!(stage.now() + HOUR);
        stage.import(&[product("p", &[sale])]).await;
        stage.settle().await;
        assert_eq!(stage.item("a").expect("at Meta")["sale_price"], "90.00 INR");
        stage.pass(HOUR);
        stage.until("the sale is over at Meta", async || {
            stage.item("a").expect("at Meta").get("sale_price").is_none()
        }).await;
        stage.settle().await;
        stage.check().await;
        stage.close().await;
    }

    /// With sync off, incomplete settings or no connection, no call is made and no attempt is counted.
    async fn without_a_channel_nothing_is_bumped(stage) {
        for (off, on) in [
            (json!({"sync_enabled": false}), json!({"sync_enabled": true})),
            (json!({"storefront_base_url": null}), json!({"storefront_base_url": "https://shop.example"})),
        ] {
            stage.set(off).await;
            let calls = stage.batches();
            stage.ask(&["a"], Intent::Upsert, Origin::Event).await;
            stage.sell(&["a"], 100 + i64::try_from(calls).expect("small")).await;
            stage.look_twice(10_000).await;
            assert_eq!((stage.batches(), stage.last_asked("a").await.attempts), (calls, 0));
            stage.set(on).await;
            stage.settle().await;
            assert_eq!(stage.batches(), calls + 1);
        }
        stage.disconnect().await;
        stage.sell(&["a"], 500).await;
        stage.look_twice(10_000).await;
        assert_eq!((stage.batches(), stage.last_asked("a").await.attempts), (2, 0));
        stage.connect().await;
        stage.settle().await;
        stage.check().await;
        stage.close().await;
    }
}

/// A fault and a skip may both create rows. The drain does not keep one of those rows locked while it waits for an
/// intake that creates the other and needs the first one next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_beside_a_skip_does_not_deadlock_with_an_intake() {
    let stage = Stage::open(Engine::Postgres).await;
    stage.set(json!({"sync_enabled": false})).await;
    stage.import(&[product("p", &[variant("faulty", 100), variant("skipped", 0)])]).await;
    stage.images("faulty", r#"{"not": "a list"}"#).await;
    // A platform's trigger leaves the same state: it appends intents and no rows.
    let Db::Postgres { pool, .. } = stage.db() else { unreachable!("PostgreSQL") };
    sqlx::query("DELETE FROM meta_sync_state").execute(pool).await.expect("deleted");
    let mut intake = stage.db().write().await.expect("a transaction");
    let append =
        async |tx: &mut _, id: &str| outbox::append(tx, &[id.to_owned()], Intent::Upsert, Origin::Event, 0).await;
    append(&mut intake, "faulty").await.expect("appended");
    stage.shop.set(json!({"sync_enabled": true})).await;
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
                 AND query LIKE 'INSERT INTO meta_sync_state%'";
    stage
        .wait("the drain waits for the intake", async || {
            sqlx::query_scalar::<_, i64>(waits).fetch_one(pool).await.expect("counted") > 0
        })
        .await;
    append(&mut intake, "skipped").await.expect("no deadlock");
    intake.commit().await.expect("committed");
    stage
        .wait("both are recorded", async || {
            stage.status("faulty").await == Some(SyncStatus::Failed)
                && stage.status("skipped").await == Some(SyncStatus::Skipped)
        })
        .await;
    assert_eq!(stage.service.board.get("drain").expect("a drain").restarts, 0);
    stage.close().await;
}

/// A call that times out has an unknown outcome, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_is_an_unknown_outcome() {
    let stage = Stage::open_with(Engine::Sqlite, |config| config.graph.request_timeout_seconds = 1).await;
    stage.strike("items_batch", Kind::SlowMs { ms: 1_500 });
    stage.sell(&["a"], 100).await;
    stage.wait("the call has timed out", async || stage.last_asked("a").await.attempts == 1).await;
    assert_eq!(stage.last_asked("a").await.class.as_deref(), Some("unknown"));
    let held = stage.held("a").await;
    assert_eq!((held.status, held.hash, held.at_meta), (SyncStatus::Failed, None, true));
    stage.settle().await;
    stage.check().await;
    stage.close().await;
}

/// When Meta was not reached, nothing is unknown: the state stays, and the intent is counted and waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_never_sent_touches_no_state() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let stage = Stage::open_with(Engine::Sqlite, |config| config.graph.base_url = format!("http://{closed}")).await;
    stage.sell(&["a"], 100).await;
    stage.wait("the call has failed", async || stage.last_asked("a").await.attempts == 1).await;
    let asked = stage.last_asked("a").await;
    assert_eq!((asked.class.as_deref(), asked.parked, asked.outcome), (Some("not_sent"), false, None));
    let held = stage.held("a").await;
    assert_eq!((held.status, held.at_meta), (SyncStatus::Pending, false));
    assert_eq!(stage.problem().await.expect("a problem").code, "meta_unreachable");
    stage.close().await;
}
