//! Rows of a CSV file, in bounded memory.
//!
//! A quote that is not closed makes the rest of a file one cell: a row has a most size, and one that ends too early is
//! refused. Comma, semicolon (Excel in Europe) and tab separate cells; the header line tells which.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, Read, Seek, SeekFrom};

use crate::intake::import::line::{MAX_LINE_BYTES, Refusal};

/// Names of columns and options that mean others, from lower case: `färg` to `color`.
pub type Names = HashMap<String, String>;

const MAX_COLUMNS: usize = 10_000;

/// Reads rows by the names of their columns.
#[derive(Debug)]
pub struct Table<R> {
    rows: csv::Reader<Bounded<R>>,
    columns: HashMap<String, usize>,
    /// Names of several columns.
    twice: HashSet<String>,
    /// The number of columns.
    width: usize,
    /// Whether a column was renamed.
    is_renamed: bool,
    /// The bytes before what the reader counts.
    mark: u64,
}

/// One row.
#[derive(Debug)]
pub struct Row {
    /// The line on which it begins, counted from 1.
    pub line: u64,
    /// The offset of its first byte, for [`Table::go_to`].
    pub at: u64,
    /// The number of bytes of its cells.
    pub bytes: usize,
    /// The cells. What is not UTF-8 in them is replaced.
    pub cells: csv::StringRecord,
    /// Why the cells cannot be trusted.
    pub wrong: Option<Refusal>,
}

impl<R: BufRead> Table<R> {
    /// Reads the header line. `names` renames columns.
    ///
    /// # Errors
    /// When reading fails or the file is no CSV file with a header line in UTF-8.
    pub fn open(mut input: R, names: &Names) -> io::Result<Self> {
        let start = input.fill_buf()?;
        if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
            return Err(invalid("the file is UTF-16; save it as “CSV UTF-8”"));
        }
        let mark = if start.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let delimiter = delimiter(&start[mark..]);
        input.consume(mark);
        let bounded = Bounded { input, left: MAX_LINE_BYTES, read: mark as u64, has_ended: false };
        let mut rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            // Otherwise a line end of two bytes ends the row at its first one, and the next row counts a line too few.
            // The carriage return falls away with the blanks around a cell.
            .terminator(csv::Terminator::Any(b'\n'))
            .buffer_capacity(BUFFER)
            .from_reader(bounded);
        let mut header = csv::ByteRecord::new();
        if !rows.read_byte_record(&mut header).map_err(failed)? {
            return Err(invalid("the file is empty; its first line must have the names of the columns"));
        }
        let header = csv::StringRecord::from_byte_record(header)
            .map_err(|_| invalid("the header line is not UTF-8; save the file as “CSV UTF-8”"))?;
        let width = header.len();
        if width > MAX_COLUMNS {
            return Err(invalid(&format!(
                "the header line has {width} columns; at most {MAX_COLUMNS} are allowed, so export fewer"
            )));
        }
        let (mut columns, mut twice, mut is_renamed) = (HashMap::new(), HashSet::new(), false);
        for (at, name) in header.iter().enumerate() {
            let mut name = name.trim().to_lowercase();
            if let Some(to) = names.get(&name) {
                name = to.to_lowercase();
                is_renamed = true;
            }
            if !name.is_empty() && columns.insert(name.clone(), at).is_some() {
                twice.insert(name);
            }
        }
        Ok(Self { rows, columns, twice, width, is_renamed, mark: mark as u64 })
    }

    /// Returns the number of the first of these columns that the file has. Names are in lower case.
    ///
    /// # Errors
    /// When the file has that column twice: which one counts is not known. Columns that nobody asks for may repeat.
    pub fn column(&self, names: &[&str]) -> io::Result<Option<usize>> {
        let Some(name) = names.iter().find(|name| self.columns.contains_key(**name)) else { return Ok(None) };
        if self.twice.contains(*name) {
            return Err(invalid(&format!("the column “{name}” is there twice; delete or rename one of the two")));
        }
        Ok(self.columns.get(*name).copied())
    }

    /// Whether a name of the operator's renamed a column, as for a file in another language.
    #[must_use]
    pub fn is_renamed(&self) -> bool {
        self.is_renamed
    }

    /// Returns the next row that is not blank; `None` at the end.
    ///
    /// # Errors
    /// When reading fails or a row is too long.
    pub fn next_row(&mut self) -> io::Result<Option<Row>> {
        let mut cells = csv::ByteRecord::new();
        loop {
            let line = self.rows.position().line();
            self.rows.get_mut().left = MAX_LINE_BYTES;
            match self.rows.read_byte_record(&mut cells) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => {
                    let error = failed(error);
                    return Err(io::Error::new(error.kind(), format!("the row that begins on line {line}: {error}")));
                }
            }
            if cells.iter().all(|cell| cell.trim_ascii().is_empty()) {
                continue;
            }
            let line = cells.position().map_or(line, csv::Position::line);
            let at = cells.position().map_or(0, csv::Position::byte);
            let bytes = cells.as_slice().len();
            let (cells, wrong) = match csv::StringRecord::from_byte_record(cells) {
                Ok(cells) => {
                    let wrong = self.uneven(&cells);
                    (cells, wrong)
                }
                Err(error) => {
                    let column = error.utf8_error().field() + 1;
                    let message = format!("column {column} is not UTF-8; save the file as “CSV UTF-8”");
                    (
                        csv::StringRecord::from_byte_record_lossy(error.into_byte_record()),
                        Some(Refusal::of_line(message)),
                    )
                }
            };
            return Ok(Some(Row { line, at, bytes, cells, wrong }));
        }
    }

    /// Returns why a row is not what its writer meant. Cells that are left out at its end are empty, unless the row shows
    /// that a quote in it is open, or that the file was cut.
    fn uneven(&self, cells: &csv::StringRecord) -> Option<Refusal> {
        let (count, width) = (cells.len(), self.width);
        let has_more = cells.iter().skip(width).any(|cell| !cell.trim().is_empty());
        let is_cut = count < width && self.rows.get_ref().has_ended;
        let has_break = count < width && cells.iter().any(|cell| cell.trim().contains('\n'));
        let reason = if has_more {
            "is a comma in a cell without quotes around it?"
        } else if is_cut {
            "it is the last row: is a quote not closed or not doubled, or was the file cut short?"
        } else if has_break {
            "is a quote not closed or not doubled?"
        } else {
            return None;
        };
        Some(Refusal::of_line(format!("the row has {count} cells and the header line {width}; {reason}")))
    }

    /// Returns the number of bytes read so far.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.rows.get_ref().read
    }
}

impl<R: BufRead + Seek> Table<R> {
    /// Goes back, or on, to the row that begins here.
    ///
    /// # Errors
    /// When seeking fails.
    pub fn go_to(&mut self, at: u64, line: u64) -> io::Result<()> {
        if self.rows.position().byte() == at {
            return Ok(());
        }
        let mut position = csv::Position::new();
        position.set_byte(at).set_line(line);
        self.rows.get_mut().left = MAX_LINE_BYTES;
        self.rows.seek_raw(SeekFrom::Start(at + self.mark), position).map_err(failed)
    }
}

const BUFFER: usize = 64 * 1024;

/// Fails when a row takes more bytes than allowed.
#[derive(Debug)]
struct Bounded<R> {
    input: R,
    left: usize,
    read: u64,
    /// Whether the end of the file was met. It is met within a row only when no line end closes it.
    has_ended: bool,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let message =
                format!("it has more than {MAX_LINE_BYTES} bytes; is a quote (\") in it not closed or not doubled?");
            return Err(invalid(&message));
        }
        let read = self.input.read(buffer)?;
        self.left = self.left.saturating_sub(read);
        self.read += read as u64;
        self.has_ended = read == 0;
        Ok(read)
    }
}

impl<R: Seek> Seek for Bounded<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.has_ended = false;
        self.input.seek(to)
    }
}

/// The most frequent separator of the header line outside quotes.
fn delimiter(start: &[u8]) -> u8 {
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    for byte in start {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            _ if quoted => {}
            byte => counts.iter_mut().filter(|(d, _)| d == byte).for_each(|(_, count)| *count += 1),
        }
    }
    // The first of equals is the comma.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

fn failed(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => invalid(&format!("{other:?}")),
    }
}

pub(super) fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.to_owned())
}
