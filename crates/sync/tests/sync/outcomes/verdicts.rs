//! The statuses that Meta reports for a batch it accepted, status by status and error list by error list.

use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::state::SyncStatus;
use graph_simulator::Kind;
use serde_json::json;

use super::on_both;
use testkit::{CATALOG, Stage, graph_error, product, variant};

const POLL: &str = "check_batch_request_status";
const SECOND_CATALOG: &str = "4000000002";

/// Waits until the poll was called `more` more times.
async fn polled(stage: &Stage, more: u64) {
    let before = stage.meta.calls().check_batch;
    stage.until("Meta was asked", async || stage.meta.calls().check_batch >= before + more).await;
}

on_both! {
    /// `scheduled`, `dispatched` and `started` wait. Only `finished` is final.
    async fn every_word_before_finished_waits(stage) {
        stage.meta.configure(|world| world.times.processing_ms = 120_000);
        stage.sell(&["a"], 100).await;
        stage.wait("a was sent", async || stage.is("a", SyncStatus::Submitted).await).await;
        let taken = stage.now();
        // One quarter each for `scheduled` and `dispatched`, then `started`.
        for quarter in 0..4 {
            stage.pass(taken + quarter * 30_000 + 1 - stage.now());
            // The pause between two polls is longer than a quarter in the end.
            polled(&stage, 1).await;
            assert!(stage.is("a", SyncStatus::Submitted).await, "quarter {quarter}");
        }
        stage.settle().await;
        assert!(stage.is("a", SyncStatus::Synced).await);
        assert!(stage.now() >= taken + 120_000);
        stage.check().await;
        stage.close().await;
    }

    /// Upper case does not change the meaning of a status.
    async fn case_does_not_matter(stage) {
        stage.strike("items_batch", Kind::StatusUppercase {});
        stage.sell(&["a"], 100).await;
        stage.settle().await;
        assert!(stage.is("a", SyncStatus::Synced).await);
        stage.strike("items_batch", Kind::HandleCanceled {});
        stage.strike("items_batch", Kind::StatusUppercase {});
        stage.sell(&["a"], 200).await;
        stage.settle().await;
        assert_eq!(stage.sent().await[1].reason.as_deref(), Some("canceled"));
        stage.check().await;
        stage.close().await;
    }

    /// An unknown status is not final.
    async fn an_unknown_word_waits(stage) {
        for word in ["in_progress", "failed", ""] {
            stage.strikes(POLL, 0, 3, Kind::StatusUnknown { word: word.into() });
            let before = stage.meta.calls().check_batch;
            stage.sell(&["a"], 100 + i64::try_from(before).expect("small")).await;
            stage.until("Meta has said the word twice", async || stage.meta.calls().check_batch >= before + 2).await;
            assert!(stage.is("a", SyncStatus::Submitted).await, "{word:?}");
            stage.settle().await;
            assert!(stage.is("a", SyncStatus::Synced).await, "{word:?}");
        }
        stage.close().await;
    }

    /// After `canceled` and `error` nothing was done, so every row fails with the status and is queued again.
    async fn canceled_and_error_are_sent_again(stage) {
        for (kind, word) in [(Kind::HandleCanceled {}, "canceled"), (Kind::HandleError {}, "error")] {
            let earlier = stage.sent().await.len();
            stage.strike("items_batch", kind);
            stage.sell(&["a", "b"], 100 + i64::try_from(earlier).expect("small")).await;
            stage.settle().await;
            let sent = stage.sent().await;
            assert_eq!((sent[earlier].state.as_str(), sent[earlier].reason.as_deref()), ("failed", Some(word)));
            assert_eq!((sent.len(), sent[earlier + 1].rows), (earlier + 2, 2), "{word}");
            let held = stage.held("a").await;
            assert_eq!((held.status, held.attempts), (SyncStatus::Synced, 0), "{word}");
            stage.check().await;
        }
        // A delete that Meta did not run is sent again as a delete.
        stage.strike("items_batch", Kind::HandleCanceled {});
        stage.archive(true).await;
        stage.settle().await;
        assert_eq!((stage.item("a"), stage.item("b")), (None, None));
        assert!(stage.is("a", SyncStatus::Deleted).await);
        stage.check().await;
        stage.close().await;
    }

    /// Retries with fresh intents end at `max_attempts`. The row stays failed until a new request.
    async fn fresh_intents_end_at_max_attempts(stage) {
        stage.set(json!({"max_attempts": 3})).await;
        stage.strikes("items_batch", 0, 10, Kind::HandleError {});
        stage.sell(&["a"], 100).await;
        stage.settle().await;
        assert_eq!(stage.batches(), 3);
        let held = stage.held("a").await;
        assert_eq!((held.status, held.attempts, held.hash), (SyncStatus::Failed, 3, None));
        assert_eq!(stage.last_error("a").await.as_deref(), Some("error"));
        stage.meta.clear_faults();
        stage.ask(&["a"], Intent::Upsert, Origin::Operator).await;
        stage.settle().await;
        assert_eq!(stage.held("a").await.attempts, 0);
        stage.check().await;
        stage.close().await;
    }

    /// A repeated delete gives way to an intent that arrived meanwhile.
    async fn a_repeated_intent_does_not_beat_a_newer_one(stage) {
        stage.sell(&["a"], 100).await;
        stage.settle().await;
        stage.strike("items_batch", Kind::HandleCanceled {});
        stage.strike("items_batch", Kind::HandleSlow { ms: 20_000 });
        stage.ask(&["a"], Intent::Delete, Origin::Event).await;
        stage.wait("the delete is under way", async || stage.is("a", SyncStatus::Submitted).await).await;
        stage.ask(&["a"], Intent::Upsert, Origin::Event).await;
        stage.settle().await;
        assert!(stage.is("a", SyncStatus::Synced).await);
        assert!(stage.item("a").is_some());
        stage.check().await;
        stage.close().await;
    }

    /// An operator's delete that Meta did not run is repeated, even when a re-map has queued the variant. Events take
    /// precedence over it.
    async fn an_operators_delete_is_repeated(stage) {
        stage.sell(&["a"], 100).await;
        stage.settle().await;
        stage.strike("items_batch", Kind::HandleCanceled {});
        stage.strike("items_batch", Kind::HandleSlow { ms: 20_000 });
        stage.ask(&["a"], Intent::Delete, Origin::Operator).await;
        stage.wait("the delete is under way", async || stage.is("a", SyncStatus::Submitted).await).await;
        stage.ask(&["a"], Intent::Upsert, Origin::Recovery).await;
        stage.settle().await;
        assert!(stage.is("a", SyncStatus::Deleted).await);
        assert!(stage.item("a").is_none());
        stage.close().await;
    }

    /// A delete without a request behind it is not simply repeated: its variant is decided again.
    async fn an_implicit_delete_is_decided_anew(stage) {
        stage.sell(&["a"], 100).await;
        stage.settle().await;
        stage.strike("items_batch", Kind::HandleCanceled {});
        stage.strike("items_batch", Kind::HandleSlow { ms: 20_000 });
        stage.archive(true).await;
        stage.wait("the delete is under way", async || stage.is("a", SyncStatus::Submitted).await).await;
        stage.restore_silently().await;
        stage.settle().await;
        assert!(stage.is("a", SyncStatus::Synced).await);
        assert!(stage.item("a").is_some());
        stage.check().await;
        stage.close().await;
    }

    /// A handle that never ends times out, and its rows are sent again.
    async fn a_handle_that_never_ends_times_out(stage) {
        stage.set(json!({"handle_poll_max_age_minutes": 5})).await;
        stage.strike("items_batch", Kind::HandleNeverEnds {});
        stage.sell(&["a"], 100).await;
        stage.wait("a was sent", async || stage.is("a", SyncStatus::Submitted).await).await;
        stage.pass(2 * 60_000);
        // Two polls are needed, because the first one may have been sent before the clock moved.
        polled(&stage, 2).await;
        assert!(stage.is("a", SyncStatus::Submitted).await, "not yet");
        stage.pass(3 * 60_000);
        stage.settle().await;
        let sent = stage.sent().await;
        assert_eq!(sent[0].reason.as_deref(), Some("poll_timeout"));
        assert_eq!(sent.len(), 2);
        assert!(stage.is("a", SyncStatus::Synced).await);
        stage.check().await;
        stage.close().await;
    }

    /// A night of downtime does not time out a handle that finished meanwhile.
    async fn a_night_of_downtime_costs_nothing(stage) {
        stage.set(json!({"handle_poll_max_age_minutes": 5})).await;
        stage.meta.configure(|world| world.times.processing_ms = 60_000);
        stage.sell(&["a"], 100).await;
        stage.wait("a was sent", async || stage.is("a", SyncStatus::Submitted).await).await;
        let stage = stage.restart(8 * 3_600_000).await;
        stage.settle().await;
        assert!(stage.is("a", SyncStatus::Synced).await);
        assert_eq!((stage.batches(), stage.sent().await[0].state.as_str()), (1, "completed"));
        stage.check().await;
        stage.close().await;
    }

    /// A night of failed polls does not time out a handle: only a response past the limit does.
    async fn only_an_answered_poll_times_out(stage) {
        stage.set(json!({"handle_poll_max_age_minutes": 5})).await;
        stage.meta.configure(|world| world.times.processing_ms = 60_000);
        stage.sell(&["a"], 100).await;
        stage.wait("a was sent", async || stage.is("a", SyncStatus::Submitted).await).await;
        stage.strikes(POLL, 0, 4, Kind::Html502 { after_accept: false });
        stage.pass(3_600_000);
        polled(&stage, 4).await;
        assert_eq!(stage.problem().await.expect("the polls tell").code, "meta_unreachable");
        stage.settle().await;
        assert_eq!(stage.problem().await, None);
        assert_eq!((stage.batches(), stage.sent().await[0].state.as_str()), (1, "completed"));
        stage.check().await;
        stage.close().await;
    }

    /// A response that arrives past the limit to a poll sent before it does not count as a timeout.
    async fn an_answer_that_was_asked_for_in_time_is_no_timeout(stage) {
        stage.set(json!({"handle_poll_max_age_minutes": 5})).await;
        stage.strike("items_batch", Kind::HandleNeverEnds {});
        stage.strike(POLL, Kind::Held {});
        stage.sell(&["a"], 100).await;
        stage.wait("the question is under way", async || stage.meta.calls().check_batch == 1).await;
        stage.pass(3_600_000);
        stage.meta.clear_faults();
        stage.settle().await;
        assert_eq!(stage.sent().await[0].reason.as_deref(), Some("poll_timeout"));
        assert_eq!(stage.meta.calls().check_batch, 3, "asked again before it timed out, and then its successor");
        stage.check().await;
        stage.close().await;
    }

    /// A throttled poll closes the bucket for polls, also across a restart of the service.
    async fn a_throttled_poll_waits_across_a_restart(stage) {
        stage.strike("items_batch", Kind::HandleSlow { ms: 1_000 });
        stage.strike(POLL, Kind::Throttle { regain_minutes: 5 });
        stage.sell(&["a"], 100).await;
        stage.until("the poll is throttled", async || stage.meta.calls().throttled == 1).await;
        stage.look_twice(1_000).await;
        let stage = stage.restart(60_000).await;
        let polls = stage.meta.calls().check_batch;
        stage.look_twice(60_000).await;
        assert_eq!(stage.meta.calls().check_batch, polls);
        stage.pass(5 * 60_000);
        stage.settle().await;
        stage.check().await;
        stage.close().await;
    }

    /// After three responses in a row that do not know the handle, it is lost and the rows are sent again. Two are not
    /// enough.
    async fn an_unknown_handle_is_given_up_after_three_answers(stage) {
        stage.strikes(POLL, 0, 2, graph_error(100, None));
        stage.sell(&["a"], 100).await;
        stage.settle().await;
        assert_eq!((stage.batches(), stage.sent().await[0].state.as_str()), (1, "completed"));

        // A failed poll in between does not count as a response.
        stage.strikes(POLL, 0, 2, graph_error(100, None));
        stage.strikes(POLL, 2, 1, Kind::Html502 { after_accept: false });
        stage.strikes(POLL, 3, 1, graph_error(100, None));
        stage.sell(&["a"], 200).await;
        stage.settle().await;
        assert_eq!(stage.sent().await[1].reason.as_deref(), Some("unknown_handle"));
        assert_eq!((stage.batches(), stage.held("a").await.attempts), (3, 0));
        stage.check().await;
        stage.close().await;
    }

    /// The list of ids is complete, whatever the sample of messages. Every other row is synced.
    async fn a_sample_with_the_list_of_ids(stage) {
        let ids: Vec<String> = (0..12).map(|n| format!("v{n:02}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        for id in &ids[..9] {
            stage.meta.reject(id, "Bad picture");
        }
        stage.sell(&ids, 100).await;
        stage.settle().await;
        let mut told = 0;
        for id in &ids[..9] {
            assert!(stage.is(id, SyncStatus::Failed).await, "{id}");
            told += usize::from(stage.last_error(id).await.as_deref() == Some("Bad picture"));
        }
        assert_eq!(told, 5, "Meta's sample; the others are named without a message");
        for id in &ids[9..] {
            assert!(stage.is(id, SyncStatus::Synced).await, "{id}");
        }
        let errors = stage.sent().await[0].errors.clone().expect("kept");
        assert_eq!(errors["errors"].as_array().expect("a list").len(), 5);
        assert_eq!(errors["errors_total_count"], 9);
        assert_eq!(errors["ids_of_invalid_requests"].as_array().expect("a list").len(), 9);
        stage.close().await;
    }

    /// Without the list of ids, the outcome of a row that is not named is unknown: it fails, and nothing is claimed.
    async fn a_sample_without_the_list_of_ids(stage) {
        stage.strike("items_batch", Kind::IncompleteErrors { keep: 1 });
        for id in ["a", "b"] {
            stage.meta.reject(id, "Bad picture");
        }
        stage.sell(&["a", "b", "c"], 100).await;
        stage.settle().await;
        let mut reasons = Vec::new();
        for id in ["a", "b", "c"] {
            let held = stage.held(id).await;
            assert_eq!((held.status, held.hash, held.at_meta), (SyncStatus::Failed, None, true), "{id}");
            reasons.push(stage.last_error(id).await.expect("a reason"));
        }
        assert_eq!(reasons.iter().filter(|reason| *reason == "Bad picture").count(), 1);
        assert_eq!(reasons.iter().filter(|reason| reason.starts_with("verdict incomplete")).count(), 2);
        assert_eq!(stage.batches(), 1, "no fresh intents for it");
        stage.close().await;
    }

    /// An id that is named once per error results in one failed row with both messages.
    async fn repeated_ids_are_one_row(stage) {
        stage.meta.configure(|world| (world.rules.title_limit, world.rules.description_limit) = (12, 12));
        let mut long = product("long", &[variant("a", 100)]);
        (long["title"], long["description"]) = (json!("A title too long"), json!("A description too long"));
        stage.import(&[long, product("p", &[variant("b", 100)])]).await;
        stage.settle().await;
        let held = stage.held("a").await;
        assert_eq!((held.status, held.attempts), (SyncStatus::Failed, 1));
        let errors = stage.sent().await[0].errors.clone().expect("kept");
        assert_eq!(errors["errors_total_count"], 2);
        let told = stage.last_error("a").await.expect("a reason");
        assert!(told.contains("title") && told.contains("description"), "{told}");
        assert!(stage.is("b", SyncStatus::Synced).await);
        stage.close().await;
    }

    /// A delete that returns an error is settled by a look-up: an absent item is deleted, a present one is failed.
    async fn an_errored_delete_is_looked_up(stage) {
        stage.meta.configure(|world| world.rules.delete_missing_is_error = true);
        stage.sell(&["gone", "there"], 100).await;
        stage.settle().await;
        // The first delete is carried out but its response is lost. The second finds nothing to delete.
        stage.meta.reject("there", "Locked");
        stage.strike("items_batch", Kind::DropAfterAccept {});
        stage.archive(true).await;
        stage.settle().await;
        assert!(stage.is("gone", SyncStatus::Deleted).await);
        let there = stage.held("there").await;
        assert_eq!((there.status, there.at_meta), (SyncStatus::Failed, true));
        assert_eq!(stage.last_error("there").await.as_deref(), Some("Locked"));
        assert!(stage.item("there").is_some());
        stage.close().await;
    }

    /// When the look-up fails, the verdict waits for it.
    async fn a_failed_look_up_is_repeated(stage) {
        stage.meta.configure(|world| world.rules.delete_missing_is_error = true);
        stage.sell(&["a"], 100).await;
        stage.settle().await;
        stage.strike("items_batch", Kind::DropAfterAccept {});
        stage.strikes("products", 0, 2, Kind::Html502 { after_accept: false });
        stage.archive(true).await;
        stage.settle().await;
        assert!(stage.is("a", SyncStatus::Deleted).await);
        stage.check().await;
        stage.close().await;
    }

    /// The handle of a catalog that is no longer selected is polled at its own catalog. Its verdict does not change
    /// rows that now wait for another handle.
    async fn a_verdict_touches_only_its_own_handle(stage) {
        stage.strike("items_batch", Kind::HandleError {});
        stage.strike("items_batch", Kind::HandleSlow { ms: 10_000 });
        stage.sell(&["a"], 100).await;
        stage.wait("a was sent", async || stage.is("a", SyncStatus::Submitted).await).await;
        stage.strike("items_batch", Kind::HandleSlow { ms: 60_000 });
        stage.pass(2);
        stage.set(json!({"catalog_id": SECOND_CATALOG})).await;
        assert_eq!(stage.bootstrap().await, 1);
        stage.until("a was sent to the other catalog", async || stage.sent().await.len() == 2).await;
        stage.until("the first handle has its verdict", async || {
            stage.sent().await.iter().any(|sent| sent.catalog == CATALOG && sent.reason.as_deref() == Some("error"))
        }).await;
        let held = stage.held("a").await;
        assert_eq!((held.status, held.attempts), (SyncStatus::Submitted, 0));
        assert!(held.hash.is_some());
        stage.settle().await;
        assert!(stage.is("a", SyncStatus::Synced).await);
        assert_eq!(stage.asked("a").await.len(), stage.sent().await.len(), "no intent from the old verdict");
        assert!(stage.meta.items(SECOND_CATALOG).expect("a catalog").contains_key("a"));
        assert_eq!(stage.item("a"), None, "the error left nothing in the first");
        stage.close().await;
    }

    /// A previous catalog that the account may no longer see is not a fault of the channel.
    async fn an_old_catalog_that_is_hidden_stops_nothing(stage) {
        stage.set(json!({"handle_poll_max_age_minutes": 1})).await;
        stage.strike("items_batch", Kind::HandleNeverEnds {});
        stage.sell(&["a"], 100).await;
        stage.wait("a was sent", async || stage.is("a", SyncStatus::Submitted).await).await;
        stage.set(json!({"catalog_id": SECOND_CATALOG})).await;
        assert_eq!(stage.bootstrap().await, 1);
        stage.until("a is in the other catalog", async || stage.is("a", SyncStatus::Synced).await).await;
        stage.strikes(POLL, 0, 2, graph_error(200, None));
        stage.strikes(POLL, 2, 2, graph_error(100, Some(33)));
        polled(&stage, 3).await;
        assert_eq!(stage.problem().await, None);
        stage.sell(&["a"], 200).await;
        stage.pass(61_000);
        stage.settle().await;
        assert!(stage.is("a", SyncStatus::Synced).await);
        assert_eq!(stage.sent().await[0].reason.as_deref(), Some("poll_timeout"));
        stage.close().await;
    }

    /// Sixteen handles that never end do not delay the verdict of the seventeenth.
    async fn endless_handles_do_not_starve_the_next(stage) {
        stage.set(json!({"batch_size": 1, "handles_per_poll_tick": 16})).await;
        stage.strikes("items_batch", 0, 16, Kind::HandleNeverEnds {});
        let ids: Vec<String> = (0..17).map(|n| format!("v{n:02}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        stage.sell(&ids, 100).await;
        stage.until("all are sent", async || stage.sent().await.len() == 17).await;
        stage.until("the seventeenth is synced", async || stage.is("v16", SyncStatus::Synced).await).await;
        for id in &ids[..16] {
            assert!(stage.is(id, SyncStatus::Submitted).await, "{id}");
        }
        stage.close().await;
    }

    /// On an interval, a round that the limiter spreads out ends with the last handle and does not start over.
    async fn an_interval_polls_each_handle_once(stage) {
        stage.set(json!({"batch_size": 1, "drain_pacing": "interval", "poll_interval_seconds": 60})).await;
        stage.strikes("items_batch", 0, 3, Kind::HandleNeverEnds {});
        stage.sell(&["a", "b", "c"], 100).await;
        stage.until("all are sent", async || stage.sent().await.len() == 3).await;
        let before = stage.meta.calls().check_batch;
        let from = stage.now();
        stage.until("a minute has passed", async || stage.now() >= from + 60_000).await;
        let polls = stage.meta.calls().check_batch - before;
        assert!((3..=9).contains(&polls), "{polls} polls of three handles in a minute");
        stage.close().await;
    }

    /// A response with two handles: a row is synced when both are finished, whichever handle it belongs to.
    async fn two_handles_count_when_both_are_final(stage) {
        stage.strike("items_batch", Kind::TwoHandles {});
        stage.meta.reject("d", "Bad picture");
        // The second handle of each round is still in progress.
        for round in 0..3 {
            stage.strikes(POLL, 2 * round + 1 - round, 1, Kind::StatusUnknown { word: "started".into() });
        }
        stage.sell(&["a", "b", "c", "d"], 100).await;
        stage.until("both handles were asked for", async || stage.meta.calls().check_batch >= 4).await;
        assert!(stage.is("a", SyncStatus::Submitted).await, "its own handle is finished, or the other is");
        stage.settle().await;
        for id in ["a", "b", "c"] {
            assert!(stage.is(id, SyncStatus::Synced).await, "{id}");
        }
        assert!(stage.is("d", SyncStatus::Failed).await);
        assert_eq!(stage.sent().await.len(), 1);

        // One of the handles is canceled. Meta does not report which rows it covers, so all rows are sent again.
        stage.meta.clear_rejects();
        stage.strike("items_batch", Kind::TwoHandles {});
        stage.strike(POLL, Kind::HandleCanceled {});
        stage.sell(&["a", "b", "c", "d"], 200).await;
        stage.settle().await;
        let sent = stage.sent().await;
        assert_eq!((sent.len(), sent[1].reason.as_deref(), sent[2].rows), (3, Some("canceled"), 4));
        stage.check().await;
        stage.close().await;
    }
}
