//! Notifications of Meta: whether one is Meta's, and which handles it names.
//!
//! Promises: a signature is compared in constant time, over the bytes as they came; a notification is a hint and nothing
//! more, so what it says beside the handles is not read; objects and fields that are not known are ignored.
//! Left out on purpose: what a notification leads to.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::Sha256;

use super::words;

/// The header that holds the signature, in lower case.
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";
/// The most handles that are read of one notification. Meta bundles at most a thousand changes.
const MOST_HANDLES: usize = 1_000;
/// What the verify token is derived from, together with the app secret.
const VERIFY_TOKEN_OF: &[u8] = b"meta-catalog: verify token of the webhook, version 1";

/// The signature of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature([u8; 32]);

impl Signature {
    /// Reads the value of [`SIGNATURE_HEADER`]: `sha256=` and 64 hexadecimal digits.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(header.strip_prefix("sha256=")?, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// Whether the holder of the app secret signed this body.
    #[must_use]
    pub fn is_of(&self, app_secret: &SecretString, body: &[u8]) -> bool {
        keyed(app_secret, body).verify_slice(&self.0).is_ok()
    }
}

/// Returns the token by which Meta proves that it was told of this address: derived from the app secret, so that there is
/// no further secret to keep. The app secret cannot be told from it.
#[must_use]
pub fn verify_token(app_secret: &SecretString) -> SecretString {
    hex::encode(keyed(app_secret, VERIFY_TOKEN_OF).finalize().into_bytes()).into()
}

/// Whether a text is [`verify_token`], compared in constant time.
#[must_use]
pub fn is_verify_token(app_secret: &SecretString, given: &str) -> bool {
    let mut bytes = [0; 32];
    // Only the lower-case form was given out.
    let is_hex =
        !given.bytes().any(|byte| byte.is_ascii_uppercase()) && hex::decode_to_slice(given, &mut bytes).is_ok();
    is_hex && keyed(app_secret, VERIFY_TOKEN_OF).verify_slice(&bytes).is_ok()
}

fn keyed(app_secret: &SecretString, message: &[u8]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(app_secret.expose_secret().as_bytes()).expect("HMAC takes a key of any length");
    mac.update(message);
    mac
}

/// Returns the handles that a notification names, each once; none when it is about something else or cannot be read.
#[must_use]
pub fn handles(body: &[u8]) -> Vec<String> {
    let Ok(told) = words::parse(body) else { return Vec::new() };
    if told["object"] != "catalog" {
        return Vec::new();
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let changes = list(&told["entry"]).into_iter().flat_map(|entry| list(&entry["changes"]));
    let mut handles = Vec::new();
    for change in changes.filter(|change| change["field"] == "items_batch").take(MOST_HANDLES) {
        let Ok(handle) = words::handles(&[change["value"]["handle"].clone()]) else { continue };
        handles.extend(handle);
    }
    handles.sort_unstable();
    handles.dedup();
    handles
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_signature_is_hmac_sha256_over_the_bytes() {
        // RFC 4231, test case 2.
        let header = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let (secret, body) = (SecretString::from("Jefe"), b"what do ya want for nothing?");
        let signature = Signature::parse(header).expect("a signature");
        assert!(signature.is_of(&secret, body));
        assert!(!signature.is_of(&secret, b"what do ya want for nothing? "));
        assert!(!signature.is_of(&"other".into(), body));
        for other in ["", "sha256=", "sha1=5bdc", &header[..70], &format!("{header}00"), &header.replace('=', ":")] {
            assert_eq!(Signature::parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_verify_token_belongs_to_the_app_secret() {
        let (secret, other) = (SecretString::from("s3cret"), SecretString::from("another"));
        let token = verify_token(&secret);
        let token = token.expose_secret();
        assert!(is_verify_token(&secret, token) && !is_verify_token(&other, token));
        assert!(token.len() == 64 && !token.contains("s3cret"));
        for wrong in ["", "0", &token[..62], &token.to_uppercase(), &format!("{token}00"), "é"] {
            assert!(!is_verify_token(&secret, wrong), "{wrong}");
        }
    }

    #[test]
    fn only_batches_of_catalogs_are_read() {
        let read = |told: Value| handles(told.to_string().as_bytes());
        let batch = |handle: Value| json!({"field": "items_batch", "value": {"catalog_id": "1", "handle": handle, "status": "Finished"}});
        let told = |changes: Value| json!({"object": "catalog", "entry": [{"id": "1", "time": 1, "changes": changes, "new": {}}]});
        assert_eq!(read(told(json!([batch(json!("AcB")), batch(json!("AcA")), batch(json!("AcB"))]))), ["AcA", "AcB"]);
        // A number is taken as its digits, as everywhere.
        assert_eq!(
            read(told(json!([batch(json!(17)), {"field": "product_feed", "value": {"handle": "AcC"}}]))),
            ["17"]
        );
        for nothing in [
            json!({"object": "page", "entry": [{"changes": [batch(json!("AcA"))]}]}),
            json!({"object": "catalog"}),
            json!({"object": "catalog", "entry": {"changes": []}}),
            json!([]),
            told(json!("items_batch")),
            told(json!([batch(json!(null)), batch(json!("a b")), batch(json!("é")), batch(json!("x".repeat(256)))])),
        ] {
            assert_eq!(read(nothing.clone()), [""; 0], "{nothing}");
        }
        assert_eq!(handles(b"{"), [""; 0]);
        let many = (0..5_000).map(|n| batch(json!(format!("Ac{n}")))).collect::<Vec<_>>();
        assert_eq!(read(told(many.into())).len(), MOST_HANDLES);
    }
}
