//! The variants that a file does not name, when it is the whole shop: counted, and deleted all or none.

use std::collections::HashSet;

use super::Duplicates;
use super::duplicates::{Key, variant_key};
use super::run::{ImportError, Unnamed};
use crate::clock::Millis;
use crate::domain::guard;
use crate::domain::record::ProductRecord;
use crate::store::catalog::{self, VariantOf};
use crate::store::{StoreError, Tx};

/// The number of variants that are read and deleted by one statement.
const STEP: i64 = 2_000;

/// How much of the shop a file does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Variants that are not deleted and that the file does not name.
    pub(super) unnamed: u64,
    /// Variants that are not deleted.
    pub(super) live: u64,
}

impl Count {
    /// Returns an error when that many may not be deleted.
    pub(super) fn within(self, allowed: Unnamed) -> Result<(), ImportError> {
        let Self { unnamed, live } = self;
        let allowance = guard::allowance(i64::try_from(live).unwrap_or(i64::MAX), 0) as u64;
        if unnamed > allowance && allowed != Unnamed::DeleteAll {
            return Err(ImportError::TooManyDeletes { unnamed, live, allowed: allowance });
        }
        Ok(())
    }
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) variants: u64,
    pub(super) intents: u64,
}

/// Walks the variants that are not deleted.
#[derive(Default)]
struct Walk(String);

impl Walk {
    /// Returns the next page; `None` at the end.
    async fn next(&mut self, tx: &mut Tx) -> Result<Option<Vec<VariantOf>>, StoreError> {
        let page = catalog::live_after(tx, &self.0, STEP).await?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        self.0.clone_from(last);
        Ok(Some(page))
    }
}

/// Counts what the file does not name of the shop as it is.
pub(super) async fn count(tx: &mut Tx, seen: &Duplicates) -> Result<Count, StoreError> {
    let (mut count, mut walk) = (Count::default(), Walk::default());
    while let Some(page) = walk.next(tx).await? {
        count.live += page.len() as u64;
        count.unnamed += page.iter().filter(|(id, _)| !seen.has_variant(id)).count() as u64;
    }
    Ok(count)
}

/// Deletes what the file does not name.
pub(super) async fn delete(tx: &mut Tx, seen: &Duplicates, now: Millis) -> Result<Gone, StoreError> {
    let (mut gone, mut walk) = (Gone::default(), Walk::default());
    while let Some(page) = walk.next(tx).await? {
        let unnamed: Vec<String> = page.into_iter().map(|(id, _)| id).filter(|id| !seen.has_variant(id)).collect();
        if !unnamed.is_empty() {
            gone.intents += catalog::delete(tx, &unnamed, now).await?;
            gone.variants += unnamed.len() as u64;
        }
    }
    Ok(gone)
}

/// Counts for a dry run, whose chunks are rolled back: what each chunk makes of its products, then the products that the
/// file does not name.
#[derive(Debug, Default)]
pub(super) struct DryCount {
    /// Variants that the file names and that are not deleted then.
    named: u64,
    /// Other variants of its products. A later line may name them for another product.
    others: HashSet<Key>,
}

impl DryCount {
    /// Counts in the transaction that wrote this chunk.
    pub(super) async fn add(&mut self, tx: &mut Tx, chunk: &[ProductRecord]) -> Result<(), StoreError> {
        let products: Vec<&str> = chunk.iter().map(|record| record.id.as_str()).collect();
        let variants = chunk.iter().flat_map(|record| &record.variants);
        let named: HashSet<&str> = variants.map(|variant| variant.id.as_str()).collect();
        for id in catalog::live_of(tx, &products).await? {
            if named.contains(id.as_str()) {
                self.named += 1;
            } else {
                self.others.insert(variant_key(&id));
            }
        }
        Ok(())
    }

    /// Adds the products that the file does not name.
    pub(super) async fn count(self, tx: &mut Tx, seen: &Duplicates) -> Result<Count, StoreError> {
        let mut unnamed = self.others.iter().filter(|key| !seen.has(key)).count() as u64;
        let mut walk = Walk::default();
        while let Some(page) = walk.next(tx).await? {
            let rest = page.iter().filter(|(id, product)| !seen.has_product(product) && !seen.has_variant(id));
            unnamed += rest.count() as u64;
        }
        Ok(Count { unnamed, live: self.named + unnamed })
    }
}
