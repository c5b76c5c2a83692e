//! The actors that run on their own timers: from the outbox to Meta's verdict.
//!
//! [`children`] lists them in the order of start-up; shutdown runs in the reverse order. All of them except the lease
//! keeper and the mapper folder watcher run only under the lease ([`crate::runtime::leased`]).
//! Left out on purpose: the actors that serve requests ([`crate::actors`]), which this module calls.

pub mod channel;
pub mod drain;
pub mod drift;
pub mod history;
pub mod lease;
pub mod lint;
pub mod mapper_directory;
pub mod poll;
pub mod reask;
pub mod retention;
pub mod sale_window;
pub mod token_source;
pub mod webhook;

use std::path::PathBuf;
use std::sync::Arc;

use crate::app::App;
use crate::domain::retention::RetentionConfig;
use crate::runtime::jitter::Jitter;
use crate::runtime::leased::{Leased, LeasedJob};
use crate::runtime::periodic::{Job, Nudger, periodic};
use crate::runtime::tree::Child;

/// The configuration of these actors.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// The retention of settled rows.
    pub retention: RetentionConfig,
    /// The folder that is watched for mapper modules; `None` when no folder is watched.
    pub mapper_directory: Option<PathBuf>,
}

/// Returns every actor of the pipeline, in the order of start-up.
#[must_use]
pub fn children(app: &Arc<App>, config: PipelineConfig, jitter: &Jitter) -> Vec<Child> {
    let PipelineConfig { retention, mapper_directory } = config;
    let (jitter, polls) = (Jitter::clone(jitter), Jitter::clone(jitter));
    let wake = &app.wake;
    let mut children = vec![
        child(app, app.lease.keeper(), lease::LeaseJob::new),
        leased(app, &wake.sale_window, sale_window::SaleWindowJob::new),
        leased(app, &wake.reask, reask::ReaskJob::new),
        leased(app, &wake.lint, lint::LintJob::new),
        leased(app, &wake.drift, drift::DriftJob::new),
        // Nothing waits for deleted rows or a written minute, so nothing wakes these two.
        leased(app, &Nudger::new("history"), history::HistoryJob::new),
        leased(app, &Nudger::new("retention"), move |app| retention::RetentionJob::new(app, retention)),
        leased(app, &wake.webhook, webhook::WebhookJob::new),
        leased(app, &wake.poll, move |app| poll::PollJob::new(app, Jitter::clone(&polls))),
        leased(app, &wake.drain, move |app| drain::DrainJob::new(app, Jitter::clone(&jitter))),
    ];
    if let Some(directory) = mapper_directory {
        let make = move |app| mapper_directory::MapperDirectoryJob::new(app, directory.clone());
        children.push(child(app, &wake.mapper_directory, make));
    }
    children
}

fn child<J: Job>(app: &Arc<App>, nudger: &Nudger, make: impl Fn(Arc<App>) -> J + Send + Sync + 'static) -> Child {
    let shared = Arc::clone(app);
    periodic(nudger, Arc::clone(&app.clock), move || make(Arc::clone(&shared)))
}

fn leased<J: LeasedJob>(
    app: &Arc<App>,
    nudger: &Nudger,
    make: impl Fn(Arc<App>) -> J + Send + Sync + 'static,
) -> Child {
    child(app, nudger, move |app| Leased::new(app.lease.clone(), make(app)))
}
