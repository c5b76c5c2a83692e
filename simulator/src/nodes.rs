//! Reading nodes and edges: users, businesses, catalogs, system users, with field expansion.

use serde_json::{Map, Value, json};

use crate::clock::{Millis, graph_time};
use crate::errors::{GraphError, Result};
use crate::fields::{self, Field};
use crate::item_view::View;
use crate::paging::{Link, Page, Window};
use crate::params::Params;
use crate::products::{self, Query};
use crate::world::{Owner, World};

/// What rendering needs to know about the call.
#[derive(Clone, Copy)]
pub(crate) struct Cx<'a> {
    pub(crate) world: &'a World,
    pub(crate) now: Millis,
    /// Scheme, host and version, as `next` links begin.
    pub(crate) base: &'a str,
}

/// An object with an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    User(String),
    SystemUser(String),
    App,
    Business(String),
    Catalog(String),
    Item { catalog: String, retailer_id: String },
}

impl Node {
    /// Finds an object by its id; `me` is the token's owner.
    pub(crate) fn find(world: &World, owner: &Owner, id: &str) -> Option<Self> {
        let id = if id == "me" { owner.id()? } else { id };
        let owned = || id.to_owned();
        if world.users.contains_key(id) {
            Some(Self::User(owned()))
        } else if world.system_users.contains_key(id) {
            Some(Self::SystemUser(owned()))
        } else if world.businesses.contains_key(id) {
            Some(Self::Business(owned()))
        } else if world.catalogs.contains_key(id) {
            Some(Self::Catalog(owned()))
        } else if world.config.app.id == id {
            Some(Self::App)
        } else {
            let meta_id = id.parse().ok()?;
            world.catalogs.iter().find_map(|(catalog, state)| {
                let retailer_id = state.items.by_meta_id(meta_id)?.to_owned();
                Some(Self::Item { catalog: catalog.clone(), retailer_id })
            })
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::User(_) => "User",
            Self::SystemUser(_) => "SystemUser",
            Self::App => "Application",
            Self::Business(_) => "Business",
            Self::Catalog(_) => "ProductCatalog",
            Self::Item { .. } => "ProductItem",
        }
    }

    /// The nodes of an edge with their cursor keys; `None` when the node has no such edge.
    pub(crate) fn edge(&self, world: &World, edge: &str) -> Option<Vec<(String, Self)>> {
        let keyed =
            |ids: Vec<String>, node: fn(String) -> Self| ids.into_iter().map(|id| (id.clone(), node(id))).collect();
        match (self, edge) {
            (Self::User(user), "businesses") => {
                let mine = world.businesses.iter().filter(|(_, business)| business.admins.contains(user));
                Some(keyed(mine.map(|(id, _)| id.clone()).collect(), Self::Business))
            }
            // Meta may return an empty list for a system user; the simulator does.
            (Self::SystemUser(_), "businesses") => Some(Vec::new()),
            (Self::SystemUser(user), "assigned_product_catalogs") => {
                let assigned = world.catalogs.iter().filter(|(_, catalog)| catalog.assigned.contains_key(user));
                Some(keyed(assigned.map(|(id, _)| id.clone()).collect(), Self::Catalog))
            }
            (Self::Business(id), "owned_product_catalogs") => {
                Some(keyed(world.businesses.get(id)?.owned.clone(), Self::Catalog))
            }
            (Self::Business(id), "client_product_catalogs") => {
                Some(keyed(world.businesses.get(id)?.clients.clone(), Self::Catalog))
            }
            (Self::Business(id), "system_users") => {
                let held = world.system_users.iter().filter(|(_, user)| user.business == *id);
                Some(keyed(held.map(|(id, _)| id.clone()).collect(), Self::SystemUser))
            }
            _ => None,
        }
    }

    /// The node as an answer; without `asked`, its default fields.
    pub(crate) fn render(&self, cx: &Cx<'_>, asked: Option<&[Field]>) -> Result<Value> {
        if let Self::Item { catalog, retailer_id } = self {
            return render_item(cx, catalog, retailer_id, asked);
        }
        let default = ["id", "name"].map(Field::plain);
        let mut shown = Map::new();
        for field in asked.unwrap_or(&default) {
            if let Some(value) = self.field(cx, field)? {
                shown.insert(field.name.clone(), value);
            }
        }
        if let Some(id) = self.id(cx.world) {
            shown.insert("id".into(), id.into());
        }
        Ok(Value::Object(shown))
    }

    fn id<'a>(&'a self, world: &'a World) -> Option<&'a str> {
        match self {
            Self::User(id) | Self::SystemUser(id) | Self::Business(id) | Self::Catalog(id) => Some(id),
            Self::App => Some(&world.config.app.id),
            Self::Item { .. } => None,
        }
    }

    fn field(&self, cx: &Cx<'_>, field: &Field) -> Result<Option<Value>> {
        if let Some(value) = self.scalar(cx, field)? {
            return Ok(value);
        }
        let id = self.id(cx.world).unwrap_or_default();
        let rules = cx.world.config.rules;
        let window = window(field, rules.default_page, rules.max_page)?;
        let link = Link { url: format!("{}/{id}/{}", cx.base, field.name), query: String::new() };
        let page = match self {
            Self::Catalog(catalog_id) if field.name == "products" => {
                let Some(catalog) = cx.world.catalogs.get(catalog_id) else {
                    return Ok(None);
                };
                let default = products::default_fields();
                products::page(
                    cx,
                    catalog_id,
                    catalog,
                    &Query::default(),
                    &window,
                    field.sub.as_deref().unwrap_or(&default),
                )?
            }
            _ => {
                let entries = self.edge(cx.world, &field.name);
                let entries = entries.ok_or_else(|| GraphError::unknown_field(&field.name, self.type_name()))?;
                Page::cut(&entries, &window, |node| node.render(cx, field.sub.as_deref()))?
            }
        };
        // A nested edge that has nothing is left out of its parent.
        let hidden = page.data.is_empty() || cx.world.config.switches.omit_nested_edges;
        Ok((!hidden).then(|| page.body(window.limit, &link, cx.world.config.switches.omit_paging)))
    }

    /// A field that is not an edge: outer `None` means that there is no such field, inner `None` that it has no value.
    fn scalar(&self, cx: &Cx<'_>, field: &Field) -> Result<Option<Option<Value>>> {
        let world = cx.world;
        let nested = |node: Self| node.render(cx, field.sub.as_deref()).map(|value| Some(Some(value)));
        let name = field.name.as_str();
        if name == "id" {
            return Ok(Some(self.id(world).map(Value::from)));
        }
        let value: Value = match (self, name) {
            (Self::User(id), "name") => json!(world.users.get(id).map(|user| &user.name)),
            (Self::App, "name") => world.config.app.name.clone().into(),
            (Self::Business(id), "name") => {
                json!(world.businesses.get(id).map(|business| &business.name))
            }
            (Self::Business(_), "verification_status") => "verified".into(),
            (Self::Business(_), "vertical") => "RETAIL".into(),
            (Self::Business(_), "timezone_id") => 1.into(),
            (Self::Business(_), "is_hidden") => false.into(),
            (Self::Business(_), "two_factor_type") => "none".into(),
            (Self::Business(_), "link") => "https://business.facebook.com/".into(),
            (Self::Business(_), "created_time") => graph_time(0).into(),
            (Self::Business(_), "primary_page") => return Ok(Some(None)),
            (Self::Catalog(id), _) => {
                let Some(catalog) = world.catalogs.get(id) else {
                    return Ok(None);
                };
                match name {
                    "name" => catalog.name.clone().into(),
                    "vertical" => catalog.vertical.clone().into(),
                    "product_count" => catalog.items.shown_count().into(),
                    "feed_count" => 0.into(),
                    "is_catalog_segment" | "is_local_catalog" => false.into(),
                    "show_assign_permissions" => true.into(),
                    "business" | "owner_business" => match &catalog.owner {
                        Some(owner) => return nested(Self::Business(owner.clone())),
                        None => return Ok(Some(None)),
                    },
                    "default_image_url" | "fallback_image_url" | "user_access_expire_time" => {
                        return Ok(Some(None));
                    }
                    _ => return Ok(None),
                }
            }
            (Self::SystemUser(id), _) => {
                let Some(user) = world.system_users.get(id) else {
                    return Ok(None);
                };
                match name {
                    "name" => user.name.clone().into(),
                    "role" => user.role.clone().into(),
                    "created_time" => graph_time(user.created_at).into(),
                    "finance_permission" | "ip_permission" => return Ok(Some(None)),
                    "system_user_id" => json!(id.parse::<u64>().ok()),
                    "created_by" => match &user.created_by {
                        Some(by) => {
                            json!({"id": by, "name": world.users.get(by).map(|user| &user.name)})
                        }
                        None => return Ok(Some(None)),
                    },
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(Some(value)))
    }
}

fn render_item(cx: &Cx<'_>, catalog: &str, retailer_id: &str, asked: Option<&[Field]>) -> Result<Value> {
    let default = products::default_fields();
    let found = cx.world.catalogs.get(catalog).and_then(|state| state.items.shown(retailer_id));
    let (retailer_id, item) = found.ok_or_else(|| GraphError::unsupported("GET", retailer_id))?;
    View::new(cx.world, cx.now, catalog, retailer_id, item).render(asked.unwrap_or(&default))
}

/// Reads `.limit(n)`, `.after(c)`, `.before(c)` of a nested edge.
fn window(field: &Field, default: usize, max: usize) -> Result<Window> {
    let mut params = Params::default();
    for name in ["limit", "after", "before"] {
        if let Some(value) = field.modifier(name) {
            params.insert(name, value);
        }
    }
    Window::from_params(&params, default, max)
}

/// Reads a node: `GET /{id}`.
pub(crate) fn read(cx: &Cx<'_>, node: &Node, params: &Params) -> Result<Value> {
    let asked = params.fields().map(|text| fields::parse(&text)).transpose()?;
    node.render(cx, asked.as_deref())
}

/// Lists an edge: `GET /{id}/{edge}`. `None` when the node has no such edge.
pub(crate) fn list(
    cx: &Cx<'_>,
    node: &Node,
    edge: &str,
    params: &Params,
    link: &Link,
    empty_page: bool,
) -> Result<Option<Value>> {
    let Some(entries) = node.edge(cx.world, edge) else {
        return Ok(None);
    };
    let asked = params.fields().map(|text| fields::parse(&text)).transpose()?;
    let rules = cx.world.config.rules;
    let window = Window::from_params(params, rules.default_page, rules.max_page)?;
    if empty_page {
        return Ok(Some(Page::empty_with_next(window.limit, link, window.after.as_deref())));
    }
    let page = Page::cut(&entries, &window, |node| node.render(cx, asked.as_deref()))?;
    let mut body = page.body(window.limit, link, cx.world.config.switches.omit_paging);
    if params.flag("summary", false).unwrap_or(false) {
        body["summary"] = json!({ "total_count": entries.len() });
    }
    Ok(Some(body))
}
