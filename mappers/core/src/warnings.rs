//! What an operator should know about a payload that is sent all the same.
//!
//! Every warning has a stable code; its message names what is wrong and how to mend it. Values of the
//! shop are quoted only in short.

use std::fmt;

use crate::outcome::Warning;
use crate::trace::branch;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident => $code:literal,)*) => {
        /// The codes of the built-in mapping's warnings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum WarningCode {
            $($(#[$doc])* $variant,)*
        }

        impl WarningCode {
            /// Every code, in the order of the declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code as [`Warning::code`] carries it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }
        }
    };
}

codes! {
    /// The product has no title.
    MissingTitle => "missing_title",
    /// Neither description, subtitle nor title holds text.
    MissingDescription => "missing_description",
    /// No usable picture.
    MissingImage => "missing_image",
    /// No brand, which Meta lists as required.
    MissingBrand => "missing_brand",
    /// None of brand, gtin and mpn.
    MissingIdentifiers => "missing_identifiers",
    /// The title was cut at `title_max_length`.
    TitleCut => "title_cut",
    /// The description was cut at `description_max_length`.
    DescriptionCut => "description_cut",
    /// A field is longer than Meta documents.
    OverMetaLimit => "over_meta_limit",
    /// The title is written in capitals.
    TitleAllCaps => "title_all_caps",
    /// The title holds HTML, which is sent as it is.
    MarkupInTitle => "markup_in_title",
    /// The description shows an HTML tag as text.
    MarkupInDescription => "markup_in_description",
    /// The description says no more than the title.
    DescriptionEqualsTitle => "description_equals_title",
    /// The currency is no ISO 4217 code.
    UnknownCurrency => "unknown_currency",
    /// The currency's subunits are not hundredths.
    CurrencyWithoutHundredths => "currency_without_hundredths",
    /// The condition is none that Meta takes.
    UnknownCondition => "unknown_condition",
    /// The storefront base is no http(s) address.
    LinkNotAbsolute => "link_not_absolute",
    /// The path template has no placeholder.
    LinkWithoutSlug => "link_without_slug",
    /// The item has no value for a placeholder of the path template.
    LinkPlaceholderEmpty => "link_placeholder_empty",
    /// The item's own link is no http(s) address.
    OwnLinkUnusable => "own_link_unusable",
    /// The slug is a whole URL.
    SlugIsUrl => "slug_is_url",
    /// The slug has a slash.
    SlugWithSlash => "slug_with_slash",
    /// The slug is percent-encoded already.
    SlugEncoded => "slug_encoded",
    /// The slug has neither letter nor digit.
    SlugWithoutText => "slug_without_text",
    /// A host has letters beyond ASCII.
    HostNotAscii => "host_not_ascii",
    /// A text shows an HTML entity.
    EntityInText => "entity_in_text",
    /// A source of the GTIN holds no valid one.
    InvalidGtin => "invalid_gtin",
    /// The GTIN is one for use inside a shop.
    RestrictedGtin => "restricted_gtin",
    /// The special price is zero or below.
    SalePriceNotPositive => "sale_price_not_positive",
    /// The special price is not below the price.
    SalePriceNotBelowPrice => "sale_price_not_below_price",
    /// The sale ends before it starts.
    SaleWindowInverted => "sale_window_inverted",
    /// The sale is too short to be said in minutes.
    SaleWindowTooShort => "sale_window_too_short",
    /// An image reference leads to no picture that Meta could fetch.
    ImageUnusable => "image_unusable",
    /// A picture is neither JPEG nor PNG.
    ImageFormat => "image_format",
    /// A picture is a page.
    ImageIsPage => "image_is_page",
    /// More additional pictures than are sent.
    AdditionalImagesCut => "additional_images_cut",
    /// The category path is none of Google's.
    NotGoogleCategory => "not_google_category",
    /// A path of Google's taxonomy is cut.
    CategoryCut => "category_cut",
    /// An option is not sent.
    OptionNotSent => "option_not_sent",
    /// An attribute that the shop gives is none that Meta takes.
    AttributeUnusable => "attribute_unusable",
    /// The group has the id of an item.
    GroupIdIsItemId => "group_id_is_item_id",
}

impl WarningCode {
    /// The setting that would help against it, if one does.
    #[must_use]
    pub fn setting(self) -> Option<&'static str> {
        Some(match self {
            Self::TitleCut => "title_max_length",
            Self::DescriptionCut => "description_max_length",
            Self::MissingBrand | Self::MissingIdentifiers => "identifier_exists_fallback",
            Self::UnknownCurrency | Self::CurrencyWithoutHundredths => "currency",
            Self::UnknownCondition => "default_condition",
            Self::LinkNotAbsolute => "storefront_base_url",
            Self::LinkWithoutSlug | Self::LinkPlaceholderEmpty => "storefront_product_path",
            Self::CategoryCut => "category_levels",
            Self::OptionNotSent => "additional_variant_attributes",
            _ => return None,
        })
    }
}

impl fmt::Display for WarningCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Collects the warnings of one mapping, in the order they are found.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Vec<Warning>);

impl Warnings {
    /// Adds a warning.
    pub(crate) fn add(&mut self, code: WarningCode, field: Option<&'static str>, message: impl Into<String>) {
        branch!(format!("warning.{code}"));
        self.0.push(warning(code, field, message));
    }

    /// What was collected.
    pub(crate) fn into_vec(self) -> Vec<Warning> {
        self.0
    }
}

pub(crate) fn warning(code: WarningCode, field: Option<&'static str>, message: impl Into<String>) -> Warning {
    Warning { code: code.as_str().to_owned(), field: field.map(str::to_owned), message: message.into() }
}
