//! The section `[sessions]`: people who sign in with a Better-Auth instance.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::ConfigError;
use crate::domain::access::Roles;
use crate::store::better_auth::{Location, Names};

const SECRET: &str = "BETTER_AUTH_SECRET (sessions.secret)";
const DATABASE_URL: &str = "BETTER_AUTH_DATABASE_URL (sessions.database_url)";
/// The secret with which Better-Auth signs when none is configured: publicly known.
const WELL_KNOWN: &str = "better-auth-secret-12345678901234567890";

/// How the Better-Auth instance is set up, and what its roles may do here.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsSection {
    secret: Option<SecretString>,
    database_url: Option<SecretString>,
    /// Name of the session cookie.
    pub cookie_name: String,
    /// Whether a token without signature counts as a bearer token.
    pub raw_bearer: bool,
    /// Whether an impersonated session may manage.
    pub impersonation_may_manage: bool,
    /// What each role may do.
    pub roles: Roles,
    /// Tables and columns of the Better-Auth database.
    pub names: Names,
}

impl Default for SessionsSection {
    fn default() -> Self {
        Self {
            secret: None,
            database_url: None,
            cookie_name: "better-auth.session_token".into(),
            raw_bearer: false,
            impersonation_may_manage: false,
            roles: Roles::default(),
            names: Names::default(),
        }
    }
}

impl SessionsSection {
    pub(super) fn overlay(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        // Not trimmed: every byte is part of the key.
        if let Some(secret) = variable("BETTER_AUTH_SECRET") {
            self.secret = Some(secret.into());
        }
        // When this variable is set, Better-Auth signs with nothing else.
        if let Some(versions) = variable("BETTER_AUTH_SECRETS") {
            self.secret = Some(first_version(&versions)?);
        }
        if let Some(url) = variable("BETTER_AUTH_DATABASE_URL") {
            self.database_url = Some(url.trim().into());
        }
        Ok(())
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let value = |name, problem: &str| Err(ConfigError::Value { name, problem: problem.into() });
        if self.secret.as_ref().is_some_and(|secret| secret.expose_secret() == WELL_KNOWN) {
            return value(
                SECRET,
                "this is the default secret of Better-Auth, which is publicly known; give Better-Auth and this service a secret of your own",
            );
        }
        let name = &self.cookie_name;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && !b"=;,\"".contains(&byte)) {
            return value("sessions.cookie_name", "takes the name of a cookie, such as better-auth.session_token");
        }
        self.parts().map(drop)
    }

    /// Returns the secret and the location of the database; `None` when neither is configured.
    ///
    /// # Errors
    /// When only one of them is configured, or the URL is not usable.
    pub fn parts(&self) -> Result<Option<(&SecretString, Location)>, ConfigError> {
        match (&self.secret, &self.database_url) {
            (None, None) => Ok(None),
            (Some(secret), Some(url)) => match Location::parse(url) {
                Ok(location) => Ok(Some((secret, location))),
                Err(error) => Err(ConfigError::Value { name: DATABASE_URL, problem: error.to_string() }),
            },
            (Some(_), None) => Err(missing(DATABASE_URL)),
            (None, Some(_)) => Err(missing(SECRET)),
        }
    }
}

fn missing(name: &'static str) -> ConfigError {
    let problem = "is missing; sessions need Better-Auth's secret and its database, so set both or neither".into();
    ConfigError::Value { name, problem }
}

/// Returns the secret that signs among `2:new,1:old`: the first.
fn first_version(versions: &str) -> Result<SecretString, ConfigError> {
    let first = versions.split(',').next().unwrap_or_default().trim();
    match first.split_once(':') {
        Some((version, secret)) if version.trim().parse::<u64>().is_ok() && !secret.trim().is_empty() => {
            Ok(secret.trim().into())
        }
        _ => Err(ConfigError::Value {
            name: "BETTER_AUTH_SECRETS",
            problem: "takes entries of the form version:secret, separated by commas, the current one first".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn load(variables: &[(&str, &str)]) -> Result<Config, String> {
        let known =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Config::load(None, known).map_err(|error| error.to_string())
    }

    fn refused(variables: &[(&str, &str)]) -> String {
        load(variables).expect_err("refused")
    }

    #[test]
    fn sessions_take_a_secret_and_a_database_or_neither() {
        assert!(load(&[]).expect("loads").sessions.parts().expect("fine").is_none());
        let (secret, url) = (("BETTER_AUTH_SECRET", "hunter2"), ("BETTER_AUTH_DATABASE_URL", "postgres://u:pw@h/d"));
        let both = load(&[secret, url]).expect("loads");
        assert!(both.sessions.parts().expect("fine").is_some());
        let shown = format!("{both:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("pw@"), "{shown}");
        assert!(refused(&[secret]).contains("BETTER_AUTH_DATABASE_URL"));
        assert!(refused(&[url]).contains("BETTER_AUTH_SECRET"));
        let wrong = refused(&[secret, ("BETTER_AUTH_DATABASE_URL", "mysql://u:pw@h/d")]);
        assert!(wrong.contains("postgres://") && !wrong.contains("pw"), "{wrong}");
        assert!(refused(&[("BETTER_AUTH_SECRET", WELL_KNOWN), url]).contains("publicly known"));
    }

    /// A token without signature is what the table holds: read access to it would be a login.
    #[test]
    fn a_bearer_token_needs_its_signature_unless_configured() {
        assert!(!load(&[]).expect("loads").sessions.raw_bearer);
    }

    #[test]
    fn of_versioned_secrets_the_first_signs() {
        let first = |text| first_version(text).map(|secret| secret.expose_secret().to_owned()).ok();
        assert_eq!(first("2:new, 1:old"), Some("new".into()));
        assert_eq!(first(" 3 : a:b "), Some("a:b".into()));
        for wrong in ["new", "x:new", "2:", "", ",1:old"] {
            assert_eq!(first(wrong), None, "{wrong}");
        }
    }
}
