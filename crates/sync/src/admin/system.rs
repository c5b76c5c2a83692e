//! The system as a whole: versions, database, lease, actors, limits. For operators, and as a file to send along with a
//! question.
//!
//! Promises: no secret is in it; nothing is counted, so it costs the same whatever the shop has.

use serde::Serialize;
use utoipa::ToSchema;

use super::AdminError;
use super::limits::{self, LimitView};
use super::time::iso;
use super::webhook::WebhookView;
use crate::app::App;
use crate::domain::problems::{version_age, version_end};
use crate::runtime::vitals::{RESTARTS_TILL_RED, Vitals, VitalsBoard};
use crate::store::{channel, database, lease, webhook};

/// The system.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemView {
    /// When this was read, ISO 8601.
    pub at: Option<String>,
    /// This process.
    pub service: ServiceView,
    /// The version of Meta's Graph API.
    pub graph: GraphView,
    /// The database.
    pub database: DatabaseView,
    /// The right to run the pipeline.
    pub lease: LeaseView,
    /// The channel to Meta.
    pub channel: ChannelView,
    /// Meta's notifications.
    pub webhook: WebhookView,
    /// Meta's allowances for the selected catalog; empty when none is selected.
    pub limits: Vec<LimitView>,
    /// The mapper that runs in this process.
    pub mapper: RunningMapper,
    /// The actors of this process, by name.
    pub actors: Vec<ActorView>,
}

/// This process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceView {
    /// The version of the service.
    pub version: &'static str,
    /// The operating system and the processor it was built for.
    pub platform: String,
    /// The name of this process, as in the lease.
    pub instance: String,
    /// When it started, ISO 8601.
    pub started_at: Option<String>,
    /// For how long it has been running.
    pub uptime_seconds: i64,
}

/// The version of Meta's Graph API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphView {
    /// The version, such as `v25.0`.
    pub version: String,
    /// When Meta ends it, ISO 8601; null when no end is known.
    pub ends_at: Option<String>,
    /// `current`, `ends_soon` (within 90 days), `ended`, or `no_end` (none is known).
    #[schema(schema_with = super::schema::version_age)]
    pub age: &'static str,
}

/// The database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseView {
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// The version that it tells.
    pub version: String,
    /// Its size in bytes, with everything else that is in it.
    pub bytes: i64,
    /// The number of the last migration.
    pub migration: i64,
}

/// The right to run the pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeaseView {
    /// The process that holds it; null when none does.
    pub holder: Option<String>,
    /// Whether it is this process.
    pub is_here: bool,
    /// The number of takeovers.
    pub epoch: i64,
    /// Since when it is held, ISO 8601; null when it is not held.
    pub since: Option<String>,
}

/// The channel to Meta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelView {
    /// The code of what is wrong; null when nothing is.
    pub problem: Option<String>,
    /// Consecutive failures.
    pub failures: u32,
    /// Until when no call is made after a failure, ISO 8601; null when calls are made.
    pub open_until: Option<String>,
    /// Most items of the next call, after Meta refused a larger one; null when `batch_size` applies.
    pub row_cap: Option<usize>,
    /// The setting `batch_size`.
    pub batch_size: usize,
}

/// The mapper that runs in this process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunningMapper {
    /// The name that it gives itself; `builtin` for the built-in mapper.
    pub name: String,
    /// The version that it gives itself.
    pub version: String,
    /// The digest that variants are marked with.
    pub digest: String,
    /// Why the active mapper cannot run in this process; null when it runs.
    pub unusable: Option<String>,
}

/// An actor: a task that is restarted when it fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActorView {
    /// Its name.
    pub name: String,
    /// Whether it is running. It is not before its start and while it waits for a restart.
    pub running: bool,
    /// Whether it keeps failing: the service is not ready then.
    pub keeps_failing: bool,
    /// Restarts since the start of the process.
    pub restarts: u64,
    /// Restarts within the last five minutes.
    pub recent_restarts: usize,
    /// Rounds that succeeded; 0 for an actor that only answers requests.
    pub ticks: u64,
    /// When its last round began, ISO 8601; for an actor that only answers requests, when it started.
    pub last_started_at: Option<String>,
    /// When its last successful round ended, ISO 8601.
    pub last_success_at: Option<String>,
    /// Until when it rests whatever happens, ISO 8601; null when it does not.
    pub held_until: Option<String>,
    /// When it failed last, ISO 8601; null when it never did.
    pub last_error_at: Option<String>,
    /// The last failure. It stays after the actor has recovered.
    pub last_error: Option<String>,
}

impl From<Vitals> for ActorView {
    fn from(vitals: Vitals) -> Self {
        let (failed_at, last_error) = vitals.last_error.map(|error| (error.at, error.message)).unzip();
        Self {
            name: vitals.name,
            running: vitals.running,
            keeps_failing: vitals.recent_restarts >= RESTARTS_TILL_RED,
            restarts: vitals.restarts,
            recent_restarts: vitals.recent_restarts,
            ticks: vitals.ticks,
            last_started_at: vitals.last_started_at.and_then(iso),
            last_success_at: vitals.last_finished_at.and_then(iso),
            held_until: vitals.held_until.and_then(iso),
            last_error_at: failed_at.and_then(iso),
            last_error,
        }
    }
}

/// Returns the system.
///
/// # Errors
/// When the database query fails.
pub async fn system(app: &App, board: &VitalsBoard) -> Result<SystemView, AdminError> {
    let settings = app.load_settings().await?;
    let database = database::describe(&app.db).await?;
    let mut tx = app.db.read().await?;
    let channel = channel::load(&mut tx).await?;
    let held = lease::held(&mut tx).await?;
    let webhook = webhook::load(&mut tx).await?;
    drop(tx);
    let now = app.now();
    let mapper = app.active.current();
    let is_held = !held.holder.is_empty() && !held.has_ended;
    let graph = app.graph.version();
    Ok(SystemView {
        at: iso(now),
        service: ServiceView {
            version: env!("CARGO_PKG_VERSION"),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            instance: app.config.instance.clone(),
            started_at: iso(app.started_at),
            uptime_seconds: (now - app.started_at).max(0) / 1_000,
        },
        graph: GraphView {
            version: graph.to_owned(),
            ends_at: version_end(graph).and_then(iso),
            age: version_age(graph, now).as_str(),
        },
        database: DatabaseView {
            engine: database.engine,
            version: database.version,
            bytes: database.bytes,
            migration: database.migration,
        },
        lease: LeaseView {
            is_here: app.lease.current().is_some_and(|lease| lease.fence.epoch == held.epoch),
            epoch: held.epoch,
            since: held.taken_at.filter(|_| is_held).and_then(iso),
            holder: Some(held.holder).filter(|_| is_held),
        },
        channel: ChannelView {
            problem: channel.problem.map(|problem| problem.code),
            failures: channel.breaker.failures(),
            open_until: channel.breaker.open_until().filter(|until| *until > now).and_then(iso),
            row_cap: channel.shape.row_cap.filter(|cap| *cap < settings.batch_size),
            batch_size: settings.batch_size,
        },
        webhook: WebhookView::of(app, webhook),
        limits: limits::limits(app, &settings).await,
        mapper: RunningMapper {
            name: mapper.name().to_owned(),
            version: mapper.version().to_owned(),
            digest: mapper.digest().to_string(),
            unusable: app.active.unusable().map(|unusable| unusable.message),
        },
        actors: board.all().into_iter().map(Into::into).collect(),
    })
}
