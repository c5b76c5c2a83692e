//! Text for messages: an error with its causes, the beginning of outside text, and what does not fit into a line.

use std::error::Error;

/// The Graph client cuts Meta's texts in the same way.
pub use meta_graph::{LONGEST_MESSAGE, clip};

/// Returns the error and its sources on one line, outermost first.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        // Wrappers that print their cause themselves would repeat it.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

/// Returns whether a character in a line of text could end the line, steer a terminal, or change the order in which the
/// line is shown.
#[must_use]
pub fn is_unfit_for_a_line(one: char) -> bool {
    let turns_the_order = matches!(one, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    one.is_control() || turns_the_order || matches!(one, '\u{2028}' | '\u{2029}')
}

/// Returns the text as one line: characters that are unfit for it are escaped.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for one in text.chars() {
        if is_unfit_for_a_line(one) { line.extend(one.escape_debug()) } else { line.push(one) }
    }
    line
}

/// Returns the text for a terminal: its lines stay, and other characters that are unfit for a line are escaped.
#[must_use]
pub fn for_a_terminal(text: &str) -> String {
    text.split('\n').map(one_line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_terminal_is_escaped() {
        let text = "é\u{1b}[1m\n\tb\r\u{85}\u{202e}\n";
        assert_eq!(one_line(text), r"é\u{1b}[1m\n\tb\r\u{85}\u{202e}\n");
        assert_eq!(for_a_terminal(text), "é\\u{1b}[1m\n\\tb\\r\\u{85}\\u{202e}\n");
    }

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("no route")]
        Route,
        #[error("the call failed: {0}")]
        Told(#[source] Box<Failure>),
        #[error("not saved")]
        Silent(#[source] Box<Failure>),
    }

    #[test]
    fn a_cause_is_told_once() {
        let told = Failure::Told(Box::new(Failure::Route));
        assert_eq!(chain(&told), "the call failed: no route");
        assert_eq!(chain(&Failure::Silent(Box::new(told))), "not saved: the call failed: no route");
    }
}
