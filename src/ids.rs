//! Ids and secrets that we give out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::store::seal::SealError;

/// Id of a row that is found again by it, such as a submission or a preview; sorts by time.
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

/// A secret of 256 random bits behind a prefix that tells what it is.
///
/// # Errors
/// When the system gives no randomness.
pub fn secret(prefix: &str) -> Result<String, SealError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| SealError::Randomness(error.to_string()))?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Id of a request, for those that come without one; sorts by time.
#[must_use]
pub fn request() -> String {
    Uuid::now_v7().simple().to_string()
}
