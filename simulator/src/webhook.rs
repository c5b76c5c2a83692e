//! Notifications: the app's settings for them, subscriptions of catalogs, and what is delivered, or not.
//!
//! Promises: a finished batch of a subscribed catalog is told once, signed with the app secret over the bytes that are sent,
//! and again while it is not answered with 200. A planned [`Fate`] loses, delays, doubles, or forges a notification.
//! Deliveries run in the background while a callback is set; they move nothing that the clock would not move.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::clock::Millis;
use crate::server::{Locked, Shared};
use crate::world::World;

/// How often deliveries are looked for, in time of the machine.
const LOOK: Duration = Duration::from_millis(5);
/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pauses before a notification is delivered again that was not answered with 200, in simulated time.
const AGAIN_MS: [Millis; 3] = [1_000, 10_000, 60_000];
/// Deliveries kept for `GET /_sim/webhooks` and for the replay.
const LOG: usize = 1_000;

/// What becomes of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "fate", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fate {
    /// It is never delivered.
    Lose {},
    /// It is delivered this many milliseconds later.
    Delay {
        /// The delay.
        ms: i64,
    },
    /// It is delivered twice.
    Double {},
    /// It is signed with another secret.
    Forge {},
}

/// A notification on its way.
#[derive(Clone, Debug)]
struct Outgoing {
    at: Millis,
    body: String,
    signature: String,
    attempt: usize,
}

/// A delivery that was made.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Delivery {
    at: Millis,
    body: String,
    signature: String,
    /// `None` when nothing was answered.
    status: Option<u16>,
}

/// Where the app wants notifications.
#[derive(Debug)]
pub(crate) struct Target {
    callback_url: String,
}

/// Notifications of the world.
#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    target: Option<Arc<Target>>,
    /// Catalogs whose notifications the app gets.
    pub(crate) subscribed: BTreeSet<String>,
    fates: VecDeque<Fate>,
    outgoing: Vec<Outgoing>,
    log: VecDeque<Delivery>,
}

impl Webhooks {
    /// Plans the fates of the next notifications.
    pub(crate) fn plan(&mut self, fate: Fate, times: u32) {
        self.fates.extend((0..times).map(|_| fate));
    }

    /// Ends the settings of the app; subscriptions stay.
    pub(crate) fn forget_target(&mut self) {
        self.target = None;
        self.outgoing.clear();
    }

    /// What the control API shows.
    pub(crate) fn shown(&self) -> Value {
        json!({
            "callback_url": self.target.as_ref().map(|target| &target.callback_url),
            "subscribed": self.subscribed,
            "planned": self.fates,
            "waiting": self.outgoing.len(),
            "deliveries": self.log,
        })
    }

    /// Delivers once more, as they were, all that was delivered. Returns their number.
    pub(crate) fn replay(&mut self, now: Millis) -> usize {
        let again: Vec<Outgoing> = self
            .log
            .iter()
            .map(|sent| Outgoing {
                at: now,
                body: sent.body.clone(),
                signature: sent.signature.clone(),
                // As a recording, it is not delivered again when it fails.
                attempt: AGAIN_MS.len(),
            })
            .collect();
        let count = again.len();
        self.outgoing.extend(again);
        count
    }

    fn due(&mut self, now: Millis) -> Vec<Outgoing> {
        let (due, later) = std::mem::take(&mut self.outgoing).into_iter().partition(|one| one.at <= now);
        self.outgoing = later;
        due
    }
}

/// `GET /{catalog}/subscribed_apps`.
pub(crate) fn list(world: &World, catalog: &str) -> Value {
    let app = &world.config.app;
    let is_subscribed = world.webhooks.subscribed.contains(catalog);
    let apps: Vec<Value> = is_subscribed.then(|| json!({"id": app.id, "name": app.name})).into_iter().collect();
    json!({ "data": apps })
}

/// `POST` and `DELETE /{catalog}/subscribed_apps`.
pub(crate) fn subscribe(world: &mut World, catalog: &str, on: bool) -> Value {
    if on {
        world.webhooks.subscribed.insert(catalog.to_owned());
    } else {
        world.webhooks.subscribed.remove(catalog);
    }
    json!({"success": true})
}

/// Tells of a batch that has finished.
pub(crate) fn tell(world: &mut World, catalog: &str, handle: &str, at: Millis) {
    if world.webhooks.target.is_none() || !world.webhooks.subscribed.contains(catalog) {
        return;
    }
    let value = json!({"catalog_id": catalog, "handle": handle, "status": "Finished"});
    let body = json!({
        "object": "catalog",
        "entry": [{"id": catalog, "time": at / 1_000, "changes": [{"field": "items_batch", "value": value}]}],
    })
    .to_string();
    let fate = world.webhooks.fates.pop_front();
    let secret = if fate == Some(Fate::Forge {}) { "made up" } else { &world.config.app.secret };
    let signature = signature(secret, &body);
    let delay = if let Some(Fate::Delay { ms }) = fate { ms } else { 0 };
    let copies = match fate {
        Some(Fate::Lose {}) => 0,
        Some(Fate::Double {}) => 2,
        _ => 1,
    };
    let one = Outgoing { at: at.saturating_add(delay), body, signature, attempt: 0 };
    world.webhooks.outgoing.extend(std::iter::repeat_n(one, copies));
}

fn signature(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Sets the app's callback after it has answered the challenge, as Meta's form for it does.
///
/// # Errors
/// When it does not answer as documented; says what it did instead.
pub(crate) async fn set_target(shared: &Shared, callback_url: &str, verify_token: &str) -> Result<(), String> {
    if !callback_url.starts_with("http://") {
        return Err("the simulator delivers only to http:// addresses, of this machine".into());
    }
    let client = client().map_err(|error| error.to_string())?;
    let challenge = shared.world().ids.number(9);
    let query = [("hub.mode", "subscribe"), ("hub.challenge", &challenge), ("hub.verify_token", verify_token)];
    let answer = client.get(callback_url).query(&query).send().await.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let text = answer.text().await.map_err(|error| error.to_string())?;
    if status != 200 || text != challenge {
        return Err(format!(
            "the callback was not verified: it answered {status} with {text:?}, expected 200 with the challenge"
        ));
    }
    let target = Arc::new(Target { callback_url: callback_url.to_owned() });
    shared.world().webhooks.target = Some(Arc::clone(&target));
    tokio::spawn(deliver(shared.downgrade(), target, client));
    Ok(())
}

fn client() -> reqwest::Result<reqwest::Client> {
    // Without this, a machine without CA certificates could not even call itself.
    reqwest::Client::builder().timeout(PATIENCE).no_proxy().tls_certs_only([]).build()
}

/// Delivers until the world is gone or has another target.
async fn deliver(locked: Weak<Locked>, target: Arc<Target>, client: reqwest::Client) {
    while let Some(shared) = Shared::upgrade(&locked) {
        let due = {
            let mut world = shared.world();
            if world.webhooks.target.as_ref().is_none_or(|present| !Arc::ptr_eq(present, &target)) {
                return;
            }
            let now = world.settle();
            world.webhooks.due(now)
        };
        drop(shared);
        for one in due {
            tokio::spawn(send(Weak::clone(&locked), Arc::clone(&target), client.clone(), one));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn send(locked: Weak<Locked>, target: Arc<Target>, client: reqwest::Client, one: Outgoing) {
    let request = client
        .post(&target.callback_url)
        .header("content-type", "application/json")
        .header("x-hub-signature-256", &one.signature)
        .body(one.body.clone());
    let status = request.send().await.ok().map(|answer| answer.status().as_u16());
    let Some(shared) = Shared::upgrade(&locked) else { return };
    let mut world = shared.world();
    let now = world.clock.now();
    let webhooks = &mut world.webhooks;
    if status != Some(200)
        && let Some(pause) = AGAIN_MS.get(one.attempt)
    {
        webhooks.outgoing.push(Outgoing { at: now + pause, attempt: one.attempt + 1, ..one.clone() });
    }
    webhooks.log.push_back(Delivery { at: now, body: one.body, signature: one.signature, status });
    if webhooks.log.len() > LOG {
        webhooks.log.pop_front();
    }
}
