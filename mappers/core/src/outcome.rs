//! What the mapper answers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The mapper's word on one variant at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The variant belongs into the catalog with this payload.
    Mapped(Mapped),
    /// The variant does not belong into the catalog.
    Rejected(EligibilityReason),
}

/// A payload with what an operator should know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The `data` object of an `items_batch` record: canonical JSON (keys sorted bytewise, no blanks).
    pub data: String,
    /// Names of the fields in `data`, sorted bytewise; an attribute that is no text carries its kind
    /// ([`crate::AttributeSpec::listed`]).
    pub fields: Vec<Cow<'static, str>>,
    /// Nothing here stops the push.
    pub warnings: Vec<Warning>,
    /// When the answer changes by time alone: the next edge of a sale window, in milliseconds.
    pub reevaluate_at: Option<i64>,
}

/// Something that Meta may mind, or a shopper would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "component",
    derive(wasmtime::component::ComponentType, wasmtime::component::Lower, wasmtime::component::Lift)
)]
#[cfg_attr(feature = "component", component(record))]
pub struct Warning {
    /// Stable snake_case code.
    pub code: String,
    /// The Meta field it is about, if one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Sentence for a person; says how to mend it.
    pub message: String,
}

/// Why a variant does not belong into the catalog. The order is the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EligibilityReason {
    /// `product.deletedAt` is set.
    ProductDeleted,
    /// `variant.deletedAt` is set.
    VariantDeleted,
    /// `product.status` is not `active`.
    ProductNotActive,
    /// `product.visibility` is not `public`.
    ProductNotPublic,
    /// The price is missing, zero or negative.
    MissingPrice,
    /// The product has no slug, so no page to link to.
    MissingStorefrontSlug,
    /// The product's prices are in another currency than the setting `currency`.
    CurrencyMismatch,
}

impl EligibilityReason {
    /// Every reason, in the order of the checks.
    pub const ALL: [Self; 7] = [
        Self::ProductDeleted,
        Self::VariantDeleted,
        Self::ProductNotActive,
        Self::ProductNotPublic,
        Self::MissingPrice,
        Self::MissingStorefrontSlug,
        Self::CurrencyMismatch,
    ];

    /// The code on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProductDeleted => "product_deleted",
            Self::VariantDeleted => "variant_deleted",
            Self::ProductNotActive => "product_not_active",
            Self::ProductNotPublic => "product_not_public",
            Self::MissingPrice => "missing_price",
            Self::MissingStorefrontSlug => "missing_storefront_slug",
            Self::CurrencyMismatch => "currency_mismatch",
        }
    }
}
