//! Interned sets of field names: a few dozen rows represent the fields that millions of items were sent with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use mapper_core::sha256_hex;

use super::{Db, Result, execute, fetch_all, list};

/// The largest number of cached sets. An installation has a few dozen.
const MOST_CACHED: usize = 10_000;

/// The interned sets, cached. A set never changes once it has an id. The text of a set is its sorted names joined by
/// commas ([`text_of`]).
#[derive(Debug, Default)]
pub struct FieldSets {
    by_id: HashMap<i64, Arc<BTreeSet<String>>>,
    by_text: HashMap<String, i64>,
}

impl FieldSets {
    /// Returns the set that a state row refers to. `None` when the row refers to none or the set is not loaded.
    #[must_use]
    pub fn get(&self, id: Option<i64>) -> Option<Arc<BTreeSet<String>>> {
        id.and_then(|id| self.by_id.get(&id)).cloned()
    }

    /// Returns the id of a set that [`FieldSets::intern`] has interned.
    #[must_use]
    pub fn id(&self, text: &str) -> Option<i64> {
        self.by_text.get(text).copied()
    }

    /// Loads the sets of these ids that are not cached.
    ///
    /// # Errors
    /// When the database query fails.
    pub async fn load(&mut self, db: &Db, ids: impl IntoIterator<Item = i64>) -> Result<()> {
        // A module that invents names for each item must not fill the memory. No set of this window is loaded yet.
        if self.by_id.len() > MOST_CACHED {
            *self = Self::default();
        }
        let missing: BTreeSet<i64> = ids.into_iter().filter(|id| !self.by_id.contains_key(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut tx = db.read().await?;
        let rows: Vec<(i64, String)> = fetch_all!(
            tx,
            (i64, String),
            "SELECT f.id, f.fields FROM field_set f JOIN @rows($1: id bigint) AS r ON r.id = f.id",
            list::rows(&missing.iter().map(|id| (id,)).collect::<Vec<_>>())
        )?;
        self.remember(rows);
        Ok(())
    }

    /// Interns every set. The table is append-only, so this needs no fence and may be repeated.
    ///
    /// # Errors
    /// When the database query fails.
    pub async fn intern<'t>(&mut self, db: &Db, texts: impl IntoIterator<Item = &'t str>) -> Result<()> {
        let new: BTreeSet<&str> = texts.into_iter().filter(|text| !self.by_text.contains_key(*text)).collect();
        if new.is_empty() {
            return Ok(());
        }
        // A set is looked up by its hash: its text may be longer than a PostgreSQL index entry allows.
        let new: BTreeMap<String, &str> = new.into_iter().map(|text| (sha256_hex(text), text)).collect();
        let mut tx = db.write().await?;
        execute!(
            tx,
            "INSERT INTO field_set (hash, fields)
             SELECT r.hash, r.fields FROM @rows($1: hash text, fields text) AS r WHERE true ORDER BY r.hash
             ON CONFLICT (hash) DO NOTHING",
            list::rows(&new.iter().collect::<Vec<_>>())
        )?;
        let rows: Vec<(i64, String)> = fetch_all!(
            tx,
            (i64, String),
            "SELECT id, fields FROM field_set WHERE hash IN (SELECT id FROM @ids($1) AS new)",
            list::ids(&new.keys().collect::<Vec<_>>())
        )?;
        tx.commit().await?;
        self.remember(rows);
        Ok(())
    }

    fn remember(&mut self, rows: Vec<(i64, String)>) {
        for (id, text) in rows {
            let set = text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            self.by_id.insert(id, Arc::new(set));
            self.by_text.insert(text, id);
        }
    }
}

/// Returns the text of a set.
#[must_use]
pub fn text_of<S: AsRef<str> + Ord>(names: impl IntoIterator<Item = S>) -> String {
    let sorted: BTreeSet<S> = names.into_iter().collect();
    sorted.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(",")
}
