//! The shop's variants with their state at Meta.

mod count;
mod filtered;
mod lead;
mod totals;
mod unfiltered;
pub mod walk;

pub use count::{count, quick_count};
pub use totals::{Totals, eligible_totals, totals};

use super::{Result, StoreError, Tx, fetch_all, fetch_one, fetch_optional, list};
use crate::domain::intent::OpenIntent;
use crate::domain::reask::Named;

/// Returns those of the variants that neither the source nor the sync state has.
///
/// # Errors
/// When the database query fails.
pub async fn unknown(tx: &mut Tx, variants: &[String]) -> Result<Vec<String>> {
    let unknown: Vec<(String,)> = fetch_all!(
        tx,
        (String,),
        "SELECT id FROM @ids($1) AS asked
         WHERE NOT EXISTS (SELECT 1 FROM variant_index i WHERE i.variant_id = asked.id)
           AND NOT EXISTS (SELECT 1 FROM meta_sync_state s WHERE s.variant_id = asked.id)",
        list::ids(variants)
    )?;
    Ok(unknown.into_iter().map(|(id,)| id).collect())
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Rows before the page.
    pub offset: i64,
    /// The largest number of rows of the page.
    pub limit: i64,
}

/// The variants to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// A word of the sync state, or `never_synced` for variants without a row.
    pub status: Option<&'static str>,
    /// Folded text that id, sku, title or slug must contain.
    pub contains: Option<String>,
    /// Only variants that are not deleted and whose product is active, public and not deleted.
    pub eligible_only: bool,
    /// The code of a warning about the last payload.
    pub warning: Option<String>,
    /// A cause ([`crate::domain::cause`]).
    pub cause: Option<String>,
    /// Only variants with a delete that the mass-delete guard holds.
    pub held: bool,
    /// Only variants with an intent that is parked.
    pub parked: bool,
    /// Only variants that an operator keeps out, or only those that no operator keeps out. [`page`] does not know the latter.
    pub excluded: Option<bool>,
    /// Only variants of these vendors.
    pub vendors: Option<Vec<String>>,
    /// Only variants of these brands.
    pub brands: Option<Vec<String>>,
    /// Only variants of these categories.
    pub categories: Option<Vec<String>>,
    /// Only these variants. [`page`] does not know it.
    pub ids: Option<Vec<String>>,
}

impl Filter {
    /// Whether it selects by the status and eligibility alone, or nothing.
    fn is_plain(&self) -> bool {
        *self == Self { status: self.status, eligible_only: self.eligible_only, ..Self::default() }
    }

    /// Whether it selects everything, or everything in a state.
    #[must_use]
    pub fn is_by_state(&self) -> bool {
        self.is_plain() && !self.eligible_only
    }

    /// Returns the numbers that [`page`] needs.
    #[must_use]
    pub fn counted_by(&self) -> CountedBy {
        match self.is_plain() {
            true if self.eligible_only => CountedBy::Eligible,
            true => CountedBy::Everything,
            // Only a search looks for variants that the shop no longer has.
            false if self.contains.is_some() => CountedBy::Everything,
            false => CountedBy::Itself,
        }
    }
}

/// The numbers that a list needs besides its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedBy {
    /// Those of [`totals()`].
    Everything,
    /// Those of [`eligible_totals`].
    Eligible,
    /// None.
    Itself,
}

/// A variant with its state.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ItemRow {
    /// The variant.
    pub variant_id: String,
    /// Its product.
    pub product_id: String,
    /// Its product's title.
    pub title: Option<String>,
    /// Its product's slug.
    pub slug: Option<String>,
    /// Its product's status.
    pub product_status: Option<String>,
    /// Its product's visibility.
    pub visibility: Option<String>,
    /// Stock keeping unit.
    pub sku: Option<String>,
    /// Price in subunits.
    pub price: Option<i64>,
    /// Image key.
    pub thumbnail: Option<String>,
    /// Sync state. `None` without a row.
    pub status: Option<String>,
    /// Its id at Meta.
    pub meta_retailer_id: Option<String>,
    /// The last handle that it was part of.
    pub last_handle: Option<String>,
    /// When it was last sent.
    pub last_pushed_at: Option<i64>,
    /// Why it failed or was skipped.
    pub last_error: Option<String>,
    /// Failures in a row.
    pub attempts: Option<i64>,
    /// Codes of the warnings about the last payload, separated by commas.
    pub warnings: Option<String>,
    /// Codes of what was found by comparing it with other variants, separated by commas.
    pub lint: Option<String>,
    /// Why it failed or was skipped.
    pub cause: Option<String>,
    /// Whether an operator keeps it out. `None` without a row.
    pub excluded: Option<bool>,
    /// Whether the shop deleted it or its product, or no longer has it.
    pub deleted: bool,
}

/// Returns a page of variants, those sent last first, those never sent by id, and the total number. `totals` are those of
/// [`Filter::counted_by`]; the numbers of a plain filter are taken from them.
///
/// # Errors
/// When the database query fails.
pub async fn page(tx: &mut Tx, filter: &Filter, stretch: Stretch, totals: &Totals) -> Result<(Vec<ItemRow>, i64)> {
    if filter.is_plain() {
        return Ok((unfiltered::page(tx, filter, stretch, totals).await?, totals.of(filter.status)));
    }
    filtered::page(tx, filter, stretch, totals.gone > 0).await
}

/// Returns the ids of what has this id, or this name in any case: of a category also those below it. The id itself is
/// among them, since a shop may keep the names elsewhere.
///
/// # Errors
/// When the database query fails.
pub async fn named(tx: &mut Tx, kind: Named, text: &str) -> Result<Vec<String>> {
    let found: Result<Vec<(String,)>> = match kind {
        Named::Vendor => fetch_all!(
            tx,
            (String,),
            "SELECT $1 UNION SELECT id FROM vendor WHERE name = $1 OR lower(name) = lower($1) ORDER BY 1 LIMIT 1000",
            text
        ),
        Named::Brand => fetch_all!(
            tx,
            (String,),
            "SELECT $1 UNION SELECT id FROM brand WHERE title = $1 OR lower(title) = lower($1) ORDER BY 1 LIMIT 1000",
            text
        ),
        Named::Category => fetch_all!(
            tx,
            (String,),
            "WITH RECURSIVE below (id) AS (
                 SELECT $1 UNION SELECT id FROM category WHERE title = $1 OR lower(title) = lower($1)),
             trail (id) AS (
                 SELECT id FROM below UNION SELECT c.id FROM category c JOIN trail ON c.parent_id = trail.id)
             SELECT id FROM trail ORDER BY 1 LIMIT 10000",
            text
        ),
    };
    Ok(found?.into_iter().map(|(id,)| id).collect())
}

/// A variant whose last push or mapping failed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct FailedRow {
    /// The variant.
    pub variant_id: String,
    /// Its id at Meta.
    pub meta_retailer_id: Option<String>,
    /// The last handle that it was part of.
    pub last_handle: Option<String>,
    /// Failures in a row.
    pub attempts: i64,
    /// Why it failed.
    pub last_error: Option<String>,
    /// When it was last sent.
    pub last_pushed_at: Option<i64>,
    /// When the row last changed.
    pub updated_at: i64,
    /// Codes of the warnings about the last payload, separated by commas.
    pub warnings: Option<String>,
    /// Codes of what was found by comparing it with other variants, separated by commas.
    pub lint: Option<String>,
    /// Why it failed, to group by.
    pub cause: Option<String>,
}

/// Returns a page of failed variants, those changed last first, and the total number. `cause` selects one cause.
///
/// # Errors
/// When the database query fails.
pub async fn failed(tx: &mut Tx, cause: Option<&str>, stretch: Stretch) -> Result<(Vec<FailedRow>, i64)> {
    let rows: Vec<FailedRow> = fetch_all!(
        tx,
        FailedRow,
        "SELECT variant_id, meta_retailer_id, last_handle, attempts, last_error, last_pushed_at, updated_at, warnings,
             lint, cause
         FROM meta_sync_state WHERE idle = 'failed' AND (CAST($3 AS TEXT) IS NULL OR cause = $3)
         ORDER BY issue_at DESC, variant_id LIMIT $1 OFFSET $2",
        stretch.limit,
        stretch.offset,
        cause
    )?;
    let (total,): (i64,) = fetch_one!(
        tx,
        (i64,),
        "SELECT COUNT(*) FROM meta_sync_state WHERE idle = 'failed' AND (CAST($1 AS TEXT) IS NULL OR cause = $1)",
        cause
    )?;
    Ok((rows, total))
}

/// The plain columns of a variant in the source. They are readable even when a list in the row is not.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct SourceColumns {
    /// Its product.
    pub product_id: String,
    /// Stock keeping unit.
    pub sku: Option<String>,
    /// Price in subunits.
    pub price: Option<i64>,
    /// Sale price in subunits.
    pub special_price: Option<i64>,
    /// Image key.
    pub thumbnail: Option<String>,
    /// Product title.
    pub product_title: Option<String>,
    /// Product slug.
    pub product_slug: Option<String>,
    /// Product status.
    pub product_status: Option<String>,
    /// Product visibility.
    pub product_visibility: Option<String>,
    /// Product image key.
    pub product_thumbnail: Option<String>,
    /// Whether quantities count. `None` without a stock record.
    pub track_inventory: Option<bool>,
    /// Units in the warehouse.
    pub quantity_on_hand: Option<i64>,
    /// Reserved units.
    pub reserved_quantity: Option<i64>,
    /// Whether orders are accepted without stock.
    pub allow_backorder: Option<bool>,
}

/// Returns a variant of the source.
///
/// # Errors
/// When the database query fails.
pub async fn source(tx: &mut Tx, variant_id: &str) -> Result<Option<SourceColumns>> {
    fetch_optional!(
        tx,
        SourceColumns,
        "SELECT v.product_id, v.sku, v.price, v.special_price, v.thumbnail, v.product_title, v.product_slug,
             v.product_status, v.product_visibility, v.product_thumbnail, v.track_inventory, v.quantity_on_hand,
             v.reserved_quantity, v.allow_backorder
         FROM variant_source v WHERE v.variant_id = $1",
        variant_id
    )
}

/// The state of a variant, as operators see it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct StateColumns {
    /// Sync state.
    pub status: String,
    /// Its id at Meta.
    pub meta_retailer_id: Option<String>,
    /// The last handle that it was part of.
    pub last_handle: Option<String>,
    /// Hash of the payload that Meta confirmed or is processing.
    pub last_pushed_hash: Option<String>,
    /// When it was last sent.
    pub last_pushed_at: Option<i64>,
    /// Why it failed or was skipped.
    pub last_error: Option<String>,
    /// Failures in a row.
    pub attempts: i64,
    /// Why it failed or was skipped, to group by.
    pub cause: Option<String>,
    /// Whether an operator keeps it out.
    pub excluded: bool,
    /// Codes of what was found by comparing it with other variants, separated by commas.
    pub lint: Option<String>,
}

/// Returns the state of a variant, or `None`.
///
/// # Errors
/// When the database query fails.
pub async fn state(tx: &mut Tx, variant_id: &str) -> Result<Option<StateColumns>> {
    fetch_optional!(
        tx,
        StateColumns,
        "SELECT status, meta_retailer_id, last_handle, last_pushed_hash, last_pushed_at, last_error, attempts, cause,
             excluded, lint
         FROM meta_sync_state WHERE variant_id = $1",
        variant_id
    )
}

/// The open intents of a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIntents {
    /// All of them, in order of arrival.
    pub rows: Vec<OpenIntent>,
    /// Whether the drain reads them.
    pub standing: Standing,
}

/// Whether the drain reads a variant's open intents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No intent is open.
    Nothing,
    /// At least one is live, so the drain reads all of them.
    Live,
    /// The mass-delete guard holds them.
    Held,
    /// They are parked after too many faults.
    Parked,
}

/// Returns the open intents of a variant.
///
/// # Errors
/// When the database query fails, or the database holds a word that this version does not know.
pub async fn open_intents(tx: &mut Tx, variant_id: &str) -> Result<OpenIntents> {
    let corrupt = |column, found| StoreError::Corrupt { table: "meta_outbox", column, found };
    let rows: Vec<(i64, String, String, i64, bool, bool, bool)> = fetch_all!(
        tx,
        (i64, String, String, i64, bool, bool, bool),
        "SELECT seq, intent, origin, attempts, released_at IS NOT NULL, held_at IS NOT NULL, parked_at IS NOT NULL
         FROM meta_outbox WHERE variant_id = $1 AND processed_at IS NULL ORDER BY seq",
        variant_id
    )?;
    let standing = match () {
        () if rows.is_empty() => Standing::Nothing,
        () if rows.iter().any(|(.., held, parked)| !held && !parked) => Standing::Live,
        () if rows.iter().any(|(.., held, _)| *held) => Standing::Held,
        () => Standing::Parked,
    };
    let open = rows.into_iter().map(|(seq, intent, origin, attempts, released, _, _)| {
        Ok(OpenIntent {
            seq,
            variant_id: variant_id.to_owned(),
            intent: intent.parse().map_err(|found| corrupt("intent", found))?,
            origin: origin.parse().map_err(|found| corrupt("origin", found))?,
            attempts,
            released,
        })
    });
    Ok(OpenIntents { rows: open.collect::<Result<_>>()?, standing })
}
