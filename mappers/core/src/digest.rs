//! The hash that tells two payloads apart.

use sha2::{Digest, Sha256};

/// SHA-256 of a payload's canonical JSON, as 64 small hex digits.
#[must_use]
pub fn sha256_hex(data: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let hash = Sha256::digest(data.as_bytes());
    let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.map(|nibble| char::from(HEX[usize::from(nibble)])).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_hash_is_that_of_the_standard() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::sha256_hex("abc"), abc);
    }
}
