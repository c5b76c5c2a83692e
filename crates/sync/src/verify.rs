//! Whether Meta's items equal the mapper's word, field by field.
//!
//! Both sides are walked in id order, one page at a time, so memory does not grow with the catalog. A variant whose row
//! Meta refused (state `failed`) is not compared: its item is whatever Meta held before.

use std::collections::BTreeMap;

use mapper_core::{Item, MapSettings, Outcome};
use serde_json::Value;

use crate::clock::Millis;
use crate::domain::state::SyncStatus;
use crate::store::{Db, StoreError, source, sync_state, variants};

const PAGE: usize = 1_000;

/// A page of what Meta holds, in id order.
#[derive(Debug, Default)]
pub struct Page {
    /// Each item's retailer id and its fields.
    pub items: Vec<(String, Value)>,
    /// The id that the next page begins after; `None` at the end.
    pub next: Option<String>,
}

/// Why the comparison failed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError<E> {
    /// What Meta holds could not be read.
    #[error(transparent)]
    Meta(E),
    /// The database query failed.
    #[error("the source could not be read")]
    Store(#[from] StoreError),
}

/// Counts the items that differ, and describes the first of them. `held` returns at most so many items after an id.
///
/// # Errors
/// When either side does not answer.
pub async fn mismatches<E>(
    held: impl AsyncFn(String, usize) -> Result<Page, E>,
    db: &Db,
    settings: &MapSettings,
    now: Millis,
) -> Result<(u64, Vec<String>), VerifyError<E>> {
    let mut theirs = Items { held, page: Vec::new().into_iter().peekable(), next: Some(String::new()) };
    let mut count = 0;
    let mut told = Vec::new();
    let mut differ = |id: &str, what: &str| {
        count += 1;
        if told.len() < 10 {
            told.push(format!("{id}: {what}"));
        }
    };
    let mut after = String::new();
    loop {
        let ids = variants::page(&mut db.read().await?, &after, PAGE).await?;
        let Some(last) = ids.last() else { break };
        after.clone_from(last);
        for (id, word, excused) in words(db, &ids, settings, now).await? {
            while let Some(foreign) = theirs.take_before(&id).await? {
                differ(&foreign, "at Meta, but not in the source");
            }
            let item = theirs.take(&id).await?;
            match (word, item) {
                _ if excused => {}
                (None, None) => {}
                (Some(_), None) => differ(&id, "not at Meta"),
                (None, Some(_)) => differ(&id, "at Meta, but not eligible"),
                (Some(word), Some(item)) => {
                    if word != item {
                        differ(&id, "different payload at Meta");
                    }
                }
            }
        }
    }
    while let Some(foreign) = theirs.take_next().await? {
        differ(&foreign, "at Meta, but not in the source");
    }
    Ok((count, told))
}

/// Returns the mapper's word on each variant, in the order of the ids, and whether the variant is not compared; the
/// word is `None` when the variant is not eligible.
async fn words(
    db: &Db,
    ids: &[String],
    settings: &MapSettings,
    now: Millis,
) -> Result<Vec<(String, Option<Value>, bool)>, StoreError> {
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut tx = db.read().await?;
    let held = sync_state::load(&mut tx, &ids).await?;
    let batch = source::load(&mut tx, &ids).await?;
    drop(tx);
    let mut words: BTreeMap<&str, Value> = BTreeMap::new();
    for Item { product_index, variant } in &batch.items {
        let product = &batch.products[*product_index as usize];
        if let Outcome::Mapped(mapped) = mapper_core::map(settings, now, product, variant) {
            words.insert(&variant.id, serde_json::from_str(&mapped.data).unwrap_or_default());
        }
    }
    words.retain(|id, _| !held.get(*id).is_some_and(|held| held.excluded));
    let excused = |id: &str| held.get(id).is_some_and(|held| held.status == SyncStatus::Failed);
    Ok(ids.iter().map(|id| ((*id).to_owned(), words.remove(id), excused(id))).collect())
}

/// The catalog's items, in id order.
struct Items<F> {
    held: F,
    page: std::iter::Peekable<std::vec::IntoIter<(String, Value)>>,
    next: Option<String>,
}

impl<E, F: AsyncFn(String, usize) -> Result<Page, E>> Items<F> {
    async fn peek(&mut self) -> Result<Option<&str>, VerifyError<E>> {
        while self.page.peek().is_none() {
            let Some(after) = self.next.take() else { return Ok(None) };
            let Page { items, next } = (self.held)(after, PAGE).await.map_err(VerifyError::Meta)?;
            self.next = next;
            self.page = items.into_iter().peekable();
        }
        Ok(self.page.peek().map(|(id, _)| id.as_str()))
    }

    async fn take_before(&mut self, id: &str) -> Result<Option<String>, VerifyError<E>> {
        let before = self.peek().await?.is_some_and(|next| next < id);
        Ok(if before { self.page.next().map(|(id, _)| id) } else { None })
    }

    async fn take(&mut self, id: &str) -> Result<Option<Value>, VerifyError<E>> {
        let here = self.peek().await? == Some(id);
        Ok(if here { self.page.next().map(|(_, data)| data) } else { None })
    }

    async fn take_next(&mut self) -> Result<Option<String>, VerifyError<E>> {
        self.peek().await?;
        Ok(self.page.next().map(|(id, _)| id))
    }
}
