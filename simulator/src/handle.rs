//! The simulator inside a test's own process.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::calls::Counters;
use crate::config::Config;
use crate::faults::Fault;
use crate::server::Shared;
use crate::webhook::{self, Fate};
use crate::world::World;

/// Starts simulators.
#[derive(Debug)]
pub struct Simulator;

impl Simulator {
    /// Starts one on a free port of this machine.
    ///
    /// # Errors
    /// When no port is available.
    pub async fn spawn(config: Config) -> std::io::Result<Handle> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Shared::new(World::new(config));
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            // A dropped handle stops the server too.
            let _ = stopped.await;
        };
        let task = tokio::spawn(crate::serve_world(listener, shared.clone(), shutdown));
        Ok(Handle { address, base_url: format!("http://{address}"), shared, stop, task })
    }
}

/// A running simulator; it stops when the handle is dropped.
pub struct Handle {
    address: SocketAddr,
    base_url: String,
    shared: Shared,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Handle {
    /// `http://127.0.0.1:PORT`, for Graph and dialog alike.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The current time of the simulator's clock, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.shared.world().clock.now()
    }

    /// Stops the clock; from then on only [`Handle::advance`] moves it.
    pub fn freeze(&self) {
        self.shared.world().clock.freeze(true);
    }

    /// Moves the clock by `ms` milliseconds and processes what is due.
    pub fn advance(&self, ms: i64) {
        let mut world = self.shared.world();
        world.clock.advance(ms);
        world.settle();
    }

    /// Plans a fault.
    pub fn plan(&self, fault: Fault) {
        self.shared.world().faults.add([fault]);
    }

    /// Deletes planned faults.
    pub fn clear_faults(&self) {
        self.shared.world().faults.clear();
    }

    /// Makes rows of this retailer id fail at processing with this message.
    pub fn reject(&self, retailer_id: &str, message: &str) {
        self.shared.world().rejects.insert(retailer_id.to_owned(), message.to_owned());
    }

    /// Deletes all planned row failures.
    pub fn clear_rejects(&self) {
        self.shared.world().rejects.clear();
    }

    /// Returns the calls so far.
    #[must_use]
    pub fn calls(&self) -> Counters {
        self.shared.world().calls.counters.clone()
    }

    /// A catalog's items as saved, by retailer id; `None` when the catalog does not exist.
    #[must_use]
    pub fn items(&self, catalog: &str) -> Option<BTreeMap<String, Value>> {
        let mut world = self.shared.world();
        world.settle();
        let items = &world.catalogs.get(catalog)?.items;
        let parsed = |(id, text): (&str, &str)| Some((id.to_owned(), serde_json::from_str(text).ok()?));
        Some(items.saved_after(None).filter_map(parsed).collect())
    }

    /// Deletes items of a catalog, as somebody does by hand in Commerce Manager. Returns how many there were; `None` when
    /// the catalog does not exist.
    #[must_use]
    pub fn lose_items(&self, catalog: &str, retailer_ids: &[&str]) -> Option<usize> {
        self.shared.world().lose(catalog, retailer_ids)
    }

    /// Changes an item behind the shop's back, or adds one: `changes` is an object of fields as they are sent, and `null`
    /// removes a field. Returns false when the catalog does not exist.
    #[must_use]
    pub fn tamper(&self, catalog: &str, retailer_id: &str, changes: &Value) -> bool {
        let changes = changes.as_object().cloned().unwrap_or_default();
        self.shared.world().tamper(catalog, retailer_id, changes)
    }

    /// Plants what Meta's review says of an item: `review_status`, `review_rejection_reasons`, `errors` and
    /// `image_fetch_status`. Returns false when there is no such item, or the plan cannot be read.
    #[must_use]
    pub fn review(&self, catalog: &str, retailer_id: &str, review: &Value) -> bool {
        let Ok(review) = serde_json::from_value(review.clone()) else { return false };
        let mut world = self.shared.world();
        world.settle();
        world.catalogs.get_mut(catalog).is_some_and(|state| state.items.review(retailer_id, review))
    }

    /// Mints a token for a user or system user with both scopes; `expires_in_s` in seconds, `None` means never.
    #[must_use]
    pub fn mint_token(&self, owner: &str, expires_in_s: Option<i64>) -> String {
        let scopes = vec!["catalog_management".to_owned(), "business_management".to_owned()];
        self.shared.world().mint(None, owner, scopes, expires_in_s)
    }

    /// Every token minted so far, including expired ones, in full: for tests that search for leaked tokens.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        self.shared.world().tokens.keys().cloned().collect()
    }

    /// Changes the configuration at run time (quotas, times, rules, switches; the world itself stays as it is).
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        change(&mut self.shared.world().config);
    }

    /// Sets the address for notifications, which must answer the challenge, as in the app's settings at Meta. They are
    /// delivered for subscribed catalogs.
    ///
    /// # Errors
    /// When the address does not answer as documented.
    pub async fn set_webhook(&self, callback_url: &str, verify_token: &str) -> Result<(), String> {
        webhook::set_target(&self.shared, callback_url, verify_token).await
    }

    /// Plans what becomes of the next notifications.
    pub fn plan_webhooks(&self, fate: Fate, times: u32) {
        self.shared.world().webhooks.plan(fate, times);
    }

    /// Delivers every notification once more that was delivered so far. Returns their number.
    pub fn replay_webhooks(&self) -> usize {
        let mut world = self.shared.world();
        let now = world.clock.now();
        world.webhooks.replay(now)
    }

    /// What `GET /_sim/webhooks` answers.
    #[must_use]
    pub fn webhooks(&self) -> Value {
        self.shared.world().webhooks.shown()
    }

    /// Stops the server and waits for current requests.
    ///
    /// # Errors
    /// When the server failed.
    pub async fn stop(self) -> std::io::Result<()> {
        drop(self.stop);
        self.task.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}
