//! `POST /{catalog}/items_batch`: the only call that changes items.
//!
//! Purpose: write the body row by row without a second copy, send it, and parse what Meta accepted.
//! Promises: the body never grows past [`MAX_ROWS`] or [`MAX_BYTES`]; a row that does not fit leaves it unchanged.
//! Left out on purpose: `CREATE` (an UPDATE with `allow_upsert` creates) and any choice of what to send.

use serde::Deserialize;
use serde_json::Value;

use super::Caller;
use super::call::Call;
use super::error::{FailureKind, GraphFailure};
use super::tolerant;
use super::transport::GraphClient;
use super::usage::Usage;
use super::words;

/// The most records that Meta accepts in a call.
pub const MAX_ROWS: usize = 5_000;

/// The largest body, in bytes. Meta's limit is 28 MB; the difference is a margin for anything Meta counts in addition.
pub const MAX_BYTES: usize = 27_500_000;

const HEAD: &[u8] = br#"{"item_type":"PRODUCT_ITEM","allow_upsert":true,"requests":["#;
const TAIL: &[u8] = b"]}";

/// How a field is cleared. UPDATE is partial: a field that is left out keeps its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClearValue {
    /// Send `""`.
    Text,
    /// Send `[]`.
    List,
    /// Send a word that means the same as none.
    Word(&'static str),
}

/// Why a row was not added to a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushRefused {
    /// The body is full; the row fits into another one.
    #[error("the batch is full")]
    Full,
    /// The row is too large for any body.
    #[error("the row alone is larger than a whole batch may be ({MAX_BYTES} bytes)")]
    RowTooLarge,
    /// The data is not the text of a JSON object.
    #[error("the row's data is not a JSON object")]
    NotAnObject,
}

/// The body of a call, written row by row.
#[derive(Clone, PartialEq, Eq)]
pub struct ItemsBatchBody {
    bytes: Vec<u8>,
    rows: usize,
}

impl Default for ItemsBatchBody {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for ItemsBatchBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ItemsBatchBody").field("rows", &self.rows).field("bytes", &self.bytes()).finish()
    }
}

impl ItemsBatchBody {
    /// Returns an empty body.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: HEAD.to_vec(), rows: 0 }
    }

    /// Adds an UPDATE of the item that `data_json` (the text of a JSON object with its `id`) describes, and clears the
    /// fields in `clears`. None of them may be in `data_json`.
    ///
    /// # Errors
    /// When the row does not fit or is not an object; the body is then unchanged.
    pub fn push_update(&mut self, data_json: &str, clears: &[(&str, ClearValue)]) -> Result<(), PushRefused> {
        let fields = data_json
            .trim()
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .ok_or(PushRefused::NotAnObject)?
            .trim();
        self.push(|row| {
            row.extend_from_slice(br#"{"method":"UPDATE","data":{"#);
            row.extend_from_slice(fields.as_bytes());
            let mut first = fields.is_empty();
            for (name, value) in clears {
                if !std::mem::take(&mut first) {
                    row.push(b',');
                }
                push_json_text(row, name);
                row.push(b':');
                match value {
                    ClearValue::Text => row.extend_from_slice(br#""""#),
                    ClearValue::List => row.extend_from_slice(b"[]"),
                    ClearValue::Word(word) => push_json_text(row, word),
                }
            }
            row.extend_from_slice(b"}}");
        })
    }

    /// Adds a DELETE of the item with this retailer id.
    ///
    /// # Errors
    /// When the row does not fit; the body is then unchanged.
    pub fn push_delete(&mut self, retailer_id: &str) -> Result<(), PushRefused> {
        self.push(|row| {
            row.extend_from_slice(br#"{"method":"DELETE","data":{"id":"#);
            push_json_text(row, retailer_id);
            row.extend_from_slice(b"}}");
        })
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether the body has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The body's current size on the wire, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len() + TAIL.len()
    }

    /// Whether one more row of about `extra_bytes` fits.
    #[must_use]
    pub fn would_fit(&self, extra_bytes: usize) -> bool {
        self.rows < MAX_ROWS && self.bytes().saturating_add(extra_bytes) <= MAX_BYTES
    }

    /// The records as JSON texts behind each other, separated by commas: the list of [`Self::into_json`] without its
    /// brackets.
    #[must_use]
    pub fn records(&self) -> &[u8] {
        &self.bytes[HEAD.len()..]
    }

    /// The complete JSON text.
    #[must_use]
    pub fn into_json(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(TAIL);
        self.bytes
    }

    fn push(&mut self, write_row: impl FnOnce(&mut Vec<u8>)) -> Result<(), PushRefused> {
        if self.rows >= MAX_ROWS {
            return Err(PushRefused::Full);
        }
        let before = self.bytes.len();
        if self.rows > 0 {
            self.bytes.push(b',');
        }
        write_row(&mut self.bytes);
        if self.bytes() <= MAX_BYTES {
            self.rows += 1;
            return Ok(());
        }
        let row_bytes = self.bytes.len() - before;
        self.bytes.truncate(before);
        let fits_alone = HEAD.len() + row_bytes + TAIL.len() <= MAX_BYTES;
        Err(if fits_alone && self.rows > 0 { PushRefused::Full } else { PushRefused::RowTooLarge })
    }
}

fn push_json_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a text is JSON, and a Vec takes every write");
}

/// Meta's answer to a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchAnswer {
    /// The handles to poll, each once; in practice at most one. Empty means that Meta accepted nothing.
    pub handles: Vec<String>,
    /// Rows for which Meta reports errors or warnings at once.
    pub validation: Vec<RowValidation>,
    /// The usage headers of the answer.
    pub usage: Usage,
}

/// Meta's report on a row before processing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RowValidation {
    /// The row's retailer id; `None` when Meta could not determine it.
    #[serde(default, deserialize_with = "tolerant::text_or_none")]
    pub retailer_id: Option<String>,
    /// When not empty, the row is not processed.
    #[serde(default, deserialize_with = "tolerant::message_list")]
    pub errors: Vec<String>,
    /// Warnings; the row is processed anyway.
    #[serde(default, deserialize_with = "tolerant::message_list")]
    pub warnings: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct WireAnswer {
    // Without this key it is unknown whether Meta accepted anything.
    #[serde(deserialize_with = "values")]
    pub(super) handles: Vec<Value>,
    // An unreadable report must not lose a handle.
    #[serde(default, deserialize_with = "tolerant::readable_list")]
    pub(super) validation_status: Vec<RowValidation>,
}

fn values<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Vec<Value>, D::Error> {
    Ok(tolerant::elements(Value::deserialize(input)?))
}

impl WireAnswer {
    /// Returns the handles, each once. The batch behind a handle that cannot be used cannot be asked for, so one such
    /// handle leaves the outcome of the call unknown.
    pub(super) fn handles(&self) -> Result<Vec<String>, words::NoId> {
        words::handles(&self.handles)
    }
}

impl GraphClient {
    /// Sends a batch. A successful answer means that Meta will process the rows, not that they were applied.
    ///
    /// # Errors
    /// When Meta refuses the whole call, when the transport fails, or when the answer has a handle that cannot be used.
    /// [`GraphFailure::outcome_unknown`] says whether Meta may process the rows anyway.
    pub async fn submit_items_batch(
        &self,
        caller: Caller<'_>,
        catalog_id: &str,
        body: ItemsBatchBody,
    ) -> Result<BatchAnswer, GraphFailure> {
        let call = Call::post(catalog_id, "items_batch")
            .on_catalog(catalog_id)
            .by(caller)
            .json(body.into_json())
            .long_answer();
        let edge = call.edge;
        let answer = self.send::<WireAnswer>(call).await?;
        match answer.value.handles() {
            Ok(handles) => Ok(BatchAnswer { handles, validation: answer.value.validation_status, usage: answer.usage }),
            Err(why) => {
                let detail = format!("Meta's answer has a handle that cannot be used: {why}");
                let failure = GraphFailure::without_error(FailureKind::Unreadable, edge, Some(200), detail);
                Err(failure.with_usage(answer.usage))
            }
        }
    }
}

#[cfg(test)]
mod tests;
