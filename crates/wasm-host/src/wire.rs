//! The types that cross the module boundary and are not domain structs: the Rust side of `mappers/wit/mapper.wit`.
//!
//! The domain structs of `mapper-core` cross unchanged. Field for field these must equal the WIT: wasmtime compares
//! them with the module's own types when it is loaded.

use mapper_core::{MapSettings, Product, Variant, Warning};
use wasmtime::component::{ComponentType, Lift, Lower};

use mapper_core::word::Word;

/// What a module imports.
pub(super) const HOST: &str = "catalog:mapper/host@1.0.0";
/// What a module exports.
pub const MAPPING: &str = "catalog:mapper/mapping@1.0.0";

/// `context`.
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct Context<'a> {
    pub(super) now: i64,
    pub(super) settings: Settings<'a>,
    #[component(name = "extra-json")]
    pub(super) extra_json: Option<&'a str>,
}

/// `settings`. What a later version knows besides crosses in `extra-json` ([`MapSettings::extra_json`]).
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct Settings<'a> {
    pub(super) currency: &'a str,
    #[component(name = "storefront-base-url")]
    pub(super) storefront_base_url: &'a str,
    #[component(name = "storefront-product-path")]
    pub(super) storefront_product_path: &'a str,
    #[component(name = "default-condition")]
    pub(super) default_condition: &'a str,
    #[component(name = "identifier-exists-fallback")]
    pub(super) identifier_exists_fallback: bool,
    #[component(name = "business-name")]
    pub(super) business_name: &'a str,
    #[component(name = "title-max-length")]
    pub(super) title_max_length: u32,
    #[component(name = "description-max-length")]
    pub(super) description_max_length: u32,
    #[component(name = "s3-public-url")]
    pub(super) s3_public_url: &'a str,
}

impl<'a> From<&'a MapSettings> for Settings<'a> {
    fn from(settings: &'a MapSettings) -> Self {
        Self {
            currency: &settings.currency,
            storefront_base_url: &settings.storefront_base_url,
            storefront_product_path: &settings.storefront_product_path,
            default_condition: &settings.default_condition,
            identifier_exists_fallback: settings.identifier_exists_fallback,
            business_name: &settings.business_name,
            title_max_length: settings.title_max_length,
            description_max_length: settings.description_max_length,
            s3_public_url: &settings.s3_public_url,
        }
    }
}

/// `item`, by reference: a chunk needs its own product indexes, not its own variants.
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct Item<'a> {
    #[component(name = "product-index")]
    pub(super) product_index: u32,
    pub(super) variant: &'a Variant,
}

/// The parameters of `map-items`.
pub(super) type MapItems<'a> = (Context<'a>, &'a [&'a Product], &'a [Item<'a>]);

/// `mapped-item`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(record)]
pub(super) struct MappedItem {
    pub(super) id: String,
    pub(super) data: String,
    pub(super) warnings: Vec<Warning>,
    #[component(name = "reevaluate-at")]
    pub(super) reevaluate_at: Option<i64>,
}

/// `field-change`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(record)]
pub(super) struct FieldChange {
    pub(super) name: String,
    pub(super) value: Option<String>,
}

/// `patch`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(record)]
pub(super) struct Patch {
    pub(super) changes: Vec<FieldChange>,
    pub(super) warnings: Vec<Warning>,
    #[component(name = "reevaluate-at")]
    pub(super) reevaluate_at: Option<i64>,
}

/// `rejection`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(record)]
pub(super) struct Rejection {
    pub(super) code: String,
    pub(super) field: Option<String>,
    pub(super) message: String,
}

/// `outcome`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(variant)]
pub(super) enum Outcome {
    #[component(name = "mapped")]
    Mapped(MappedItem),
    #[component(name = "patched")]
    Patched(Patch),
    #[component(name = "rejected")]
    Rejected(Rejection),
}

/// A built-in word, for a module to read.
pub(super) fn outcome(word: &Word, id: &str) -> Outcome {
    match word {
        Word::Mapped(payload) => Outcome::Mapped(MappedItem {
            id: id.to_owned(),
            data: payload.data.clone(),
            warnings: payload.warnings.clone(),
            reevaluate_at: payload.reevaluate_at,
        }),
        Word::Rejected(rejection) => Outcome::Rejected(Rejection {
            code: rejection.code.clone().into_owned(),
            field: rejection.field.clone(),
            message: rejection.message.clone(),
        }),
    }
}

/// `mapper-info`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub(super) struct MapperInfo {
    pub(super) name: String,
    pub(super) version: String,
}
