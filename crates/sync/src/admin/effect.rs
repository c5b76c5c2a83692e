//! What a change of settings leads to, said before it is made.

use std::time::Duration;

use super::{AdminError, limits};
use crate::app::App;
use crate::domain::reask::{Calls, time_left};
use crate::domain::settings::{FeedMode, Settings, find, key};
use crate::domain::state::SyncStatus;
use crate::store::channel;
use serde_json::{Map, Value};

/// What a change of settings leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// The changed settings that the mapper reads.
    pub mapped: Vec<&'static str>,
    /// Variants that are mapped again because of them. At a million variants the number is up to half a minute old.
    pub asked_again: i64,
    /// Minutes until the last of them is sent, if the result of each one changes.
    pub minutes: u64,
    /// Whether what was only previewed so far is sent.
    pub sends_previewed: bool,
    /// Whether calls are no longer made, but logged.
    pub only_previews: bool,
}

impl Effect {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.asked_again == 0 && !self.sends_previewed && !self.only_previews
    }
}

/// Returns the effect of these changes, which are checked and differ from the current settings.
///
/// # Errors
/// When the database query fails.
pub async fn of(app: &App, changes: &Map<String, Value>) -> Result<Effect, AdminError> {
    let settings = app.load_settings().await?;
    let specs = changes.keys().filter_map(|key| find(key));
    let mapped: Vec<&str> = specs.filter(|spec| spec.is_mapped).map(|spec| spec.key).collect();
    let to = changes.get(key::feed_mode).and_then(Value::as_str);
    let mut effect = Effect {
        sends_previewed: settings.feed_mode == FeedMode::Preview && to == Some("live"),
        only_previews: settings.feed_mode == FeedMode::Live && to == Some("preview"),
        mapped,
        ..Effect::default()
    };
    if !effect.mapped.is_empty() {
        // As the re-ask: all but those whose first intent is open.
        let states = app.totals().await?.states;
        effect.asked_again =
            states.iter().filter(|(status, _)| **status != SyncStatus::Pending).map(|(_, count)| count).sum();
        effect.minutes = minutes_for(app, &settings, effect.asked_again).await?;
    }
    Ok(effect)
}

/// Returns the minutes that it takes to send this many items at the present pace. Before a catalog is selected, and while
/// the limiter does not answer, the pace is that of the interval.
///
/// # Errors
/// When the database query fails.
pub async fn minutes_for(app: &App, settings: &Settings, items: i64) -> Result<u64, AdminError> {
    let mut tx = app.db.read().await?;
    let channel = channel::load(&mut tx).await?;
    drop(tx);
    let pace = limits::calls(app, settings, &channel).await.unwrap_or_else(|| Calls {
        rows: settings.batch_size,
        period: Duration::from_secs(settings.sync_interval_seconds),
        opens_in: Duration::ZERO,
    });
    Ok(time_left(items, pace).as_secs().div_ceil(60))
}
