//! Product files of WooCommerce (CSV), as its own exporter writes them.
//!
//! Each row is a product or a variation of one, and a variation may stand anywhere in the file. So the file is read twice:
//! once to note which rows belong together (`Parts`), once product by product. A simple product is a product with one
//! variant, whose id is the product's.

mod columns;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, BufRead, Seek};

use columns::Columns;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use quick_xml::escape::unescape;
use serde_json::{Value, json};

use super::cells::{self, Wrong, record, weight, without_apostrophe};
use super::decimal::{hundredths, rounded, shown_mark};
use super::parts::Parts;
use super::table::{Names, Row, Table, invalid};
use super::{Item, Source};
use crate::domain::record::ProductRecord;
use crate::intake::import::line::{MAX_LINE_BYTES, Refusal};
use crate::report::clip;

/// The most characters of an option's value in an import line.
const LONGEST_OPTION: usize = 500;

/// A product file of WooCommerce.
#[derive(Debug)]
pub struct WooCommerce<R> {
    table: Table<R>,
    columns: Columns,
    names: Names,
    prices: Prices,
    zone: TimeZone,
    parts: Parts,
    bytes_read: u64,
}

impl<R: BufRead + Seek> WooCommerce<R> {
    /// Reads the file once, to learn which rows belong together. `names` renames columns and attributes, `decimals` is the
    /// number of decimals of the currency, and dates are of `zone`.
    ///
    /// # Errors
    /// When reading fails or the file has not the columns of a product file.
    pub fn open(input: R, names: Names, decimals: u32, zone: TimeZone) -> io::Result<Self> {
        let mut table = Table::open(input, &names)?;
        let columns = Columns::of(&table)?;
        columns.are_enough(table.is_renamed())?;
        let (parts, mark) = note(&mut table, &columns)?;
        Ok(Self { table, columns, names, prices: Prices { mark, decimals }, zone, parts, bytes_read: 0 })
    }

    /// Returns the rows of the next product. Those beyond the most bytes are left out, and the flag says so.
    fn rows(&mut self) -> io::Result<Option<(Vec<Row>, bool)>> {
        let Some(places) = self.parts.next_product() else { return Ok(None) };
        let (mut rows, mut bytes) = (Vec::new(), 0_usize);
        for place in places {
            self.table.go_to(place.at, place.line)?;
            let Some(row) = self.table.next_row()? else {
                return Err(invalid("the file changed while it was read"));
            };
            bytes = bytes.saturating_add(row.bytes).saturating_add(ROW_BYTES);
            if bytes <= MAX_LINE_BYTES {
                rows.push(row);
            }
        }
        self.bytes_read = self.bytes_read.saturating_add(bytes as u64);
        Ok(Some((rows, bytes > MAX_LINE_BYTES)))
    }

    fn read(&self, rows: &[Row], too_much: bool) -> Result<ProductRecord, Vec<Refusal>> {
        if too_much {
            let message = format!("the rows of this product have more than {MAX_LINE_BYTES} bytes");
            return Err(vec![Refusal::of_line(message)]);
        }
        let product = Product { columns: &self.columns, names: &self.names, prices: self.prices, zone: &self.zone };
        let mut wrong = Wrong::default();
        let value = product.value(rows, &mut wrong);
        wrong.into_result(|| record(value, &self.zone))
    }
}

/// What a row takes besides its cells, at least.
const ROW_BYTES: usize = 256;

impl<R: BufRead + Seek> Source for WooCommerce<R> {
    fn next_item(&mut self) -> io::Result<Option<Item>> {
        let Some((rows, too_much)) = self.rows()? else { return Ok(None) };
        let line = rows.first().map_or(0, |row| row.line);
        Ok(Some(Item { line, record: self.read(&rows, too_much) }))
    }

    fn bytes_read(&self) -> u64 {
        self.bytes_read
    }
}

/// How prices are read.
#[derive(Clone, Copy, Debug)]
struct Prices {
    /// The decimal mark of the file, if its prices show one. The exporter groups no thousands.
    mark: Option<char>,
    /// The number of decimals of the currency.
    decimals: u32,
}

impl Prices {
    fn read(self, text: &str) -> Result<i64, String> {
        match self.mark {
            Some(mark) => rounded(text, mark, self.decimals),
            None => hundredths(text, self.decimals),
        }
    }
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A product that is sold as it is.
    Simple,
    /// A product with variations.
    Variable,
    /// One variation.
    Variation,
    /// A list of other products, without a price of its own.
    Grouped,
}

impl Kind {
    /// Reads `variation, downloadable`. Types of extensions are named after those that they extend.
    fn of(text: &str) -> Self {
        let text = text.to_lowercase();
        match text.split(',').next().unwrap_or_default().trim() {
            kind if kind.contains("variation") => Self::Variation,
            kind if kind.contains("variable") => Self::Variable,
            "grouped" => Self::Grouped,
            _ => Self::Simple,
        }
    }
}

/// Notes which rows belong together, and the decimal mark. A variation names its parent by SKU, or by `id:17` when the
/// parent has none.
fn note<R: BufRead>(table: &mut Table<R>, columns: &Columns) -> io::Result<(Parts, Option<char>)> {
    let mut parts = Parts::default();
    let mut marks = BTreeSet::new();
    while let Some(row) = table.next_row()? {
        let get = |column| cell(&row.cells, column);
        let group = match Kind::of(get(columns.kind).unwrap_or_default()) {
            Kind::Variation => match get(columns.parent) {
                Some(parent) if parent.starts_with("id:") => parts.group(parent),
                Some(sku) => parts.group(&format!("sku:{}", without_apostrophe(sku))),
                None => parts.group(&format!("line:{}", row.line)),
            },
            kind => own_group(&mut parts, &row, kind, get(columns.id), get(columns.sku)),
        };
        parts.add(group, row.at, row.line);
        marks.extend([columns.regular_price, columns.sale_price].into_iter().filter_map(get).filter_map(shown_mark));
    }
    parts.noted();
    // Two marks contradict each other.
    Ok((parts, marks.first().copied().filter(|_| marks.len() == 1)))
}

/// The group of a product's own row. Only a variable product is found by its SKU, so two others with one SKU stay apart.
fn own_group(parts: &mut Parts, row: &Row, kind: Kind, id: Option<&str>, sku: Option<&str>) -> u32 {
    let name = id.map_or_else(|| format!("line:{}", row.line), |id| format!("id:{id}"));
    let Some(sku) = sku.filter(|_| kind == Kind::Variable) else { return parts.group(&name) };
    let by_sku = format!("sku:{}", without_apostrophe(sku));
    // Variations may have come before, by either name.
    let group = parts.known(&by_sku).unwrap_or_else(|| parts.group(&name));
    parts.name(&name, group);
    parts.name(&by_sku, group);
    group
}

/// Turns rows into an import line.
struct Product<'c> {
    columns: &'c Columns,
    names: &'c Names,
    prices: Prices,
    zone: &'c TimeZone,
}

impl Product<'_> {
    fn value(&self, rows: &[Row], wrong: &mut Wrong) -> Value {
        let columns = self.columns;
        let mut own: Option<(&Row, &csv::StringRecord, Kind)> = None;
        let mut variations = Vec::new();
        for row in rows {
            let cells = &row.cells;
            if let Some(refusal) = &row.wrong {
                wrong.add(row.line, "", &refusal.message);
                continue;
            }
            match Kind::of(cell(cells, columns.kind).unwrap_or_default()) {
                Kind::Variation => variations.push((row, cells)),
                kind => match own {
                    None => own = Some((row, cells, kind)),
                    Some((first, ..)) => {
                        let message =
                            format!("the same ID or SKU as the product on line {}; keep one of the two", first.line);
                        wrong.add(row.line, "ID", &message);
                    }
                },
            }
        }
        let Some((row, cells, kind)) = own else {
            for (row, cells) in variations {
                let message = match cell(cells, columns.parent) {
                    Some(parent) => format!("the file has no product {:?}; export it too", clip(parent, 60)),
                    None => "is required for a variation".into(),
                };
                wrong.add(row.line, "Parent", &message);
            }
            return Value::Null;
        };
        let variants: Vec<Value> = match kind {
            Kind::Simple => vec![self.variant(row, cells, cells, wrong)],
            // A list of other products has nothing to sell, and a product without variations neither.
            Kind::Variable | Kind::Variation | Kind::Grouped => {
                variations.into_iter().map(|(row, own)| self.variant(row, own, cells, wrong)).collect()
            }
        };
        self.product(row, cells, variants, wrong)
    }

    fn product(&self, row: &Row, cells: &csv::StringRecord, variants: Vec<Value>, wrong: &mut Wrong) -> Value {
        let columns = self.columns;
        let get = |column| cell(cells, column);
        if get(columns.id).is_none() {
            wrong.add(row.line, "ID", "is required");
        }
        let (status, is_public) = match get(columns.published) {
            None | Some("1") => ("active", true),
            // -1 is a draft, 2 waits for a review.
            Some("-1" | "2") => ("draft", true),
            Some("0") => ("active", false),
            Some(other) => {
                wrong.add(
                    row.line,
                    "Published",
                    &format!("must be 1, 0 (private), -1 (draft) or 2 (pending), got {:?}", clip(other, 40)),
                );
                ("draft", false)
            }
        };
        let short = get(columns.short_description).map(broken);
        let is_hidden = get(columns.visibility).is_some_and(|word| word.eq_ignore_ascii_case("hidden"));
        let mut images = get(columns.images).map(listed).unwrap_or_default().into_iter();
        json!({
            "id": get(columns.id),
            "title": get(columns.name).map(unescaped),
            "subtitle": short.as_ref().filter(|text| text.chars().count() <= LONGEST_OPTION),
            "description": get(columns.description).map(broken).or(short.clone()),
            "slug": get(columns.slug),
            "link": get(columns.permalink),
            "status": status,
            "visibility": if is_public && !is_hidden { "public" } else { "private" },
            "thumbnail": images.next(),
            "images": images.collect::<Vec<_>>(),
            "brand": get(columns.brands).and_then(|brands| listed(brands).into_iter().next()).map(|title| json!({"title": title})),
            "categories": get(columns.categories).map(deepest),
            "variants": variants,
        })
    }

    fn variant(&self, row: &Row, cells: &csv::StringRecord, parent: &csv::StringRecord, wrong: &mut Wrong) -> Value {
        let columns = self.columns;
        let get = |column| cell(cells, column);
        if get(columns.id).is_none() {
            wrong.add(row.line, "ID", "is required");
        }
        let mut price = |name, column| wrong.read_price(row.line, name, get(column), |text| self.prices.read(text));
        let (regular, sale) = (price("Regular price", columns.regular_price), price("Sale price", columns.sale_price));
        let starts = get(columns.sale_starts).and_then(|text| self.time(row, "Date sale price starts", text, wrong));
        let ends = get(columns.sale_ends).and_then(|text| self.time(row, "Date sale price ends", text, wrong));
        let weight = columns.weight.and_then(|(column, unit)| {
            let number = get(Some(column)).or_else(|| cell(parent, Some(column)))?;
            weight(&format!("{number} {unit}"))
        });
        let is_variation = !std::ptr::eq(cells, parent);
        let is_off = is_variation && get(columns.published).is_some_and(|word| word != "1");
        json!({
            "id": get(columns.id),
            "sku": get(columns.sku).map(without_apostrophe),
            "barcode": get(columns.gtin).map(without_apostrophe),
            "price": regular,
            "specialPrice": sale,
            "specialPriceStart": sale.and(starts),
            "specialPriceEnd": sale.and(ends),
            "thumbnail": get(columns.images).filter(|_| is_variation).and_then(|images| listed(images).into_iter().next()),
            "options": self.options(cells, parent),
            "inventory": self.inventory(row, cells, parent, wrong),
            "attributes": weight.map(|weight| json!({ "shipping_weight": weight })),
            // A variation that is switched off is not sold.
            "deletedAt": is_off.then_some(0),
        })
    }

    /// A date is left to the line, which takes it for the whole day. A time is one of the shop's clocks.
    fn time(&self, row: &Row, column: &str, text: &str, wrong: &mut Wrong) -> Option<Value> {
        let Some((date, clock)) = text.split_once([' ', 'T']) else { return Some(json!(text)) };
        // The exporter writes hours without a leading zero.
        let clock = if clock.find(':') == Some(1) { format!("0{clock}") } else { clock.to_owned() };
        let local: Option<DateTime> = format!("{date}T{clock}").parse().ok();
        let instant = local.and_then(|local| self.zone.to_timestamp(local).ok());
        if instant.is_none() {
            let message = format!("must be a date or a time such as 2026-01-31 09:00:00, got {:?}", clip(text, 40));
            wrong.add(row.line, column, &message);
        }
        Some(json!(instant?.as_millisecond()))
    }

    /// The attributes with one value, then those that the parent has for all its variations. One with several values is what
    /// the parent offers, and one without a value takes any. A long value is a text, which tells no variants apart.
    fn options(&self, cells: &csv::StringRecord, parent: &csv::StringRecord) -> Value {
        let mut options: Vec<(&str, String)> = Vec::new();
        // For a simple product both are the same row, and its attributes are known the second time.
        for (cells, (name, values)) in [cells, parent]
            .into_iter()
            .flat_map(|cells| self.columns.attributes.iter().map(move |columns| (cells, columns)))
        {
            let Some(name) = cell(cells, Some(*name)) else { continue };
            let name = self.names.get(&name.to_lowercase()).map_or(name, String::as_str);
            let values = cell(cells, Some(*values)).map(listed).unwrap_or_default();
            let [value] = &values[..] else { continue };
            if !options.iter().any(|(known, _)| *known == name) && value.chars().count() <= LONGEST_OPTION {
                options.push((name, value.clone()));
            }
        }
        options.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
    }

    fn inventory(&self, row: &Row, cells: &csv::StringRecord, parent: &csv::StringRecord, wrong: &mut Wrong) -> Value {
        let columns = self.columns;
        let get = |column| cell(cells, column);
        let word = |column| get(column).unwrap_or_default().to_lowercase();
        let stock = match get(columns.stock) {
            // The parent keeps the stock of all its variations.
            Some(stock) if stock.eq_ignore_ascii_case("parent") => cell(parent, columns.stock),
            stock => stock,
        };
        let in_stock = word(columns.in_stock);
        let takes_orders = matches!(&*word(columns.backorders), "1" | "notify") || in_stock == "backorder";
        let quantity = match stock.map(|stock| (stock, quantity(stock))) {
            None if in_stock == "0" || in_stock == "backorder" => 0,
            None => return json!({ "trackInventory": false }),
            Some((_, Some(_))) if in_stock == "0" => 0,
            Some((_, Some(quantity))) => quantity,
            Some((stock, None)) => {
                wrong.add(row.line, "Stock", &format!("must be a number of units, got {:?}", clip(stock, 40)));
                0
            }
        };
        json!({ "trackInventory": true, "quantityOnHand": quantity, "allowBackorder": takes_orders })
    }
}

/// Returns a cell as [`cells::cell`], without the apostrophe that the exporter puts before what looks like a formula.
fn cell(cells: &csv::StringRecord, column: Option<usize>) -> Option<&str> {
    let text = cells::cell(cells, column)?;
    Some(text.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '+', '-', '@'])).unwrap_or(text))
}

/// Returns a text with the line breaks that the exporter writes as `\n`.
fn broken(text: &str) -> String {
    text.replace("\\n", "\n")
}

/// Returns a title as it reads: WordPress keeps titles as HTML (`Salt &amp; Pepper`).
fn unescaped(text: &str) -> Cow<'_, str> {
    unescape(text).unwrap_or(Cow::Borrowed(text))
}

/// Reads a number of units. Shops that sell by weight or length have fractions: what is whole of them is on hand.
fn quantity(text: &str) -> Option<i64> {
    let whole = text.split(['.', ',']).next()?;
    let rest = &text[whole.len()..];
    rest.bytes().skip(1).all(|b| b.is_ascii_digit()).then_some(())?;
    whole.parse().ok()
}

/// Splits `a, b\, c` into `a` and `b, c`.
fn listed(text: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut value = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.next_if_eq(&',').is_some() => value.push(','),
            ',' => values.push(std::mem::take(&mut value)),
            other => value.push(other),
        }
    }
    values.push(value);
    values.into_iter().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()).collect()
}

/// The path with the most levels of `Clothing > Hoodies, Sale`; the first of several.
fn deepest(text: &str) -> Vec<String> {
    let mut paths: Vec<Vec<String>> =
        listed(text).iter().map(|path| path.split('>').map(|title| title.trim().to_owned()).collect()).collect();
    // The sort is stable, so the first of equals stays first.
    paths.sort_by_key(|path| std::cmp::Reverse(path.len()));
    paths.into_iter().next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
