//! Interned sets of field names: a few dozen rows stand for what millions of items were sent with.

use std::collections::{BTreeSet, HashMap};

use super::{Db, Result, execute, fetch_all, json};

/// The interned sets, cached: a set never changes once it has an id.
#[derive(Debug, Default)]
pub struct FieldSets {
    by_id: HashMap<i64, BTreeSet<String>>,
    by_set: HashMap<BTreeSet<String>, i64>,
}

impl FieldSets {
    /// The set of an id that a state row names; empty for none.
    #[must_use]
    pub fn get(&self, id: Option<i64>) -> Option<&BTreeSet<String>> {
        id.and_then(|id| self.by_id.get(&id))
    }

    /// The id of a set that [`FieldSets::intern`] has seen.
    #[must_use]
    pub fn id(&self, set: &BTreeSet<String>) -> Option<i64> {
        self.by_set.get(set).copied()
    }

    /// Loads the sets of these ids that are not cached yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn load(&mut self, db: &Db, ids: impl IntoIterator<Item = i64>) -> Result<()> {
        let missing: BTreeSet<i64> = ids.into_iter().filter(|id| !self.by_id.contains_key(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut tx = db.read().await?;
        let rows: Vec<(i64, String)> = fetch_all!(
            tx,
            (i64, String),
            "SELECT f.id, f.fields FROM field_set f JOIN @rows($1: id bigint) r ON r.id = f.id",
            json(&missing.iter().map(|id| [id]).collect::<Vec<_>>())?
        )?;
        self.remember(rows);
        Ok(())
    }

    /// Gives every set an id. Append-only, so it needs no fence and may be repeated.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn intern(&mut self, db: &Db, sets: impl IntoIterator<Item = BTreeSet<String>>) -> Result<()> {
        let new: BTreeSet<String> =
            sets.into_iter().filter(|set| !self.by_set.contains_key(set)).map(|set| text(&set)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let list = json(&new)?;
        let mut tx = db.write().await?;
        execute!(
            tx,
            "INSERT INTO field_set (fields) SELECT id FROM @ids($1) AS new WHERE true ORDER BY id
             ON CONFLICT (fields) DO NOTHING",
            &list
        )?;
        let rows: Vec<(i64, String)> = fetch_all!(
            tx,
            (i64, String),
            "SELECT id, fields FROM field_set WHERE fields IN (SELECT id FROM @ids($1) AS new)",
            &list
        )?;
        tx.commit().await?;
        self.remember(rows);
        Ok(())
    }

    fn remember(&mut self, rows: Vec<(i64, String)>) {
        for (id, fields) in rows {
            let set: BTreeSet<String> = fields.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            self.by_set.insert(set.clone(), id);
            self.by_id.insert(id, set);
        }
    }
}

fn text(set: &BTreeSet<String>) -> String {
    set.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}
