//! Removes the secrets of a call from texts that come back.
//!
//! Purpose: Meta quotes tokens in some messages ("Malformed access token EAAB…"), and a gateway may quote the URL; such
//! a text would reach logs and answers.
//! Promises: every secret that was sent with the call is replaced, in plain and in percent-encoded form; the text is
//! shortened after that.

use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded::byte_serialize;

use super::words::{self, LONGEST_MESSAGE};

const MASK: &str = "[redacted]";

/// The secrets of one call.
#[derive(Default)]
pub(super) struct Redactor(Vec<SecretString>);

impl Redactor {
    /// Adds a secret; an empty one is ignored.
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

    /// Replaces every secret, and then shortens the text: of a cut secret, the rest would be shown.
    pub(super) fn scrub(&self, text: &mut String) {
        for secret in &self.0 {
            if text.contains(secret.expose_secret()) {
                *text = text.replace(secret.expose_secret(), MASK);
            }
        }
        words::shorten(text, LONGEST_MESSAGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_only_after_its_secrets_are_gone() {
        let mut redactor = Redactor::default();
        redactor.hide("s3cret-token");
        let mut text = format!("{}s3cret-token and more", "x".repeat(LONGEST_MESSAGE - 6));
        redactor.scrub(&mut text);
        assert_eq!(text, format!("{}[redac…", "x".repeat(LONGEST_MESSAGE - 6)));
    }

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
