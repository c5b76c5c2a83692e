//! What else the shop knows: reading `extra_json`.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{Context, Product, Variant, json};

/// The value is there, but it is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraError {
    name: String,
    detail: String,
}

impl fmt::Display for ExtraError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "extra.{}: {}", self.name, self.detail)
    }
}

impl std::error::Error for ExtraError {}

fn read<T: DeserializeOwned>(extra_json: Option<&str>, name: &str) -> Result<Option<T>, ExtraError> {
    let Some(object) = extra_json else {
        return Ok(None);
    };
    json::field(object, name).map_err(|error| ExtraError { name: name.into(), detail: error.to_string() })
}

macro_rules! extra_of {
    ($type:ident, $what:literal) => {
        impl $type {
            #[doc = concat!("A field of ", $what, "; none if it is missing, null or of another type.")]
            ///
            /// ```
            #[doc = concat!("use meta_catalog_mapper::", stringify!($type), ";")]
            ///
            #[doc = concat!("let extra_json = Some(r#\"{\"cost\":1234}\"#.to_owned());")]
            #[doc = concat!("let it = ", stringify!($type), " { extra_json, ..", stringify!($type), "::default() };")]
            /// assert_eq!(it.extra::<i64>("cost"), Some(1234));
            /// assert_eq!(it.extra::<String>("cost"), None);
            /// assert_eq!(it.extra::<i64>("weight"), None);
            /// ```
            #[must_use]
            pub fn extra<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
                self.try_extra(name).ok().flatten()
            }

            #[doc = concat!("A field of ", $what, "; none if it is missing or null.")]
            ///
            /// # Errors
            /// When the field has another type; the text says where.
            pub fn try_extra<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ExtraError> {
                read(self.extra_json.as_deref(), name)
            }
        }
    };
}

extra_of!(Product, "what else the shop knows of the product");
extra_of!(Variant, "what else the shop knows of the variant, such as its cost");
extra_of!(Context, "what later versions of the service may tell");
