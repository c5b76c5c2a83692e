//! The section `[http]`: what connections to the API may cost, and how a stop divides its time.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;

const MAX_CONNECTIONS: &str = "META_CATALOG_HTTP_MAX_CONNECTIONS (http.max_connections)";
const IDLE_SECONDS: &str = "META_CATALOG_HTTP_IDLE_SECONDS (http.idle_seconds)";
const WRITE_SECONDS: &str = "META_CATALOG_HTTP_WRITE_SECONDS (http.write_seconds)";

const ALLOWED_ORIGINS: &str = "META_CATALOG_HTTP_ALLOWED_ORIGINS (http.allowed_origins)";

/// Limits of the connections to the API, and the pages that may use it.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSection {
    /// Most open connections; fewer when the limit of open files is too low for them.
    pub max_connections: u32,
    /// How long a connection may lie idle, and the head of a request may take.
    pub idle_seconds: u64,
    /// How long a client may read nothing of a response.
    pub write_seconds: u64,
    /// Origins of further pages that may use the API with the session of their user, beside `public_admin_url`.
    pub allowed_origins: Vec<String>,
}

impl Default for HttpSection {
    fn default() -> Self {
        // Proxies keep idle connections for a minute. Closing one earlier could lose a request.
        Self { max_connections: 512, idle_seconds: 75, write_seconds: 30, allowed_origins: Vec::new() }
    }
}

impl HttpSection {
    pub(super) fn overlay(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        overlay(&mut self.max_connections, MAX_CONNECTIONS, &variable)?;
        overlay(&mut self.idle_seconds, IDLE_SECONDS, &variable)?;
        overlay(&mut self.write_seconds, WRITE_SECONDS, &variable)?;
        if let Some(list) = variable(ALLOWED_ORIGINS.split(' ').next().unwrap_or_default()) {
            let origins = list.split(',').map(str::trim).filter(|origin| !origin.is_empty());
            self.allowed_origins = origins.map(str::to_owned).collect();
        }
        Ok(())
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        within(MAX_CONNECTIONS, u64::from(self.max_connections), 16..=65_536, "connections")?;
        within(IDLE_SECONDS, self.idle_seconds, 1..=3600, "seconds")?;
        within(WRITE_SECONDS, self.write_seconds, 1..=3600, "seconds")?;
        match self.allowed_origins.iter().find(|origin| !is_origin(origin)) {
            None => Ok(()),
            Some(other) => {
                let problem = format!("takes origins such as https://admin.example, without a path, got {other:?}");
                Err(ConfigError::Value { name: ALLOWED_ORIGINS, problem })
            }
        }
    }
}

/// Whether a text is scheme, host and perhaps a port. A pattern such as `*` is none: cookies go along.
fn is_origin(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && !text.ends_with('/')
    })
}

/// How long each part of a stop may take. Together they are shorter than the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopWithin {
    /// Everything; then the process exits as it is.
    pub whole: Duration,
    /// Requests under way.
    pub requests: Duration,
    /// The actors, whose call in flight ends and is recorded.
    pub actors: Duration,
    /// Giving the lease back and closing the database; as long again for the database of sessions.
    pub closing: Duration,
}

impl StopWithin {
    /// Divides the time for a stop.
    pub(super) fn of(whole: Duration) -> Self {
        let requests = (whole / 8).min(Duration::from_secs(10));
        Self { whole, requests, actors: whole * 3 / 4, closing: whole / 32 }
    }
}

/// Sets a number from a variable, whose name is the first word of `name`.
pub(super) fn overlay<N: std::str::FromStr>(
    target: &mut N,
    name: &'static str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    if let Some(value) = variable(name.split(' ').next().unwrap_or(name)) {
        let problem = || format!("takes a whole number, got {value:?}");
        *target = value.trim().parse().map_err(|_| ConfigError::Value { name, problem: problem() })?;
    }
    Ok(())
}

pub(super) fn within(
    name: &'static str,
    value: u64,
    bounds: RangeInclusive<u64>,
    unit: &str,
) -> Result<(), ConfigError> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let problem = format!("takes {} to {} {unit}, got {value}", bounds.start(), bounds.end());
    Err(ConfigError::Value { name, problem })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn load(name: &str, value: &str) -> Result<Config, String> {
        Config::load(None, |known| (known == name).then(|| value.to_owned())).map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_sets_each_limit_within_its_bounds() {
        let config = load("META_CATALOG_HTTP_MAX_CONNECTIONS", "64").expect("loads");
        assert_eq!(config.http.max_connections, 64);
        assert_eq!(load("META_CATALOG_HTTP_IDLE_SECONDS", " 5 ").expect("loads").http.idle_seconds, 5);
        assert_eq!(load("META_CATALOG_HTTP_WRITE_SECONDS", "7").expect("loads").http.write_seconds, 7);
        assert_eq!(load("META_CATALOG_SHUTDOWN_SECONDS", "25").expect("loads").shutdown_seconds, 25);
        let origins = "https://a.example, http://localhost:8081";
        let origins = load("META_CATALOG_HTTP_ALLOWED_ORIGINS", origins).expect("loads").http.allowed_origins;
        assert_eq!(origins, ["https://a.example", "http://localhost:8081"]);
        for (name, value) in [
            ("META_CATALOG_HTTP_ALLOWED_ORIGINS", "*"),
            ("META_CATALOG_HTTP_ALLOWED_ORIGINS", "null"),
            ("META_CATALOG_HTTP_ALLOWED_ORIGINS", "https://a.example/"),
            ("META_CATALOG_HTTP_ALLOWED_ORIGINS", "https://a.example/admin"),
            ("META_CATALOG_HTTP_MAX_CONNECTIONS", "15"),
            ("META_CATALOG_HTTP_IDLE_SECONDS", "0"),
            ("META_CATALOG_HTTP_WRITE_SECONDS", "an hour"),
            ("META_CATALOG_SHUTDOWN_SECONDS", "3601"),
        ] {
            let refused = load(name, value).expect_err("refused");
            assert!(refused.starts_with(name) && refused.contains("takes"), "{refused}");
        }
    }

    #[test]
    fn the_parts_of_a_stop_are_shorter_than_the_whole() {
        for seconds in [1, 2, 25, 85, 3600] {
            let parts = StopWithin::of(Duration::from_secs(seconds));
            let sum = parts.requests + parts.actors + 2 * parts.closing;
            assert!(sum < parts.whole && sum > parts.whole * 3 / 4, "{parts:?}");
        }
    }
}
