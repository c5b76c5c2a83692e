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
}
