//! The bodies of calls, as they were sent: what an operator compares with what Meta shows.
//!
//! Promises: a body is written in the transaction of its `sending` row, so each call that was made has one until it is
//! [surplus]. Bodies are packed, one for each call; a variant's record is found by its id. Nothing is decided by them, and
//! the drain never reads one.
//! Left out on purpose: a copy for each variant, which would be a second table of the size of the catalog. Where the body
//! of a variant's last call is gone, the hash in its state still says whether the payload is the same.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Result, StoreError, Tx, execute, fetch_all, fetch_optional, list};
use crate::clock::Millis;

/// No body is longer, in bytes: the Graph client writes none.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The records of a call, packed.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed(Vec<u8>);

/// What a call said of one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// These fields were sent; the empty ones were emptied.
    Update(Map<String, Value>),
    /// The item was deleted.
    Delete,
}

#[derive(Deserialize)]
struct Wire<'a> {
    method: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed({} bytes)", self.0.len())
    }
}

impl Packed {
    /// Packs the records of a call: JSON texts separated by commas.
    #[must_use]
    pub fn of(records: &[u8]) -> Self {
        let mut packer = DeflateEncoder::new(Vec::with_capacity(records.len() / 8), Compression::fast());
        let packed = packer
            .write_all(b"[")
            .and_then(|()| packer.write_all(records))
            .and_then(|()| packer.write_all(b"]"))
            .and_then(|()| packer.finish());
        Self(packed.expect("a Vec takes every write"))
    }

    /// Returns what the call said of a variant, or `None` when it is not in the call. Takes some milliseconds.
    ///
    /// # Errors
    /// When the database holds something else than [`Self::of`] makes.
    pub fn record(&self, variant_id: &str) -> Result<Option<Record>> {
        let corrupt = |error: &dyn std::fmt::Display| StoreError::Corrupt {
            table: "meta_batch_bodies",
            column: "body",
            found: error.to_string(),
        };
        let mut text = Vec::new();
        DeflateDecoder::new(&*self.0).take(LONGEST).read_to_end(&mut text).map_err(|error| corrupt(&error))?;
        let records: Vec<&RawValue> = serde_json::from_slice(&text).map_err(|error| corrupt(&error))?;
        // Few records name the id, and only those are read.
        let quoted = serde_json::to_string(variant_id).map_err(|error| corrupt(&error))?;
        for record in records.into_iter().map(RawValue::get).filter(|record| record.contains(&quoted)) {
            let Wire { method, data } = serde_json::from_str(record).map_err(|error| corrupt(&error))?;
            let Id { id } = serde_json::from_str(data.get()).map_err(|error| corrupt(&error))?;
            if id == variant_id {
                let fields = || serde_json::from_str(data.get()).map_err(|error| corrupt(&error));
                return Ok(Some(if method == "DELETE" { Record::Delete } else { Record::Update(fields()?) }));
            }
        }
        Ok(None)
    }
}

/// Keeps the body of a call that is about to be made.
///
/// # Errors
/// When the database query fails.
pub async fn keep(tx: &mut Tx, submission_id: &str, body: &Packed, now: Millis) -> Result<()> {
    execute!(
        tx,
        "INSERT INTO meta_batch_bodies (submission_id, made_at, bytes, body) VALUES ($1, $2, $3, $4)",
        submission_id,
        now,
        i64::try_from(body.0.len()).unwrap_or(i64::MAX),
        &*body.0
    )?;
    Ok(())
}

/// The last call with a variant that Meta took.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LastCall {
    /// The submission's id.
    pub id: String,
    /// The catalog that was called.
    pub catalog_id: String,
    /// When Meta took it.
    pub submitted_at: i64,
}

/// Returns the last call with a variant that Meta took; `None` when there was none, or it is too old to be known.
///
/// # Errors
/// When the database query fails.
pub async fn last_call(tx: &mut Tx, variant_id: &str) -> Result<Option<LastCall>> {
    fetch_optional!(
        tx,
        LastCall,
        "SELECT h.id, h.catalog_id, h.submitted_at
         FROM meta_sync_state s JOIN meta_batch_handles h ON h.handle = s.last_handle
         WHERE s.variant_id = $1",
        variant_id
    )
}

/// Returns the body of a call, as long as it is kept.
///
/// # Errors
/// When the database query fails.
pub async fn of(tx: &mut Tx, submission_id: &str) -> Result<Option<Packed>> {
    let found: Option<(Vec<u8>,)> =
        fetch_optional!(tx, (Vec<u8>,), "SELECT body FROM meta_batch_bodies WHERE submission_id = $1", submission_id)?;
    Ok(found.map(|(body,)| Packed(body)))
}

/// How much is kept of the bodies.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Their packed bytes together.
    pub bytes: i64,
    /// Their number.
    pub bodies: i64,
}

/// Returns up to `limit` submissions whose bodies go: those for which there is no room, the newest having it first, and
/// those whose submission is gone.
///
/// # Errors
/// When the database query fails.
pub async fn surplus(tx: &mut Tx, room: Room, limit: i64) -> Result<Vec<String>> {
    let ids: Vec<(String,)> = fetch_all!(
        tx,
        (String,),
        "SELECT kept.submission_id FROM (
             SELECT submission_id, ROW_NUMBER() OVER newest AS place, SUM(bytes) OVER newest AS together
             FROM meta_batch_bodies WINDOW newest AS (ORDER BY made_at DESC, submission_id DESC)) AS kept
         WHERE kept.together > $1 OR kept.place > $2
            OR (SELECT h.id FROM meta_batch_handles h WHERE h.id = kept.submission_id) IS NULL
         LIMIT $3",
        room.bytes,
        room.bodies,
        limit
    )?;
    Ok(ids.into_iter().map(|(id,)| id).collect())
}

/// Deletes the bodies of these submissions. Returns the number of deleted bodies.
///
/// # Errors
/// When the database query fails.
pub async fn forget(tx: &mut Tx, submissions: &[String]) -> Result<u64> {
    execute!(
        tx,
        "DELETE FROM meta_batch_bodies WHERE submission_id IN (SELECT id FROM @ids($1) AS gone)",
        list::ids(submissions)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_found_in_the_packed_body() {
        let texts: Vec<String> = (0..200)
            .map(|n| json!({"method": "UPDATE", "data": {"id": format!("v{n}"), "title": "Shirt"}}).to_string())
            .chain([r#"{"method":"DELETE","data":{"id":"gone \"1\""}}"#.to_owned()])
            .collect();
        let records = texts.join(",");
        let packed = Packed::of(records.as_bytes());
        assert!(packed.0.len() < records.len() / 4, "{packed:?} of {}", records.len());
        let Ok(Some(Record::Update(fields))) = packed.record("v150") else { panic!("an update") };
        assert_eq!(Value::from(fields), json!({"id": "v150", "title": "Shirt"}));
        assert!(matches!(packed.record("gone \"1\""), Ok(Some(Record::Delete))));
        assert!(matches!(packed.record("v200"), Ok(None)));
        assert!(matches!(Packed::of(b"").record("v1"), Ok(None)));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        assert!(Packed(b"no deflate".to_vec()).record("v1").is_err());
        assert!(Packed::of(b"nonsense").record("v1").is_err());
        assert!(Packed::of(br#"{"method":"UPDATE","data":{"title":"v1"}}"#).record("v1").is_err());
    }
}
