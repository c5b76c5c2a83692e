//! Request parameters, from wherever a client puts them.
//!
//! The SDKs and plugins disagree: query, JSON body, urlencoded form and multipart form are all in use, and lists and maps
//! come as real JSON or as JSON text. [`Params`] hides the difference: a name has one value, the body beats the query.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart};
use axum::http::{HeaderMap, Request, header};
use serde_json::Value;

use crate::errors::{GraphError, Result};

/// The parameters of one call.
#[derive(Debug, Default)]
pub(crate) struct Params(BTreeMap<String, Value>);

/// Names whose values never reach a log.
const SECRET: [&str; 7] =
    ["access_token", "appsecret_proof", "client_secret", "code", "fb_exchange_token", "input_token", "revoke_token"];

impl Params {
    /// Reads query and body.
    ///
    /// # Errors
    /// Code 100 when the body is not what its content type says.
    pub(crate) async fn read(query: &str, headers: &HeaderMap, body: Bytes) -> Result<Self> {
        let mut params = Self::from_query(query);
        if body.is_empty() {
            return Ok(params);
        }
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if content_type.starts_with("multipart/form-data") {
            params.add_multipart(content_type, body).await?;
        } else if content_type.contains("json") {
            let value: Value = serde_json::from_slice(&body)
                .map_err(|error| GraphError::new(100, format!("(#100) The request body is no valid JSON: {error}")))?;
            match value {
                Value::Object(map) => params.0.extend(map),
                _ => {
                    return Err(GraphError::new(100, "(#100) The request body must be a JSON object"));
                }
            }
        } else {
            let form = url::form_urlencoded::parse(&body);
            params.0.extend(form.map(|(k, v)| (k.into_owned(), Value::String(v.into_owned()))));
        }
        Ok(params)
    }

    pub(crate) fn from_query(query: &str) -> Self {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        Self(pairs.map(|(k, v)| (k.into_owned(), Value::String(v.into_owned()))).collect())
    }

    async fn add_multipart(&mut self, content_type: &str, body: Bytes) -> Result<()> {
        let broken =
            |error: &dyn std::fmt::Display| GraphError::new(100, format!("(#100) Bad multipart body: {error}"));
        let mut request = Request::new(Body::from(body));
        if let Ok(value) = content_type.parse() {
            request.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        // The size was checked when the body was read.
        DefaultBodyLimit::disable().apply(&mut request);
        let mut multipart = Multipart::from_request(request, &()).await.map_err(|e| broken(&e))?;
        while let Some(field) = multipart.next_field().await.map_err(|e| broken(&e))? {
            let name = field.name().unwrap_or_default().to_owned();
            let text = field.text().await.map_err(|e| broken(&e))?;
            self.0.insert(name, Value::String(text));
        }
        Ok(())
    }

    pub(crate) fn insert(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|v| !v.is_null())
    }

    /// A text; numbers and bools are read as their text. An empty text counts as left out.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text.clone()),
            value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            _ => None,
        }
    }

    pub(crate) fn required(&self, name: &str) -> Result<String> {
        self.text(name).ok_or_else(|| GraphError::required(name))
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        match self.text(name).as_deref() {
            None => Ok(default),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(GraphError::parameter(name, format!("(#100) Param {name} must be a boolean"))),
        }
    }

    pub(crate) fn count(&self, name: &str, default: usize) -> Result<usize> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| {
                GraphError::parameter(name, format!("(#100) Param {name} must be a non-negative integer"))
            }),
        }
    }

    /// A list or map, as JSON or as JSON text.
    pub(crate) fn take_json(&mut self, name: &str) -> Result<Option<Value>> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|_| GraphError::parameter(name, format!("(#100) Param {name} must be valid JSON"))),
            Some(value) => Ok(Some(value)),
        }
    }

    /// A list of texts: a JSON list, or a comma (or blank) list.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        let from_array = |items: &[Value]| {
            items.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect::<Vec<_>>()
        };
        match self.0.get(name)? {
            Value::Array(items) => Some(from_array(items)),
            Value::String(text) => match serde_json::from_str::<Value>(text) {
                Ok(Value::Array(items)) => Some(from_array(&items)),
                _ => {
                    let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
                    Some(parts.map(str::to_owned).collect())
                }
            },
            _ => None,
        }
    }

    /// `fields` as text; the SDKs send a comma list, some clients a JSON list.
    pub(crate) fn fields(&self) -> Option<String> {
        match self.0.get("fields")? {
            Value::Array(_) => Some(self.list("fields")?.join(",")),
            Value::String(text) if text.trim_start().starts_with('[') => Some(self.list("fields")?.join(",")),
            Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
            _ => None,
        }
    }

    /// All parameters with secrets masked, for the log. `requests` is left to the caller, which knows the rows; `batch` is
    /// left out because its parts can hold tokens.
    pub(crate) fn masked(&self) -> BTreeMap<String, Value> {
        let shown = self.0.iter().filter(|(name, _)| !matches!(name.as_str(), "requests" | "batch"));
        shown.map(|(name, value)| (name.clone(), mask(name, value))).collect()
    }
}

fn mask(name: &str, value: &Value) -> Value {
    if SECRET.contains(&name) { Value::String("***".into()) } else { value.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_may_be_json_or_a_comma_list() {
        let params = Params::from_query(r#"tasks=["MANAGE","ADVERTISE"]&scope=a,b%20c"#);
        assert_eq!(params.list("tasks").expect("given"), ["MANAGE", "ADVERTISE"]);
        assert_eq!(params.list("scope").expect("given"), ["a", "b", "c"]);
    }

    #[test]
    fn secrets_are_masked() {
        let masked = Params::from_query("access_token=EAAB&limit=5").masked();
        assert_eq!(masked["access_token"], "***");
        assert_eq!(masked["limit"], "5");
    }
}
