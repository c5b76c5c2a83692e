//! What an operator has to know of the connection and the sync, the most urgent first.
//!
//! Promises: pure. Each problem says what to do. Those that stop the sync come before those that will stop it or spoil
//! it later.
//! Left out on purpose: problems of single variants, which the lists of items show.

use meta_graph::SCOPES;

use super::channel::Channel;
use super::credential::TokenKind;
use super::outcome::Problem;
use super::settings::{FeedMode, Settings};
use crate::clock::Millis;

const DAY_MS: Millis = 24 * 60 * 60 * 1_000;
/// How long before the end of a version of the API it is a problem.
const VERSION_NOTICE_MS: Millis = 90 * DAY_MS;
/// How long before its end a token is a problem. A user's token is renewed a week before, so a renewal has failed then.
const TOKEN_NOTICE_MS: Millis = 5 * DAY_MS;

/// How urgent a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The sync does not work.
    Stops,
    /// The sync works, and something will stop it or is wrong.
    Warns,
}

impl Severity {
    /// Returns its word in the admin API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stops => "stops",
            Self::Warns => "warns",
        }
    }
}

/// The connection, as far as problems need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The version of the credential.
    pub version: i64,
    /// Whose token is used.
    pub token_kind: TokenKind,
    /// When the token ends. `None` means that no end is recorded.
    pub ends_at: Option<Millis>,
    /// The granted scopes, separated by commas. `None` when they are unknown.
    pub scope: Option<String>,
}

/// What is waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Variants that are known and were never sent to the selected catalog.
    pub pending: i64,
    /// Open intents that the drain reads.
    pub live: i64,
    /// Deletes that the mass-delete guard holds.
    pub held: i64,
    /// Open submissions.
    pub submissions: i64,
    /// Whether a re-ask is under way.
    pub asks_again: bool,
}

/// Everything that decides on problems.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'f> {
    /// The settings.
    pub settings: &'f Settings,
    /// The connection, if there is one.
    pub connection: Option<&'f Connection>,
    /// The channel to Meta.
    pub channel: &'f Channel,
    /// Why the active mapper cannot run here, if it cannot.
    pub mapper: Option<&'f str>,
    /// What is waiting.
    pub work: Work,
    /// The version of the Graph API in use, such as `v25.0`.
    pub graph_version: &'f str,
    /// Now.
    pub now: Millis,
    /// Writes a time for people.
    pub shown: fn(Millis) -> String,
}

/// Returns every problem.
#[must_use]
pub fn problems(facts: Facts<'_>) -> Vec<(Severity, Problem)> {
    let stops = [mapper(facts), disconnected(facts), channel(facts), expired(facts), no_catalog_scope(facts)];
    let held = held(facts);
    let warns = [
        nothing_queued(facts),
        personal_token(facts),
        no_business_scope(facts),
        token_ends(facts),
        calls_are_cut(facts),
        version_ends(facts),
    ];
    let stops = stops.into_iter().chain([held]).flatten().map(|problem| (Severity::Stops, problem));
    stops.chain(warns.into_iter().flatten().map(|problem| (Severity::Warns, problem))).collect()
}

fn problem(code: &str, message: impl Into<String>) -> Problem {
    Problem { code: code.into(), message: message.into() }
}

fn mapper(facts: Facts<'_>) -> Option<Problem> {
    facts.mapper.map(|message| problem("mapper_unusable", message))
}

fn disconnected(facts: Facts<'_>) -> Option<Problem> {
    (facts.settings.sync_enabled && facts.connection.is_none()).then(|| {
        problem(
            "meta_not_connected",
            "the sync is switched on, and no Facebook account is connected, so nothing is sent; connect one (GET \
             /admin/meta/oauth/start)",
        )
    })
}

/// A problem that was recorded with another credential does not apply to the current one.
fn channel(facts: Facts<'_>) -> Option<Problem> {
    let connection = facts.connection?;
    let is_current = facts.channel.problem_credential.is_none_or(|version| version == connection.version);
    facts.channel.problem.clone().filter(|_| is_current)
}

fn expired(facts: Facts<'_>) -> Option<Problem> {
    let ended = facts.connection?.ends_at.filter(|ends| *ends <= facts.now)?;
    // The drain records the same.
    if facts.channel.problem.as_ref().is_some_and(|known| known.code == "meta_token_expired") {
        return None;
    }
    let message = format!("the access token expired at {}; connect the account again", (facts.shown)(ended));
    Some(problem("meta_token_expired", message))
}

fn lacks(facts: Facts<'_>, scope: &str) -> bool {
    let granted = facts.connection.and_then(|connection| connection.scope.as_deref());
    granted.is_some_and(|granted| !granted.split(',').any(|known| known.trim() == scope))
}

fn no_catalog_scope(facts: Facts<'_>) -> Option<Problem> {
    lacks(facts, SCOPES[0]).then(|| missing_scope(SCOPES[0], "nothing can be sent"))
}

fn no_business_scope(facts: Facts<'_>) -> Option<Problem> {
    lacks(facts, SCOPES[1]).then(|| missing_scope(SCOPES[1], "no business and no catalog can be selected"))
}

fn missing_scope(scope: &str, effect: &str) -> Problem {
    let message = format!(
        "the permission {scope} was not granted at the login, so {effect}; connect again and leave every permission \
         switched on"
    );
    problem("meta_scope_missing", message)
}

fn held(facts: Facts<'_>) -> Option<Problem> {
    let variants = facts.work.held;
    (variants > 0).then(|| {
        problem(
            "mass_delete_held",
            format!(
                "{variants} variants stopped being eligible at once and are still at Meta. If this is intended, release \
                 their deletion with POST /admin/meta/held-deletes/release; if not, fix the source and bootstrap again"
            ),
        )
    })
}

/// After another catalog is selected, nothing is asked for by itself: the operator decides.
fn nothing_queued(facts: Facts<'_>) -> Option<Problem> {
    let Work { pending, live, held, submissions, asks_again } = facts.work;
    let settings = facts.settings;
    let is_ready = settings.sync_enabled
        && settings.feed_configured()
        && settings.feed_mode == FeedMode::Live
        && facts.connection.is_some();
    let is_idle = live == 0 && held == 0 && submissions == 0 && !asks_again;
    (is_ready && is_idle && pending > 0).then(|| {
        problem(
            "nothing_queued",
            format!(
                "{pending} variants are known and were never sent to the selected catalog, and none of them is queued; \
                 queue them with POST /admin/meta/bootstrap"
            ),
        )
    })
}

fn personal_token(facts: Facts<'_>) -> Option<Problem> {
    let connection = facts.connection?;
    let is_personal = connection.token_kind == TokenKind::User && !facts.settings.catalog_id.is_empty();
    is_personal.then(|| {
        problem(
            "meta_personal_token",
            "calls are made with the personal token of the operator that connected, which ends after 60 days and with \
             that person's access; select the catalog again (POST /admin/meta/select-catalog), so that a system user's \
             token takes its place",
        )
    })
}

fn token_ends(facts: Facts<'_>) -> Option<Problem> {
    let ends = facts.connection?.ends_at?;
    let is_near = (facts.now..facts.now.saturating_add(TOKEN_NOTICE_MS)).contains(&ends) && ends > facts.now;
    is_near.then(|| {
        let message = format!(
            "the access token ends at {} and could not be renewed so far; connect the account again before",
            (facts.shown)(ends)
        );
        problem("meta_token_ends", message)
    })
}

fn calls_are_cut(facts: Facts<'_>) -> Option<Problem> {
    let cap = facts.channel.shape.row_cap.filter(|cap| *cap < facts.settings.batch_size)?;
    // A problem of the channel says more.
    if facts.channel.problem.is_some() {
        return None;
    }
    Some(problem(
        "meta_calls_cut",
        format!(
            "Meta refused a larger call, so calls have at most {cap} of {} items; the number doubles with each call that \
             Meta takes. There is nothing to do, unless it lasts: then lower batch_size",
            facts.settings.batch_size
        ),
    ))
}

fn version_ends(facts: Facts<'_>) -> Option<Problem> {
    let ends = version_end(facts.graph_version)?;
    let is_near = match version_age(facts.graph_version, facts.now) {
        VersionAge::NoEnd | VersionAge::Current => return None,
        VersionAge::EndsSoon => true,
        VersionAge::Ended => false,
    };
    let (version, day) = (facts.graph_version, (facts.shown)(ends));
    let day = day.split('T').next().unwrap_or(&day);
    let what = if is_near { format!("ends about {day}") } else { format!("ended about {day}") };
    let message = format!(
        "version {version} of Meta's Graph API {what}; after that Meta answers with another one. Set META_GRAPH_VERSION \
         (graph.version) to a later version and restart"
    );
    Some(problem("graph_version_ends", message))
}

/// When Meta's versions end for catalog calls, as announced by November 2026. Later ones have no date yet.
const VERSIONS: [(&str, Millis); 6] = [
    ("v20.0", 1_790_208_000_000), // 2026-09-24
    ("v21.0", 1_800_489_600_000), // 2027-01-21
    ("v22.0", 1_810_771_200_000), // 2027-05-20
    ("v23.0", 1_822_953_600_000), // 2027-10-08
    ("v24.0", 1_794_268_800_000), // 2026-11-10
    ("v25.0", 1_803_340_800_000), // 2027-02-23
];

/// Returns when a version ends, if that is known.
#[must_use]
pub fn version_end(version: &str) -> Option<Millis> {
    VERSIONS.iter().find(|(known, _)| *known == version).map(|(_, ends)| *ends)
}

/// How a version of the Graph API stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionAge {
    /// Meta announced no end.
    NoEnd,
    /// It ends, and not soon.
    Current,
    /// It ends within the notice.
    EndsSoon,
    /// It ended: Meta answers with another one.
    Ended,
}

impl VersionAge {
    /// Returns its word in the admin API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoEnd => "no_end",
            Self::Current => "current",
            Self::EndsSoon => "ends_soon",
            Self::Ended => "ended",
        }
    }
}

/// Returns how a version stands.
#[must_use]
pub fn version_age(version: &str, now: Millis) -> VersionAge {
    match version_end(version) {
        None => VersionAge::NoEnd,
        Some(ends) if now >= ends => VersionAge::Ended,
        Some(ends) if now >= ends - VERSION_NOTICE_MS => VersionAge::EndsSoon,
        Some(_) => VersionAge::Current,
    }
}

#[cfg(test)]
mod tests;
