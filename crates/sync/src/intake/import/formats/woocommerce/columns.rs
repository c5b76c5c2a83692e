//! The columns of WooCommerce's product file, and which of them must be there.

use std::io::{self, BufRead};

use crate::intake::import::formats::table::{Table, invalid};

macro_rules! columns {
    ($($field:ident = $($name:literal)|+;)*) => {
        #[derive(Debug)]
        pub(super) struct Columns {
            $(pub(super) $field: Option<usize>,)*
            /// The column of the weight with its unit.
            pub(super) weight: Option<(usize, &'static str)>,
            /// Name and value of each attribute.
            pub(super) attributes: Vec<(usize, usize)>,
        }

        impl Columns {
            pub(super) fn of<R: BufRead>(table: &Table<R>) -> io::Result<Self> {
                let mut weight = None;
                for unit in ["kg", "g", "lbs", "oz"] {
                    weight = weight.or(table.column(&[&format!("weight ({unit})")])?.map(|column| (column, unit)));
                }
                let mut attributes = Vec::new();
                for n in 1..=MAX_ATTRIBUTES {
                    let name = table.column(&[&format!("attribute {n} name")])?;
                    let values = table.column(&[&format!("attribute {n} value(s)")])?;
                    attributes.extend(name.zip(values));
                }
                Ok(Self { $($field: table.column(&[$($name),+])?,)* weight, attributes })
            }
        }
    };
}

columns! {
    id = "id";
    kind = "type";
    sku = "sku";
    gtin = "gtin, upc, ean, or isbn" | "gtin" | "ean";
    name = "name";
    published = "published";
    visibility = "visibility in catalog";
    short_description = "short description";
    description = "description";
    sale_starts = "date sale price starts";
    sale_ends = "date sale price ends";
    in_stock = "in stock?";
    stock = "stock";
    backorders = "backorders allowed?";
    sale_price = "sale price";
    regular_price = "regular price";
    categories = "categories";
    images = "images";
    parent = "parent";
    brands = "brands";
    slug = "slug";
    permalink = "permalink";
}

/// WooCommerce numbers them without a limit.
const MAX_ATTRIBUTES: usize = 200;

impl Columns {
    /// Refuses a file without the columns that tell what is on sale: a product must not be public, in stock or at full
    /// price because its column has another name.
    pub(super) fn are_enough(&self, is_renamed: bool) -> io::Result<()> {
        let is_stock_missing = self.in_stock.is_none() && self.stock.is_none();
        let missing: Vec<&str> = [
            ("ID", self.id.is_none()),
            ("Type", self.kind.is_none()),
            ("Name", self.name.is_none()),
            ("Published", self.published.is_none()),
            ("In stock?", is_stock_missing || is_renamed && self.in_stock.is_none()),
            ("Stock", is_stock_missing || is_renamed && self.stock.is_none()),
            ("Regular price", self.regular_price.is_none()),
            // What the operator does not rename of a file in another language is not found, and is not left out.
            ("Sale price", is_renamed && self.sale_price.is_none()),
            ("Images", is_renamed && self.images.is_none()),
            ("Parent", is_renamed && self.parent.is_none()),
        ]
        .into_iter()
        .filter_map(|(name, is_missing)| is_missing.then_some(name))
        .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(invalid(&format!(
            "the file has no column {}; export all columns with English as the language of your profile, or name each \
             with --map \"Its name={}\"",
            missing.join(", "),
            missing[0]
        )))
    }
}
