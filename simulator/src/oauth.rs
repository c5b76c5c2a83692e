//! The login dialog, the token endpoint, revoking and `debug_token`.

use serde_json::{Map, Value, json};
use url::Url;

use crate::auth;
use crate::clock::Millis;
use crate::consent;
use crate::errors::{GraphError, Result};
use crate::params::Params;
use crate::world::{Code, Owner, World};

/// The answer for a browser.
#[derive(Debug)]
pub(crate) enum Browser {
    Page { status: u16, html: String },
    Redirect(String),
}

const SCOPES: &[&str] = &[
    "catalog_management",
    "business_management",
    "ads_management",
    "ads_read",
    "email",
    "public_profile",
    "pages_show_list",
    "commerce_account_read_settings",
    "whatsapp_business_management",
];

/// A dialog request that was checked.
pub(crate) struct Request {
    pub(crate) redirect_uri: Url,
    pub(crate) state: Option<String>,
    pub(crate) scopes: Vec<String>,
}

/// Checks the parameters of the dialog; the text of an `Err` is for the error page, because no redirect target is
/// trusted.
fn request(world: &World, params: &Params) -> std::result::Result<Request, String> {
    let app = &world.config.app;
    if params.text("client_id").as_deref() != Some(app.id.as_str()) {
        return Err("Invalid App ID: The provided app ID does not look like a valid app ID.".into());
    }
    let text = params.text("redirect_uri").ok_or("Missing redirect_uri: The parameter redirect_uri is required.")?;
    if !app.redirect_uris.is_empty() && !app.redirect_uris.contains(&text) {
        return Err("URL Blocked: This redirect failed because the redirect URI is not whitelisted in the app's \
                    Client OAuth Settings."
            .into());
    }
    let redirect_uri = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let redirect_uri = redirect_uri.ok_or("Invalid redirect_uri: it must be an absolute http(s) URL.")?;
    if params.text("response_type").is_some_and(|kind| kind != "code") {
        return Err("Invalid response_type: this simulator answers only with `code`.".into());
    }
    // Login for Business names a configuration instead of scopes; here every configuration requests both.
    let by_configuration = || match params.text("config_id") {
        Some(_) => SCOPES[..2].iter().map(|&scope| scope.to_owned()).collect(),
        None => Vec::new(),
    };
    let scopes = params.list("scope").unwrap_or_else(by_configuration);
    if let Some(unknown) = scopes.iter().find(|scope| !SCOPES.contains(&scope.as_str())) {
        return Err(format!("Invalid Scopes: {unknown}. This message is only shown to developers."));
    }
    Ok(Request { redirect_uri, state: params.text("state"), scopes })
}

/// `GET /dialog/oauth`: the consent page, or straight back with `auto_consent`.
pub(crate) fn dialog(world: &mut World, now: Millis, params: &Params) -> Browser {
    match request(world, params) {
        Err(message) => Browser::Page { status: 400, html: consent::error_page(&message) },
        Ok(_) if world.config.app.auto_consent => decide(world, now, params),
        Ok(request) => Browser::Page { status: 200, html: consent::page(world, params, &request) },
    }
}

/// `POST /dialog/consent`: the person's decision. `decision=deny` refuses, anything else allows.
pub(crate) fn decide(world: &mut World, now: Millis, params: &Params) -> Browser {
    let request = match request(world, params) {
        Ok(request) => request,
        Err(message) => {
            return Browser::Page { status: 400, html: consent::error_page(&message) };
        }
    };
    let mut back = request.redirect_uri;
    if params.text("decision").as_deref() == Some("deny") {
        back.query_pairs_mut()
            .append_pair("error", "access_denied")
            .append_pair("error_code", "200")
            .append_pair("error_description", "Permissions error")
            .append_pair("error_reason", "user_denied");
    } else {
        let first = world.users.keys().next().cloned();
        let chosen = params.text("user").filter(|user| world.users.contains_key(user)).or(first);
        let Some(user) = chosen else {
            return Browser::Page { status: 400, html: consent::error_page("This world has no users.") };
        };
        let declined = params.list("decline").unwrap_or_default();
        // A box that is not checked is not sent.
        let is_unchecked = |scope: &str| params.has("asked") && !params.has(&format!("grant.{scope}"));
        let (refused, scopes): (Vec<_>, Vec<_>) =
            request.scopes.into_iter().partition(|scope| declined.contains(scope) || is_unchecked(scope));
        if let Some(state) = world.users.get_mut(&user) {
            state.permissions.insert("public_profile".into(), true);
            state.permissions.extend(scopes.iter().map(|scope| (scope.clone(), true)));
            state.permissions.extend(refused.into_iter().map(|scope| (scope, false)));
        }
        let code = world.ids.opaque("AQ", 150);
        back.query_pairs_mut().append_pair("code", &code);
        let expires_at = now + world.config.times.code_lifetime_s * 1_000;
        let redirect_uri = params.text("redirect_uri").unwrap_or_default();
        world.codes.insert(code, Code { user, redirect_uri, scopes, expires_at, used: false });
    }
    if let Some(state) = request.state {
        back.query_pairs_mut().append_pair("state", &state);
    }
    // Facebook adds this fragment; a browser keeps it, a server never sees it.
    back.set_fragment(Some("_=_"));
    Browser::Redirect(back.into())
}

fn check_app(world: &World, params: &Params) -> Result<()> {
    let app = &world.config.app;
    let id = params.text("client_id").ok_or_else(|| GraphError::new(101, "Missing client_id parameter."))?;
    if id != app.id {
        let message = "Error validating application. Cannot get application info due to a system error.";
        return Err(GraphError::new(101, message));
    }
    match params.text("client_secret") {
        None => Err(GraphError::new(1, "Missing client_secret parameter.")),
        Some(secret) if secret != app.secret => Err(GraphError::new(1, "Error validating client secret.")),
        Some(_) => Ok(()),
    }
}

/// `GET|POST /oauth/access_token`: code exchange, long-lived exchange, app token.
pub(crate) fn access_token(world: &mut World, now: Millis, params: &Params) -> Result<Value> {
    check_app(world, params)?;
    match params.text("grant_type").as_deref() {
        None | Some("authorization_code") => exchange_code(world, now, params),
        Some("fb_exchange_token") => exchange_token(world, now, params),
        Some("client_credentials") => {
            let app = &world.config.app;
            Ok(json!({"access_token": format!("{}|{}", app.id, app.secret), "token_type": "bearer"}))
        }
        Some(_) => Err(GraphError::parameter("grant_type", "(#100) Param grant_type is not supported")),
    }
}

fn exchange_code(world: &mut World, now: Millis, params: &Params) -> Result<Value> {
    let text = params.text("code").ok_or_else(|| GraphError::new(1, "Missing authorization code"))?;
    let redirect_uri =
        params.text("redirect_uri").ok_or_else(|| GraphError::new(191, "Missing redirect_uri parameter."))?;
    let Some(code) = world.codes.get_mut(&text) else {
        return Err(GraphError::new(100, "Invalid verification code format."));
    };
    if code.used {
        return Err(GraphError::new(100, "This authorization code has been used.").subcode(36009));
    }
    if code.expires_at <= now {
        return Err(GraphError::new(100, "This authorization code has expired.").subcode(36007));
    }
    if code.redirect_uri != redirect_uri {
        let message = "Error validating verification code. Please make sure your redirect_uri is identical to the one \
                       you used in the OAuth dialog request";
        return Err(GraphError::new(100, message).subcode(36008));
    }
    code.used = true;
    let (user, scopes) = (code.user.clone(), code.scopes.clone());
    let lifetime = world.config.times.short_token_s;
    let token = world.mint(None, &user, scopes, Some(lifetime));
    Ok(token_answer(world, token, Some(lifetime)))
}

fn exchange_token(world: &mut World, now: Millis, params: &Params) -> Result<Value> {
    let text = params.required("fb_exchange_token")?;
    let caller = auth::identify(world, now, text)?;
    let Some(owner) = caller.owner.id() else {
        return Err(GraphError::new(100, "(#100) An app token cannot be exchanged"));
    };
    let expiring = matches!(caller.owner, Owner::User(_)) || params.flag("set_token_expires_in_60_days", false)?;
    let lifetime = expiring.then_some(world.config.times.long_token_s);
    let token = world.mint(None, owner, caller.scopes.clone(), lifetime);
    Ok(token_answer(world, token, lifetime))
}

fn token_answer(world: &World, token: String, expires_in: Option<i64>) -> Value {
    let mut body = json!({"access_token": token, "token_type": "bearer"});
    if let Some(seconds) = expires_in.filter(|_| !world.config.switches.omit_expires_in) {
        body["expires_in"] = seconds.into();
    }
    body
}

/// `GET /oauth/revoke`: ends one token.
pub(crate) fn revoke(world: &mut World, now: Millis, params: &Params) -> Result<Value> {
    check_app(world, params)?;
    let caller = params.required("access_token")?;
    auth::identify(world, now, caller)?;
    let revoked = params.required("revoke_token")?;
    let token = world.tokens.get_mut(&revoked);
    let token =
        token.ok_or_else(|| GraphError::parameter("revoke_token", "(#100) Invalid parameter: unknown token"))?;
    token.dead = Some(467);
    Ok(json!({"success": true}))
}

/// `GET /debug_token`.
pub(crate) fn debug_token(world: &World, now: Millis, params: &Params) -> Result<Value> {
    let input = params.required("input_token")?;
    let app = &world.config.app;
    let mut data = Map::new();
    data.insert("app_id".into(), app.id.clone().into());
    data.insert("application".into(), app.name.clone().into());
    if input.split_once('|') == Some((&app.id, &app.secret)) {
        data.insert("type".into(), "APP".into());
        data.insert("is_valid".into(), true.into());
        data.insert("scopes".into(), json!([]));
        return Ok(json!({ "data": data }));
    }
    let Some(token) = world.tokens.get(&input) else {
        let error = json!({"code": 190, "message": "Invalid OAuth access token - Cannot parse access token"});
        return Ok(json!({"data": {"error": error, "is_valid": false, "scopes": []}}));
    };
    let kind = if matches!(token.owner, Owner::SystemUser(_)) { "SYSTEM_USER" } else { "USER" };
    data.insert("type".into(), kind.into());
    data.insert("issued_at".into(), (token.issued_at / 1_000).into());
    data.insert("expires_at".into(), token.expires_at.map_or(0, |at| at / 1_000).into());
    data.insert("data_access_expires_at".into(), 0.into());
    data.insert("user_id".into(), json!(token.owner.id()));
    if let Some(subcode) = token.ended(now) {
        let error = GraphError::dead_token(subcode);
        // Here the key is `subcode`, not `error_subcode`.
        data.insert("error".into(), json!({"code": error.code, "message": error.message, "subcode": subcode}));
        data.insert("is_valid".into(), false.into());
        data.insert("scopes".into(), json!([]));
    } else {
        data.insert("is_valid".into(), true.into());
        data.insert("scopes".into(), json!(token.scopes));
        data.insert("granular_scopes".into(), granular(world, &token.owner, &token.scopes));
    }
    Ok(json!({ "data": data }))
}

/// A system user's catalog scope names its catalogs; a scope without `target_ids` covers everything.
fn granular(world: &World, owner: &Owner, scopes: &[String]) -> Value {
    let one = |scope: &String| match owner {
        Owner::SystemUser(id) if scope == "catalog_management" => {
            let assigned = world.catalogs.iter().filter(|(_, catalog)| catalog.assigned.contains_key(id));
            json!({"scope": scope, "target_ids": assigned.map(|(id, _)| id).collect::<Vec<_>>()})
        }
        _ => json!({ "scope": scope }),
    };
    scopes.iter().map(one).collect()
}
