//! What Meta says in a form that it does not document: no actor ends for it, nothing is sent twice without reason, the
//! operator is told, and all is well afterwards.

use catalog_sync::domain::state::SyncStatus;
use graph_simulator::Kind;
use serde_json::{Value, json};

use super::on_both;
use testkit::Stage;

const POLL: &str = "check_batch_request_status";

/// Answers the next call of an edge with this body.
fn says(stage: &Stage, on: &str, body: &str, after_accept: bool) {
    stage.strike(on, Kind::RawBody { body: body.to_owned(), status: 200, after_accept });
}

/// Checks that no actor ended.
fn nobody_restarted(stage: &Stage, why: &str) {
    for actor in ["drain", "poll", "lease", "limiter", "token", "mapper", "coalescer"] {
        let vitals = stage.service.board.get(actor).expect("an actor");
        assert_eq!((vitals.restarts, vitals.last_error), (0, None), "{actor} after {why}");
    }
}

async fn handles(stage: &Stage) -> Vec<String> {
    let sql = "SELECT handle FROM meta_batch_handles WHERE handle IS NOT NULL ORDER BY id";
    stage.rows::<(String,)>(sql).await.into_iter().map(|(handle,)| handle).collect()
}

on_both! {
    /// Without a handle that can be asked for, the outcome of the call is unknown: claims are dropped, the rows are
    /// sent again after the breaker's wait, and the problem says what was wrong with the handle.
    async fn a_handle_that_cannot_be_used_is_an_unknown_outcome(stage) {
        stage.sell(&["a"], 99).await;
        stage.settle().await;
        let known = handles(&stage).await.remove(0);
        let long = "A".repeat(1_000_000);
        let mut price = 100;
        for (handles, why) in [
            (json!([""]), "empty"),
            (json!([known]), "gave before"),
            (json!(["new", known]), "gave before"),
            (json!(["Ac\0nul"]), "control characters"),
            (json!([long]), "longer than"),
            (json!([null]), "neither a text"),
            (json!([{"handle": "AcH"}]), "neither a text"),
            (json!({"handle": "AcH"}), "neither a text"),
            (json!([[known]]), "neither a text"),
            (json!(true), "neither a text"),
        ] {
            let calls = stage.batches();
            price += 1;
            says(&stage, "items_batch", &json!({ "handles": handles }).to_string(), true);
            stage.sell(&["a"], price).await;
            stage.wait(why, async || stage.last_asked("a").await.attempts == 1).await;
            let until = stage.channel().await.breaker.open_until().expect("open");
            stage.almost(until).await;
            assert_eq!(stage.batches(), calls + 1, "{why}: the breaker waits");
            let held = stage.held("a").await;
            assert_eq!((held.status, held.hash, held.at_meta), (SyncStatus::Failed, None, true), "{why}");
            let told = stage.last_error("a").await.expect("a reason");
            assert!(told.starts_with("outcome unknown: ") && told.contains(why), "{told}");
            assert!(told.chars().count() < 300, "{told}");
            let problem = stage.problem().await.expect("a problem");
            assert!(problem.code == "meta_unreachable" && problem.message.contains(why), "{problem:?}");
            stage.settle().await;
            assert_eq!(stage.batches(), calls + 2, "{why}: sent once more");
            assert_eq!(stage.problem().await, None, "{why}");
            stage.check().await;
        }
        nobody_restarted(&stage, "odd handles");
        stage.close().await;
    }

    /// A Meta that repeats a handle again and again meets the breaker's growing waits.
    async fn a_meta_that_only_repeats_a_handle_is_not_flooded(stage) {
        stage.sell(&["a"], 99).await;
        stage.settle().await;
        let body = json!({ "handles": handles(&stage).await }).to_string();
        stage.strikes("items_batch", 0, 1_000, Kind::RawBody { body, status: 200, after_accept: true });
        let calls = stage.batches();
        let from = stage.now();
        stage.sell(&["a"], 100).await;
        stage.until("ten minutes have passed", async || stage.now() >= from + 600_000).await;
        // After 0, 5, 15, 35, 75, 155 and 315 seconds, or a little later.
        let more = stage.batches() - calls;
        assert!((6..=7).contains(&more), "{more} calls in ten minutes");
        nobody_restarted(&stage, "repeated handles");
        stage.meta.clear_faults();
        stage.settle().await;
        stage.check().await;
        stage.close().await;
    }

    /// Meta's messages may hold anything: NUL, escape codes, a megabyte.
    async fn messages_of_any_kind_are_shown(stage) {
        let long = "ä".repeat(1_000_000);
        let nasty = "no\0such\u{1b}[31m\nbrand\u{202e}";
        let clean = "no\u{fffd}such\u{fffd}[31m brand\u{fffd}";
        let mut price = 100;
        // In an error of unknown outcome, and thus in the problem.
        let error = json!({"error": {"code": 2, "is_transient": true, "message": nasty}}).to_string();
        stage.strike("items_batch", Kind::RawBody { body: error, status: 500, after_accept: false });
        stage.sell(&["a"], price).await;
        stage.wait("the call has failed", async || stage.problem().await.is_some()).await;
        assert!(stage.problem().await.expect("a problem").message.contains(clean));
        stage.settle().await;
        // In the answer to an accepted call, and in a verdict.
        for message in [nasty, &long] {
            price += 1;
            let ids = vec!["bad".to_owned()];
            stage.strike("items_batch", Kind::ValidationErrors { ids, message: message.to_owned() });
            stage.meta.reject("a", message);
            let calls = stage.batches();
            stage.sell(&["a", "bad", "good"], price).await;
            stage.settle().await;
            assert_eq!(stage.batches(), calls + 1);
            for id in ["a", "bad"] {
                let told = stage.last_error(id).await.expect("a reason");
                assert!(stage.is(id, SyncStatus::Failed).await && told.chars().count() <= 2_001, "{told}");
                assert!(message != nasty || told == clean, "{told}");
            }
            assert!(stage.is("good", SyncStatus::Synced).await);
            stage.meta.clear_rejects();
        }
        // In a refusal of the whole call: a single row fails with it.
        for message in [nasty, &long] {
            price += 1;
            let error = json!({"error": {"code": 100, "message": message, "fbtrace_id": message, "type": message}});
            stage.strike("items_batch", Kind::RawBody { body: error.to_string(), status: 400, after_accept: false });
            stage.sell(&["a"], price).await;
            stage.settle().await;
            let told = stage.last_error("a").await.expect("a reason");
            assert!(stage.is("a", SyncStatus::Failed).await && told.chars().count() < 5_000, "{told}");
            if message == nasty {
                assert!(told.contains(clean), "{told}");
            }
        }
        nobody_restarted(&stage, "odd messages");
        stage.sell(&["a", "bad", "good"], 500).await;
        stage.settle().await;
        stage.check().await;
        stage.close().await;
    }

    /// A verdict that cannot be read is none: it is asked for again, the operator is told, and no row counts as applied.
    async fn a_verdict_that_cannot_be_read_is_asked_for_again(stage) {
        stage.sell(&["a", "b"], 99).await;
        stage.settle().await;
        stage.meta.reject("b", "Bad picture");
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        let status = |field: &str, value: Value| {
            let mut status = json!({"status": "finished", "errors": [], "errors_total_count": 0});
            status[field] = value;
            json!({ "data": [status] }).to_string()
        };
        let mut price = 100;
        for body in [
            status("errors", json!("loose words")),
            status("errors_total_count", json!({"count": 1})),
            status("ids_of_invalid_requests", json!([{"id": "b"}])),
            status("status", json!(["finished"])),
            status("handle", json!([])),
            json!({"data": [7]}).to_string(),
            json!({"data": "finished"}).to_string(),
            json!({"handle": "AcH"}).to_string(),
            json!([1]).to_string(),
            format!(r#"{{"data":{deep}}}"#),
            r#"{"data":[{"status":"finished","errors_total_count":1e999}]}"#.to_owned(),
        ] {
            price += 1;
            let calls = stage.batches();
            says(&stage, POLL, &body, false);
            stage.sell(&["a", "b"], price).await;
            stage.until("the answer is told", async || stage.problem().await.is_some()).await;
            let problem = stage.problem().await.expect("a problem");
            assert_eq!(problem.code, "meta_unreachable", "{body}");
            assert!(problem.message.contains("check_batch_request_status: "), "{problem:?}");
            assert!(stage.is("a", SyncStatus::Submitted).await, "{body}");
            stage.settle().await;
            assert_eq!((stage.problem().await, stage.batches()), (None, calls + 1), "{body}");
            assert!(stage.is("a", SyncStatus::Synced).await && stage.is("b", SyncStatus::Failed).await, "{body}");
            assert_eq!(stage.last_error("b").await.as_deref(), Some("Bad picture"));
        }
        nobody_restarted(&stage, "odd verdicts");
        stage.meta.clear_rejects();
        stage.sell(&["a", "b"], 500).await;
        stage.settle().await;
        stage.check().await;
        stage.close().await;
    }

    /// Errors that name no row leave every unnamed row undecided, whatever stands in the place of the id.
    async fn errors_of_odd_rows_claim_nothing(stage) {
        let rows = [json!({"id": "b\0", "message": "m"}), json!({"id": {}, "message": []}), json!([]), json!(null)];
        let mut price = 100;
        for row in rows {
            price += 1;
            let status = json!({"status": "finished", "errors": [row], "errors_total_count": 1, "warnings": 5});
            says(&stage, POLL, &json!({ "data": [status] }).to_string(), false);
            stage.sell(&["a", "b"], price).await;
            stage.settle().await;
            for id in ["a", "b"] {
                let held = stage.held(id).await;
                assert_eq!((held.status, held.hash), (SyncStatus::Failed, None), "{row}");
                assert!(stage.last_error(id).await.expect("a reason").starts_with("verdict incomplete"), "{row}");
            }
        }
        nobody_restarted(&stage, "odd rows");
        stage.sell(&["a", "b"], 500).await;
        stage.settle().await;
        stage.check().await;
        stage.close().await;
    }

    /// A verdict that can never be read times out like a handle that never ends.
    async fn a_verdict_that_can_never_be_read_times_out(stage) {
        stage.set(json!({"handle_poll_max_age_minutes": 5})).await;
        let body = json!({"data": [{"status": 5.5, "errors": 7}]}).to_string();
        stage.strikes(POLL, 0, 1_000, Kind::RawBody { body, status: 200, after_accept: false });
        stage.sell(&["a"], 100).await;
        stage.until("the handle is given up", async || {
            stage.sent().await.first().is_some_and(|sent| sent.reason.is_some())
        }).await;
        assert_eq!(stage.sent().await[0].reason.as_deref(), Some("poll_timeout"));
        stage.meta.clear_faults();
        stage.settle().await;
        assert_eq!((stage.batches(), stage.problem().await), (2, None));
        nobody_restarted(&stage, "verdicts without end");
        stage.check().await;
        stage.close().await;
    }

    /// A handle without a verdict is asked for after 2, 4, 8, … seconds, and every two minutes in the end. A restart
    /// keeps the pause, and a backlog does not shorten it.
    async fn the_pause_of_a_handle_grows(stage) {
        stage.strike("items_batch", Kind::HandleNeverEnds {});
        stage.sell(&["endless"], 100).await;
        stage.wait("it was asked for", async || stage.meta.calls().check_batch == 1).await;
        let from = stage.now();
        stage.until("ten minutes have passed", async || stage.now() >= from + 600_000).await;
        // At most after 0, 2, 6, 14, 30, 62, 126, 246, 366, 486 seconds; with all the jitter nine times.
        let polls = stage.meta.calls().check_batch;
        assert!((8..=10).contains(&polls), "{polls} polls in ten minutes");

        let next = "SELECT next_poll_at FROM meta_batch_handles WHERE state = 'pending'";
        stage.until("it was asked for again", async || stage.meta.calls().check_batch > polls).await;
        stage.wait("the pause is recorded", async || stage.rows::<(i64,)>(next).await[0].0 > stage.now()).await;
        let pause = stage.rows::<(i64,)>(next).await[0].0 - stage.now();
        assert!((100_000..=120_000).contains(&pause), "{pause}");
        let polls = stage.meta.calls().check_batch;
        let stage = stage.restart(pause - 10_000).await;
        stage.look_twice(4_000).await;
        assert_eq!(stage.meta.calls().check_batch, polls);
        stage.pass(2_000);
        stage.wait("it is asked for on time", async || stage.meta.calls().check_batch == polls + 1).await;
        nobody_restarted(&stage, "a handle without end");
        stage.close().await;
    }
}
