//! One variant three times: as it would be sent now, as Meta last took it, and as Meta shows it.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::AdminError;
use super::item_detail::{self, ItemDetail, Next};
use super::live::{self, LiveStatus};
use super::time::iso;
use crate::app::App;
use crate::domain::comparison::{READ_NAMES, Row, Sides, compare as compared};
use crate::store::sent_body::{self, Record};

/// One variant three times.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemComparison {
    /// What the drain does next, and why: `upsert` sends the values of `now`.
    pub next: Next,
    /// What is known of the last push.
    pub sent: SentView,
    /// What Meta says of the item as a whole; null when it was not asked.
    pub live: Option<LiveStatus>,
    /// Every field that one of the sides has, in the order of their names.
    pub rows: Vec<ComparedField>,
}

/// What is known of the last push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SentView {
    /// `body` (the call as it was made), `same` (the hash of the last push is that of what would be sent now), `delete` (the
    /// last call removed the item), `nothing` (Meta took no call with the variant), `other_catalog` (the last call was for
    /// another catalog) or `not_kept` (the body of the last call is no longer kept).
    #[schema(schema_with = super::schema::sent_source)]
    pub source: &'static str,
    /// When Meta took it, ISO 8601.
    pub at: Option<String>,
}

/// The words for where the last push is known from.
pub const SOURCES: [&str; 6] = ["body", "same", "delete", "nothing", "other_catalog", "not_kept"];

/// A field on each side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComparedField {
    /// The name under which it is sent.
    pub field: String,
    /// The name under which Meta returns it; null where it is not compared.
    pub read_as: Option<String>,
    /// What would be sent now; null when nothing would. A list has a line for each entry.
    pub now: Option<String>,
    /// What was sent last; null when nothing was, or it is not known.
    pub sent: Option<String>,
    /// What Meta shows; null when it shows nothing, or was not asked.
    pub meta: Option<String>,
    /// Whether the next push changes it.
    pub changes: bool,
    /// Whether Meta shows what was sent last, or what would be sent now where that is not known: `same`, `differs`,
    /// `not_sent` (Meta has a value that was not sent from here), `unclear` (the values cannot be compared for certain) or
    /// `not_told` (Meta was not asked, or does not return the field).
    #[schema(schema_with = super::schema::agreement)]
    pub agreement: &'static str,
}

impl From<Row> for ComparedField {
    fn from(row: Row) -> Self {
        Self {
            field: row.field,
            read_as: row.read_as.map(str::to_owned),
            now: row.now,
            sent: row.sent,
            meta: row.meta,
            changes: row.changes,
            agreement: row.agreement.as_str(),
        }
    }
}

/// Compares a variant with what was sent last and, if `live`, with what Meta shows. Meta is asked only then.
///
/// # Errors
/// [`AdminError::NotFound`] when the variant is not in the source; [`AdminError::Graph`] when the call to Meta fails.
pub async fn compare(app: &App, variant_id: &str, live: bool) -> Result<ItemComparison, AdminError> {
    let detail = item_detail::detail(app, variant_id).await?;
    compare_with(app, variant_id, detail, live).await
}

/// [`compare`] with a detail that is loaded already.
///
/// # Errors
/// As [`compare`].
pub async fn compare_with(
    app: &App,
    variant_id: &str,
    detail: ItemDetail,
    live: bool,
) -> Result<ItemComparison, AdminError> {
    let (sent, at) = last_sent(app, variant_id, &detail).await?;
    let now = detail.mapped_item_data.and_then(object);
    let (source, fields) = match sent {
        Sent::Same => ("same", now.clone()),
        Sent::Fields(fields) => ("body", Some(fields)),
        Sent::Delete => ("delete", Some(Map::new())),
        Sent::Nothing => ("nothing", None),
        Sent::OtherCatalog => ("other_catalog", None),
        Sent::NotKept => ("not_kept", None),
    };
    let asked = if live { Some(live::ask(app, variant_id, &READ_NAMES).await?) } else { None };
    let (status, meta) = asked.map(|asked| (asked.status, asked.fields)).unzip();
    let meta = meta.flatten();
    let rows = compared(Sides { now: now.as_ref(), sent: fields.as_ref(), meta: meta.as_ref() });
    Ok(ItemComparison {
        next: detail.next,
        sent: SentView { source, at },
        live: status,
        rows: rows.into_iter().map(Into::into).collect(),
    })
}

/// What is known of the last call with a variant.
enum Sent {
    Same,
    Fields(Map<String, Value>),
    Delete,
    Nothing,
    OtherCatalog,
    NotKept,
}

/// Returns what the last call said of a variant, and when Meta took it.
async fn last_sent(app: &App, variant_id: &str, detail: &ItemDetail) -> Result<(Sent, Option<String>), AdminError> {
    let catalog = app.load_settings().await?.catalog_id.clone();
    let mut tx = app.db.read().await?;
    let call = sent_body::last_call(&mut tx, variant_id).await?;
    let at = call.as_ref().and_then(|call| iso(call.submitted_at));
    // The drain compares hashes: what it would not send again is what was sent. No body has to be read for that.
    let is_same = detail.next.action == "noop";
    let body = match &call {
        Some(call) if call.catalog_id != catalog => return Ok((Sent::OtherCatalog, at)),
        _ if is_same => return Ok((Sent::Same, at)),
        Some(call) => sent_body::of(&mut tx, &call.id).await?,
        None => None,
    };
    drop(tx);
    let Some(body) = body else {
        let was_sent = detail.sync_state.as_ref().is_some_and(|state| state.last_handle.is_some());
        return Ok((if was_sent { Sent::NotKept } else { Sent::Nothing }, at));
    };
    let variant_id = variant_id.to_owned();
    // A body has up to five thousand records.
    let record = tokio::task::spawn_blocking(move || body.record(&variant_id)).await;
    let sent = match record.ok().transpose()?.flatten() {
        Some(Record::Update(fields)) => Sent::Fields(fields),
        Some(Record::Delete) => Sent::Delete,
        None => Sent::NotKept,
    };
    Ok((sent, at))
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}
