//! What a product or variant says for Meta itself, under [`GIVEN`] within its `extra`.
//!
//! Lenient, since a platform's own view may hold anything there: a value of another type counts as absent, and an
//! attribute that Meta would refuse is left out with a warning. What a variant says wins over what its product says,
//! field by field.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::GIVEN;
use crate::attribute::{self, FALLBACKS};
use crate::item::{Product, Variant};
use crate::text;
use crate::trace::branch;
use crate::warnings::{WarningCode, Warnings};

/// What is said of an item, product and variant together.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Given {
    /// The item's own pages: the variant's, then the product's.
    pub(crate) links: Vec<String>,
    /// The item's own condition.
    pub(crate) condition: Option<String>,
    /// The currency of the prices.
    pub(crate) currency: Option<String>,
    /// A path or number of Google's taxonomy.
    pub(crate) google_product_category: Option<String>,
    attributes: Map<String, Value>,
}

impl Given {
    /// Reads both.
    pub(crate) fn of(product: &Product, variant: &Variant) -> Self {
        let product = read(product.extra_json.as_deref());
        let mut variant = read(variant.extra_json.as_deref());
        if product.is_empty() && variant.is_empty() {
            return Self::default();
        }
        branch!("given.some");
        let text = |key: &str| {
            let own = variant.get(key).or_else(|| product.get(key)).and_then(Value::as_str);
            own.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let condition = text("condition");
        let links = [&variant, &product].into_iter().filter_map(|said| said.get("link")?.as_str());
        let links = links.map(str::trim).filter(|link| !link.is_empty()).map(str::to_owned).collect();
        let of_product = |key: &str| product.get(key).and_then(Value::as_str).map(|text| text.trim().to_owned());
        let currency = of_product("currency").filter(|code| !code.is_empty());
        let google_product_category = of_product("googleProductCategory").filter(|path| !path.is_empty());
        let mut attributes = match product.get("attributes") {
            Some(Value::Object(attributes)) => attributes.clone(),
            _ => Map::new(),
        };
        if let Some(Value::Object(own)) = variant.remove("attributes") {
            attributes.extend(own.into_iter().filter(|(_, value)| !value.is_null()));
        }
        attributes.retain(|_, value| !attribute::is_absent(value));
        Self { links, condition, currency, google_product_category, attributes }
    }

    /// Whether the shop gives an attribute.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }

    /// Takes an attribute that stands in for an option.
    pub(crate) fn fallback(&mut self, name: &'static str) -> Option<String> {
        debug_assert!(FALLBACKS.contains(&name));
        match self.attributes.remove(name) {
            Some(Value::String(value)) => Some(text::line(&value).into_owned()).filter(|value| !value.is_empty()),
            _ => None,
        }
    }

    /// The other attributes, each checked and canonical.
    pub(crate) fn into_attributes(self, warnings: &mut Warnings) -> BTreeMap<&'static str, Value> {
        let mut attributes = BTreeMap::new();
        for (name, value) in self.attributes {
            match attribute::check(&name, &value) {
                Ok((spec, value)) => {
                    branch!("given.attribute");
                    attributes.insert(spec.name, value);
                }
                Err(problem) => {
                    let message = format!("the attribute {} {problem}; it is left out", text::cut(&name, 100));
                    warnings.add(WarningCode::AttributeUnusable, None, message);
                }
            }
        }
        attributes
    }
}

fn read(extra: Option<&str>) -> Map<String, Value> {
    // Most items say nothing, and parsing costs more than looking for the key.
    let Some(extra) = extra.filter(|text| text.contains(concat!("\"", "meta", "\""))) else { return Map::new() };
    match serde_json::from_str::<Map<String, Value>>(extra).ok().and_then(|mut extra| extra.remove(GIVEN)) {
        Some(Value::Object(given)) => given,
        _ => Map::new(),
    }
}
