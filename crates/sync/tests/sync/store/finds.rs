//! Search and filters of the list of variants: what they select, against a plain reading of everything.

use catalog_sync::domain::record::search_key;
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::store::Db;
use catalog_sync::store::connect::{Options, open};
use catalog_sync::store::items::walk::{From, Known, Position, rows, walk, walk_stably};
use catalog_sync::store::items::{self, CountedBy, Filter, ItemRow, Stretch, Totals};

use super::{Done, StoreError, TestDb, conformance};

conformance![
    each_filter_selects_what_a_plain_reading_selects,
    a_search_follows_the_catalog,
    a_view_of_the_shop_is_searched_as_it_is,
    pages_of_a_search_follow_each_other,
    a_walk_passes_every_selected_variant_once_in_both_directions,
    a_walk_through_much_ends_and_goes_on,
];

/// Status, moment of the last push, warnings and findings, cause, excluded.
type State = (String, Option<i64>, String, Option<String>, bool);

/// A variant as the tests read it.
struct Row {
    id: String,
    keys: [String; 2],
    is_eligible: bool,
    state: Option<State>,
    is_held: bool,
    is_parked: bool,
}

type Columns = (String, String, String, bool, Option<String>, Option<i64>, String, Option<String>, bool, bool, bool);

/// Reads everything, in the order of the list.
async fn everything(db: &Db) -> Result<Vec<Row>, StoreError> {
    let sql = "SELECT k.id, COALESCE(i.product_search_key, ''), COALESCE(i.variant_search_key, lower(k.id)),
                   COALESCE(i.status = 'active' AND i.visibility = 'public' AND NOT i.product_deleted
                       AND NOT i.variant_deleted, FALSE),
                   s.status, s.last_pushed_at, COALESCE(s.warnings, '') || ',' || COALESCE(s.lint, ''), s.cause,
                   COALESCE(s.excluded, FALSE),
                   EXISTS (SELECT 1 FROM meta_outbox o
                       WHERE o.variant_id = k.id AND o.processed_at IS NULL AND o.held_at IS NOT NULL),
                   EXISTS (SELECT 1 FROM meta_outbox o
                       WHERE o.variant_id = k.id AND o.processed_at IS NULL AND o.parked_at IS NOT NULL)
               FROM (SELECT variant_id AS id FROM variant_index UNION SELECT variant_id FROM meta_sync_state) AS k
               LEFT JOIN variant_index i ON i.variant_id = k.id
               LEFT JOIN meta_sync_state s ON s.variant_id = k.id";
    let rows: Vec<Columns> = match db {
        Db::Sqlite { readers, .. } => sqlx::query_as(sql).fetch_all(readers).await?,
        Db::Postgres { pool, .. } => sqlx::query_as(sql).fetch_all(pool).await?,
    };
    let mut rows: Vec<Row> = rows
        .into_iter()
        .map(|(id, product, variant, is_eligible, status, pushed, codes, cause, excluded, is_held, is_parked)| Row {
            id,
            keys: [product, variant],
            is_eligible,
            state: status.map(|status| (status, pushed, codes, cause, excluded)),
            is_held,
            is_parked,
        })
        .collect();
    let pushed = |row: &Row| row.state.as_ref().and_then(|state| state.1);
    rows.sort_by(|a, b| pushed(b).cmp(&pushed(a)).then_with(|| a.id.cmp(&b.id)));
    Ok(rows)
}

fn selects(filter: &Filter, row: &Row) -> bool {
    let state = row.state.as_ref();
    filter.status.is_none_or(|asked| state.map_or("never_synced", |state| &state.0) == asked)
        && filter.contains.as_ref().is_none_or(|needle| row.keys.iter().any(|key| key.contains(needle)))
        && (!filter.eligible_only || row.is_eligible)
        && filter.warning.as_ref().is_none_or(|code| state.is_some_and(|state| state.2.split(',').any(|c| c == code)))
        && filter.cause.as_ref().is_none_or(|cause| state.is_some_and(|state| state.3.as_ref() == Some(cause)))
        && (!filter.held || row.is_held)
        && (!filter.parked || row.is_parked)
        && filter.excluded.is_none_or(|asked| state.is_some_and(|state| state.4) == asked)
        && filter.ids.as_ref().is_none_or(|ids| ids.contains(&row.id))
}

async fn page(db: &Db, filter: &Filter, offset: i64, limit: i64) -> Result<(Vec<ItemRow>, i64), StoreError> {
    let mut tx = db.read().await?;
    let totals = match filter.counted_by() {
        CountedBy::Everything => items::totals(&mut tx).await?,
        CountedBy::Eligible => items::eligible_totals(&mut tx).await?,
        CountedBy::Itself => Totals::default(),
    };
    items::page(&mut tx, filter, Stretch { offset, limit }, &totals).await
}

/// Compares a filter with a plain reading; returns the ids.
async fn check(db: &Db, filter: &Filter) -> Result<Vec<String>, StoreError> {
    let expected: Vec<String> =
        everything(db).await?.into_iter().filter(|row| selects(filter, row)).map(|row| row.id).collect();
    let (rows, total) = page(db, filter, 0, 1_000).await?;
    let listed: Vec<String> = rows.into_iter().map(|row| row.variant_id).collect();
    assert_eq!(listed, expected, "{filter:?}");
    assert_eq!(total, i64::try_from(expected.len()).expect("small"), "{filter:?}");
    walked(db, filter, 7).await?;
    let (rows, total) = page(db, filter, 2, 3).await?;
    let listed: Vec<String> = rows.into_iter().map(|row| row.variant_id).collect();
    assert_eq!(listed, expected.iter().skip(2).take(3).cloned().collect::<Vec<_>>(), "the second page of {filter:?}");
    assert_eq!(total, i64::try_from(expected.len()).expect("small"), "{filter:?}");
    Ok(expected)
}

/// Walks through everything that a filter selects, forwards and back again, and compares it with a plain reading. Returns
/// the ids in the order of the walk.
async fn walked(db: &Db, filter: &Filter, limit: usize) -> Result<Vec<String>, StoreError> {
    let mut expected: Vec<String> =
        everything(db).await?.into_iter().filter(|row| selects(filter, row)).map(|row| row.id).collect();
    let mut tx = db.read().await?;
    let known = Known::from(&items::totals(&mut tx).await?);
    let mut forwards: Vec<Position> = Vec::new();
    let mut next = None;
    loop {
        let from = next.as_ref().map_or(From::Start, From::After);
        let step = walk(&mut tx, filter, from, limit, known).await?;
        assert!(step.found.len() <= limit, "{filter:?}");
        let shown: Vec<String> = rows(&mut tx, &step.found).await?.into_iter().map(|row| row.variant_id).collect();
        assert_eq!(shown, step.found.iter().map(|position| position.id.clone()).collect::<Vec<_>>(), "{filter:?}");
        forwards.extend(step.found);
        next = step.more;
        if next.is_none() {
            break;
        }
    }
    let mut backwards: Vec<Position> = forwards.last().cloned().into_iter().collect();
    let mut next = forwards.last().cloned();
    while let Some(before) = next {
        let step = walk(&mut tx, filter, From::Before(&before), limit, known).await?;
        backwards.splice(0..0, step.found);
        next = step.more;
    }
    assert_eq!(backwards, forwards, "back again, pages of {limit}: {filter:?}");
    let mut stably: Vec<String> = Vec::new();
    let mut next = None;
    loop {
        let step = walk_stably(&mut tx, filter, next.as_ref().map_or(From::Start, From::After), limit, known).await?;
        stably.extend(step.found.into_iter().map(|position| position.id));
        next = step.more;
        if next.is_none() {
            break;
        }
    }
    stably.sort_unstable();
    let walked: Vec<String> = forwards.into_iter().map(|position| position.id).collect();
    assert_eq!(items::count(&mut tx, filter).await?, i64::try_from(walked.len()).expect("small"), "{filter:?}");
    let mut sorted = walked.clone();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected, "pages of {limit}: {filter:?}");
    assert_eq!(stably, expected, "in an order that stands still: {filter:?}");
    Ok(walked)
}

fn containing(needle: &str) -> Filter {
    Filter { contains: Some(search_key(&[needle])), ..Filter::default() }
}

async fn found(db: &Db, needle: &str) -> Result<Vec<String>, StoreError> {
    check(db, &containing(needle)).await
}

// Sixty variants of twenty products with every mixture of what can be filtered by, and four that only the state knows.
// What is synced was sent.
const SHOP: &str = "
    INSERT INTO product (id, title, slug, status, visibility, search_key, deleted_at)
    WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 19)
    SELECT 'p' || n, 't', 's', CASE WHEN n % 4 = 0 THEN 'draft' ELSE 'active' END,
        CASE WHEN n % 5 = 0 THEN 'hidden' ELSE 'public' END,
        CASE n % 6 WHEN 0 THEN 'ärmel größe 50%_off' WHEN 1 THEN 'a\\b ''quoted'' \"twice\"' WHEN 2 THEN 'wolle!' ELSE 'seide' END
            || '
slug-' || n, CASE WHEN n = 7 THEN 1 END FROM n;
    INSERT INTO product_variant (id, product_id, sku, search_key, deleted_at)
    WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 59)
    SELECT 'V' || n, 'p' || (n / 3), 'K', 'v' || n || '
sku-' || (n * 7), CASE WHEN n % 11 = 0 THEN 1 END FROM n;
    INSERT INTO meta_sync_state (variant_id, status, last_pushed_at, warnings, lint, cause, excluded, created_at, updated_at)
    WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 63)
    SELECT 'V' || n, CASE n % 3 WHEN 0 THEN 'failed' WHEN 1 THEN 'synced' ELSE 'skipped' END,
        CASE WHEN n % 5 > 0 OR n % 3 = 1 THEN n / 4 END,
        CASE n % 4 WHEN 0 THEN 'image' WHEN 1 THEN 'image,title' WHEN 2 THEN 'subtitle' END,
        CASE n % 7 WHEN 0 THEN 'same' WHEN 1 THEN 'image' WHEN 2 THEN 'im_ge' END,
        CASE WHEN n % 3 = 0 THEN 'meta:' || (n % 2) END, n % 6 = 0, 0, n
    FROM n WHERE n % 8 > 0;
    INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at, held_at, parked_at, processed_at)
    WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 70)
    SELECT 'V' || n, 'delete', 'event', 0, CASE WHEN n % 2 = 0 THEN 1 END, CASE WHEN n % 3 = 0 THEN 1 END,
        CASE WHEN n % 5 = 0 THEN 1 END FROM n
    UNION ALL SELECT 'V' || n, 'delete', 'event', 0, 1, 1, NULL FROM n WHERE n % 10 = 1;";

/// Everything from one character to a whole id; what databases take for wildcards; across the lines of a key.
const NEEDLES: &[&str] = &[
    "v",
    "V1",
    "sku",
    "SKU-14",
    "v12",
    "ÄRM",
    "größe",
    "GRÖSSE",
    "0%",
    "50%_",
    "%%%",
    "___",
    "a\\b",
    "'quoted'",
    "\"tw",
    "le!",
    "!",
    "slug-1",
    "seide\nslug",
    "1\nsku",
    "\n",
    "-",
    "v60",
    "V62",
    "nothing",
    "é",
    "ß",
];

async fn each_filter_selects_what_a_plain_reading_selects(db: &TestDb) -> Done {
    db.run(SHOP).await?;
    for needle in NEEDLES {
        found(db, needle).await?;
    }
    assert_eq!(found(db, "v62").await?, ["V62"], "only the state knows it");
    // Each pair of parts, and all that add a third.
    let parts: Vec<fn(&mut Filter)> = vec![
        |filter| filter.status = Some(SyncStatus::Failed.as_str()),
        |filter| filter.status = Some(SyncStatus::Synced.as_str()),
        |filter| filter.status = Some("never_synced"),
        |filter| filter.contains = Some("sku-1".into()),
        |filter| filter.contains = Some("v".into()),
        |filter| filter.contains = Some("slug-1".into()),
        |filter| filter.eligible_only = true,
        |filter| filter.warning = Some("image".into()),
        |filter| filter.warning = Some("title".into()),
        |filter| filter.warning = Some("im_ge".into()),
        |filter| filter.cause = Some("meta:1".into()),
        |filter| filter.held = true,
        |filter| filter.parked = true,
        |filter| filter.excluded = Some(true),
        |filter| filter.excluded = Some(false),
        |filter| filter.ids = Some(["V3", "V6", "V13", "V62", "nobody"].map(str::to_owned).to_vec()),
    ];
    let mut selected = 0;
    for (at, first) in parts.iter().enumerate() {
        for second in &parts[at..] {
            for third in [parts[6], *second, parts[11]] {
                let mut filter = Filter::default();
                first(&mut filter);
                second(&mut filter);
                third(&mut filter);
                selected += usize::from(!check(db, &filter).await?.is_empty());
            }
        }
    }
    assert!(selected > 150, "{selected} filters selected something");
    Ok(())
}

async fn a_search_follows_the_catalog(db: &TestDb) -> Done {
    db.run(SHOP).await?;
    assert_eq!(found(db, "slug-13").await?.len(), 3);
    db.run("UPDATE product SET search_key = 'leinen' WHERE id = 'p13'").await?;
    assert_eq!(found(db, "slug-13").await?, [""; 0]);
    assert_eq!(found(db, "LEINEN").await?.len(), 3);
    db.run("UPDATE product_variant SET product_id = 'p13', search_key = 'moved' WHERE id = 'V1'").await?;
    assert_eq!((found(db, "leinen").await?.len(), found(db, "MOVED").await?.len()), (4, 1));
    // Its variants are known to the state alone.
    db.run("DELETE FROM product WHERE id = 'p13'").await?;
    assert_eq!(found(db, "leinen").await?, [""; 0]);
    assert_eq!((found(db, "moved").await?.len(), found(db, "v39").await?.len()), (0, 1));
    db.run("DELETE FROM product_variant WHERE id = 'V41'").await?;
    found(db, "v41").await?;
    Ok(())
}

async fn a_view_of_the_shop_is_searched_as_it_is(db: &TestDb) -> Done {
    db.run(SHOP).await?;
    db.run("ALTER TABLE product RENAME TO shop_product").await?;
    db.run("ALTER TABLE product_variant RENAME TO shop_variant").await?;
    db.run("DROP VIEW variant_index").await?;
    db.run(
        "CREATE VIEW variant_index AS
         SELECT 'shop-' || v.id AS variant_id, v.product_id AS product_id, v.sku AS sku, p.title AS title, p.slug AS slug,
             p.status AS status, p.visibility AS visibility, (p.deleted_at IS NOT NULL) AS product_deleted,
             (v.deleted_at IS NOT NULL) AS variant_deleted, 'shop ' || p.search_key AS product_search_key,
             v.search_key AS variant_search_key, v.price AS price, v.thumbnail AS thumbnail, p.vendor_id AS vendor_id,
             p.brand_id AS brand_id, p.category_id AS category_id
         FROM shop_variant v JOIN shop_product p ON p.id = v.product_id",
    )
    .await?;
    assert_eq!(found(db, "shop ä").await?.len(), 12);
    for needle in NEEDLES {
        found(db, needle).await?;
    }
    check(db, &Filter { excluded: Some(true), ..containing("v1") }).await?;
    Ok(())
}

async fn pages_of_a_search_follow_each_other(db: &TestDb) -> Done {
    db.run(SHOP).await?;
    for filter in [containing("sku"), containing("v"), Filter { warning: Some("image".into()), ..Filter::default() }] {
        let all = check(db, &filter).await?;
        for limit in [1, 7, 50] {
            let mut listed = Vec::new();
            for number in 0..70 {
                let (rows, total) = page(db, &filter, number * limit, limit).await?;
                assert_eq!(total, i64::try_from(all.len()).expect("small"), "beyond the end, too");
                listed.extend(rows.into_iter().map(|row| row.variant_id));
            }
            assert_eq!(listed, all, "pages of {limit}");
        }
    }
    Ok(())
}

async fn a_walk_passes_every_selected_variant_once_in_both_directions(db: &TestDb) -> Done {
    db.run(SHOP).await?;
    let plain = |status| Filter { status, ..Filter::default() };
    for limit in [1, 3, 100] {
        // The whole list has one order, by page or by walk.
        let all: Vec<String> = everything(db).await?.into_iter().map(|row| row.id).collect();
        assert_eq!(walked(db, &Filter::default(), limit).await?, all);
        for status in ["synced", "failed", "skipped", "submitted", "pending", "deleted", "never_synced"] {
            walked(db, &plain(Some(status)), limit).await?;
            walked(db, &Filter { excluded: Some(false), eligible_only: true, ..plain(Some(status)) }, limit).await?;
        }
        walked(db, &Filter { excluded: Some(false), ..Filter::default() }, limit).await?;
        walked(db, &Filter { eligible_only: true, ..Filter::default() }, limit).await?;
        let ids = ["V1", "V9", "nowhere", "V63", "V1"].map(str::to_owned).to_vec();
        assert_eq!(walked(db, &Filter { ids: Some(ids), ..Filter::default() }, limit).await?, ["V1", "V63", "V9"]);
    }
    // What changed last comes first.
    db.run("UPDATE meta_sync_state SET issue_at = 9 WHERE variant_id IN ('V3', 'V30')").await?;
    db.run("UPDATE meta_sync_state SET issue_at = 12 WHERE variant_id = 'V6'").await?;
    assert_eq!(walked(db, &plain(Some("failed")), 2).await?[..3], ["V6", "V3", "V30"]);
    db.run("UPDATE meta_sync_state SET cause = 'same' WHERE variant_id IN ('V3', 'V30', 'V6', 'V9')").await?;
    let cause = Filter { cause: Some("same".into()), ..Filter::default() };
    assert_eq!(walked(db, &cause, 2).await?, ["V6", "V30", "V3", "V9"]);
    Ok(())
}

async fn a_walk_through_much_ends_and_goes_on(db: &TestDb) -> Done {
    db.run(
        "INSERT INTO meta_sync_state (variant_id, status, last_pushed_at, excluded, created_at, updated_at)
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 70000)
         SELECT 'v' || (100000 + n), CASE WHEN n IN (9, 69999) THEN 'synced' ELSE 'skipped' END, 70000 - n / 7,
             FALSE, 0, 0 FROM n",
    )
    .await?;
    let filter = Filter { status: Some("synced"), ..Filter::default() };
    let mut tx = db.read().await?;
    let first = walk(&mut tx, &filter, From::Start, 2, Known::NOTHING).await?;
    let ids = |found: &[Position]| found.iter().map(|position| position.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&first.found), ["v100009"], "it looked at enough");
    let more = first.more.expect("it goes on");
    let second = walk(&mut tx, &filter, From::After(&more), 2, Known::NOTHING).await?;
    assert_eq!((ids(&second.found), second.more), (vec!["v169999".to_owned()], None));
    // So many hits are walked along the variants.
    let hits = walk(&mut tx, &containing("v1"), From::Start, 2, Known::NOTHING).await?;
    assert_eq!(ids(&hits.found), ["v100001", "v100002"]);
    let more = hits.more.expect("it goes on");
    let hits = walk(&mut tx, &containing("v1"), From::After(&more), 2, Known::NOTHING).await?;
    assert_eq!(ids(&hits.found), ["v100003", "v100004"]);
    let hits = walk(&mut tx, &containing("v1"), From::Before(&hits.found[0]), 5, Known::NOTHING).await?;
    assert_eq!((ids(&hits.found), hits.more), (vec!["v100001".to_owned(), "v100002".to_owned()], None));
    Ok(())
}

async fn the_trigram_indexes(db: &TestDb) -> Result<Vec<String>, StoreError> {
    db.texts(
        "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'meta_catalog' AND indexdef LIKE '%gin_trgm_ops%'
         ORDER BY indexname",
    )
    .await
}

#[tokio::test]
async fn a_search_needs_no_extension_of_postgres() -> Done {
    let db = TestDb::postgres().await;
    db.run(SHOP).await?;
    assert_eq!(the_trigram_indexes(&db).await?, ["product_search", "product_variant_search"]);
    db.run("DROP EXTENSION pg_trgm CASCADE").await?;
    assert_eq!(the_trigram_indexes(&db).await?, [""; 0]);
    for needle in NEEDLES {
        found(&db, needle).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_role_that_may_not_install_the_extension_gets_a_service_that_searches() -> Done {
    let url = testkit::postgres::database().await;
    let admin = sqlx::PgPool::connect(&url).await?;
    let sql = "CREATE ROLE narrow LOGIN; CREATE SCHEMA meta_catalog AUTHORIZATION narrow";
    sqlx::raw_sql(sql).execute(&admin).await?;
    let db = open(&url.replacen("postgres@", "narrow@", 1), &Options::default()).await?;
    let installed: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM pg_extension WHERE extname = 'pg_trgm'").fetch_one(&admin).await?;
    assert_eq!(installed, 0, "the role may not");
    let Db::Postgres { pool, .. } = &db else { unreachable!("the URL is of PostgreSQL") };
    sqlx::raw_sql(SHOP).execute(pool).await?;
    assert_eq!(found(&db, "slug-13").await?.len(), 3);
    db.close().await;
    Ok(())
}

#[tokio::test]
async fn an_extension_that_is_there_is_used_wherever_it_is() -> Done {
    let url = testkit::postgres::database().await;
    let admin = sqlx::PgPool::connect(&url).await?;
    sqlx::raw_sql("CREATE SCHEMA \"Ex tensions\"; CREATE EXTENSION pg_trgm SCHEMA \"Ex tensions\"")
        .execute(&admin)
        .await?;
    let db = open(&url, &Options::default()).await?;
    let indexes: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM pg_indexes WHERE indexdef LIKE '%gin_trgm_ops%'")
        .fetch_one(&admin)
        .await?;
    assert_eq!(indexes, 2);
    db.close().await;
    Ok(())
}
