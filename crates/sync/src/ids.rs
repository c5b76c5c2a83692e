//! Ids and secrets that this service creates.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// The operating system returned no random bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system returned no random bytes: {0}")]
pub struct NoRandomness(String);

/// Returns the id of a row that is looked up by it, such as a submission or a preview. Sorts by time.
#[must_use]
pub fn row() -> String {
    Uuid::now_v7().to_string()
}

/// Returns the id of a process in the lease and in actor names.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that makes random ids")]
pub fn instance() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Fills a buffer with random bytes.
///
/// # Errors
/// When the operating system returns no random bytes.
pub fn fill(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(|error| NoRandomness(error.to_string()))
}

/// Returns a secret of 256 random bits after a prefix that states its kind.
///
/// # Errors
/// When the operating system returns no random bytes.
pub fn secret(prefix: &str) -> Result<String, NoRandomness> {
    let mut bytes = [0_u8; 32];
    fill(&mut bytes)?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Returns the id of a request that comes without one. Sorts by time.
#[must_use]
pub fn request() -> String {
    Uuid::now_v7().simple().to_string()
}
