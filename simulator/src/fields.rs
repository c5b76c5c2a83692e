//! Field expansion: `id,name,owned_product_catalogs.limit(50){id,name}`.
//!
//! This module only parses the text. The renderer decides which names a node knows.

use crate::errors::{GraphError, Result};

/// One asked-for field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// `.limit(50)` and the like, in order.
    pub(crate) modifiers: Vec<(String, String)>,
    /// Fields in braces; `None` when there are no braces.
    pub(crate) sub: Option<Vec<Field>>,
}

impl Field {
    pub(crate) fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), modifiers: Vec::new(), sub: None }
    }

    pub(crate) fn modifier(&self, name: &str) -> Option<&str> {
        self.modifiers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Reads the value of `fields`.
///
/// # Errors
/// Code 2500 when the text is not well formed.
pub(crate) fn parse(text: &str) -> Result<Vec<Field>> {
    let mut reader = Reader { text, at: 0 };
    let fields = reader.list(0)?;
    if reader.at < text.len() {
        return Err(reader.broken());
    }
    Ok(fields)
}

/// Deepest nesting that is parsed; Graph has its own limit, this one bounds the recursion.
const MAX_DEPTH: usize = 8;

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn broken(&self) -> GraphError {
        let near = self.text.get(self.at..).unwrap_or_default().chars().take(20).collect::<String>();
        GraphError::new(2500, format!("Syntax error \"Unexpected end or character\" at character {}: {near}", self.at))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn name(&mut self) -> Result<String> {
        self.skip_blanks();
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.at += 1;
        }
        let name = self.text[from..self.at].to_owned();
        self.skip_blanks();
        if name.is_empty() { Err(self.broken()) } else { Ok(name) }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Field>> {
        let mut fields = vec![self.field(depth)?];
        while self.peek() == Some(b',') {
            self.at += 1;
            fields.push(self.field(depth)?);
        }
        Ok(fields)
    }

    fn field(&mut self, depth: usize) -> Result<Field> {
        if depth >= MAX_DEPTH {
            return Err(self.broken());
        }
        let mut field = Field { name: self.name()?, modifiers: Vec::new(), sub: None };
        loop {
            match self.peek() {
                Some(b'.') => {
                    self.at += 1;
                    let name = self.name()?;
                    let value = self.argument()?;
                    field.modifiers.push((name, value));
                }
                Some(b'{') if field.sub.is_none() => {
                    self.at += 1;
                    field.sub = Some(self.list(depth + 1)?);
                    if self.peek() != Some(b'}') {
                        return Err(self.broken());
                    }
                    self.at += 1;
                    self.skip_blanks();
                }
                _ => return Ok(field),
            }
        }
    }

    /// `(…)`; brackets inside (a filter's JSON, say) must balance.
    fn argument(&mut self) -> Result<String> {
        if self.peek() != Some(b'(') {
            return Err(self.broken());
        }
        let from = self.at + 1;
        let mut open = 0_usize;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' => open += 1,
                b')' => {
                    open -= 1;
                    if open == 0 {
                        let value = self.text[from..self.at - 1].to_owned();
                        self.skip_blanks();
                        return Ok(value);
                    }
                }
                _ => {}
            }
        }
        Err(self.broken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_and_modifiers_are_read() {
        let fields = parse("id, name,owned_product_catalogs.limit(50){id,business{name}}").expect("well formed");
        assert_eq!(fields.len(), 3);
        assert_eq!(fields[2].modifier("limit"), Some("50"));
        let sub = fields[2].sub.as_ref().expect("braces");
        assert_eq!(sub[1].sub.as_ref().expect("braces")[0], Field::plain("name"));
    }

    #[test]
    fn what_is_not_well_formed_is_a_query_error() {
        for text in ["", "id,", "a{b", "a{}", "a.limit", "a.limit(5", "a}b", "a b", &"a{".repeat(40)] {
            assert_eq!(parse(text).expect_err(text).code, 2500, "{text}");
        }
    }
}
