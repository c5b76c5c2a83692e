//! The settings of the group `meta`: names, types, defaults, and the checks of a PATCH.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text up to this many characters.
    Text(usize),
    /// Text that is sealed at rest and masked everywhere.
    Secret,
    /// Empty, or an absolute http(s) URL.
    Url,
    /// A path that starts with `/` and holds `{slug}`.
    PathTemplate,
    /// A three-letter ISO 4217 code.
    Currency,
    /// One of these words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number in this range.
    Whole(i64, i64),
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its key.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its default, as JSON text.
    default: &'static str,
}

const fn spec(key: &'static str, kind: Kind, default: &'static str) -> Spec {
    Spec { key, kind, default }
}

/// Every setting, in the order of the admin page.
pub const SPECS: &[Spec] = &[
    spec("app_id", Kind::Text(100), r#""""#),
    spec("app_secret", Kind::Secret, r#""""#),
    spec("redirect_uri", Kind::Url, r#""""#),
    spec("business_id", Kind::Text(100), r#""""#),
    spec("business_name", Kind::Text(200), r#""""#),
    spec("catalog_id", Kind::Text(100), r#""""#),
    spec("catalog_name", Kind::Text(200), r#""""#),
    spec("system_user_id", Kind::Text(100), r#""""#),
    spec("token_kind", Kind::Word(&["user", "system_user"]), r#""user""#),
    spec("currency", Kind::Currency, r#""INR""#),
    spec("storefront_base_url", Kind::Url, r#""""#),
    spec("storefront_product_path", Kind::PathTemplate, r#""/product/{slug}""#),
    spec("default_condition", Kind::Word(&["new", "refurbished", "used"]), r#""new""#),
    spec("identifier_exists_fallback", Kind::Flag, "false"),
    spec("sync_enabled", Kind::Flag, "false"),
    spec("sync_interval_seconds", Kind::Whole(10, 3600), "60"),
    spec("poll_interval_seconds", Kind::Whole(10, 600), "30"),
    spec("batch_size", Kind::Whole(1, 5000), "1000"),
    spec("handles_per_poll_tick", Kind::Whole(1, 64), "16"),
    spec("max_attempts", Kind::Whole(1, 20), "5"),
    spec("handle_poll_max_age_minutes", Kind::Whole(1, 1440), "30"),
    spec("feed_mode", Kind::Word(&["live", "preview"]), r#""live""#),
    // Ours, beyond the seed.
    spec("drain_pacing", Kind::Word(&["interval", "budget"]), r#""interval""#),
    spec("title_max_length", Kind::Whole(1, 200), "200"),
    spec("description_max_length", Kind::Whole(1, 9999), "9999"),
];

/// What a secret reads as when it is set.
pub const MASK: &str = "********";

/// The specification of a key.
#[must_use]
pub fn find(key: &str) -> Option<&'static Spec> {
    SPECS.iter().find(|spec| spec.key == key)
}

impl Spec {
    /// The default.
    #[must_use]
    pub fn default_value(&self) -> Value {
        serde_json::from_str(self.default).unwrap_or(Value::Null)
    }

    /// Checks a new value and answers it in its stored form; `null` asks for the default and is not checked here.
    ///
    /// # Errors
    /// Says what the setting takes and what it got.
    pub fn check(&self, value: &Value) -> Result<Value, String> {
        let refuse = |takes: String| Err(format!("takes {takes}, got {}", brief(value)));
        let text = value.as_str().map(str::trim);
        match self.kind {
            Kind::Text(limit) => match text {
                Some(text) if text.chars().count() <= limit && !text.contains('\0') => Ok(json!(text)),
                _ => refuse(format!("text of at most {limit} characters")),
            },
            Kind::Secret => match text {
                Some(text) if text.len() <= 500 && !text.contains('\0') => Ok(json!(text)),
                _ => Err("takes text of at most 500 bytes".into()),
            },
            Kind::Url => match text {
                Some("") => Ok(json!("")),
                Some(text) if is_http_url(text) => Ok(json!(text)),
                _ => refuse("an absolute http or https URL, or nothing".into()),
            },
            Kind::PathTemplate => match text {
                Some(text) if text.starts_with('/') && text.contains("{slug}") && text.len() <= 500 => Ok(json!(text)),
                _ => refuse("a path that starts with / and holds {slug}".into()),
            },
            Kind::Currency => match text {
                Some(text) if text.len() == 3 && text.bytes().all(|b| b.is_ascii_alphabetic()) => {
                    Ok(json!(text.to_ascii_uppercase()))
                }
                _ => refuse("a three-letter ISO 4217 code such as INR".into()),
            },
            Kind::Word(words) => match text {
                Some(text) if words.contains(&text) => Ok(json!(text)),
                _ => refuse(format!("one of {}", words.join(", "))),
            },
            Kind::Flag => match value {
                Value::Bool(_) => Ok(value.clone()),
                _ => refuse("true or false".into()),
            },
            Kind::Whole(low, high) => match value.as_i64() {
                Some(number) if (low..=high).contains(&number) => Ok(json!(number)),
                _ => refuse(format!("a whole number from {low} to {high}")),
            },
        }
    }
}

fn is_http_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        && text.len() <= 2000
}

fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// The settings as of one version, without the secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Grows with every PATCH.
    pub version: i64,
    /// Whether `app_secret` is set.
    pub has_secret: bool,
    values: BTreeMap<String, Value>,
}

/// Whether calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedMode {
    /// Calls are made.
    Live,
    /// Everything up to the call is done and logged; no state is touched.
    Preview,
}

/// How calls are spaced while there is a backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// One call a tick, as the seed says.
    Interval,
    /// As often as the limiter allows.
    Budget,
}

impl Settings {
    /// From stored values; unknown keys and values that no longer pass their check fall back to the default.
    #[must_use]
    pub fn new(version: i64, has_secret: bool, stored: impl IntoIterator<Item = (String, Value)>) -> Self {
        let values = stored
            .into_iter()
            .filter(|(key, value)| find(key).is_some_and(|spec| spec.kind != Kind::Secret && spec.check(value).is_ok()))
            .collect();
        Self { version, has_secret, values }
    }

    /// A value, or its default; null for a key that does not exist. The secret reads masked.
    #[must_use]
    pub fn value(&self, key: &str) -> Value {
        match find(key) {
            None => Value::Null,
            Some(spec) if spec.kind == Kind::Secret => json!(if self.has_secret { MASK } else { "" }),
            Some(spec) => self.values.get(key).cloned().unwrap_or_else(|| spec.default_value()),
        }
    }

    /// A text setting.
    #[must_use]
    pub fn text(&self, key: &str) -> String {
        self.value(key).as_str().unwrap_or_default().to_owned()
    }

    /// A whole-number setting, never negative.
    #[must_use]
    pub fn whole(&self, key: &str) -> u64 {
        self.value(key).as_u64().unwrap_or_default()
    }

    /// A flag.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.value(key).as_bool().unwrap_or_default()
    }

    /// `feed_mode`.
    #[must_use]
    pub fn feed_mode(&self) -> FeedMode {
        if self.text("feed_mode") == "preview" { FeedMode::Preview } else { FeedMode::Live }
    }

    /// `drain_pacing`.
    #[must_use]
    pub fn pacing(&self) -> Pacing {
        if self.text("drain_pacing") == "budget" { Pacing::Budget } else { Pacing::Interval }
    }

    /// Whether `app_id` and `app_secret` are set.
    #[must_use]
    pub fn oauth_client_configured(&self) -> bool {
        self.has_secret && !self.text("app_id").is_empty()
    }

    /// Whether catalog, currency and storefront are set.
    #[must_use]
    pub fn feed_configured(&self) -> bool {
        ["catalog_id", "currency", "storefront_base_url"].iter().all(|key| !self.text(key).is_empty())
    }

    /// Keys that are still blank, in the order of the admin surface.
    #[must_use]
    pub fn missing_keys(&self) -> Vec<&'static str> {
        ["app_id", "app_secret", "catalog_id", "currency", "storefront_base_url"]
            .into_iter()
            .filter(|key| self.text(key).is_empty())
            .collect()
    }

    /// What the mapper reads of them.
    #[must_use]
    pub fn map_settings(&self, s3_public_url: &str) -> mapper_core::MapSettings {
        mapper_core::MapSettings {
            currency: self.text("currency"),
            storefront_base_url: self.text("storefront_base_url"),
            storefront_product_path: self.text("storefront_product_path"),
            default_condition: self.text("default_condition"),
            identifier_exists_fallback: self.flag("identifier_exists_fallback"),
            business_name: self.text("business_name"),
            title_max_length: u32::try_from(self.whole("title_max_length")).unwrap_or(u32::MAX),
            description_max_length: u32::try_from(self.whole("description_max_length")).unwrap_or(u32::MAX),
            s3_public_url: s3_public_url.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_passes_its_own_check() {
        for spec in SPECS {
            let default = spec.default_value();
            assert_eq!(spec.check(&default).as_ref(), Ok(&default), "{}", spec.key);
        }
    }

    #[test]
    fn checks_say_what_they_take() {
        let refused = |key: &str, value: Value| find(key).expect("a key").check(&value).expect_err("refused");
        insta::assert_snapshot!(
            [
                refused("sync_interval_seconds", json!(9)),
                refused("sync_interval_seconds", json!("60")),
                refused("batch_size", json!(10.5)),
                refused("currency", json!("rupee")),
                refused("storefront_base_url", json!("shop.example")),
                refused("storefront_base_url", json!("ftp://shop.example")),
                refused("storefront_product_path", json!("/product")),
                refused("feed_mode", json!("LIVE")),
                refused("sync_enabled", json!("true")),
                refused("app_secret", json!(["hunter2"])),
                refused("business_name", json!("x".repeat(201))),
            ]
            .join("\n"),
            @r#"
        takes a whole number from 10 to 3600, got 9
        takes a whole number from 10 to 3600, got "60"
        takes a whole number from 1 to 5000, got 10.5
        takes a three-letter ISO 4217 code such as INR, got "rupee"
        takes an absolute http or https URL, or nothing, got "shop.example"
        takes an absolute http or https URL, or nothing, got "ftp://shop.example"
        takes a path that starts with / and holds {slug}, got "/product"
        takes one of live, preview, got "LIVE"
        takes true or false, got "true"
        takes text of at most 500 bytes
        takes text of at most 200 characters, got "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
        "#
        );
    }

    #[test]
    fn missing_keys_are_bare_and_ordered() {
        let settings = Settings::new(0, false, []);
        assert_eq!(settings.missing_keys(), ["app_id", "app_secret", "catalog_id", "storefront_base_url"]);
        let settings = Settings::new(
            1,
            true,
            [("app_id", "1"), ("catalog_id", "2"), ("storefront_base_url", "https://shop.example"), ("gone", "x")]
                .map(|(key, value)| (key.to_owned(), json!(value))),
        );
        assert!(settings.missing_keys().is_empty() && settings.feed_configured() && settings.oauth_client_configured());
        assert_eq!(settings.value("app_secret"), json!(MASK));
    }
}
