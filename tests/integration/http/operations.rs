//! The operations of the OpenAPI document, each with the request that it gives as an example.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use testkit::modules::module;

/// A body as the document shows it.
pub(super) enum Example {
    Json(Value),
    /// A mapper module, which no document shows.
    Module,
    /// A file of products, which no document shows.
    Products,
}

/// An operation as the document describes it, with the request that it gives as an example.
pub(super) struct Operation {
    /// Method and path as the document writes them.
    pub(super) name: String,
    pub(super) method: Method,
    pub(super) path: String,
    body: Option<Example>,
    /// The permission, if it is guarded.
    pub(super) permission: Option<String>,
    /// Every status that it may answer with.
    pub(super) statuses: BTreeSet<u16>,
    /// Every code of an error that it may answer with.
    pub(super) codes: BTreeSet<String>,
}

impl Operation {
    /// Fills the example into a request.
    pub(super) fn request(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.body {
            Some(Example::Json(body)) => request.json(body),
            Some(Example::Module) => request.header("content-type", "application/wasm").body(module("margin-label")),
            Some(Example::Products) => request.header("content-type", "application/x-ndjson").body("\n"),
            None => request,
        }
    }
}

/// Every operation of a document.
pub(super) fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().expect("paths");
    let each = paths.iter().flat_map(|(path, item)| {
        item.as_object()
            .expect("operations")
            .iter()
            .map(move |(method, about)| operation(document, path, method, about))
    });
    each.collect()
}

fn operation(document: &Value, path: &str, method: &str, about: &Value) -> Operation {
    let name = format!("{method} {path}");
    let text = |key: &str| about[key].as_str().filter(|text| !text.is_empty()).is_some();
    assert!(text("summary") && text("description") && text("operationId") && !about["tags"][0].is_null(), "{name}");
    let mut filled = path.to_owned();
    for parameter in about["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] == "path" {
            let (key, example) = (parameter["name"].as_str(), parameter["example"].as_str());
            let key = key.unwrap_or_else(|| panic!("{name}: a parameter without a name"));
            let example = example.unwrap_or_else(|| panic!("{name}: {key} has no example"));
            filled = filled.replace(&format!("{{{key}}}"), example);
        }
    }
    assert!(!filled.contains('{'), "{name}: a part of the path is not described");
    let responses = about["responses"].as_object().expect("responses");
    for (status, response) in responses {
        let body = &response["content"]["application/json"];
        let exemplified = body["example"].is_object() || body["examples"].is_object();
        let is_text = response["content"]["text/plain"]["example"].is_string();
        assert!(
            status == "303" || is_text || (exemplified && body["schema"].is_object()),
            "{name}: {status} shows no body"
        );
    }
    let codes = responses.values().flat_map(|response| {
        let parts = response["content"]["application/json"]["schema"]["allOf"].as_array().into_iter().flatten();
        parts.flat_map(|part| part["properties"]["errorCode"]["enum"].as_array().into_iter().flatten())
    });
    let codes = codes.map(|code| code.as_str().expect("a code").to_owned()).collect();
    let asked = about["security"].as_array().unwrap_or_else(|| panic!("{name}: does not say who may call it"));
    let permissions: BTreeSet<&str> =
        asked.iter().flat_map(|one| one.as_object().expect("schemes").values()).filter_map(|p| p[0].as_str()).collect();
    assert!(permissions.len() <= 1, "{name}: {permissions:?}");
    Operation {
        method: method.to_uppercase().parse().expect("a method"),
        path: filled,
        body: (!about["requestBody"].is_null()).then(|| {
            let content = &about["requestBody"]["content"];
            match () {
                () if !content["application/wasm"].is_null() => Example::Module,
                () if !content["application/x-ndjson"].is_null() => Example::Products,
                () => Example::Json(example_body(document, &about["requestBody"])),
            }
        }),
        permission: permissions.first().map(|&permission| permission.to_owned()),
        statuses: responses.keys().map(|status| status.parse().expect("a status")).collect(),
        codes,
        name,
    }
}

/// The example of a body: its own, the first of several, or one put together from the examples of its fields.
fn example_body(document: &Value, body: &Value) -> Value {
    let media = &body["content"]["application/json"];
    if let Some(named) = media["examples"].as_object() {
        // Of the two shapes of an event the single one.
        return named["one"]["value"].clone();
    }
    if media["example"].is_object() {
        return media["example"].clone();
    }
    let reference = media["schema"]["$ref"].as_str().and_then(|at| at.strip_prefix('#')).expect("a schema");
    let fields = document.pointer(reference).and_then(|schema| schema["properties"].as_object()).expect("its fields");
    fields
        .iter()
        .map(|(name, field)| (name.clone(), field["example"].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
