//! Meta's error object. The parser accepts fields of any type.
//!
//! Texts are read in their whole length; the redactor shortens them after it has removed the secrets.

use serde_json::Value;

use crate::tolerant::{as_i64, as_whole_text};
use crate::words;

/// The `error` object of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphError {
    /// Meta's message for developers. Its wording changes, so code must not depend on it.
    pub message: String,
    /// Meta's type, such as `OAuthException`.
    pub kind: Option<String>,
    /// The code that classifies the error.
    pub code: Option<i64>,
    /// The subcode.
    pub subcode: Option<i64>,
    /// Meta's statement that a retry may succeed.
    pub is_transient: bool,
    /// Title for users, in their language.
    pub user_title: Option<String>,
    /// Message for users, in their language.
    pub user_message: Option<String>,
    /// The parameters Meta blames (`error_data.blame_field_specs`), each as a dotted path.
    pub blamed_fields: Vec<String>,
    /// The trace id that Meta's support asks for.
    pub trace_id: Option<String>,
}

impl GraphError {
    /// Parses the value of an `error` key; a plain text becomes the message.
    #[must_use]
    pub fn from_value(error: &Value) -> Self {
        let text = |key: &str| error.get(key).and_then(as_whole_text).filter(|text| !text.is_empty());
        let number = |key: &str| error.get(key).and_then(as_i64);
        Self {
            message: text("message").or_else(|| as_whole_text(error)).unwrap_or_default(),
            kind: text("type"),
            code: number("code"),
            // `debug_token` uses the name without the prefix.
            subcode: number("error_subcode").or_else(|| number("subcode")),
            is_transient: error.get("is_transient").and_then(Value::as_bool).unwrap_or(false),
            user_title: text("error_user_title"),
            user_message: text("error_user_msg"),
            blamed_fields: error.get("error_data").map_or_else(Vec::new, blamed_fields),
            trace_id: text("fbtrace_id"),
        }
    }

    /// Every text of the error, so that secrets can be removed from it.
    pub(crate) fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let optional = [&mut self.kind, &mut self.user_title, &mut self.user_message, &mut self.trace_id];
        std::iter::once(&mut self.message).chain(optional.into_iter().flatten()).chain(&mut self.blamed_fields)
    }
}

fn blamed_fields(data: &Value) -> Vec<String> {
    // An object, or a text that contains the object's JSON.
    let parsed = data.as_str().and_then(|text| words::parse(text.as_bytes()).ok());
    let specs = parsed.as_ref().unwrap_or(data).get("blame_field_specs").and_then(Value::as_array);
    let paths = specs.into_iter().flatten().filter_map(|path| {
        let steps = path.as_array()?.iter().filter_map(as_whole_text).collect::<Vec<_>>();
        (!steps.is_empty()).then(|| steps.join("."))
    });
    paths.collect()
}
