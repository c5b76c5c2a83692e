//! Ids that we give out.

use uuid::Uuid;

/// Id of a submission; sorts by time.
#[must_use]
pub fn submission() -> String {
    Uuid::now_v7().to_string()
}

/// Id of a process in the lease and in actor names.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that makes random ids")]
pub fn instance() -> String {
    Uuid::new_v4().simple().to_string()
}
