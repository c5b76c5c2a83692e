//! The built-in field mapping of `meta-catalog`.
//!
//! Purpose: turn a shop's variant into the `data` object of Meta's `items_batch`.
//! Promises: pure (same input, same bytes), no clock, no randomness, no I/O, no panic on any input.
//! What lies between two edges of a sale window maps to the same bytes.
//! Left out on purpose: whether a payload is pushed, cleared or deleted; that is the drain's decision.
//!
//! One file a subject: [`map`] asks `eligibility` first, then gathers `wording`, `link`, `image`,
//! `availability`, `price`, `sale`, `identity` (with `gtin`), `category` and `attributes` into a
//! `payload`. Each file says which way it went where the sources leave a choice. [`input`] is the JSON
//! side of `meta-catalog mapper map`.

mod attribute;
mod attributes;
mod availability;
mod category;
mod currency;
mod digest;
mod eligibility;
mod explain;
mod given;
mod gtin;
mod identity;
mod image;
pub mod input;
mod item;
mod link;
mod outcome;
mod payload;
mod price;
mod sale;
mod text;
mod trace;
mod url;
mod warnings;
mod wording;

#[cfg(test)]
mod fixture_tests;
#[cfg(test)]
mod property_tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use attribute::{ATTRIBUTES, AttributeKind, AttributeSpec, Part, PartKind, attribute, check as check_attribute};
pub use attributes::NAMES as OPTION_NAMES;
pub use currency::minor_units;
pub use digest::sha256_hex;
pub use explain::{Explanation, FieldSource, FieldSources, Rule, explain};
pub use item::{Inventory, Item, MapSettings, OptionValue, Product, Variant};
pub use link::{PLACEHOLDERS, check_template};
pub use outcome::{EligibilityReason, Mapped, Outcome, Warning};
pub use payload::{FIELDS, FieldKind, FieldSpec, field, limit_warning};
pub use warnings::WarningCode;

use serde_json::Value;

use attributes::Attributes;
use eligibility::Eligible;
use given::Given;
use identity::Identity;
use payload::Payload;
use trace::branch;
use warnings::Warnings;
use wording::Wording;

/// The field for options that are none of the four attributes.
const ADDITIONAL: &str = "additional_variant_attribute";

/// The conditions that Meta takes.
const CONDITIONS: [&str; 3] = ["new", "refurbished", "used"];

/// The key within `extra` under which a product or variant says for Meta what the built-in mapping does not make of its
/// other fields: `link`, `condition`, `currency`, `googleProductCategory` and `attributes`.
pub const GIVEN: &str = "meta";

/// Maps one variant as of `now` (milliseconds since the Unix epoch).
#[must_use]
pub fn map(settings: &MapSettings, now: i64, product: &Product, variant: &Variant) -> Outcome {
    let given = Given::of(product, variant);
    match eligibility::check(settings, product, variant, &given) {
        Ok(eligible) => Outcome::Mapped(assemble(settings, now, product, variant, eligible, given)),
        Err(reason) => Outcome::Rejected(reason),
    }
}

/// Gathers the payload of an eligible variant.
fn assemble(
    settings: &MapSettings,
    now: i64,
    product: &Product,
    variant: &Variant,
    eligible: Eligible<'_>,
    mut given: Given,
) -> Mapped {
    let mut warnings = Warnings::default();
    let Wording { title, description } = Wording::of(settings, product, &mut warnings);
    let link = link::of(settings, eligible.slug, product, variant, &given, &mut warnings);
    let images = image::collect(&settings.s3_public_url, product, variant, &mut warnings);
    let currency = price::currency(&settings.currency, &mut warnings);
    let sale = sale::decide(now, eligible.price, variant, &mut warnings);
    let own_condition = given.condition.take();
    let condition = condition(own_condition.as_deref(), settings, &mut warnings);
    let identity = Identity::of(settings, product, variant, &mut warnings);
    let google = given.google_product_category.take();
    let category = category::path(settings, google.as_deref(), &product.categories, &mut warnings);
    let shops_own = given.has(ADDITIONAL);
    let Attributes { color, size, material, pattern, others } =
        Attributes::of(settings, &variant.options, shops_own, &mut warnings);
    let mut attributes = given.into_attributes(&mut warnings);
    // Taken in any case, so that none is sent twice: an option wins.
    let [color, size, material, pattern] =
        [(color, "color"), (size, "size"), (material, "material"), (pattern, "pattern")].map(|(option, name)| {
            let fallback = attributes.remove(name).and_then(|value| value.as_str().map(str::to_owned));
            option.or(fallback.map(Cow::Owned))
        });
    if let Some(others) = others {
        attributes.entry(ADDITIONAL).or_insert_with(|| others.into());
    }

    let payload = Payload {
        additional_image_link: images.additional,
        availability: Some(availability::of(variant.inventory.as_ref()).into()),
        brand: identity.brand,
        color,
        condition: Some(condition),
        custom_label_0: identity.vendor_name,
        custom_label_1: identity.brand_title,
        description,
        google_product_category: category,
        gtin: identity.gtin.map(Cow::Owned),
        // Ids are keys, so they go out exactly as the shop holds them.
        id: Some(Cow::Borrowed(&variant.id)),
        image_link: images.main,
        item_group_id: group_id(product, variant, &mut warnings),
        link: Some(link.into()),
        material,
        mpn: identity.mpn,
        pattern,
        price: Some(price::format(eligible.price, &currency).into()),
        sale_price: sale.price.map(|price| price::format(price, &currency).into()),
        sale_price_effective_date: sale.window.map(Cow::Owned),
        size,
        title,
    };
    payload.check_limits(&mut warnings);
    warn_of_entities(&payload, &attributes, &mut warnings);
    Mapped {
        data: payload.to_json(&attributes),
        fields: payload.present(&attributes),
        warnings: warnings.into_vec(),
        reevaluate_at: sale.reevaluate_at,
    }
}

/// Warns of each field that shows a character reference such as `&amp;` as text. The title has a warning of its own.
fn warn_of_entities(payload: &Payload<'_>, attributes: &BTreeMap<&'static str, Value>, warnings: &mut Warnings) {
    let fields = [
        ("brand", &payload.brand),
        ("description", &payload.description),
        ("google_product_category", &payload.google_product_category),
        ("color", &payload.color),
        ("size", &payload.size),
        ("material", &payload.material),
        ("pattern", &payload.pattern),
        ("custom_label_0", &payload.custom_label_0),
        ("custom_label_1", &payload.custom_label_1),
    ];
    let fields = fields.into_iter().map(|(name, value)| (name, value.as_deref()));
    // The one attribute that holds markup on purpose is left out.
    let given = attributes.iter().map(|(name, value)| (*name, value.as_str()));
    let given = given.filter(|(name, _)| *name != "rich_text_description");
    for (name, value) in fields.chain(given) {
        if value.is_some_and(text::has_entity) {
            let message = format!(
                "{name} shows an HTML entity such as &amp; as text; write the character itself in the shop's data"
            );
            warnings.add(WarningCode::EntityInText, Some(name), message);
        }
    }
}

/// The condition of an item: its own, else that of every item; blank is `new`. A word that Meta does not take is sent all
/// the same: calling used goods new would be worse than a refusal.
fn condition<'a>(own: Option<&'a str>, settings: &'a MapSettings, warnings: &mut Warnings) -> Cow<'a, str> {
    let mut condition = text::line(own.unwrap_or(&settings.default_condition));
    if condition.is_empty() {
        branch!("condition.blank");
        return Cow::Borrowed("new");
    }
    if condition.bytes().any(|b| b.is_ascii_uppercase()) {
        branch!("condition.lower_cased");
        condition.to_mut().make_ascii_lowercase();
    }
    if !CONDITIONS.contains(&&*condition) {
        let message =
            "Meta takes new, refurbished or used; correct the item's condition or the setting `default_condition`";
        warnings.add(WarningCode::UnknownCondition, Some("condition"), message);
    }
    condition
}

/// The id that the variants of a product share.
fn group_id<'a>(product: &'a Product, variant: &Variant, warnings: &mut Warnings) -> Option<Cow<'a, str>> {
    if product.id.is_empty() {
        branch!("group.none");
        return None;
    }
    if product.id == variant.id {
        let message =
            "product and variant share an id, which Meta refuses (RETAILER_ID_USED_BY_GROUP); give them distinct ids";
        warnings.add(WarningCode::GroupIdIsItemId, Some("item_group_id"), message);
    }
    Some(Cow::Borrowed(&product.id))
}

// Last, so that nothing of the modules that are built from this crate moves.
#[cfg(feature = "component")]
pub mod word;
