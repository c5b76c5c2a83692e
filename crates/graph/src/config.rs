//! Addresses of Meta and time limits for calls.

use std::time::Duration;

use url::{Host, Url};

/// Meta's API host.
pub const DEFAULT_GRAPH_BASE_URL: &str = "https://graph.facebook.com";
/// Meta's host for the login dialog, which a browser opens.
pub const DEFAULT_DIALOG_BASE_URL: &str = "https://www.facebook.com";
/// The API version the service is built against.
pub const DEFAULT_VERSION: &str = "v26.0";

/// Time limits of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the TCP and TLS handshake.
    pub connect: Duration,
    /// For the whole call, from connecting to the last byte of the answer.
    pub request: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), request: Duration::from_secs(60) }
    }
}

/// Settings of the [`GraphClient`](super::GraphClient).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphConfig {
    /// API host, with an optional path in front of the version ([`DEFAULT_GRAPH_BASE_URL`]).
    pub graph_base_url: Url,
    /// Login dialog host ([`DEFAULT_DIALOG_BASE_URL`]).
    pub dialog_base_url: Url,
    /// API version, as in `v26.0` ([`DEFAULT_VERSION`]).
    pub version: String,
    /// Time limits.
    pub timeouts: Timeouts,
}

/// Why a [`GraphConfig`] cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GraphConfigError {
    /// A base URL that cannot be used to build calls.
    #[error("{name} must be an http or https URL with a host and without user, query or fragment, like `{example}`")]
    BaseUrl {
        /// Which URL.
        name: &'static str,
        /// A valid example.
        example: &'static str,
    },
    /// A version that is not `v<major>.<minor>`.
    #[error("the Graph API version must look like `{DEFAULT_VERSION}`, not `{0}`")]
    Version(String),
    /// The HTTP client could not be set up; the text is the reason.
    #[error(
        "the HTTP client cannot be set up: {0} (https needs the system's CA certificates, package `ca-certificates`)"
    )]
    Http(String),
}

impl GraphConfig {
    /// Checks the constraints that the types do not express.
    pub(super) fn validate(&self) -> Result<(), GraphConfigError> {
        let urls = [
            ("the Graph base URL", &self.graph_base_url, DEFAULT_GRAPH_BASE_URL),
            ("the dialog base URL", &self.dialog_base_url, DEFAULT_DIALOG_BASE_URL),
        ];
        for (name, url, example) in urls {
            let usable = matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none();
            if !usable {
                return Err(GraphConfigError::BaseUrl { name, example });
            }
        }
        let number = |text: &str| !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
        let version = self.version.strip_prefix('v').and_then(|rest| rest.split_once('.'));
        match version {
            Some((major, minor)) if number(major) && number(minor) => Ok(()),
            Some(_) | None => Err(GraphConfigError::Version(self.version.clone())),
        }
    }
}

/// True for a host that is this machine by its name alone.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(graph: &str, version: &str) -> GraphConfig {
        GraphConfig {
            graph_base_url: Url::parse(graph).expect("a URL"),
            dialog_base_url: Url::parse(DEFAULT_DIALOG_BASE_URL).expect("a URL"),
            version: version.to_owned(),
            timeouts: Timeouts::default(),
        }
    }

    #[test]
    fn only_usable_settings_pass() {
        let cases = [
            (DEFAULT_GRAPH_BASE_URL, DEFAULT_VERSION, true),
            ("http://127.0.0.1:9000/meta", "v9.0", true),
            ("ftp://graph.facebook.com", DEFAULT_VERSION, false),
            ("https://user:pass@graph.facebook.com", DEFAULT_VERSION, false),
            ("https://graph.facebook.com/?a=b", DEFAULT_VERSION, false),
            ("data:text/plain,x", DEFAULT_VERSION, false),
            (DEFAULT_GRAPH_BASE_URL, "25.0", false),
            (DEFAULT_GRAPH_BASE_URL, "v25", false),
            (DEFAULT_GRAPH_BASE_URL, "v25.", false),
            (DEFAULT_GRAPH_BASE_URL, "v26.0/..", false),
        ];
        for (url, version, usable) in cases {
            assert_eq!(config(url, version).validate().is_ok(), usable, "{url} {version}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_host_alone() {
        for (url, expected) in [
            ("http://localhost:1", true),
            ("http://127.0.0.9", true),
            ("http://[::1]:80", true),
            ("https://graph.facebook.com", false),
            ("http://10.0.0.1", false),
            ("http://localhost.example", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).expect("a URL")), expected, "{url}");
        }
    }
}
