//! The effect of a swap on the pushed items, and the behaviour when the active module does not run.

use catalog_sync::admin::AdminError as Refusal;
use catalog_sync::admin::mapper::{self, Source};
use catalog_sync::admin::status;
use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::reask::Reason;
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::mapping::activation::{Found, Standing, found};
use catalog_sync::store::outbox::{self, Cursor};
use catalog_sync::store::{self, PgTx, SqliteTx, Tx};
use graph_simulator::{Fault, Kind};
use serde_json::{Value, json};

use testkit::modules::{digest, module};
use testkit::{Engine, Shop, product, variant};

/// Defines each test twice, once per database.
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($shop:ident) $body:block)+) => {
        $($(#[$doc])* async fn $name($shop: Shop) $body)+
        mod sqlite {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(Shop::open(Engine::Sqlite).await).await; })+
        }
        mod postgres {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(Shop::open(Engine::Postgres).await).await; })+
        }
    };
}

/// Returns a variant with a cost; `None` means without one.
fn costing(id: &str, price: i64, cost: Option<i64>) -> Value {
    let mut variant = variant(id, price);
    if let Some(cost) = cost {
        variant["extra"] = json!({ "cost": cost });
    }
    variant
}

/// Returns a variant on which the module `fixtures/evil` misbehaves.
fn evil(id: &str, price: i64, kind: &str) -> Value {
    let mut variant = variant(id, price);
    variant["extra"] = json!({ "evil": kind });
    variant
}

async fn execute(tx: &mut Tx, sql: &'static str) {
    match tx {
        Tx::Sqlite(SqliteTx::Transaction(tx)) => sqlx::query(sql).execute(&mut **tx).await.map(|_| ()),
        Tx::Postgres(PgTx::Transaction(tx)) => sqlx::query(sql).execute(&mut **tx).await.map(|_| ()),
        _ => panic!("no transaction"),
    }
    .expect("executed");
}

async fn rows(shop: &Shop, sql: &'static str) -> Vec<(String, Option<String>)> {
    match shop.db() {
        catalog_sync::store::Db::Sqlite { readers, .. } => sqlx::query_as(sql).fetch_all(readers).await.expect("rows"),
        catalog_sync::store::Db::Postgres { pool, .. } => sqlx::query_as(sql).fetch_all(pool).await.expect("rows"),
    }
}

on_both! {
    /// A re-map sends only the words that differ under the new mapper, and marks them with its digest.
    async fn a_remap_sends_only_what_changed(shop) {
        let variants = [costing("a", 1_000, Some(100)), costing("b", 1_000, None), costing("c", 1_000, Some(900))];
        shop.import(&[product("p", &variants)]).await;
        shop.settle().await;
        let calls = shop.batches();
        let app = &shop.service.app;
        let margin = module("margin-label");
        let activated = mapper::activate(app, margin.clone(), Source::Api, true).await.expect("activated");
        assert!(activated.changed);
        shop.until("the re-map is done", async || {
            app.wake.reask.nudge();
            mapper::state(app).await.expect("a state").remap.is_some_and(|remap| !remap.running)
        })
        .await;
        shop.settle().await;
        assert_eq!(shop.batches(), calls + 1);
        let label = |id: &str| shop.item(id).expect("at Meta").get("custom_label_2").cloned();
        assert_eq!(
            (label("a"), label("b"), label("c")),
            (Some(json!("margin-high")), None, Some(json!("margin-low")))
        );
        let marked = rows(&shop, "SELECT variant_id, mapper_digest FROM meta_sync_state ORDER BY variant_id").await;
        let builtin = catalog_sync::mapping::builtin_digest().to_owned();
        let expected = [("a", digest(&margin)), ("b", builtin), ("c", digest(&margin))];
        assert_eq!(marked, expected.map(|(id, digest)| (id.to_owned(), Some(digest))));
        let state = mapper::state(app).await.expect("a state");
        let remap = state.remap.expect("a re-map");
        assert_eq!((remap.total, remap.queued), (3, 3));
        shop.close().await;
    }

    /// A row that failed under a module is retried automatically under the next mapper.
    async fn what_failed_under_a_module_is_tried_again(shop) {
        let app = &shop.service.app;
        shop.set(json!({ "max_attempts": 1 })).await;
        mapper::activate(app, module("fixtures/evil"), Source::Api, false).await.expect("activated");
        shop.import(&[product("p", &[evil("a", 500, "trap"), variant("b", 500)])]).await;
        shop.until("one fails", async || shop.status("a").await == Some(SyncStatus::Failed)).await;
        shop.settle().await;
        assert_eq!(shop.status("b").await, Some(SyncStatus::Synced));
        assert_eq!(shop.item("b").expect("at Meta")["custom_label_3"], "fixture");
        assert!(shop.last_error("a").await.is_some_and(|error| error.contains("trap")), "{:?}", shop.last_error("a").await);

        let back = mapper::reset(app, Source::Api, false).await.expect("reset");
        assert_eq!(back.requeued, 1);
        shop.settle().await;
        assert_eq!(shop.status("a").await, Some(SyncStatus::Synced));
        assert_eq!(shop.item("b").expect("at Meta")["custom_label_3"], "fixture", "no re-map: as it was");
        shop.close().await;
    }

    /// A call is in flight during a swap and fails because of the old module's word. It is retried with the new module.
    async fn what_fails_after_the_swap_is_tried_again_too(shop) {
        let app = &shop.service.app;
        mapper::activate(app, module("fixtures/twin"), Source::Api, false).await.expect("activated");
        shop.meta.reject("a", "Bad label");
        let slow = Kind::HandleSlow { ms: 1_500 };
        shop.meta.plan(Fault { on: "items_batch".into(), skip: 0, times: 1, kind: slow });
        shop.import(&[product("p", &[costing("a", 1_000, Some(100))])]).await;
        shop.until("it is under way", async || shop.status("a").await == Some(SyncStatus::Submitted)).await;
        let margin = module("margin-label");
        mapper::activate(app, margin.clone(), Source::Api, false).await.expect("activated");
        shop.until("it was sent again", async || shop.batches() == 2).await;
        shop.settle().await;
        let marked = rows(&shop, "SELECT status, mapper_digest FROM meta_sync_state").await;
        assert_eq!(marked, [("failed".to_owned(), Some(digest(&margin)))]);
        assert_eq!(shop.batches(), 2, "what fails under the active module is not tried again by itself");
        shop.close().await;
    }

    /// A re-map skips variants of a call in flight, because their intents are open. They are queued after the call,
    /// including variants that the old mapper deleted.
    async fn a_remap_during_a_call_reaches_its_variants(shop) {
        let app = &shop.service.app;
        let products = |price, status: &str| {
            let mut other = product("q", &[costing("gone", 1_000, Some(100))]);
            other["status"] = json!(status);
            [product("p", &[costing("a", price, Some(100))]), other]
        };
        shop.import(&products(1_000, "active")).await;
        shop.settle().await;
        // One variant is sent at another price, and the other is not for sale now. Both are in one call that hangs.
        shop.meta.plan(Fault { on: "items_batch".into(), skip: 0, times: 1, kind: Kind::Held {} });
        let calls = shop.batches();
        shop.import(&products(1_100, "archived")).await;
        shop.until("it is under way", async || shop.batches() > calls).await;
        let restored = "UPDATE product SET status = 'active'";
        match shop.db() {
            catalog_sync::store::Db::Sqlite { writer, .. } => {
                sqlx::query(restored).execute(writer).await.map(|_| ()).expect("restored");
            }
            catalog_sync::store::Db::Postgres { pool, .. } => {
                sqlx::query("UPDATE meta_catalog.product SET status = 'active'").execute(pool).await.map(|_| ()).expect("restored");
            }
        }
        mapper::activate(app, module("margin-label"), Source::Api, true).await.expect("activated");
        shop.until("the re-map is done", async || {
            app.wake.reask.nudge();
            mapper::state(app).await.expect("a state").remap.is_some_and(|remap| !remap.running)
        })
        .await;
        shop.meta.clear_faults();
        shop.settle().await;
        for id in ["a", "gone"] {
            assert_eq!(shop.item(id).expect("at Meta")["custom_label_2"], "margin-high", "{id}");
        }
        shop.close().await;
    }

    /// An evil module passes the samples. Each kind of evil fails its own rows with a clear error, and the next tick
    /// works.
    async fn evil_costs_its_rows_and_the_next_tick_works(shop) {
        const KINDS: [&str; 10] =
            ["spin", "allocate", "trap", "overflow", "short", "long", "foreign_id", "wrong_type", "bad_json", "huge"];
        let app = &shop.service.app;
        shop.set(json!({ "max_attempts": 1 })).await;
        mapper::activate(app, module("fixtures/evil"), Source::Api, false).await.expect("activated");
        let variants: Vec<Value> = KINDS.iter().map(|kind| evil(kind, 500, kind)).collect();
        let good: Vec<Value> = (0..20).map(|n| variant(&format!("good{n:02}"), 500)).collect();
        shop.import(&[product("evil", &variants), product("good", &good)]).await;
        // Evil rows are parked at once, so only the other rows settle.
        shop.settle().await;
        for kind in KINDS {
            assert_eq!(shop.status(kind).await, Some(SyncStatus::Failed), "{kind}");
            let error = shop.last_error(kind).await.expect("an error");
            assert!(error.starts_with("the mapper module evil ("), "{kind}: {error}");
            assert_eq!(shop.item(kind), None, "{kind}");
        }
        for n in 0..20 {
            assert_eq!(shop.item(&format!("good{n:02}")).expect("at Meta")["custom_label_3"], "fixture");
        }
        let again: Vec<Value> = (0..20).map(|n| variant(&format!("good{n:02}"), 600)).collect();
        shop.import(&[product("good", &again)]).await;
        shop.settle().await;
        assert_eq!(shop.item("good07").expect("at Meta")["price"], "6.00 INR");
        let drain = shop.service.board.get("drain").expect("a drain");
        assert_eq!((drain.last_error, drain.restarts), (None, 0));
        shop.close().await;
    }

    /// A module that fails the samples, and a file that is no module, are refused with a reason. Nothing changes.
    async fn what_is_refused_changes_nothing(shop) {
        let app = &shop.service.app;
        mapper::activate(app, module("margin-label"), Source::Api, false).await.expect("activated");
        let before = mapper::state(app).await.expect("a state");
        for name in [
            "always-allocate", "always-bad-json", "always-foreign-id", "always-huge", "always-long", "always-overflow",
            "always-short", "always-spin", "always-trap", "always-wrong-type", "describe-nameless", "describe-spin",
            "imports-wasi", "other-world", "truncated",
        ] {
            let bytes = module(&format!("fixtures/{name}"));
            let refused = mapper::activate(app, bytes, Source::Api, true).await.expect_err(name);
            assert!(matches!(&refused, Refusal::Module(why) if why.len() > 20), "{name}: {refused}");
            let after = mapper::state(app).await.expect("a state");
            assert_eq!((&after.active, &after.previous, &after.remap), (&before.active, &before.previous, &before.remap));
        }
        shop.import(&[product("p", &[costing("a", 1_000, Some(100))])]).await;
        shop.settle().await;
        assert_eq!(shop.item("a").expect("at Meta")["custom_label_2"], "margin-high");
        shop.close().await;
    }

    /// A module that ran out of time may pass on a less busy machine. Its file in the watched folder is retried until
    /// it has run out of time often enough. A module that fails for another reason is refused for good.
    async fn too_little_time_is_no_last_word(shop) {
        let app = &shop.service.app;
        let spin = async |standing| found(&app.active, module("fixtures/always-spin"), standing).await.expect("tried");
        for standing in [Standing::Young, Standing::Whole] {
            let found = spin(standing).await;
            assert!(matches!(&found, Found::Slow(why) if why.contains("sample")), "{found:?}");
        }
        assert_eq!(mapper::state(app).await.expect("a state").refused, None);
        // As after two more tries, also in other processes.
        shop.sql("UPDATE mapper_trial SET tries = tries + 2").await;
        let last = spin(Standing::Whole).await;
        assert!(matches!(&last, Found::Refused(why) if why.contains("PUT /admin/meta/mapper")), "{last:?}");
        let again = spin(Standing::Whole).await;
        assert!(matches!(&again, Found::Known(Some(why)) if why.contains("tried several times")), "{again:?}");
        let refused = mapper::state(app).await.expect("a state").refused.expect("it is told");
        assert!(refused.reason.contains("tried several times"), "{}", refused.reason);
        let trap = async || found(&app.active, module("fixtures/always-trap"), Standing::Whole).await.expect("tried");
        assert!(matches!(trap().await, Found::Refused(_)));
        assert!(matches!(trap().await, Found::Known(Some(_))));
        shop.close().await;
    }

    /// A file at whose every try the service ended is not tried once more.
    async fn a_file_that_ends_the_service_is_refused(shop) {
        let app = &shop.service.app;
        let good = module("margin-label");
        let sql = format!("INSERT INTO mapper_trial (digest, tries, tried_at) VALUES ('{}', 5, 0)", digest(&good));
        shop.sql(&sql).await;
        let found = found(&app.active, good, Standing::Whole).await.expect("an answer");
        assert!(matches!(&found, Found::Refused(why) if why.contains("the service ended")), "{found:?}");
        shop.close().await;
    }

    /// The bytes stored under a digest must match it. Sending the correct file again repairs the stored copy.
    async fn a_damaged_file_is_told_and_mended_by_the_good_one(shop) {
        let twin = module("fixtures/twin");
        for bytes in [module("margin-label"), twin.clone()] {
            mapper::activate(&shop.service.app, bytes, Source::Api, false).await.expect("activated");
        }
        let mut tx = shop.db().write().await.expect("a transaction");
        let damage = "UPDATE mapper_module SET bytes = (SELECT bytes FROM mapper_module WHERE name = 'margin-label')";
        execute(&mut tx, damage).await;
        tx.commit().await.expect("committed");
        let shop = shop.restart(|_| ()).await;
        let app = &shop.service.app;
        let unusable = || app.active.unusable().map(|unusable| unusable.message);
        shop.until("it is told", async || {
            app.lease.keeper().nudge();
            unusable().is_some()
        })
        .await;
        let told = unusable().expect("told");
        assert!(told.contains("its stored file is damaged"), "{told}");
        assert_eq!(**app.active.current().key(), *"builtin");

        let again = mapper::activate(app, twin.clone(), Source::Api, false).await.expect("activated");
        assert!(!again.changed);
        assert_eq!((unusable(), &**app.active.current().key()), (None, digest(&twin).as_str()));
        let shop = shop.restart(|_| ()).await;
        let app = &shop.service.app;
        shop.until("it runs", async || **app.active.current().key() == *digest(&twin)).await;
        shop.close().await;
    }

    /// An activation decides again the work that the previous mapper left unfinished. Neither the activation nor a
    /// re-map overrides the queued intents.
    async fn a_swap_decides_anew_and_gives_way(shop) {
        let ids = ["a", "b", "c"];
        shop.import(&[product("p", &ids.map(|id| variant(id, 500)))]).await;
        shop.settle().await;
        // The transaction is never committed, so no actor sees its changes.
        let mut tx = shop.db().write().await.expect("a transaction");
        let tx = &mut tx;
        let open = async |tx: &mut Tx| {
            let window = outbox::read_window(tx, Cursor::default(), 100).await.expect("a window");
            window.map_or_else(Vec::new, |window| window.rows)
        };
        outbox::append(tx, &["b".into()], Intent::Upsert, Origin::Event, 1).await.expect("asked");
        let held = open(tx).await[0].seq;
        outbox::hold(tx, &[held], 1).await.expect("held");
        outbox::append(tx, &["a".into()], Intent::Delete, Origin::Operator, 1).await.expect("asked");
        let total = store::reask::count(tx, Reason::Remap).await.expect("a count");
        store::reask::begin(tx, Reason::Remap, Some(total), 2).await.expect("begun");
        let remap = async |tx: &mut Tx| store::reask::find(tx, Reason::Remap).await.expect("read").expect("a re-map");
        let begun = remap(tx).await;
        assert_eq!(store::reask::step(tx, &begun, None, 2, 3).await.expect("a step"), store::reask::Step::More);
        let halfway = remap(tx).await;
        assert_eq!((halfway.after_id.as_str(), halfway.queued, halfway.total), ("b", 2, Some(3)));

        execute(tx, "UPDATE meta_sync_state SET status = 'failed' WHERE variant_id IN ('a', 'c')").await;
        assert_eq!(store::mapper::activate(tx, "other", "other", "api", 4).await.expect("activated"), Some(1));
        let anew = remap(tx).await;
        assert_eq!((anew.after_id.as_str(), anew.queued, anew.total, anew.started_at), ("", 0, Some(3), 4));
        assert_eq!(outbox::backlog(tx).await.expect("a backlog").held, 0);
        let rows: Vec<_> = open(tx).await.into_iter().map(|r| (r.variant_id, r.intent, r.origin, r.released)).collect();
        let expected = [
            ("a", Intent::Delete, Origin::Operator),
            ("b", Intent::Upsert, Origin::Event),
            ("b", Intent::Upsert, Origin::Recovery),
            ("c", Intent::Upsert, Origin::Recovery),
        ];
        assert_eq!(rows, expected.map(|(id, intent, origin)| (id.to_owned(), intent, origin, false)));
        // Activating the active mapper again does nothing.
        assert_eq!(store::mapper::activate(tx, "other", "other", "api", 5).await.expect("activated"), None);
    }

    /// When a module does not run here, nothing is sent, another replica can take the lease, operators see the problem,
    /// and a reset is possible.
    async fn an_unusable_module_stops_the_pipeline_until_it_is_replaced(shop) {
        shop.import(&[product("p", &[variant("a", 500)])]).await;
        shop.settle().await;
        mapper::activate(&shop.service.app, module("fixtures/twin"), Source::Api, false).await.expect("activated");
        // This simulates a service that is too old for the module: the stored module does not load.
        let damage = "UPDATE mapper_module SET bytes = CAST('no module' AS @)";
        match shop.db() {
            catalog_sync::store::Db::Sqlite { writer, .. } => {
                let damage = sqlx::AssertSqlSafe(damage.replace('@', "BLOB"));
                sqlx::query(damage).execute(writer).await.expect("damaged");
            }
            catalog_sync::store::Db::Postgres { pool, .. } => {
                let damage = sqlx::AssertSqlSafe(damage.replace('@', "BYTEA"));
                sqlx::query(damage).execute(pool).await.expect("damaged");
            }
        }
        let shop = shop.restart(|_| ()).await;
        let app = &shop.service.app;
        let told = async || status::status(app).await.expect("a status").problem;
        shop.until("it is told", async || {
            app.lease.keeper().nudge();
            told().await.is_some_and(|problem| problem.code == "mapper_unusable")
        })
        .await;
        let problem = told().await.expect("a problem");
        assert!(problem.message.contains("reset to the built-in mapper"), "{}", problem.message);
        assert_eq!(app.lease.current(), None);
        let calls = shop.batches();
        shop.import(&[product("p", &[variant("a", 700)])]).await;
        let looks = shop.service.board.get("drain").expect("a drain").ticks + 2;
        shop.until("the drain has looked", async || {
            app.wake.drain.nudge();
            app.lease.keeper().nudge();
            shop.service.board.get("drain").is_some_and(|drain| drain.ticks >= looks)
        })
        .await;
        assert_eq!((shop.batches(), app.lease.current()), (calls, None));

        mapper::reset(app, Source::Api, false).await.expect("reset");
        app.lease.keeper().nudge();
        shop.settle().await;
        assert_eq!(shop.item("a").expect("at Meta")["price"], "7.00 INR");
        assert_eq!(told().await.map(|problem| problem.code), None);
        shop.close().await;
    }
}
