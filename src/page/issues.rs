//! `/issues`: what is wrong with which items, in groups, and what to do about each.
//!
//! Promises: every number is the length of the list behind its link; the filters are part of the address. The page says of an
//! empty list whether all is good or the filter hides what there is.
//! Left out on purpose: what Meta's review of an item says. It is read from Meta for one item at a time, on its page.

use std::cmp::Reverse;

use askama::Template;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::frame::{Frame, Place, Visit};
use super::overview::items_of;
use super::shell::page;
use super::words::{self, Look};
use crate::http::Api;
use crate::http::error::ApiError;
use catalog_sync::admin::issues::{self, Issue};
use catalog_sync::domain::lint::Finding;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/issues", get(list))
}

/// Where an issue comes from, as an operator thinks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Meta,
    Service,
    Mapper,
    Rules,
    Payload,
    Lint,
}

impl Origin {
    const ALL: [Self; 6] = [Self::Meta, Self::Service, Self::Mapper, Self::Rules, Self::Payload, Self::Lint];

    fn of(issue: &Issue) -> Self {
        match &*issue.source {
            "meta" => Self::Meta,
            "mapper" => Self::Mapper,
            "eligibility" => Self::Rules,
            "service" => Self::Service,
            _ if Finding::of_code(&issue.code).is_some() => Self::Lint,
            _ => Self::Payload,
        }
    }

    /// Its word in the address.
    fn word(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Service => "service",
            Self::Mapper => "mapper",
            Self::Rules => "rules",
            Self::Payload => "payload",
            Self::Lint => "lint",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Meta => "Meta's verdict",
            Self::Service => "Delivery",
            Self::Mapper => "Mapper faults",
            Self::Rules => "Not eligible",
            Self::Payload => "Payload warnings",
            Self::Lint => "Compared items",
        }
    }

    fn means(self) -> &'static str {
        match self {
            Self::Meta => "Meta refused the item and says why.",
            Self::Service => "It is not known what Meta did with the call.",
            Self::Mapper => "The mapper failed on the variant, so nothing was sent.",
            Self::Rules => "The mapper or an operator keeps the variant out of the catalog.",
            Self::Payload => "The item was sent, and the mapper warns about a value in it.",
            Self::Lint => "The item was sent, and comparing it with others shows a fault.",
        }
    }
}

/// The severities: their words in the use case, and how they are shown.
const SEVERITIES: [(&str, Look); 3] = [
    ("error", Look { name: "Errors", icon: "fail", tone: "bad", means: "The item is not at Meta as it should be." }),
    (
        "warning",
        Look { name: "Warnings", icon: "issues", tone: "warn", means: "The item is at Meta and could be better." },
    ),
    ("info", Look { name: "Kept out", icon: "dashed", tone: "plain", means: "The shop itself keeps the item out." }),
];

/// What is shown, from the address.
#[derive(Clone, Debug, Default, Deserialize)]
struct Filter {
    #[serde(default)]
    source: String,
    #[serde(default)]
    severity: String,
}

impl Filter {
    fn takes(&self, origin: Origin, severity: &str) -> bool {
        (self.source.is_empty() || self.source == origin.word())
            && (self.severity.is_empty() || self.severity == severity)
    }
}

/// A choice of a filter: a link with the number of groups behind it.
struct Choice {
    name: &'static str,
    /// Its word in the address; empty for all.
    word: &'static str,
    means: &'static str,
    groups: usize,
    is_chosen: bool,
    path: String,
}

/// A row of the table.
struct Group {
    issue: Issue,
    origin: Origin,
    look: Look,
    items: String,
    /// The page that asks again for all of them.
    again: String,
    /// The page of one of them.
    example: String,
}

impl Group {
    /// What is said of the example, where that is more than the code.
    fn message(&self) -> Option<&str> {
        self.issue.example.message.as_deref().filter(|message| *message != self.issue.code)
    }

    /// What the example is called.
    fn named(&self) -> &str {
        let example = &self.issue.example;
        example.title.as_deref().filter(|title| !title.trim().is_empty()).unwrap_or(&example.variant_id)
    }

    fn of(issue: Issue) -> Self {
        let items = items_of(&issue);
        let again = items.replacen("/items?", "/items/bulk?action=resync&", 1);
        let look =
            SEVERITIES.iter().find(|(word, _)| *word == issue.severity).map_or(SEVERITIES[2].1, |(_, look)| *look);
        let example = format!("/items/{}", utf8_percent_encode(&issue.example.variant_id, NON_ALPHANUMERIC));
        Self { origin: Origin::of(&issue), look, items, again, example, issue }
    }
}

#[derive(Template)]
#[template(path = "issues.html")]
struct Issues {
    frame: Frame,
    sources: Vec<Choice>,
    severities: Vec<Choice>,
    groups: Vec<Group>,
    /// Without the filter.
    all: usize,
    filter: Filter,
}

/// The path with these filters.
fn path(source: &str, severity: &str) -> String {
    let pairs = [("source", source), ("severity", severity)];
    let query: Vec<String> =
        pairs.iter().filter(|(_, word)| !word.is_empty()).map(|(name, word)| format!("{name}={word}")).collect();
    if query.is_empty() { "/issues".to_owned() } else { format!("/issues?{}", query.join("&")) }
}

/// The choices of one filter, under the other one.
fn choices(
    named: impl Iterator<Item = (&'static str, &'static str, &'static str)>,
    chosen: &str,
    groups: impl Fn(&str) -> usize,
    path: impl Fn(&str) -> String,
) -> Vec<Choice> {
    let all = std::iter::once(("All", "", "Everything that is known."));
    let choice = |(name, word, means)| Choice {
        name,
        word,
        means,
        groups: groups(word),
        is_chosen: chosen == word,
        path: path(word),
    };
    all.chain(named).map(choice).collect()
}

/// The known words of the filter: an address is outside input.
fn known(filter: Filter) -> Filter {
    let known = |word: String, words: &[&str]| if words.contains(&&*word) { word } else { String::new() };
    Filter {
        source: known(filter.source, &Origin::ALL.map(Origin::word)),
        severity: known(filter.severity, &SEVERITIES.map(|(word, _)| word)),
    }
}

async fn list(
    State(api): State<Api>,
    visit: Visit,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Response, ApiError> {
    let filter = known(filter.map(|Query(filter)| filter).unwrap_or_default());
    let frame = Frame::load(&api, visit, Place::Issues, "Issues").await?;
    let mut groups: Vec<Group> = issues::list(&api.app).await?.into_iter().map(Group::of).collect();
    let all = groups.len();
    let found: Vec<(Origin, &'static str)> = groups.iter().map(|group| (group.origin, group.issue.severity)).collect();
    let count = |filter: &Filter| found.iter().filter(|(origin, severity)| filter.takes(*origin, severity)).count();
    let sources = choices(
        Origin::ALL.into_iter().map(|origin| (origin.name(), origin.word(), origin.means())),
        &filter.source,
        |source| count(&Filter { source: source.to_owned(), ..filter.clone() }),
        |source| path(source, &filter.severity),
    );
    let severities = choices(
        SEVERITIES.into_iter().map(|(word, look)| (look.name, word, look.means)),
        &filter.severity,
        |severity| count(&Filter { severity: severity.to_owned(), ..filter.clone() }),
        |severity| path(&filter.source, severity),
    );
    groups.retain(|group| filter.takes(group.origin, group.issue.severity));
    sort(&mut groups);
    page(&Issues { frame, sources, severities, groups, all, filter })
}

/// By severity, then the most frequent first.
fn sort(groups: &mut [Group]) {
    let rank = |group: &Group| SEVERITIES.iter().position(|(word, _)| *word == group.issue.severity);
    groups.sort_by(|a, b| {
        let key = |group: &Group| (rank(group), Reverse(group.issue.count));
        key(a).cmp(&key(b)).then_with(|| a.issue.code.cmp(&b.issue.code))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_parts_of_the_address() {
        for (source, severity, at) in [
            ("", "", "/issues"),
            ("meta", "", "/issues?source=meta"),
            ("", "error", "/issues?severity=error"),
            ("lint", "warning", "/issues?source=lint&severity=warning"),
        ] {
            assert_eq!(path(source, severity), at);
        }
        let asked = |source: &str, severity: &str| Filter { source: source.into(), severity: severity.into() };
        let kept = known(asked("meta", "\"><script>"));
        assert_eq!((&*kept.source, &*kept.severity), ("meta", ""), "what is unknown is no filter");
        assert!(asked("meta", "").takes(Origin::Meta, "error") && !asked("meta", "").takes(Origin::Lint, "error"));
        assert!(!asked("", "error").takes(Origin::Meta, "warning"));
    }
}
