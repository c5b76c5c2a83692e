//! What is wrong, grouped by source and code, with what to do.

use std::collections::{BTreeMap, HashMap};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminError;
use super::time::iso;
use crate::app::App;
use crate::domain::advice::{self, Weight};
use crate::store::issues::{self, Group};

/// The source of warnings.
const WARNING: &str = "warning";

/// Variants with the same finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issue {
    /// `meta` (it refused them), `mapper` (it could not map them), `eligibility` (they are not eligible), `service` (what
    /// became of them is not known) or `warning` (about the payload that was sent).
    #[schema(schema_with = super::schema::issue_source)]
    pub source: String,
    /// A code, or Meta's message without what differs from variant to variant.
    pub code: String,
    /// `error`, `warning` or `info` (the shop itself keeps them out).
    #[schema(schema_with = super::schema::issue_severity)]
    pub severity: &'static str,
    /// Number of variants.
    pub count: i64,
    /// When the state of the first of them last changed, ISO 8601.
    pub first_seen: Option<String>,
    /// When the state of the last of them last changed, ISO 8601.
    pub last_seen: Option<String>,
    /// One of them.
    pub example: Example,
    /// What to do.
    pub what_to_do: &'static str,
    /// The setting that would help against all of them; null when none does.
    pub setting: Option<&'static str>,
    /// The path of the list of these variants.
    pub items_url: String,
}

/// One variant of an issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    /// The variant's id.
    pub variant_id: String,
    /// Its own error; null for a warning, which the item's page words.
    pub message: Option<String>,
}

/// Returns every issue: errors first, then warnings, the most frequent first.
///
/// # Errors
/// When the database query fails.
pub async fn list(app: &App) -> Result<Vec<Issue>, AdminError> {
    let mut tx = app.db.read().await?;
    let causes = issues::causes(&mut tx).await?;
    let warnings = by_code(issues::warnings(&mut tx).await?);
    let examples: Vec<&str> = causes.iter().map(|group| group.example.as_str()).collect();
    let mut errors: HashMap<String, Option<String>> = issues::errors(&mut tx, &examples).await?.into_iter().collect();
    drop(tx);
    let mut all: Vec<(Weight, Issue)> = Vec::with_capacity(causes.len() + warnings.len());
    for group in causes {
        let (weight, what_to_do) = advice::of_cause(&group.word);
        let message = errors.remove(&group.example).flatten();
        let (source, code) = group.word.split_once(':').unwrap_or(("service", &group.word));
        let setting = advice::setting_for(code);
        let query = format!("cause={}", encoded(&group.word));
        all.push((weight, issue((source, code), weight, &group, message, what_to_do, setting, &query)));
    }
    for group in warnings {
        let (weight, what_to_do) = (Weight::Warning, advice::of_warning(&group.word));
        let query = format!("warning={}", encoded(&group.word));
        let setting = advice::setting_for(&group.word);
        all.push((weight, issue((WARNING, &group.word), weight, &group, None, what_to_do, setting, &query)));
    }
    all.sort_by(|a, b| (a.0, -a.1.count, &a.1.code).cmp(&(b.0, -b.1.count, &b.1.code)));
    Ok(all.into_iter().map(|(_, issue)| issue).collect())
}

fn issue(
    (source, code): (&str, &str),
    weight: Weight,
    group: &Group,
    message: Option<String>,
    what_to_do: &'static str,
    setting: Option<&'static str>,
    query: &str,
) -> Issue {
    Issue {
        source: source.to_owned(),
        code: code.to_owned(),
        severity: weight.as_str(),
        count: group.count,
        first_seen: iso(group.first_at),
        last_seen: iso(group.last_at),
        example: Example { variant_id: group.example.clone(), message },
        what_to_do,
        setting,
        items_url: format!("/admin/meta/items?{query}"),
    }
}

/// Splits sets of warnings into groups by code.
fn by_code(sets: Vec<Group>) -> Vec<Group> {
    let mut codes: BTreeMap<String, Group> = BTreeMap::new();
    for set in sets {
        for code in set.word.split(',').filter(|code| !code.is_empty()) {
            let group = codes.entry(code.to_owned()).or_insert_with(|| Group {
                word: code.to_owned(),
                count: 0,
                ..set.clone()
            });
            group.count += set.count;
            group.first_at = group.first_at.min(set.first_at);
            group.last_at = group.last_at.max(set.last_at);
        }
    }
    codes.into_values().collect()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_warnings_become_codes() {
        let set =
            |word: &str, count, at| Group { word: word.into(), count, first_at: at, last_at: at, example: word.into() };
        let groups = by_code(vec![set("a,b", 3, 10), set("b", 2, 5)]);
        let told: Vec<_> = groups.iter().map(|g| (g.word.as_str(), g.count, g.first_at, g.last_at)).collect();
        assert_eq!(told, [("a", 3, 10, 10), ("b", 5, 5, 10)]);
    }
}
