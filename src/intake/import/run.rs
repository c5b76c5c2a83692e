//! Importing: lines in, chunks of products written, each chunk one transaction with its intents.
//!
//! Memory is bounded by one chunk and 16 bytes per id seen.

use std::io::BufRead;

use super::{Duplicates, LineReader, Refusal, parse};
use crate::clock::Millis;
use crate::domain::record::ProductRecord;
use crate::failpoints::{Point, at};
use crate::store::catalog::{self, Written};
use crate::store::{Db, StoreError, Tx};

/// Most products of a transaction.
const CHUNK_PRODUCTS: usize = 500;
/// Most variants of a transaction.
const CHUNK_VARIANTS: usize = 2_000;
/// Most bytes of lines of a transaction.
const CHUNK_BYTES: u64 = 8 * 1024 * 1024;

/// What a refused line means for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The others are taken, chunk by chunk.
    Lenient,
    /// Nothing is written: all chunks are one transaction.
    Strict,
}

/// Hears how it goes.
pub trait Progress {
    /// So many bytes are read, so many products taken.
    fn at(&mut self, bytes: u64, products: u64);
    /// A line was refused for this reason.
    fn refused(&mut self, line: u64, refusal: &Refusal);
}

/// What an import came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Products written or found equal.
    pub taken: u64,
    /// Lines refused.
    pub refused: u64,
    /// What changed.
    pub written: Written,
}

/// Why an import stopped before its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file.
    #[error("reading the file failed")]
    Read(#[from] std::io::Error),
    /// The store.
    #[error("writing a chunk to the database failed")]
    Store(#[from] StoreError),
}

/// An import into a store.
#[derive(Clone, Copy, Debug)]
pub struct Import<'d> {
    /// The store.
    pub db: &'d Db,
    /// What a refused line means for the others.
    pub mode: Mode,
    /// The time of the import.
    pub now: Millis,
}

impl Import<'_> {
    /// Takes every line in.
    ///
    /// # Errors
    /// The tally so far, with what stopped it; in [`Mode::Strict`] nothing was written then.
    pub async fn run(&self, input: impl BufRead, progress: &mut impl Progress) -> Result<Tally, (Tally, ImportError)> {
        let mut tally = Tally::default();
        match self.take(input, progress, &mut tally).await {
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
        input: impl BufRead,
        progress: &mut impl Progress,
        tally: &mut Tally,
    ) -> Result<(), ImportError> {
        let mut whole = match self.mode {
            Mode::Strict => Some(self.db.write().await?),
            Mode::Lenient => None,
        };
        let mut lines = LineReader::new(input);
        let mut seen = Duplicates::new();
        let mut chunk: Vec<ProductRecord> = Vec::new();
        let mut chunk_from = 0;
        while let Some(line) = lines.next_line()? {
            let number = line.number;
            let read = line.content.map_err(|refusal| vec![refusal]).and_then(parse).and_then(|record| {
                seen.check(number, &record)?;
                Ok(record)
            });
            match read {
                Ok(record) => chunk.push(record),
                Err(refusals) => {
                    tally.refused += 1;
                    refusals.iter().for_each(|refusal| progress.refused(number, refusal));
                }
            }
            let variants: usize = chunk.iter().map(|record| record.variants.len()).sum();
            let bytes = lines.bytes_read() - chunk_from;
            if chunk.len() >= CHUNK_PRODUCTS || variants >= CHUNK_VARIANTS || bytes >= CHUNK_BYTES {
                self.write(&mut whole, &mut chunk, tally).await?;
                chunk_from = lines.bytes_read();
                at(Point::ImportChunk).await;
                progress.at(lines.bytes_read(), tally.taken);
            }
        }
        self.write(&mut whole, &mut chunk, tally).await?;
        at(Point::ImportEnding).await;
        progress.at(lines.bytes_read(), tally.taken);
        match whole {
            Some(tx) if tally.refused == 0 => tx.commit().await?,
            // Dropped, the transaction is rolled back.
            Some(_) => *tally = Tally { refused: tally.refused, ..Tally::default() },
            None => {}
        }
        Ok(())
    }

    async fn write(
        &self,
        whole: &mut Option<Tx>,
        chunk: &mut Vec<ProductRecord>,
        tally: &mut Tally,
    ) -> Result<(), ImportError> {
        if chunk.is_empty() {
            return Ok(());
        }
        let written = match whole {
            // A refused line has decided already: the rest is only read for its own refusals.
            Some(_) if tally.refused > 0 => Written::default(),
            Some(tx) => catalog::write(tx, chunk, self.now).await?,
            None => {
                let mut tx = self.db.write().await?;
                let written = catalog::write(&mut tx, chunk, self.now).await?;
                at(Point::ImportWriting).await;
                tx.commit().await?;
                written
            }
        };
        tally.written += written;
        tally.taken += chunk.len() as u64;
        chunk.clear();
        Ok(())
    }
}
