//! Keys: which key sealed what, sealing everything with the first key, and giving up what no key opens.

use crate::failpoints::{self, Point};
use crate::store::seal::Keyring;
use crate::store::sealed::{self, Sealed};
use crate::store::{Db, StoreError};

/// How often a rotation reads all values again, since some were written with another key meanwhile.
const PASSES: usize = 10;

/// Why a rotation ended early. What it has sealed stays so, and the next one goes on.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The store failed, or a value does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Values of another key appear as fast as they are sealed again.
    #[error(
        "values are sealed with another key again and again: a replica runs with another key in front; restart every \
         replica with the same META_CATALOG_KEY, then rotate again"
    )]
    Contested,
}

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The number of values that the first key had sealed before.
    pub already: usize,
    /// The number of values that were sealed again.
    pub resealed: usize,
    /// The names of the keys that nothing in the database needs any more.
    pub retired: Vec<String>,
}

/// Returns every sealed value.
///
/// # Errors
/// When the database query fails.
pub async fn list(db: &Db) -> Result<Vec<Sealed>, StoreError> {
    sealed::load(&mut db.read().await?).await
}

/// Seals everything with the first key of the keyring, one value a transaction, and tells of each. A rotation that was
/// killed goes on where it stopped. Replicas may run meanwhile if they have all keys of this keyring: what they write in
/// between stays, and is sealed again in turn.
///
/// # Errors
/// When a value does not open, before anything is written; when the store fails; when another process writes with
/// another key all the time.
pub async fn rotate(db: &Db, keyring: &Keyring, mut told: impl FnMut(&Sealed)) -> Result<Rotated, RotateError> {
    // From here on a process without the first key does not start: it could not open what is sealed next.
    sealed::check_key(db, keyring).await?;
    let mut resealed = 0;
    for _ in 0..PASSES {
        let all = sealed::open_all(&mut db.read().await?, keyring).await?;
        failpoints::at(Point::KeysRead).await;
        for value in sealed::of_other_keys(&all, keyring) {
            let mut tx = db.write().await?;
            if sealed::reseal(&mut tx, keyring, value).await? {
                failpoints::at(Point::KeysSealing).await;
                tx.commit().await?;
                failpoints::at(Point::KeysSealed).await;
                resealed += 1;
                told(value);
            }
        }
        let mut tx = db.write().await?;
        if let Some(retired) = sealed::retire(&mut tx, keyring).await? {
            failpoints::at(Point::KeysRetiring).await;
            tx.commit().await?;
            failpoints::at(Point::KeysRetired).await;
            let values = all.iter().filter(|value| value.kind != sealed::Kind::Check).count();
            return Ok(Rotated { already: values.saturating_sub(resealed), resealed, retired });
        }
    }
    Err(RotateError::Contested)
}

/// Removes what the keyring does not open, in one transaction, and returns it. For an installation that does not run: a
/// process that runs has proved that it has the key.
///
/// # Errors
/// When the database query fails.
pub async fn forget(db: &Db, keyring: &Keyring) -> Result<Vec<Sealed>, StoreError> {
    let mut tx = db.write().await?;
    let gone = sealed::forget(&mut tx, keyring).await?;
    tx.commit().await?;
    Ok(gone)
}
