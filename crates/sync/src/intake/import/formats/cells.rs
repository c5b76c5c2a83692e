//! What CSV formats share: cells, and what is wrong with them.

use super::decimal::hundredths;
use crate::intake::import::line::Refusal;
use crate::report::clip;

/// The most refusals of one product.
const MAX_REFUSALS: usize = 20;

/// Returns a cell without blanks around it; `None` when it is empty or absent.
pub(super) fn cell(cells: &csv::StringRecord, column: Option<usize>) -> Option<&str> {
    let text = cells.get(column?)?.trim();
    (!text.is_empty()).then_some(text)
}

/// A spreadsheet keeps a code as text behind an apostrophe, which is no part of it.
pub(super) fn without_apostrophe(text: &str) -> &str {
    text.strip_prefix('\'').unwrap_or(text)
}

/// What is wrong with a product.
#[derive(Debug, Default)]
pub(super) struct Wrong(Vec<Refusal>);

impl Wrong {
    /// Adds what is wrong with a column of the row that begins on this line.
    pub(super) fn add(&mut self, line: u64, column: &str, message: &str) {
        if self.0.len() < MAX_REFUSALS {
            self.0.push(Refusal { path: column.to_owned(), message: format!("{message} (line {line})") });
        }
    }

    /// Reads a price in hundredths. `decimals` is the number of decimals of its currency.
    pub(super) fn price(&mut self, line: u64, column: &str, text: Option<&str>, decimals: u32) -> Option<i64> {
        let text = text?;
        match hundredths(text, decimals) {
            Ok(price) => Some(price),
            Err(message) => {
                self.add(line, column, &format!("{message}, got {:?}", clip(text, 40)));
                None
            }
        }
    }

    /// Returns the refusals, if there are any.
    pub(super) fn into_result<T>(self, good: impl FnOnce() -> Result<T, Vec<Refusal>>) -> Result<T, Vec<Refusal>> {
        if self.0.is_empty() { good() } else { Err(self.0) }
    }
}
