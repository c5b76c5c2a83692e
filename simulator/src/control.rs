//! `/_sim/…`: inspects and changes the world for tests. No authentication: the simulator is for one machine only.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::calls::Calls;
use crate::config::{Quotas, Rules, Switches, Times};
use crate::faults::Fault;
use crate::items::Review;
use crate::server::Shared;
use crate::webhook::{self, Fate};
use crate::world::World;

pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/health", get(async || Json(json!({"ok": true}))))
        .route("/clock", get(read_clock).post(set_clock))
        .route("/catalogs/{catalog}/items", get(items))
        .route("/catalogs/{catalog}/items/{id}", get(item).patch(tamper).delete(lose))
        .route("/catalogs/{catalog}/items/{id}/review", post(review))
        .route("/calls", get(calls).delete(forget_calls))
        .route("/calls/log", get(log))
        .route("/handles", get(handles))
        .route("/reset", post(reset))
        .route("/faults", get(faults).post(plan_faults).delete(clear_faults))
        .route("/reject_ids", get(rejects).post(reject).delete(clear_rejects))
        .route("/tokens", get(tokens).post(mint))
        .route("/tokens/expire", post(expire_tokens))
        .route("/quotas", get(quotas).post(set_quotas))
        .route("/rules", get(rules).post(set_rules))
        .route("/times", get(times).post(set_times))
        .route("/switches", get(switches).post(set_switches))
        .route("/webhooks", get(webhooks).post(set_webhook).delete(forget_webhook))
        .route("/webhooks/plan", post(plan_webhooks))
        .route("/webhooks/replay", post(replay_webhooks))
        .fallback(async || refuse(StatusCode::NOT_FOUND, "no such control call; simulator/README.md lists them"))
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}

fn ok() -> Response {
    Json(json!({"ok": true})).into_response()
}

/// Reads a body whatever its content type; the refusal states the problem.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Box<Response>> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(|error| Box::new(refuse(StatusCode::BAD_REQUEST, &error.to_string())))
}

macro_rules! read_or_refuse {
    ($body:expr) => {
        match read($body) {
            Ok(value) => value,
            Err(refusal) => return *refusal,
        }
    };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetClock {
    #[serde(default)]
    advance_ms: i64,
    freeze: Option<bool>,
}

fn clock_body(world: &World) -> Response {
    Json(json!({"now_ms": world.clock.now(), "frozen": world.clock.frozen()})).into_response()
}

async fn read_clock(State(shared): State<Shared>) -> Response {
    clock_body(&shared.world())
}

async fn set_clock(State(shared): State<Shared>, body: Bytes) -> Response {
    let set: SetClock = read_or_refuse!(&body);
    let mut world = shared.world();
    if let Some(freeze) = set.freeze {
        world.clock.freeze(freeze);
    }
    world.clock.advance(set.advance_ms);
    world.settle();
    clock_body(&world)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct StoredItem<'a> {
    id: &'a str,
    data: &'a RawValue,
}

async fn items(State(shared): State<Shared>, Path(catalog): Path<String>, Query(range): Query<Range>) -> Response {
    let mut world = shared.world();
    world.settle();
    let Some(state) = world.catalogs.get(&catalog) else {
        return refuse(StatusCode::NOT_FOUND, "no such catalog");
    };
    let limit = range.limit.unwrap_or(1_000).clamp(1, 10_000);
    let mut saved: Vec<StoredItem<'_>> = Vec::new();
    for (id, text) in state.items.saved_after(range.after.as_deref()).take(limit + 1) {
        // The simulator saves only JSON; anything else is a bug that must be reported.
        match serde_json::from_str(text) {
            Ok(data) => saved.push(StoredItem { id, data }),
            Err(error) => {
                return refuse(StatusCode::INTERNAL_SERVER_ERROR, &format!("item {id}: {error}"));
            }
        }
    }
    let more = saved.len() > limit;
    saved.truncate(limit);
    let next = if more { saved.last().map(|item| item.id) } else { None };
    #[derive(Serialize)]
    struct Page<'a> {
        items: &'a [StoredItem<'a>],
        next: Option<&'a str>,
    }
    Json(Page { items: &saved, next }).into_response()
}

async fn item(State(shared): State<Shared>, Path((catalog, id)): Path<(String, String)>) -> Response {
    let mut world = shared.world();
    world.settle();
    let Some(state) = world.catalogs.get(&catalog) else {
        return refuse(StatusCode::NOT_FOUND, "no such catalog");
    };
    match state.items.saved(&id) {
        Some(data) => {
            Json(json!({"id": id, "data": data, "visible": state.items.shown(&id).is_some()})).into_response()
        }
        None => refuse(StatusCode::NOT_FOUND, "no such item"),
    }
}

async fn tamper(State(shared): State<Shared>, Path((catalog, id)): Path<(String, String)>, body: Bytes) -> Response {
    let changes: Map<String, Value> = read_or_refuse!(&body);
    if shared.world().tamper(&catalog, &id, changes) { ok() } else { refuse(StatusCode::NOT_FOUND, "no such catalog") }
}

async fn lose(State(shared): State<Shared>, Path((catalog, id)): Path<(String, String)>) -> Response {
    if shared.world().lose(&catalog, &[&id]) == Some(1) { ok() } else { refuse(StatusCode::NOT_FOUND, "no such item") }
}

async fn review(State(shared): State<Shared>, Path((catalog, id)): Path<(String, String)>, body: Bytes) -> Response {
    let review: Review = read_or_refuse!(&body);
    let mut world = shared.world();
    world.settle();
    match world.catalogs.get_mut(&catalog).map(|state| state.items.review(&id, review)) {
        Some(true) => ok(),
        _ => refuse(StatusCode::NOT_FOUND, "no such item"),
    }
}

async fn calls(State(shared): State<Shared>) -> Response {
    Json(&shared.world().calls.counters).into_response()
}

async fn forget_calls(State(shared): State<Shared>) -> Response {
    let mut world = shared.world();
    world.calls = Calls::new(world.config.log_size);
    ok()
}

async fn log(State(shared): State<Shared>, Query(range): Query<Range>) -> Response {
    let world = shared.world();
    let entries: Vec<_> = world.calls.last(range.limit.unwrap_or(50)).collect();
    Json(json!({ "calls": entries })).into_response()
}

async fn handles(State(shared): State<Shared>) -> Response {
    let mut world = shared.world();
    let now = world.settle();
    let mut batches: Vec<_> = world.batches.by_handle.iter().collect();
    batches.sort_by_key(|(_, batch)| batch.accepted_at);
    let entry = |(handle, batch): (&String, &crate::batch::Batch)| {
        json!({"handle": handle, "catalog": batch.catalog, "acceptedAt": batch.accepted_at, "finishAt": batch.finish_at,
               "processed": batch.finish_at <= now, "errors": batch.errors.len(), "warnings": batch.warnings.len()})
    };
    Json(json!({"handles": batches.into_iter().map(entry).collect::<Vec<_>>()})).into_response()
}

/// Restores the configured world, with the runtime changes of quotas and the like; the clock continues.
async fn reset(State(shared): State<Shared>) -> Response {
    shared.world().reset();
    ok()
}

async fn faults(State(shared): State<Shared>) -> Response {
    Json(json!({"faults": shared.world().faults.pending()})).into_response()
}

/// One fault or a list of them.
async fn plan_faults(State(shared): State<Shared>, body: Bytes) -> Response {
    let value: Value = read_or_refuse!(&body);
    let list = if value.is_array() { value } else { json!([value]) };
    let faults: Vec<Fault> = match serde_json::from_value(list) {
        Ok(faults) => faults,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let mut world = shared.world();
    world.faults.add(faults);
    Json(json!({"faults": world.faults.pending()})).into_response()
}

async fn clear_faults(State(shared): State<Shared>) -> Response {
    shared.world().faults.clear();
    ok()
}

async fn rejects(State(shared): State<Shared>) -> Response {
    Json(&shared.world().rejects).into_response()
}

async fn reject(State(shared): State<Shared>, body: Bytes) -> Response {
    let ids: std::collections::HashMap<String, String> = read_or_refuse!(&body);
    shared.world().rejects.extend(ids);
    ok()
}

async fn clear_rejects(State(shared): State<Shared>) -> Response {
    shared.world().rejects.clear();
    ok()
}

/// The tokens' first characters, owners and expiry.
async fn tokens(State(shared): State<Shared>) -> Response {
    let world = shared.world();
    let now = world.clock.now();
    let entries = world.tokens.iter().map(|(text, token)| {
        let shown: String = text.chars().take(6).collect();
        json!({"token": format!("{shown}***"), "owner": token.owner.id(), "scopes": token.scopes,
               "issuedAt": token.issued_at, "expiresAt": token.expires_at, "endedWith": token.ended(now)})
    });
    Json(json!({"tokens": entries.collect::<Vec<_>>()})).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mint {
    owner: String,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    expires_in_s: Option<i64>,
}

/// A token without the dialog, and the proof that goes with it.
async fn mint(State(shared): State<Shared>, body: Bytes) -> Response {
    let mint: Mint = read_or_refuse!(&body);
    let mut world = shared.world();
    if !world.users.contains_key(&mint.owner) && !world.system_users.contains_key(&mint.owner) {
        return refuse(StatusCode::NOT_FOUND, "no such user or system user");
    }
    let all = || vec!["catalog_management".to_owned(), "business_management".to_owned()];
    let token = world.mint(None, &mint.owner, mint.scopes.unwrap_or_else(all), mint.expires_in_s);
    let proof = crate::business::proof(&world, &token);
    Json(json!({"access_token": token, "appsecret_proof": proof})).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expire {
    /// Only the tokens of this user or system user.
    #[serde(default)]
    owner: Option<String>,
    /// Subcode of the code 190 that these tokens then result in.
    #[serde(default)]
    subcode: Option<i64>,
}

/// Ends all user tokens, or all tokens of one owner.
async fn expire_tokens(State(shared): State<Shared>, body: Bytes) -> Response {
    let expire: Expire = read_or_refuse!(&body);
    let mut world = shared.world();
    let mut ended = 0;
    for token in world.tokens.values_mut() {
        let chosen = match &expire.owner {
            Some(owner) => token.owner.id() == Some(owner),
            None => matches!(token.owner, crate::world::Owner::User(_)),
        };
        if chosen {
            token.dead = Some(expire.subcode.unwrap_or(463));
            ended += 1;
        }
    }
    Json(json!({ "ended": ended })).into_response()
}

async fn webhooks(State(shared): State<Shared>) -> Response {
    Json(shared.world().webhooks.shown()).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Callback {
    callback_url: String,
    verify_token: String,
}

/// The app's settings for notifications; the callback has to answer the challenge.
async fn set_webhook(State(shared): State<Shared>, body: Bytes) -> Response {
    let Callback { callback_url, verify_token } = read_or_refuse!(&body);
    match webhook::set_target(&shared, &callback_url, &verify_token).await {
        Ok(()) => ok(),
        Err(why) => refuse(StatusCode::BAD_REQUEST, &why),
    }
}

async fn forget_webhook(State(shared): State<Shared>) -> Response {
    shared.world().webhooks.forget_target();
    ok()
}

#[derive(Deserialize)]
struct Planned {
    #[serde(flatten)]
    fate: Fate,
    times: Option<u32>,
}

async fn plan_webhooks(State(shared): State<Shared>, body: Bytes) -> Response {
    let Planned { fate, times } = read_or_refuse!(&body);
    shared.world().webhooks.plan(fate, times.unwrap_or(1).min(100_000));
    ok()
}

async fn replay_webhooks(State(shared): State<Shared>) -> Response {
    let mut world = shared.world();
    let now = world.clock.now();
    let again = world.webhooks.replay(now);
    Json(json!({ "again": again })).into_response()
}

/// Merges the given keys into the current values; an unknown key or a wrong type is refused and changes nothing.
fn overlay<T: Serialize + DeserializeOwned>(present: &T, changes: Map<String, Value>) -> Result<T, serde_json::Error> {
    let mut value = serde_json::to_value(present)?;
    if let Value::Object(map) = &mut value {
        map.extend(changes);
    }
    serde_json::from_value(value)
}

macro_rules! settings {
    ($get:ident, $set:ident, $part:ident: $type:ty, $after:expr) => {
        async fn $get(State(shared): State<Shared>) -> Response {
            Json(shared.world().config.$part).into_response()
        }

        async fn $set(State(shared): State<Shared>, body: Bytes) -> Response {
            let changes = read_or_refuse!(&body);
            let mut world = shared.world();
            match overlay::<$type>(&world.config.$part, changes) {
                Ok(changed) => {
                    world.config.$part = changed;
                    let after: fn(&mut World) = $after;
                    after(&mut world);
                    Json(changed).into_response()
                }
                Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
            }
        }
    };
}

// A new allowance starts with empty windows, so that a test does not depend on earlier calls.
settings!(quotas, set_quotas, quotas: Quotas, |world| {
    world.app_window.clear();
    for catalog in world.catalogs.values_mut() {
        catalog.batch_window.clear();
        catalog.management_window.clear();
    }
});
settings!(rules, set_rules, rules: Rules, |_| ());
settings!(times, set_times, times: Times, |_| ());
settings!(switches, set_switches, switches: Switches, |_| ());
