//! Maps the shop's own categories to those of Google, by the table in `table.tsv`.
//!
//! The built-in mapper sends the shop's own words, which Meta can make little of. Here the longest path of the table
//! that an item's categories begin with decides: `Clothing > Tops > Kurtas` is found as `Clothing > Tops`. What the
//! table lacks stays as the built-in mapper has it, with a warning that names the path to add.

use std::collections::HashMap;
use std::sync::LazyLock;

use meta_catalog_mapper::{Context, Item, Patch, mapper, patch};

mapper!(map);

const SEPARATOR: &str = " > ";

/// Google's categories by the shop's path in lower case. Read once for each batch, which costs next to nothing.
static TABLE: LazyLock<HashMap<String, &str>> = LazyLock::new(|| rows().map(|(path, to)| (key(path), to)).collect());

/// The rows of the table.
fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("table.tsv").lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'))
}

fn map(_context: &Context, item: &Item<'_>) -> Patch {
    let titles = item.product.categories.iter().map(|title| title.trim()).filter(|title| !title.is_empty());
    let path = titles.collect::<Vec<_>>().join(SEPARATOR);
    if path.is_empty() {
        return patch();
    }
    match find(&key(&path)) {
        Some(category) => patch().text("google_product_category", category),
        None => {
            let message = format!("the table has no category for “{path}”; add a row to table.tsv");
            patch().warn("category_not_in_table", "google_product_category", message)
        }
    }
}

/// The category of the longest path of the table that `path` begins with.
fn find(path: &str) -> Option<&'static str> {
    let mut head = path;
    loop {
        if let Some(category) = TABLE.get(head) {
            return Some(category);
        }
        (head, _) = head.rsplit_once(SEPARATOR)?;
    }
}

fn key(path: &str) -> String {
    path.to_lowercase()
}

#[cfg(test)]
mod tests {
    use meta_catalog_mapper::{Outcome, Product, Variant};

    use super::*;

    fn outcome(categories: &[&str]) -> Outcome {
        let categories = categories.iter().map(|title| (*title).to_owned()).collect();
        let product = Product { categories, ..Product::default() };
        map(&Context::default(), &Item::new(&product, &Variant::default())).into()
    }

    fn category(name: &str) -> Outcome {
        patch().text("google_product_category", name).into()
    }

    #[test]
    fn the_longest_path_counts() {
        assert_eq!(outcome(&["Clothing"]), category("Apparel & Accessories > Clothing"));
        assert_eq!(
            outcome(&["clothing", " ", "TOPS", "Kurtas"]),
            category("Apparel & Accessories > Clothing > Shirts & Tops")
        );
        assert_eq!(outcome(&["Clothing", "Topsy"]), category("Apparel & Accessories > Clothing"));
    }

    #[test]
    fn an_unknown_path_is_told() {
        let Outcome::Patched(patch) = outcome(&["Gifts", "Topsy"]) else { panic!("a patch") };
        assert_eq!(patch.changes, []);
        assert!(patch.warnings[0].message.contains("“Gifts > Topsy”"), "{}", patch.warnings[0].message);
        assert_eq!(outcome(&[]), meta_catalog_mapper::patch().into());
    }

    #[test]
    fn the_table_is_whole() {
        let lines = include_str!("table.tsv").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(rows().count(), lines, "each line has a tab");
        assert_eq!(TABLE.len(), lines, "no path stands twice");
        for (path, category) in rows() {
            assert_eq!((path.trim(), category.trim()), (path, category));
        }
    }
}
