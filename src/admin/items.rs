//! Lists: the shop's variants beside their state, and the failed ones.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::AdminError;
use super::time::iso;
use crate::app::App;
use crate::domain::record::search_key;
use crate::domain::state::SyncStatus;
use crate::store::StoreError;
use crate::store::items::{self, FailedRow, Filter, ItemRow, Stretch};

/// The status of a variant without a state row.
pub const NEVER_SYNCED: &str = "never_synced";

/// Longest text to search for, in characters.
const LONGEST_SEARCH: usize = 200;
/// Pages beyond this are refused: no reader needs them, and the cost of a page includes all pages before it.
const LAST_PAGE: u64 = 1_000_000;

/// A page asked for: numbers from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its number.
    pub number: u64,
    /// Most rows of it.
    pub limit: u64,
}

impl Page {
    /// Reads a page; notes under the parameter's name what is wrong with it.
    fn read(page: Option<&str>, limit: Option<&str>, most: u64, wrong: &mut BTreeMap<String, String>) -> Self {
        let mut number = |name: &str, text: Option<&str>, default: u64, most: u64| {
            let Some(text) = text else { return default };
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

    fn stretch(self) -> Stretch {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Stretch { offset: whole((self.number - 1).saturating_mul(self.limit)), limit: whole(self.limit) }
    }
}

/// A list with its place.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// The rows of the page.
    pub rows: Vec<T>,
    /// The page.
    pub page: Page,
    /// Rows of all pages.
    pub total: u64,
}

/// What `/items` is asked with, unread.
#[derive(Clone, Copy, Debug, Default)]
pub struct ItemsAsked<'q> {
    /// Number of the page.
    pub page: Option<&'q str>,
    /// Most rows of the page.
    pub limit: Option<&'q str>,
    /// A sync status.
    pub status: Option<&'q str>,
    /// A text to search for.
    pub search: Option<&'q str>,
    /// `true` or `false`.
    pub eligible_only: Option<&'q str>,
}

/// A variant with its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemSummary {
    /// The variant.
    pub variant_id: String,
    /// Its product.
    pub product_id: String,
    /// Empty when the product has none.
    pub product_title: String,
    /// Empty when the product has none.
    pub product_slug: String,
    /// `draft`, `active`, `archived`.
    pub product_status: String,
    /// `public`, `private`.
    pub product_visibility: String,
    /// Stock keeping unit.
    pub sku: Option<String>,
    /// In subunits.
    pub price: Option<i64>,
    /// Image key.
    pub thumbnail: Option<String>,
    /// A sync state, or `never_synced`.
    #[schema(schema_with = super::schema::item_status)]
    pub sync_status: String,
    /// Its id at Meta, once sent.
    pub meta_retailer_id: Option<String>,
    /// The last handle that contained the variant.
    pub last_handle: Option<String>,
    /// ISO 8601.
    pub last_pushed_at: Option<String>,
    /// Why it failed or was skipped.
    pub last_error: Option<String>,
    /// Number of consecutive failures.
    pub attempts: i64,
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
        }
    }
}

/// Lists variants with their state, those sent last first.
///
/// # Errors
/// [`AdminError::Invalid`] names each parameter that does not fit.
pub async fn list(app: &App, asked: ItemsAsked<'_>) -> Result<Listed<ItemSummary>, AdminError> {
    let (filter, page) = read(asked)?;
    let mut tx = app.db.read().await?;
    let (rows, total) = items::list(&mut tx, &filter, page.stretch()).await?;
    Ok(Listed { rows: rows.into_iter().map(Into::into).collect(), page, total: u64::try_from(total).unwrap_or(0) })
}

fn read(asked: ItemsAsked<'_>) -> Result<(Filter, Page), AdminError> {
    let mut wrong = BTreeMap::new();
    let page = Page::read(asked.page, asked.limit, 100, &mut wrong);
    let words: Vec<&'static str> = SyncStatus::ALL.map(SyncStatus::as_str).into_iter().chain([NEVER_SYNCED]).collect();
    let status = asked.status.and_then(|asked| {
        let known = words.iter().copied().find(|word| *word == asked);
        if known.is_none() {
            wrong.insert("status".into(), format!("takes one of {}", words.join(", ")));
        }
        known
    });
    let eligible_only = match asked.eligible_only {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            wrong.insert("eligibleOnly".into(), "takes true or false".into());
            false
        }
    };
    let search = asked.search.unwrap_or_default().trim();
    if search.chars().count() > LONGEST_SEARCH || search.contains('\0') {
        wrong.insert("search".into(), format!("takes text of at most {LONGEST_SEARCH} characters"));
    }
    if !wrong.is_empty() {
        return Err(AdminError::invalid_parts("some query parameters are not acceptable", wrong));
    }
    let contains = (!search.is_empty()).then(|| search_key(&[search]));
    Ok((Filter { status, contains, eligible_only }, page))
}

/// A variant whose last push or mapping failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedItem {
    /// The variant.
    pub variant_id: String,
    /// Its id at Meta, once sent.
    pub meta_retailer_id: Option<String>,
    /// The last handle that contained the variant.
    pub last_handle: Option<String>,
    /// Number of consecutive failures.
    pub attempts: i64,
    /// Why it failed.
    pub last_error: Option<String>,
    /// ISO 8601.
    pub last_pushed_at: Option<String>,
    /// ISO 8601.
    pub updated_at: String,
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
        }
    }
}

/// Lists failed variants, those that changed last first.
///
/// # Errors
/// [`AdminError::Invalid`] names each parameter that does not fit.
pub async fn failed(app: &App, page: Option<&str>, limit: Option<&str>) -> Result<Listed<FailedItem>, AdminError> {
    let mut wrong = BTreeMap::new();
    let page = Page::read(page, limit, 200, &mut wrong);
    if !wrong.is_empty() {
        return Err(AdminError::invalid_parts("some query parameters are not acceptable", wrong));
    }
    let (rows, total) = load_failed(app, page).await?;
    Ok(Listed { rows: rows.into_iter().map(Into::into).collect(), page, total })
}

async fn load_failed(app: &App, page: Page) -> Result<(Vec<FailedRow>, u64), StoreError> {
    let mut tx = app.db.read().await?;
    let (rows, total) = items::failed(&mut tx, page.stretch()).await?;
    Ok((rows, u64::try_from(total).unwrap_or(0)))
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
        })
        .expect("taken");
        assert_eq!(page.stretch(), Stretch { offset: 40, limit: 20 });
        let expected =
            Filter { status: Some("never_synced"), contains: Some("ärmel 50%".into()), eligible_only: true };
        assert_eq!(filter, expected);
        assert_eq!(
            read(ItemsAsked { search: Some(" "), ..ItemsAsked::default() }).expect("taken").0,
            Filter::default()
        );

        let long = "x".repeat(201);
        let Err(AdminError::Invalid { details, .. }) = read(ItemsAsked {
            page: Some("0"),
            limit: Some("101"),
            status: Some("Synced"),
            search: Some(&long),
            eligible_only: Some("1"),
        }) else {
            panic!("refused")
        };
        assert_eq!(details.keys().collect::<Vec<_>>(), ["eligibleOnly", "limit", "page", "search", "status"]);
    }
}
