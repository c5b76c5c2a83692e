//! Ids and secrets that we give out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::store::seal::SealError;

/// Id of a row that is found again by it, such as a submission; sorts by time.
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

<<<<<<< HEAD
/// A secret of 256 random bits behind a prefix that tells what it is.
///
/// # Errors
/// When the system gives no randomness.
pub fn secret(prefix: &str) -> Result<String, SealError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| SealError::Randomness(error.to_string()))?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
=======
/// Id of a request, for those that come without one; sorts by time.
#[must_use]
pub fn request() -> String {
    Uuid::now_v7().simple().to_string()
}

/// A nonce that nobody can guess: 256 random bits in hexadecimal.
///
/// # Errors
/// When the machine has no random bytes to give.
pub fn nonce() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
>>>>>>> 6a2fdbd0f39383d34ac0be32875e54eff6eb2762
}
