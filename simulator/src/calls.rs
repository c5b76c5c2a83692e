//! A record of the calls: counters and the last requests, for tests. It holds no secret.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::Value;

use crate::clock::Millis;

/// Counters by kind of call.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Calls of `items_batch`.
    pub items_batch: u64,
    /// Rows of accepted batches, including those that failed later.
    pub batch_rows: u64,
    /// Calls of `check_batch_request_status`.
    pub check_batch: u64,
    /// All other Graph calls, the dialog included.
    pub other: u64,
    /// Calls refused by a bucket, real or planned; they are counted above as well.
    pub throttled: u64,
    /// Calls by method and edge, such as `GET products`.
    pub by_edge: BTreeMap<String, u64>,
}

/// One logged request.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    /// Milliseconds since the Unix epoch, by the simulator's clock.
    pub(crate) at: Millis,
    pub(crate) method: String,
    pub(crate) path: String,
    /// The name faults are planned by.
    pub(crate) call: String,
    /// Parameters with secrets masked; `requests` is left out, see `rows`.
    pub(crate) params: BTreeMap<String, Value>,
    /// For `items_batch`: the request of each row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rows: Vec<LoggedRow>,
    /// HTTP status of the answer; `null` when the connection was cut.
    pub(crate) status: Option<u16>,
    /// `error.code` of the answer.
    pub(crate) code: Option<i64>,
    /// Faults that affected the call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) faults: Vec<crate::faults::Kind>,
}

/// One row of a logged `items_batch`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LoggedRow {
    pub(crate) method: Box<str>,
    pub(crate) id: Option<Box<str>>,
}

/// Counters and log.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) counters: Counters,
    log: VecDeque<Entry>,
    size: usize,
}

impl Calls {
    pub(crate) fn new(size: usize) -> Self {
        Self { counters: Counters::default(), log: VecDeque::new(), size }
    }

    pub(crate) fn count(&mut self, method: &str, call: &str) {
        match call {
            "items_batch" => self.counters.items_batch += 1,
            "check_batch_request_status" => self.counters.check_batch += 1,
            _ => self.counters.other += 1,
        }
        *self.counters.by_edge.entry(format!("{method} {call}")).or_default() += 1;
    }

    pub(crate) fn log(&mut self, entry: Entry) {
        while self.log.len() >= self.size.max(1) {
            self.log.pop_front();
        }
        self.log.push_back(entry);
    }

    /// The last `limit` requests, oldest first.
    pub(crate) fn last(&self, limit: usize) -> impl Iterator<Item = &Entry> {
        self.log.iter().skip(self.log.len().saturating_sub(limit))
    }
}
