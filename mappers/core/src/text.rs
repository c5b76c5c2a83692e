//! Cleaning and cutting text.
//!
//! Two kinds of text come in. A *line* (title, brand, option value …) is taken as it is written: ends
//! trimmed, control characters out, a run of line breaks and tabs one blank. *Markup* (description,
//! subtitle) may be HTML: it is tokenized by the WHATWG rules, so entities are decoded exactly once,
//! `5 < 10` survives, block tags separate words, and what a browser never shows (script, style,
//! comments) is gone with its content; then white space collapses to single blanks.
//!
//! Promises: neither control characters nor byte order marks come out; text of nothing but blanks and
//! zero-width characters comes out empty; a cut never splits a grapheme cluster; input that needs no
//! change is borrowed, and input without `<` and `&` never meets the tokenizer.
//!
//! Left out on purpose: an escaped tag (`&lt;b&gt;`) is text that its author wanted to be read, so it is
//! not stripped a second time ([`looks_like_markup`] lets the caller warn); no ellipsis, no change of
//! case, no transliteration, no normalisation.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use html5ever::{LocalName, local_name};
use unicode_segmentation::GraphemeCursor;

use crate::trace::branch;

/// Cleans a single-line text. Inner blanks stay as they are.
pub(crate) fn line(raw: &str) -> Cow<'_, str> {
    let trimmed = raw.trim();
    if !trimmed.chars().any(|c| is_dropped(c) || is_break(c)) {
        return if is_unseen(trimmed) { Cow::Borrowed("") } else { Cow::Borrowed(trimmed) };
    }
    branch!("text.control_characters");
    let mut out = String::with_capacity(trimmed.len());
    for c in trimmed.chars() {
        if is_break(c) {
            if !out.ends_with(' ') {
                out.push(' ');
            }
        } else if !is_dropped(c) {
            out.push(c);
        }
    }
    let kept = out.trim();
    if is_unseen(kept) { Cow::Borrowed("") } else { Cow::Owned(kept.to_owned()) }
}

/// [`line()`] of a value that may be missing; empty counts as missing.
pub(crate) fn optional_line(raw: Option<&str>) -> Option<Cow<'_, str>> {
    raw.map(line).filter(|text| !text.is_empty())
}

/// A code as a spreadsheet exports it, without what only keeps it text there: a leading apostrophe, or `="…"` around it.
pub(crate) fn unquoted(raw: &str) -> &str {
    let raw = raw.trim();
    if let Some(inner) = raw.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')) {
        branch!("text.spreadsheet_formula");
        return inner.trim();
    }
    let inner = raw.strip_prefix(['\'', '\u{2019}', '\u{2018}']);
    if inner.is_some() {
        branch!("text.spreadsheet_apostrophe");
    }
    inner.map_or(raw, str::trim_start)
}

/// Cleans a text that may be HTML.
pub(crate) fn markup(raw: &str) -> Cow<'_, str> {
    if raw.contains(['<', '&']) {
        branch!("text.tokenized");
        Cow::Owned(tokenize(raw))
    } else if is_collapsed(raw) {
        branch!("text.plain");
        if is_unseen(raw) { Cow::Borrowed("") } else { Cow::Borrowed(raw) }
    } else {
        branch!("text.collapsed");
        let mut out = Collapser::with_capacity(raw.len());
        out.push_str(raw);
        Cow::Owned(out.finish())
    }
}

/// The longest prefix of at most `limit` characters that ends between grapheme clusters, its end
/// trimmed. Empty if the first cluster alone is longer.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    // A text of so many bytes cannot have more characters.
    if text.len() <= limit {
        return text;
    }
    let Some((limit_at, _)) = text.char_indices().nth(limit) else {
        return text;
    };
    text[..cluster_start(text, limit_at)].trim_end()
}

/// [`cut`] that keeps a borrow a borrow. The flag says whether something was lost.
pub(crate) fn cut_cow(text: Cow<'_, str>, limit: usize) -> (Cow<'_, str>, bool) {
    let kept = cut(&text, limit).len();
    if kept == text.len() {
        return (text, false);
    }
    match text {
        Cow::Borrowed(text) => (Cow::Borrowed(&text[..kept]), true),
        Cow::Owned(mut text) => {
            text.truncate(kept);
            (Cow::Owned(text), true)
        }
    }
}

/// Whether a reader would take part of this text for an HTML tag, as Meta's checks do.
pub(crate) fn looks_like_markup(text: &str) -> bool {
    let Some(last_end) = text.rfind('>') else {
        return false;
    };
    text[..last_end].match_indices('<').any(|(at, _)| {
        let inside = &text[at + 1..last_end];
        let name = inside.strip_prefix('/').unwrap_or(inside);
        name.starts_with(|c: char| c.is_ascii_alphabetic())
    })
}

/// Whether a text that is not read as HTML carries a character reference such as `&amp;` or `&#39;`.
pub(crate) fn has_entity(text: &str) -> bool {
    text.match_indices('&').any(|(at, _)| {
        // No reference is longer, and looking further for each sign would take quadratic time.
        let window = &text.as_bytes()[at + 1..text.len().min(at + 34)];
        let end = window.iter().position(|byte| *byte == b';').unwrap_or(0);
        let name = std::str::from_utf8(&window[..end]).unwrap_or("");
        let digits = name.strip_prefix('#').unwrap_or(name);
        !digits.is_empty() && name.len() <= 31 && digits.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

/// The start of the cluster that holds byte `at`, or `at` itself if a cluster starts there.
fn cluster_start(text: &str, at: usize) -> usize {
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    // The whole text is the one chunk, so the cursor never asks for more context.
    if cursor.is_boundary(text, 0).unwrap_or(false) {
        return at;
    }
    cursor.prev_boundary(text, 0).ok().flatten().unwrap_or(0)
}

/// Control characters have no place on the wire; a byte order mark inside a text is a leftover.
pub(crate) fn is_dropped(c: char) -> bool {
    c.is_control() || c == '\u{feff}'
}

/// White space that would break a line or is a control character.
fn is_break(c: char) -> bool {
    matches!(c, '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Nothing a reader could see: blanks, zero-width characters, soft hyphens, direction marks.
fn is_unseen(text: &str) -> bool {
    text.chars().all(|c| {
        c.is_whitespace()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}')
    })
}

/// Whether collapsing would change nothing.
fn is_collapsed(text: &str) -> bool {
    let mut after_blank = true;
    for c in text.chars() {
        if c == ' ' {
            if after_blank {
                return false;
            }
            after_blank = true;
        } else if c.is_whitespace() || is_dropped(c) {
            return false;
        } else {
            after_blank = false;
        }
    }
    text.is_empty() || !after_blank
}

/// Writes text with every run of white space as one blank and none at the ends.
struct Collapser {
    out: String,
    gap: bool,
}

impl Collapser {
    fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes), gap: false }
    }

    fn push_str(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if c.is_whitespace() || is_dropped(c) {
                self.gap |= c.is_whitespace();
                rest = &rest[c.len_utf8()..];
                continue;
            }
            if self.gap && !self.out.is_empty() {
                self.out.push(' ');
            }
            self.gap = false;
            let end = rest.find(|c: char| c.is_whitespace() || is_dropped(c));
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            self.out.push_str(word);
            rest = after;
        }
    }

    fn finish(self) -> String {
        if is_unseen(&self.out) { String::new() } else { self.out }
    }
}

/// Takes the tokens of a document and keeps its visible text.
struct TextSink {
    text: RefCell<Collapser>,
    /// Inside an element whose content nobody sees. The tokenizer itself finds its end: in a raw text
    /// state it answers with characters only, until the matching end tag.
    hidden: Cell<bool>,
}

impl TokenSink for TextSink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            Token::CharacterTokens(text) if !self.hidden.get() => {
                self.text.borrow_mut().push_str(&text);
            }
            Token::TagToken(tag) => return self.process_tag(&tag),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl TextSink {
    fn process_tag(&self, tag: &Tag) -> TokenSinkResult<()> {
        self.hidden.set(false);
        if is_block(&tag.name) {
            branch!("text.block_tag");
            self.text.borrow_mut().gap = true;
        }
        if tag.kind == TagKind::EndTag {
            return TokenSinkResult::Continue;
        }
        let (kind, hidden) = match tag.name {
            local_name!("script") => (RawKind::ScriptData, true),
            local_name!("style") | local_name!("iframe") | local_name!("noembed") | local_name!("noframes") => {
                (RawKind::Rawtext, true)
            }
            local_name!("title") => (RawKind::Rcdata, true),
            local_name!("textarea") => (RawKind::Rcdata, false),
            local_name!("xmp") => (RawKind::Rawtext, false),
            _ => return TokenSinkResult::Continue,
        };
        if hidden {
            branch!("text.hidden_element");
        }
        self.hidden.set(hidden);
        TokenSinkResult::RawData(kind)
    }
}

/// Elements that a browser sets apart from their neighbours.
fn is_block(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("address")
            | local_name!("article")
            | local_name!("aside")
            | local_name!("blockquote")
            | local_name!("body")
            | local_name!("br")
            | local_name!("caption")
            | local_name!("center")
            | local_name!("dd")
            | local_name!("details")
            | local_name!("dialog")
            | local_name!("dir")
            | local_name!("div")
            | local_name!("dl")
            | local_name!("dt")
            | local_name!("fieldset")
            | local_name!("figcaption")
            | local_name!("figure")
            | local_name!("footer")
            | local_name!("form")
            | local_name!("h1")
            | local_name!("h2")
            | local_name!("h3")
            | local_name!("h4")
            | local_name!("h5")
            | local_name!("h6")
            | local_name!("head")
            | local_name!("header")
            | local_name!("hgroup")
            | local_name!("hr")
            | local_name!("html")
            | local_name!("legend")
            | local_name!("li")
            | local_name!("main")
            | local_name!("menu")
            | local_name!("nav")
            | local_name!("ol")
            | local_name!("optgroup")
            | local_name!("option")
            | local_name!("p")
            | local_name!("pre")
            | local_name!("section")
            | local_name!("summary")
            | local_name!("table")
            | local_name!("tbody")
            | local_name!("td")
            | local_name!("textarea")
            | local_name!("tfoot")
            | local_name!("th")
            | local_name!("thead")
            | local_name!("title")
            | local_name!("tr")
            | local_name!("ul")
            | local_name!("xmp")
    )
}

fn tokenize(raw: &str) -> String {
    let sink = TextSink { text: RefCell::new(Collapser::with_capacity(raw.len())), hidden: Cell::new(false) };
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(raw));
    // The sink never asks for a script to be run, so one feed takes all of the input.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.text.into_inner().finish()
}
