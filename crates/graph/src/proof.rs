//! `appsecret_proof`: proves to Meta that the holder of the token also has the app secret.
//!
//! Purpose: the plain form of the proof (graph "Login Security": HMAC-SHA256, lower-case hex).
//! Left out on purpose: the timed form with `appsecret_time`, because it makes every call depend on the machine's
//! clock.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Returns the proof for `token` under `app_secret`, 64 lower-case hex digits.
pub(super) fn app_secret_proof(app_secret: &SecretString, token: &SecretString) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(app_secret.expose_secret().as_bytes()).expect("HMAC takes a key of any length");
    mac.update(token.expose_secret().as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proof_is_hmac_sha256_keyed_by_the_secret_over_the_token() {
        // RFC 4231, test case 2.
        let proof = app_secret_proof(&"Jefe".into(), &"what do ya want for nothing?".into());
        assert_eq!(proof, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
