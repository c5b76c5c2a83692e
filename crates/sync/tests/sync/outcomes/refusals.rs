//! Calls that Meta refuses as a whole: throttles, dead tokens, permissions, too much data, one bad row.

use catalog_sync::domain::budget::{Admission, Bucket};
use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::state::SyncStatus;
use graph_simulator::Kind;
use serde_json::json;

use super::on_both;
use testkit::{CATALOG, Stage, graph_error, product, variant};

/// Returns Meta's error for a call that is too large or too slow.
fn too_much() -> Kind {
    Kind::GraphError {
        code: 1,
        subcode: None,
        message: Some("Please reduce the amount of data you're asking for, then retry your request".into()),
        is_transient: None,
        error_data: None,
        status: None,
        after_accept: false,
    }
}

async fn look(stage: &Stage, bucket: Bucket) -> Admission {
    stage.service.app.limiter.peek(CATALOG, bucket).await.expect("a limiter")
}

on_both! {
    /// For every code: the attempt is counted once, the state is untouched, and the bucket closes. No call is made
    /// until it opens. Then the row is sent.
    async fn every_throttle_code_closes_the_bucket(stage) {
        stage.sell(&["a"], 99).await;
        stage.settle().await;
        for (price, code) in (100..).zip([4, 17, 32, 341, 613].into_iter().chain(80_000..=80_014)) {
            let (before, calls) = (stage.held("a").await, stage.batches());
            stage.strike("items_batch", graph_error(code, None));
            stage.sell(&["a"], price).await;
            stage.wait("the throttle is recorded", async || stage.last_asked("a").await.attempts == 1).await;
            let asked = stage.last_asked("a").await;
            assert_eq!((asked.class.as_deref(), asked.parked, asked.outcome), (Some("throttled"), false, None), "{code}");
            assert_eq!(stage.held("a").await, before, "{code}: the state is untouched");
            assert_eq!(stage.problem().await.expect("a problem").code, "meta_throttled", "{code}");
            let Admission::ClosedUntil(until) = look(&stage, Bucket::Batch).await else { panic!("{code}: open") };
            assert!((60_000..=75_000).contains(&(until - stage.now())), "{code}: a minute and its jitter");
            // Only a code for exactly one bucket of the catalog leaves the other bucket open.
            let polls = look(&stage, Bucket::Management).await;
            let shut = matches!(polls, Admission::ClosedUntil(until) if until - stage.now() > 1_000);
            assert_eq!(shut, code != 80_014, "{code}: {polls:?}");
            stage.look_twice(5_000).await;
            assert_eq!(stage.batches(), calls + 1, "{code}: no call while closed");
            stage.pass(until - stage.now());
            stage.settle().await;
            assert_eq!((stage.batches(), stage.problem().await), (calls + 2, None), "{code}");
            assert!(stage.is("a", SyncStatus::Synced).await, "{code}");
        }
        stage.check().await;
        stage.close().await;
    }

    /// The batch bucket stays closed as long as Meta demands, and polling continues meanwhile.
    async fn a_closed_batch_bucket_does_not_stop_polls(stage) {
        stage.strike("items_batch", Kind::HandleSlow { ms: 20_000 });
        stage.sell(&["a"], 100).await;
        stage.wait("a waits for its verdict", async || stage.is("a", SyncStatus::Submitted).await).await;
        stage.strike("items_batch", Kind::Throttle { regain_minutes: 3 });
        stage.sell(&["b"], 100).await;
        stage.until("the throttle is recorded", async || stage.last_asked("b").await.attempts == 1).await;
        let Admission::ClosedUntil(until) = look(&stage, Bucket::Batch).await else { panic!("open") };
        assert!((175_000..=180_000).contains(&(until - stage.now())), "Meta's own time, without jitter");
        stage.until("a has its verdict", async || stage.is("a", SyncStatus::Synced).await).await;
        assert!(stage.now() < until, "while the batch bucket was closed");
        assert_eq!(stage.batches(), 2);
        stage.pass(until - stage.now() - 10);
        stage.look_twice(4).await;
        assert_eq!(stage.batches(), 2);
        stage.settle().await;
        stage.check().await;
        stage.close().await;
    }

    /// A token that Meta calls dead, a missing permission or a policy block costs one call and one attempt. The
    /// recorded problem names the next step. No further call is made until there is another credential.
    async fn no_call_until_reconnect(stage) {
        let dead = "meta_token_dead";
        let cases = [
            (190, None, dead, "no longer accepts the token"),
            (190, Some(458), dead, "The app was removed"),
            (190, Some(459), dead, "log in at facebook.com"),
            (190, Some(460), dead, "password was changed"),
            (190, Some(463), dead, "The token has expired"),
            (190, Some(464), dead, "not confirmed"),
            (190, Some(467), dead, "revoked or its session ended"),
            (190, Some(492), dead, "lost its role"),
            (102, None, dead, "no longer accepts the token"),
            (3, None, "meta_permission", "grant catalog_management and business_management"),
            (10, None, "meta_permission", "grant catalog_management and business_management"),
            (200, None, "meta_permission", "grant catalog_management and business_management"),
            (299, None, "meta_permission", "grant catalog_management and business_management"),
            (368, None, "meta_policy_block", "Account Quality"),
        ];
        stage.sell(&["a"], 99).await;
        stage.settle().await;
        for (price, (code, subcode, problem, hint)) in (100..).zip(cases) {
            let (before, calls) = (stage.held("a").await, stage.batches());
            stage.strike("items_batch", graph_error(code, subcode));
            stage.sell(&["a"], price).await;
            stage.wait("the problem is recorded", async || stage.problem().await.is_some()).await;
            let told = stage.problem().await.expect("a problem");
            assert_eq!(told.code, problem, "{code} {subcode:?}");
            assert!(told.message.contains(hint), "{code} {subcode:?}: {}", told.message);
            // After an hour, neither the drain nor the poll has made or counted another call.
            stage.look_twice(3_600_000).await;
            assert_eq!(stage.batches(), calls + 1, "{code} {subcode:?}");
            let asked = stage.last_asked("a").await;
            assert_eq!((asked.attempts, asked.class.as_deref(), asked.parked), (1, Some("stopped"), false));
            assert_eq!(stage.held("a").await, before, "{code} {subcode:?}: the state is untouched");
            stage.connect().await;
            stage.settle().await;
            assert_eq!((stage.batches(), stage.problem().await), (calls + 2, None), "{code} {subcode:?}");
        }
        stage.check().await;
        stage.close().await;
    }

    /// A new credential clears the problem even when there is nothing to send.
    async fn a_reconnect_clears_the_problem(stage) {
        stage.strike("items_batch", graph_error(190, Some(460)));
        stage.sell(&["a"], 100).await;
        stage.wait("the problem is recorded", async || stage.problem().await.is_some()).await;
        stage.set(json!({"feed_mode": "live", "batch_size": 1})).await;
        stage.ask(&["a"], catalog_sync::domain::intent::Intent::Delete, catalog_sync::domain::intent::Origin::Operator).await;
        stage.connect().await;
        stage.until("the record is gone", async || stage.problem().await.is_none()).await;
        stage.settle().await;
        assert_eq!(stage.batches(), 1, "the delete of what never was there needs no call");
        stage.close().await;
    }

    /// When the poll meets the dead token first, the problem is the same and calls stop as well.
    async fn a_poll_with_a_dead_token_stops_everything(stage) {
        stage.strike("items_batch", Kind::HandleSlow { ms: 1_000 });
        stage.strike("check_batch_request_status", graph_error(190, Some(467)));
        stage.sell(&["a"], 100).await;
        stage.until("the problem is recorded", async || stage.problem().await.is_some()).await;
        stage.sell(&["b"], 100).await;
        let calls = stage.meta.calls();
        stage.look_twice(600_000).await;
        let now = stage.meta.calls();
        assert_eq!((now.items_batch, now.check_batch), (calls.items_batch, calls.check_batch));
        assert!(stage.is("a", SyncStatus::Submitted).await, "no verdict was heard");
        stage.connect().await;
        stage.settle().await;
        stage.check().await;
        stage.close().await;
    }

    /// A problem that a person must fix without reconnecting is retried automatically.
    async fn an_account_or_app_problem_is_tried_again(stage) {
        for (price, (code, problem)) in (100..).zip([(415, "meta_account_error"), (101, "meta_app_rejected")]) {
            let calls = stage.batches();
            stage.strike("items_batch", graph_error(code, None));
            stage.sell(&["a"], price).await;
            stage.wait("the problem is recorded", async || stage.problem().await.is_some()).await;
            assert_eq!(stage.problem().await.expect("a problem").code, problem);
            assert_eq!((stage.batches(), stage.last_asked("a").await.parked), (calls + 1, false));
            stage.settle().await;
            assert_eq!((stage.batches(), stage.problem().await), (calls + 2, None));
        }
        stage.check().await;
        stage.close().await;
    }

    /// After "Reduce the amount of data", the next call has half the rows. Later calls grow back.
    async fn too_much_data_halves_the_call(stage) {
        stage.strike("items_batch", too_much());
        let ids: Vec<String> = (0..8).map(|n| format!("v{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        stage.sell(&ids, 100).await;
        stage.settle().await;
        let rows: Vec<i64> = stage.sent().await.iter().map(|sent| sent.rows).collect();
        assert_eq!(rows, [8, 4, 4]);
        assert_eq!(stage.channel().await.shape.row_cap, Some(9), "4 and a half, and again");
        assert_eq!(stage.last_asked("v0").await.attempts, 1);
        stage.check().await;
        stage.close().await;
    }

    /// One row makes Meta refuse every call that contains it. The row is isolated and fails alone, and the cap grows
    /// back to the setting.
    async fn a_bad_row_is_found_and_fails_alone(stage) {
        stage.set(json!({"batch_size": 16})).await;
        // Meta accepts a body with all other rows, but no body with the fat row.
        stage.meta.configure(|world| world.rules.max_body_bytes = 9_500);
        let mut fat = product("fat", &[variant("fat", 100)]);
        fat["description"] = json!("x".repeat(9_900));
        let thin = |range: std::ops::Range<u32>| -> Vec<_> { range.map(|n| variant(&format!("v{n:02}"), 100)).collect() };
        stage.import(&[product("a", &thin(0..5))]).await;
        stage.import(&[fat]).await;
        stage.import(&[product("p", &thin(5..16))]).await;
        stage.settle().await;
        assert!(stage.is("fat", SyncStatus::Failed).await, "{:?}", stage.sent().await);
        let held = stage.held("fat").await;
        assert_eq!((held.attempts, held.at_meta, held.hash), (1, false, None));
        assert!(stage.last_error("fat").await.expect("Meta's words").contains("reduce the amount of data"));
        assert_eq!(stage.last_asked("fat").await.outcome.as_deref(), Some("failed"));
        for n in 0..16 {
            assert!(stage.is(&format!("v{n:02}"), SyncStatus::Synced).await, "v{n:02}");
        }
        let alone: Vec<_> = stage.sent().await.into_iter().filter(|sent| sent.rows == 1 && sent.state == "failed").collect();
        assert_eq!(alone.len(), 1, "found once");
        // Every accepted call raises the cap, until it reaches the setting again.
        for price in 200.. {
            if stage.channel().await.shape.row_cap.is_none() {
                break;
            }
            assert!(price < 220, "the cap never grew back: {:?}", stage.channel().await);
            stage.sell(&["v15"], price).await;
            stage.settle().await;
        }
        stage.close().await;
    }

    /// A backlog in the lanes before it does not hide the row at fault.
    async fn a_bad_row_is_found_behind_changes_of_other_lanes(stage) {
        let stock: Vec<String> = (0..1_000).map(|n| format!("s{n:03}")).collect();
        stage.sell(&stock.iter().map(String::as_str).collect::<Vec<_>>(), 100).await;
        stage.settle().await;

        stage.set(json!({"batch_size": 16})).await;
        stage.meta.configure(|world| world.rules.max_body_bytes = 9_500);
        stage.sql("UPDATE product_variant SET price = 200").await;
        stage.ask(&stock, Intent::Upsert, Origin::Operator).await;
        let mut fat = product("fat", &[variant("fat", 100)]);
        fat["description"] = json!("x".repeat(9_900));
        let thin: Vec<_> = (0..30).map(|n| variant(&format!("v{n:02}"), 100)).collect();
        stage.import(&[fat]).await;
        stage.import(&[product("q", &thin)]).await;
        stage
            .until("the row at fault is found", async || {
                stage.last_error("fat").await.is_some_and(|error| error.contains("reduce the amount of data"))
            })
            .await;
        let waiting = "SELECT COUNT(*) FROM meta_outbox WHERE processed_at IS NULL AND lane = 0";
        assert!(stage.count(waiting).await > 500, "it is found while stock changes wait");
        stage.settle().await;
        let failed = "SELECT variant_id FROM meta_sync_state WHERE status <> 'synced'";
        assert_eq!(stage.rows::<(String,)>(failed).await, [("fat".to_owned(),)]);
        stage.close().await;
    }

    /// After four refusals in a row without a success, the channel pauses and no row is blamed.
    async fn four_refusals_in_a_row_pause(stage) {
        stage.strikes("items_batch", 0, 4, graph_error(100, None));
        let ids: Vec<String> = (0..64).map(|n| format!("v{n:02}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        stage.sell(&ids, 100).await;
        stage.until("the channel pauses", async || stage.channel().await.breaker.failures() == 1).await;
        assert_eq!(stage.sent().await.iter().map(|sent| sent.rows).collect::<Vec<_>>(), [64, 32, 16, 8]);
        assert_eq!(stage.problem().await.expect("a problem").code, "meta_refused");
        assert!(stage.is("v00", SyncStatus::Pending).await, "the state is untouched");
        let until = stage.channel().await.breaker.open_until().expect("open");
        stage.almost(until).await;
        assert_eq!(stage.batches(), 4, "paused");
        stage.settle().await;
        assert_eq!(stage.problem().await, None);
        assert_eq!(stage.sent().await[4].rows, 4);
        stage.check().await;
        stage.close().await;
    }

    /// Meta refuses everything. After a few rows that were refused alone, the channel is blamed and the backlog stays.
    async fn row_after_row_refused_blames_the_channel(stage) {
        stage.meta.configure(|world| world.rules.max_body_bytes = 10);
        let ids: Vec<String> = (0..12).map(|n| format!("v{n:02}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        stage.sell(&ids, 100).await;
        for calls in 1..=20 {
            stage.wait("another call was refused", async || {
                stage.sent().await.iter().filter(|sent| sent.state == "failed").count() >= calls
            }).await;
            stage.pass(15 * 60_000);
        }
        let mut failed = 0;
        for id in &ids {
            failed += usize::from(stage.is(id, SyncStatus::Failed).await);
        }
        assert_eq!(failed, 3);
        stage.meta.configure(|world| world.rules.max_body_bytes = 28 << 20);
        // A call that was refused in between has opened the breaker again.
        stage.look_twice(15 * 60_000).await;
        stage.settle().await;
        for id in &ids[3..] {
            assert!(stage.is(id, SyncStatus::Synced).await, "{id}");
        }
        assert_eq!(stage.bootstrap().await, 12);
        stage.settle().await;
        stage.check().await;
        stage.close().await;
    }

    /// Adjacent bad rows do not block the good row behind them.
    async fn bad_neighbours_do_not_block_the_rest(stage) {
        stage.meta.configure(|world| world.rules.max_body_bytes = 9_000);
        let fat: Vec<_> = (0..6).map(|n| variant(&format!("fat{n}"), 100)).collect();
        let mut fat = product("fat", &fat);
        fat["description"] = json!("x".repeat(9_900));
        stage.import(&[fat, product("p", &[variant("thin", 100)])]).await;
        stage.until("the good one is through", async || stage.is("thin", SyncStatus::Synced).await).await;
        stage.settle().await;
        for n in 0..6 {
            assert!(stage.is(&format!("fat{n}"), SyncStatus::Failed).await, "fat{n}");
        }
        stage.close().await;
    }

    /// Subcode 33 means that the catalog is gone or hidden. It is a fault of the channel, never of the rows, however
    /// few they are.
    async fn a_hidden_catalog_pauses_and_blames_no_row(stage) {
        stage.strikes("items_batch", 0, 2, graph_error(100, Some(33)));
        stage.sell(&["a"], 100).await;
        stage.wait("the channel pauses", async || stage.channel().await.breaker.failures() == 1).await;
        let told = stage.problem().await.expect("a problem");
        assert_eq!(told.code, "meta_catalog_gone");
        assert!(told.message.contains("select a catalog again"), "{}", told.message);
        assert_eq!(stage.channel().await.shape.row_cap, None, "nothing to make smaller");
        let asked = stage.last_asked("a").await;
        assert_eq!((asked.attempts, asked.outcome, asked.parked), (1, None, false));
        assert!(stage.is("a", SyncStatus::Pending).await);
        stage.settle().await;
        assert_eq!((stage.batches(), stage.problem().await), (3, None));
        stage.check().await;
        stage.close().await;
    }
}
