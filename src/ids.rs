//! Ids and secrets that we give out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// The system gave no randomness.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system returned no random bytes: {0}")]
pub struct NoRandomness(String);

/// Id of a row that is found again by it, such as a submission or a preview; sorts by time.
#[must_use]
pub fn row() -> String {
    Uuid::now_v7().to_string()
}

/// Id of a process in the lease and in actor names.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that makes random ids")]
pub fn instance() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Fills a buffer with random bytes.
///
/// # Errors
/// When the system gives no randomness.
pub fn fill(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(|error| NoRandomness(error.to_string()))
}

/// A secret of 256 random bits behind a prefix that tells what it is.
///
/// # Errors
/// When the system gives no randomness.
pub fn secret(prefix: &str) -> Result<String, NoRandomness> {
    let mut bytes = [0_u8; 32];
    fill(&mut bytes)?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Id of a request, for those that come without one; sorts by time.
#[must_use]
pub fn request() -> String {
    Uuid::now_v7().simple().to_string()
}
