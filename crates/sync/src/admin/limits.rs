//! How much of Meta's allowances is used, and how long a re-ask takes at that.
//!
//! Left out on purpose: the arithmetic ([`crate::domain::budget`], [`crate::domain::reask`]).

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::time::iso;
use crate::app::App;
use crate::domain::budget::{Bucket, Usage};
use crate::domain::channel::Channel;
use crate::domain::reask::Calls;
use crate::domain::settings::{Pacing, Settings};

/// One of Meta's allowances, as this process knows it. The process that holds the lease makes the calls; another one
/// knows only when its calls would be permitted.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitView {
    /// `batch` (calls that send items) or `management` (every other call about the catalog).
    #[schema(schema_with = super::schema::bucket)]
    pub bucket: &'static str,
    /// Calls that the service allows itself within the span.
    pub calls: u32,
    /// The span, in seconds.
    pub per_seconds: u64,
    /// Calls of this process within the last span.
    pub used: u32,
    /// Calls that are left of the span; 0 while Meta throttles.
    pub left: u32,
    /// The usage that Meta told within the last span, in percent; null when it told nothing.
    pub meta_percent: Option<f64>,
    /// The time between two calls, in milliseconds. It grows when Meta tells of much usage.
    pub period_ms: u64,
    /// When the next call may be made, ISO 8601; null when it may be made now.
    pub next_call_at: Option<String>,
    /// Until when Meta throttles, ISO 8601; null when it does not.
    pub closed_until: Option<String>,
}

impl LimitView {
    fn new(bucket: Bucket, usage: Usage) -> Self {
        Self {
            bucket: bucket.as_str(),
            calls: usage.quota.calls.get(),
            per_seconds: usage.quota.per.as_secs(),
            used: usage.used,
            left: usage.left,
            meta_percent: usage.told_percent,
            period_ms: u64::try_from(usage.period.as_millis()).unwrap_or(u64::MAX),
            next_call_at: usage.next_call_at.and_then(iso),
            closed_until: usage.closed_until.and_then(iso),
        }
    }
}

/// Returns the allowances of the selected catalog. Empty when none is selected, or while the limiter is down.
pub async fn limits(app: &App, settings: &Settings) -> Vec<LimitView> {
    usage(app, settings).await.into_iter().flatten().map(|(bucket, usage)| LimitView::new(bucket, usage)).collect()
}

async fn usage(app: &App, settings: &Settings) -> Option<[(Bucket, Usage); 2]> {
    if settings.catalog_id.is_empty() {
        return None;
    }
    app.limiter.usage(&settings.catalog_id).await.ok()
}

/// Returns the calls that a re-ask is sent with. `None` when no catalog is selected, or while the limiter is down.
pub(super) async fn calls(app: &App, settings: &Settings, channel: &Channel) -> Option<Calls> {
    let [(_, batch), _] = usage(app, settings).await?;
    let period = match settings.drain_pacing {
        Pacing::Budget => batch.period,
        Pacing::Interval => batch.period.max(Duration::from_secs(settings.sync_interval_seconds)),
    };
    let opens_at = batch.closed_until.max(channel.breaker.open_until());
    let opens_in = opens_at.map_or(0, |at| u64::try_from(at - app.now()).unwrap_or(0));
    let rows = channel.shape.cap(settings.batch_size.clamp(1, meta_graph::MAX_ROWS));
    Some(Calls { rows, period, opens_in: Duration::from_millis(opens_in) })
}
