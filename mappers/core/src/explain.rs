//! Why the built-in mapping says what it says: each rule of eligibility, and each source of a field that has several.
//!
//! Promises: the rules are those that [`crate::map`] applies, in its order, each with what it saw, also after one that
//! fails. The candidates of a field are made by the functions that [`crate::map`] makes the payload with, and the one that
//! won is the one whose value the payload has.
//! Left out on purpose: fields with one source.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use crate::given::Given;
use crate::item::{MapSettings, Product, Variant};
use crate::outcome::{EligibilityReason, Outcome};
use crate::warnings::Warnings;
use crate::{attributes, category, eligibility, gtin, image, link, map, text};

/// The longest value that is shown, in characters.
const SHOWN: usize = 300;

/// Why an item is mapped as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Every rule of eligibility, in the order in which they are asked. The first that fails rejects the item.
    pub rules: Vec<Rule>,
    /// The fields of the payload that have several sources; empty for a rejected item.
    pub fields: Vec<FieldSources>,
}

/// A rule of eligibility.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// The reason of the rejection when it fails.
    pub rule: &'static str,
    /// Whether the item passes it.
    pub passed: bool,
    /// The value that it looked at.
    pub saw: Option<String>,
}

/// Where the value of a field comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldSources {
    /// The field of the payload.
    pub field: &'static str,
    /// The sources, first choice first.
    pub sources: Vec<FieldSource>,
}

/// One source of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldSource {
    /// Its name, as in an import line or as a setting.
    pub source: String,
    /// What it would make of the field; `None` when it has nothing to say.
    pub value: Option<String>,
    /// Whether the payload has this value from here.
    pub won: bool,
}

/// Explains the mapping of one variant as of `now`.
#[must_use]
pub fn explain(settings: &MapSettings, now: i64, product: &Product, variant: &Variant) -> Explanation {
    let given = Given::of(product, variant);
    let rules = EligibilityReason::ALL.map(|reason| Rule {
        rule: reason.as_str(),
        passed: eligibility::passes(reason, settings, product, variant, &given),
        saw: eligibility::saw(reason, settings, product, variant, &given).map(shown),
    });
    let fields = match map(settings, now, product, variant) {
        Outcome::Mapped(mapped) => {
            let data: Value = serde_json::from_str(&mapped.data).unwrap_or_default();
            fields(settings, product, variant, &given, &data)
        }
        Outcome::Rejected(_) => Vec::new(),
    };
    Explanation { rules: rules.into(), fields }
}

/// The sources of a field by name, first choice first, each with what it would make of the field.
pub(crate) type Candidates = Vec<(String, Option<String>)>;

fn fields(
    settings: &MapSettings,
    product: &Product,
    variant: &Variant,
    given: &Given,
    data: &Value,
) -> Vec<FieldSources> {
    let line = |text: Option<&str>| text::optional_line(text).map(Cow::into_owned);
    let named = |name: &str, value: Option<String>| (name.to_owned(), value);
    let business = settings.identifier_exists_fallback.then_some(settings.business_name.as_str());
    let condition = |own: Option<&str>| crate::condition(own, settings, &mut Warnings::default()).into_owned();
    let cut = |source: &Option<String>| {
        let limit = usize::try_from(settings.description_max_length).unwrap_or(usize::MAX);
        let (text, _) = text::cut_cow(text::markup(source.as_deref().unwrap_or_default()), limit);
        Some(text.into_owned()).filter(|text| !text.is_empty())
    };
    let mut all: Vec<(&'static str, Candidates)> = vec![
        (
            "brand",
            vec![
                named("brand", line(product.brand_title.as_deref())),
                named("vendor", line(product.vendor_name.as_deref())),
                named("business_name", line(business)),
            ],
        ),
        (
            "condition",
            vec![
                named("condition", given.condition.as_deref().map(|own| condition(Some(own)))),
                named("default_condition", Some(condition(None))),
            ],
        ),
        (
            "description",
            vec![
                named("description", cut(&product.description)),
                named("subtitle", cut(&product.subtitle)),
                named("title", cut(&product.title)),
            ],
        ),
        ("google_product_category", {
            let mut unheard = Warnings::default();
            let own = given.google_product_category.as_deref();
            let own = own.and_then(|own| category::path(settings, Some(own), &[], &mut unheard));
            let trail = category::path(settings, None, &product.categories, &mut unheard);
            vec![
                named("googleProductCategory", own.map(Cow::into_owned)),
                named("categories", trail.map(Cow::into_owned)),
            ]
        }),
        (
            "gtin",
            [("ean", &variant.ean), ("upc", &variant.upc), ("barcode", &variant.barcode)]
                .map(|(name, raw)| named(name, raw.as_deref().and_then(gtin::parse)))
                .into(),
        ),
        ("image_link", image::candidates(&settings.s3_public_url, product, variant)),
        ("link", {
            let mut unheard = Warnings::default();
            let bare = Given::default();
            let slug = product.slug.as_deref().unwrap_or_default();
            let template = link::of(settings, slug, product, variant, &bare, &mut unheard);
            let own = given.link.is_some().then(|| link::of(settings, slug, product, variant, given, &mut unheard));
            vec![named("link", own), named("storefront_product_path", Some(template))]
        }),
    ];
    for (field, options) in attributes::candidates(settings, &variant.options) {
        let mut candidates: Candidates = options;
        candidates.push(named("attributes", data_if_attribute(given, field, data)));
        all.push((field, candidates));
    }
    all.sort_unstable_by_key(|(field, _)| *field);
    let told = all.into_iter().filter_map(|(field, candidates)| {
        let value = data.get(field).and_then(Value::as_str);
        let winner = candidates.iter().position(|(_, candidate)| value.is_some() && candidate.as_deref() == value);
        if value.is_none() && candidates.iter().all(|(_, candidate)| candidate.is_none()) {
            return None;
        }
        let sources = candidates.into_iter().enumerate().map(|(at, (source, value))| FieldSource {
            source,
            value: value.map(shown),
            won: winner == Some(at),
        });
        Some(FieldSources { field, sources: sources.collect() })
    });
    told.collect()
}

/// The value that an attribute of the line gives a field which options can give as well.
fn data_if_attribute(given: &Given, field: &str, data: &Value) -> Option<String> {
    given.has(field).then(|| data.get(field).and_then(Value::as_str).map(str::to_owned)).flatten()
}

fn shown(value: String) -> String {
    text::cut(&value, SHOWN).to_owned()
}
