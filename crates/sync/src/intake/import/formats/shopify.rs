//! Product files of Shopify (CSV), with the column names of old and of new exports.
//!
//! The rows of one handle are one product: the first has the product's cells, each row with option values is a variant,
//! and rows without them bring further pictures. Shopify exports no variant id; [`variant_id`] makes one.

use std::io::{self, BufRead};

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::cells::{Wrong, cell, record, weight, without_apostrophe};
use super::table::{Names, Row, Table, invalid};
use super::{Item, Source};
use crate::domain::record::derived_id;
use crate::intake::import::line::{MAX_LINE_BYTES, Refusal};

/// Columns by their names in lower case: of old exports, then of new ones.
macro_rules! columns {
    ($($field:ident = $($name:literal)|+;)*) => {
        #[derive(Debug)]
        struct Columns { $($field: Option<usize>,)* options: [(Option<usize>, Option<usize>); 3] }

        impl Columns {
            fn of<R: BufRead>(table: &Table<R>) -> io::Result<Self> {
                let option = |n: u8| io::Result::Ok((
                    table.column(&[&format!("option{n} name")])?,
                    table.column(&[&format!("option{n} value")])?,
                ));
                let options = [option(1)?, option(2)?, option(3)?];
                Ok(Self { $($field: table.column(&[$($name),+])?,)* options })
            }
        }
    };
}

columns! {
    handle = "handle" | "url handle";
    title = "title";
    body = "body (html)" | "description";
    vendor = "vendor";
    category = "product category";
    kind = "type";
    published = "published" | "published on online store";
    status = "status";
    sku = "variant sku" | "sku";
    barcode = "variant barcode" | "barcode";
    grams = "variant grams" | "weight value (grams)";
    tracker = "variant inventory tracker" | "inventory tracker";
    quantity = "variant inventory qty" | "inventory quantity";
    policy = "variant inventory policy" | "continue selling when out of stock";
    price = "variant price" | "price";
    compare_at = "variant compare at price" | "compare-at price";
    image = "image src" | "product image url";
    position = "image position";
    variant_image = "variant image" | "variant image url";
    google_category = "google shopping / google product category";
    gender = "google shopping / gender";
    age_group = "google shopping / age group";
    mpn = "google shopping / mpn" | "google shopping / manufacturer part number (mpn)";
    condition = "google shopping / condition";
    label_2 = "google shopping / custom label 2";
    label_3 = "google shopping / custom label 3";
    label_4 = "google shopping / custom label 4";
}

/// A product file of Shopify.
#[derive(Debug)]
pub struct Shopify<R> {
    table: Table<R>,
    columns: Columns,
    names: Names,
    decimals: u32,
    /// The row that ended the product before it.
    ahead: Option<Row>,
}

impl<R: BufRead> Shopify<R> {
    /// Reads the header line. `names` renames columns and options; `decimals` is the number of decimals of the currency.
    ///
    /// # Errors
    /// When reading fails or the file has not the columns of a product file.
    pub fn open(input: R, names: Names, decimals: u32) -> io::Result<Self> {
        let table = Table::open(input, &names)?;
        let columns = Columns::of(&table)?;
        for (column, name) in [
            (columns.handle, "Handle (or URL handle)"),
            (columns.title, "Title"),
            (columns.price, "Variant Price (or Price)"),
        ] {
            if column.is_none() {
                return Err(invalid(&format!(
                    "the file has no column {name}; if it has another name, say --map \"That name={}\"",
                    name.split(" (").next().unwrap_or(name)
                )));
            }
        }
        Ok(Self { table, columns, names, decimals, ahead: None })
    }

    /// Returns the rows of the next product. Those beyond the most bytes are left out, and the flag says so.
    fn rows(&mut self) -> io::Result<Option<(Vec<Row>, bool)>> {
        let Some(first) = self.ahead.take().map_or_else(|| self.table.next_row(), |row| Ok(Some(row)))? else {
            return Ok(None);
        };
        let Some(handle) = handle(&first, &self.columns) else {
            return Ok(Some((vec![first], false)));
        };
        let mut bytes = first.bytes;
        let mut rows = vec![first];
        while let Some(row) = self.table.next_row()? {
            if self::handle(&row, &self.columns).as_ref() != Some(&handle) {
                self.ahead = Some(row);
                break;
            }
            bytes = bytes.saturating_add(row.bytes).saturating_add(ROW_BYTES);
            if bytes <= MAX_LINE_BYTES {
                rows.push(row);
            }
        }
        Ok(Some((rows, bytes > MAX_LINE_BYTES)))
    }
}

/// What a row takes besides its cells, at least.
const ROW_BYTES: usize = 256;

fn handle(row: &Row, columns: &Columns) -> Option<String> {
    let handle = row.cells.get(columns.handle?)?.trim();
    (!handle.is_empty()).then(|| handle.to_owned())
}

impl<R: BufRead> Source for Shopify<R> {
    fn next_item(&mut self) -> io::Result<Option<Item>> {
        let Some((rows, too_much)) = self.rows()? else { return Ok(None) };
        let line = rows.first().map_or(0, |row| row.line);
        let record = if too_much {
            let message = format!("the rows of this handle have more than {MAX_LINE_BYTES} bytes");
            Err(vec![Refusal::of_line(message)])
        } else {
            let mut product = Product {
                columns: &self.columns,
                names: &self.names,
                decimals: self.decimals,
                wrong: Wrong::default(),
            };
            let value = product.value(&rows);
            product.wrong.into_result(|| record(value, &TimeZone::UTC))
        };
        Ok(Some(Item { line, record }))
    }

    fn bytes_read(&self) -> u64 {
        self.table.bytes_read()
    }
}

/// Turns rows into an import line.
struct Product<'c> {
    columns: &'c Columns,
    names: &'c Names,
    decimals: u32,
    wrong: Wrong,
}

impl Product<'_> {
    fn value(&mut self, rows: &[Row]) -> Value {
        let columns = self.columns;
        let mut variants = Vec::new();
        let mut images: Vec<(u64, &str)> = Vec::new();
        let mut option_names = [None; 3];
        let mut first = None;
        for row in rows {
            let cells = &row.cells;
            if let Some(refusal) = &row.wrong {
                self.wrong.add(row.line, "", &refusal.message);
                continue;
            }
            for (known, (name, _)) in option_names.iter_mut().zip(columns.options) {
                *known = known.or(cell(cells, name));
            }
            first = first.or(Some(cells));
            if let Some(image) = cell(cells, columns.image) {
                let position = cell(cells, columns.position).and_then(|text| text.parse().ok());
                images.push((position.unwrap_or(u64::MAX), image));
            }
            let has_options = columns.options.iter().any(|(_, value)| cell(cells, *value).is_some());
            if has_options || cell(cells, columns.price).is_some() || cell(cells, columns.sku).is_some() {
                variants.push((row, cells));
            }
        }
        let Some(first) = first else { return Value::Null };
        let get = |column| cell(first, column);
        let Some(handle) = get(columns.handle) else {
            if let Some(row) = rows.first() {
                self.wrong.add(row.line, "Handle", "is required");
            }
            return Value::Null;
        };
        let variants: Vec<Value> =
            variants.into_iter().map(|(row, cells)| self.variant(handle, row, cells, &option_names)).collect();
        images.sort_by_key(|(position, _)| *position);
        let mut images = images.into_iter().map(|(_, image)| image);
        let status = get(columns.status).map_or("active".into(), str::to_lowercase);
        let is_unlisted = status == "unlisted";
        let is_private = is_unlisted || get(columns.published).is_some_and(|text| text.eq_ignore_ascii_case("false"));
        let attributes: Map<String, Value> = [
            ("product_type", get(columns.kind).map(str::to_owned)),
            ("gender", get(columns.gender).map(str::to_lowercase)),
            ("age_group", get(columns.age_group).map(str::to_lowercase)),
            ("custom_label_2", get(columns.label_2).map(str::to_owned)),
            ("custom_label_3", get(columns.label_3).map(str::to_owned)),
            ("custom_label_4", get(columns.label_4).map(str::to_owned)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
        .collect();
        json!({
            "id": variant_id(handle, &[]),
            "title": get(columns.title),
            "description": get(columns.body),
            "slug": handle,
            "status": if is_unlisted { "active" } else { &status },
            "visibility": if is_private { "private" } else { "public" },
            "thumbnail": images.next(),
            "images": images.collect::<Vec<_>>(),
            "brand": get(columns.vendor).map(|title| json!({ "title": title })),
            "categories": get(columns.category).map(|path| path.split('>').map(str::trim).collect::<Vec<_>>()),
            "googleProductCategory": get(columns.google_category),
            "condition": get(columns.condition).map(str::to_lowercase),
            "attributes": attributes,
            "variants": variants,
        })
    }

    fn variant(
        &mut self,
        handle: &str,
        row: &Row,
        cells: &csv::StringRecord,
        option_names: &[Option<&str>; 3],
    ) -> Value {
        let columns = self.columns;
        let get = |column| cell(cells, column);
        let values: Vec<Option<&str>> = columns.options.iter().map(|(_, value)| get(*value)).collect();
        let is_default = matches!(values[..], [Some("Default Title"), None, None]);
        let mut options = Vec::new();
        for (name, value) in option_names.iter().zip(&values) {
            match (name, value) {
                (_, None) => {}
                _ if is_default => {}
                (Some(name), Some(value)) => {
                    let name = self.names.get(&name.to_lowercase()).map_or(*name, String::as_str);
                    options.push(json!({ "name": name, "value": value }));
                }
                (None, Some(value)) => {
                    self.wrong.add(row.line, "Option Name", &format!("is required for the value {value:?}"));
                }
            }
        }
        let values: Vec<&str> = if is_default { vec![] } else { values.into_iter().flatten().collect() };
        let price = self.wrong.price(row.line, "Variant Price", get(columns.price), self.decimals);
        let compare_at = self.wrong.price(row.line, "Variant Compare At Price", get(columns.compare_at), self.decimals);
        let (price, special) = match (price, compare_at) {
            (Some(price), Some(before)) if before > price && price > 0 => (Some(before), Some(price)),
            (price, _) => (price, None),
        };
        let barcode = get(columns.barcode).map(without_apostrophe);
        let weight = get(columns.grams).and_then(|grams| weight(&format!("{grams} g")));
        json!({
            "id": variant_id(handle, &values),
            "sku": get(columns.sku).map(without_apostrophe).or(get(columns.mpn)),
            "barcode": barcode,
            "price": price,
            "specialPrice": special,
            "thumbnail": get(columns.variant_image),
            "options": options,
            "inventory": self.inventory(row, cells),
            "attributes": weight.map(|weight| json!({ "shipping_weight": weight })),
        })
    }

    fn inventory(&mut self, row: &Row, cells: &csv::StringRecord) -> Value {
        let columns = self.columns;
        if cell(cells, columns.tracker).is_none() && columns.tracker.is_some() {
            return json!({ "trackInventory": false });
        }
        // Shopify writes no quantities when a shop has several locations: zero would take everything off sale.
        let Some(text) = cell(cells, columns.quantity) else {
            let message = "is required when the inventory is tracked; a shop with several locations exports it with its \
                           inventory, so add the column from there";
            self.wrong.add(row.line, "Variant Inventory Qty", message);
            return Value::Null;
        };
        let Ok(quantity) = text.parse::<i64>() else {
            let got = crate::report::clip(text, 40);
            self.wrong.add(row.line, "Variant Inventory Qty", &format!("must be a whole number of units, got {got:?}"));
            return Value::Null;
        };
        let goes_on = cell(cells, columns.policy)
            .is_some_and(|text| ["continue", "true"].iter().any(|word| text.eq_ignore_ascii_case(word)));
        json!({ "trackInventory": true, "quantityOnHand": quantity, "allowBackorder": goes_on })
    }
}

/// Returns the id of a variant, and without values the one of the product: the handle and its option values, `belt/Red/M`; the handle alone for a product without
/// options. It stays the same in every export until the shop renames the handle or a value. An id of more than 100
/// characters becomes 16 hex digits that depend on the same texts.
#[must_use]
pub fn variant_id(handle: &str, values: &[&str]) -> String {
    let parts: Vec<&str> = std::iter::once(handle).chain(values.iter().copied()).collect();
    let id = parts.join("/");
    if id.chars().count() > 100 { derived_id(&parts) } else { id }
}

#[cfg(test)]
mod tests;
