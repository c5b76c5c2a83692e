//! Ids, handles, codes and tokens: they look random, but are a function of the seed, so that a run can be repeated.

use sha2::{Digest, Sha256};

/// Generates unique texts.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: u64,
    drawn: u64,
    items: u64,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0, items: 0 }
    }

    /// A URL-safe text of `length` characters that starts with `prefix`.
    pub(crate) fn opaque(&mut self, prefix: &str, length: usize) -> String {
        self.drawn += 1;
        let mut text = prefix.to_owned();
        for block in 0_u32.. {
            let mut hash = Sha256::new();
            hash.update(self.seed.to_be_bytes());
            hash.update(self.drawn.to_be_bytes());
            hash.update(block.to_be_bytes());
            for byte in hash.finalize() {
                if text.len() >= length {
                    return text;
                }
                text.push(char::from(ALPHABET[usize::from(byte % 64)]));
            }
        }
        text
    }

    /// A numeric id that starts with `prefix`, as Graph's object ids are.
    pub(crate) fn number(&mut self, prefix: u64) -> String {
        self.drawn += 1;
        format!("{prefix}{:09}", self.drawn)
    }

    /// Meta's own id of an item.
    pub(crate) fn item(&mut self) -> u64 {
        self.items += 1;
        5_577_000_000 + self.items
    }
}
