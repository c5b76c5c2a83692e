//! One SQL text for two databases.
//!
//! Each statement is written once, in the SQL that both databases share (`$1`, `ON CONFLICT`, `RETURNING`, CTEs). Only
//! these fragments differ; they are expanded for each database:
//!
//! | fragment | meaning |
//! |---|---|
//! | `@ids($1)` | a table with the text column `id`, from `super::list::ids` |
//! | `@rows($1: a text, b bigint, c bool, d json)` | a table with those columns, from `super::list::rows` |
//! | `@pg{…}` / `@sqlite{…}` | only on that database |
//!
//! In an `UPDATE … FROM @rows`, every condition on a column with its own index is written as `@sqlite{+}column`.
//! Otherwise SQLite's planner walks that index, such as all open rows of the outbox, and looks up each entry in the
//! list. The plus prevents the use of the index, so SQLite walks the list and looks up each entry by its key.
//!
//! A whole batch binds as one JSON text (SQLite) or as one array for each column (PostgreSQL, where the parameters behind
//! such a list move up). So no statement runs per row, the number of parameters is not limited, and the statement text is
//! the same for every batch (the server's plan cache holds it once).

use std::collections::{BTreeMap, HashMap};
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
    let parameters = Parameters::of(dialect, template);
    let mut out = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some(at) = rest.find('@') {
        out.push_str(&parameters.renumbered(&rest[..at]));
        rest = &rest[at + 1..];
        if let Some((param, after)) = argument(rest, "ids", '(', ')') {
            out.push_str(&ids(dialect, &parameters.renumbered(param)));
            rest = after;
        } else if let Some((spec, after)) = argument(rest, "rows", '(', ')') {
            out.push_str(&rows(dialect, spec, &parameters));
            rest = after;
        } else if let Some((body, after)) = argument(rest, "pg", '{', '}') {
            if dialect == Dialect::Postgres {
                out.push_str(&parameters.renumbered(body));
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
    out.push_str(&parameters.renumbered(rest));
    out
}

fn argument<'t>(text: &'t str, name: &str, open: char, close: char) -> Option<(&'t str, &'t str)> {
    text.strip_prefix(name)?.strip_prefix(open)?.split_once(close)
}

/// The parameters of a statement on PostgreSQL: a list of rows takes one for each of its columns.
struct Parameters(BTreeMap<usize, usize>);

impl Parameters {
    fn of(dialect: Dialect, template: &str) -> Self {
        let specs = template.split("@rows(").skip(1).filter_map(|rest| rest.split_once(')'));
        let widths = specs.filter_map(|(spec, _)| {
            let (param, columns) = spec.split_once(':')?;
            Some((param.strip_prefix('$')?.parse().ok()?, columns.split(',').count()))
        });
        Self(if dialect == Dialect::Postgres { widths.collect() } else { BTreeMap::new() })
    }

    /// Returns the number that a parameter of the template has in the statement.
    fn number(&self, of: usize) -> usize {
        of + self.0.range(..of).map(|(_, width)| width - 1).sum::<usize>()
    }

    /// Returns a part of the template with the numbers of the statement.
    fn renumbered(&self, part: &str) -> String {
        let mut parts = part.split('$');
        let mut out = parts.next().unwrap_or_default().to_owned();
        for after in parts {
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (number, rest) = after.split_at(end);
            let _ = match number.parse() {
                Ok(number) => write!(out, "${}{rest}", self.number(number)),
                Err(_) => write!(out, "${after}"),
            };
        }
        out
    }
}

fn ids(dialect: Dialect, param: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("(SELECT value AS id FROM json_each({param}))"),
        // The inner SELECT hides the length, so the plan is the same for every list: for a long one PostgreSQL would read
        // a whole table, by statistics that may be old or missing.
        Dialect::Postgres => format!("(SELECT id FROM unnest((SELECT {param}::text[])) AS listed (id))"),
    }
}

fn rows(dialect: Dialect, spec: &str, parameters: &Parameters) -> String {
    let (param, columns) = spec.split_once(':').unwrap_or((spec, ""));
    let columns: Vec<(&str, &str)> =
        columns.split(',').map(|column| column.trim().split_once(' ').unwrap_or((column.trim(), "text"))).collect();
    let list = |of: &dyn Fn(usize, &str, &str) -> String| -> String {
        columns.iter().enumerate().map(|(at, (name, kind))| of(at, name, kind)).collect::<Vec<_>>().join(", ")
    };
    match dialect {
        // Materialized once and indexed: LIMIT prevents flattening, and the casts provide the types for the index.
        // Folded into an UPDATE … FROM, the list would be read again for each row of the table: 5,000 rows took 15 s.
        Dialect::Sqlite => {
            let cells = list(&|at, name, kind| {
                let kind = if matches!(kind, "bigint" | "bool") { "INTEGER" } else { "TEXT" };
                format!("CAST(json_extract(value, '$[{at}]') AS {kind}) AS {name}")
            });
            format!("(SELECT {cells} FROM json_each({param}) LIMIT -1)")
        }
        Dialect::Postgres => {
            let first = param.trim_start_matches('$').parse().map_or(0, |number| parameters.number(number));
            let cells = list(&|_, name, kind| match kind {
                "json" => format!("{name}::jsonb AS {name}"),
                _ => name.to_owned(),
            });
            let arrays = list(&|at, _, kind| {
                let kind = if kind == "json" { "text" } else { kind };
                format!("(SELECT ${}::{kind}[])", first + at)
            });
            let names = list(&|_, name, _| name.to_owned());
            format!("(SELECT {cells} FROM unnest({arrays}) AS listed ({names}))")
        }
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
        let template = "UPDATE t SET a = r.a, b = $2 FROM @rows($1: id text, n bigint, j json) r WHERE t.id IN (SELECT id FROM @ids($3))@pg{ FOR UPDATE LIMIT $4}@sqlite{;}";
        insta::assert_snapshot!(
            [expand(Dialect::Sqlite, template), expand(Dialect::Postgres, template)].join("\n"),
            @r"
        UPDATE t SET a = r.a, b = $2 FROM (SELECT CAST(json_extract(value, '$[0]') AS TEXT) AS id, CAST(json_extract(value, '$[1]') AS INTEGER) AS n, CAST(json_extract(value, '$[2]') AS TEXT) AS j FROM json_each($1) LIMIT -1) r WHERE t.id IN (SELECT id FROM (SELECT value AS id FROM json_each($3)));
        UPDATE t SET a = r.a, b = $4 FROM (SELECT id, n, j::jsonb AS j FROM unnest((SELECT $1::text[]), (SELECT $2::bigint[]), (SELECT $3::text[])) AS listed (id, n, j)) r WHERE t.id IN (SELECT id FROM (SELECT id FROM unnest((SELECT $5::text[])) AS listed (id))) FOR UPDATE LIMIT $6
        "
        );
    }
}
