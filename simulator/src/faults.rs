//! Planned faults: the affected call, the effect, and the number of times.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

/// One planned fault, as `POST /_sim/faults` takes it.
///
/// `on` is an edge (`items_batch`, `products`, …), `oauth` for the token endpoint, or `*`; `README.md` lists all names.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Fault {
    /// The call that it affects.
    pub on: String,
    /// Calls that pass first.
    #[serde(default)]
    pub skip: u32,
    /// Calls that are affected; then the fault is spent.
    #[serde(default = "once")]
    pub times: u32,
    /// The effect.
    #[serde(flatten)]
    pub kind: Kind,
}

fn once() -> u32 {
    1
}

fn unavailable() -> u16 {
    503
}

fn ok() -> u16 {
    200
}

fn refused() -> String {
    "The item was refused by a planned fault".to_owned()
}

/// The effect of a fault.
///
/// Kinds that concern a batch (`handle_…`, `status_…`, `incomplete_errors`) stick to the handle when planned on
/// `items_batch`, and change only the one answer when planned on `check_batch_request_status`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// The connection is cut before anything is done.
    DropBefore {},
    /// The call is carried out, then the connection is cut without an answer.
    DropAfterAccept {},
    /// The call is carried out, then the connection is cut in the middle of the answer's body.
    Truncated {},
    /// An HTTP status with an empty body.
    #[serde(rename = "status_5xx")]
    Status5xx {
        /// The status.
        #[serde(default = "unavailable")]
        status: u16,
        /// Carry the call out first.
        #[serde(default)]
        after_accept: bool,
    },
    /// A proxy's error page with status 502.
    #[serde(rename = "html_502")]
    Html502 {
        /// Carry the call out first.
        #[serde(default)]
        after_accept: bool,
    },
    /// Status 200 with the text `Service Unavailable`.
    TextServiceUnavailable {
        /// Carry the call out first.
        #[serde(default)]
        after_accept: bool,
    },
    /// This status with this body as JSON, whatever it is.
    RawBody {
        /// The body.
        body: String,
        /// The status.
        #[serde(default = "ok")]
        status: u16,
        /// Carry the call out first.
        #[serde(default)]
        after_accept: bool,
    },
    /// The answer waits this long (machine time, not the simulated clock). The call is carried out at once.
    SlowMs {
        /// Milliseconds.
        ms: u64,
    },
    /// The call is carried out at once, and its answer is held until the plan is cleared (`DELETE /_sim/faults`).
    Held {},
    /// A Graph error.
    GraphError {
        /// `error.code`.
        code: i64,
        /// `error.error_subcode`.
        #[serde(default)]
        subcode: Option<i64>,
        /// `error.message`.
        #[serde(default)]
        message: Option<String>,
        /// `error.is_transient`.
        #[serde(default)]
        is_transient: Option<bool>,
        /// `error.error_data`.
        #[serde(default)]
        error_data: Option<Value>,
        /// HTTP status; left out = 500 for codes 1 and 2, else 400.
        #[serde(default)]
        status: Option<u16>,
        /// Carry the call out first.
        #[serde(default)]
        after_accept: bool,
    },
    /// The catalog's bucket of this call is full: 80014 or 80009 with the usage header.
    Throttle {
        /// `estimated_time_to_regain_access` in minutes.
        #[serde(default)]
        regain_minutes: i64,
    },
    /// `items_batch` takes nothing and answers `handles: []`.
    HandlesEmpty {},
    /// `items_batch` answers with two handles, each for half of the rows.
    TwoHandles {},
    /// These rows fail at validation.
    ValidationErrors {
        /// Retailer ids.
        ids: Vec<String>,
        /// Text of each error.
        #[serde(default = "refused")]
        message: String,
    },
    /// The batch stays `started` and is never carried out.
    HandleNeverEnds {},
    /// The batch ends as `error`, nothing is saved.
    HandleError {},
    /// The batch ends as `canceled`, nothing is saved.
    HandleCanceled {},
    /// Processing takes this much longer, so a later batch can overtake.
    HandleSlow {
        /// Milliseconds of the simulated clock.
        ms: i64,
    },
    /// The batch is carried out, its status comes in upper case.
    StatusUppercase {},
    /// The batch is carried out, its status is this word instead of `finished`.
    StatusUnknown {
        /// The word.
        word: String,
    },
    /// The error lists of the poll are cut short while `errors_total_count` is full.
    IncompleteErrors {
        /// Entries left in `errors`; the list of ids is empty.
        #[serde(default)]
        keep: usize,
    },
    /// An empty page that has a `next`.
    EmptyPage {},
}

/// Faults that are still planned.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    faults: Vec<Fault>,
    cleared: watch::Sender<()>,
}

impl Plan {
    pub(crate) fn add(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.extend(faults.into_iter().filter(|fault| fault.times > 0));
    }

    /// Deletes the plan and releases answers that are held.
    pub(crate) fn clear(&mut self) {
        self.faults.clear();
        self.cleared.send_replace(());
    }

    /// Changes at the next [`Plan::clear`].
    pub(crate) fn until_cleared(&self) -> watch::Receiver<()> {
        self.cleared.subscribe()
    }

    pub(crate) fn pending(&self) -> &[Fault] {
        &self.faults
    }

    /// Returns the faults that affect this call. Several may apply at once; each counts down.
    pub(crate) fn strike(&mut self, call: &str) -> Vec<Kind> {
        let mut struck = Vec::new();
        for fault in self.faults.iter_mut().filter(|fault| fault.on == call || fault.on == "*") {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else {
                fault.times -= 1;
                struck.push(fault.kind.clone());
            }
        }
        self.faults.retain(|fault| fault.times > 0);
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Fault, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_fault_skips_strikes_and_is_spent() {
        let fault = read(r#"{"on":"products","skip":1,"times":2,"kind":"html_502"}"#).expect("well formed");
        let mut plan = Plan::default();
        plan.add([fault]);
        let struck: Vec<usize> = (0..4).map(|_| plan.strike("products").len()).collect();
        assert_eq!(struck, [0, 1, 1, 0]);
        assert!(plan.pending().is_empty());
    }

    #[test]
    fn a_typo_in_a_fault_is_refused() {
        assert!(read(r#"{"on":"*","kind":"html_503"}"#).is_err());
        assert!(read(r#"{"on":"*","kind":"graph_error","code":2,"transient":true}"#).is_err());
        assert!(read(r#"{"on":"*","kind":"graph_error","code":2,"is_transient":true}"#).is_ok());
    }
}
