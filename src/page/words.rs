//! How pages write numbers, times and states.

use std::borrow::Borrow;

use askama::filters::{HtmlSafe, Safe};
use catalog_sync::admin::time::iso;
use catalog_sync::clock::Millis;

impl HtmlSafe for Icon {}

/// A whole number, or a reference to one: templates pass references.
pub trait Whole {
    /// Returns it.
    fn whole(&self) -> i128;
}

macro_rules! whole {
    ($($kind:ty)+) => {
        $(impl Whole for $kind {
            fn whole(&self) -> i128 {
                // No number of ours is out of range.
                i128::try_from(*self).unwrap_or(i128::MAX)
            }
        })+
    };
}
whole!(i32 i64 u32 u64 usize);

impl<N: Whole> Whole for &N {
    fn whole(&self) -> i128 {
        (**self).whole()
    }
}

/// Writes a number with its thousands apart. Never shortened: an operator compares numbers.
#[must_use]
pub fn number(number: impl Whole) -> String {
    let number = number.whole();
    let digits = number.unsigned_abs().to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        grouped.push('−');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Writes "1 item" or "12 items".
#[must_use]
pub fn counted(count: impl Whole, one: &str, many: &str) -> String {
    let noun = if count.whole() == 1 { one } else { many };
    format!("{} {noun}", number(count))
}

/// Begins with a capital and ends with a full stop, where a message of the API does neither.
#[must_use]
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), chars.as_str())
}

/// Writes what to do, with settings as the page calls them.
#[must_use]
pub fn advice(text: &str) -> String {
    super::settings::form::with_names(text)
}

/// Writes a length of time with one unit.
#[must_use]
pub fn span(millis: impl Borrow<Millis>) -> String {
    let seconds = millis.borrow().unsigned_abs() / 1_000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Writes how long ago something was, or in how long it will be.
#[must_use]
pub fn ago(at: Millis, now: Millis) -> String {
    match now - at {
        -1_999..=1_999 => "now".to_owned(),
        past if past > 0 => format!("{} ago", span(past)),
        ahead => format!("in {}", span(ahead)),
    }
}

/// A `<time>`: relative, with the absolute time on hover. A script keeps it current.
#[must_use]
pub fn time(at: impl Borrow<Millis>, now: impl Borrow<Millis>) -> Safe<String> {
    let (at, now) = (*at.borrow(), *now.borrow());
    let Some(absolute) = iso(at) else { return Safe("–".to_owned()) };
    Safe(format!(r#"<time datetime="{absolute}" title="{}" data-ago>{}</time>"#, shown(&absolute), ago(at, now)))
}

/// [`time`] of a time as the use cases write it; a dash for none.
#[must_use]
pub fn time_of(at: Option<&str>, now: impl Borrow<Millis>) -> Safe<String> {
    let now = *now.borrow();
    at.and_then(millis).map_or_else(|| Safe("–".to_owned()), |at| time(at, now))
}

/// Reads a time as the use cases write it.
#[must_use]
pub fn millis(at: &str) -> Option<Millis> {
    at.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// `2026-01-31T09:30:00.000Z` as `2026-01-31 09:30:00 UTC`.
fn shown(absolute: &str) -> String {
    let seconds = absolute.split_once('.').map_or(absolute, |(seconds, _)| seconds);
    format!("{} UTC", seconds.replace('T', " "))
}

/// A symbol of the sprite, hidden from screen readers: a text beside it says the same.
#[derive(Clone, Copy, Debug)]
pub struct Icon(pub &'static str);

impl std::fmt::Display for Icon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sprite = &super::assets::ASSETS.icons.path;
        write!(f, r##"<svg class="icon" aria-hidden="true"><use href="{sprite}#{}"/></svg>"##, self.0)
    }
}

/// How a state or a finding is shown: its words, its icon and its tone (a class of the style sheet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it is called.
    pub name: &'static str,
    /// Its symbol.
    pub icon: &'static str,
    /// `good`, `busy`, `warn`, `bad` or `plain`.
    pub tone: &'static str,
    /// What it means.
    pub means: &'static str,
}

/// Returns the look of a sync state. `pending` and `never_synced` are shown as one elsewhere; here each has its words.
#[must_use]
pub fn of_state(state: &str) -> Look {
    let (name, icon, tone, means) = match state {
        "synced" => ("In step", "ok", "good", "Meta confirmed the item as it was last sent."),
        "submitted" => ("In flight", "send", "busy", "Sent to Meta; its verdict is open."),
        "pending" => ("Pending", "clock", "plain", "Known, and not sent to this catalog yet."),
        "failed" => ("Refused", "fail", "bad", "The last push or the mapping failed."),
        "skipped" => ("Not eligible", "dashed", "plain", "The mapper or an operator keeps it out of the catalog."),
        "deleted" => ("Deleted", "trash", "plain", "Removed from Meta."),
        _ => ("Never synced", "dashed", "plain", "In the shop, and never looked at by the sync."),
    };
    Look { name, icon, tone, means }
}

/// Returns what a re-ask is called.
#[must_use]
pub fn of_reask(reason: &str) -> &'static str {
    match reason {
        "bootstrap" => "Bootstrap: everything eligible",
        "remap" => "Every variant is mapped again",
        "settings" => "A setting changed that the mapper reads",
        "mapper_upgrade" => "The built-in mapper changed",
        _ => "Something was renamed in the shop",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_exact() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567"), (-12_345, "−12,345")];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!(counted(1, "item", "items"), "1 item");
        assert_eq!(counted(0, "item", "items"), "0 items");
    }

    #[test]
    fn a_message_becomes_a_sentence() {
        for (message, said) in
            [("no such item", "No such item."), ("Is it?", "Is it?"), ("", ""), ("éclair.", "Éclair.")]
        {
            assert_eq!(sentence(message), said);
        }
    }

    #[test]
    fn times_are_relative_with_the_absolute_one_beside() {
        let cases =
            [(0, "now"), (2_000, "2 s ago"), (61_000, "1 min ago"), (7_200_000, "2 h ago"), (-3_600_000, "in 1 h")];
        for (past, text) in cases {
            assert_eq!(ago(1_764_000_000_000, 1_764_000_000_000 + past), text);
        }
        assert_eq!(
            time(1_764_000_000_000, 1_764_000_060_000).0,
            r#"<time datetime="2025-11-24T16:00:00.000Z" title="2025-11-24 16:00:00 UTC" data-ago>1 min ago</time>"#
        );
        assert_eq!(time_of(None, 0).0, "–");
        assert_eq!(millis("2025-11-24T16:00:00.000Z"), Some(1_764_000_000_000));
    }
}
