//! Readers for the fields of one JSON object. Each reader reports what is wrong with its field and continues, so one
//! pass finds every problem of a line.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::Refusal;
use super::json::{Node, Path, Quoted};

/// The largest whole number that every JSON reader represents exactly (2⁵³ − 1); mapper modules may be written in
/// JavaScript.
const MAX_EXACT: i64 = 9_007_199_254_740_991;

/// Year 1. Earlier instants have no common text form in the two databases.
const EARLIEST_MS: i64 = -62_135_596_800_000;

/// Collects refusals and keeps the first [`Problems::KEPT`] of them.
pub(super) struct Problems {
    kept: Vec<Refusal>,
    more: usize,
    /// The time zone of dates without a time.
    zone: TimeZone,
}

impl Problems {
    const KEPT: usize = 20;

    /// Returns none, for a line whose dates are days in this time zone.
    pub(super) fn none(zone: &TimeZone) -> Self {
        Self { kept: Vec::new(), more: 0, zone: zone.clone() }
    }

    pub(super) fn report(&mut self, path: Path<'_>, message: impl fmt::Display) {
        if self.kept.len() < Self::KEPT {
            self.kept.push(Refusal { path: path.to_string(), message: message.to_string() });
        } else {
            self.more += 1;
        }
    }

    /// Returns `Err` when a problem was reported.
    pub(super) fn finish(mut self) -> Result<(), Vec<Refusal>> {
        if self.more > 0 {
            self.kept.push(Refusal::of_line(format!("and {} more problems", self.more)));
        }
        if self.kept.is_empty() { Ok(()) } else { Err(self.kept) }
    }
}

/// The maximum length of a text.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    /// In characters (Unicode scalar values).
    Chars(usize),
    /// In bytes of UTF-8.
    Bytes(usize),
}

impl Limit {
    fn excess(self, text: &str) -> Option<String> {
        match self {
            // A character has at least one byte, so most texts need no counting.
            Self::Chars(most) if text.len() > most => {
                let chars = text.chars().count();
                (chars > most).then(|| format!("must have at most {most} characters, has {chars}"))
            }
            Self::Bytes(most) if text.len() > most => {
                Some(format!("must have at most {most} bytes, has {}", text.len()))
            }
            Self::Chars(_) | Self::Bytes(_) => None,
        }
    }
}

/// An object whose fields are removed one by one.
pub(super) struct Object<'p, 'n> {
    path: &'p Path<'p>,
    fields: Vec<(Cow<'n, str>, Node<'n>)>,
}

impl<'p, 'n> Object<'p, 'n> {
    /// Opens `node` and reports unknown and repeated fields. Returns `None`, with a report, when it is not an object.
    pub(super) fn open(
        node: Node<'n>,
        path: &'p Path<'p>,
        known: &'static [&'static str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let fields = match node {
            Node::Object(fields) => fields,
            other => {
                problems.report(*path, format_args!("must be an object, got {other}"));
                return None;
            }
        };
        let mut given = vec![false; known.len()];
        for (name, _) in &fields {
            match known.iter().position(|k| k == name) {
                Some(at) if given[at] => problems.report(path.field(name), "is given twice"),
                Some(at) => given[at] = true,
                None => problems.report(path.field(name), unknown(name, known)),
            }
        }
        Some(Self { path, fields })
    }

    pub(super) fn path(&self) -> &'p Path<'p> {
        self.path
    }

    /// Removes and returns a field's value; `null` counts as absent.
    pub(super) fn take(&mut self, name: &str) -> Option<Node<'n>> {
        let (_, node) = self.fields.iter_mut().find(|(given, _)| given == name)?;
        match std::mem::replace(node, Node::Null) {
            Node::Null => None,
            node => Some(node),
        }
    }

    /// Reads an optional text.
    pub(super) fn text(&mut self, name: &str, limit: Limit, problems: &mut Problems) -> Option<String> {
        text(self.take(name)?, self.path.field(name), limit, problems)
    }

    /// Reads a required text; returns an empty text, with a report, when it is absent.
    pub(super) fn required_text(&mut self, name: &str, limit: Limit, problems: &mut Problems) -> String {
        match self.take(name) {
            Some(node) => text(node, self.path.field(name), limit, problems).unwrap_or_default(),
            None => {
                problems.report(self.path.field(name), "is required");
                String::new()
            }
        }
    }

    /// Reads an optional object with the shop's own fields, unchanged.
    pub(super) fn extra(
        &mut self,
        name: &str,
        most_bytes: usize,
        problems: &mut Problems,
    ) -> Option<Map<String, Value>> {
        let node = self.take(name)?;
        let path = self.path.field(name);
        let Node::Object(fields) = node else {
            problems.report(path, format_args!("must be an object, got {node}"));
            return None;
        };
        let object = own_object(fields, path, problems);
        let bytes = Value::Object(object.clone()).to_string().len();
        if bytes > most_bytes {
            problems.report(path, format_args!("must have at most {most_bytes} bytes as JSON, has {bytes}"));
        }
        Some(object)
    }

    /// Reads an optional id: 1 to 100 characters that can be printed in a log line.
    pub(super) fn id(&mut self, name: &str, problems: &mut Problems) -> Option<String> {
        let id = self.text(name, Limit::Chars(100), problems)?;
        let message = if id.trim().is_empty() {
            "must not be blank"
        } else if id.chars().any(char::is_control) {
            "must not contain control characters"
        } else {
            return Some(id);
        };
        problems.report(self.path.field(name), message);
        None
    }

    /// Reads a required id; returns an empty text, with a report, when it is absent.
    pub(super) fn required_id(&mut self, name: &str, problems: &mut Problems) -> String {
        if self.fields.iter().any(|(given, node)| given == name && !matches!(node, Node::Null)) {
            return self.id(name, problems).unwrap_or_default();
        }
        problems.report(self.path.field(name), "is required");
        String::new()
    }

    /// Reads a required word out of a few permitted words; returns an empty text, with a report, when it is absent.
    pub(super) fn choice(&mut self, name: &str, words: &[&str], problems: &mut Problems) -> String {
        let node = self.take(name);
        if let Some(Node::Text(text)) = &node
            && words.contains(&text.as_ref())
        {
            return text.clone().into_owned();
        }
        let words = words.join(" or ");
        let path = self.path.field(name);
        match node {
            Some(node) => problems.report(path, format_args!("must be {words}, got {node}")),
            None => problems.report(path, format_args!("is required: {words}")),
        }
        String::new()
    }

    /// Reads an optional word out of a few permitted words.
    pub(super) fn optional_choice(&mut self, name: &str, words: &[&str], problems: &mut Problems) -> Option<String> {
        let node = self.take(name)?;
        if let Node::Text(text) = &node
            && words.contains(&text.as_ref())
        {
            return Some(text.clone().into_owned());
        }
        problems.report(self.path.field(name), format_args!("must be {}, got {node}", words.join(" or ")));
        None
    }

    /// Reads an optional currency, in any case.
    pub(super) fn currency(&mut self, name: &str, problems: &mut Problems) -> Option<String> {
        let node = self.take(name)?;
        if let Node::Text(text) = &node {
            let code = text.trim().to_ascii_uppercase();
            if mapper_core::minor_units(&code).is_some() {
                return Some(code);
            }
        }
        let message = format_args!("must be a currency code of ISO 4217 such as INR, got {node}");
        problems.report(self.path.field(name), message);
        None
    }

    /// Reads an optional price in subunits.
    pub(super) fn price(&mut self, name: &str, problems: &mut Problems) -> Option<i64> {
        const WHAT: &str = "must be a whole number of subunits (paise, cents)";
        let amount = whole(self.take(name)?, self.path.field(name), WHAT, problems)?;
        if amount < 0 {
            let message = format_args!("must not be negative, got {amount}");
            problems.report(self.path.field(name), message);
            return None;
        }
        Some(amount)
    }

    /// Reads a number of units; 0 when absent. Negative stock is valid data.
    pub(super) fn quantity(&mut self, name: &str, problems: &mut Problems) -> i64 {
        const WHAT: &str = "must be a whole number of units";
        let node = self.take(name);
        node.and_then(|node| whole(node, self.path.field(name), WHAT, problems)).unwrap_or(0)
    }

    /// Reads a boolean; `default` when absent.
    pub(super) fn flag(&mut self, name: &str, default: bool, problems: &mut Problems) -> bool {
        match self.take(name) {
            None => default,
            Some(Node::Bool(value)) => value,
            Some(other) => {
                let message = format_args!("must be true or false, got {other}");
                problems.report(self.path.field(name), message);
                default
            }
        }
    }

    /// Reads an optional instant, in milliseconds since the Unix epoch. A date alone means its first instant.
    pub(super) fn time(&mut self, name: &str, problems: &mut Problems) -> Option<i64> {
        self.instant(name, Edge::First, problems)
    }

    /// Reads an optional instant that ends something and is not part of it. A date alone means the first instant after it,
    /// so the whole day is part of what ends.
    pub(super) fn end(&mut self, name: &str, problems: &mut Problems) -> Option<i64> {
        self.instant(name, Edge::After, problems)
    }

    fn instant(&mut self, name: &str, edge: Edge, problems: &mut Problems) -> Option<i64> {
        let node = self.take(name)?;
        let time = match &node {
            Node::Integer(ms) => Timestamp::from_millisecond(*ms).ok(),
            Node::Text(text) => instant(text, edge, &problems.zone),
            _ => None,
        };
        let ms = time.map(Timestamp::as_millisecond).filter(|ms| *ms >= EARLIEST_MS);
        if ms.is_none() {
            problems.report(
                self.path.field(name),
                format_args!(
                    "must be a time with its offset (2026-01-31T09:00:00+05:30), a date \
                     (2026-01-31, the whole day in the setting time_zone) or whole milliseconds since 1970, \
                     within the years 1 to 9999; got {node}"
                ),
            );
        }
        ms
    }

    /// Reads the elements of a list; no elements when it is absent. Returns no elements, with a report, when there are
    /// more than `most`.
    pub(super) fn list(&mut self, name: &str, most: usize, problems: &mut Problems) -> Vec<Node<'n>> {
        let message = match self.take(name) {
            None => return Vec::new(),
            Some(Node::List(nodes)) if nodes.len() <= most => return nodes,
            Some(Node::List(nodes)) => {
                format!("must have at most {most} elements, has {}", nodes.len())
            }
            Some(other) => format!("must be a list, got {other}"),
        };
        problems.report(self.path.field(name), message);
        Vec::new()
    }

    /// Reads a list of texts; empty when absent.
    pub(super) fn texts(&mut self, name: &str, most: usize, limit: Limit, problems: &mut Problems) -> Vec<String> {
        let nodes = self.list(name, most, problems);
        let path = self.path.field(name);
        let texts = nodes.into_iter().enumerate();
        texts.filter_map(|(at, node)| text(node, path.index(at), limit, problems)).collect()
    }
}

/// Reads a text that both databases can store.
pub(super) fn text(node: Node<'_>, path: Path<'_>, limit: Limit, problems: &mut Problems) -> Option<String> {
    let text = match node {
        Node::Text(text) => text,
        other => {
            problems.report(path, format_args!("must be a string, got {other}"));
            return None;
        }
    };
    if let Some(message) = limit.excess(&text) {
        problems.report(path, message);
        return None;
    }
    if text.contains('\0') {
        problems.report(path, "must not contain the NUL character (\\u0000): PostgreSQL cannot hold it");
        return None;
    }
    Some(text.into_owned())
}

fn whole(node: Node<'_>, path: Path<'_>, what: &str, problems: &mut Problems) -> Option<i64> {
    match node {
        Node::Integer(value) if (-MAX_EXACT..=MAX_EXACT).contains(&value) => Some(value),
        Node::Integer(value) => {
            problems.report(path, format_args!("must be within ±{MAX_EXACT}, got {value}"));
            None
        }
        other => {
            problems.report(path, format_args!("{what}, got {other}"));
            None
        }
    }
}

/// An end of a day.
#[derive(Clone, Copy)]
enum Edge {
    /// Its first instant.
    First,
    /// The first instant after it.
    After,
}

/// Parses an instant. A date without a time means a day in the time zone; every other form must contain its offset.
fn instant(text: &str, edge: Edge, zone: &TimeZone) -> Option<Timestamp> {
    let date_alone = text.len() == "2026-01-31".len();
    if !date_alone {
        return text.parse().ok();
    }
    let day: Date = text.parse().ok()?;
    let day = match edge {
        Edge::First => day,
        // The last day of the calendar has no day after it.
        Edge::After => day.tomorrow().ok()?,
    };
    // Where a day begins with a change of the clocks, its first instant is the one after it.
    zone.to_timestamp(day.to_datetime(Time::midnight())).ok()
}

/// Returns the message for a field that is not in `known`, with the likely field name when the two differ only in case
/// or separators (`special_price`).
fn unknown(name: &str, known: &[&str]) -> String {
    let folded =
        |name: &str| -> String { name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    let wanted = folded(name);
    match known.iter().find(|k| folded(k) == wanted) {
        Some(meant) => format!("is not a known field; write {}", Quoted(meant)),
        None => format!("is not a known field; known fields are {}", known.join(", ")),
    }
}

fn own_object(fields: Vec<(Cow<'_, str>, Node<'_>)>, path: Path<'_>, problems: &mut Problems) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, node) in fields {
        let path = path.field(&name);
        if object.contains_key(name.as_ref()) {
            problems.report(path, "is given twice");
            continue;
        }
        let value = own_value(node, path, problems);
        object.insert(name.into_owned(), value);
    }
    object
}

fn own_value(node: Node<'_>, path: Path<'_>, problems: &mut Problems) -> Value {
    match node {
        Node::Null => Value::Null,
        Node::Bool(flag) => flag.into(),
        Node::Integer(number) => number.into(),
        Node::Number(number) => number.into(),
        Node::Text(text) => text.into(),
        Node::List(nodes) => {
            nodes.into_iter().enumerate().map(|(at, node)| own_value(node, path.index(at), problems)).collect()
        }
        Node::Object(fields) => own_object(fields, path, problems).into(),
    }
}
