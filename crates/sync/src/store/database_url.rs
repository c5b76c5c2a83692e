//! Database URLs: what they may say, checked before sqlx reads them.
//!
//! Promise: an error names a parameter and never repeats a value. sqlx itself logs a parameter that it does not know
//! with its value, which may be a password under a misspelled name.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use url::{Url, form_urlencoded};

/// The parameters that sqlx reads from a `postgres://` URL.
const POSTGRES: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// What is wrong with a database URL. It repeats no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It belongs to no supported database, or cannot be read.
    #[error("takes postgres://user:password@host:port/database or sqlite://path")]
    Form,
    /// It has a parameter that the database does not take.
    #[error("the URL has the unknown parameter {name}; {accepted}")]
    Parameter {
        /// The name, or its number where the name may be part of a password.
        name: String,
        /// What is accepted.
        accepted: &'static str,
    },
    /// The value of a parameter cannot be read.
    #[error("the value of the parameter {0:?} of the URL cannot be read")]
    Value(&'static str),
}

/// Reads a `postgres://` URL.
pub(super) fn postgres(text: &str) -> Result<PgConnectOptions, UrlError> {
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err(UrlError::Form);
    }
    let mut url = Url::parse(text).map_err(|_| UrlError::Form)?;
    let known = |name: &str| POSTGRES.contains(&name) || name.starts_with("options[");
    let accepted = "PostgreSQL takes sslmode, sslrootcert, sslcert, sslkey, host, hostaddr, port, dbname, user, \
                    password, application_name, options and statement-cache-capacity";
    parameters(url.query().unwrap_or_default(), known, accepted)?;
    PgConnectOptions::from_str(text).map_err(|_| {
        // The parameter at fault is one without which the URL cannot be read, and with which alone it cannot either.
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let guilty = pairs.iter().find(|(name, value)| {
            url.query_pairs_mut().clear().append_pair(name, value);
            PgConnectOptions::from_str(url.as_str()).is_err()
        });
        let name = guilty.and_then(|(name, _)| POSTGRES.iter().copied().find(|known| known == name));
        name.map_or(UrlError::Form, UrlError::Value)
    })
}

/// Checks the parameters of a `sqlite://` URL. The service decides itself how it opens the file; `mode` is allowed,
/// since many URLs have it.
pub(super) fn sqlite(text: &str) -> Result<(), UrlError> {
    let query = text.split_once('?').map_or("", |(_, query)| query);
    parameters(query, |name| name == "mode", "SQLite takes mode, which changes nothing here")
}

fn parameters(query: &str, known: impl Fn(&str) -> bool, accepted: &'static str) -> Result<(), UrlError> {
    // A password with an unescaped `?` or `&` continues in the names.
    let mut may_be_password = query.contains('@');
    for (index, (name, _)) in form_urlencoded::parse(query.as_bytes()).enumerate() {
        if !known(&name) {
            let name = if may_be_password { format!("number {}", index + 1) } else { format!("{name:?}") };
            return Err(UrlError::Parameter { name, accepted });
        }
        may_be_password |= name == "password";
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> UrlError {
        let error = postgres(text).expect_err(text);
        assert!(!error.to_string().contains("hunter2"), "{error}");
        error
    }

    #[test]
    fn every_parameter_of_sqlx_is_accepted() {
        let query = "sslmode=require&sslrootcert=/a&sslcert=/b&sslkey=/c&host=h&hostaddr=127.0.0.1&port=5&dbname=d&user=u\
                     &password=p&application_name=a&options=-c%20a=b&options[search_path]=x&statement-cache-capacity=7\
                     &ssl-mode=prefer&ssl-root-cert=/a&ssl-ca=/a&ssl-cert=/b&ssl-key=/c";
        assert!(postgres(&format!("postgres://u:p@h/d?{query}")).is_ok());
        assert!(postgres("postgresql://h/d").is_ok());
        assert_eq!(sqlite("sqlite://a.db?mode=rwc"), Ok(()));
    }

    #[test]
    fn a_fault_is_named_without_its_value() {
        let name = |error| match error {
            UrlError::Parameter { name, .. } => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(name(refused("postgres://u:hunter2@h/d?sslmode=require&pasword=hunter2")), "\"pasword\"");
        assert_eq!(name(refused("postgres://h/d?password=a&hunter2&x=1")), "number 2");
        assert_eq!(name(refused("postgres://u:12?hunter2&x@h/d")), "number 1");
        assert_eq!(name(sqlite("sqlite://a.db?mode=ro&key=hunter2").expect_err("refused")), "\"key\"");
        assert_eq!(refused("postgres://u@h/d?user=u&sslmode=hunter2"), UrlError::Value("sslmode"));
        assert_eq!(refused("postgres://u@h/d?port=hunter2"), UrlError::Value("port"));
        assert_eq!(refused("postgres://u:hunter2@h:port/d"), UrlError::Form);
        assert_eq!(refused("mysql://u:hunter2@h/d"), UrlError::Form);
    }
}
