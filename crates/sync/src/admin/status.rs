//! The complete status: connection, configuration, selection, counts, and the current problem.

use serde::Serialize;
use utoipa::ToSchema;

use super::AdminError;
use super::limits;
use super::time::iso;
use crate::app::App;
use crate::domain::credential::TokenKind;
use crate::domain::outcome::Problem;
use crate::domain::problems::{Connection, Facts, Severity, Work, problems};
use crate::domain::reask::{Calls, time_left};
use crate::domain::settings::Settings;
use crate::domain::state::SyncStatus;
use crate::store::credential::{self, Credential};
use crate::store::items::Totals;
use crate::store::reask::{self, Reask};
use crate::store::{channel, outbox, submission, sync_state};

/// The status of the connection, the configuration and the sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// Whether an access token is stored.
    pub connected: bool,
    /// The Facebook user id or the system user id.
    pub account_id: Option<String>,
    /// When the operator connected to Meta, ISO 8601.
    pub connected_at: Option<String>,
    /// The granted scopes, comma-separated.
    pub scope: Option<String>,
    /// When the access token ends, ISO 8601; null when no end is recorded.
    pub token_expires_at: Option<String>,
    /// The master switch of the sync.
    pub sync_enabled: bool,
    /// Which settings are set and which are missing.
    pub configuration: Configuration,
    /// The selected catalog; null when none is selected.
    pub selection: Option<SelectionView>,
    /// Number of variants, intents and submissions by state.
    pub counts: Counts,
    /// What an operator has to fix before calls to Meta are made; null when there is nothing.
    pub problem: Option<ProblemView>,
    /// Everything that an operator should know, the most urgent first; `problem` is the first that stops the sync.
    pub problems: Vec<ListedProblem>,
    /// Intents that are parked after too many faults of their own.
    pub outbox_parked: i64,
    /// When the intents that wait longest were queued, ISO 8601; null when nothing waits.
    pub outbox_oldest_at: Option<String>,
    /// Deletes that the mass-delete guard holds back until an operator releases them.
    pub held_deletes: i64,
    /// Running re-asks, and the last one of each reason.
    pub reasks: Vec<ReaskView>,
}

/// A re-ask: many variants are asked for again in chunks, behind what the shop changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReaskView {
    /// `bootstrap`, `remap`, `settings` (a setting changed that the mapper reads), `mapper_upgrade` or `renamed` (a
    /// vendor, brand, category or option).
    #[schema(schema_with = super::schema::reask_reason)]
    pub reason: &'static str,
    /// Whether the re-ask is running.
    pub running: bool,
    /// Variants to walk; null until they are counted.
    pub total: Option<i64>,
    /// Variants already walked.
    pub queued: i64,
    /// When the re-ask began, ISO 8601.
    pub started_at: Option<String>,
    /// When the re-ask ended; null while it runs.
    pub finished_at: Option<String>,
    /// The most time that it still takes at the present budget, with those before it; null when it is over or not
    /// counted, and while nothing can be sent.
    pub seconds_left: Option<u64>,
}

/// Returns the views, the latest first. `calls` are those that they are sent with. One re-ask runs at a time, that which
/// began first.
fn reask_views(reasks: Vec<Reask>, calls: Option<Calls>) -> Vec<ReaskView> {
    let mut ahead = Some(0_i64);
    let mut views: Vec<ReaskView> = Vec::with_capacity(reasks.len());
    for reask in reasks.into_iter().rev() {
        let mut seconds_left = None;
        if reask.finished_at.is_none() {
            let left = reask.total.map(|total| (total - reask.queued).max(0));
            ahead = ahead.zip(left).map(|(ahead, left)| ahead.saturating_add(left));
            let sent = ahead.zip(calls);
            seconds_left = sent.map(|(variants, calls)| time_left(variants, calls).as_secs());
        }
        views.push(ReaskView { seconds_left, ..reask.into() });
    }
    views.reverse();
    views
}

impl From<Reask> for ReaskView {
    fn from(reask: Reask) -> Self {
        Self {
            seconds_left: None,
            reason: reask.reason.as_str(),
            running: reask.finished_at.is_none(),
            total: reask.total,
            queued: reask.queued,
            started_at: iso(reask.started_at),
            finished_at: reask.finished_at.and_then(iso),
        }
    }
}

/// Whether something is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// It is set.
    Configured,
    /// It is not set.
    Missing,
}

/// Which settings are set and which are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// `app_id` and `app_secret`.
    pub oauth_client: Presence,
    /// `catalog_id`, `currency` and `storefront_base_url`.
    pub feed: Presence,
    /// The keys that are still blank.
    #[schema(schema_with = super::schema::missing_keys)]
    pub missing_keys: Vec<&'static str>,
}

/// The selected catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SelectionView {
    /// The business's id.
    pub business_id: String,
    /// The business's name.
    pub business_name: String,
    /// The catalog's id.
    pub catalog_id: String,
    /// The catalog's name.
    pub catalog_name: String,
    /// The system user's id.
    pub system_user_id: String,
    /// Whose token is used.
    pub token_kind: TokenKind,
}

/// Number of variants by state, and open intents and submissions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Variants whose payload Meta confirmed.
    pub synced: i64,
    /// Variants that were sent and whose verdict is open.
    pub submitted: i64,
    /// Variants that are known and were never pushed.
    pub pending: i64,
    /// Variants whose last push or mapping failed.
    pub failed: i64,
    /// Variants that are not eligible.
    pub skipped: i64,
    /// Variants that were deleted at Meta.
    pub deleted: i64,
    /// Intents that are still to be processed.
    pub outbox_pending: i64,
    /// Submissions whose verdict is open.
    pub handles_pending: i64,
}

/// Something to fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProblemView {
    /// A stable code.
    #[schema(schema_with = super::schema::problem_code)]
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Something to fix, and how urgent it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListedProblem {
    /// `stops` (the sync does not work) or `warns` (it works, and will not for ever).
    #[schema(schema_with = super::schema::severity)]
    pub severity: &'static str,
    /// A stable code.
    #[schema(schema_with = super::schema::problem_code)]
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Returns the status.
///
/// # Errors
/// When the database query fails.
pub async fn status(app: &App) -> Result<ConnectionStatus, AdminError> {
    let settings = app.load_settings().await?;
    let Totals { states, .. } = app.totals().await?;
    let backlog = app.backlog().await?;
    let mut tx = app.db.read().await?;
    let credential = credential::load(&mut tx, &app.keyring).await?;
    let channel = channel::load(&mut tx).await?;
    let (handles_pending, _) = submission::open_counts(&mut tx).await?;
    // In this order: a re-ask that begins in between is seen.
    let outbox_oldest = outbox::oldest_live(&mut tx).await?;
    let is_renamed = reask::is_renamed(&mut tx).await?;
    let reasks = reask::all(&mut tx).await?;
    let asks_again = is_renamed || reasks.iter().any(|reask| reask.finished_at.is_none());
    // A kept number is no reason to say that rows wait which nothing asks for.
    let pending = match backlog.live {
        0 => sync_state::count_pending(&mut tx).await?,
        _ => states.get(&SyncStatus::Pending).copied().unwrap_or_default(),
    };
    drop(tx);

    let of = |status| states.get(&status).copied().unwrap_or_default();
    let connection = credential.as_ref().map(|known| Connection {
        version: known.version,
        token_kind: known.metadata.token_kind,
        ends_at: known.access_token_expires_at,
        scope: known.scope.clone(),
    });
    let unusable = app.active.unusable().map(|unusable| unusable.message);
    let found = problems(Facts {
        settings: &settings,
        connection: connection.as_ref(),
        channel: &channel,
        mapper: unusable.as_deref(),
        work: Work { pending, live: backlog.live, held: backlog.held, submissions: handles_pending, asks_again },
        graph_version: app.graph.version(),
        now: app.now(),
        shown: |at| iso(at).unwrap_or_else(|| at.to_string()),
    });
    let runs = reasks.iter().any(|reask| reask.finished_at.is_none());
    let stopping = found.iter().find(|(severity, _)| *severity == Severity::Stops);
    let problem =
        stopping.map(|(_, Problem { code, message })| ProblemView { code: code.clone(), message: message.clone() });
    // Throttling and faults end by themselves; other problems last until an operator acts.
    let is_open = credential.as_ref().is_some_and(|known| !channel.is_stopped_for(known.version));
    let calls = match runs && settings.sync_enabled && is_open {
        true => limits::calls(app, &settings, &channel).await,
        false => None,
    };
    let presence = |set| if set { Presence::Configured } else { Presence::Missing };
    Ok(ConnectionStatus {
        connected: credential.is_some(),
        account_id: credential.as_ref().map(|known| known.account_id.clone()),
        connected_at: credential.as_ref().and_then(|known| iso(known.connected_at)),
        scope: credential.as_ref().and_then(|known| known.scope.clone()),
        sync_enabled: settings.sync_enabled,
        configuration: Configuration {
            oauth_client: presence(settings.oauth_client_configured()),
            feed: presence(settings.feed_configured()),
            missing_keys: settings.missing_keys(),
        },
        selection: selection(&settings, credential.as_ref()),
        counts: Counts {
            synced: of(SyncStatus::Synced),
            submitted: of(SyncStatus::Submitted),
            pending: of(SyncStatus::Pending),
            failed: of(SyncStatus::Failed),
            skipped: of(SyncStatus::Skipped),
            deleted: of(SyncStatus::Deleted),
            outbox_pending: backlog.live,
            handles_pending,
        },
        token_expires_at: credential.as_ref().and_then(|known| iso(known.access_token_expires_at?)),
        problem,
        problems: found
            .into_iter()
            .map(|(severity, Problem { code, message })| ListedProblem { severity: severity.as_str(), code, message })
            .collect(),
        outbox_parked: backlog.parked,
        outbox_oldest_at: outbox_oldest.and_then(iso),
        held_deletes: backlog.held,
        reasks: reask_views(reasks, calls),
    })
}

/// Returns the selection. A catalog whose id was set by hand, not through the selection, counts as selected too.
fn selection(settings: &Settings, credential: Option<&Credential>) -> Option<SelectionView> {
    if settings.catalog_id.is_empty() {
        return None;
    }
    Some(SelectionView {
        business_id: settings.business_id.clone(),
        business_name: settings.mapper.business_name.clone(),
        catalog_id: settings.catalog_id.clone(),
        catalog_name: settings.catalog_name.clone(),
        system_user_id: settings.system_user_id.clone(),
        token_kind: credential.map_or(settings.token_kind, |known| known.metadata.token_kind),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::reask::Reason;

    #[test]
    fn a_re_ask_waits_for_those_that_began_before_it() {
        let reask = |reason, total, queued, finished_at| Reask {
            reason,
            after_id: String::new(),
            total,
            queued,
            started_at: 0,
            finished_at,
        };
        let (remap, settings, bootstrap) = (Reason::Remap, Reason::Settings, Reason::Bootstrap);
        let calls = Calls { rows: 100, period: Duration::from_secs(10), opens_in: Duration::ZERO };
        // The latest comes first.
        let left = |reasks: &[Reask], calls| -> Vec<Option<u64>> {
            reask_views(reasks.to_vec(), calls).into_iter().map(|view| view.seconds_left).collect()
        };
        let done = reask(bootstrap, Some(500), 500, Some(9));
        let (first, second) = (reask(settings, Some(300), 100, None), reask(remap, Some(1_000), 0, None));
        let all = [second.clone(), first, done.clone()];
        assert_eq!(left(&all, Some(calls)), [Some(120), Some(20), None]);
        assert_eq!(left(&all, None), [None, None, None], "nothing can be sent");
        let uncounted = reask(settings, None, 0, None);
        assert_eq!(left(&[second, uncounted, done], Some(calls)), [None, None, None], "the one before is not counted");
    }
}
