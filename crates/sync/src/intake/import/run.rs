//! The import run: reads a source and writes products in chunks; each chunk is one transaction with its intents.
//!
//! The next chunk of a file is read while the database writes one. Memory is bounded by two chunks plus 16 bytes per seen id.

use super::formats::{Item, Source};
use super::unnamed::{self, Count, DryCount};
use super::{Duplicates, Refusal};
use crate::clock::Millis;
use crate::domain::record::ProductRecord;
use crate::failpoints::{Point, at};
use crate::store::catalog::{self, Written};
use crate::store::source::{self, SourceBatch};
use crate::store::{Db, StoreError, Tx};

/// Maximum number of products in a transaction.
const CHUNK_PRODUCTS: usize = 500;
/// Maximum number of variants in a transaction.
const CHUNK_VARIANTS: usize = 2_000;
/// Maximum number of bytes of the file in a transaction.
const CHUNK_BYTES: u64 = 8 * 1024 * 1024;

/// What a refused line means for the other lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The other lines are imported, chunk by chunk.
    Lenient,
    /// Nothing is written, because all chunks are one transaction.
    Strict,
    /// Nothing is written at all: each chunk is rolled back after its variants are read as the mapper would read them.
    Dry,
}

/// Receives the progress of an import.
pub trait Progress {
    /// Called with the bytes read and the products imported so far.
    fn at(&mut self, bytes: u64, products: u64);
    /// Called before variants are deleted that the file does not name: their number, and how many there are.
    fn deletes(&mut self, unnamed: u64, live: u64);
    /// Called in [`Mode::Dry`] with the variants of a chunk.
    fn judge(&mut self, variants: SourceBatch) -> impl Future<Output = ()> + Send;
    /// Called when a line is refused, with the reason.
    fn refused(&mut self, line: u64, refusal: &Refusal);
}

/// The result of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of products written or found unchanged.
    pub taken: u64,
    /// Number of refused lines.
    pub refused: u64,
    /// The changes that were written.
    pub written: Written,
    /// Number of variants that the file does not name and that were deleted.
    pub deleted: u64,
}

/// What becomes of the variants that the file does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unnamed {
    /// They are kept.
    Keep,
    /// They are deleted, if they are no more than the mass-delete guard lets pass.
    Delete,
    /// They are deleted, however many they are.
    DeleteAll,
}

/// Why an import stopped before its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Reading the file failed.
    #[error("reading the file failed")]
    Read(#[from] std::io::Error),
    /// The file names nothing, so it is not the whole shop.
    #[error("the file has no product; a file that is the whole shop has at least one, so nothing was deleted")]
    Empty,
    /// The file does not name more variants than the mass-delete guard lets pass. None was deleted.
    #[error(
        "nothing was deleted: the file does not name {unnamed} of {live} variants, and at most {allowed} are deleted at \
         once; if the file is the whole shop, allow it (--allow-mass-delete, allowMassDelete=true)"
    )]
    TooManyDeletes {
        /// Variants that the file does not name.
        unnamed: u64,
        /// Variants that are not deleted.
        live: u64,
        /// How many may be deleted.
        allowed: u64,
    },
    /// The file has refused products, so what it does not name is not known.
    #[error(
        "nothing was deleted: {refused} products were refused, so what the file does not name is not known; correct \
         them and import the whole file again"
    )]
    Refused {
        /// Number of refused products.
        refused: u64,
    },
    /// The database write failed.
    #[error("writing a chunk to the database failed")]
    Store(#[from] StoreError),
}

/// An import into a database.
#[derive(Clone, Copy, Debug)]
pub struct Import<'d> {
    /// The database.
    pub db: &'d Db,
    /// What a refused line means for the other lines.
    pub mode: Mode,
    /// The timestamp of the import.
    pub now: Millis,
    /// What becomes of the variants that the file does not name.
    pub unnamed: Unnamed,
    /// Whether the next chunk is read while one is written. Not for a pipe: its writer may be slow, and the transaction
    /// would wait for it.
    pub reads_ahead: bool,
}

impl Import<'_> {
    /// Imports every product.
    ///
    /// # Errors
    /// When reading the file or writing to the database fails: the error and the tally so far. In [`Mode::Strict`]
    /// nothing is written then.
    pub async fn run(
        &self,
        mut source: impl Source,
        progress: &mut impl Progress,
    ) -> Result<Tally, (Tally, ImportError)> {
        let mut tally = Tally::default();
        match self.take(&mut source, progress, &mut tally).await {
            Ok(()) => Ok(tally),
            Err(error) => {
                if self.mode == Mode::Strict {
                    tally = Tally { refused: tally.refused, ..Tally::default() };
                }
                Err((tally, error))
            }
        }
    }

    async fn take(
        &self,
        source: &mut impl Source,
        progress: &mut impl Progress,
        tally: &mut Tally,
    ) -> Result<(), ImportError> {
        let mut whole = match self.mode {
            Mode::Strict => Some(self.db.write().await?),
            Mode::Lenient | Mode::Dry => None,
        };
        let mut dry = (self.mode == Mode::Dry).then(DryCount::default);
        let mut reader = Reader { source, seen: Duplicates::new() };
        let mut chunk = reader.next().await;
        loop {
            tally.refused += chunk.refused.len() as u64;
            for (line, refusals) in chunk.refused.drain(..) {
                refusals.iter().for_each(|refusal| progress.refused(line, refusal));
            }
            if let Some(error) = chunk.failed {
                return Err(error.into());
            }
            let (bytes, is_last) = (chunk.bytes, chunk.is_last);
            let written = self.write(&mut whole, &mut dry, &chunk.records, progress, tally);
            let next = if is_last {
                written.await?;
                Chunk::default()
            } else if self.reads_ahead {
                let (written, next) = tokio::join!(written, reader.next());
                written?;
                next
            } else {
                written.await?;
                reader.next().await
            };
            at(if is_last { Point::ImportEnding } else { Point::ImportChunk }).await;
            progress.at(bytes, tally.taken);
            if is_last {
                break;
            }
            chunk = next;
        }
        let seen = reader.seen;
        let deletes = self.unnamed != Unnamed::Keep;
        if deletes && tally.refused > 0 {
            return Err(ImportError::Refused { refused: tally.refused });
        }
        if deletes && tally.taken == 0 {
            return Err(ImportError::Empty);
        }
        if let Some(dry) = dry {
            if deletes {
                let mut tx = self.db.read().await?;
                let count = dry.count(&mut tx, &seen).await?;
                count.within(self.unnamed)?;
                progress.deletes(count.unnamed, count.live);
            }
            return Ok(());
        }
        let mut tx = match whole {
            // Dropping the transaction rolls it back.
            Some(_) if tally.refused > 0 => {
                *tally = Tally { refused: tally.refused, ..Tally::default() };
                return Ok(());
            }
            Some(tx) => tx,
            None if deletes => self.db.write().await?,
            None => return Ok(()),
        };
        if deletes {
            let count = unnamed::count(&mut tx, &seen).await?;
            count.within(self.unnamed)?;
            progress.deletes(count.unnamed, count.live);
            let gone = unnamed::delete(&mut tx, &seen, self.now).await?;
            // Another import may have added variants meanwhile: what is deleted counts.
            Count { unnamed: gone.variants, ..count }.within(self.unnamed)?;
            tally.deleted = gone.variants;
            tally.written.intents += gone.intents;
            at(Point::ImportDeleting).await;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn write(
        &self,
        whole: &mut Option<Tx>,
        dry: &mut Option<DryCount>,
        chunk: &[ProductRecord],
        progress: &mut impl Progress,
        tally: &mut Tally,
    ) -> Result<(), ImportError> {
        if chunk.is_empty() {
            return Ok(());
        }
        let written = match (whole, dry) {
            // A refused line already prevents the commit: the remaining lines are only read to report their refusals.
            (Some(_), _) if tally.refused > 0 => Written::default(),
            (Some(tx), _) => catalog::write(tx, chunk, self.now).await?,
            (None, Some(dry)) => {
                let mut tx = self.db.write().await?;
                let written = catalog::write(&mut tx, chunk, self.now).await?;
                if self.unnamed != Unnamed::Keep {
                    dry.add(&mut tx, chunk).await?;
                }
                let variants = chunk.iter().flat_map(|product| &product.variants);
                let variants: Vec<&str> = variants.map(|variant| variant.id.as_str()).collect();
                let read = source::load(&mut tx, &variants).await?;
                // Rolls it back. Nobody waits for it while the mapper runs.
                drop(tx);
                progress.judge(read).await;
                written
            }
            (None, None) => {
                let mut tx = self.db.write().await?;
                let written = catalog::write(&mut tx, chunk, self.now).await?;
                at(Point::ImportWriting).await;
                tx.commit().await?;
                written
            }
        };
        tally.written += written;
        tally.taken += chunk.len() as u64;
        Ok(())
    }
}

/// What one transaction writes.
#[derive(Default)]
struct Chunk {
    records: Vec<ProductRecord>,
    /// The lines that were refused meanwhile.
    refused: Vec<(u64, Vec<Refusal>)>,
    /// The bytes of the file up to its end.
    bytes: u64,
    /// Whether the file ends with it.
    is_last: bool,
    /// Why reading failed. Its records are not written then.
    failed: Option<std::io::Error>,
}

/// Reads a source chunk by chunk.
struct Reader<'s, S> {
    source: &'s mut S,
    seen: Duplicates,
}

impl<S: Source> Reader<'_, S> {
    async fn next(&mut self) -> Chunk {
        let mut chunk = Chunk::default();
        let from = self.source.bytes_read();
        let mut variants = 0;
        while chunk.records.len() < CHUNK_PRODUCTS
            && chunk.refused.len() < CHUNK_PRODUCTS
            && variants < CHUNK_VARIANTS
            && self.source.bytes_read() - from < CHUNK_BYTES
        {
            let (line, record) = match self.source.next_item() {
                Ok(Some(Item { line, record })) => (line, record),
                Ok(None) => {
                    chunk.is_last = true;
                    break;
                }
                Err(error) => {
                    chunk.failed = Some(error);
                    break;
                }
            };
            let read = record.and_then(|record| {
                self.seen.check(line, &record)?;
                Ok(record)
            });
            match read {
                Ok(record) => {
                    variants += record.variants.len();
                    chunk.records.push(record);
                }
                Err(refusals) => chunk.refused.push((line, refusals)),
            }
            // The chunk before goes on being written.
            tokio::task::yield_now().await;
        }
        chunk.bytes = self.source.bytes_read();
        chunk
    }
}
