//! Writers that meet, and the functions that a platform's triggers call.

use std::io::Write;
use std::sync::{Arc, Mutex};

use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::lint::Noted;
use catalog_sync::domain::reask::{Named, Reason};
use catalog_sync::domain::record::{ProductRecord, VendorRef};
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::store::lease::take;
use catalog_sync::store::{Db, StoreError, catalog, outbox, reask, sync_state};
use sqlx::Connection as _;
use tokio::task::JoinHandle;
use tracing::instrument::WithSubscriber as _;

use super::catalog::{product, trail};
use super::outbox::open_rows;
use super::sync_state::pushed;
use super::{Done, NOW, TestDb, conformance};

conformance![
    appends_in_opposite_order_do_not_deadlock,
    imports_in_opposite_order_do_not_deadlock,
    the_drain_and_an_intake_that_meet_do_not_deadlock,
];

type Writer = JoinHandle<Result<(), StoreError>>;

async fn all(writers: Vec<Writer>) -> Done {
    for writer in writers {
        writer.await.expect("no panic")?;
    }
    Ok(())
}

/// Every other list backwards.
fn turned<T>(mut list: Vec<T>, index: usize) -> Vec<T> {
    if index % 2 == 1 {
        list.reverse();
    }
    list
}

async fn appends_in_opposite_order_do_not_deadlock(db: &TestDb) -> Done {
    for round in 0..5 {
        let append = |index: usize| {
            let list = turned((0..200).map(|id| format!("r{round}-{id}")).collect(), index);
            let db = Db::clone(db);
            tokio::spawn(async move {
                let mut tx = db.write().await?;
                outbox::append(&mut tx, &list, Intent::Upsert, Origin::Event, NOW).await?;
                tx.commit().await
            })
        };
        all((0..8).map(append).collect()).await?;
    }
    assert_eq!(db.number("SELECT COUNT(*) FROM meta_sync_state").await?, 1000);
    assert_eq!(db.number("SELECT COUNT(*) FROM meta_outbox").await?, 8000);
    Ok(())
}

async fn imports_in_opposite_order_do_not_deadlock(db: &TestDb) -> Done {
    for round in 0..5 {
        let import = |index: usize| {
            let record = |id: u32| {
                // Names are shared in the first rounds: who writes the first one keeps the others out.
                let vendor = VendorRef { id: format!("v{}", id % 7), name: format!("{round} {index}") };
                let vendor = Some(vendor).filter(|_| round < 3);
                let leaf = (["x", "y", "z"][id as usize % 3], "Leaf");
                let categories = if round < 3 { trail(&[("root", "Root"), leaf]) } else { Vec::new() };
                let mut record = product(&format!("p{id}"), &[&format!("{id}-b"), &format!("{id}-a")]);
                record.variants[0].price = Some(i64::from(round) * 100 + index as i64);
                record.variants[0].options =
                    vec![mapper_core::OptionValue { name: "Size".into(), value: format!("{round}") }];
                record.variants[1].inventory = Some(mapper_core::Inventory::default());
                ProductRecord { title: format!("{round} {index}"), vendor, categories, ..record }
            };
            let records = turned((0..60).map(record).collect(), index);
            let db = Db::clone(db);
            tokio::spawn(async move {
                let mut tx = db.write().await?;
                catalog::write(&mut tx, &records, NOW).await?;
                tx.commit().await
            })
        };
        all((0..6).map(import).collect()).await?;
    }
    assert_eq!(db.number("SELECT COUNT(*) FROM product_variant").await?, 120);
    Ok(())
}

/// A trigger appends without a state row, so the drain may create rows that an intake creates at the same time.
async fn the_drain_and_an_intake_that_meet_do_not_deadlock(db: &TestDb) -> Done {
    let fence = take(db, "one", 60_000).await?.expect("the lease is free");
    for round in 0..5 {
        let list: Vec<String> = (0..500).map(|id| format!("r{round}-{id:03}")).collect();
        let (drain, fence, sent) = (Db::clone(db), fence.clone(), turned(list.clone(), 1));
        let drain = tokio::spawn(async move {
            let mut tx = fence.begin(&drain, None).await?;
            let rows: Vec<_> = sent.iter().map(|id| pushed(id, SyncStatus::Submitted)).collect();
            sync_state::record_pushed(&mut tx, "cat", &rows[..250], NOW).await?;
            tx.commit().await?;
            let mut tx = fence.begin(&drain, None).await?;
            let skips: Vec<_> = sent[250..]
                .iter()
                .map(|id| sync_state::Settled {
                    variant_id: id,
                    product_id: None,
                    version: 0,
                    skipped: Some("why"),
                    reeval_at: None,
                    noted: &Noted::NOTHING,
                })
                .collect();
            sync_state::record_skips(&mut tx, &skips.iter().collect::<Vec<_>>(), NOW).await?;
            tx.commit().await
        });
        let intake = Db::clone(db);
        let intake = tokio::spawn(async move {
            let mut tx = intake.write().await?;
            outbox::append(&mut tx, &list, Intent::Upsert, Origin::Event, NOW).await?;
            tx.commit().await
        });
        all(vec![drain, intake]).await?;
    }
    assert_eq!(db.number("SELECT COUNT(*) FROM meta_sync_state").await?, 2500);
    Ok(())
}

#[tokio::test]
async fn postgres_trigger_functions_append_and_nothing_else() -> Done {
    let db = TestDb::postgres().await;
    db.run(
        "SELECT meta_catalog.enqueue_upsert('ä'), meta_catalog.enqueue_delete('b'), meta_catalog.enqueue_stock('c')",
    )
    .await?;
    let rows = open_rows(&db).await?.rows;
    let mut asked: Vec<_> = rows.iter().map(|row| (row.variant_id.as_str(), row.intent, row.origin)).collect();
    asked.sort_by_key(|row| row.0);
    let (upsert, event) = (Intent::Upsert, Origin::Event);
    assert_eq!(asked, [("b", Intent::Delete, event), ("c", upsert, event), ("ä", upsert, event)]);
    let lanes = "SELECT variant_id || ' ' || lane FROM meta_outbox ORDER BY lane, variant_id";
    assert_eq!(db.texts(lanes).await?, ["b 0", "c 0", "ä 1"]);
    assert_eq!(db.number("SELECT COUNT(*) FROM meta_sync_state").await?, 0);
    let second = "SELECT COUNT(*) FROM meta_outbox WHERE abs(enqueued_at - extract(epoch FROM now()) * 1000) < 60000";
    assert_eq!(db.number(second).await?, 3, "milliseconds");
    Ok(())
}

/// A rename that is not committed yet holds up neither a step of the re-ask nor the end of one, and is not lost.
#[tokio::test]
async fn postgres_a_rename_under_way_belongs_to_the_next_walk() -> Done {
    let db = TestDb::postgres().await;
    db.run("SELECT meta_catalog.enqueue_renamed('brand', 'x'), meta_catalog.enqueue_renamed('vendor', 'v')").await?;
    db.run("SELECT meta_catalog.enqueue_renamed('shop', 'z')").await?;
    let walk = async || {
        let mut tx = db.write().await?;
        reask::begin(&mut tx, Reason::Renamed, None, NOW).await?;
        let begun = reask::find(&mut tx, Reason::Renamed).await?.expect("begun");
        assert_eq!(reask::step(&mut tx, &begun, None, 10, NOW).await?, reask::Step::Done);
        tx.commit().await?;
        db.texts("SELECT kind || ' ' || id FROM reask_subject").await
    };
    let mut meanwhile = db.write().await?;
    reask::note_renamed(&mut meanwhile, &[(Named::Brand, "x")]).await?;
    assert_eq!(walk().await?, ["brand x"]);
    meanwhile.commit().await?;
    assert_eq!(walk().await?, Vec::<String>::new());
    Ok(())
}

/// What a subscriber writes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic while writing").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A platform's write must not fail because of us, whatever we are in.
#[tokio::test]
async fn postgres_trigger_functions_warn_and_never_raise() -> Done {
    let db = TestDb::postgres().await;
    db.run(
        "CREATE TABLE public.items (id text, gone bool);
         CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             PERFORM CASE WHEN new.gone THEN meta_catalog.enqueue_delete(new.id)
                          ELSE meta_catalog.enqueue_upsert(new.id) END;
             RETURN new;
         END $$;
         CREATE TRIGGER tell AFTER INSERT ON public.items FOR EACH ROW EXECUTE FUNCTION public.tell()",
    )
    .await?;
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(move || writer.clone()).finish();
    let insert = async {
        // The platform's own connection: nothing of ours is on its search path.
        let mut platform = sqlx::PgConnection::connect(&db.url).await?;
        sqlx::raw_sql("INSERT INTO items VALUES ('a', false), (NULL, false), (NULL, true), ('b', true)")
            .execute(&mut platform)
            .await?;
        // Our tables are gone altogether.
        sqlx::raw_sql("ALTER TABLE meta_catalog.meta_outbox RENAME TO lost; INSERT INTO items VALUES ('c', false)")
            .execute(&mut platform)
            .await?;
        sqlx::raw_sql("ALTER TABLE meta_catalog.lost RENAME TO meta_outbox").execute(&mut platform).await?;
        Ok::<_, sqlx::Error>(())
    };
    insert.with_subscriber(subscriber).await?;

    assert_eq!(db.number("SELECT COUNT(*) FROM public.items").await?, 5);
    assert_eq!(
        db.texts("SELECT intent || ' ' || variant_id FROM meta_outbox ORDER BY seq").await?,
        ["upsert a", "delete b"]
    );
    let log = String::from_utf8(log.0.lock().expect("no panic while writing").clone()).expect("text");
    for said in
        ["meta_catalog.enqueue_upsert(<NULL>)", "meta_catalog.enqueue_delete(<NULL>)", "meta_catalog.enqueue_upsert(c)"]
    {
        assert!(log.contains(said), "{said} is missing in: {log}");
    }
    Ok(())
}
