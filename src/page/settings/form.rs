//! The settings as form fields: their groups and names, how a value is written and read, and what a sent form changes.
//!
//! Promises: pure. Every setting is in exactly one group. What was not touched is not changed, so two people who change
//! different settings do not undo each other; for one setting, the second one is told.
//! Left out on purpose: what a setting takes ([`catalog_sync::domain::settings`]).

use std::collections::BTreeMap;

use askama::filters::Safe;
use catalog_sync::domain::settings::{Kind, Spec, find, key};
use serde_json::{Map, Value};

use crate::page::words::sentence;

/// A setting of a group.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its key.
    pub key: &'static str,
    /// What people call it.
    pub name: &'static str,
}

/// Settings that are changed together.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Its id in addresses.
    pub id: &'static str,
    /// Its title.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Whether another page sets it.
    pub is_read_only: bool,
    /// Its settings.
    pub fields: &'static [Field],
}

const fn f(key: &'static str, name: &'static str) -> Field {
    Field { key, name }
}

/// Every setting.
pub const GROUPS: [Group; 7] = [
    Group {
        id: "shop",
        name: "Shop",
        about: "Where products are shown to shoppers, and in which currency.",
        is_read_only: false,
        fields: &[
            f(key::storefront_base_url, "Address of the storefront"),
            f(key::storefront_product_path, "Path of a product's page"),
            f(key::currency, "Currency"),
            f(key::business_name, "Name of the business"),
            f(key::time_zone, "Time zone"),
        ],
    },
    Group {
        id: "items",
        name: "Items",
        about: "How products become items of the catalog.",
        is_read_only: false,
        fields: &[
            f(key::default_condition, "Condition"),
            f(key::identifier_exists_fallback, "The business's name is the brand of products without one"),
            f(key::title_max_length, "Longest title (characters)"),
            f(key::description_max_length, "Longest description (characters)"),
            f(key::category_levels, "Levels of categories"),
            f(key::additional_variant_attributes, "Send the shop's other options"),
            f(key::option_synonyms, "The shop's own option names"),
        ],
    },
    Group {
        id: "sync",
        name: "Sync",
        about: "Whether and how fast changes are sent.",
        is_read_only: false,
        fields: &[
            f(key::sync_enabled, "Sync is switched on"),
            f(key::feed_mode, "Mode"),
            f(key::drain_pacing, "Pace"),
            f(key::sync_interval_seconds, "Interval of calls (seconds)"),
            f(key::batch_size, "Most items in a call"),
        ],
    },
    Group {
        id: "verdicts",
        name: "Verdicts",
        about: "How Meta's answers are fetched, and when something is given up.",
        is_read_only: false,
        fields: &[
            f(key::poll_interval_seconds, "Interval of polls (seconds)"),
            f(key::handles_per_poll_tick, "Most handles in a round"),
            f(key::handle_poll_max_age_minutes, "A handle is given up after (minutes)"),
            f(key::max_attempts, "Attempts"),
        ],
    },
    Group {
        id: "drift",
        name: "Drift",
        about: "How often what Meta shows is compared with the shop, and what is repaired without you.",
        is_read_only: false,
        fields: &[
            f(key::drift_sweep_hours, "Interval of sweeps (hours)"),
            f(key::drift_budget_percent, "Share of the allowance (percent)"),
            f(key::drift_grace_minutes, "Meta shows a change within (minutes)"),
            f(key::drift_repair, "Repaired automatically"),
            f(key::drift_ignored_fields, "Fields that are not compared"),
        ],
    },
    Group {
        id: "app",
        name: "Meta app",
        about: "The app through which this service signs in to Facebook.",
        is_read_only: false,
        fields: &[f(key::app_id, "App ID"), f(key::app_secret, "App secret"), f(key::redirect_uri, "Redirect URI")],
    },
    Group {
        id: "catalog",
        name: "Catalog",
        about: "Set when a catalog is selected.",
        is_read_only: true,
        fields: &[
            f(key::business_id, "Business"),
            f(key::catalog_id, "Catalog"),
            f(key::catalog_name, "Name of the catalog"),
            f(key::system_user_id, "System user"),
            f(key::token_kind, "Token of"),
        ],
    },
];

/// What people call a setting.
#[must_use]
pub fn name_of(key: &str) -> &str {
    GROUPS.iter().flat_map(|group| group.fields).find(|field| field.key == key).map_or(key, |field| field.name)
}

/// Writes advice with the names of settings in place of their keys.
#[must_use]
pub fn with_names(advice: &str) -> String {
    let mut written = String::with_capacity(advice.len());
    for word in advice.split_inclusive(|c: char| !(c.is_ascii_lowercase() || c == '_')) {
        let key = word.trim_end_matches(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        // A key of one word may be meant as a word.
        match name_of(key) {
            name if key.contains('_') && name != key => {
                written.extend(["“", name, "”", &word[key.len()..]]);
            }
            _ => written.push_str(word),
        }
    }
    written
}

/// What is sent: values by the names of the form's fields.
pub type Sent = BTreeMap<String, String>;

/// Returns the name of the hidden field with the value that the form showed at first.
#[must_use]
pub fn was(key: &str) -> String {
    format!("was.{key}")
}

/// Writes a value as a field holds it. A secret is never written.
#[must_use]
pub fn text_of(spec: &Spec, value: &Value) -> String {
    match (spec.kind, value) {
        (Kind::Secret, _) | (_, Value::Null) => String::new(),
        (Kind::Synonyms, Value::Object(names)) => {
            let line =
                |(name, attribute): (&String, &Value)| format!("{name} = {}", attribute.as_str().unwrap_or_default());
            names.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        (Kind::Words(_), Value::Array(words)) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

/// Reads what was typed, as the value to store. What is blank, where nothing is no value, is the default.
///
/// # Errors
/// What the setting takes, and what it got.
pub fn read(spec: &Spec, typed: &str) -> Result<Value, String> {
    let typed = typed.trim();
    let value = match spec.kind {
        Kind::Whole(..) | Kind::Currency | Kind::TimeZone | Kind::PathTemplate if typed.is_empty() => {
            return Ok(spec.default_value());
        }
        // What is no number is told as it was typed.
        Kind::Whole(..) => typed.parse::<i64>().map_or_else(|_| Value::from(typed), Value::from),
        Kind::Flag => Value::from(typed == "true"),
        Kind::Synonyms => synonyms(typed)?,
        Kind::Words(_) => typed.split(',').map(str::trim).filter(|word| !word.is_empty()).map(Value::from).collect(),
        _ => Value::from(typed),
    };
    spec.check(&value)
}

fn synonyms(typed: &str) -> Result<Value, String> {
    let mut names = Map::new();
    for line in typed.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((name, attribute)) = line.rsplit_once('=') else {
            return Err("takes one name a line, such as Färg = color".to_owned());
        };
        if names.insert(name.trim().to_owned(), Value::from(attribute.trim())).is_some() {
            return Err("takes each name once".to_owned());
        }
    }
    Ok(Value::Object(names))
}

/// What a sent form says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// What to change.
    pub changes: Map<String, Value>,
    /// What is wrong, by key.
    pub wrong: BTreeMap<&'static str, String>,
    /// The current value of what somebody else changed meanwhile, by key.
    pub theirs: BTreeMap<&'static str, String>,
}

impl Reading {
    /// Whether it can be saved.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.wrong.is_empty() && self.theirs.is_empty()
    }
}

/// Compares what was typed with what the form showed at first and with the current values.
#[must_use]
pub fn compare(sent: &Sent, current: &Map<String, Value>) -> Reading {
    let mut reading = Reading::default();
    for field in GROUPS.iter().filter(|group| !group.is_read_only).flat_map(|group| group.fields) {
        let (Some(spec), Some(was)) = (find(field.key), sent.get(&was(field.key))) else { continue };
        // A box that is not checked is not sent.
        let typed = sent.get(field.key).map_or("", |typed| typed);
        if spec.kind == Kind::Secret {
            // Only a new one is typed in.
            if !typed.trim().is_empty() {
                match read(spec, typed) {
                    Ok(secret) => drop(reading.changes.insert(field.key.to_owned(), secret)),
                    Err(wrong) => drop(reading.wrong.insert(field.key, wrong)),
                }
            }
            continue;
        }
        let current = current.get(field.key).cloned().unwrap_or_default();
        let was = read(spec, was).unwrap_or_else(|_| current.clone());
        match read(spec, typed) {
            Err(wrong) => drop(reading.wrong.insert(field.key, wrong)),
            Ok(value) if value == was || value == current => {}
            Ok(_) if was != current => drop(reading.theirs.insert(field.key, text_of(spec, &current))),
            Ok(value) => drop(reading.changes.insert(field.key.to_owned(), value)),
        }
    }
    reading
}

/// A field of a form.
pub struct Control {
    /// Its key.
    pub key: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// What it does.
    pub help: Safe<String>,
    /// `number`, `check`, `choice`, `lines`, `secret`, `url` or `text`.
    pub kind: &'static str,
    /// Bounds of a number; of a text, the longest.
    pub bounds: Option<(i64, i64)>,
    /// The words of a choice.
    pub words: &'static [&'static str],
    /// What it holds; for a secret, whether one is set.
    pub value: String,
    /// What it held when the form was first shown.
    pub was: String,
    /// Its default.
    pub default: String,
    /// Whether a change asks again for what was mapped.
    pub is_mapped: bool,
    /// What is wrong with what was typed.
    pub wrong: Option<String>,
}

/// Returns the fields of a form with the current values, or with what was typed and what is wrong with it.
#[must_use]
pub fn controls(fields: &[Field], current: &Map<String, Value>, sent: &Sent, reading: &Reading) -> Vec<Control> {
    let control = |field: &Field| {
        let spec = find(field.key)?;
        let now = current.get(field.key).cloned().unwrap_or_default();
        let now = text_of(spec, &now);
        let is_sent = sent.contains_key(&was(field.key));
        let typed = || sent.get(field.key).cloned().unwrap_or_default();
        let theirs = reading.theirs.get(field.key).map(|theirs| {
            let theirs = if theirs.is_empty() { "nothing" } else { theirs };
            format!("Somebody changed this to “{theirs}” meanwhile. Save again to use yours instead.")
        });
        let (kind, bounds, words): (_, _, &[&str]) = match spec.kind {
            Kind::Whole(low, high) => ("number", Some((low, high)), &[]),
            Kind::Flag => ("check", None, &[]),
            Kind::Word(words) => ("choice", None, words),
            Kind::Synonyms => ("lines", None, &[]),
            Kind::Secret => ("secret", None, &[]),
            Kind::Url => ("url", None, &[]),
            Kind::Text(limit) => ("text", Some((0, i64::try_from(limit).unwrap_or(i64::MAX))), &[]),
            Kind::PathTemplate | Kind::Currency | Kind::TimeZone | Kind::Words(_) => ("text", None, &[]),
        };
        let is_set = current.get(field.key).is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty()));
        Some(Control {
            key: field.key,
            name: field.name,
            help: match spec.kind {
                // The table tells how it reads through the API.
                Kind::Secret => marked("It is sealed at rest, and no page shows it."),
                _ => marked(spec.help.trim()),
            },
            kind,
            bounds,
            words,
            value: match spec.kind {
                Kind::Secret => if is_set { "set" } else { "" }.to_owned(),
                _ if is_sent => typed(),
                _ => now.clone(),
            },
            // What was kept typed is compared with what is shown as the current value now.
            was: if is_sent && theirs.is_none() { sent.get(&was(field.key)).cloned().unwrap_or(now) } else { now },
            default: text_of(spec, &spec.default_value()),
            is_mapped: spec.is_mapped,
            wrong: reading.wrong.get(field.key).map(|wrong| sentence(wrong)).or(theirs),
        })
    };
    fields.iter().filter_map(control).collect()
}

/// Writes a help text, whose code stands between backticks, as HTML.
fn marked(help: &str) -> Safe<String> {
    let mut html = String::with_capacity(help.len() + 32);
    for (at, part) in help.split('`').enumerate() {
        let part = part.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        if at % 2 == 1 {
            html.extend(["<code>", &part, "</code>"]);
        } else {
            html.push_str(&part);
        }
    }
    Safe(html)
}

#[cfg(test)]
mod tests;
