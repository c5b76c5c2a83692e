//! What a product or variant says for Meta itself, under [`GIVEN`] within its `extra`.
//!
//! Lenient, since a platform's own view may hold anything there: a value of another type counts as absent, and an
//! attribute that Meta would refuse is left out with a warning. What a variant says wins over what its product says,
//! field by field.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::GIVEN;
use crate::attribute;
use crate::item::{Product, Variant};
use crate::text;
use crate::trace::branch;
use crate::url::is_absolute;
use crate::warnings::{WarningCode, Warnings};

/// What is said of an item, product and variant together.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Given {
    /// The item's own page: an absolute http(s) URL.
    pub(crate) link: Option<String>,
    /// Whether a link was given that is no such URL.
    pub(crate) has_unusable_link: bool,
    /// The item's own condition.
    pub(crate) condition: Option<String>,
    /// The currency of the prices.
    pub(crate) currency: Option<String>,
    /// A path or number of Google's taxonomy.
    pub(crate) google_product_category: Option<String>,
    /// The product's attributes, and then the variant's.
    attributes: [Map<String, Value>; 2],
}

impl Given {
    /// Reads both.
    pub(crate) fn of(product: &Product, variant: &Variant) -> Self {
        let mut product = read(product.extra_json.as_deref());
        let mut variant = read(variant.extra_json.as_deref());
        if product.is_empty() && variant.is_empty() {
            return Self::default();
        }
        branch!("given.some");
        let text = |of: &Map<String, Value>, key: &str| {
            let text = of.get(key).and_then(Value::as_str).map(str::trim);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let links = [text(&variant, "link"), text(&product, "link")];
        let has_unusable_link = links.iter().flatten().any(|link| !is_absolute(link));
        let link = links.into_iter().flatten().find(|link| is_absolute(link));
        let condition = text(&variant, "condition").or_else(|| text(&product, "condition"));
        let (currency, google_product_category) = (text(&product, "currency"), text(&product, "googleProductCategory"));
        let attributes = [&mut product, &mut variant].map(|of| match of.remove("attributes") {
            Some(Value::Object(attributes)) => attributes,
            _ => Map::new(),
        });
        Self { link, has_unusable_link, condition, currency, google_product_category, attributes }
    }

    /// Whether the shop sends this attribute itself.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|of| of.get(name).is_some_and(|value| !attribute::is_absent(value)))
    }

    /// The attributes, each checked and canonical. One that Meta would refuse is left out, with a warning.
    pub(crate) fn into_attributes(self, warnings: &mut Warnings) -> BTreeMap<&'static str, Value> {
        let mut attributes = BTreeMap::new();
        for (name, value) in self.attributes.into_iter().flatten().filter(|(_, value)| !attribute::is_absent(value)) {
            match attribute::check(&name, &value) {
                Ok((_, value)) if attribute::is_absent(&value) => {}
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
