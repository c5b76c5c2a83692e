//! `GET /{catalog}/products`: choosing items, page by page.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::errors::{GraphError, Result};
use crate::fields::{self, Field};
use crate::filter::Filter;
use crate::item_view::{View, check_fields};
use crate::nodes::Cx;
use crate::paging::{Link, Page, Window};
use crate::params::Params;
use crate::world::Catalog;

/// What an item must be to be listed.
#[derive(Debug, Default)]
pub(crate) struct Query {
    filter: Option<Filter>,
    error_type: Option<String>,
    error_priority: Option<String>,
    approved_only: bool,
}

impl Query {
    fn read(params: &mut Params) -> Result<Self> {
        let error_priority = params.text("error_priority");
        if error_priority.as_deref().is_some_and(|value| !["HIGH", "MEDIUM", "LOW"].contains(&value)) {
            let message = "(#100) Param error_priority must be one of {HIGH, MEDIUM, LOW}";
            return Err(GraphError::parameter("error_priority", message));
        }
        // It changes how Meta pages, not what it lists.
        params.flag("bulk_pagination", false)?;
        Ok(Self {
            filter: params.take_json("filter")?.map(|value| Filter::read(&value)).transpose()?,
            error_type: params.text("error_type"),
            error_priority,
            approved_only: params.flag("return_only_approved_products", false)?,
        })
    }

    fn chooses(&self, view: &View<'_>) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.passes(&|key| view.tested(key)))
            && (!self.approved_only || view.review_status() == "approved")
            && (self.error_type.is_none() && self.error_priority.is_none()
                || view.errors().iter().any(|error| self.names(error)))
    }

    fn names(&self, error: &Value) -> bool {
        let is = |wanted: &Option<String>, key: &str| {
            wanted.as_deref().is_none_or(|wanted| error.get(key).and_then(Value::as_str) == Some(wanted))
        };
        is(&self.error_type, "error_type") && is(&self.error_priority, "error_priority")
    }
}

/// Fields shown when none are asked for.
pub(crate) fn default_fields() -> Vec<Field> {
    ["id", "name", "retailer_id"].map(Field::plain).to_vec()
}

/// Answers the edge.
pub(crate) fn list(cx: &Cx<'_>, catalog_id: &str, params: &mut Params, link: &Link, empty_page: bool) -> Result<Value> {
    let world = cx.world;
    let Some(catalog) = world.catalogs.get(catalog_id) else {
        return Err(GraphError::unsupported("GET", catalog_id));
    };
    let asked = params.fields().map_or_else(|| Ok(default_fields()), |text| fields::parse(&text))?;
    check_fields(&asked)?;
    let query = Query::read(params)?;
    let rules = world.config.rules;
    let window = Window::from_params(params, rules.default_page, rules.max_page)?;
    if empty_page {
        return Ok(Page::empty_with_next(window.limit, link, window.after.as_deref()));
    }
    let page = page(cx, catalog_id, catalog, &query, &window, &asked)?;
    let mut body = page.body(window.limit, link, world.config.switches.omit_paging);
    // The SDKs send `summary=true`; others name what they want.
    let named = params.list("summary").is_some_and(|names| names.iter().any(|name| name == "total_count"));
    if named || params.flag("summary", false).unwrap_or(false) {
        body["summary"] = json!({ "total_count": matching(cx, catalog_id, catalog, &query, None).count() });
    }
    Ok(body)
}

/// A page of a catalog's items, for the edge and for the nested edge.
pub(crate) fn page(
    cx: &Cx<'_>,
    catalog_id: &str,
    catalog: &Catalog,
    query: &Query,
    window: &Window,
    asked: &[Field],
) -> Result<Page> {
    let limit = window.limit;
    let (shown, more, earlier) = match &window.before {
        None => {
            let after = window.after.as_deref();
            let mut found: Vec<_> = matching(cx, catalog_id, catalog, query, after).take(limit + 1).collect();
            let more = found.len() > limit;
            found.truncate(limit);
            (found, more, after.is_some())
        }
        Some(before) => {
            let all = matching(cx, catalog_id, catalog, query, None);
            let mut found: Vec<_> = all.take_while(|view| view.retailer_id < before.as_str()).collect();
            let earlier = found.len() > limit;
            let found = found.split_off(found.len().saturating_sub(limit));
            (found, true, earlier)
        }
    };
    let edges = shown.first().zip(shown.last());
    Ok(Page {
        edges: edges.map(|(first, last)| (first.retailer_id.to_owned(), last.retailer_id.to_owned())),
        data: shown.iter().map(|view| view.render(asked)).collect::<Result<_>>()?,
        more,
        earlier,
    })
}

fn matching<'a>(
    cx: &Cx<'a>,
    catalog_id: &'a str,
    catalog: &'a Catalog,
    query: &'a Query,
    after: Option<&'a str>,
) -> Box<dyn Iterator<Item = View<'a>> + 'a> {
    let (world, now) = (cx.world, cx.now);
    let view = move |(id, item)| View::new(world, now, catalog_id, id, item);
    let chosen = move |view: &View<'_>| query.chooses(view);
    match query.filter.as_ref().and_then(Filter::retailer_ids) {
        Some(ids) => {
            let later = |id: &String| after.is_none_or(|after| id.as_str() > after);
            let ids: BTreeSet<String> = ids.into_iter().filter(later).collect();
            Box::new(ids.into_iter().filter_map(|id| catalog.items.shown(&id)).map(view).filter(chosen))
        }
        None => Box::new(catalog.items.shown_after(after).map(view).filter(chosen)),
    }
}
