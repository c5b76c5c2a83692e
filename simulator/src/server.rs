//! HTTP: reads requests, applies planned faults, writes answers, keeps the log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;

use crate::calls::Entry;
use crate::connection::Cutter;
use crate::control;
use crate::errors::GraphError;
use crate::faults::Kind;
use crate::graph::{self, Answer, Request, Turn};
use crate::oauth::Browser;
use crate::params::Params;
use crate::world::World;

/// The world, shared by all connections.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Locked>);

/// The world and its lock.
pub(crate) type Locked = Mutex<World>;

impl Shared {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    /// The same, without keeping the world alive.
    pub(crate) fn downgrade(&self) -> Weak<Locked> {
        Arc::downgrade(&self.0)
    }

    /// The world again, if it is still there.
    pub(crate) fn upgrade(locked: &Weak<Locked>) -> Option<Self> {
        locked.upgrade().map(Self)
    }

    /// The world. A panic elsewhere does not make it unusable, because tests then need to inspect it.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn router(shared: Shared) -> Router {
    Router::new().nest("/_sim", control::router()).fallback(serve_graph).with_state(shared)
}

/// How an answer is sent.
enum Delivery {
    Whole(Response),
    /// Half of the body, then the connection is cut.
    Half(Response),
    /// No answer at all.
    Cut,
}

async fn serve_graph(
    State(shared): State<Shared>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let call = read_request(&parts);
    let limit = shared.world().config.rules.max_body_bytes;
    let body = read_body(body, limit).await;
    let (faults, mut cleared) = {
        let mut world = shared.world();
        world.calls.count(&call.method, call.call());
        (world.faults.strike(call.call()), world.faults.until_cleared())
    };
    let held = faults.contains(&(Kind::Held {}));
    let slow = faults.iter().find_map(|fault| if let Kind::SlowMs { ms } = fault { Some(*ms) } else { None });
    let params = match body {
        Ok(body) => Params::read(parts.uri.query().unwrap_or_default(), &parts.headers, body).await,
        Err(error) => Err(error),
    };
    let delivery = answer(&shared, &parts, &call, params, faults);
    if let Some(ms) = slow {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    if held {
        // An error means that the simulator has stopped, and its callers with it.
        let _ = cleared.changed().await;
    }
    match delivery {
        Delivery::Whole(response) => response,
        Delivery::Half(response) => half(response).await,
        Delivery::Cut => {
            cutter.cut();
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

fn read_request(parts: &Parts) -> Request {
    let text = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
    let host = format!("http://{}", text(header::HOST).unwrap_or("localhost"));
    Request::new(parts.method.as_str(), parts.uri.path(), parts.uri.query().unwrap_or_default(), bearer, host)
}

/// Reads a body. A body over the limit is read to its end and dropped, so that the client can read the refusal.
async fn read_body(body: Body, limit: usize) -> Result<Bytes, GraphError> {
    let mut stream = body.into_data_stream();
    let mut read = Vec::new();
    let mut size = 0_usize;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| GraphError::new(100, "(#100) The request body broke off"))?;
        size += chunk.len();
        if size <= limit {
            read.extend_from_slice(&chunk);
        } else {
            read = Vec::new();
        }
    }
    if size > limit { Err(GraphError::too_much_data()) } else { Ok(read.into()) }
}

/// A fault that replaces the answer, and whether the call is still carried out.
fn replaced(fault: &Kind) -> Option<(Delivery, bool)> {
    let plain = |status: u16, kind: &'static str, text: &str| {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        Delivery::Whole((status, [(header::CONTENT_TYPE, kind)], text.to_owned()).into_response())
    };
    const HTML: &str = "<!DOCTYPE html><html><head><title>Error</title></head>\
                        <body><h1>502 Bad Gateway</h1><p>Sorry, something went wrong.</p></body></html>";
    Some(match fault {
        Kind::DropBefore {} => (Delivery::Cut, false),
        Kind::DropAfterAccept {} => (Delivery::Cut, true),
        Kind::Status5xx { status, after_accept } => (plain(*status, "text/plain", ""), *after_accept),
        Kind::Html502 { after_accept } => (plain(502, "text/html; charset=utf-8", HTML), *after_accept),
        Kind::RawBody { body, status, after_accept } => {
            (plain(*status, "application/json; charset=UTF-8", body), *after_accept)
        }
        Kind::TextServiceUnavailable { after_accept } => {
            (plain(200, "text/plain; charset=UTF-8", "Service Unavailable"), *after_accept)
        }
        _ => return None,
    })
}

fn planned_error(fault: &Kind) -> Option<(GraphError, bool)> {
    let Kind::GraphError { code, subcode, message, is_transient, error_data, status, after_accept } = fault else {
        return None;
    };
    let text = message.clone().unwrap_or_else(|| format!("(#{code}) A planned fault"));
    let usual = if matches!(code, 1 | 2) { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
    let mut error = GraphError::new(*code, text);
    error.status = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(usual);
    error.subcode = *subcode;
    error.is_transient = *is_transient;
    error.data.clone_from(error_data);
    Some((error, *after_accept))
}

fn answer(
    shared: &Shared,
    parts: &Parts,
    call: &Request,
    params: Result<Params, GraphError>,
    faults: Vec<Kind>,
) -> Delivery {
    let mut world = shared.world();
    let masked = params.as_ref().map(Params::masked).unwrap_or_default();
    let mut turn = Turn::default();
    let replacement = faults.iter().find_map(replaced);
    let error = faults.iter().find_map(planned_error);
    let carry_out =
        replacement.as_ref().is_none_or(|(_, after)| *after) && error.as_ref().is_none_or(|(_, after)| *after);

    let mut outcome = if carry_out {
        params.and_then(|mut params| graph::carry_out(&mut world, call, &mut params, &faults, &mut turn))
    } else {
        Err(GraphError::new(2, "never sent"))
    };
    if let Some((error, _)) = error {
        outcome = Err(error);
    }
    if turn.throttled {
        world.calls.counters.throttled += 1;
    }
    let code = outcome.as_ref().err().map(|error| error.code).filter(|_| replacement.is_none());
    let delivery = match replacement {
        Some((delivery, _)) => delivery,
        None => {
            let response = respond(&mut world, call, outcome, &turn);
            if faults.contains(&(Kind::Truncated {})) { Delivery::Half(response) } else { Delivery::Whole(response) }
        }
    };
    let status = match &delivery {
        Delivery::Whole(response) | Delivery::Half(response) => Some(response.status().as_u16()),
        Delivery::Cut => None,
    };
    tracing::debug!(method = %call.method, call = call.call(), ?status, ?code, faults = faults.len(), "answered");
    let entry = Entry {
        at: world.clock.now(),
        method: call.method.clone(),
        path: parts.uri.path().to_owned(),
        call: call.call().to_owned(),
        params: masked,
        rows: turn.rows,
        status,
        code,
        faults,
    };
    world.calls.log(entry);
    delivery
}

fn respond(world: &mut World, call: &Request, outcome: Result<Answer, GraphError>, turn: &Turn) -> Response {
    let trace = world.ids.opaque("A", 23);
    let json = |status: StatusCode, body: String| {
        (status, [(header::CONTENT_TYPE, "application/json; charset=UTF-8")], body).into_response()
    };
    let mut response = match outcome {
        Ok(Answer::Json(body)) => json(StatusCode::OK, body.to_string()),
        Ok(Answer::Browser(Browser::Page { status, html })) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
        }
        Ok(Answer::Browser(Browser::Redirect(to))) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Err(error) => json(error.status, error.body(&trace, world.config.switches.error_data_as_string).to_string()),
    };
    let headers = response.headers_mut();
    let version = if call.version.is_empty() { "v25.0" } else { &call.version };
    set(headers, "facebook-api-version", version);
    set(headers, "x-fb-trace-id", &trace);
    for (name, value) in &turn.headers {
        set(headers, name, value);
    }
    response
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Announces the whole body and sends half of it.
async fn half(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, whole.len().into());
    let first = whole.slice(..whole.len() / 2);
    let cut = async {
        // The first half is on its way before the connection breaks.
        tokio::task::yield_now().await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    };
    let stream = futures_util::stream::once(async { Ok(first) }).chain(futures_util::stream::once(cut));
    Response::from_parts(parts, Body::from_stream(stream))
}
