//! The share of its allowance that Meta reports as used.
//!
//! Purpose: parse `X-Business-Use-Case-Usage` and `X-App-Usage` into plain numbers for the rate limiter.
//! Promises: never fails; a missing, odd or broken header means "unknown". Times are capped at 24 hours.
//! Left out on purpose: `X-Ad-Account-Usage` (not sent for catalogs), and any meaning of `type`, whose values for
//! catalogs are not documented.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::tolerant::{as_f64, as_text};
use super::words;

const BUSINESS_USE_CASE_USAGE: &str = "x-business-use-case-usage";
const APP_USAGE: &str = "x-app-usage";

/// The longest pause that is accepted; a larger number is the sender's mistake.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// The usage headers of one answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    use_cases: Vec<UseCaseUsage>,
    app_percent: Option<f64>,
}

/// One entry of `X-Business-Use-Case-Usage`.
#[derive(Clone, Debug, PartialEq)]
pub struct UseCaseUsage {
    /// The business or catalog that the entry concerns.
    pub object_id: String,
    /// Meta's name of the use case, free text.
    pub use_case: String,
    /// Percent of the allowance used: the maximum of calls, CPU time and total time. At 100, calls are blocked.
    pub percent: f64,
    /// The time until calls are accepted again; zero when they are not blocked.
    pub regain_after: Duration,
}

impl Usage {
    /// Parses the headers of an answer.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let json = |name| {
            let mut value = headers.get(name).and_then(|value| words::parse(value.as_bytes()).ok())?;
            words::bound(&mut value);
            Some(value)
        };
        Self {
            use_cases: json(BUSINESS_USE_CASE_USAGE).map_or_else(Vec::new, |value| use_cases(&value)),
            app_percent: json(APP_USAGE).and_then(|value| highest_percent(&value)),
        }
    }

    /// Whether the answer has no usable usage header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.use_cases.is_empty() && self.app_percent.is_none()
    }

    /// Every readable entry of `X-Business-Use-Case-Usage`.
    #[must_use]
    pub fn use_cases(&self) -> &[UseCaseUsage] {
        &self.use_cases
    }

    /// Percent used of the app's own allowance (`X-App-Usage`).
    #[must_use]
    pub fn app_percent(&self) -> Option<f64> {
        self.app_percent
    }

    /// Returns the percentage used by `catalog_id`.
    ///
    /// Meta does not document whether the header is keyed by catalog or by business. When no entry names the catalog,
    /// the maximum of all entries counts: an unneeded slowdown costs less than a block.
    #[must_use]
    pub fn percent_for(&self, catalog_id: &str) -> Option<f64> {
        let highest = |of: &dyn Fn(&UseCaseUsage) -> bool| {
            self.use_cases.iter().filter(|entry| of(entry)).map(|entry| entry.percent).reduce(f64::max)
        };
        highest(&|entry| entry.object_id == catalog_id).or_else(|| highest(&|_| true))
    }

    /// Returns how long Meta requires to wait: the maximum of all entries; `None` when nothing is blocked.
    #[must_use]
    pub fn regain_after(&self) -> Option<Duration> {
        self.use_cases.iter().map(|entry| entry.regain_after).max().filter(|pause| !pause.is_zero())
    }
}

fn use_cases(header: &Value) -> Vec<UseCaseUsage> {
    let Some(by_object) = header.as_object() else {
        return Vec::new();
    };
    let entries = by_object.iter().flat_map(|(object_id, entries)| {
        // The documentation shows a list per object; a single object is read as a list of one.
        let entries = entries.as_array().map_or(std::slice::from_ref(entries), Vec::as_slice);
        entries.iter().map(move |entry| (object_id, entry))
    });
    entries
        .filter(|(_, entry)| entry.is_object())
        .map(|(object_id, entry)| UseCaseUsage {
            object_id: object_id.clone(),
            use_case: entry.get("type").and_then(as_text).unwrap_or_default(),
            percent: highest_percent(entry).unwrap_or(0.0),
            regain_after: entry.get("estimated_time_to_regain_access").map_or(Duration::ZERO, minutes),
        })
        .collect()
}

fn highest_percent(entry: &Value) -> Option<f64> {
    ["call_count", "total_cputime", "total_time"]
        .iter()
        .filter_map(|key| entry.get(key).and_then(as_f64))
        .map(|percent| percent.max(0.0))
        .reduce(f64::max)
}

fn minutes(value: &Value) -> Duration {
    let seconds = as_f64(value).unwrap_or(0.0) * 60.0;
    Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_PAUSE.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn usage(business: &str, app: &str) -> Usage {
        let mut headers = HeaderMap::new();
        for (name, value) in [(BUSINESS_USE_CASE_USAGE, business), (APP_USAGE, app)] {
            if !value.is_empty() {
                headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
            }
        }
        Usage::from_headers(&headers)
    }

    #[test]
    fn business_header_is_read_in_every_form() {
        let documented = r#"{"987":[{"type":"catalog_batch","call_count":28,"total_cputime":15,"total_time":12,"estimated_time_to_regain_access":0}]}"#;
        // header, percent for 987, seconds to wait
        let cases: [(&str, Option<f64>, Option<u64>); 14] = [
            (documented, Some(28.0), None),
            ("", None, None),
            ("not json", None, None),
            ("[]", None, None),
            ("{}", None, None),
            (r#"{"987":[]}"#, None, None),
            (r#"{"987":"junk"}"#, None, None),
            (r#"{"987":["junk",{"call_count":3}]}"#, Some(3.0), None),
            (r#"{"987":{"call_count":97.5,"estimated_time_to_regain_access":1.5}}"#, Some(97.5), Some(90)),
            (
                r#"{"987":[{"call_count":1,"total_time":100,"estimated_time_to_regain_access":"7"}]}"#,
                Some(100.0),
                Some(420),
            ),
            // Keyed by the business: the maximum of all entries counts.
            (r#"{"111":[{"call_count":40},{"call_count":60}],"112":[{"call_count":5}]}"#, Some(60.0), None),
            // Keyed by the catalog: other entries do not affect the percentage, but a block does.
            (
                r#"{"111":[{"call_count":99,"estimated_time_to_regain_access":2}],"987":[{"call_count":5}]}"#,
                Some(5.0),
                Some(120),
            ),
            (r#"{"987":[{"call_count":-4,"estimated_time_to_regain_access":-3}]}"#, Some(0.0), None),
            (r#"{"987":[{"estimated_time_to_regain_access":1e300}]}"#, Some(0.0), Some(86_400)),
        ];
        for (header, percent, seconds) in cases {
            let usage = usage(header, "");
            assert_eq!(usage.percent_for("987"), percent, "{header}");
            assert_eq!(usage.regain_after(), seconds.map(Duration::from_secs), "{header}");
            assert_eq!(usage.is_empty(), percent.is_none(), "{header}");
        }
    }

    #[test]
    fn app_header_is_read_apart() {
        let usage = usage("", r#"{"call_count":28,"total_time":31.5,"total_cputime":25}"#);
        assert_eq!(usage.app_percent(), Some(31.5));
        assert_eq!(usage.percent_for("987"), None);
        assert!(!usage.is_empty());
    }
}
