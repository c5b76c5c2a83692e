//! Encryption of secrets at rest: XChaCha20-Poly1305, bound to the place where the value is stored.
//!
//! A sealed value is `v1:kid:nonce:ciphertext` (base64url without padding). Its associated data is `table/row/column`,
//! so a value that was moved to another place cannot be opened. The keyring's first key seals and every key opens.
//! [`super::sealed`] knows every place, and seals every value again when the key changes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::sealed::Unopened;
use crate::ids::{self, NoRandomness};

/// Why a value could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The configured key is invalid.
    #[error("META_CATALOG_KEY: {0}")]
    Key(String),
    /// A stored value was sealed with a key that is not in the keyring.
    #[error(
        "a stored secret was sealed with the key {0:?}, which META_CATALOG_KEY does not hold; configure that key too"
    )]
    UnknownKey(String),
    /// A stored value cannot be decrypted: another key has the same name, or the value was changed or moved.
    #[error("the secret stored at {0} cannot be decrypted: META_CATALOG_KEY is not its key, or the value was altered")]
    Broken(String),
    /// The keyring does not open everything that is stored.
    #[error("{0}")]
    Unopened(Box<Unopened>),
    /// The operating system returned no random bytes.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// The place of a sealed value; its associated data. Each place of a lasting value has a [`super::sealed::Kind`], so that
/// a rotation finds its value.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Table.
    pub table: &'static str,
    /// Primary key of the row.
    pub row: &'a str,
    /// Column.
    pub column: &'static str,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.table, self.row, self.column)
    }
}

/// The keys, newest first.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<(String, XChaCha20Poly1305)>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.keys.iter().map(|(kid, _)| kid).collect();
        write!(f, "Keyring({names:?})")
    }
}

impl Keyring {
    /// Parses `base64` or `name:base64`, several separated by commas. Each key has 32 bytes.
    ///
    /// # Errors
    /// When an entry is invalid. The error states which entry and how to generate a key, without showing the entry.
    pub fn parse(configured: &SecretString) -> Result<Self, SealError> {
        let mut keys: Vec<(String, XChaCha20Poly1305)> = Vec::new();
        for (index, entry) in configured.expose_secret().split(',').map(str::trim).enumerate() {
            let (name, text) = entry.split_once(':').map_or((None, entry), |(name, text)| (Some(name), text));
            let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).unwrap_or_default();
            if bytes.len() != 32 {
                return Err(SealError::Key(format!(
                    "key {} is not 32 bytes of base64; make one with `openssl rand -base64 32`",
                    index + 1
                )));
            }
            let kid = name.map_or_else(|| hex::encode(&Sha256::digest(&bytes)[..4]), str::to_owned);
            if kid.is_empty() || keys.iter().any(|(known, _)| *known == kid) {
                return Err(SealError::Key(format!("key {} has an empty or repeated name", index + 1)));
            }
            keys.push((kid, XChaCha20Poly1305::new(Key::from_slice(&bytes))));
        }
        Ok(Self { keys })
    }

    /// Returns a new random key in the format that [`Keyring::parse`] reads.
    ///
    /// # Errors
    /// When the operating system returns no random bytes.
    pub fn generate() -> Result<SecretString, SealError> {
        Ok(SecretString::from(STANDARD.encode(random::<32>()?)))
    }

    /// Seals a value for a place.
    ///
    /// # Errors
    /// When the operating system returns no random bytes.
    pub fn seal(&self, place: Place<'_>, value: &SecretString) -> Result<String, SealError> {
        let (kid, cipher) = self.keys.first().ok_or_else(|| SealError::Key("no key is configured".into()))?;
        let nonce = random::<24>()?;
        let aad = place.to_string();
        let payload = Payload { msg: value.expose_secret().as_bytes(), aad: aad.as_bytes() };
        let sealed =
            cipher.encrypt(XNonce::from_slice(&nonce), payload).map_err(|_| SealError::Broken(place.to_string()))?;
        Ok(format!("v1:{kid}:{}:{}", URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens a sealed value at its place.
    ///
    /// # Errors
    /// When the key is missing or the value cannot be decrypted.
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<SecretString, SealError> {
        let broken = || SealError::Broken(place.to_string());
        let [version, kid, nonce, ciphertext] =
            <[&str; 4]>::try_from(sealed.splitn(4, ':').collect::<Vec<_>>()).map_err(|_| broken())?;
        if version != "v1" {
            return Err(broken());
        }
        let (_, cipher) =
            self.keys.iter().find(|(known, _)| known == kid).ok_or_else(|| SealError::UnknownKey(kid.to_owned()))?;
        let nonce: [u8; 24] =
            URL_SAFE_NO_PAD.decode(nonce).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(broken)?;
        let ciphertext = URL_SAFE_NO_PAD.decode(ciphertext).map_err(|_| broken())?;
        let aad = place.to_string();
        let payload = Payload { msg: &ciphertext, aad: aad.as_bytes() };
        let opened = cipher.decrypt(XNonce::from_slice(&nonce), payload).map_err(|_| broken())?;
        String::from_utf8(opened).map(SecretString::from).map_err(|_| broken())
    }

    /// Returns the name of the sealing key.
    #[must_use]
    pub fn sealing_key(&self) -> &str {
        self.keys.first().map_or("", |(kid, _)| kid)
    }

    /// Returns the names of all keys, the sealing one first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(kid, _)| kid.as_str())
    }
}

fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    ids::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { table: "t", row: "r", column: "c" };

    fn ring(text: &str) -> Keyring {
        Keyring::parse(&SecretString::from(text)).expect("a keyring")
    }

    #[test]
    fn opens_only_with_its_key_at_its_place_unaltered() {
        let (old, new) = (Keyring::generate().expect("a key"), Keyring::generate().expect("a key"));
        let (old, new) = (old.expose_secret(), new.expose_secret());
        let first = ring(&format!("a:{old}"));
        let sealed = first.seal(PLACE, &SecretString::from("hunter2")).expect("sealed");
        assert!(sealed.starts_with("v1:a:") && !sealed.contains("hunter2"));

        let rotated = ring(&format!("b:{new},a:{old}"));
        assert_eq!(rotated.open(PLACE, &sealed).expect("opens").expose_secret(), "hunter2");
        assert_eq!(rotated.sealing_key(), "b");

        let moved = Place { column: "other", ..PLACE };
        assert!(matches!(first.open(moved, &sealed), Err(SealError::Broken(_))));
        assert!(
            matches!(ring(&format!("b:{new}")).open(PLACE, &sealed), Err(SealError::UnknownKey(kid)) if kid == "a")
        );
        assert!(matches!(ring(&format!("a:{new}")).open(PLACE, &sealed), Err(SealError::Broken(_))));
        assert!(matches!(first.open(PLACE, &sealed[..sealed.len() - 2]), Err(SealError::Broken(_))));
    }

    #[test]
    fn a_bad_key_is_refused_without_being_shown() {
        let error = Keyring::parse(&SecretString::from("tooshort")).expect_err("refused");
        assert!(!error.to_string().contains("tooshort") && error.to_string().contains("openssl rand"));
        assert!(!format!("{:?}", ring(Keyring::generate().expect("a key").expose_secret())).contains('='));
    }
}
