//! `GET /{catalog}/check_batch_request_status`: the state of a batch.
//!
//! Purpose: send the parameters that make Meta return the complete list of bad rows, and read every form of the answer.
//! Promises: an unknown status word is kept as Meta wrote it; repeated ids are listed once; an answer whose error list
//! or count cannot be read is a failure, so no row is taken as applied because of it.
//! Left out on purpose: the verdict on each row. The poll decides it, because it knows what was sent.

use serde::Deserialize;
use serde_json::Value;

use super::Caller;
use super::call::Call;
use super::error::GraphFailure;
use super::tolerant;
use super::transport::GraphClient;
use super::usage::Usage;

/// The exact names that Meta knows. The call fails with any other name.
const FIELDS: &str = "handle,status,errors,errors_total_count,warnings,warnings_total_count,ids_of_invalid_requests";

/// The state of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchState {
    /// Accepted, waiting.
    Scheduled,
    /// Handed to Meta's workers.
    Dispatched,
    /// Running.
    Started,
    /// Done; rows with errors were not saved.
    Finished,
    /// Canceled before it ran.
    Canceled,
    /// Failed as a whole.
    Error,
    /// An unknown word, as Meta wrote it. The caller waits.
    Other(String),
}

impl BatchState {
    /// Parses Meta's status word; case does not matter.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().as_str() {
            "scheduled" => Self::Scheduled,
            "dispatched" => Self::Dispatched,
            "started" => Self::Started,
            "finished" => Self::Finished,
            "canceled" => Self::Canceled,
            "error" => Self::Error,
            _ => Self::Other(word.to_owned()),
        }
    }

    /// Whether the state is final.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Finished | Self::Canceled | Self::Error => true,
            Self::Scheduled | Self::Dispatched | Self::Started | Self::Other(_) => false,
        }
    }
}

/// A message of Meta's about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowMessage {
    /// The retailer id.
    pub id: Option<String>,
    /// The row's position in the batch. Meta does not document whether it counts from 0 or 1, so rows are matched by
    /// id.
    pub line: Option<u64>,
    /// Meta's message.
    pub message: String,
}

/// Meta's report on a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchStatus {
    /// The batch's state.
    pub state: BatchState,
    /// A sample of the errors.
    pub errors: Vec<RowMessage>,
    /// The number of errors; at least as many as are listed.
    pub errors_total_count: u64,
    /// A sample of the warnings. A warning alone does not fail a row.
    pub warnings: Vec<RowMessage>,
    /// The number of warnings; at least as many as are listed.
    pub warnings_total_count: u64,
    /// The retailer ids of all bad rows, each once, in Meta's order.
    pub ids_of_invalid_requests: Vec<String>,
}

/// The answer to a poll.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchStatusAnswer {
    /// `None` when Meta's answer is valid but does not mention this handle.
    pub status: Option<BatchStatus>,
    /// The usage headers of the answer.
    pub usage: Usage,
}

/// The documented envelope, or the bare object that older captures show.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum WireAnswer {
    Edge {
        #[serde(deserialize_with = "tolerant::list")]
        data: Vec<WireStatus>,
    },
    Bare(WireStatus),
}

#[derive(Deserialize)]
pub(super) struct WireStatus {
    // What decides over rows is read exactly: an answer that cannot be read is asked for again.
    #[serde(default, deserialize_with = "tolerant::text_if_any")]
    handle: Option<String>,
    #[serde(deserialize_with = "tolerant::text")]
    status: String,
    #[serde(default, deserialize_with = "row_messages")]
    errors: Vec<RowMessage>,
    #[serde(default, deserialize_with = "tolerant::u64_if_any")]
    errors_total_count: Option<u64>,
    #[serde(default, deserialize_with = "readable_row_messages")]
    warnings: Vec<RowMessage>,
    #[serde(default, deserialize_with = "tolerant::u64_or_none")]
    warnings_total_count: Option<u64>,
    #[serde(default, deserialize_with = "tolerant::complete_text_list")]
    ids_of_invalid_requests: Vec<String>,
}

fn row_messages<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Vec<RowMessage>, D::Error> {
    Ok(messages_of(&tolerant::list::<D, Value>(input)?))
}

/// Warnings decide nothing, so one of an odd type must not lose the verdict.
fn readable_row_messages<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Vec<RowMessage>, D::Error> {
    Ok(messages_of(&tolerant::elements(Value::deserialize(input)?)))
}

fn messages_of(rows: &[Value]) -> Vec<RowMessage> {
    let row = |value: &Value| RowMessage {
        id: value.get("id").and_then(tolerant::as_text),
        line: value.get("line").and_then(tolerant::as_u64),
        message: tolerant::as_text(value.get("message").unwrap_or(value)).unwrap_or_default(),
    };
    rows.iter().map(row).collect()
}

impl From<WireStatus> for BatchStatus {
    fn from(wire: WireStatus) -> Self {
        let total = |count: Option<u64>, listed: usize| count.unwrap_or(0).max(listed as u64);
        let mut seen = std::collections::HashSet::new();
        let mut ids = wire.ids_of_invalid_requests;
        ids.retain(|id| seen.insert(id.clone()));
        Self {
            state: BatchState::from_word(&wire.status),
            errors_total_count: total(wire.errors_total_count, wire.errors.len()),
            errors: wire.errors,
            warnings_total_count: total(wire.warnings_total_count, wire.warnings.len()),
            warnings: wire.warnings,
            ids_of_invalid_requests: ids,
        }
    }
}

impl WireAnswer {
    pub(super) fn status_of(self, handle: &str) -> Option<BatchStatus> {
        let statuses = match self {
            Self::Edge { data } => data,
            Self::Bare(status) => vec![status],
        };
        // A status that names another handle is not this batch's; one without a handle can only be this batch's.
        let ours = |status: &WireStatus| status.handle.as_deref().is_none_or(|named| named == handle);
        statuses.into_iter().find(ours).map(BatchStatus::from)
    }
}

impl GraphClient {
    /// Returns the state of a batch. The call counts against the catalog's management allowance, not the batch
    /// allowance.
    ///
    /// # Errors
    /// When Meta refuses (an unknown or too old handle may be code 100) or when the transport fails.
    pub async fn batch_status(
        &self,
        caller: Caller<'_>,
        catalog_id: &str,
        handle: &str,
    ) -> Result<BatchStatusAnswer, GraphFailure> {
        let call = Call::get(catalog_id, "check_batch_request_status")
            .on_catalog(catalog_id)
            .by(caller)
            .param("handle", handle)
            // Without this parameter the list of ids is always empty.
            .param("load_ids_of_invalid_requests", "true")
            .param("fields", FIELDS)
            .long_answer();
        let answer = self.send::<WireAnswer>(call).await?;
        Ok(BatchStatusAnswer { status: answer.value.status_of(handle), usage: answer.usage })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(answer: Value) -> Option<BatchStatus> {
        serde_json::from_value::<WireAnswer>(answer).expect("an answer").status_of("AcH")
    }

    #[test]
    fn status_word_is_read_in_any_case_and_kept_when_unknown() {
        use BatchState::*;
        for (word, state, is_final) in [
            ("scheduled", Scheduled, false),
            ("Dispatched", Dispatched, false),
            ("STARTED", Started, false),
            ("Finished", Finished, true),
            ("CANCELED", Canceled, true),
            ("error", Error, true),
            ("in_progress", Other("in_progress".to_owned()), false),
            ("Failed", Other("Failed".to_owned()), false),
        ] {
            let status = read(json!({"data": [{"handle": "AcH", "status": word}]})).expect("a status");
            assert_eq!(status.state, state, "{word}");
            assert_eq!(status.state.is_final(), is_final, "{word}");
        }
    }

    #[test]
    fn documented_answer_is_read_whole() {
        let status = read(json!({"data": [{
            "handle": "AcH", "status": "finished",
            "errors": [{"line": 1, "id": "sku-9", "message": "A required field is missing"}],
            "errors_total_count": 2, "warnings": [], "warnings_total_count": 0,
            "ids_of_invalid_requests": ["sku-9", "sku-7", "sku-9"]
        }], "paging": {"cursors": {"before": "b", "after": "a"}}}));
        let message = RowMessage {
            id: Some("sku-9".to_owned()),
            line: Some(1),
            message: "A required field is missing".to_owned(),
        };
        let expected = BatchStatus {
            state: BatchState::Finished,
            errors: vec![message],
            errors_total_count: 2,
            warnings: vec![],
            warnings_total_count: 0,
            ids_of_invalid_requests: vec!["sku-9".to_owned(), "sku-7".to_owned()],
        };
        assert_eq!(status, Some(expected));
    }

    #[test]
    fn odd_types_are_read_too() {
        let status = read(json!({
            "status": "finished", "errors": [{"id": 42, "line": "3"}, "loose words", {}],
            "errors_total_count": "7", "warnings": null, "warnings_total_count": 2.0, "ids_of_invalid_requests": [42, null]
        }))
        .expect("a bare status");
        let row = |id: Option<&str>, line, message: &str| RowMessage {
            id: id.map(str::to_owned),
            line,
            message: message.to_owned(),
        };
        assert_eq!(status.errors, [row(Some("42"), Some(3), ""), row(None, None, "loose words"), row(None, None, "")]);
        assert_eq!((status.errors_total_count, status.warnings_total_count), (7, 2));
        assert_eq!(status.ids_of_invalid_requests, ["42"]);

        let undercounted = json!({"data": [{"status": "finished", "errors": [{"id": "a"}], "errors_total_count": 0}]});
        assert_eq!(read(undercounted).expect("a status").errors_total_count, 1);
    }

    /// Otherwise the rows that it does not name would count as applied.
    #[test]
    fn an_answer_whose_errors_cannot_be_read_is_none() {
        for (field, value) in [
            ("errors", json!("loose words")),
            ("errors", json!({"id": "a"})),
            ("errors_total_count", json!("many")),
            ("errors_total_count", json!([1])),
            ("errors_total_count", json!(-1)),
            ("ids_of_invalid_requests", json!([{"id": "a"}])),
            ("ids_of_invalid_requests", json!(["a", true])),
            ("ids_of_invalid_requests", json!([["a"]])),
            ("handle", json!({"handle": "AcH"})),
            ("status", json!(["finished"])),
        ] {
            let mut status = json!({"handle": "AcH", "status": "finished"});
            status[field] = value;
            let read = serde_json::from_value::<WireAnswer>(json!({ "data": [status] }));
            assert!(read.is_err(), "{field}: {status}");
        }
        // Warnings decide nothing.
        let odd = json!({"status": "finished", "warnings": 5, "warnings_total_count": {}});
        assert_eq!(read(odd).expect("a status").warnings[0].message, "5");
    }

    #[test]
    fn silence_on_a_handle_is_not_a_status() {
        for nothing in
            [json!({"data": []}), json!({"data": null}), json!({"data": [{"handle": "AcOther", "status": "finished"}]})]
        {
            assert_eq!(read(nothing.clone()), None, "{nothing}");
        }
        assert!(serde_json::from_value::<WireAnswer>(json!({"handle": "AcH"})).is_err(), "a status has a word");
    }
}
