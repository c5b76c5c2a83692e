//! The lines of an import file, of any length.

use std::io::{self, BufRead};

use super::line::{MAX_LINE_BYTES, Refusal, too_long};

/// Reads lines into one reused buffer that never exceeds [`MAX_LINE_BYTES`]; blank lines are skipped but counted.
#[derive(Debug)]
pub struct LineReader<R> {
    input: R,
    buffer: Vec<u8>,
    number: u64,
    bytes: u64,
}

/// A line that is not blank.
#[derive(Debug)]
pub struct Line<'a> {
    /// Line number, counted from 1.
    pub number: u64,
    /// The bytes without the line end, or the refusal of a line that is too long and was not read.
    pub content: Result<&'a [u8], Refusal>,
}

impl<R: BufRead> LineReader<R> {
    /// Returns a reader that starts before line 1.
    pub fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), number: 0, bytes: 0 }
    }

    /// Returns the number of bytes read so far, including line ends: the value of a progress bar.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// Returns the next line that is not blank; `None` at the end of the input.
    ///
    /// # Errors
    /// When reading the input fails.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            let Some(too_much) = self.fill()? else {
                return Ok(None);
            };
            if too_much {
                return Ok(Some(Line { number: self.number, content: Err(too_long()) }));
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(Some(Line { number: self.number, content: Ok(&self.buffer) }));
            }
        }
    }

    /// Reads one line into the buffer. Returns whether the line is too long; `None` at the end of the input.
    fn fill(&mut self) -> io::Result<Option<bool>> {
        self.buffer.clear();
        let mut too_long = false;
        let mut any = false;
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if chunk.is_empty() {
                break;
            }
            if !any {
                any = true;
                self.number += 1;
            }
            let end = chunk.iter().position(|b| *b == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            // The limit has one extra byte for a carriage return that is not part of the line.
            too_long |= self.buffer.len() + part.len() > MAX_LINE_BYTES + 1;
            if !too_long {
                self.buffer.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            self.bytes += used as u64;
            if end.is_some() {
                break;
            }
        }
        if self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        Ok(any.then_some(too_long || self.buffer.len() > MAX_LINE_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Returns number and length of each line; the length is `None` for a refused line.
    fn lines(input: &[u8]) -> Vec<(u64, Option<usize>)> {
        // A small buffer makes lines span several reads.
        let mut reader = LineReader::new(BufReader::with_capacity(7, input));
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line().expect("memory does not fail") {
            lines.push((line.number, line.content.ok().map(<[u8]>::len)));
        }
        assert_eq!(reader.bytes_read(), input.len() as u64);
        lines
    }

    #[test]
    fn blank_lines_are_counted_and_line_ends_of_all_kinds_fall_away() {
        assert_eq!(
            lines(b"{}\n\n  \r\n{\"a\": 1}\r\nlast without an end"),
            [(1, Some(2)), (4, Some(8)), (5, Some(19))]
        );
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n\n"), []);
    }

    #[test]
    fn a_line_too_long_is_refused_and_the_next_one_is_read() {
        let mut input = vec![b'x'; MAX_LINE_BYTES];
        input.extend_from_slice(b"\r\n");
        input.extend(std::iter::repeat_n(b'y', MAX_LINE_BYTES + 1));
        input.extend_from_slice(b"\n{}");
        assert_eq!(lines(&input), [(1, Some(MAX_LINE_BYTES)), (2, None), (3, Some(2))]);
    }
}
