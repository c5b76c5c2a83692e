//! Elements of an XML file, in bounded memory, with the lines on which they begin.
//!
//! Hostile files are refused: a document type, an entity of its own, another encoding than UTF-8, an element without an
//! end. A feed's fields are known by their own names; of two with one name, the [`Origin`] tells which one counts.

use std::borrow::Cow;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

use quick_xml::Reader;
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::table::invalid;
use crate::intake::import::line::MAX_LINE_BYTES;
use crate::report::clip;

/// The deepest nesting of elements in a feed.
const MAX_DEPTH: usize = 50;

/// The namespace of Google's product data.
const GOOGLE: &str = "http://base.google.com/ns/1.0";

/// Whose field it is, by the prefix of its name. The first counts more than the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// Google's.
    Google,
    /// It has no prefix.
    #[default]
    Feed,
    /// It has another prefix.
    Other,
}

impl Origin {
    fn of(start: &BytesStart<'_>, google: &str) -> Self {
        match start.name().prefix() {
            None => Self::Feed,
            Some(prefix) if prefix.as_ref() == google => Self::Google,
            Some(_) => Self::Other,
        }
    }
}

/// A field of an item: its name, its text, and the fields within it.
#[derive(Debug, Default)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) text: String,
    pub(super) parts: Vec<(String, String)>,
}

/// The fields of an item.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) fields: Vec<Field>,
    /// Whether there were more than [`MAX_LINE_BYTES`]; the rest is left out.
    pub(super) is_too_long: bool,
    /// The number of bytes read.
    pub(super) bytes: u64,
}

/// Counts bytes and lines, and bounds what one piece of markup may take.
#[derive(Debug)]
pub(super) struct Counting<R> {
    input: R,
    /// The offset of the next byte.
    pub(super) at: u64,
    /// The line of the next byte, counted from 1.
    pub(super) line: u64,
    left: usize,
    /// The prefix of Google's fields.
    google: String,
}

impl<R: BufRead + Seek> Counting<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, at: 0, line: 1, left: MAX_LINE_BYTES, google: "g".into() }
    }

    pub(super) fn go_to(&mut self, at: u64, line: u64) -> io::Result<()> {
        if self.at != at {
            self.input.seek(SeekFrom::Start(at))?;
        }
        (self.at, self.line) = (at, line);
        Ok(())
    }
}

impl<R: BufRead> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counting<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            let message = format!("a text or tag has more than {MAX_LINE_BYTES} bytes; is a tag not closed?");
            return Err(invalid(&message));
        }
        self.input.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if let Ok(buffer) = self.input.fill_buf() {
            let lines = buffer.iter().take(count).filter(|byte| **byte == b'\n').count();
            self.line += lines as u64;
        }
        self.input.consume(count);
        self.at += count as u64;
        self.left = self.left.saturating_sub(count);
    }
}

/// Calls `each` for the content of every item, which it has to read with [`fields`]. An item is an element `item` of RSS or
/// `entry` of Atom. Returns an error for what is no feed.
pub(super) fn items<R: BufRead + Seek>(
    input: &mut Counting<R>,
    mut each: impl FnMut(Fields, u64, u64),
) -> io::Result<()> {
    let mut reader = Reader::from_reader(input);
    let (mut depth, mut has_element, mut buffer) = (0_usize, false, Vec::new());
    loop {
        match next(&mut reader, &mut buffer)? {
            Event::Start(start) => {
                has_element = true;
                let (at, line) = (reader.get_ref().at, reader.get_ref().line);
                if is_item(&start) {
                    let fields = fields(&mut reader)?;
                    each(fields, at, line);
                } else {
                    if let Some(prefix) = google_prefix(&start) {
                        reader.get_mut().google = prefix;
                    }
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(place(reader.get_ref(), "elements are nested too deeply"));
                    }
                }
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Empty(_) => has_element = true,
            Event::Decl(declaration) => {
                if let Some(Ok(encoding)) = declaration.encoding()
                    && !encoding.eq_ignore_ascii_case("utf-8")
                {
                    return Err(invalid(&format!("the file says that it is {encoding}; save it as UTF-8")));
                }
            }
            Event::Eof if depth > 0 => return Err(place(reader.get_ref(), "the file ends within an element")),
            Event::Eof if !has_element => return Err(invalid("the file has no element; it must be a feed in XML")),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// Reads the item whose content begins here.
pub(super) fn fields_at<R: BufRead + Seek>(input: &mut Counting<R>) -> io::Result<Fields> {
    let mut reader = Reader::from_reader(input);
    // The reader has not seen the start of the item.
    reader.config_mut().allow_unmatched_ends = true;
    fields(&mut reader)
}

/// Returns the prefix that an element gives to Google's namespace.
fn google_prefix(start: &BytesStart<'_>) -> Option<String> {
    start.attributes().flatten().find_map(|attribute| {
        let prefix = attribute.key.as_ref().strip_prefix("xmlns:")?;
        (attribute.value.trim_end_matches('/') == GOOGLE).then(|| prefix.to_owned())
    })
}

fn is_item(start: &BytesStart<'_>) -> bool {
    matches!(start.local_name().as_ref(), "item" | "entry")
}

/// Reads the fields up to the end of the item.
fn fields<R: BufRead + Seek>(reader: &mut Reader<&mut Counting<R>>) -> io::Result<Fields> {
    let begun = reader.get_ref().at;
    let mut item = Fields::default();
    let (mut open, mut depth, mut buffer): (Field, usize, Vec<u8>) = (Field::default(), 0, Vec::new());
    let mut bytes = 0_usize;
    loop {
        let event = next(reader, &mut buffer)?;
        let text = match &event {
            Event::Start(start) | Event::Empty(start) => {
                let name = start.local_name().as_ref().to_lowercase();
                bytes += name.len();
                match depth {
                    0 => {
                        open = Field {
                            name,
                            origin: Origin::of(start, &reader.get_ref().google),
                            text: href(start),
                            parts: Vec::new(),
                        }
                    }
                    1 => open.parts.push((name, String::new())),
                    MAX_DEPTH.. => return Err(place(reader.get_ref(), "elements are nested too deeply")),
                    _ => {}
                }
                if matches!(event, Event::Start(_)) {
                    depth += 1;
                } else if depth == 0 {
                    item.fields.push(std::mem::take(&mut open));
                }
                continue;
            }
            Event::End(_) if depth == 0 => {
                item.bytes = reader.get_ref().at - begun;
                return Ok(item);
            }
            Event::End(_) => {
                depth -= 1;
                if depth == 0 {
                    item.fields.push(std::mem::take(&mut open));
                }
                continue;
            }
            Event::Text(text) => text.xml10_content().into_owned(),
            Event::CData(text) => text.xml10_content().into_owned(),
            Event::GeneralRef(reference) => match resolved(reference) {
                Some(text) => text,
                None => {
                    let name = reference.xml10_content();
                    let message = format!(
                        "XML does not know the entity &{};. Write the character itself, or its number as in &#160;",
                        clip(&name, 40)
                    );
                    return Err(place(reader.get_ref(), &message));
                }
            },
            Event::Eof => return Err(place(reader.get_ref(), "the file ends within an item")),
            _ => continue,
        };
        bytes = bytes.saturating_add(text.len());
        if bytes > MAX_LINE_BYTES {
            item.is_too_long = true;
            continue;
        }
        match depth {
            1 => open.text.push_str(&text),
            2 => open.parts.last_mut().into_iter().for_each(|(_, part)| part.push_str(&text)),
            _ => {}
        }
    }
}

/// Atom writes a link as an attribute.
fn href(start: &BytesStart<'_>) -> String {
    let attribute = start.try_get_attribute("href").ok().flatten();
    let Some(attribute) = attribute else { return String::new() };
    unescape(&attribute.value).map_or_else(|_| attribute.value.to_string(), Cow::into_owned)
}

fn resolved(reference: &BytesRef<'_>) -> Option<String> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => Some(character.to_string()),
        Ok(None) => resolve_predefined_entity(&reference.xml10_content()).map(str::to_owned),
        Err(_) => None,
    }
}

fn next<'b, R: BufRead + Seek>(
    reader: &mut Reader<&mut Counting<R>>,
    buffer: &'b mut Vec<u8>,
) -> io::Result<Event<'b>> {
    buffer.clear();
    reader.get_mut().left = MAX_LINE_BYTES;
    match reader.read_event_into(buffer) {
        Ok(Event::DocType(_)) => {
            Err(place(reader.get_ref(), "a document type (<!DOCTYPE …>) is not taken; leave it out"))
        }
        Ok(event) => Ok(event),
        Err(quick_xml::Error::Io(error)) => Err(place(reader.get_ref(), &error.to_string())),
        Err(error) => Err(place(reader.get_ref(), &format!("not well-formed XML: {error}"))),
    }
}

fn place<R>(input: &Counting<R>, message: &str) -> io::Error {
    invalid(&format!("line {}: {message}", input.line))
}
