//! The pipeline end to end: the real service over the real HTTP of the simulator, on both databases.

use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::state::SyncStatus;
use serde_json::json;

use testkit::{Engine, Shop, product, variant};

/// Each test twice, once a database.
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($shop:ident) $body:block)+) => {
        $($(#[$doc])* async fn $name($shop: Shop) $body)+
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::Shop::open(super::Engine::Sqlite).await).await; })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::Shop::open(super::Engine::Postgres).await).await; })+
        }
    };
}

on_both! {
    /// From an import to "synced", and from there: nothing to do, one price, an archive, a delete, a return.
    async fn a_variants_life(shop) {
        shop.import(&[product("p", &[variant("a", 10_000), variant("b", 20_000)])]).await;
        shop.settle().await;
        assert_eq!(shop.status("a").await, Some(SyncStatus::Synced));
        assert_eq!(shop.item("a").expect("at Meta")["price"], "100.00 INR");
        assert_eq!(shop.batches(), 1);
        shop.check().await;

        // A second bootstrap changes nothing and calls nobody.
        assert_eq!(shop.bootstrap().await, 2);
        shop.settle().await;
        assert_eq!(shop.batches(), 1);

        // One price is one row.
        let written = shop.import(&[product("p", &[variant("a", 10_000), variant("b", 25_000)])]).await;
        assert_eq!(written.intents, 1);
        shop.settle().await;
        assert_eq!((shop.batches(), shop.meta.calls().batch_rows), (2, 3));
        assert_eq!(shop.item("b").expect("at Meta")["price"], "250.00 INR");

        // Archiving deletes at Meta; a later event of an archived product has nothing to do.
        let mut archived = product("p", &[]);
        archived["status"] = json!("archived");
        shop.import(&[archived]).await;
        shop.settle().await;
        assert_eq!((shop.item("a"), shop.item("b")), (None, None));
        assert_eq!(shop.status("a").await, Some(SyncStatus::Deleted));
        shop.ask(&["a"], Intent::Upsert, Origin::Event).await;
        shop.settle().await;
        assert_eq!(shop.status("a").await, Some(SyncStatus::Deleted));

        // Back on sale with the same payload: the old hash must not make it a noop.
        shop.import(&[product("p", &[])]).await;
        shop.settle().await;
        assert_eq!(shop.status("a").await, Some(SyncStatus::Synced));
        shop.check().await;
        shop.close().await;
    }

    /// What never was at Meta ends without a call: skipped with its reason, or forgotten.
    async fn what_needs_no_call(shop) {
        shop.import(&[product("p", &[variant("ok", 100), variant("free", 0), variant("x", 100)])]).await;
        shop.settle().await;
        assert_eq!(shop.status("free").await, Some(SyncStatus::Skipped));
        assert_eq!(shop.last_error("free").await.as_deref(), Some("missing_price"));
        let calls = shop.batches();
        shop.ask(&["nobody"], Intent::Upsert, Origin::Event).await;
        shop.ask(&["free"], Intent::Delete, Origin::Operator).await;
        shop.settle().await;
        assert_eq!(shop.status("nobody").await, None);
        assert_eq!(shop.batches(), calls);
        shop.check().await;
        shop.close().await;
    }

    /// An intent that is committed while the call is under way is not lost with the rows of the call.
    async fn an_intent_during_the_call_survives(shop) {
        shop.meta.plan(graph_simulator::Fault {
            on: "items_batch".into(), skip: 0, times: 1, kind: graph_simulator::Kind::Held {},
        });
        shop.import(&[product("p", &[variant("a", 100)])]).await;
        shop.until("the call is under way", async || shop.batches() == 1).await;
        shop.import(&[product("p", &[variant("a", 200)])]).await;
        shop.meta.clear_faults();
        shop.settle().await;
        assert_eq!(shop.item("a").expect("at Meta")["price"], "2.00 INR");
        shop.check().await;
        shop.close().await;
    }

    /// A field that is gone is cleared; one that Meta requires never is.
    async fn fields_that_are_gone_are_cleared(shop) {
        let mut rich = variant("a", 10_000);
        rich["ean"] = json!("4006381333931");
        rich["images"] = json!(["one.jpg", "two.jpg"]);
        rich["specialPrice"] = json!(9_000);
        rich["options"] = json!([{"name": "Colour", "value": "Red"}]);
        shop.import(&[product("p", &[rich])]).await;
        shop.settle().await;
        let item = shop.item("a").expect("at Meta");
        assert_eq!((&item["color"], &item["sale_price"], &item["gtin"]), (&json!("Red"), &json!("90.00 INR"), &json!("4006381333931")));
        shop.import(&[product("p", &[variant("a", 10_000)])]).await;
        shop.settle().await;
        let item = shop.item("a").expect("at Meta");
        assert_eq!((item.get("color"), item.get("sale_price"), item.get("additional_image_link")), (None, None, None));
        shop.check().await;
        shop.close().await;
    }

    /// A row that Meta refuses is failed with Meta's words; its neighbours are not; asking again tries again.
    async fn a_refused_row_fails_alone(shop) {
        shop.meta.reject("bad", "Image too small");
        shop.import(&[product("p", &[variant("good", 100), variant("bad", 100)])]).await;
        shop.settle().await;
        assert_eq!(shop.status("good").await, Some(SyncStatus::Synced));
        assert_eq!(shop.status("bad").await, Some(SyncStatus::Failed));
        assert_eq!(shop.last_error("bad").await.as_deref(), Some("Image too small"));
        let calls = shop.batches();

        // The same payload again: the refused hash is no claim.
        shop.meta.clear_rejects();
        assert_eq!(shop.bootstrap().await, 2);
        shop.settle().await;
        assert_eq!((shop.batches(), shop.meta.calls().batch_rows), (calls + 1, 3));
        assert_eq!(shop.status("bad").await, Some(SyncStatus::Synced));
        shop.check().await;
        shop.close().await;
    }

    /// A verdict that counts more errors than it names makes nothing unnamed synced.
    async fn an_incomplete_verdict_claims_nothing(shop) {
        shop.meta.reject("bad", "No");
        shop.meta.plan(graph_simulator::Fault {
            on: "items_batch".into(), skip: 0, times: 1, kind: graph_simulator::Kind::IncompleteErrors { keep: 0 },
        });
        shop.import(&[product("p", &[variant("good", 100), variant("bad", 100)])]).await;
        shop.settle().await;
        assert_eq!(shop.status("good").await, Some(SyncStatus::Failed));
        assert!(shop.last_error("good").await.expect("a reason").starts_with("verdict incomplete"));
        shop.close().await;
    }

    /// Preview touches neither Meta nor the state; going live pushes what was previewed.
    async fn preview_then_live(shop) {
        shop.set(json!({"feed_mode": "preview"})).await;
        shop.import(&[product("p", &[variant("a", 100)])]).await;
        shop.settle().await;
        assert_eq!((shop.batches(), shop.status("a").await), (0, Some(SyncStatus::Pending)));
        shop.set(json!({"feed_mode": "live"})).await;
        shop.settle().await;
        assert_eq!(shop.status("a").await, Some(SyncStatus::Synced));
        shop.check().await;
        shop.close().await;
    }

    /// With sync off nothing is read or counted; switched on, everything goes out.
    async fn sync_off_then_on(shop) {
        shop.set(json!({"sync_enabled": false})).await;
        // A tick that began before the setting was written may still send what it finds; the next one does not.
        shop.ticks("drain", 2).await;
        shop.import(&[product("p", &[variant("a", 100)])]).await;
        shop.ticks("drain", 2).await;
        assert_eq!((shop.batches(), shop.status("a").await), (0, Some(SyncStatus::Pending)));
        shop.set(json!({"sync_enabled": true})).await;
        shop.settle().await;
        assert_eq!(shop.status("a").await, Some(SyncStatus::Synced));
        shop.close().await;
    }

    /// Whatever happens to the answer, the row ends right: the outcome is unknown, so it is sent again.
    async fn an_unknown_outcome_is_sent_again(shop) {
        use graph_simulator::Kind;
        for (index, kind) in [
            Kind::DropBefore {}, Kind::DropAfterAccept {}, Kind::Truncated {},
            Kind::Html502 { after_accept: true }, Kind::TextServiceUnavailable { after_accept: false },
        ].into_iter().enumerate() {
            shop.meta.plan(graph_simulator::Fault { on: "items_batch".into(), skip: 0, times: 1, kind });
            let price = 100 + i64::try_from(index).expect("small");
            let calls = shop.batches();
            shop.import(&[product("p", &[variant("a", price)])]).await;
            shop.until("the fault has struck", async || shop.batches() > calls).await;
            // The price reverts before the row is decided again: what Meta took must not stay.
            shop.import(&[product("p", &[variant("a", 99)])]).await;
            shop.settle().await;
            assert_eq!(shop.item("a").expect("at Meta")["price"], "0.99 INR");
            shop.check().await;
        }
        shop.close().await;
    }

    /// Five thousand and one variants are two calls.
    async fn a_large_catalog_is_split(shop) {
        let products: Vec<_> = (0..167)
            .map(|p| {
                let variants: Vec<_> = (0..30).map(|v| variant(&format!("v{p}-{v}"), 100 + v)).collect();
                product(&format!("p{p}"), &variants)
            })
            .collect();
        shop.import(&products).await;
        shop.settle().await;
        assert_eq!(shop.meta.calls().batch_rows, 5_010);
        assert_eq!(shop.meta.items(testkit::CATALOG).expect("the catalog").len(), 5_010);
        assert!((2..=3).contains(&shop.batches()), "{} calls", shop.batches());
        shop.check().await;
        shop.close().await;
    }

    /// A broken view must not empty the shop: a tenth goes, the rest waits for a word, and a mended source needs none.
    async fn the_mass_delete_guard(shop) {
        let whole: Vec<_> = (0..40)
            .map(|p| product(&format!("p{p}"), &(0..5).map(|v| variant(&format!("v{p}-{v}"), 100)).collect::<Vec<_>>()))
            .collect();
        let archived: Vec<_> = whole.iter().cloned().map(|mut p| { p["status"] = json!("archived"); p }).collect();
        shop.import(&whole).await;
        shop.settle().await;
        let items = || shop.meta.items(testkit::CATALOG).expect("the catalog").len();
        let held = async || {
            let mut tx = shop.db().read().await.expect("a connection");
            catalog_sync::store::outbox::backlog(&mut tx).await.expect("counted").held
        };
        assert_eq!(items(), 200);

        shop.import(&archived).await;
        shop.settle().await;
        assert_eq!((items(), held().await), (100, 100));

        // The source is mended: the held intents are folded into the new ones, and everything comes back.
        shop.import(&whole).await;
        shop.settle().await;
        assert_eq!((items(), held().await), (200, 0));

        // The allowance of the hour is used up; deletes that somebody asks for go all the same.
        shop.import(&archived).await;
        shop.settle().await;
        assert_eq!((items(), held().await), (200, 200));
        shop.ask(&["v0-0"], Intent::Delete, Origin::Operator).await;
        shop.settle().await;
        assert_eq!((items(), held().await), (199, 199));

        catalog_sync::admin::bulk::release_held(&shop.service.app).await.expect("released");
        shop.settle().await;
        assert_eq!((items(), held().await), (0, 0));
        shop.check().await;
        shop.close().await;
    }

    /// Another catalog: claims count no more, and everything is pushed there; the old one keeps what it has.
    async fn another_catalog(shop) {
        shop.import(&[product("p", &[variant("a", 100), variant("b", 100)])]).await;
        shop.settle().await;
        shop.set(json!({"catalog_id": "4000000002"})).await;
        assert_eq!(shop.status("a").await, Some(SyncStatus::Pending));
        shop.bootstrap().await;
        shop.settle().await;
        let items = |catalog: &str| shop.meta.items(catalog).expect("a catalog").len();
        assert_eq!((items("4000000001"), items("4000000002")), (2, 2));
        assert_eq!(shop.status("a").await, Some(SyncStatus::Synced));

        // The same catalog written again drops nothing.
        let calls = shop.batches();
        shop.set(json!({"catalog_id": "4000000002"})).await;
        shop.bootstrap().await;
        shop.settle().await;
        assert_eq!(shop.batches(), calls);
        shop.close().await;
    }

    /// Disconnected, nobody is called and nothing is forgotten; connected again, what Meta holds need not be sent, and a
    /// handle that was open is asked for.
    async fn disconnect_then_reconnect(shop) {
        shop.import(&[product("p", &[variant("a", 100)])]).await;
        shop.settle().await;
        shop.meta.configure(|world| world.times.processing_ms = 3_600_000);
        shop.import(&[product("p", &[variant("a", 100), variant("b", 200)])]).await;
        shop.until("b waits for its verdict", async || shop.status("b").await == Some(SyncStatus::Submitted)).await;

        catalog_sync::admin::connect::disconnect(&shop.service.app).await.expect("disconnected");
        shop.ticks("drain", 2).await;
        shop.ticks("poll", 2).await;
        let calls = |meta: &graph_simulator::Handle| (meta.calls().items_batch, meta.calls().check_batch);
        let before = calls(&shop.meta);
        shop.import(&[product("p", &[variant("c", 300)])]).await;
        shop.ticks("drain", 2).await;
        shop.ticks("poll", 2).await;
        assert_eq!(calls(&shop.meta), before, "nobody is called");
        assert_eq!(shop.status("a").await, Some(SyncStatus::Synced));
        assert_eq!(shop.status("b").await, Some(SyncStatus::Submitted));

        shop.meta.advance(3_600_000);
        shop.meta.configure(|world| world.times.processing_ms = 0);
        shop.connect().await;
        shop.bootstrap().await;
        shop.settle().await;
        assert_eq!(shop.meta.calls().batch_rows, 3, "only c was new");
        shop.check().await;
        shop.close().await;
    }
}
