//! One SQL text for two databases.
//!
//! Each statement is written once, in the SQL that both databases share (`$1`, `ON CONFLICT`, `RETURNING`, CTEs). Only
//! these fragments differ; they are expanded for each database:
//!
//! | fragment | meaning |
//! |---|---|
//! | `@ids($1)` | a table with the text column `id`, from one JSON array of strings |
//! | `@rows($1: a text, b bigint, c bool, d json)` | a table with those columns, from one JSON array of arrays |
//! | `@pg{…}` / `@sqlite{…}` | only on that database |
//!
//! In an `UPDATE … FROM @rows`, every condition on a column with its own index is written as `@sqlite{+}column`.
//! Otherwise SQLite's planner walks that index, such as all open rows of the outbox, and looks up each entry in the
//! list. The plus prevents the use of the index, so SQLite walks the list and looks up each entry by its key.
//!
//! A whole batch binds as one JSON text. So no statement runs per row, the number of parameters is not limited, and the
//! statement text is the same for every batch (the server's plan cache holds it once).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};

/// The SQL dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite, embedded, for one process.
    Sqlite,
    /// PostgreSQL, shared by several replicas.
    Postgres,
}

/// Returns the statement for one database. Each statement is expanded once and cached for ever: their number is limited
/// to the literals in this crate.
pub(crate) fn text(dialect: Dialect, template: &'static str) -> &'static str {
    static EXPANDED: LazyLock<Mutex<HashMap<(Dialect, &'static str), &'static str>>> = LazyLock::new(Mutex::default);
    let mut expanded = EXPANDED.lock().unwrap_or_else(PoisonError::into_inner);
    expanded.entry((dialect, template)).or_insert_with(|| Box::leak(expand(dialect, template).into_boxed_str()))
}

fn expand(dialect: Dialect, template: &str) -> String {
    let mut out = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some(at) = rest.find('@') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some((param, after)) = argument(rest, "ids", '(', ')') {
            out.push_str(&ids(dialect, param));
            rest = after;
        } else if let Some((spec, after)) = argument(rest, "rows", '(', ')') {
            out.push_str(&rows(dialect, spec));
            rest = after;
        } else if let Some((body, after)) = argument(rest, "pg", '{', '}') {
            if dialect == Dialect::Postgres {
                out.push_str(body);
            }
            rest = after;
        } else if let Some((body, after)) = argument(rest, "sqlite", '{', '}') {
            if dialect == Dialect::Sqlite {
                out.push_str(body);
            }
            rest = after;
        } else {
            out.push('@');
        }
    }
    out.push_str(rest);
    out
}

fn argument<'t>(text: &'t str, name: &str, open: char, close: char) -> Option<(&'t str, &'t str)> {
    text.strip_prefix(name)?.strip_prefix(open)?.split_once(close)
}

fn ids(dialect: Dialect, param: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("(SELECT value AS id FROM json_each({param}))"),
        Dialect::Postgres => format!("(SELECT value AS id FROM jsonb_array_elements_text({param}::jsonb))"),
    }
}

fn rows(dialect: Dialect, spec: &str) -> String {
    let (param, columns) = spec.split_once(':').unwrap_or((spec, ""));
    let mut list = String::new();
    for (index, column) in columns.split(',').enumerate() {
        let (name, kind) = column.trim().split_once(' ').unwrap_or((column.trim(), "text"));
        let comma = if index == 0 { "" } else { ", " };
        let _ = match dialect {
            Dialect::Sqlite => {
                let kind = if matches!(kind, "bigint" | "bool") { "INTEGER" } else { "TEXT" };
                write!(list, "{comma}CAST(json_extract(value, '$[{index}]') AS {kind}) AS {name}")
            }
            Dialect::Postgres if kind == "json" => write!(list, "{comma}(value->{index}) AS {name}"),
            Dialect::Postgres => write!(list, "{comma}(value->>{index})::{kind} AS {name}"),
        };
    }
    match dialect {
        // Materialized once and indexed: LIMIT prevents flattening, and the casts provide the types for the index.
        // Folded into an UPDATE … FROM, the list would be read again for each row of the table: 5,000 rows took 15 s.
        Dialect::Sqlite => format!("(SELECT {list} FROM json_each({param}) LIMIT -1)"),
        Dialect::Postgres => format!("(SELECT {list} FROM jsonb_array_elements({param}::jsonb))"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_sql_is_left_alone() {
        assert_eq!(expand(Dialect::Sqlite, "SELECT 'a@b' WHERE x = $1"), "SELECT 'a@b' WHERE x = $1");
    }

    #[test]
    fn fragments_differ_by_database() {
        let template = "UPDATE t SET a = r.a FROM @rows($1: id text, n bigint, j json) r WHERE t.id IN (SELECT id FROM @ids($2))@pg{ FOR UPDATE}@sqlite{;}";
        insta::assert_snapshot!(
            [expand(Dialect::Sqlite, template), expand(Dialect::Postgres, template)].join("\n"),
            @r"
        UPDATE t SET a = r.a FROM (SELECT CAST(json_extract(value, '$[0]') AS TEXT) AS id, CAST(json_extract(value, '$[1]') AS INTEGER) AS n, CAST(json_extract(value, '$[2]') AS TEXT) AS j FROM json_each($1) LIMIT -1) r WHERE t.id IN (SELECT id FROM (SELECT value AS id FROM json_each($2)));
        UPDATE t SET a = r.a FROM (SELECT (value->>0)::text AS id, (value->>1)::bigint AS n, (value->2) AS j FROM jsonb_array_elements($1::jsonb)) r WHERE t.id IN (SELECT id FROM (SELECT value AS id FROM jsonb_array_elements_text($2::jsonb))) FOR UPDATE
        "
        );
    }
}
