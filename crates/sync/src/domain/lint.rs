//! Lint: what shows only when variants are compared with each other.
//!
//! The drain keeps the [`Traits`] of each payload with the state, the lint pass compares them in the database
//! (`store::lint`) and keeps the codes of the [`Finding`]s with the state.
//!
//! Promises: pure. Equal payloads have equal traits, whatever mapper made them.
//! Left out on purpose: what one payload alone tells, which the mapper warns of.

use std::borrow::Cow;

use mapper_core::Warning;
use mapper_core::word::Payload;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::cause::warning_codes;

/// Meta's cap on the variants of one group.
pub const MAX_GROUP_SIZE: i64 = 100;

/// Longer values, and those with control characters, are no ids or numbers that Meta takes; they are left out of the traits.
const LONGEST: usize = 200;

/// What the state keeps of a payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// The codes of the mapper's warnings ([`warning_codes`]).
    pub warnings: Option<String>,
    /// What is compared with other variants.
    pub traits: Option<Traits>,
}

impl Noted {
    /// Says nothing of a payload.
    pub const NOTHING: Self = Self { warnings: None, traits: None };

    /// Returns what is kept of this payload of a variant of this product.
    #[must_use]
    pub fn of(payload: &Payload, product_id: Option<&str>) -> Self {
        Self { warnings: warning_codes(&payload.warnings), traits: Traits::of(&payload.data, product_id) }
    }
}

/// What is compared: group (`None`: the product's id), looks, GTIN, link and currency. It is stored as a JSON array in
/// this order.
///
/// Looks and link are hashes. The lowest four bits of the looks tell which of [`Traits::ATTRIBUTES`] the payload has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Traits(Option<String>, i64, Option<String>, Option<i64>, Option<String>);

/// A field of any type; only texts are compared.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Compared<'a> {
    #[serde(borrow, default)]
    id: Option<Loose<'a>>,
    #[serde(borrow, default)]
    item_group_id: Option<Loose<'a>>,
    #[serde(borrow, default)]
    color: Option<Loose<'a>>,
    #[serde(borrow, default)]
    size: Option<Loose<'a>>,
    #[serde(borrow, default)]
    material: Option<Loose<'a>>,
    #[serde(borrow, default)]
    pattern: Option<Loose<'a>>,
    #[serde(borrow, default)]
    additional_variant_attribute: Option<Loose<'a>>,
    #[serde(borrow, default)]
    gtin: Option<Loose<'a>>,
    #[serde(borrow, default)]
    link: Option<Loose<'a>>,
    #[serde(borrow, default)]
    price: Option<Loose<'a>>,
}

impl Traits {
    /// The attributes by which a shopper tells variants of a group apart, from the lowest bit.
    pub const ATTRIBUTES: [&'static str; 4] = ["color", "size", "material", "pattern"];

    /// Returns the traits of this payload, a JSON object. `None` for text that is not JSON.
    fn of(data: &str, product_id: Option<&str>) -> Option<Self> {
        let compared: Compared<'_> = serde_json::from_str(data).ok()?;
        let text = |field: &Option<Loose<'_>>| match field {
            Some(Loose::Text(text)) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Some(Loose::Other(_)) | None => None,
        };
        // PostgreSQL keeps no NUL.
        let is_plain = |text: &String| text.len() <= LONGEST && !text.contains(char::is_control);
        let short = |field: &Option<Loose<'_>>| text(field).filter(is_plain);
        let group = match short(&compared.item_group_id) {
            Some(group) if product_id == Some(&group) => None,
            // Without a group an item stands alone.
            group => group.or_else(|| Some(format!("item:{}", short(&compared.id)?))),
        };
        let Compared { color, size, material, pattern, .. } = &compared;
        let attributes = [color, size, material, pattern].map(text);
        let mut looks = Sha256::new();
        let mut given = 0;
        for (bit, value) in attributes.iter().chain([&text(&compared.additional_variant_attribute)]).enumerate() {
            looks.update(value.as_deref().unwrap_or_default().to_lowercase());
            looks.update([0]);
            if bit < attributes.len() && value.is_some() {
                given |= 1 << bit;
            }
        }
        Some(Self(
            group,
            number(looks) & !0b1111 | given,
            short(&compared.gtin).map(|gtin| gtin.trim_start_matches('0').to_owned()).filter(|gtin| !gtin.is_empty()),
            text(&compared.link).map(|link| number(Sha256::new_with_prefix(link))),
            short(&compared.price).and_then(|price| Some(price.rsplit_once(' ')?.1.to_owned())),
        ))
    }
}

/// The first 63 bits of a hash.
fn number(hash: Sha256) -> i64 {
    let bytes = hash.finalize();
    let first = bytes.iter().take(8).fold(0_i64, |number, byte| (number << 8) | i64::from(*byte));
    first & i64::MAX
}

/// What is found by comparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The group has more variants than Meta takes.
    GroupTooLarge,
    /// A sibling has the same colour, size, material and pattern.
    IndistinguishableVariants,
    /// At least half of the group has an attribute that this variant lacks.
    MissingVariantAttribute,
    /// Most items of the catalog have their price in another currency.
    MixedCurrencies,
    /// Another item has the same GTIN.
    SameGtin,
    /// An item of another group has the same link.
    SameLink,
}

impl Finding {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::GroupTooLarge,
        Self::IndistinguishableVariants,
        Self::MissingVariantAttribute,
        Self::MixedCurrencies,
        Self::SameGtin,
        Self::SameLink,
    ];

    /// Returns its code among the codes of warnings.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::GroupTooLarge => "group_too_large",
            Self::IndistinguishableVariants => "indistinguishable_variants",
            Self::MissingVariantAttribute => "missing_variant_attribute",
            Self::MixedCurrencies => "mixed_currencies",
            Self::SameGtin => "same_gtin",
            Self::SameLink => "same_link",
        }
    }

    /// Returns the finding with this code.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|finding| finding.code() == code)
    }

    /// Returns what it is called.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::GroupTooLarge => "More variants than Meta groups",
            Self::IndistinguishableVariants => "Variants that look the same",
            Self::MissingVariantAttribute => "An option that its siblings have is missing",
            Self::MixedCurrencies => "Prices in several currencies",
            Self::SameGtin => "The same barcode twice",
            Self::SameLink => "The same link for several products",
        }
    }

    /// Returns what to do about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::GroupTooLarge => "Split the product: Meta groups at most 100 variants.",
            Self::IndistinguishableVariants => {
                "Map the options that differ with option_synonyms, or switch on additional_variant_attributes."
            }
            Self::MissingVariantAttribute => "Give every variant of the product the same options.",
            Self::MixedCurrencies => "Give every price in one currency.",
            Self::SameGtin => "Correct the EAN, UPC or barcode: it belongs to one item.",
            Self::SameLink => "Give each product a slug or a link of its own.",
        }
    }

    /// Returns the setting that would help, if one does.
    #[must_use]
    pub fn setting(self) -> Option<&'static str> {
        match self {
            Self::IndistinguishableVariants => Some("additional_variant_attributes"),
            Self::MixedCurrencies => Some("currency"),
            Self::SameLink => Some("storefront_product_path"),
            Self::GroupTooLarge | Self::MissingVariantAttribute | Self::SameGtin => None,
        }
    }

    /// Returns the warning about a variant. `others` are some of the items that it is compared with.
    #[must_use]
    pub fn warning(self, others: &[String]) -> Warning {
        let (field, what) = match self {
            Self::GroupTooLarge => ("item_group_id", "the group has more variants than Meta takes"),
            Self::IndistinguishableVariants => {
                ("item_group_id", "other variants of the product have the same color, size, material and pattern")
            }
            Self::MissingVariantAttribute => {
                ("item_group_id", "other variants of the product have a color, size, material or pattern, this one not")
            }
            Self::MixedCurrencies => ("price", "most items of the catalog have another currency"),
            Self::SameGtin => ("gtin", "other items have the same GTIN"),
            Self::SameLink => ("link", "items of other products have the same link"),
        };
        let such = if others.is_empty() { String::new() } else { format!(" (such as {})", others.join(", ")) };
        let advice = self.advice();
        Warning { code: self.code().into(), field: Some(field.into()), message: format!("{what}{such}. {advice}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits(data: &str) -> Traits {
        Traits::of(data, Some("p")).expect("an object")
    }

    #[test]
    fn what_a_shopper_sees_makes_the_looks() {
        let red = traits(r#"{"color":"Red","size":"M"}"#);
        assert_eq!(red.1 & 0b1111, 0b0011, "color and size");
        assert_eq!(red, traits(r#"{"size":" m ","color":"red","title":"other"}"#));
        for other in [
            r#"{"color":"Red","size":"L"}"#,
            r#"{"color":"Red"}"#,
            r#"{"color":"Red","size":"M","material":"wool"}"#,
            r#"{"color":"Red","size":"M","additional_variant_attribute":"Ring size:5"}"#,
            r#"{"color":"M","size":"Red"}"#,
        ] {
            assert_ne!(red.1, traits(other).1, "{other}");
        }
        assert_eq!(traits("{}").1 & 0b1111, 0);
    }

    #[test]
    fn ids_are_compared_by_what_they_mean() {
        let item =
            traits(r#"{"item_group_id":"p","gtin":"0012345678905","link":"https://a.example/1","price":"12.00 INR"}"#);
        assert_eq!((item.0.as_deref(), item.2.as_deref(), item.4.as_deref()), (None, Some("12345678905"), Some("INR")));
        assert_eq!(item.2, traits(r#"{"gtin":"012345678905"}"#).2, "an UPC is an EAN with a zero");
        assert_ne!(item.3, traits(r#"{"link":"https://a.example/2"}"#).3);
        assert_eq!(traits(r#"{"item_group_id":"g"}"#).0.as_deref(), Some("g"));
        let odd = traits(r#"{"item_group_id":7,"color":["red"],"gtin":"000","link":null,"price":"12"}"#);
        assert_eq!(odd, Traits(None, traits("{}").1, None, None, None), "what is no text is not compared");
        assert_eq!(traits(r#"{"id":"v"}"#).0.as_deref(), Some("item:v"), "without a group it stands alone");
        let nul = traits(r#"{"id":"v\u0000","item_group_id":"g\u0000","gtin":"1\u0000","price":"1 \u0000"}"#);
        assert_eq!((nul.0, nul.2, nul.4), (None, None, None), "PostgreSQL keeps no NUL");
        assert_eq!(Traits::of("{", None), None);
        let text = serde_json::to_string(&item).expect("serializable");
        let link = item.3.expect("a link");
        assert_eq!(text, format!(r#"[null,{},"12345678905",{link},"INR"]"#, item.1), "no digit of a hash is lost");
    }

    #[test]
    fn codes_are_found_again_and_sorted() {
        let codes = Finding::ALL.map(Finding::code);
        assert!(codes.is_sorted(), "the pass writes them in this order");
        assert!(Finding::ALL.iter().all(|finding| Finding::of_code(finding.code()) == Some(*finding)));
    }
}
