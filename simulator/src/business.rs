//! Writes on businesses, system users and catalog assignments, and the permission edges.

use serde_json::{Value, json};

use crate::auth::{self, Caller};
use crate::clock::Millis;
use crate::errors::{GraphError, Result};
use crate::params::Params;
use crate::world::{Catalog, Owner, SystemUser, World};

const ROLES: &[&str] = &[
    "ADMIN",
    "EMPLOYEE",
    "ADS_RIGHTS_REVIEWER",
    "DEFAULT",
    "DEVELOPER",
    "FINANCE_ANALYST",
    "FINANCE_EDIT",
    "FINANCE_EDITOR",
    "FINANCE_VIEW",
    "MANAGE",
    "PARTNER_CENTER_ADMIN",
    "PARTNER_CENTER_ANALYST",
    "PARTNER_CENTER_EDUCATION",
    "PARTNER_CENTER_MARKETING",
    "PARTNER_CENTER_OPERATIONS",
];
const TASKS: &[&str] = &["MANAGE", "ADVERTISE", "MANAGE_AR", "AA_ANALYZE"];
const VERTICALS: &[&str] = &[
    "adoptable_pets",
    "apps_and_software",
    "articles_and_publications",
    "commerce",
    "destinations",
    "flights",
    "generic",
    "home_listings",
    "hotels",
    "local_service_businesses",
    "media_titles",
    "offer_items",
    "offline_commerce",
    "services",
    "transactable_items",
    "vehicles",
];

/// `POST /{business}/owned_product_catalogs`.
pub(crate) fn create_catalog(world: &mut World, business: &str, params: &Params) -> Result<Value> {
    let name = params.required("name")?;
    let vertical = params.text("vertical").unwrap_or_else(|| "commerce".into());
    one_of("vertical", &vertical, VERTICALS)?;
    let id = world.ids.number(4);
    let mut catalog = Catalog::new(name, vertical);
    catalog.owner = Some(business.to_owned());
    world.catalogs.insert(id.clone(), catalog);
    if let Some(business) = world.businesses.get_mut(business) {
        business.owned.push(id.clone());
    }
    Ok(json!({ "id": id }))
}

/// `POST /{business}/system_users`: creates, or renames with `system_user_id`.
pub(crate) fn create_system_user(
    world: &mut World,
    now: Millis,
    caller: &Caller,
    business: &str,
    params: &Params,
) -> Result<Value> {
    let belongs = &world.config.app.businesses;
    if !belongs.is_empty() && !belongs.iter().any(|id| id == business) {
        return Err(GraphError::new(104_001, "(#104001) The app does not belong to this business"));
    }
    let name = params.required("name")?;
    if let Some(id) = params.text("system_user_id") {
        let user = world.system_users.get_mut(&id).filter(|user| user.business == business);
        user.ok_or_else(|| GraphError::unsupported("POST", &id))?.name = name;
        return Ok(json!({ "id": id }));
    }
    let role = params.text("role").unwrap_or_else(|| "EMPLOYEE".into());
    one_of("role", &role, ROLES)?;
    let held: Vec<_> = world.system_users.values().filter(|user| user.business == business).collect();
    let rules = world.config.rules;
    if held.len() >= rules.max_system_users {
        return Err(GraphError::new(3949, "(#3949) This business has too many system users"));
    }
    if role == "ADMIN" && held.iter().filter(|user| user.role == "ADMIN").count() >= rules.max_admin_system_users {
        return Err(GraphError::new(3965, "(#3965) This business has too many admin system users"));
    }
    let created_by = caller.owner.id().map(str::to_owned);
    let user = SystemUser { name, business: business.to_owned(), role, installed: false, created_at: now, created_by };
    let id = world.ids.number(1_000);
    world.system_users.insert(id.clone(), user);
    Ok(json!({ "id": id }))
}

fn check_business_app(world: &World, params: &Params) -> Result<()> {
    let app = params.required("business_app")?;
    if app == world.config.app.id {
        Ok(())
    } else {
        Err(GraphError::parameter("business_app", "(#100) Param business_app is not an app of this business"))
    }
}

/// `POST /{system_user}/applications`: installs the app.
pub(crate) fn install_app(world: &mut World, system_user: &str, params: &Params) -> Result<Value> {
    check_business_app(world, params)?;
    if let Some(user) = world.system_users.get_mut(system_user) {
        user.installed = true;
    }
    Ok(json!({"success": true}))
}

/// `POST /{system_user}/access_tokens`.
pub(crate) fn mint(world: &mut World, caller: &Caller, system_user: &str, params: &Params) -> Result<Value> {
    check_business_app(world, params)?;
    // The proof was already compared with the caller's token; this edge also requires it to be present.
    params.required("appsecret_proof")?;
    if !world.system_users.get(system_user).is_some_and(|user| user.installed) {
        let message = "(#100) The app is not installed for this system user. Install it with POST \
                       /{system_user}/applications first";
        return Err(GraphError::parameter("business_app", message));
    }
    let expiring = params.flag("set_token_expires_in_60_days", false)?;
    if world.config.switches.only_expiring_system_tokens && !expiring {
        let message = "(#100) This business allows only expiring tokens: set set_token_expires_in_60_days";
        return Err(GraphError::parameter("set_token_expires_in_60_days", message));
    }
    let scopes = params.list("scope").ok_or_else(|| GraphError::required("scope"))?;
    for scope in &scopes {
        caller.needs(scope)?;
    }
    let lifetime = expiring.then_some(world.config.times.long_token_s);
    let token = world.mint(None, system_user, scopes, lifetime);
    let mut body = json!({ "access_token": token });
    if world.config.switches.mint_tells_expiry {
        body["token_type"] = "bearer".into();
        if let Some(seconds) = lifetime {
            body["expires_in"] = seconds.into();
        }
    }
    Ok(body)
}

/// `DELETE /{system_user}/access_tokens`: ends all its tokens.
pub(crate) fn revoke_all(world: &mut World, owner: &Owner) -> Value {
    end_tokens(world, owner, 467);
    json!(true)
}

fn end_tokens(world: &mut World, owner: &Owner, subcode: i64) {
    for token in world.tokens.values_mut().filter(|token| token.owner == *owner) {
        token.dead.get_or_insert(subcode);
    }
}

/// `POST /{catalog}/assigned_users`.
pub(crate) fn assign(world: &mut World, catalog: &str, params: &Params) -> Result<Value> {
    let user = params.required("user")?;
    let tasks = params.list("tasks").filter(|tasks| !tasks.is_empty()).ok_or_else(|| GraphError::required("tasks"))?;
    for task in &tasks {
        one_of("tasks", task, TASKS)?;
    }
    if !world.system_users.contains_key(&user) && !world.users.contains_key(&user) {
        return Err(GraphError::parameter("user", "(#100) Param user is no user of the business"));
    }
    if let Some(catalog) = world.catalogs.get_mut(catalog) {
        catalog.assigned.insert(user, tasks);
    }
    Ok(json!({"success": true}))
}

/// `DELETE /{catalog}/assigned_users`.
pub(crate) fn unassign(world: &mut World, catalog: &str, params: &Params) -> Result<Value> {
    let user = params.required("user")?;
    if let Some(catalog) = world.catalogs.get_mut(catalog) {
        catalog.assigned.remove(&user);
    }
    Ok(json!({"success": true}))
}

/// `GET /{catalog}/assigned_users?business=…`.
pub(crate) fn assigned(world: &World, catalog: &str, params: &Params) -> Result<Value> {
    const FIELDS: &[&str] = &["id", "name", "business", "user_type", "tasks", "permitted_tasks"];
    let business = params.required("business")?;
    let asked = params.fields().map(|text| crate::fields::parse(&text)).transpose()?;
    if let Some(unknown) = asked.iter().flatten().find(|field| !FIELDS.contains(&field.name.as_str())) {
        return Err(GraphError::unknown_field(&unknown.name, "AssignedUser"));
    }
    let Some(catalog) = world.catalogs.get(catalog) else {
        return Ok(json!({"data": []}));
    };
    let mut data = Vec::new();
    for (id, tasks) in &catalog.assigned {
        let (name, kind, of) = match (world.system_users.get(id), world.users.get(id)) {
            (Some(user), _) => (user.name.as_str(), "SYSTEM_USER", user.business.as_str()),
            (None, Some(user)) => (user.name.as_str(), "BUSINESS_USER", business.as_str()),
            (None, None) => continue,
        };
        if of != business {
            continue;
        }
        let of_name = world.businesses.get(of).map(|business| &business.name);
        let mut entry = json!({"id": id, "name": name, "user_type": kind, "tasks": tasks, "permitted_tasks": TASKS,
                               "business": {"id": of, "name": of_name}});
        if let (Some(asked), Value::Object(map)) = (&asked, &mut entry) {
            map.retain(|name, _| name == "id" || asked.iter().any(|field| field.name == *name));
        }
        data.push(entry);
    }
    let count = data.len();
    let mut body = json!({ "data": data });
    if params.flag("summary", false).unwrap_or(false) {
        body["summary"] = json!({ "total_count": count });
    }
    Ok(body)
}

/// `GET /me/permissions`.
pub(crate) fn permissions(world: &World, caller: &Caller, user: &str) -> Value {
    let entry = |(name, granted): (&String, bool)| json!({"permission": name, "status": if granted { "granted" } else { "declined" }});
    match world.users.get(user) {
        Some(state) => {
            json!({"data": state.permissions.iter().map(|(name, granted)| entry((name, *granted))).collect::<Vec<_>>()})
        }
        None => {
            json!({"data": caller.scopes.iter().map(|scope| entry((scope, true))).collect::<Vec<_>>()})
        }
    }
}

/// `DELETE /{user}/permissions`: revokes everything that the person granted to the app.
pub(crate) fn remove_permissions(world: &mut World, user: &str) -> Value {
    if let Some(state) = world.users.get_mut(user) {
        state.permissions.clear();
    }
    end_tokens(world, &Owner::User(user.to_owned()), 458);
    json!({"success": true})
}

/// Whether the caller may act for the business.
pub(crate) fn check_business(world: &World, caller: &Caller, business: &str, method: &str) -> Result<()> {
    if world.sees_business(&caller.owner, business) {
        caller.needs("business_management")
    } else {
        Err(GraphError::unsupported(method, business))
    }
}

fn one_of(name: &str, value: &str, allowed: &[&str]) -> Result<()> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(GraphError::parameter(name, format!("(#100) Param {name} must be one of {{{}}}", allowed.join(", "))))
}

/// The proof that a caller must send; for tests and the control handle.
pub(crate) fn proof(world: &World, token: &str) -> String {
    auth::proof_of(&world.config.app.secret, token.as_bytes())
}
