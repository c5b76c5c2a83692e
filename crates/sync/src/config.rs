//! The configuration of a process: a TOML file, overridden by the environment, overridden by flags.
//!
//! Promises: unknown keys are refused; every error names the key or variable and the accepted values; secrets are never
//! shown.
//! Left out on purpose: what an operator changes at run time; those are settings, in the database.

mod http;
mod malformed;
mod sessions;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use meta_graph::{DEFAULT_DIALOG_BASE_URL, DEFAULT_GRAPH_BASE_URL, DEFAULT_VERSION, GraphConfig, Timeouts};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use crate::domain::budget::LimiterConfig;
use crate::domain::retention::RetentionConfig;
use crate::domain::webhook;
use crate::store::connect;
use crate::store::seal::SealError;
pub use http::{HttpSection, StopWithin};
pub use malformed::Malformed;
pub use sessions::SessionsSection;

/// The whole configuration. The default works without changes: SQLite in `data/`, Meta's own hosts.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether the module runs; `false` means no actors and no `/admin/meta`.
    pub enabled: bool,
    /// Where the API listens; port 0 selects a free port.
    pub listen: SocketAddr,
    /// The database URL; may contain a password, so it is a secret. `None` means SQLite in `data_dir`.
    database_url: Option<SecretString>,
    /// The folder of the SQLite database and its key file.
    pub data_dir: PathBuf,
    /// Sealing keys; see [`crate::store::seal::Keyring::parse`]. `None` means a key file in `data_dir`, on SQLite only.
    pub key: Option<SecretString>,
    /// Where browsers reach this API; the OAuth redirect is built from it. `None` means the listening address.
    pub public_api_url: Option<String>,
    /// Where browsers reach the admin UI; the OAuth callback redirects to it. `None` means that the callback returns
    /// JSON.
    pub public_admin_url: Option<String>,
    /// Prefix for image keys that are not URLs.
    pub s3_public_url: String,
    /// The folder that is watched for mapper modules; see [`Config::mapper_directory`].
    mapper_dir: Option<PathBuf>,
    /// Connections to PostgreSQL for requests and intakes.
    pub database_pool: u32,
    /// How long the lease lasts without renewal, in seconds.
    pub lease_seconds: u64,
    /// The longest time from the signal to stop until the process has exited, in seconds.
    pub shutdown_seconds: u64,
    /// The format of log lines.
    pub log_format: LogFormat,
    /// Limits of the connections to the API.
    pub http: HttpSection,
    /// Where Meta's API is.
    pub graph: GraphSection,
    /// Meta's quotas.
    pub limiter: LimiterConfig,
    /// How long settled rows are kept.
    pub retention: RetentionConfig,
    /// Sessions of people who sign in.
    pub sessions: SessionsSection,
    /// The program that tries mapper modules, for programs that embed this library; `None` means this process's own
    /// program. Not a key of the file.
    #[serde(skip)]
    pub trial_program: Option<PathBuf>,
}

const SHUTDOWN_SECONDS: &str = "META_CATALOG_SHUTDOWN_SECONDS (shutdown_seconds)";

/// The value that turns the watched folder off.
const OFF: &str = "off";

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// JSON for machines, one object per line.
    Json,
}

/// Where Meta's API is.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GraphSection {
    /// Host of the API.
    pub base_url: String,
    /// Host of the login dialog.
    pub dialog_base_url: String,
    /// Version of the API.
    pub version: String,
    /// Longest duration of a call, in seconds; must be below five sixths of the lease.
    pub request_timeout_seconds: u64,
}

impl Default for GraphSection {
    fn default() -> Self {
        Self {
            base_url: DEFAULT_GRAPH_BASE_URL.into(),
            dialog_base_url: DEFAULT_DIALOG_BASE_URL.into(),
            version: DEFAULT_VERSION.into(),
            request_timeout_seconds: 40,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            database_url: None,
            data_dir: "data".into(),
            key: None,
            public_api_url: None,
            public_admin_url: None,
            s3_public_url: String::new(),
            mapper_dir: None,
            database_pool: 10,
            lease_seconds: 60,
            shutdown_seconds: 85,
            log_format: LogFormat::Text,
            http: HttpSection::default(),
            graph: GraphSection::default(),
            limiter: LimiterConfig::default(),
            retention: RetentionConfig::default(),
            sessions: SessionsSection::default(),
            trial_program: None,
        }
    }
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// The file is not valid.
    #[error("{}: {error}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The place and the cause.
        error: Malformed,
    },
    /// The key file is not usable.
    #[error("{}: {error}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// A value is not usable.
    #[error("{name}: {problem}")]
    Value {
        /// The variable or key.
        name: &'static str,
        /// What is wrong, and the accepted values.
        problem: String,
    },
    /// The sealing key is not usable.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl Config {
    /// Reads the file, if one is given, and applies the environment over it. `variable` returns the value of a
    /// variable.
    ///
    /// # Errors
    /// When the file or a value is not valid; names the key or variable and the accepted values.
    pub fn load(file: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut config = match file {
            None => Self::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
                toml::from_str(&text).map_err(|error| ConfigError::Malformed {
                    path: path.to_owned(),
                    error: Malformed::new(&text, error),
                })?
            }
        };
        config.overlay(|name| variable(name).filter(|value| !value.trim().is_empty()))?;
        config.validate()?;
        Ok(config)
    }

    fn overlay(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        if let Some(url) = variable("DATABASE_URL") {
            self.database_url = Some(url.into());
        }
        if let Some(listen) = variable("META_CATALOG_LISTEN") {
            self.listen = listen.trim().parse().map_err(|_| ConfigError::Value {
                name: "META_CATALOG_LISTEN",
                problem: format!("takes an address such as 127.0.0.1:8080, got {listen:?}"),
            })?;
        }
        if let Some(key) = variable("META_CATALOG_KEY") {
            self.key = Some(key.into());
        }
        let set = |target: &mut String, name| {
            if let Some(value) = variable(name) {
                *target = value.trim().to_owned();
            }
        };
        if let Some(directory) = variable("META_CATALOG_MAPPER_DIR") {
            self.mapper_dir = Some(directory.trim().into());
        }
        set(&mut self.graph.base_url, "META_GRAPH_BASE_URL");
        set(&mut self.graph.dialog_base_url, "META_DIALOG_BASE_URL");
        set(&mut self.graph.version, "META_GRAPH_VERSION");
        set(&mut self.s3_public_url, "S3_PUBLIC_URL");
        let optional = |target: &mut Option<String>, name| {
            if let Some(value) = variable(name) {
                *target = Some(value.trim().to_owned());
            }
        };
        optional(&mut self.public_api_url, "PUBLIC_API_URL");
        optional(&mut self.public_admin_url, "PUBLIC_ADMIN_URL");
        http::overlay(&mut self.shutdown_seconds, SHUTDOWN_SECONDS, &variable)?;
        self.http.overlay(&variable)?;
        self.sessions.overlay(variable)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        url("META_GRAPH_BASE_URL (graph.base_url)", &self.graph.base_url)?;
        url("META_DIALOG_BASE_URL (graph.dialog_base_url)", &self.graph.dialog_base_url)?;
        if let Some(text) = &self.public_api_url {
            url("PUBLIC_API_URL (public_api_url)", text)?;
        }
        if let Some(text) = &self.public_admin_url {
            url("PUBLIC_ADMIN_URL (public_admin_url)", text)?;
        }
        self.sessions.validate()?;
        self.http.validate()?;
        http::within(SHUTDOWN_SECONDS, self.shutdown_seconds, 1..=3600, "seconds")?;
        if !(6..=3600).contains(&self.lease_seconds) {
            return Err(ConfigError::Value {
                name: "lease_seconds",
                problem: format!("takes 6 to 3600 seconds, got {}", self.lease_seconds),
            });
        }
        let timeout = self.graph.request_timeout_seconds;
        // A renewal may be a sixth of the lease old when a call begins.
        if timeout == 0 || timeout * 6 >= self.lease_seconds * 5 {
            return Err(ConfigError::Value {
                name: "graph.request_timeout_seconds",
                problem: format!(
                    "must be above 0 and below five sixths of lease_seconds ({}), or a call could outlive the lease; got {timeout}",
                    self.lease_seconds
                ),
            });
        }
        days("retention.intent_days", self.retention.intent_days)?;
        days("retention.submission_days", self.retention.submission_days)?;
        days("retention.audit_days", self.retention.audit_days)
    }

    /// Replaces the database URL: the flag `--database-url`.
    pub fn set_database_url(&mut self, url: String) {
        self.database_url = Some(url.into());
    }

    /// Sets a sealing key unless one is configured: for an installation that ends with the process.
    pub fn set_key_if_missing(&mut self, key: &str) {
        self.key.get_or_insert_with(|| key.to_owned().into());
    }

    /// Returns the database URL. It may contain a password, so it must not be logged.
    #[must_use]
    pub fn database_url(&self) -> String {
        match &self.database_url {
            Some(url) => url.expose_secret().to_owned(),
            None => format!("sqlite://{}", self.data_dir.join("meta-catalog.db").display()),
        }
    }

    /// Returns what people may read of the database: the full path of a file, or host and name without credentials.
    #[must_use]
    pub fn database_shown(&self) -> String {
        let url = self.database_url();
        if let Some(path) = connect::sqlite_path(&url) {
            return std::path::absolute(&path).unwrap_or(path).display().to_string();
        }
        match Url::parse(&url) {
            Ok(url) => {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
            }
            Err(_) => "the configured database".into(),
        }
    }

    /// Returns the folder that is watched for mapper modules; `None` when no folder is watched. When it is not
    /// configured: `mappers` beside the SQLite database; no folder on PostgreSQL, whose replicas rarely share a folder.
    #[must_use]
    pub fn mapper_directory(&self) -> Option<PathBuf> {
        match &self.mapper_dir {
            Some(off) if off.as_os_str() == OFF => None,
            Some(directory) => Some(directory.clone()),
            None => connect::sqlite_path(&self.database_url()).map(|database| database.with_file_name("mappers")),
        }
    }

    /// Replaces the watched folder; `off` means that no folder is watched.
    pub fn set_mapper_directory(&mut self, directory: impl Into<PathBuf>) {
        self.mapper_dir = Some(directory.into());
    }

    /// Returns the address for Meta's notifications; `None` when `public_api_url` is not an https URL, which Meta requires.
    #[must_use]
    pub fn webhook_url(&self) -> Option<String> {
        let url = self.public_api_url.as_deref()?.trim_end_matches('/');
        Url::parse(url).is_ok_and(|url| url.scheme() == "https").then(|| format!("{url}{}", webhook::PATH))
    }

    /// How long the lease lasts without renewal.
    #[must_use]
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }

    /// How long each part of a stop may take.
    #[must_use]
    pub fn stop_within(&self) -> StopWithin {
        StopWithin::of(Duration::from_secs(self.shutdown_seconds))
    }

    /// Returns the configuration of the Graph client.
    ///
    /// # Errors
    /// When a URL is not valid.
    pub fn graph(&self) -> Result<GraphConfig, ConfigError> {
        Ok(GraphConfig {
            graph_base_url: url("META_GRAPH_BASE_URL (graph.base_url)", &self.graph.base_url)?,
            dialog_base_url: url("META_DIALOG_BASE_URL (graph.dialog_base_url)", &self.graph.dialog_base_url)?,
            version: self.graph.version.clone(),
            timeouts: Timeouts {
                connect: Duration::from_secs(10),
                request: Duration::from_secs(self.graph.request_timeout_seconds),
            },
        })
    }
}

fn url(name: &'static str, text: &str) -> Result<Url, ConfigError> {
    let parsed = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    // Not repeated: a URL may hold a password.
    parsed.ok_or_else(|| ConfigError::Value {
        name,
        problem: "takes an http or https URL, such as https://api.shop.example".into(),
    })
}

fn days(name: &'static str, days: u32) -> Result<(), ConfigError> {
    let most = RetentionConfig::MAX_DAYS;
    if days <= most {
        return Ok(());
    }
    Err(ConfigError::Value { name, problem: format!("takes 1 to {most} days, or 0 to keep for ever; got {days}") })
}

#[cfg(test)]
mod tests;
