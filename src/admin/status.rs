//! The status view: connection, configuration, selection, counts and the current problem.

use serde::Serialize;
use utoipa::ToSchema;

use super::AdminError;
use super::time::iso;
use crate::app::App;
use crate::clock::Millis;
use crate::domain::channel::Channel;
use crate::domain::credential::TokenKind;
use crate::domain::settings::Settings;
use crate::domain::state::SyncStatus;
use crate::store::credential::{self, Credential};
use crate::store::reask::{self, Reask};
use crate::store::{channel, outbox, submission, sync_state};

/// The status of the connection and of the synchronization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// Whether there is a token.
    pub connected: bool,
    /// Facebook user id or system user id.
    pub account_id: Option<String>,
    /// When the operator connected, ISO 8601.
    pub connected_at: Option<String>,
    /// Granted scopes, comma-separated.
    pub scope: Option<String>,
    /// The master switch.
    pub sync_enabled: bool,
    /// What is set and what is not.
    pub configuration: Configuration,
    /// The chosen catalog.
    pub selection: Option<SelectionView>,
    /// Numbers of variants, intents and submissions.
    pub counts: Counts,
    /// The problem that the operator has to fix before calls are made.
    pub problem: Option<ProblemView>,
    /// Intents set aside after too many faults of their own.
    pub outbox_parked: i64,
    /// Deletes that wait for a confirmation.
    pub held_deletes: i64,
    /// Running re-asks, and the last re-ask of each reason.
    pub reasks: Vec<ReaskView>,
}

/// A re-ask: many variants are queued again, in chunks and with lower priority than changes of the shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReaskView {
    /// `bootstrap`, `remap`, `settings` (a setting changed that the mapper reads) or `mapper_upgrade`.
    #[schema(schema_with = super::schema::reask_reason)]
    pub reason: &'static str,
    /// Whether the re-ask is running.
    pub running: bool,
    /// Number of variants to process; null until they are counted.
    pub total: Option<i64>,
    /// Number of variants processed so far.
    pub queued: i64,
    /// When it began, ISO 8601.
    pub started_at: Option<String>,
    /// When it ended, ISO 8601; null while it is running.
    pub finished_at: Option<String>,
}

impl From<Reask> for ReaskView {
    fn from(reask: Reask) -> Self {
        Self {
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
    /// Set.
    Configured,
    /// Not set.
    Missing,
}

/// What is set and what is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// `app_id` and `app_secret`.
    pub oauth_client: Presence,
    /// `catalog_id`, `currency` and `storefront_base_url`.
    pub feed: Presence,
    /// Keys that are still blank.
    pub missing_keys: Vec<&'static str>,
}

/// The chosen catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SelectionView {
    /// The business's id.
    pub business_id: String,
    /// Its name.
    pub business_name: String,
    /// The catalog's id.
    pub catalog_id: String,
    /// Its name.
    pub catalog_name: String,
    /// The system user's id.
    pub system_user_id: String,
    /// Whose token is used.
    pub token_kind: TokenKind,
}

/// How many variants are in which state, and what is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Confirmed by Meta.
    pub synced: i64,
    /// Sent, verdict open.
    pub submitted: i64,
    /// Known, never pushed.
    pub pending: i64,
    /// Last push or mapping failed.
    pub failed: i64,
    /// Not eligible.
    pub skipped: i64,
    /// Deleted at Meta.
    pub deleted: i64,
    /// Intents to be processed.
    pub outbox_pending: i64,
    /// Submissions whose verdict is open.
    pub handles_pending: i64,
}

/// A problem to fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProblemView {
    /// Stable code.
    pub code: String,
    /// What to do.
    pub message: String,
}

/// Returns the status.
///
/// # Errors
/// When the database query fails.
pub async fn status(app: &App) -> Result<ConnectionStatus, AdminError> {
    let settings = app.load_settings().await?;
    let mut tx = app.db.read().await?;
    let credential = credential::load(&mut tx, &app.keyring).await?;
    let channel = channel::load(&mut tx).await?;
    let states = sync_state::counts(&mut tx).await?;
    let backlog = outbox::backlog(&mut tx).await?;
    let (handles_pending, _) = submission::open_counts(&mut tx).await?;
    let reasks = reask::all(&mut tx).await?;
    drop(tx);

    let of = |status| states.get(&status).copied().unwrap_or_default();
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
        problem: unusable_mapper(app)
            .or_else(|| problem(credential.as_ref(), channel, app.now()))
            .or_else(|| held_back(backlog.held)),
        outbox_parked: backlog.parked,
        held_deletes: backlog.held,
        reasks: reasks.into_iter().map(Into::into).collect(),
    })
}

/// A catalog that was set by hand, not through the selection, counts as selected too.
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

fn unusable_mapper(app: &App) -> Option<ProblemView> {
    let unusable = app.active.unusable()?;
    Some(ProblemView { code: "mapper_unusable".into(), message: unusable.message })
}

fn held_back(variants: i64) -> Option<ProblemView> {
    (variants > 0).then(|| ProblemView {
        code: "mass_delete_held".into(),
        message: format!(
            "{variants} variants stopped being eligible at once and are still at Meta. If that is meant, release their \
             deletion with POST /admin/meta/held-deletes/release; if not, fix the source and bootstrap again"
        ),
    })
}

fn problem(credential: Option<&Credential>, channel: Channel, now: Millis) -> Option<ProblemView> {
    let credential = credential?;
    // A problem met with another credential is not one of this one.
    let current = channel.problem_credential.is_none_or(|version| version == credential.version);
    if let Some(problem) = channel.problem.filter(|_| current) {
        return Some(ProblemView { code: problem.code, message: problem.message });
    }
    let ended = credential.access_token_expires_at.filter(|ends| *ends <= now)?;
    Some(ProblemView {
        code: "meta_token_expired".into(),
        message: format!(
            "the access token expired at {}; connect the account again",
            iso(ended).unwrap_or_else(|| ended.to_string())
        ),
    })
}
