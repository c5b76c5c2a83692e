//! The call under construction: the request body, and the data to be recorded for each of its records.

use std::collections::BTreeSet;

use tracing::{debug, warn};

use mapper_core::word::Payload;

use super::settle::Settlement;
use crate::domain::clears::{Empty, clears};
use crate::domain::intent::Folded;
use crate::domain::lint::Noted;
use crate::domain::state::{Op, SyncState};
use crate::store::field_set::text_of;
use meta_graph::{ClearValue, ItemsBatchBody, PushRefused};

/// The record to be sent for one variant.
pub(super) struct SendRow<'m> {
    pub(super) op: Op,
    pub(super) product_id: Option<&'m str>,
    /// The payload; `None` for a delete.
    pub(super) payload: Option<&'m Payload>,
    pub(super) hash: Option<String>,
}

/// One record of the call.
pub(super) struct CallRow {
    pub(super) variant_id: String,
    pub(super) product_id: Option<String>,
    pub(super) seqs: Vec<i64>,
    pub(super) op: Op,
    pub(super) hash: Option<String>,
    pub(super) reeval_at: Option<i64>,
    /// What the state keeps of the payload.
    pub(super) noted: Noted,
    /// Whether a record was sent for the variant before this call.
    pub(super) at_meta: bool,
    /// The fields that Meta may hold before this call.
    pub(super) fields_before: Option<i64>,
    /// The fields sent, and the fields that Meta may hold from this call on; empty for a delete.
    pub(super) sent: String,
    pub(super) union: String,
}

/// The call.
pub(super) struct CallDraft {
    body: ItemsBatchBody,
    cap: usize,
    full: bool,
    pub(super) rows: Vec<CallRow>,
    /// Number of implicit deletes among the rows: deletes that no event asked for.
    pub(super) implicit_deletes: usize,
    /// Number of implicit deletes that the mass-delete guard permits; `None` until it is read.
    pub(super) implicit_allowance: Option<usize>,
}

impl CallDraft {
    pub(super) fn new(cap: usize) -> Self {
        Self {
            body: ItemsBatchBody::new(),
            cap,
            full: false,
            rows: Vec::new(),
            implicit_deletes: 0,
            implicit_allowance: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.full || self.rows.len() >= self.cap
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Takes the body and leaves the records in place.
    pub(super) fn take_body(&mut self) -> ItemsBatchBody {
        std::mem::take(&mut self.body)
    }

    /// Returns every set of fields that the records use.
    pub(super) fn field_texts(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().filter(|row| row.op == Op::Upsert).flat_map(|row| [row.sent.as_str(), row.union.as_str()])
    }

    /// Adds a record. Returns `false` when the call is full and the variant must wait for the next call. A record that
    /// fits into no call is recorded as a fault of the variant.
    pub(super) fn push(
        &mut self,
        intent: &Folded,
        state: Option<&SyncState>,
        fields: Option<&BTreeSet<String>>,
        row: SendRow<'_>,
        settlement: &mut Settlement,
    ) -> bool {
        if self.is_full() {
            return false;
        }
        let none = BTreeSet::new();
        let fields = fields.unwrap_or(&none);
        let (pushed, sent, union) = match row.payload {
            None => (self.body.push_delete(&intent.variant_id), String::new(), String::new()),
            Some(payload) => {
                let clears = clears(fields, &payload.fields);
                if !clears.stale.is_empty() {
                    debug!(variant_id = intent.variant_id, fields = ?clears.stale, "stale_required_field: Meta keeps the old value");
                }
                let empty: Vec<(&str, ClearValue)> =
                    clears.fields.iter().map(|(name, empty)| (name.as_str(), value_of(*empty))).collect();
                let union = text_of(fields.iter().map(String::as_str).chain(payload.fields.iter().map(AsRef::as_ref)));
                let sent = text_of(payload.fields.iter());
                (self.body.push_update(&payload.data, &empty), sent, union)
            }
        };
        match pushed {
            Ok(()) => {}
            Err(PushRefused::Full) => {
                self.full = true;
                return false;
            }
            Err(refused) => {
                warn!(variant_id = intent.variant_id, %refused, "record cannot be sent in any call");
                settlement.fault(intent, state, refused.to_string());
                return true;
            }
        }
        self.implicit_deletes += usize::from(row.op == Op::ImplicitDelete);
        self.rows.push(CallRow {
            variant_id: intent.variant_id.clone(),
            product_id: row.product_id.map(str::to_owned),
            seqs: intent.seqs.clone(),
            op: row.op,
            hash: row.hash,
            reeval_at: row.payload.and_then(|payload| payload.reevaluate_at),
            noted: row.payload.map_or(Noted::NOTHING, |payload| Noted::of(payload, row.product_id)),
            at_meta: state.is_some_and(|state| state.at_meta),
            fields_before: state.and_then(|state| state.fields_at_meta),
            sent,
            union,
        });
        true
    }
}

/// What is sent for a field that is cleared.
fn value_of(empty: Empty) -> ClearValue {
    match empty {
        Empty::Text => ClearValue::Text,
        Empty::List => ClearValue::List,
        Empty::Word(word) => ClearValue::Word(word),
    }
}
