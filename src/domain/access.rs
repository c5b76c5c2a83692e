//! Permissions, and the roles that grant them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// `metaCatalog:view`.
    View,
    /// `metaCatalog:manage`; does not imply [`Permission::View`].
    Manage,
}

impl Permission {
    /// Its name in role tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "metaCatalog:view",
            Self::Manage => "metaCatalog:manage",
        }
    }
}

/// The permissions of a built-in role; an unknown role has none.
#[must_use]
pub fn permissions(role: &str) -> &'static [Permission] {
    match role {
        "catalog-admin" => &[Permission::View, Permission::Manage],
        "catalog-viewer" => &[Permission::View],
        _ => &[],
    }
}

/// What each role may do; a role that is not here may do nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Roles(pub BTreeMap<String, Vec<Permission>>);

impl Default for Roles {
    fn default() -> Self {
        let built_in = ["catalog-admin", "catalog-viewer"];
        Self(built_in.into_iter().map(|role| (role.to_owned(), permissions(role).to_vec())).collect())
    }
}
