//! Causes: why variants failed or were skipped, without what differs from variant to variant.
//!
//! Promises: pure. A cause is `source:code`, at most [`LONGEST`] characters, and the same for all variants that fail for
//! the same reason. Taking out what differs changes nothing the second time.
//! Left out on purpose: what to do about a cause ([`super::advice`]).

use std::collections::BTreeSet;

use mapper_core::Warning;

use crate::report::clip;

/// The longest cause, in characters.
pub const LONGEST: usize = 200;

/// Where a cause comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Meta refused the item.
    Meta,
    /// The mapper could not map it.
    Mapper,
    /// The variant is not eligible.
    Eligibility,
    /// This service could not learn what became of it.
    Service,
}

impl Source {
    /// Returns its word in the store and in the admin API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Mapper => "mapper",
            Self::Eligibility => "eligibility",
            Self::Service => "service",
        }
    }

    /// Returns the cause of this source with this code.
    #[must_use]
    pub fn cause(self, code: &str) -> String {
        clip(&format!("{}:{code}", self.as_str()), LONGEST).into_owned()
    }
}

/// The cause of rows that Meta refused without a message.
pub const NO_MESSAGE: &str = "meta:no_message";

/// Returns the cause of a refusal by Meta.
#[must_use]
pub fn of_meta(message: &str) -> String {
    if message.trim().is_empty() || message.contains("without a message") {
        return NO_MESSAGE.to_owned();
    }
    Source::Meta.cause(&normalised(message))
}

/// Returns the cause of a verdict that this service gives, by the reason that it records.
#[must_use]
pub fn of_service(reason: &str) -> String {
    let code = match reason {
        "canceled" | "error" | "poll_timeout" => reason,
        _ if reason.starts_with("verdict incomplete") => "verdict_incomplete",
        _ if reason.starts_with("outcome unknown") => "outcome_unknown",
        _ => "not_taken",
    };
    Source::Service.cause(code)
}

/// Returns the cause of a variant that the mapper rejects, by the text that the state keeps.
#[must_use]
pub fn of_skip(text: &str) -> String {
    Source::Eligibility.cause(text.split(':').next().unwrap_or(text).trim())
}

/// Returns the stored form of a payload's warnings: their codes, sorted, each once. `None` without any.
#[must_use]
pub fn warning_codes(warnings: &[Warning]) -> Option<String> {
    let codes: BTreeSet<&str> =
        warnings.iter().map(|warning| warning.code.as_str()).filter(|code| !code.contains([',', '\0'])).collect();
    let mut text = String::new();
    for code in codes {
        if text.len() + code.len() >= 1_000 {
            break;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(code);
    }
    (!text.is_empty()).then_some(text)
}

/// A message without quoted texts, URLs, numbers and ids.
fn normalised(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        let closing = match first {
            '"' => Some('"'),
            '“' => Some('”'),
            '«' => Some('»'),
            '\'' if !out.ends_with(char::is_alphanumeric) => Some('\''),
            _ => None,
        };
        if let Some(closing) = closing
            && let Some(end) = rest[first.len_utf8()..].find(closing)
        {
            out.push('…');
            rest = &rest[first.len_utf8() + end + closing.len_utf8()..];
            continue;
        }
        if first.is_alphanumeric() {
            let is_part = |c: char| {
                c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | ':' | '.' | '%' | '?' | '=' | '&' | '#' | '@')
            };
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let word = rest[..end].trim_end_matches(['.', ':', '?', '-', '/', '#']);
            let word = if word.is_empty() { &rest[..first.len_utf8()] } else { word };
            if word.contains("://") || word.chars().any(char::is_numeric) {
                out.push('…');
            } else {
                out.push_str(word);
            }
            rest = &rest[word.len()..];
            continue;
        }
        if first.is_whitespace() || first.is_control() {
            if !out.ends_with(' ') {
                out.push(' ');
            }
        } else {
            out.push(first);
        }
        rest = &rest[first.len_utf8()..];
    }
    let clipped = clip(out.trim(), LONGEST - 10);
    clipped.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_from_variant_to_variant_is_taken_out() {
        for (one, other) in [
            (
                "A request for item sku-9 contains unrecognised field: 'foo'",
                "A request for item SKU-1234_x contains unrecognised field: 'bar baz'",
            ),
            (
                "The image at https://cdn.example/1.jpg could not be fetched (404)",
                "The image at http://a.example/b?c=2 could not be fetched (503)",
            ),
            ("Price “0.00 INR” must be above 0.", "Price “-1.00 INR” must be above 1."),
        ] {
            assert_eq!(of_meta(one), of_meta(other));
        }
        assert_eq!(
            of_meta("A required field is missing: Products need to have prices"),
            "meta:A required field is missing: Products need to have prices"
        );
        assert_ne!(of_meta("brand is missing"), of_meta("price is missing"));
        assert_eq!(of_meta("refused by Meta without a message"), NO_MESSAGE);
        assert_eq!(of_skip("missing_price"), "eligibility:missing_price");
        assert_eq!(of_skip("too_cheap: the margin is below 10 %"), "eligibility:too_cheap");
        assert_eq!(of_service("outcome unknown: timeout"), "service:outcome_unknown");
        assert_eq!(of_service("verdict incomplete: Meta counted more"), "service:verdict_incomplete");
    }

    #[test]
    fn warnings_are_kept_by_their_codes() {
        let of = |codes: &[&str]| {
            let warning = |code: &&str| Warning { code: (*code).into(), field: None, message: "m".into() };
            warning_codes(&codes.iter().map(warning).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["b", "a", "b"]).as_deref(), Some("a,b"));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(message in "\\PC{0,80}") {
            let once = normalised(&message);
            prop_assert_eq!(normalised(&once), once);
            prop_assert!(of_meta(&message).chars().count() <= LONGEST);
        }
    }
}
