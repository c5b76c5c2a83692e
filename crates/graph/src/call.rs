//! One Graph call before it is sent.
//!
//! Purpose: hold the parts of a call, and record which of them are secret.
//! Promises: a node id that could change the path is refused; this type has no `Debug`, so it cannot be logged.

use std::borrow::Cow;

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};

use super::proof::app_secret_proof;
use super::redact::Redactor;
use super::{AppCredentials, Caller};

/// The largest ordinary answer that is read, in bytes.
const ANSWER_CAP: usize = 16 * 1024 * 1024;
/// The largest answer that is read, in bytes, when it can cover thousands of rows.
const BATCH_ANSWER_CAP: usize = 64 * 1024 * 1024;

/// The credentials that authenticate the call.
#[derive(Clone)]
enum Auth<'a> {
    /// No token: the parameters hold the credentials (`oauth/access_token`).
    InParameters,
    Token(Caller<'a>),
    /// The app itself, with its app access token.
    App(&'a AppCredentials),
}

#[derive(Clone)]
enum Param<'a> {
    Plain(Cow<'a, str>),
    Secret(&'a SecretString),
}

/// A Graph call under construction.
#[derive(Clone)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// The name of the edge, for logs and errors.
    pub(super) edge: &'static str,
    /// The path below the version.
    pub(super) path: Vec<&'a str>,
    /// The catalog, for logs.
    pub(super) catalog_id: Option<&'a str>,
    pub(super) json: Option<Vec<u8>>,
    /// The largest answer that is read, in bytes.
    pub(super) cap: usize,
    auth: Auth<'a>,
    params: Vec<(&'static str, Param<'a>)>,
}

impl<'a> Call<'a> {
    fn new(method: Method, edge: &'static str, path: Vec<&'a str>) -> Self {
        Self {
            method,
            edge,
            path,
            catalog_id: None,
            json: None,
            cap: ANSWER_CAP,
            auth: Auth::InParameters,
            params: Vec::new(),
        }
    }

    /// A read of a node itself; `kind` names it in logs.
    pub(super) fn get_node(kind: &'static str, node_id: &'a str) -> Self {
        Self::new(Method::GET, kind, vec![node_id])
    }

    /// A read of an edge of a node.
    pub(super) fn get(node_id: &'a str, edge: &'static str) -> Self {
        Self::new(Method::GET, edge, vec![node_id, edge])
    }

    /// A read below no node, such as `debug_token` or `oauth/access_token`.
    pub(super) fn get_root(edge: &'static str) -> Self {
        Self::new(Method::GET, edge, edge.split('/').collect())
    }

    /// A write on an edge of a node.
    pub(super) fn post(node_id: &'a str, edge: &'static str) -> Self {
        Self::new(Method::POST, edge, vec![node_id, edge])
    }

    /// A removal on an edge of a node.
    pub(super) fn delete(node_id: &'a str, edge: &'static str) -> Self {
        Self::new(Method::DELETE, edge, vec![node_id, edge])
    }

    /// Marks the call as one on a catalog, for logs.
    pub(super) fn on_catalog(mut self, catalog_id: &'a str) -> Self {
        self.catalog_id = Some(catalog_id);
        self
    }

    /// Signs the call with a token.
    pub(super) fn by(mut self, caller: Caller<'a>) -> Self {
        self.auth = Auth::Token(caller);
        self
    }

    /// Signs the call with the app access token.
    pub(super) fn by_app(mut self, app: &'a AppCredentials) -> Self {
        self.auth = Auth::App(app);
        self
    }

    /// Adds a parameter.
    pub(super) fn param(mut self, name: &'static str, value: impl Into<Cow<'a, str>>) -> Self {
        self.params.push((name, Param::Plain(value.into())));
        self
    }

    /// Adds a parameter that must never be shown.
    pub(super) fn secret(mut self, name: &'static str, value: &'a SecretString) -> Self {
        self.params.push((name, Param::Secret(value)));
        self
    }

    /// Sends `body` as the JSON body; parameters then go into the query.
    pub(super) fn json(mut self, body: Vec<u8>) -> Self {
        self.json = Some(body);
        self
    }

    /// Raises the size limit for an answer about thousands of rows.
    pub(super) fn long_answer(mut self) -> Self {
        self.cap = BATCH_ANSWER_CAP;
        self
    }

    /// Returns the access token and its proof; `None` when no token signs the call.
    pub(super) fn token_and_proof(&self) -> Option<(SecretString, String)> {
        let (app, token) = match &self.auth {
            Auth::InParameters => return None,
            Auth::Token(caller) => (caller.app, caller.token.clone()),
            Auth::App(app) => (*app, format!("{}|{}", app.app_id, app.app_secret.expose_secret()).into()),
        };
        let proof = app_secret_proof(&app.app_secret, &token);
        Some((token, proof))
    }

    /// Returns the parameters unmasked. Only for sending.
    pub(super) fn exposed_params(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.params.iter().map(|(name, value)| match value {
            Param::Plain(text) => (*name, text.as_ref()),
            Param::Secret(secret) => (*name, secret.expose_secret()),
        })
    }

    /// Returns the redactor that removes the call's secrets from every text that comes back.
    pub(super) fn redactor(&self) -> Redactor {
        let mut redactor = Redactor::default();
        match &self.auth {
            Auth::InParameters => {}
            Auth::Token(Caller { app, token }) => {
                redactor.hide(token.expose_secret());
                redactor.hide(app.app_secret.expose_secret());
            }
            Auth::App(app) => redactor.hide(app.app_secret.expose_secret()),
        }
        if let Some((_, proof)) = self.token_and_proof() {
            redactor.hide(&proof);
        }
        for (_, value) in &self.params {
            if let Param::Secret(secret) = value {
                redactor.hide(secret.expose_secret());
            }
        }
        redactor
    }

    /// Refuses an id that is not a Graph id: it would address another edge or nothing.
    pub(super) fn check_path(&self) -> Result<(), String> {
        let usable = |id: &&str| {
            (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        match self.path.iter().find(|id| !usable(id)) {
            None => Ok(()),
            Some(id) => Err(format!("{id:?} is not a Graph id: expected up to 64 letters, digits, `_` or `-`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ids_reach_the_path() {
        for (id, usable) in [
            ("987", true),
            ("me", true),
            ("a_b-c", true),
            ("", false),
            ("..", false),
            ("1/items", false),
            ("1?fields=id", false),
            (" 987", false),
            ("९८७", false),
            (&"1".repeat(65), false),
        ] {
            assert_eq!(Call::get(id, "products").check_path().is_ok(), usable, "{id:?}");
        }
    }
}
