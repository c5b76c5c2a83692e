//! What is wrong in a configuration file, without its text: any line may hold a secret, also one that was put into the
//! wrong place.

use std::fmt;

/// The place and the reason of an error in a TOML file. Its text repeats names of keys, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Line and column, from one.
    place: Option<(usize, usize)>,
    reason: String,
}

impl Malformed {
    pub(super) fn new(text: &str, mut error: toml::de::Error) -> Self {
        let place = error.span().map(|span| {
            let before = text.get(..span.start).unwrap_or(text);
            let line = before.rsplit('\n').next().unwrap_or_default();
            (before.matches('\n').count() + 1, line.chars().count() + 1)
        });
        // Without its input the error shows the path of the key instead of the line.
        error.set_input(None);
        let told = error.to_string();
        let key = told.strip_prefix(error.message()).unwrap_or_default().trim();
        let reason = format!("{} {key}", without_value(error.message()));
        Self { place, reason: reason.trim_end().to_owned() }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.reason)
    }
}

/// Removes the refused value, which these messages of serde begin with.
fn without_value(message: &str) -> String {
    for problem in ["invalid type", "invalid value", "invalid length", "unknown variant"] {
        if message.starts_with(problem) {
            let expected = message.rfind(", expected ").map_or("", |at| &message[at..]);
            return format!("{problem}{expected}");
        }
    }
    message.to_owned()
}
