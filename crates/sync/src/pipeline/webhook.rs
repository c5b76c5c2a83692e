//! The WebhookActor: keeps the subscription to Meta's notifications, and notices those that another replica received.
//!
//! Promises: the selected catalog is subscribed while Meta can reach this service over https, and one that was left is not;
//! a failure is told, changes nothing else and is tried again later, because polls go on without notifications.
//! Left out on purpose: taking notifications ([`crate::admin::webhook`]).

use std::sync::Arc;
use std::time::Duration;

use meta_graph::{ErrorClass, GraphFailure, Usage};
use tracing::{debug, info, warn};

use super::channel;
use crate::app::{Access, App};
use crate::domain::budget::{Admission, Bucket};
use crate::domain::settings::Settings;
use crate::domain::webhook::Step;
use crate::runtime::leased::{Lease, LeasedJob};
use crate::runtime::periodic::Rest;
use crate::store::{self, Db, StoreError, webhook};

/// How often the actor looks for notifications that another replica received.
const LOOK: Duration = Duration::from_millis(500);
/// How often it looks where none can come, or none to another replica.
const SELDOM: Duration = Duration::from_secs(30);

/// The job of the WebhookActor.
#[derive(Debug)]
pub struct WebhookJob {
    app: Arc<App>,
    /// How many notifications had named an open submission at the last look. `None` before the first one.
    seen: Option<i64>,
    /// Whether notifications may come to another replica.
    comes_elsewhere: bool,
}

impl WebhookJob {
    /// Returns the webhook job for this pipeline.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        Self { app, seen: None, comes_elsewhere: false }
    }

    /// Makes the call about the subscription that is due, if one is. Returns how long to rest.
    async fn keep(&self, lease: &Lease, known: &webhook::Webhook) -> Result<Rest, StoreError> {
        let app = &self.app;
        let settings = app.load_settings().await?;
        let is_wanted = app.config.webhook_url.is_some() && !settings.catalog_id.is_empty();
        let wanted = is_wanted.then_some(&*settings.catalog_id);
        let (catalog, subscribe) = match known.subscription.next(wanted, app.now()) {
            Step::Nothing => return Ok(Rest::Interval),
            Step::Leave(catalog) => (catalog, false),
            Step::Subscribe(catalog) => (catalog, true),
        };
        let Some(access) = self.access(&settings).await? else { return Ok(Rest::Interval) };
        match app.limiter.ask(catalog, Bucket::Management).await {
            Ok(Admission::Permit) => {}
            Ok(Admission::ClosedUntil(until)) => {
                let wait = Duration::from_millis(u64::try_from(until - app.now()).unwrap_or(0).max(10));
                return Ok(Rest::For(wait.min(self.interval())));
            }
            Err(error) => {
                debug!(%error, "permit request failed");
                return Ok(Rest::Interval);
            }
        }
        let answered = if subscribe {
            app.graph.subscribe_catalog(access.caller(), catalog).await
        } else {
            app.graph.unsubscribe_catalog(access.caller(), catalog).await
        };
        channel::report(&app.limiter, catalog, Bucket::Management, answered.as_ref());
        self.record(lease, catalog, subscribe, answered).await
    }

    /// Returns what calls need; `None` without a connection that can be used.
    async fn access(&self, settings: &Settings) -> Result<Option<Access>, StoreError> {
        let app = &self.app;
        let Some(credentials) = app.app_credentials(settings).await? else { return Ok(None) };
        let token = match app.tokens.get().await {
            Ok(token) => token,
            Err(fault) => {
                debug!(%fault, "subscription not looked after: no usable token");
                return Ok(None);
            }
        };
        let stopped = store::channel::load(&mut app.db.read().await?).await?.is_stopped_for(token.version);
        Ok((!stopped).then_some(Access { credentials, token }))
    }

    async fn record(
        &self,
        lease: &Lease,
        catalog: &str,
        subscribe: bool,
        answered: Result<Usage, GraphFailure>,
    ) -> Result<Rest, StoreError> {
        let now = self.app.now();
        let mut tx = lease.fence.begin(&self.app.db, None).await?;
        match &answered {
            Ok(_) if subscribe => {
                info!(catalog_id = catalog, "subscribed to Meta's notifications");
                webhook::subscribed(&mut tx, Some(catalog), now).await?;
            }
            Ok(_) => {
                info!(catalog_id = catalog, "subscription to Meta's notifications ended");
                webhook::subscribed(&mut tx, None, now).await?;
            }
            // This account may not see a catalog any more that was left. Nothing can be done about that, and the next catalog
            // must not wait for it; what Meta still tells of this one does no harm.
            Err(failure) if !subscribe && !may_pass(failure) => {
                info!(catalog_id = catalog, %failure, "subscription of a catalog that was left cannot be ended");
                webhook::subscribed(&mut tx, None, now).await?;
            }
            Err(failure) => {
                warn!(catalog_id = catalog, subscribe, %failure, "subscription to Meta's notifications not changed");
                webhook::failed(&mut tx, catalog, &channel::problem(failure).message, now).await?;
            }
        }
        tx.commit().await?;
        // After the catalog that was left, the next one is subscribed.
        Ok(if subscribe { Rest::Interval } else { Rest::Again })
    }
}

/// Whether the same call may succeed later.
fn may_pass(failure: &GraphFailure) -> bool {
    use ErrorClass::{Throttled, TokenDead, Transient};
    matches!(failure.class(), Transient | Throttled(_) | TokenDead(_))
}

impl LeasedJob for WebhookJob {
    fn interval(&self) -> Duration {
        if self.comes_elsewhere { LOOK } else { SELDOM }
    }

    fn idle(&mut self) -> Rest {
        self.seen = None;
        self.comes_elsewhere = false;
        Rest::Interval
    }

    async fn tick(&mut self, lease: Lease) -> Result<Rest, StoreError> {
        let app = &self.app;
        let known = webhook::load(&mut app.db.read().await?).await?;
        let has_replicas = matches!(app.db, Db::Postgres { .. });
        self.comes_elsewhere = has_replicas && (app.config.webhook_url.is_some() || known.received_at.is_some());
        if self.seen.replace(known.wakes) != Some(known.wakes) {
            app.wake.poll.nudge();
        }
        self.keep(&lease, &known).await
    }
}
