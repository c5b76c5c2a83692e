//! Lists: the shop's variants with their state, and the failed variants.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::AdminError;
use super::time::iso;
use crate::app::App;
use crate::domain::reask::Named;
use crate::domain::record::search_key;
use crate::domain::state::SyncStatus;
use crate::store::items::{self, CountedBy, FailedRow, ItemRow, Stretch};
pub use crate::store::items::{Filter, Totals};

/// The status of a variant without a state row.
pub const NEVER_SYNCED: &str = "never_synced";

/// Longest search text, in characters.
const LONGEST_SEARCH: usize = 200;
/// Last page that is accepted: no operator reads that far, and each page costs as much as all pages before it.
const LAST_PAGE: u64 = 1_000_000;

/// A requested page; numbers begin with 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The page number.
    pub number: u64,
    /// Most rows of the page.
    pub limit: u64,
}

impl Page {
    /// Reads a page; records in `wrong`, under the parameter's name, what is wrong with it.
    pub(super) fn read(
        page: Option<&str>,
        limit: Option<&str>,
        most: u64,
        wrong: &mut BTreeMap<String, String>,
    ) -> Self {
        let mut number = |name: &str, text: Option<&str>, default: u64, most: u64| {
            let Some(text) = given(text) else { return default };
            match text.parse() {
                Ok(number) if (1..=most).contains(&number) => number,
                _ => {
                    wrong.insert(name.to_owned(), format!("takes a whole number from 1 to {most}"));
                    default
                }
            }
        };
        Self { number: number("page", page, 1, LAST_PAGE), limit: number("limit", limit, 50, most) }
    }

    pub(super) fn stretch(self) -> Stretch {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Stretch { offset: whole((self.number - 1).saturating_mul(self.limit)), limit: whole(self.limit) }
    }
}

/// An empty parameter counts as absent: forms send every field.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// Reads a flag; records in `wrong`, under the parameter's name, what is wrong with it.
fn flag(name: &str, text: Option<&str>, wrong: &mut BTreeMap<String, String>) -> bool {
    match given(text) {
        None | Some("false" | "0") => false,
        Some("true" | "1") => true,
        Some(_) => {
            wrong.insert(name.to_owned(), "takes true or false, 1 or 0".into());
            false
        }
    }
}

/// Reads a code; records in `wrong`, under the parameter's name, what is wrong with it.
fn word(name: &str, text: Option<&str>, wrong: &mut BTreeMap<String, String>) -> Option<String> {
    let text = given(text)?;
    if text.chars().count() > LONGEST_SEARCH || text.contains('\0') {
        wrong.insert(name.to_owned(), format!("takes text of at most {LONGEST_SEARCH} characters"));
        return None;
    }
    Some(text.to_owned())
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// The rows of the page.
    pub rows: Vec<T>,
    /// The requested page.
    pub page: Page,
    /// Number of rows on all pages.
    pub total: u64,
}

/// The query of `/items`, not yet parsed.
#[derive(Clone, Copy, Debug, Default)]
pub struct ItemsAsked<'q> {
    /// Page number.
    pub page: Option<&'q str>,
    /// Most rows of the page.
    pub limit: Option<&'q str>,
    /// A sync status.
    pub status: Option<&'q str>,
    /// A text to search for.
    pub search: Option<&'q str>,
    /// `true` or `false`.
    pub eligible_only: Option<&'q str>,
    /// The code of a warning.
    pub warning: Option<&'q str>,
    /// A cause.
    pub cause: Option<&'q str>,
    /// `true` or `false`.
    pub held: Option<&'q str>,
    /// `true` or `false`.
    pub parked: Option<&'q str>,
    /// `true` or `false`.
    pub excluded: Option<&'q str>,
    /// A variant's id.
    pub id: Option<&'q str>,
    /// A vendor's id or name.
    pub vendor: Option<&'q str>,
    /// A brand's id or title.
    pub brand: Option<&'q str>,
    /// The id or title of a category, which stands for those below it too.
    pub category: Option<&'q str>,
}

/// A variant with its sync state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemSummary {
    /// The variant's id.
    pub variant_id: String,
    /// The product's id.
    pub product_id: String,
    /// Empty when the product has none.
    pub product_title: String,
    /// Empty when the product has none.
    pub product_slug: String,
    /// `draft`, `active` or `archived`.
    pub product_status: String,
    /// `public` or `private`.
    pub product_visibility: String,
    /// The stock keeping unit.
    pub sku: Option<String>,
    /// The price in subunits.
    pub price: Option<i64>,
    /// The image key.
    pub thumbnail: Option<String>,
    /// A sync state, or `never_synced`.
    #[schema(schema_with = super::schema::item_status)]
    pub sync_status: String,
    /// The variant's id at Meta; null until it is sent.
    pub meta_retailer_id: Option<String>,
    /// The handle of the last submission that contained the variant.
    pub last_handle: Option<String>,
    /// When the variant was last pushed, ISO 8601.
    pub last_pushed_at: Option<String>,
    /// Why the variant failed or was skipped.
    pub last_error: Option<String>,
    /// Number of consecutive failures.
    pub attempts: i64,
    /// Codes of what Meta or a shopper may mind in the last payload.
    pub warnings: Vec<String>,
    /// Why the variant failed or was skipped, as `source:code`, the same for all variants with the same reason.
    pub cause: Option<String>,
    /// Whether an operator keeps the variant out of Meta.
    pub excluded: bool,
    /// Whether the shop deleted the variant or its product, or no longer has it.
    pub deleted: bool,
}

/// Splits the stored codes of the mapper's warnings and of the lint pass.
fn codes(warnings: Option<String>, lint: Option<String>) -> Vec<String> {
    let mut codes: Vec<String> = [warnings, lint].into_iter().flatten().flat_map(split).collect();
    codes.sort_unstable();
    codes
}

/// Splits stored codes.
pub(super) fn split(codes: String) -> Vec<String> {
    codes.split(',').filter(|code| !code.is_empty()).map(str::to_owned).collect()
}

impl From<ItemRow> for ItemSummary {
    fn from(row: ItemRow) -> Self {
        Self {
            variant_id: row.variant_id,
            product_id: row.product_id,
            product_title: row.title.unwrap_or_default(),
            product_slug: row.slug.unwrap_or_default(),
            product_status: row.product_status.unwrap_or_default(),
            product_visibility: row.visibility.unwrap_or_default(),
            sku: row.sku,
            price: row.price,
            thumbnail: row.thumbnail,
            sync_status: row.status.unwrap_or_else(|| NEVER_SYNCED.to_owned()),
            meta_retailer_id: row.meta_retailer_id,
            last_handle: row.last_handle,
            last_pushed_at: row.last_pushed_at.and_then(iso),
            last_error: row.last_error,
            attempts: row.attempts.unwrap_or_default(),
            warnings: codes(row.warnings, row.lint),
            cause: row.cause,
            excluded: row.excluded.unwrap_or_default(),
            deleted: row.deleted,
        }
    }
}

/// Returns the number of variants that a filter selects, as far as it is counted without a walk of the catalog.
///
/// # Errors
/// When the database query fails.
pub async fn quick_count(app: &App, filter: &Filter) -> Result<Option<i64>, AdminError> {
    let mut tx = app.db.read().await?;
    Ok(items::quick_count(&mut tx, filter).await?)
}

/// Lists variants with their state, most recently sent first.
///
/// # Errors
/// [`AdminError::Invalid`] names each parameter that is not valid.
pub async fn list(app: &App, asked: ItemsAsked<'_>) -> Result<Listed<ItemSummary>, AdminError> {
    let (mut filter, page) = read(asked)?;
    resolve(app, asked, &mut filter).await?;
    let totals = match filter.counted_by() {
        CountedBy::Everything => app.totals().await?,
        CountedBy::Eligible => app.eligible_totals().await?,
        CountedBy::Itself => Totals::default(),
    };
    let mut tx = app.db.read().await?;
    let (rows, total) = items::page(&mut tx, &filter, page.stretch(), &totals).await?;
    Ok(Listed { rows: rows.into_iter().map(Into::into).collect(), page, total: u64::try_from(total).unwrap_or(0) })
}

/// Reads what selects variants.
///
/// # Errors
/// [`AdminError::Invalid`] names each part that is not valid.
pub async fn filter(app: &App, asked: ItemsAsked<'_>) -> Result<Filter, AdminError> {
    let (mut filter, _) = read(asked)?;
    resolve(app, asked, &mut filter).await?;
    Ok(filter)
}

/// Finds what the names stand for.
async fn resolve(app: &App, asked: ItemsAsked<'_>, filter: &mut Filter) -> Result<(), AdminError> {
    let asked = [(Named::Vendor, asked.vendor), (Named::Brand, asked.brand), (Named::Category, asked.category)];
    if asked.iter().all(|(_, name)| given(*name).is_none()) {
        return Ok(());
    }
    let mut tx = app.db.read().await?;
    for (kind, name) in asked {
        let Some(name) = given(name) else { continue };
        let ids = Some(items::named(&mut tx, kind, name).await?);
        match kind {
            Named::Vendor => filter.vendors = ids,
            Named::Brand => filter.brands = ids,
            Named::Category => filter.categories = ids,
        }
    }
    Ok(())
}

pub(super) fn read(asked: ItemsAsked<'_>) -> Result<(Filter, Page), AdminError> {
    let mut wrong = BTreeMap::new();
    let page = Page::read(asked.page, asked.limit, 100, &mut wrong);
    let words: Vec<&'static str> = SyncStatus::ALL.map(SyncStatus::as_str).into_iter().chain([NEVER_SYNCED]).collect();
    let status = given(asked.status).and_then(|asked| {
        let known = words.iter().copied().find(|word| *word == asked);
        if known.is_none() {
            wrong.insert("status".into(), format!("takes one of {}", words.join(", ")));
        }
        known
    });
    let eligible_only = flag("eligibleOnly", asked.eligible_only, &mut wrong);
    let held = flag("held", asked.held, &mut wrong);
    let parked = flag("parked", asked.parked, &mut wrong);
    let excluded = flag("excluded", asked.excluded, &mut wrong).then_some(true);
    let warning = word("warning", asked.warning, &mut wrong);
    let cause = word("cause", asked.cause, &mut wrong);
    let ids = word("id", asked.id, &mut wrong).map(|id| vec![id]);
    for (name, text) in [("vendor", asked.vendor), ("brand", asked.brand), ("category", asked.category)] {
        word(name, text, &mut wrong);
    }
    let search = asked.search.unwrap_or_default().trim();
    if search.chars().count() > LONGEST_SEARCH || search.contains('\0') {
        wrong.insert("search".into(), format!("takes text of at most {LONGEST_SEARCH} characters"));
    }
    if !wrong.is_empty() {
        return Err(AdminError::invalid_parts("some query parameters are not valid", wrong));
    }
    let contains = (!search.is_empty()).then(|| search_key(&[search]));
    let filter =
        Filter { status, contains, eligible_only, warning, cause, held, parked, excluded, ids, ..Filter::default() };
    Ok((filter, page))
}

/// A variant whose last push or mapping failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedItem {
    /// The variant's id.
    pub variant_id: String,
    /// The variant's id at Meta; null until it is sent.
    pub meta_retailer_id: Option<String>,
    /// The handle of the last submission that contained the variant.
    pub last_handle: Option<String>,
    /// Number of consecutive failures.
    pub attempts: i64,
    /// Why the last push or mapping failed.
    pub last_error: Option<String>,
    /// When the variant was last pushed, ISO 8601.
    pub last_pushed_at: Option<String>,
    /// When the state last changed, ISO 8601.
    pub updated_at: String,
    /// Codes of what Meta or a shopper may mind in the last payload.
    pub warnings: Vec<String>,
    /// Why the variant failed, as `source:code`, the same for all variants with the same reason.
    pub cause: Option<String>,
}

impl From<FailedRow> for FailedItem {
    fn from(row: FailedRow) -> Self {
        Self {
            variant_id: row.variant_id,
            meta_retailer_id: row.meta_retailer_id,
            last_handle: row.last_handle,
            attempts: row.attempts,
            last_error: row.last_error,
            last_pushed_at: row.last_pushed_at.and_then(iso),
            updated_at: iso(row.updated_at).unwrap_or_default(),
            warnings: codes(row.warnings, row.lint),
            cause: row.cause,
        }
    }
}

/// Lists failed variants, most recently changed first.
///
/// # Errors
/// [`AdminError::Invalid`] names each parameter that is not valid.
pub async fn failed(
    app: &App,
    page: Option<&str>,
    limit: Option<&str>,
    cause: Option<&str>,
) -> Result<Listed<FailedItem>, AdminError> {
    let mut wrong = BTreeMap::new();
    let page = Page::read(page, limit, 200, &mut wrong);
    let cause = word("cause", cause, &mut wrong);
    if !wrong.is_empty() {
        return Err(AdminError::invalid_parts("some query parameters are not valid", wrong));
    }
    let mut tx = app.db.read().await?;
    let (rows, total) = items::failed(&mut tx, cause.as_deref(), page.stretch()).await?;
    Ok(Listed { rows: rows.into_iter().map(Into::into).collect(), page, total: u64::try_from(total).unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_or_refused_part_by_part() {
        let (filter, page) = read(ItemsAsked {
            page: Some("3"),
            limit: Some("20"),
            status: Some("never_synced"),
            search: Some("  ÄRMEL 50% "),
            eligible_only: Some("true"),
            cause: Some("meta:x"),
            parked: Some("1"),
            ..ItemsAsked::default()
        })
        .expect("taken");
        assert_eq!(page.stretch(), Stretch { offset: 40, limit: 20 });
        let expected = Filter {
            status: Some("never_synced"),
            contains: Some("ärmel 50%".into()),
            eligible_only: true,
            cause: Some("meta:x".into()),
            parked: true,
            ..Filter::default()
        };
        assert_eq!(filter, expected);
        assert_eq!(
            read(ItemsAsked { search: Some(" "), ..ItemsAsked::default() }).expect("taken").0,
            Filter::default()
        );
        let empty = Some("");
        let empty = ItemsAsked {
            page: empty,
            limit: empty,
            status: empty,
            search: empty,
            eligible_only: empty,
            warning: empty,
            cause: empty,
            held: empty,
            parked: empty,
            excluded: empty,
            id: None,
            vendor: empty,
            brand: empty,
            category: empty,
        };
        assert_eq!(read(empty).expect("taken"), read(ItemsAsked::default()).expect("taken"));
        let one = ItemsAsked { eligible_only: Some("1"), ..ItemsAsked::default() };
        assert!(read(one).expect("taken").0.eligible_only);

        let long = "x".repeat(201);
        let Err(AdminError::Invalid { details, .. }) = read(ItemsAsked {
            page: Some("0"),
            limit: Some("101"),
            status: Some("Synced"),
            search: Some(&long),
            eligible_only: Some("yes"),
            held: Some("2"),
            warning: Some(&long),
            ..ItemsAsked::default()
        }) else {
            panic!("refused")
        };
        assert_eq!(
            details.keys().collect::<Vec<_>>(),
            ["eligibleOnly", "held", "limit", "page", "search", "status", "warning"]
        );
    }
}
