//! One variant: the shop's data, the recorded state at Meta, the mapper's payload and the next action.

use std::collections::BTreeSet;
use std::sync::Arc;

use mapper_core::word::{Payload, Word};
use mapper_core::{Warning, group_warning};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::AdminError;
use super::intents::not_found;
use super::time::iso;
use crate::actors::mapper::MapRequest;
use crate::app::App;
use crate::domain::clears::{Clears, clears};
use crate::domain::intent::{Intent, fold};
use crate::domain::plan::{Answer, Ask, Guard, plan};
use crate::domain::state::SyncState;
use crate::store::field_set::FieldSets;
use crate::store::items::{self, OpenIntents, SourceColumns, Standing, StateColumns};
use crate::store::{StoreError, source, submission, sync_state};

/// One variant with its state and payload.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemDetail {
    /// The variant in the shop.
    pub variant: VariantView,
    /// Its product.
    pub product: ProductView,
    /// Its stock record.
    pub inventory: Option<InventoryView>,
    /// The recorded state at Meta.
    pub sync_state: Option<StateView>,
    /// Whether the variant belongs in the catalog.
    pub eligibility: Eligibility,
    /// The payload that the mapper builds now.
    #[schema(value_type = Option<Object>)]
    pub mapped_item_data: Option<Value>,
    /// Possible problems with the payload for Meta or for shoppers.
    pub warnings: Vec<WarningView>,
    /// Fields that Meta may still hold and that the next push clears.
    pub clears: Vec<String>,
    /// The action that the drain would take now.
    pub next: Next,
    /// Why the mapper returned no word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapper_error: Option<String>,
}

/// A possible problem with the payload for Meta or for shoppers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WarningView {
    /// Stable code.
    pub code: String,
    /// The Meta field concerned, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Human-readable message; says how to fix the problem.
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
    /// Its id.
    pub id: String,
    /// Stock keeping unit.
    pub sku: Option<String>,
    /// In subunits.
    pub price: Option<i64>,
    /// In subunits.
    pub special_price: Option<i64>,
    /// Image key.
    pub thumbnail: Option<String>,
}

/// Its product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProductView {
    /// Its id.
    pub id: String,
    /// Empty when it has none.
    pub title: String,
    /// Empty when it has none.
    pub slug: String,
    /// `draft`, `active`, `archived`.
    pub status: String,
    /// `public`, `private`.
    pub visibility: String,
    /// Image key.
    pub thumbnail: Option<String>,
}

/// Its stock record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryView {
    /// Whether quantities count.
    pub track_inventory: bool,
    /// Units in the warehouse.
    pub quantity_on_hand: i64,
    /// Reserved units.
    pub reserved_quantity: i64,
    /// Whether orders are taken without stock.
    pub allow_backorder: bool,
}

/// The recorded state of a variant at Meta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateView {
    /// Sync state.
    #[schema(schema_with = super::schema::sync_status)]
    pub status: String,
    /// Its id at Meta, once sent.
    pub meta_retailer_id: Option<String>,
    /// The last handle that contained the variant.
    pub last_handle: Option<String>,
    /// Hash of the payload that Meta confirmed or is judging.
    pub last_pushed_hash: Option<String>,
    /// ISO 8601.
    pub last_pushed_at: Option<String>,
    /// Why it failed or was skipped.
    pub last_error: Option<String>,
    /// Number of consecutive failures.
    pub attempts: i64,
}

/// Whether the variant belongs in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Eligibility {
    /// `true` when the variant is eligible.
    pub eligible: bool,
    /// Why the variant is not eligible.
    pub reason: Option<String>,
}

/// The next action of the drain, and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Next {
    /// `upsert`, `delete`, `noop`, `skip`, `drop`, `wait` (for a verdict, or for the mapper), `hold` (the mass-delete
    /// guard) or `fault` (the mapper returned no word).
    pub action: &'static str,
    /// A code: an eligibility reason, or a reason of this service.
    pub reason: String,
}

/// Returns the detail view of a variant.
///
/// # Errors
/// [`AdminError::NotFound`] when the shop does not know the variant.
pub async fn detail(app: &App, variant_id: &str) -> Result<ItemDetail, AdminError> {
    let settings = app.load_settings().await?;
    let mut tx = app.db.read().await?;
    // In the drain's order: outbox, state, source.
    let open = items::open_intents(&mut tx, variant_id).await?;
    let state = sync_state::load(&mut tx, &[variant_id]).await?.remove(variant_id);
    let state_columns = items::state(&mut tx, variant_id).await?;
    let columns = items::source(&mut tx, variant_id).await?.ok_or_else(|| not_found(variant_id))?;
    let batch = source::load(&mut tx, &[variant_id]).await?;
    let guard = match submission::implicit_allowance(&mut tx, &settings.catalog_id, app.now()).await? {
        0 => Guard::Closed,
        _ => Guard::Open,
    };
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
        // The actor is down or busy.
        (None, None) => Answer::Missing,
    };
    let at_meta = fields_at_meta(app, state.as_ref(), &settings.catalog_id).await?;
    let next = next(&open, answer, state.as_ref(), guard, &settings.catalog_id);
    Ok(assemble(variant_id, columns, state_columns, Seen { answer, at_meta, next }))
}

/// What the drain does next: with what is open, or, when nothing is, with what a resync would ask for.
fn next(open: &OpenIntents, answer: Answer<'_>, state: Option<&SyncState>, guard: Guard, catalog: &str) -> Next {
    let told = |action, reason: &str| Next { action, reason: reason.to_owned() };
    // The drain reads only windows with something live; with it, it reads what is held or parked as well.
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
    let plan = plan(ask, answer, state, guard, catalog);
    told(plan.action.as_str(), &plan.reason)
}

/// The fields that Meta may hold of it in the selected catalog.
async fn fields_at_meta(app: &App, state: Option<&SyncState>, catalog: &str) -> Result<BTreeSet<String>, StoreError> {
    let Some(id) = state.filter(|state| state.catalog_id.as_deref() == Some(catalog)).and_then(|s| s.fields_at_meta)
    else {
        return Ok(BTreeSet::new());
    };
    let mut sets = FieldSets::default();
    sets.load(&app.db, [id]).await?;
    Ok(sets.get(Some(id)).map(|set| BTreeSet::clone(&set)).unwrap_or_default())
}

/// The inputs of the view.
struct Seen<'a> {
    answer: Answer<'a>,
    at_meta: BTreeSet<String>,
    next: Next,
}

fn assemble(variant_id: &str, columns: SourceColumns, state: Option<StateColumns>, seen: Seen<'_>) -> ItemDetail {
    let mapped = match seen.answer {
        Answer::Word(Word::Mapped(mapped)) => Some(mapped),
        _ => None,
    };
    let mapper_error = match seen.answer {
        Answer::Fault(fault) => Some(fault.message.clone()),
        Answer::Unreadable(reason) => Some(reason.to_owned()),
        Answer::Missing => Some("the mapper did not answer; try again".to_owned()),
        Answer::Word(_) | Answer::Gone => None,
    };
    let clears = mapped.map(|mapped| clears(&seen.at_meta, &mapped.fields)).unwrap_or_default();
    let group = usize::try_from(columns.group_size).unwrap_or(0);
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
        sync_state: state.map(|state| StateView {
            status: state.status,
            meta_retailer_id: state.meta_retailer_id,
            last_handle: state.last_handle,
            last_pushed_hash: state.last_pushed_hash,
            last_pushed_at: state.last_pushed_at.and_then(iso),
            last_error: state.last_error,
            attempts: state.attempts,
        }),
        eligibility: match seen.answer {
            Answer::Word(Word::Mapped(_)) => Eligibility { eligible: true, reason: None },
            Answer::Word(Word::Rejected(why)) => {
                Eligibility { eligible: false, reason: Some(why.code.clone().into_owned()) }
            }
            _ => Eligibility { eligible: false, reason: None },
        },
        mapped_item_data: mapped.and_then(|mapped| serde_json::from_str(&mapped.data).ok()),
        warnings: warnings(mapped, &clears, group).into_iter().map(Into::into).collect(),
        clears: clears.fields.into_iter().map(|(name, _)| name).collect(),
        next: seen.next,
        mapper_error,
    }
}

/// Returns the mapper's warnings and those that need more than one payload.
fn warnings(mapped: Option<&Payload>, clears: &Clears, group: usize) -> Vec<Warning> {
    let Some(mapped) = mapped else { return Vec::new() };
    let stale = clears.stale.iter().map(|name| Warning {
        code: "stale_required_field".into(),
        field: Some(name.clone()),
        message: format!(
            "Meta keeps showing the old {name}, because this field cannot be cleared; give the product a new one"
        ),
    });
    mapped.warnings.iter().cloned().chain(group_warning(group)).chain(stale).collect()
}
