//! What is wrong, grouped by source and code, with what to do.

use std::collections::{BTreeMap, HashMap};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminError;
use super::time::iso;
use crate::app::App;
use crate::domain::advice::{self, Weight};
use crate::store::issues::{self, Group, Told};

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
    /// What the code is called; Meta's message is its own title.
    pub title: String,
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
    /// The title of its product; null when it is no longer known.
    pub title: Option<String>,
    /// Its own error; null for a warning, which the item's page words.
    pub message: Option<String>,
}

/// Returns every issue: errors first, then warnings, the most frequent first. At a million variants the numbers are up to
/// half a minute old.
///
/// # Errors
/// When the database query fails.
pub async fn list(app: &App) -> Result<Vec<Issue>, AdminError> {
    let found = app.issues().await?;
    let warnings = by_code(&found.warnings);
    let causes = &found.causes;
    let mut tx = app.db.read().await?;
    let examples: Vec<&str> = causes.iter().chain(&warnings).map(|group| group.example.as_str()).collect();
    let told = issues::told(&mut tx, &examples).await?;
    let told: HashMap<&str, &Told> = told.iter().map(|told| (told.variant_id.as_str(), told)).collect();
    drop(tx);
    let mut all: Vec<(Weight, Issue)> = Vec::with_capacity(causes.len() + warnings.len());
    for group in causes {
        let (weight, what_to_do) = advice::of_cause(&group.word);
        let (source, code) = group.word.split_once(':').unwrap_or(("service", &group.word));
        let setting = advice::setting_for(code);
        let query = format!("cause={}", encoded(&group.word));
        let told = told.get(&*group.example).copied();
        let message = told.and_then(|told| told.last_error.clone());
        all.push((weight, issue((source, code), weight, group, (told, message), what_to_do, setting, &query)));
    }
    for group in warnings {
        let weight = if advice::is_refused(&group.word) { Weight::Error } else { Weight::Warning };
        let what_to_do = advice::of_warning(&group.word);
        let told = told.get(&*group.example).copied();
        let query = format!("warning={}", encoded(&group.word));
        let setting = advice::setting_for(&group.word);
        all.push((weight, issue((WARNING, &group.word), weight, &group, (told, None), what_to_do, setting, &query)));
    }
    all.sort_by(|a, b| (a.0, -a.1.count, &a.1.code).cmp(&(b.0, -b.1.count, &b.1.code)));
    Ok(all.into_iter().map(|(_, issue)| issue).collect())
}

fn issue(
    (source, code): (&str, &str),
    weight: Weight,
    group: &Group,
    (told, message): (Option<&Told>, Option<String>),
    what_to_do: &'static str,
    setting: Option<&'static str>,
    query: &str,
) -> Issue {
    Issue {
        source: source.to_owned(),
        code: code.to_owned(),
        title: advice::title(code).into_owned(),
        severity: weight.as_str(),
        count: group.count,
        first_seen: iso(group.first_at),
        last_seen: iso(group.last_at),
        example: Example {
            variant_id: group.example.clone(),
            title: told.and_then(|told| told.title.clone()),
            message,
        },
        what_to_do,
        setting,
        items_url: format!("/admin/meta/items?{query}"),
    }
}

/// Splits sets of warnings into groups by code.
fn by_code(sets: &[Group]) -> Vec<Group> {
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
        let groups = by_code(&[set("a,b", 3, 10), set("b", 2, 5)]);
        let told: Vec<_> = groups.iter().map(|g| (g.word.as_str(), g.count, g.first_at, g.last_at)).collect();
        assert_eq!(told, [("a", 3, 10, 10), ("b", 5, 5, 10)]);
    }
}
