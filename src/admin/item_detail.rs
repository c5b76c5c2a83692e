//! One variant: what the shop holds, what is known of it at Meta, what the mapper makes of it, and what comes next.

use std::collections::BTreeSet;
use std::sync::Arc;

use mapper_core::{Warning, group_warning, sha256_hex};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Fault;
use super::intents::not_found;
use super::time::iso;
use crate::actors::mapper::MapRequest;
use crate::domain::clears::{Clears, clears};
use crate::domain::decision::{Decision, Now, decide};
use crate::domain::intent::{Intent, OpenIntent, fold};
use crate::domain::state::{Held, SyncStatus};
use crate::domain::word::{Payload, Word};
use crate::pipeline::Pipeline;
use crate::store::field_set::FieldSets;
use crate::store::items::{self, SourceColumns, StateColumns};
use crate::store::{StoreError, source, sync_state};

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemDetail {
    /// The variant in the shop.
    pub variant: VariantView,
    /// Its product.
    pub product: ProductView,
    /// Its stock record.
    pub inventory: Option<InventoryView>,
    /// What is known of it at Meta.
    pub sync_state: Option<StateView>,
    /// Whether it belongs into the catalog.
    pub eligibility: Eligibility,
    /// The payload as the mapper makes it now.
    #[schema(value_type = Option<Object>)]
    pub mapped_item_data: Option<Value>,
    /// What Meta or a shopper may mind.
    pub warnings: Vec<WarningView>,
    /// Fields that Meta may still hold and the next push empties.
    pub clears: Vec<String>,
    /// What the drain would do with it now.
    pub next: Next,
    /// Why the mapper has no word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapper_error: Option<String>,
}

/// What Meta or a shopper may mind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WarningView {
    /// Stable code.
    pub code: String,
    /// The field of Meta's that it is about, if one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// For people; says how to mend it.
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
    /// Units promised.
    pub reserved_quantity: i64,
    /// Whether orders are taken without stock.
    pub allow_backorder: bool,
}

/// What is known of it at Meta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateView {
    /// Sync state.
    #[schema(schema_with = super::schema::sync_status)]
    pub status: String,
    /// Its id at Meta, once sent.
    pub meta_retailer_id: Option<String>,
    /// The handle it was last part of.
    pub last_handle: Option<String>,
    /// Hash of the payload that Meta confirmed or is judging.
    pub last_pushed_hash: Option<String>,
    /// ISO 8601.
    pub last_pushed_at: Option<String>,
    /// Why it failed or was skipped.
    pub last_error: Option<String>,
    /// Failures in a row.
    pub attempts: i64,
}

/// Whether it belongs into the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Eligibility {
    /// It does.
    pub eligible: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// What the drain would do with it now, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Next {
    /// `upsert`, `delete`, `noop`, `skip`, `drop`, `wait`, or `fault` when the mapper has no word.
    pub action: &'static str,
    /// A code: an eligibility reason, or one of ours.
    pub reason: String,
}

/// Collects it.
///
/// # Errors
/// [`Fault::NotFound`] when the shop does not know the variant.
pub async fn detail(pipeline: &Pipeline, variant_id: &str) -> Result<ItemDetail, Fault> {
    let settings = pipeline.load_settings().await?;
    let mut tx = pipeline.db.read().await?;
    // In the drain's order: outbox, state, source.
    let intent = open_intent(items::open_intents(&mut tx, variant_id).await?, variant_id)?;
    let held = sync_state::load(&mut tx, &[variant_id]).await?.remove(variant_id);
    let state = items::state(&mut tx, variant_id).await?;
    let columns = items::source(&mut tx, variant_id).await?.ok_or_else(|| not_found(variant_id))?;
    let batch = source::load(&mut tx, &[variant_id]).await?;
    drop(tx);

    let unreadable = batch.unreadable.first().map(|(_, reason)| reason.clone());
    let request = MapRequest {
        mapper: pipeline.mapper.running(),
        settings: Arc::new(settings.map_settings(&pipeline.config.s3_public_url)),
        now: pipeline.now(),
        batch,
    };
    let outcome = match unreadable {
        Some(reason) => Err(reason),
        None => match pipeline.mapper.map(request).await {
            Ok(answer) => answer
                .into_iter()
                .next()
                .map_or(Err("the mapper left it out".into()), |item| item.outcome.map_err(|fault| fault.message)),
            Err(error) => Err(error.to_string()),
        },
    };
    let catalog = settings.text("catalog_id");
    let at_meta = fields_at_meta(pipeline, held.as_ref(), &catalog).await?;
    Ok(assemble(variant_id, columns, state, &Seen { outcome, held, catalog, intent, at_meta }))
}

/// What is asked for it: its open intents as one, or what a resync would ask for.
fn open_intent(rows: Vec<(i64, String, String, i64)>, variant_id: &str) -> Result<Intent, StoreError> {
    let corrupt = |column, found| StoreError::Corrupt { table: "meta_outbox", column, found };
    let rows = rows
        .into_iter()
        .map(|(seq, intent, origin, attempts)| {
            Ok(OpenIntent {
                seq,
                variant_id: variant_id.to_owned(),
                intent: intent.parse().map_err(|found| corrupt("intent", found))?,
                origin: origin.parse().map_err(|found| corrupt("origin", found))?,
                attempts,
                released: false,
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    Ok(fold(rows).first().map_or(Intent::Upsert, |folded| folded.intent))
}

/// The fields that Meta may hold of it in the selected catalog.
async fn fields_at_meta(
    pipeline: &Pipeline,
    held: Option<&Held>,
    catalog: &str,
) -> Result<BTreeSet<String>, StoreError> {
    let Some(id) = held.filter(|held| held.catalog_id.as_deref() == Some(catalog)).and_then(|h| h.fields_at_meta)
    else {
        return Ok(BTreeSet::new());
    };
    let mut sets = FieldSets::default();
    sets.load(&pipeline.db, [id]).await?;
    Ok(sets.get(Some(id)).map(|set| BTreeSet::clone(&set)).unwrap_or_default())
}

/// What the decision rests on.
struct Seen {
    outcome: Result<Word, String>,
    held: Option<Held>,
    catalog: String,
    intent: Intent,
    at_meta: BTreeSet<String>,
}

fn assemble(variant_id: &str, columns: SourceColumns, state: Option<StateColumns>, seen: &Seen) -> ItemDetail {
    let mapped = match &seen.outcome {
        Ok(Word::Mapped(mapped)) => Some(mapped),
        _ => None,
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
        eligibility: match &seen.outcome {
            Ok(Word::Mapped(_)) => Eligibility { eligible: true, reason: None },
            Ok(Word::Rejected(why)) => Eligibility { eligible: false, reason: Some(why.code.clone().into_owned()) },
            Err(_) => Eligibility { eligible: false, reason: None },
        },
        mapped_item_data: mapped.and_then(|mapped| serde_json::from_str(&mapped.data).ok()),
        warnings: warnings(mapped, &clears, group).into_iter().map(Into::into).collect(),
        clears: clears.fields.into_iter().map(|(name, _)| name).collect(),
        next: next(seen, mapped),
        mapper_error: seen.outcome.as_ref().err().cloned(),
    }
}

/// The mapper's warnings, and those that only a look at the whole can give.
fn warnings(mapped: Option<&Payload>, clears: &Clears, group: usize) -> Vec<Warning> {
    let Some(mapped) = mapped else { return Vec::new() };
    let stale = clears.stale.iter().map(|name| Warning {
        code: "stale_required_field".into(),
        field: Some(name.clone()),
        message: format!("Meta goes on showing the old {name}, since it cannot be emptied; give the product a new one"),
    });
    mapped.warnings.iter().cloned().chain(group_warning(group)).chain(stale).collect()
}

fn next(seen: &Seen, mapped: Option<&Payload>) -> Next {
    let hash = mapped.map(|mapped| sha256_hex(&mapped.data));
    let now = match (&seen.outcome, hash.as_deref()) {
        (_, Some(hash)) => Now::Eligible(hash),
        (Ok(Word::Rejected(why)), _) => Now::NotEligible(&why.code),
        // A delete needs no look at the source.
        _ if seen.intent == Intent::Delete => Now::Gone,
        _ => return Next { action: "fault", reason: "mapper_error".into() },
    };
    let held = seen.held.as_ref().filter(|held| held.catalog_id.as_deref() == Some(seen.catalog.as_str()));
    let (action, reason) = match decide(seen.intent, now, seen.held.as_ref(), &seen.catalog) {
        Decision::Upsert => ("upsert", why_upsert(held)),
        Decision::Delete => ("delete", why_not(seen.intent, now)),
        Decision::Noop if held.is_some_and(|held| held.status == SyncStatus::Submitted) => ("noop", "being_judged"),
        Decision::Noop => ("noop", "unchanged"),
        Decision::Skip(reason) => ("skip", reason),
        Decision::Drop => ("drop", "not_at_meta"),
        Decision::Wait => ("wait", "submission_open"),
    };
    Next { action, reason: reason.to_owned() }
}

fn why_upsert(held: Option<&Held>) -> &'static str {
    match held.map(|held| held.status) {
        Some(SyncStatus::Synced) => "changed",
        Some(SyncStatus::Failed) => "failed_before",
        Some(SyncStatus::Deleted) => "deleted_before",
        Some(SyncStatus::Submitted | SyncStatus::Pending | SyncStatus::Skipped) | None => "not_at_meta",
    }
}

fn why_not(intent: Intent, now: Now<'_>) -> &str {
    match (intent, now) {
        (Intent::Delete, _) => "delete_asked",
        (Intent::Upsert, Now::NotEligible(reason)) => reason,
        (Intent::Upsert, Now::Gone | Now::Eligible(_)) => "gone",
    }
}
