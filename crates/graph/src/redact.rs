//! Takes the secrets of a call out of texts that came back.
//!
//! Purpose: Meta quotes tokens in some messages ("Malformed access token EAAB…"), and a gateway may quote the URL;
//! such a text would end up in logs and answers.
//! Promises: every secret sent with the call is replaced, as it is and percent-encoded.

use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded::byte_serialize;

const MASK: &str = "[redacted]";

/// The secrets of one call.
#[derive(Default)]
pub(super) struct Redactor(Vec<SecretString>);

impl Redactor {
    /// Adds a secret; an empty one is nobody's.
    pub(super) fn hide(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        self.0.push(secret.into());
        let encoded = byte_serialize(secret.as_bytes()).collect::<String>();
        if encoded != secret {
            self.0.push(encoded.into());
        }
    }

    /// Replaces every secret in `text`.
    pub(super) fn scrub(&self, text: &mut String) {
        for secret in &self.0 {
            if text.contains(secret.expose_secret()) {
                *text = text.replace(secret.expose_secret(), MASK);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_plain_and_encoded() {
        let mut redactor = Redactor::default();
        redactor.hide("");
        redactor.hide("12|s3cret");
        let mut text = "Malformed access token 12|s3cret at /x?access_token=12%7Cs3cret&a=b".to_owned();
        redactor.scrub(&mut text);
        assert_eq!(text, "Malformed access token [redacted] at /x?access_token=[redacted]&a=b");
    }
}
