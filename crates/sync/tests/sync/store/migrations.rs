//! The schema: numbered in pairs, idempotent, and the same on both databases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use catalog_sync::store::connect::{Options, open};

use super::{Done, TestDb, conformance};

conformance![opening_again_changes_nothing];

async fn opening_again_changes_nothing(db: &TestDb) -> Done {
    db.run("INSERT INTO vendor (id, name) VALUES ('v', 'kept')").await?;
    let again = open(&db.url, &Options::default()).await?;
    again.close().await;
    assert_eq!(db.texts("SELECT name FROM vendor").await?, ["kept"]);
    Ok(())
}

#[test]
fn numbered_in_pairs() {
    let names = |database: &str| -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join("migrations").join(database);
        let files = std::fs::read_dir(folder).expect("the folder").flatten();
        files.map(|file| file.file_name().to_string_lossy().into_owned()).collect()
    };
    let sqlite = names("sqlite");
    assert_eq!(sqlite, names("postgres"));
    for (index, name) in sqlite.iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}_", index + 1)) && name.ends_with(".sql"), "{name}");
    }
}

/// Relation → column → type, in words both databases share. The migrations' own book-keeping is left out.
type Schema = BTreeMap<String, BTreeMap<String, String>>;

fn schema(rows: Vec<String>) -> Schema {
    let mut schema = Schema::new();
    for row in rows {
        let [relation, column, kind, nullable]: [&str; 4] =
            row.split('|').collect::<Vec<_>>().try_into().expect("four parts");
        let kind = format!("{} {nullable}", kind.to_lowercase().trim());
        schema.entry(relation.into()).or_default().insert(column.into(), kind);
    }
    schema
}

#[tokio::test]
async fn both_databases_end_with_the_same_schema() -> Result<(), Box<dyn std::error::Error>> {
    let (sqlite, postgres) = (TestDb::sqlite().await, TestDb::postgres().await);
    let sqlite = schema(
        sqlite
            .texts(
                "SELECT m.type || ' ' || m.name || '|' || c.name || '|' || c.type || '|'
                     || CASE WHEN c.\"notnull\" OR c.pk THEN 'not null' ELSE 'null' END
                 FROM sqlite_schema m JOIN pragma_table_xinfo(m.name) c
                 WHERE m.type IN ('table', 'view') AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\'
                   AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
            )
            .await?,
    );
    let postgres = schema(
        postgres
            .texts(
                "SELECT CASE t.table_type WHEN 'VIEW' THEN 'view' ELSE 'table' END || ' ' || t.table_name || '|'
                     || c.column_name || '|' || c.data_type || '|'
                     || CASE c.is_nullable WHEN 'NO' THEN 'not null' ELSE 'null' END
                 FROM information_schema.columns c
                 JOIN information_schema.tables t USING (table_schema, table_name)
                 WHERE table_schema = 'meta_catalog' AND t.table_name NOT LIKE '\\_sqlx%'",
            )
            .await?,
    );

    assert_eq!(sqlite.keys().collect::<Vec<_>>(), postgres.keys().collect::<Vec<_>>(), "tables and views");
    for (relation, columns) in &sqlite {
        let others = &postgres[relation];
        assert_eq!(columns.keys().collect::<Vec<_>>(), others.keys().collect::<Vec<_>>(), "columns of {relation}");
        for (column, kind) in columns {
            let other = &others[column];
            // SQLite gives computed columns of a view no type.
            let computed = relation.starts_with("view ") && kind.trim_start().starts_with("null");
            assert!(
                computed || kind == other || ACCEPTED.contains(&(kind, other)),
                "{relation}.{column}: {kind} / {other}"
            );
        }
    }
    Ok(())
}

/// Types that differ, SQLite's first.
const ACCEPTED: &[(&str, &str)] = &[
    // SQLite keeps JSON as text.
    ("text not null", "jsonb not null"),
    ("text null", "jsonb null"),
    ("blob not null", "bytea not null"),
    // Only an INTEGER PRIMARY KEY counts up by itself.
    ("integer not null", "bigint not null"),
    // The server's clock ends a lease; SQLite's process holds it for life.
    ("bigint not null", "timestamp with time zone not null"),
];

/// Tables must not hold the ids of one database under a linguistic order: a cursor would skip rows.
#[tokio::test]
async fn ids_compare_bytewise_on_postgres() -> Result<(), Box<dyn std::error::Error>> {
    let db = TestDb::postgres().await;
    let linguistic = db
        .texts(
            "SELECT table_name || '.' || column_name FROM information_schema.columns
             WHERE table_schema = 'meta_catalog' AND data_type = 'text' AND table_name NOT LIKE '\\_sqlx%'
               AND (column_name IN ('id', 'search_key') OR column_name LIKE '%\\_id')
               AND column_name NOT IN ('account_id', 'meta_retailer_id') AND collation_name IS DISTINCT FROM 'C'",
        )
        .await?;
    assert_eq!(linguistic, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_may_open_an_empty_postgres_database_at_once() -> Done {
    let url = testkit::postgres::database().await;
    let opened: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { open(&url, &Options { pool: 2, ..Options::default() }).await })
        })
        .collect();
    for db in opened {
        db.await.expect("no panic")?.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_url_of_no_known_database_is_refused_without_repeating_it() {
    for url in ["mysql://user:hunter2@host/db", "postgres://user:hunter2@host:port/db", "sqlite::memory:", "sqlite://"]
    {
        let error = open(url, &Options::default()).await.expect_err("refused").to_string();
        assert!(error.contains("sqlite://") || error.contains("postgres://"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
