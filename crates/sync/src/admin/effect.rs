//! What a change of settings leads to, said before it is made.

use std::time::Duration;

use super::AdminError;
use crate::app::App;
use crate::domain::budget::Bucket;
use crate::domain::settings::{FeedMode, Pacing, Settings, find, key};
use crate::domain::state::SyncStatus;
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
        effect.minutes = minutes_for(app, &settings, effect.asked_again).await;
    }
    Ok(effect)
}

/// Returns the minutes that it takes to send this many items at the present pace. While the limiter does not answer, its
/// pace counts as that of the interval.
pub async fn minutes_for(app: &App, settings: &Settings, items: i64) -> u64 {
    let budget = app.limiter.period(&settings.catalog_id, Bucket::Batch).await.ok();
    minutes(items, settings, budget)
}

fn minutes(items: i64, settings: &Settings, budget: Option<Duration>) -> u64 {
    let interval = Duration::from_secs(settings.sync_interval_seconds);
    let period = match settings.drain_pacing {
        Pacing::Interval => interval.max(budget.unwrap_or_default()),
        Pacing::Budget => budget.unwrap_or(interval),
    };
    let calls = u64::try_from(items).unwrap_or_default().div_ceil(u64::try_from(settings.batch_size.max(1)).unwrap_or(1));
    let millis = u128::from(calls) * period.as_millis();
    u64::try_from(millis.div_ceil(60_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_of_interval_and_budget_counts() {
        let settings = |drain_pacing| Settings { drain_pacing, batch_size: 1_000, ..Settings::default() };
        let (interval, budget) = (settings(Pacing::Interval), settings(Pacing::Budget));
        let eight_a_minute = Some(Duration::from_millis(7_500));
        let cases = [
            (0, &interval, eight_a_minute, 0),
            (1, &interval, eight_a_minute, 1),
            (10_000, &interval, eight_a_minute, 10),
            (10_000, &interval, Some(Duration::from_secs(120)), 20),
            (1_000_000, &budget, eight_a_minute, 125),
            (1_000_000, &budget, None, 1_000),
        ];
        for (items, settings, period, expected) in cases {
            assert_eq!(minutes(items, settings, period), expected, "{items} {period:?}");
        }
    }
}
