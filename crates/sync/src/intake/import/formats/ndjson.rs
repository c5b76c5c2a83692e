//! One JSON object per line.

use std::io::{self, BufRead};

use jiff::tz::TimeZone;

use super::{Item, Source};
use crate::intake::import::{LineReader, parse_in};

/// A file with one product per line.
#[derive(Debug)]
pub struct Ndjson<R> {
    lines: LineReader<R>,
    zone: TimeZone,
}

impl<R: BufRead> Ndjson<R> {
    /// Returns a source that starts before line 1. Dates without a time are days in `zone`.
    pub fn new(input: R, zone: TimeZone) -> Self {
        Self { lines: LineReader::new(input), zone }
    }
}

impl<R: BufRead> Source for Ndjson<R> {
    fn next_item(&mut self) -> io::Result<Option<Item>> {
        let line = self.lines.next_line()?;
        let read = |bytes| parse_in(bytes, &self.zone);
        Ok(line.map(|line| Item {
            line: line.number,
            record: line.content.map_err(|refusal| vec![refusal]).and_then(read),
        }))
    }

    fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }
}
