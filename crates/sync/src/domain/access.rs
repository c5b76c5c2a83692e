//! Permissions, and the roles that grant them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// `metaCatalog:view`.
    View,
    /// `metaCatalog:manage`; does not imply [`Permission::View`].
    Manage,
}

impl Permission {
    /// Returns its name in role tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "metaCatalog:view",
            Self::Manage => "metaCatalog:manage",
        }
    }
}

/// Returns the permissions of a built-in role. An unknown role has none.
#[must_use]
pub fn permissions(role: &str) -> &'static [Permission] {
    match role {
        "catalog-admin" => &[Permission::View, Permission::Manage],
        "catalog-viewer" => &[Permission::View],
        _ => &[],
    }
}

/// The permissions of each role. A role that is not listed has none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Roles(pub BTreeMap<String, Vec<Permission>>);

impl Default for Roles {
    fn default() -> Self {
        let built_in = ["catalog-admin", "catalog-viewer"];
        Self(built_in.into_iter().map(|role| (role.to_owned(), permissions(role).to_vec())).collect())
    }
}
