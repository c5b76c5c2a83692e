//! One JSON object per line.

use std::io::{self, BufRead};

use super::{Item, Source};
use crate::intake::import::{LineReader, parse};

/// A file with one product per line.
#[derive(Debug)]
pub struct Ndjson<R> {
    lines: LineReader<R>,
}

impl<R: BufRead> Ndjson<R> {
    /// Returns a source that starts before line 1.
    pub fn new(input: R) -> Self {
        Self { lines: LineReader::new(input) }
    }
}

impl<R: BufRead> Source for Ndjson<R> {
    fn next_item(&mut self) -> io::Result<Option<Item>> {
        let line = self.lines.next_line()?;
        Ok(line.map(|line| Item {
            line: line.number,
            record: line.content.map_err(|refusal| vec![refusal]).and_then(parse),
        }))
    }

    fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }
}
