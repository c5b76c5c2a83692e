//! One Graph call, from its path to its answer: the order of checks, and the dispatch.
//!
//! Order: version → token → object and permission → throttle → parameters → work.

use serde_json::Value;

use crate::auth::{self, Caller};
use crate::batch;
use crate::business;
use crate::calls::LoggedRow;
use crate::clock::Millis;
use crate::errors::{GraphError, Result};
use crate::faults::Kind;
use crate::graph_batch;
use crate::nodes::{self, Cx, Node};
use crate::oauth::{self, Browser};
use crate::paging::Link;
use crate::params::Params;
use crate::poll;
use crate::products;
use crate::throttle::{charge_app, charge_catalog};
use crate::webhook;
use crate::world::{Owner, World};

/// Newest version served. An expired or missing version is served like the oldest valid one, so every older number is
/// accepted.
const NEWEST: u32 = 26;

/// A request without its parameters.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// `v25.0`; empty when the path has none.
    pub(crate) version: String,
    pub(crate) segments: Vec<String>,
    pub(crate) query: String,
    pub(crate) bearer: Option<String>,
    /// Scheme and host.
    pub(crate) host: String,
}

/// The answer of a call that does not fail.
#[derive(Debug)]
pub(crate) enum Answer {
    Json(Value),
    Browser(Browser),
}

/// Other results of the call.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) rows: Vec<LoggedRow>,
    pub(crate) throttled: bool,
}

impl Request {
    /// Splits the path.
    pub(crate) fn new(method: &str, path: &str, query: &str, bearer: Option<String>, host: String) -> Self {
        let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
        let mut segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let version =
            if segments.first().is_some_and(|part| is_version(part)) { segments.remove(0) } else { String::new() };
        Self { method: method.to_owned(), version, segments, query: query.to_owned(), bearer, host }
    }

    /// The call's name for faults, counters and the log.
    pub(crate) fn call(&self) -> &str {
        let segments: Vec<&str> = self.segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            [] => "batch",
            ["dialog", "oauth"] => "dialog",
            ["dialog", "consent"] => "consent",
            ["oauth", "access_token"] => "oauth",
            ["oauth", "revoke"] => "revoke",
            ["debug_token"] => "debug_token",
            ["me"] => "me",
            [_] => "node",
            [_, edge, ..] => edge,
        }
    }

    fn base(&self) -> String {
        if self.version.is_empty() { self.host.clone() } else { format!("{}/{}", self.host, self.version) }
    }

    fn link(&self) -> Link {
        Link { url: format!("{}/{}", self.base(), self.segments.join("/")), query: self.query.clone() }
    }
}

fn is_version(part: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    part.strip_prefix('v')
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(major, minor)| number(major) && number(minor))
}

/// Carries out a call.
pub(crate) fn carry_out(
    world: &mut World,
    request: &Request,
    params: &mut Params,
    faults: &[Kind],
    turn: &mut Turn,
) -> Result<Answer> {
    let now = world.settle();
    let major = request.version.trim_start_matches('v').split('.').next().unwrap_or_default();
    if !major.is_empty() && major.parse::<u32>().map_or(true, |major| major > NEWEST) {
        return Err(GraphError::new(2500, format!("Unknown path components: /{}", request.version)));
    }
    let get = request.method == "GET";
    match request.call() {
        "dialog" if get => return Ok(Answer::Browser(oauth::dialog(world, now, params))),
        "consent" if request.method == "POST" => {
            return Ok(Answer::Browser(oauth::decide(world, now, params)));
        }
        "oauth" => return oauth::access_token(world, now, params).map(Answer::Json),
        "revoke" => return oauth::revoke(world, now, params).map(Answer::Json),
        "batch" if request.method == "POST" => {
            return graph_batch::run(world, request, params).map(Answer::Json);
        }
        _ => {}
    }
    let me = request.segments.first().is_some_and(|id| id == "me");
    let caller = auth::authenticate(world, now, params, request.bearer.as_deref(), me)?;
    if request.call() == "debug_token" {
        charge_app(world, now, faults, turn)?;
        return oauth::debug_token(world, now, params).map(Answer::Json);
    }
    let id = request.segments.first().map(String::as_str).unwrap_or_default();
    let node = Node::find(world, &caller.owner, id).ok_or_else(|| GraphError::unsupported(&request.method, id))?;
    check_access(world, &caller, &node, &request.method, id)?;
    match &node {
        Node::Catalog(catalog) | Node::Item { catalog, .. } => {
            charge_catalog(world, now, catalog, request.call() == "items_batch", faults, turn)?;
        }
        _ => charge_app(world, now, faults, turn)?,
    }
    let body = if get {
        read(world, now, request, params, &caller, &node, faults)?
    } else {
        write(world, now, request, params, &caller, &node, (faults, turn))?
    };
    Ok(Answer::Json(body))
}

fn check_access(world: &World, caller: &Caller, node: &Node, method: &str, id: &str) -> Result<()> {
    let hidden = || GraphError::unsupported(method, id);
    match node {
        Node::User(user) if caller.owner == Owner::User(user.clone()) => Ok(()),
        Node::User(_) => Err(hidden()),
        Node::App => Ok(()),
        Node::Business(business) => business::check_business(world, caller, business, method),
        Node::SystemUser(user) => {
            let business = world.system_users.get(user).map(|user| user.business.as_str()).unwrap_or_default();
            if caller.owner == Owner::SystemUser(user.clone()) {
                Ok(())
            } else if world.sees_business(&caller.owner, business) {
                caller.needs("business_management")
            } else {
                Err(hidden())
            }
        }
        Node::Catalog(catalog) | Node::Item { catalog, .. } => {
            if world.sees_catalog(&caller.owner, catalog) {
                caller.needs("catalog_management")
            } else if world.config.switches.unassigned_is_permission_error {
                Err(GraphError::new(200, "(#200) The user has no permission to use this catalog"))
            } else {
                Err(hidden())
            }
        }
    }
}

fn read(
    world: &World,
    now: Millis,
    request: &Request,
    params: &mut Params,
    caller: &Caller,
    node: &Node,
    faults: &[Kind],
) -> Result<Value> {
    let base = request.base();
    let cx = Cx { world, now, base: &base };
    let Some(edge) = request.segments.get(1) else {
        return nodes::read(&cx, node, params);
    };
    let empty_page = faults.contains(&(Kind::EmptyPage {}));
    match (node, edge.as_str()) {
        (Node::Catalog(id), "products") => products::list(&cx, id, params, &request.link(), empty_page),
        (Node::Catalog(id), "check_batch_request_status") => poll::poll(world, now, id, params, faults),
        (Node::Catalog(id), "subscribed_apps") => Ok(webhook::list(world, id)),
        (Node::Catalog(id), "assigned_users") => business::assigned(world, id, params),
        (Node::User(id) | Node::SystemUser(id), "permissions") => Ok(business::permissions(world, caller, id)),
        (Node::User(_), "businesses") => {
            caller.needs("business_management")?;
            list(&cx, request, params, node, edge, empty_page)
        }
        _ => list(&cx, request, params, node, edge, empty_page),
    }
}

fn list(cx: &Cx<'_>, request: &Request, params: &Params, node: &Node, edge: &str, empty_page: bool) -> Result<Value> {
    match nodes::list(cx, node, edge, params, &request.link(), empty_page)? {
        Some(body) => Ok(body),
        None => {
            let message = format!("Unknown path components: /{edge}");
            Err(GraphError::new(2500, message))
        }
    }
}

fn write(
    world: &mut World,
    now: Millis,
    request: &Request,
    params: &mut Params,
    caller: &Caller,
    node: &Node,
    (faults, turn): (&[Kind], &mut Turn),
) -> Result<Value> {
    let edge = request.segments.get(1).map(String::as_str).unwrap_or_default();
    match (request.method.as_str(), node, edge) {
        ("POST", Node::Catalog(id), "items_batch") => {
            let call = batch::Call::read(params, world.config.rules.max_records)?;
            turn.rows.clone_from(&call.logged);
            Ok(batch::submit(world, now, id, call, faults))
        }
        ("POST", Node::Catalog(id), "subscribed_apps") => Ok(webhook::subscribe(world, id, true)),
        ("DELETE", Node::Catalog(id), "subscribed_apps") => Ok(webhook::subscribe(world, id, false)),
        ("POST", Node::Catalog(id), "assigned_users") => business::assign(world, id, params),
        ("DELETE", Node::Catalog(id), "assigned_users") => business::unassign(world, id, params),
        ("POST", Node::Business(id), "owned_product_catalogs") => business::create_catalog(world, id, params),
        ("POST", Node::Business(id), "system_users") => business::create_system_user(world, now, caller, id, params),
        ("POST", Node::SystemUser(id), "applications") => business::install_app(world, id, params),
        ("POST", Node::SystemUser(id), "access_tokens") => business::mint(world, caller, id, params),
        ("DELETE", Node::SystemUser(id), "access_tokens") => {
            Ok(business::revoke_all(world, &Owner::SystemUser(id.clone())))
        }
        ("DELETE", Node::User(id), "permissions") => Ok(business::remove_permissions(world, id)),
        // This is also the answer to POST /{system_user}/assigned_product_catalogs: that edge is read-only.
        (method, ..) => {
            let id = request.segments.first().map(String::as_str).unwrap_or_default();
            Err(GraphError::unsupported(method, id))
        }
    }
}
