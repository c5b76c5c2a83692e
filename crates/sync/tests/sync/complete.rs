//! An import of the whole shop: what the file does not name is deleted, within bounds, and comes back when named again.

use catalog_sync::intake::import::Refusal;
use catalog_sync::intake::import::formats::Ndjson;
use catalog_sync::intake::import::run::{Import, ImportError, Mode, Progress, Tally, Unnamed};
use catalog_sync::store::source::SourceBatch;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use testkit::{Engine, Shop, product, variant};

/// What an operator is told.
#[derive(Default)]
struct Told {
    deletes: Vec<(u64, u64)>,
    refused: usize,
}

impl Progress for Told {
    fn at(&mut self, _: u64, _: u64) {}
    fn deletes(&mut self, unnamed: u64, live: u64) {
        self.deletes.push((unnamed, live));
    }
    async fn judge(&mut self, _: SourceBatch) {}
    fn refused(&mut self, _: u64, _: &Refusal) {
        self.refused += 1;
    }
}

async fn import(
    shop: &Shop,
    lines: &[String],
    unnamed: Unnamed,
    told: &mut Told,
) -> Result<Tally, (Tally, ImportError)> {
    import_as(shop, Mode::Lenient, lines, unnamed, told).await
}

async fn import_as(
    shop: &Shop,
    mode: Mode,
    lines: &[String],
    unnamed: Unnamed,
    told: &mut Told,
) -> Result<Tally, (Tally, ImportError)> {
    let file = lines.join("\n");
    let import = Import { db: shop.db(), mode, now: shop.service.app.now(), unnamed, reads_ahead: true };
    let done = import.run(Ndjson::new(file.as_bytes(), TimeZone::UTC), told).await;
    shop.wake();
    done
}

fn lines(products: &[Value]) -> Vec<String> {
    products.iter().map(Value::to_string).collect()
}

/// `count` products of ten variants each.
fn shop_of(count: usize) -> Vec<Value> {
    let of = |p: usize| {
        product(&format!("p-{p}"), &(0..10).map(|v| variant(&format!("v-{p}-{v}"), 100)).collect::<Vec<_>>())
    };
    (0..count).map(of).collect()
}

async fn complete(engine: Engine) {
    let shop = Shop::open(engine).await;
    let all = lines(&shop_of(30));
    let mut told = Told::default();
    let first = import(&shop, &all, Unnamed::Delete, &mut told).await.expect("imported");
    assert_eq!((first.taken, first.deleted, &*told.deletes), (30, 0, &[(0, 300)][..]));
    shop.settle().await;

    // A product and a variant left out are deleted at Meta.
    let mut fewer = shop_of(29);
    fewer[0]["variants"].as_array_mut().expect("a list").pop();
    let mut told = Told::default();
    let second = import(&shop, &lines(&fewer), Unnamed::Delete, &mut told).await.expect("imported");
    assert_eq!((second.deleted, &*told.deletes), (11, &[(11, 300)][..]), "the counts come before");
    shop.settle().await;
    assert_eq!((shop.item("v-29-0"), shop.item("v-0-9")), (None, None));
    assert!(shop.item("v-0-8").is_some());
    shop.check().await;

    // Without the switch nothing is deleted, and a file with a refusal deletes nothing.
    import(&shop, &all[..1], Unnamed::Keep, &mut Told::default()).await.expect("imported");
    let bad = [all[0].clone(), "{}".to_owned()];
    let (tally, error) = import(&shop, &bad, Unnamed::DeleteAll, &mut Told::default()).await.expect_err("refused");
    assert!(matches!(error, ImportError::Refused { refused: 1 }) && tally.deleted == 0, "{error}");
    let live = "SELECT COUNT(*) FROM product_variant WHERE deleted_at IS NULL";
    assert_eq!(shop.count(live).await, 290, "the variant that was left out is named again");

    // A file without a product is not the whole shop, however small the shop is.
    let (_, error) = import(&shop, &[], Unnamed::DeleteAll, &mut Told::default()).await.expect_err("refused");
    assert!(matches!(error, ImportError::Empty), "{error}");

    // A dry run counts what the file would add, as the import does, and writes nothing.
    let others = lines(&shop_of(400)[50..]);
    for (file, passes) in [(&others[..], true), (&others[..10], false)] {
        let mut told = Told::default();
        let tried = import_as(&shop, Mode::Dry, file, Unnamed::Delete, &mut told).await;
        assert_eq!((tried.is_ok(), told.deletes.len()), (passes, usize::from(passes)));
    }
    assert_eq!(shop.count(live).await, 290);

    // More than the guard lets pass need a word.
    let (_, error) = import(&shop, &all[..1], Unnamed::Delete, &mut Told::default()).await.expect_err("refused");
    assert!(matches!(error, ImportError::TooManyDeletes { unnamed: 280, live: 290, allowed: 100 }), "{error}");
    assert_eq!(shop.count(live).await, 290);
    // A dry run says what the import says: of a product that is deleted, one that comes back, one that moves and variants
    // that are off.
    let mut changed = shop_of(30);
    changed[3]["deletedAt"] = 1.into();
    changed[3]["variants"] = json!([]);
    changed[4]["variants"]
        .as_array_mut()
        .expect("a list")
        .iter_mut()
        .for_each(|variant| variant["deletedAt"] = 0.into());
    let moved = changed[5]["variants"].as_array_mut().expect("a list").pop().expect("a variant");
    changed[6]["variants"].as_array_mut().expect("a list").push(moved);
    changed[7]["variants"].as_array_mut().expect("a list").pop();
    for file in [lines(&changed), all[..29].to_vec(), all[5..].to_vec()] {
        let (mut dry, mut done) = (Told::default(), Told::default());
        let tried = import_as(&shop, Mode::Dry, &file, Unnamed::Delete, &mut dry).await;
        let (mut asked, mut got) = (Vec::new(), Vec::new());
        asked.extend(tried.err().map(|(_, error)| error.to_string()));
        let imported = import(&shop, &file, Unnamed::Delete, &mut done).await;
        got.extend(imported.err().map(|(_, error)| error.to_string()));
        assert_eq!((dry.deletes, asked), (done.deletes, got));
    }
    import(&shop, &all, Unnamed::Delete, &mut Told::default()).await.expect("imported");
    shop.settle().await;

    let last = import(&shop, &all[..1], Unnamed::DeleteAll, &mut Told::default()).await.expect("imported");
    assert_eq!((last.deleted, shop.count(live).await), (290, 10));
    shop.settle().await;
    shop.check().await;

    // What comes back in a file comes back at Meta.
    import(&shop, &all, Unnamed::Delete, &mut Told::default()).await.expect("imported");
    shop.settle().await;
    assert_eq!((shop.count(live).await, shop.item("v-29-0").is_some()), (300, true));
    shop.check().await;
    shop.close().await;
}

/// An update that comes after a requested delete does not make the mass-delete guard hold it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_by_file_is_not_held_for_an_update_behind_it() {
    let shop = Shop::open(Engine::Sqlite).await;
    let mut products = shop_of(30);
    import(&shop, &lines(&products), Unnamed::Keep, &mut Told::default()).await.expect("imported");
    shop.settle().await;
    shop.set(json!({ "sync_enabled": false })).await;
    for product in &mut products {
        product["variants"].as_array_mut().expect("a list").truncate(5);
    }
    import(&shop, &lines(&products), Unnamed::DeleteAll, &mut Told::default()).await.expect("imported");
    for product in &mut products {
        product["title"] = "Another".into();
    }
    import(&shop, &lines(&products), Unnamed::Keep, &mut Told::default()).await.expect("imported");
    shop.set(json!({ "sync_enabled": true })).await;
    shop.settle().await;
    assert_eq!((shop.item("v-0-9"), shop.item("v-29-5")), (None, None));
    assert_eq!(shop.count("SELECT COUNT(*) FROM meta_outbox WHERE processed_at IS NULL").await, 0, "nothing is held");
    shop.check().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_complete_file_does_not_name_is_deleted_on_sqlite() {
    complete(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_complete_file_does_not_name_is_deleted_on_postgres() {
    complete(Engine::Postgres).await;
}
