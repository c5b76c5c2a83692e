//! The settings of the group `meta`: one table of keys, types, bounds, defaults and help texts, and the validation of a
//! PATCH.
//!
//! A new setting needs a row in the table below and the code that reads it. The table generates the fields of
//! [`Settings`], the API document and `docs/settings.md`. The rows under `mapper` are what the mapper reads: a change
//! of one asks again for every variant that was mapped ([`super::reask::Reason::Settings`]).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use mapper_core::PLACEHOLDERS;

use super::comparison::SENT_NAMES;
use super::credential::TokenKind;
use super::drift::Class;
use crate::report::clip;

/// The kind of value of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text up to this many characters.
    Text(usize),
    /// Text that is sealed at rest and masked everywhere.
    Secret,
    /// Empty, or an absolute http(s) URL.
    Url,
    /// A path that starts with `/` and contains at least one placeholder ([`mapper_core::PLACEHOLDERS`]).
    PathTemplate,
    /// An object of the shop's option names, each with one of the four attributes.
    Synonyms,
    /// A currency of ISO 4217.
    Currency,
    /// The IANA name of a time zone.
    TimeZone,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of these words, each at most once.
    Words(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number in this range.
    Whole(i64, i64),
}

/// The specification of a setting.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its key.
    pub key: &'static str,
    /// The kind of its value.
    pub kind: Kind,
    /// Its effect, for operators, as Markdown.
    pub help: &'static str,
    /// Whether the mapper reads it, so that a change asks again for every mapped variant.
    pub is_mapped: bool,
    /// Its default, as JSON text.
    default: &'static str,
}

/// Generates the settings' struct, the mapper's part of it and the list of specifications from one table.
macro_rules! settings {
    (
        service { $($(#[doc = $help:literal])+ $key:ident: $type:ty = $kind:expr, $default:literal;)+ }
        mapper { $($(#[doc = $m_help:literal])+ $m_key:ident: $m_type:ty = $m_kind:expr, $m_default:literal;)+ }
    ) => {
        /// Every setting.
        pub const SPECS: &[Spec] = &[
            $(Spec { key: stringify!($key), kind: $kind, help: concat!($($help),+), is_mapped: false, default: $default },)+
            $(Spec {
                key: stringify!($m_key), kind: $m_kind, help: concat!($($m_help),+), is_mapped: true, default: $m_default,
            },)+
        ];

        /// The keys as constants, so that a misspelt key does not compile.
        #[expect(non_upper_case_globals, reason = "a key has the name of its setting")]
        pub mod key {
            $(#[doc = concat!("`", stringify!($key), "`")] pub const $key: &str = stringify!($key);)+
            $(#[doc = concat!("`", stringify!($m_key), "`")] pub const $m_key: &str = stringify!($m_key);)+
        }

        /// The settings of one version. `Default` holds the default of each.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Settings {
            /// Grows with every PATCH.
            pub version: i64,
            $($(#[doc = $help])+ pub $key: $type,)+
            /// The settings that the mapper reads.
            pub mapper: MapperSettings,
        }

        /// The settings that the mapper reads.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct MapperSettings {
            $($(#[doc = $m_help])+ pub $m_key: $m_type,)+
        }

        impl Settings {
            fn read(version: i64, stored: &BTreeMap<String, Value>) -> Self {
                Self {
                    version,
                    $($key: field(stored, stringify!($key)),)+
                    mapper: MapperSettings { $($m_key: field(stored, stringify!($m_key)),)+ },
                }
            }

            /// Returns every setting by key, with the secret masked.
            #[must_use]
            pub fn values(&self) -> Map<String, Value> {
                let values = [
                    $((stringify!($key), json!(self.$key)),)+
                    $((stringify!($m_key), json!(self.mapper.$m_key)),)+
                ];
                values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }
        }
    };
}

settings! {
    service {
        /// The id of the Meta app, from developers.facebook.com.
        app_id: String = Kind::Text(100), r#""""#;
        /// The secret of the Meta app. It is sealed at rest and reads as `********`.
        app_secret: SecretPresence = Kind::Secret, r#""""#;
        /// The URL that Facebook redirects the browser to after a login. Blank means `PUBLIC_API_URL` and
        /// `/admin/meta/oauth/callback`.
        redirect_uri: String = Kind::Url, r#""""#;
        /// The id of the selected business; select-catalog sets it.
        business_id: String = Kind::Text(100), r#""""#;
        /// The id of the catalog that is kept equal to the shop; select-catalog sets it. A change drops every claim.
        catalog_id: String = Kind::Text(100), r#""""#;
        /// The name of the selected catalog, for display.
        catalog_name: String = Kind::Text(200), r#""""#;
        /// The id of the system user whose token is used; select-catalog sets it.
        system_user_id: String = Kind::Text(100), r#""""#;
        /// The owner of the token that is used; the login and select-catalog set it.
        token_kind: TokenKind = Kind::Word(&["user", "system_user"]), r#""user""#;
        /// The master switch. While it is off, nothing is read from the outbox and nothing is sent.
        sync_enabled: bool = Kind::Flag, "false";
        /// Seconds between two ticks of the drain.
        sync_interval_seconds: u64 = Kind::Whole(10, 3600), "60";
        /// Seconds between two rounds of polls for verdicts.
        poll_interval_seconds: u64 = Kind::Whole(10, 600), "30";
        /// The largest number of items in one `items_batch` call.
        batch_size: usize = Kind::Whole(1, 5000), "1000";
        /// The largest number of handles that one round of polls requests.
        handles_per_poll_tick: i64 = Kind::Whole(1, 64), "16";
        /// The number of faults of its own after which an intent is parked, and of failed verdicts in a row after which
        /// a variant is not queued again automatically.
        max_attempts: i64 = Kind::Whole(1, 20), "5";
        /// Minutes after which a handle without a verdict is abandoned and its variants are sent again.
        handle_poll_max_age_minutes: i64 = Kind::Whole(1, 1440), "30";
        /// `live` sends. `preview` runs every step up to the call and only logs what would be sent.
        feed_mode: FeedMode = Kind::Word(&["live", "preview"]), r#""live""#;
        /// How calls are spaced while there is a backlog: one each `sync_interval_seconds` (`interval`), or as often as
        /// Meta's quota allows (`budget`).
        drain_pacing: Pacing = Kind::Word(&["interval", "budget"]), r#""interval""#;
        /// The time zone of dates without a time in an import, as an IANA name such as `Asia/Kolkata`. Such a date means
        /// the whole day: a sale that ends on it ends with that day.
        time_zone: String = Kind::TimeZone, r#""UTC""#;
        /// Hours from the start of one drift sweep to the start of the next. A sweep reads what Meta shows of every item and
        /// reports what differs. 0 sweeps only when an operator asks.
        drift_sweep_hours: i64 = Kind::Whole(0, 720), "24";
        /// The share of Meta's management allowance that the sweep uses at most, in percent. While pushes wait it uses a
        /// fourth of it.
        drift_budget_percent: u32 = Kind::Whole(1, 50), "10";
        /// Minutes that Meta may take to show what was sent. An item is compared only that long after its verdict, and a
        /// difference counts when it is still there that long after it was first seen.
        drift_grace_minutes: i64 = Kind::Whole(1, 1440), "60";
        /// The classes of drift that are repaired without an operator, by sending the item again. The first sweep of a catalog
        /// repairs nothing.
        drift_repair: Vec<String> = Kind::Words(Class::REPAIRABLE), r#"["missing"]"#;
        /// Fields that the sweep does not compare, by the names under which they are sent: those that Meta rewrites.
        drift_ignored_fields: Vec<String> = Kind::Words(&SENT_NAMES), "[]";
    }
    mapper {
        /// The name of the selected business; select-catalog sets it. With `identifier_exists_fallback` it is the brand of
        /// products that have neither brand nor vendor.
        business_name: String = Kind::Text(200), r#""""#;
        /// The currency of every price, as an ISO 4217 code. A product that names another one is skipped.
        currency: String = Kind::Currency, r#""INR""#;
        /// The storefront's origin, such as `https://shop.example`; product links begin with it.
        storefront_base_url: String = Kind::Url, r#""""#;
        /// The path of a product's page behind the origin. `{slug}`, `{variantId}`, `{productId}` and `{sku}` are replaced
        /// by the encoded values. A product or variant that brings its own `link` does not use it. A product needs a slug
        /// only while `{slug}` is in it.
        storefront_product_path: String = Kind::PathTemplate, r#""/product/{slug}""#;
        /// The condition of every item that brings none of its own.
        default_condition: String = Kind::Word(&["new", "refurbished", "used"]), r#""new""#;
        /// Whether the business's name is the brand of products that have neither brand nor vendor.
        identifier_exists_fallback: bool = Kind::Flag, "false";
        /// The longest title in characters; Meta shows 100 to 200.
        title_max_length: u32 = Kind::Whole(1, 200), "200";
        /// The longest description in characters.
        description_max_length: u32 = Kind::Whole(1, 9999), "9999";
        /// How many categories of a product's trail are sent, the deepest ones; 0 sends the whole trail. A path of Google's
        /// taxonomy needs all of it.
        category_levels: u32 = Kind::Whole(0, 20), "3";
        /// Whether options that are neither color, size, material nor pattern are sent as Meta's
        /// `additional_variant_attribute` (`Ring size:5,Flavour:Lemon`), so that variants can be told apart.
        additional_variant_attributes: bool = Kind::Flag, "false";
        /// The shop's own option names, such as `{"Färg": "color"}`. Names are compared without regard to case.
        option_synonyms: BTreeMap<String, String> = Kind::Synonyms, "{}";
    }
}

/// The value that is shown for a secret that is set.
pub const MASK: &str = "********";

/// Returns the specification of a key.
#[must_use]
pub fn find(key: &str) -> Option<&'static Spec> {
    SPECS.iter().find(|spec| spec.key == key)
}

impl Spec {
    /// Returns the default.
    #[must_use]
    pub fn default_value(&self) -> Value {
        serde_json::from_str(self.default).unwrap_or(Value::Null)
    }

    /// Validates a new value and returns its stored form. `null` requests the default and is not handled here.
    ///
    /// # Errors
    /// When the value is invalid. The error states what the setting takes and what it got.
    pub fn check(&self, value: &Value) -> Result<Value, String> {
        let refuse = || Err(format!("takes {}, got {}", self.kind.takes(), clip(&value.to_string(), 60)));
        let text = value.as_str().map(str::trim);
        match self.kind {
            Kind::Text(limit) => match text {
                Some(text) if text.chars().count() <= limit && !text.contains('\0') => Ok(json!(text)),
                _ => refuse(),
            },
            Kind::Secret => match text {
                Some(text) if text.len() <= 500 && !text.contains('\0') => Ok(json!(text)),
                // The value may be a secret, so it is not quoted.
                _ => Err(format!("takes {}", self.kind.takes())),
            },
            Kind::Url => match text {
                Some("") => Ok(json!("")),
                Some(text) if is_http_url(text) => Ok(json!(text)),
                _ => refuse(),
            },
            Kind::PathTemplate => match text {
                Some(text) if text.len() <= 500 && mapper_core::check_template(text).is_ok() => Ok(json!(text)),
                _ => refuse(),
            },
            Kind::Synonyms => synonyms(value),
            Kind::Currency => match text.map(str::to_ascii_uppercase) {
                Some(code) if mapper_core::minor_units(&code).is_some() => Ok(json!(code)),
                _ => refuse(),
            },
            Kind::TimeZone => match text.map(jiff::tz::TimeZone::get) {
                Some(Ok(zone)) => Ok(json!(zone.iana_name().unwrap_or("UTC"))),
                _ => refuse(),
            },
            Kind::Word(words) => match text {
                Some(text) if words.contains(&text) => Ok(json!(text)),
                _ => refuse(),
            },
            Kind::Words(words) => {
                let Value::Array(list) = value else { return refuse() };
                let mut checked: Vec<&str> = Vec::with_capacity(list.len());
                for word in list {
                    match word.as_str() {
                        Some(word) if words.contains(&word) && !checked.contains(&word) => checked.push(word),
                        _ => return refuse(),
                    }
                }
                Ok(json!(checked))
            }
            Kind::Flag => match value {
                Value::Bool(_) => Ok(value.clone()),
                _ => refuse(),
            },
            Kind::Whole(low, high) => match whole(value) {
                Some(number) if (low..=high).contains(&number) => Ok(json!(number)),
                _ => refuse(),
            },
        }
    }
}

/// The attributes that an option name can stand for.
pub const ATTRIBUTES: [&str; 4] = ["color", "size", "material", "pattern"];
/// The largest number of option names.
pub const MOST_SYNONYMS: usize = 100;

/// Checks option names. Two that differ only in case are one.
fn synonyms(value: &Value) -> Result<Value, String> {
    let takes = || format!("takes {}", Kind::Synonyms.takes());
    let Value::Object(names) = value else { return Err(format!("{}, got {}", takes(), clip(&value.to_string(), 60))) };
    if names.len() > MOST_SYNONYMS {
        return Err(format!("{}, got {} names", takes(), names.len()));
    }
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    let mut checked = Map::new();
    for (name, attribute) in names {
        let (shown, trimmed) = (clip(name, 60), name.trim());
        if trimmed.is_empty() || trimmed.chars().count() > 100 || trimmed.contains('\0') {
            return Err(format!("{}; {shown:?} is no such name", takes()));
        }
        let Some(attribute) = attribute.as_str().filter(|attribute| ATTRIBUTES.contains(attribute)) else {
            return Err(format!("{}; {shown:?} has {}", takes(), clip(&attribute.to_string(), 60)));
        };
        if mapper_core::OPTION_NAMES.contains(&&*trimmed.to_lowercase()) {
            return Err(format!("{}; {shown:?} needs no synonym", takes()));
        }
        if let Some(other) = known.insert(trimmed.to_lowercase(), name) {
            return Err(format!("{}; {:?} and {shown:?} are the same name", takes(), clip(other, 60)));
        }
        checked.insert(trimmed.to_owned(), json!(attribute));
    }
    Ok(Value::Object(checked))
}

/// Returns the integer that a number is. JSON does not tell `2` from `2.0`, and the schema's `integer` admits both.
fn whole(value: &Value) -> Option<i64> {
    /// From here on, a float does not hold every integer.
    const MOST: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| number.trunc() == *number && number.abs() < MOST)?;
        // A float's text without a fraction is its digits.
        format!("{number:.0}").parse().ok()
    })
}

fn is_http_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        && text.len() <= 2000
}

/// Whether the secret is set. It serializes as the mask or as an empty text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct SecretPresence(pub bool);

impl Serialize for SecretPresence {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0 { MASK } else { "" })
    }
}

/// Whether calls are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeedMode {
    /// Calls are made.
    #[default]
    Live,
    /// Everything up to the call is done and logged: the intents are marked as previewed, and mapper faults are recorded.
    Preview,
}

/// How calls are spaced while there is a backlog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pacing {
    /// One call per tick.
    #[default]
    Interval,
    /// As often as the limiter allows.
    Budget,
}

/// Returns the stored value of a key, or its default. A test checks that each default has the type of its field.
fn field<T: DeserializeOwned + Default>(stored: &BTreeMap<String, Value>, key: &str) -> T {
    let value = stored.get(key).cloned().or_else(|| find(key).map(Spec::default_value)).unwrap_or_default();
    serde_json::from_value(value).unwrap_or_default()
}

impl Default for Settings {
    fn default() -> Self {
        Self::read(0, &BTreeMap::new())
    }
}

impl Settings {
    /// Builds the settings from stored values. Unknown keys are ignored; a value that no longer passes its check is
    /// replaced by the default.
    #[must_use]
    pub fn new(version: i64, has_secret: bool, stored: impl IntoIterator<Item = (String, Value)>) -> Self {
        let passes = |key: &str, value: &Value| {
            find(key).is_some_and(|spec| spec.kind != Kind::Secret && spec.check(value).is_ok())
        };
        let stored = stored.into_iter().filter(|(key, value)| passes(key, value)).collect();
        Self { app_secret: SecretPresence(has_secret), ..Self::read(version, &stored) }
    }

    /// Returns whether `app_id` and `app_secret` are set.
    #[must_use]
    pub fn oauth_client_configured(&self) -> bool {
        self.app_secret.0 && !self.app_id.is_empty()
    }

    /// Returns whether catalog, currency and storefront are set.
    #[must_use]
    pub fn feed_configured(&self) -> bool {
        !(self.catalog_id.is_empty() || self.mapper.currency.is_empty() || self.mapper.storefront_base_url.is_empty())
    }

    /// The keys without which nothing is synced.
    pub const NEEDED: [&'static str; 5] =
        [key::app_id, key::app_secret, key::catalog_id, key::currency, key::storefront_base_url];

    /// Returns the keys that are still blank, in the order of the admin API.
    #[must_use]
    pub fn missing_keys(&self) -> Vec<&'static str> {
        [
            self.app_id.is_empty(),
            !self.app_secret.0,
            self.catalog_id.is_empty(),
            self.mapper.currency.is_empty(),
            self.mapper.storefront_base_url.is_empty(),
        ]
        .into_iter()
        .zip(Self::NEEDED)
        .filter_map(|(is_blank, key)| is_blank.then_some(key))
        .collect()
    }
}

impl MapperSettings {
    /// Returns the settings in the form that the mapper takes. `s3_public_url` is the prefix of bare image keys.
    #[must_use]
    pub fn with(&self, s3_public_url: &str) -> mapper_core::MapSettings {
        mapper_core::MapSettings {
            currency: self.currency.clone(),
            storefront_base_url: self.storefront_base_url.clone(),
            storefront_product_path: self.storefront_product_path.clone(),
            default_condition: self.default_condition.clone(),
            identifier_exists_fallback: self.identifier_exists_fallback,
            business_name: self.business_name.clone(),
            title_max_length: self.title_max_length,
            description_max_length: self.description_max_length,
            s3_public_url: s3_public_url.to_owned(),
            category_levels: self.category_levels,
            additional_variant_attributes: self.additional_variant_attributes,
            option_synonyms: self.option_synonyms.clone(),
        }
    }
}

/// Returns the page `docs/settings.md`.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Settings\n\nThe settings that an operator can change while the service runs, with `PATCH \
         /admin/settings/admin`. A test generates\nthis page from the table in `crates/sync/src/domain/settings.rs`.\n\nA \
         change of a setting that the mapper reads asks again for every variant that was mapped; a variant\nwhose \
         result changed is sent. `GET /admin/meta/status` shows the progress (`reasks`).\n\n\
         | setting | takes | default | mapper reads it | what it does |\n|---|---|---|---|---|\n",
    );
    for spec in SPECS {
        let (takes, default) = (spec.kind.takes(), spec.default_value());
        let reads = if spec.is_mapped { "yes" } else { "no" };
        // Writing into a String cannot fail.
        let _ = writeln!(page, "| `{}` | {takes} | `{default}` | {reads} |{} |", spec.key, spec.help);
    }
    page
}

impl Kind {
    /// Returns a description of the accepted values.
    #[must_use]
    pub fn takes(self) -> String {
        match self {
            Self::Text(limit) => format!("text of at most {limit} characters"),
            Self::Secret => "text of at most 500 bytes".into(),
            Self::Url => "an absolute http or https URL, or nothing".into(),
            Self::PathTemplate => {
                format!(
                    "a path that starts with / and contains one or more of {}, and no other braces",
                    PLACEHOLDERS.join(", ")
                )
            }
            Self::Synonyms => format!(
                "an object of at most {MOST_SYNONYMS} option names of 1 to 100 characters, each with {}",
                ATTRIBUTES.join(", ")
            ),
            Self::Currency => "a currency code of ISO 4217 such as INR".into(),
            Self::TimeZone => "the IANA name of a time zone such as Asia/Kolkata".into(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Words(words) => format!("a list of {}, each at most once", words.join(", ")),
            Self::Flag => "true or false".into(),
            Self::Whole(low, high) => format!("a whole number from {low} to {high}"),
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
        let values = Settings::default().values();
        for spec in SPECS {
            // Each default is parsed into its field and serialized again, so it has the type of its field.
            assert_eq!(values[spec.key], spec.default_value(), "{}", spec.key);
        }
        assert_eq!(values.len(), SPECS.len());
    }

    #[test]
    fn the_page_is_written_from_the_table() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
        let written = std::fs::read_to_string(file).unwrap_or_default();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(file, page()).expect("the page can be written");
        } else {
            assert_eq!(written, page(), "regenerate docs/settings.md: UPDATE_DOCS=1 cargo test the_page_is_written");
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
                refused("currency", json!("ZZZ")),
                refused("storefront_base_url", json!("shop.example")),
                refused("storefront_base_url", json!("ftp://shop.example")),
                refused("storefront_product_path", json!("/product")),
                refused("storefront_product_path", json!("/p/{slug}?variant={id}")),
                refused("option_synonyms", json!(["Färg"])),
                refused("option_synonyms", json!({"Färg": "colour"})),
                refused("option_synonyms", json!({"Färg": "color", " fÄRG ": "size"})),
                refused("category_levels", json!(21)),
                refused("time_zone", json!("Kolkata")),
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
        takes a currency code of ISO 4217 such as INR, got "rupee"
        takes a currency code of ISO 4217 such as INR, got "ZZZ"
        takes an absolute http or https URL, or nothing, got "shop.example"
        takes an absolute http or https URL, or nothing, got "ftp://shop.example"
        takes a path that starts with / and contains one or more of {slug}, {variantId}, {productId}, {sku}, and no other braces, got "/product"
        takes a path that starts with / and contains one or more of {slug}, {variantId}, {productId}, {sku}, and no other braces, got "/p/{slug}?variant={id}"
        takes an object of at most 100 option names of 1 to 100 characters, each with color, size, material, pattern, got ["Färg"]
        takes an object of at most 100 option names of 1 to 100 characters, each with color, size, material, pattern; "Färg" has "colour"
        takes an object of at most 100 option names of 1 to 100 characters, each with color, size, material, pattern; " fÄRG " and "Färg" are the same name
        takes a whole number from 0 to 20, got 21
        takes the IANA name of a time zone such as Asia/Kolkata, got "Kolkata"
        takes one of live, preview, got "LIVE"
        takes true or false, got "true"
        takes text of at most 500 bytes
        takes text of at most 200 characters, got "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
        "#
        );
    }

    /// JSON has one type of number, so `2.0` is the integer 2, as the document's `integer` says.
    #[test]
    fn a_number_without_a_fraction_is_whole() {
        let checked = |text: &str| {
            let value: Value = serde_json::from_str(text).expect("JSON");
            find("batch_size").expect("a key").check(&value).ok()
        };
        for whole in ["10", "10.0", "1e1", "100e-1"] {
            assert_eq!(checked(whole), Some(json!(10)), "{whole}");
        }
        for other in ["10.5", "0.0", "-10.0", "5000.5", "1e300", "9007199254740993.0"] {
            assert_eq!(checked(other), None, "{other}");
        }
    }

    #[test]
    fn a_value_that_no_longer_passes_falls_back() {
        let stored = [("batch_size", json!(0)), ("feed_mode", json!("preview")), ("max_attempts", json!("5"))];
        let settings = Settings::new(3, false, stored.map(|(key, value)| (key.to_owned(), value)));
        assert_eq!((settings.batch_size, settings.max_attempts, settings.feed_mode), (1_000, 5, FeedMode::Preview));
    }

    /// The service shows the setting of a warning beside it, so it must be one whose change maps again.
    #[test]
    fn a_warning_names_a_setting_that_exists() {
        let named: Vec<_> = mapper_core::WarningCode::ALL.iter().filter_map(|code| code.setting()).collect();
        assert!(named.contains(&key::category_levels) && named.contains(&key::additional_variant_attributes));
        assert!(named.iter().all(|key| find(key).is_some_and(|spec| spec.is_mapped)), "{named:?}");
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
        assert_eq!(settings.values()["app_secret"], json!(MASK));
    }
}
