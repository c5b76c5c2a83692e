//! One variant: what the shop holds, what is known of it at Meta, the mapper's word on it, and what comes next.

use std::collections::BTreeSet;
use std::sync::Arc;

use mapper_core::Warning;
use mapper_core::word::{Payload, Word};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::AdminError;
use super::intents::not_found;
use super::items::split;
use super::time::iso;
use crate::actors::mapper::MapRequest;
use crate::app::App;
use crate::domain::clears::{Clears, clears};
use crate::domain::intent::{Intent, fold};
use crate::domain::lint::Finding;
use crate::domain::plan::{Answer, Ask, EXCLUDED, Guard, plan};
use crate::domain::settings::{FeedMode, Settings};
use crate::domain::state::SyncState;
use crate::store::field_set::FieldSets;
use crate::store::items::{self, OpenIntents, SourceColumns, Standing, StateColumns};
use crate::store::{StoreError, Tx, lint, source, submission, sync_state};

/// One variant: the shop's data, its recorded state, its payload and what the drain does with it next.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemDetail {
    /// The variant in the shop.
    pub variant: VariantView,
    /// The product of the variant.
    pub product: ProductView,
    /// The stock record of the variant; null when it has none.
    pub inventory: Option<InventoryView>,
    /// What is recorded of the variant at Meta; null when nothing is recorded.
    pub sync_state: Option<StateView>,
    /// Whether the variant is eligible for the catalog.
    pub eligibility: Eligibility,
    /// The payload that the mapper makes now; null when it makes none.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    pub mapped_item_data: Option<Value>,
    /// What Meta or a shopper may object to.
    pub warnings: Vec<WarningView>,
    /// Fields that Meta may still hold and that the next push empties.
    pub clears: Vec<String>,
    /// What the drain would do with the variant now.
    pub next: Next,
    /// Why there is no word from the mapper.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mapper_error: Option<String>,
}

/// What Meta or a shopper may object to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WarningView {
    /// A stable code.
    pub code: String,
    /// The Meta field that the warning is about, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub field: Option<String>,
    /// Text for people; says how to fix it.
    pub message: String,
}

impl From<Warning> for WarningView {
    fn from(Warning { code, field, message }: Warning) -> Self {
        Self { code, field, message }
    }
}

/// The variant in the shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VariantView {
    /// The variant's id.
    pub id: String,
    /// The stock keeping unit.
    pub sku: Option<String>,
    /// The price in subunits.
    pub price: Option<i64>,
    /// The special price in subunits.
    pub special_price: Option<i64>,
    /// The image key.
    pub thumbnail: Option<String>,
}

/// The product of the variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProductView {
    /// The product's id.
    pub id: String,
    /// Empty when the product has none.
    pub title: String,
    /// Empty when the product has none.
    pub slug: String,
    /// `draft`, `active` or `archived`.
    pub status: String,
    /// `public` or `private`.
    pub visibility: String,
    /// The image key.
    pub thumbnail: Option<String>,
}

/// The stock record of the variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryView {
    /// Whether stock quantities are tracked.
    pub track_inventory: bool,
    /// Units in the warehouse.
    pub quantity_on_hand: i64,
    /// Units reserved for orders.
    pub reserved_quantity: i64,
    /// Whether orders are accepted without stock.
    pub allow_backorder: bool,
}

/// What is recorded of the variant at Meta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateView {
    /// The sync state.
    #[schema(schema_with = super::schema::sync_status)]
    pub status: String,
    /// The variant's id at Meta; null until it is sent.
    pub meta_retailer_id: Option<String>,
    /// The handle of the last submission that contained the variant.
    pub last_handle: Option<String>,
    /// Hash of the payload that Meta confirmed or is judging.
    pub last_pushed_hash: Option<String>,
    /// When the variant was last pushed, ISO 8601.
    pub last_pushed_at: Option<String>,
    /// Why the variant failed or was skipped.
    pub last_error: Option<String>,
    /// Number of consecutive failures.
    pub attempts: i64,
    /// Why it failed or was skipped, as `source:code`, the same for all variants with the same reason.
    pub cause: Option<String>,
    /// Whether an operator keeps the variant out of Meta.
    pub excluded: bool,
}

impl From<StateColumns> for StateView {
    fn from(state: StateColumns) -> Self {
        Self {
            status: state.status,
            meta_retailer_id: state.meta_retailer_id,
            last_handle: state.last_handle,
            last_pushed_hash: state.last_pushed_hash,
            last_pushed_at: state.last_pushed_at.and_then(iso),
            last_error: state.last_error,
            attempts: state.attempts,
            cause: state.cause,
            excluded: state.excluded,
        }
    }
}

/// Whether the variant is eligible for the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Eligibility {
    /// True when the variant is eligible.
    pub eligible: bool,
    /// Why the mapper rejects the variant; null otherwise.
    pub reason: Option<String>,
}

/// What the drain does with the variant next, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Next {
    /// `upsert`, `delete`, `noop`, `skip`, `drop`, `wait` (for a verdict, for the mapper, or parked until it is queued
    /// again), `hold` (the mass-delete guard) or `fault` (there is no word from the mapper).
    #[schema(schema_with = super::schema::action)]
    pub action: &'static str,
    /// A code: an eligibility reason, or a code of this service.
    pub reason: String,
}

/// Returns one variant with everything that is known of it.
///
/// # Errors
/// [`AdminError::NotFound`] when the variant is not in the source; otherwise when the database query fails.
pub async fn detail(app: &App, variant_id: &str) -> Result<ItemDetail, AdminError> {
    let settings = app.load_settings().await?;
    let mut tx = app.db.read().await?;
    // Read in the drain's order: outbox, state, source.
    let open = items::open_intents(&mut tx, variant_id).await?;
    let state = sync_state::load(&mut tx, &[variant_id]).await?.remove(variant_id);
    let state_columns = items::state(&mut tx, variant_id).await?;
    let columns = items::source(&mut tx, variant_id).await?.ok_or_else(|| not_found(variant_id))?;
    let found = found(&mut tx, variant_id, state_columns.as_ref()).await?;
    let batch = source::load(&mut tx, &[variant_id]).await?;
    drop(tx);

    let unreadable = batch.unreadable.first().map(|(_, reason)| reason.clone());
    let request = MapRequest {
        mapper: app.active.current(),
        settings: Arc::new(settings.mapper.with(&app.config.s3_public_url)),
        now: app.now(),
        batch,
    };
    let mapped = match app.mapper.map(request).await {
        Ok(answer) => answer.into_iter().next().map(|item| item.outcome),
        Err(_) => None,
    };
    let answer = match (&mapped, &unreadable) {
        (_, Some(reason)) => Answer::Unreadable(reason),
        (Some(word), None) => Answer::from(word),
        // The mapper actor is down or busy.
        (None, None) => Answer::Missing,
    };
    let at_meta = fields_at_meta(app, state.as_ref(), &settings.catalog_id).await?;
    let next = next(app, &settings, &open, answer, state.as_ref()).await?;
    Ok(assemble(variant_id, columns, state_columns, Seen { answer, at_meta, next, found }))
}

/// Returns what is recorded of a variant that the shop may no longer have; `None` when nothing is.
///
/// # Errors
/// When the database query fails.
pub async fn state(app: &App, variant_id: &str) -> Result<Option<StateView>, AdminError> {
    let mut tx = app.db.read().await?;
    Ok(items::state(&mut tx, variant_id).await?.map(Into::into))
}

/// What the drain does next: with the open intents, or, when there are none, with the intent that a resync would queue.
async fn next(
    app: &App,
    settings: &Settings,
    open: &OpenIntents,
    answer: Answer<'_>,
    state: Option<&SyncState>,
) -> Result<Next, StoreError> {
    let told = |action, reason: &str| Ok(Next { action, reason: reason.to_owned() });
    // The drain reads only windows that contain a live intent; with a live intent, it also reads the held and parked
    // ones of the variant.
    match open.standing {
        Standing::Held => return told("hold", "mass_delete_guard"),
        Standing::Parked => return told("wait", "parked"),
        Standing::Live | Standing::Nothing => {}
    }
    let folded = fold(open.rows.clone()).into_iter().next();
    let ask = folded.map_or(Ask { intent: Intent::Upsert, released: false }, |folded| Ask {
        intent: folded.intent,
        released: folded.released,
    });
    let catalog = &*settings.catalog_id;
    let mut planned = plan(ask, answer, state, Guard::Open, catalog);
    // As in the drain: the guard counts everything that is at Meta, so it is asked only where it has a say. A preview sends
    // nothing, so it does not check the guard.
    if planned.asks_the_guard(ask) && settings.feed_mode == FeedMode::Live {
        let mut tx = app.db.read().await?;
        if submission::implicit_allowance(&mut tx, catalog, app.now()).await? == 0 {
            planned = plan(ask, answer, state, Guard::Closed, catalog);
        }
    }
    told(planned.action.as_str(), &planned.reason)
}

/// The fields of the variant that Meta may hold in the selected catalog.
async fn fields_at_meta(app: &App, state: Option<&SyncState>, catalog: &str) -> Result<BTreeSet<String>, StoreError> {
    let Some(id) = state.filter(|state| state.catalog_id.as_deref() == Some(catalog)).and_then(|s| s.fields_at_meta)
    else {
        return Ok(BTreeSet::new());
    };
    let mut sets = FieldSets::default();
    sets.load(&app.db, [id]).await?;
    Ok(sets.get(Some(id)).map(|set| BTreeSet::clone(&set)).unwrap_or_default())
}

/// The warnings of the last lint pass, with some of the items that the variant was compared with.
async fn found(tx: &mut Tx, variant_id: &str, state: Option<&StateColumns>) -> Result<Vec<Warning>, StoreError> {
    let mut found = Vec::new();
    for code in state.and_then(|state| state.lint.clone()).map(split).unwrap_or_default() {
        let Some(finding) = Finding::of_code(&code) else { continue };
        found.push(finding.warning(&lint::others(tx, variant_id, finding).await?));
    }
    Ok(found)
}

/// What the view is built from.
struct Seen<'a> {
    answer: Answer<'a>,
    at_meta: BTreeSet<String>,
    next: Next,
    found: Vec<Warning>,
}

fn assemble(variant_id: &str, columns: SourceColumns, state: Option<StateColumns>, seen: Seen<'_>) -> ItemDetail {
    let is_excluded = state.as_ref().is_some_and(|state| state.excluded);
    let mapped = match seen.answer {
        Answer::Word(Word::Mapped(mapped)) if !is_excluded => Some(mapped),
        _ => None,
    };
    let mapper_error = match seen.answer {
        Answer::Fault(fault) => Some(fault.message.clone()),
        Answer::Unreadable(reason) => Some(reason.to_owned()),
        Answer::Missing => Some("the mapper returned no answer; try again".to_owned()),
        Answer::Word(_) | Answer::Gone => None,
    };
    let clears = mapped.map(|mapped| clears(&seen.at_meta, &mapped.fields)).unwrap_or_default();
    ItemDetail {
        variant: VariantView {
            id: variant_id.to_owned(),
            sku: columns.sku,
            price: columns.price,
            special_price: columns.special_price,
            thumbnail: columns.thumbnail,
        },
        product: ProductView {
            id: columns.product_id,
            title: columns.product_title.unwrap_or_default(),
            slug: columns.product_slug.unwrap_or_default(),
            status: columns.product_status.unwrap_or_default(),
            visibility: columns.product_visibility.unwrap_or_default(),
            thumbnail: columns.product_thumbnail,
        },
        inventory: columns.track_inventory.map(|track_inventory| InventoryView {
            track_inventory,
            quantity_on_hand: columns.quantity_on_hand.unwrap_or_default(),
            reserved_quantity: columns.reserved_quantity.unwrap_or_default(),
            allow_backorder: columns.allow_backorder.unwrap_or_default(),
        }),
        sync_state: state.map(Into::into),
        eligibility: match seen.answer {
            _ if is_excluded => Eligibility { eligible: false, reason: Some(EXCLUDED.into()) },
            Answer::Word(Word::Mapped(_)) => Eligibility { eligible: true, reason: None },
            Answer::Word(Word::Rejected(why)) => {
                Eligibility { eligible: false, reason: Some(why.code.clone().into_owned()) }
            }
            _ => Eligibility { eligible: false, reason: None },
        },
        mapped_item_data: mapped.and_then(|mapped| serde_json::from_str(&mapped.data).ok()),
        warnings: warnings(mapped, &clears, seen.found).into_iter().map(Into::into).collect(),
        clears: clears.fields.into_iter().map(|(name, _)| name).collect(),
        next: seen.next,
        mapper_error,
    }
}

/// The mapper's warnings, those that depend on the state at Meta, and those of the last lint pass.
fn warnings(mapped: Option<&Payload>, clears: &Clears, found: Vec<Warning>) -> Vec<Warning> {
    let Some(mapped) = mapped else { return Vec::new() };
    let stale = clears.stale.iter().map(|name| Warning {
        code: "stale_required_field".into(),
        field: Some(name.clone()),
        message: format!(
            "Meta keeps the old {name}, because this field cannot be emptied; give the product a new value"
        ),
    });
    mapped.warnings.iter().cloned().chain(stale).chain(found).collect()
}
