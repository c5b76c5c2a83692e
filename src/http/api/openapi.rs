//! The description of the API: `/openapi.json` and `meta-catalog openapi`.
//!
//! Purpose: completes the handlers' own annotations with what applies to many of them: permissions and failures.
//! Promises: paths, methods and bodies come from the handlers that the router serves, so the document cannot describe
//! another API; every failure that an operation can give is listed with its code.
//! Left out on purpose: serving it, and its page for people ([`super::docs`]).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use utoipa::PartialSchema as _;
use utoipa::openapi::OpenApi;

use crate::http::code::Code;
use crate::http::error::ErrorEnvelope;

/// Where a handler's annotation lists the codes of the failures that are its own.
const CODES: &str = "x-error-codes";
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const DESCRIPTION: &str = "Synchronizes a shop's catalog to a Meta Commerce Catalog (Facebook and Instagram shops).\n\n\
    Every success is `{\"data\", \"message\": \"Success\", \"statusCode\", \"metadata\"?}`, every failure \
    `{\"message\", \"statusCode\", \"errorCode\", \"details\"?, \"fbType\"?, \"fbCode\"?, \"fbSubcode\"?, \
    \"fbTraceId\"?}`. Every response carries its request id in `X-Request-Id`. Unknown and repeated query parameters and \
    body fields are refused.";

/// Makes the whole document of what the handlers say of themselves.
pub(in crate::http) fn complete(described: OpenApi) -> Value {
    // Only maps with keys of text are in it.
    let mut document = serde_json::to_value(described).unwrap_or_default();
    document["info"] = json!({
        "title": "meta-catalog",
        "description": DESCRIPTION,
        "version": env!("CARGO_PKG_VERSION"),
        "license": {"name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT"},
    });
    // Relative to the document, so that calls tried on its page go through a proxy's path prefix too.
    document["servers"] = json!([{"url": "."}]);
    document["components"]["schemas"]["ErrorEnvelope"] =
        serde_json::to_value(ErrorEnvelope::schema()).unwrap_or_default();
    complete_responses(&mut document);
    document["components"]["securitySchemes"] = json!({
        "bearerToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token from `meta-catalog token create`, or the signed session token of a signed-in user.",
        },
        "sessionCookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": "better-auth.session_token",
            "description": "The session of a signed-in user; `__Secure-better-auth.session_token` over https.",
        },
    });
    let used: Vec<Value> = TAGS
        .iter()
        .filter(|(name, _)| operations(&document).any(|(.., operation)| operation["tags"][0] == *name))
        .map(|(name, description)| json!({"name": name, "description": description}))
        .collect();
    document["tags"] = used.into();
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths {
            for method in METHODS {
                if let Some(operation) = item.get_mut(method).and_then(Value::as_object_mut) {
                    complete_operation(path, operation);
                }
            }
        }
    }
    document
}

/// Completes the types of responses, which are all that no request uses: what is never left out is required, and times say
/// their format. Fields of responses are null when they have no value; one that is left out instead is never null
/// (`nullable = false`).
fn complete_responses(document: &mut Value) {
    let mut asked = BTreeSet::new();
    for (.., operation) in operations(document) {
        note_references(&operation["requestBody"], &mut asked);
    }
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else { return };
    let mut open: Vec<String> = asked.iter().cloned().collect();
    while let Some(name) = open.pop() {
        let mut more = BTreeSet::new();
        note_references(schemas.get(&name).unwrap_or(&Value::Null), &mut more);
        open.extend(more.into_iter().filter(|name| asked.insert(name.clone())));
    }
    schemas.iter_mut().filter(|(name, _)| !asked.contains(*name)).for_each(|(_, schema)| complete_response(schema));
}

fn complete_response(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
        let mut nullable = Vec::new();
        for (name, property) in properties {
            if is_nullable(property) {
                nullable.push(Value::from(name.as_str()));
            }
            if name.ends_with("At") {
                property["format"] = "date-time".into();
            }
            complete_response(property);
        }
        if !nullable.is_empty()
            && let Some(required) = fields.entry("required").or_insert_with(|| json!([])).as_array_mut()
        {
            nullable.retain(|name| !required.contains(name));
            required.append(&mut nullable);
        }
    }
    if let Some(items) = fields.get_mut("items") {
        complete_response(items);
    }
    for choices in ["oneOf", "allOf"] {
        fields.get_mut(choices).and_then(Value::as_array_mut).into_iter().flatten().for_each(complete_response);
    }
}

fn is_nullable(schema: &Value) -> bool {
    let is_null = |kind: &Value| kind == "null";
    let kind = &schema["type"];
    is_null(kind)
        || kind.as_array().is_some_and(|kinds| kinds.iter().any(is_null))
        || schema["oneOf"].as_array().is_some_and(|choices| choices.iter().any(is_nullable))
}

/// Adds the names of the schemas that a part of the document refers to.
fn note_references(part: &Value, names: &mut BTreeSet<String>) {
    match part {
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
            names.extend(name.map(str::to_owned));
            fields.values().for_each(|part| note_references(part, names));
        }
        Value::Array(parts) => parts.iter().for_each(|part| note_references(part, names)),
        _ => {}
    }
}

const TAGS: [(&str, &str); 8] = [
    ("Connection", "Facebook Login, catalog selection and connection status."),
    ("Catalog", "The catalog as a whole."),
    ("Items", "Single variants and lists of variants."),
    ("Mapper", "The field mapper that builds the payloads: the built-in mapper or a module."),
    ("Settings", "The settings that an operator changes."),
    ("Events", "Change events from the shop."),
    ("Webhooks", "What Meta calls: open, and guarded by the verify token and by signatures."),
    ("Health", "Liveness and readiness probes."),
];

/// Path, method and description of every operation of a document.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().into_iter().flatten().flat_map(|(path, item)| {
        METHODS.into_iter().filter_map(move |method| Some((path.as_str(), method, item.get(method)?)))
    })
}

fn complete_operation(path: &str, operation: &mut Map<String, Value>) {
    let own: Vec<String> =
        operation.remove(CODES).and_then(|codes| serde_json::from_value(codes).ok()).unwrap_or_default();
    let mut codes: Vec<Code> =
        Code::ALL.iter().copied().filter(|code| own.iter().any(|word| word == code.word())).collect();
    let mut also = |more: &[Code]| codes.extend(more);
    if path.contains('{') {
        also(&[Code::BadRequest]);
    }
    if operation.contains_key("requestBody") {
        also(&[Code::BadRequest, Code::PayloadTooLarge, Code::UnsupportedMediaType]);
    }
    // Every operation that asks for a permission can fail in these ways.
    if let Some(permission) = operation.get("security").map(|asked| asked[0]["bearerToken"][0].clone()) {
        also(&[Code::Validation, Code::Unauthorized, Code::Forbidden, Code::RequestTimeout, Code::Internal]);
        also(&[Code::Unavailable]);
        operation.insert(
            "security".into(),
            json!([{"bearerToken": [permission.clone()]}, {"sessionCookie": [permission.clone()]}]),
        );
        if let (Some(Value::String(text)), Some(permission)) = (operation.get_mut("description"), permission.as_str()) {
            text.push_str(&format!("\n\nPermission: `{permission}`."));
        }
    } else {
        // Said outright: open.
        operation.insert("security".into(), json!([]));
    }
    if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
        responses.extend(failures(&codes));
    }
}

/// The failures with these codes, by status.
fn failures(codes: &[Code]) -> BTreeMap<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL.iter().filter(|code| codes.contains(code)) {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    by_status.into_iter().map(|(status, codes)| (status.to_string(), response(status, &codes))).collect()
}

fn response(status: u16, failures: &[Code]) -> Value {
    let when: Vec<String> = failures.iter().map(|code| format!("`{}`: {}", code.word(), code.description())).collect();
    let codes: Vec<&str> = failures.iter().map(|code| code.word()).collect();
    let examples: Map<String, Value> = failures
        .iter()
        .map(|code| {
            let value = json!({"message": code.example(), "statusCode": status, "errorCode": code.word()});
            (code.word().to_owned(), json!({"summary": code.description(), "value": value}))
        })
        .collect();
    let mut response = json!({
        "description": when.join("\n\n"),
        "content": {"application/json": {
            "schema": {"allOf": [
                {"$ref": "#/components/schemas/ErrorEnvelope"},
                {"type": "object", "properties": {"errorCode": {"enum": codes}, "statusCode": {"const": status}}},
            ]},
            "examples": examples,
        }},
    });
    if failures.contains(&Code::Unauthorized) {
        response["headers"] = json!({"WWW-Authenticate": {"schema": {"type": "string"}, "description": "`Bearer`."}});
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code of the shell.
    const OF_NO_OPERATION: [Code; 1] = [Code::MethodNotAllowed];

    fn described() -> OpenApi {
        super::super::described(true, super::super::Limits::default()).split_for_parts().1
    }

    #[test]
    fn every_code_that_a_handler_names_is_in_the_table() {
        let raw = serde_json::to_value(described()).expect("JSON");
        let own: Vec<String> = operations(&raw)
            .filter_map(|(.., operation)| serde_json::from_value::<Vec<String>>(operation[CODES].clone()).ok())
            .flatten()
            .collect();
        assert!(own.len() > 10, "{own:?}");
        for word in own {
            assert!(Code::ALL.iter().any(|code| code.word() == word), "{word}");
        }
    }

    #[test]
    fn every_code_of_the_table_is_used() {
        let document = complete(described());
        for code in Code::ALL {
            let status = code.status().as_u16().to_string();
            let is_used = operations(&document).any(|(.., operation)| {
                operation["responses"][&status]["content"]["application/json"]["examples"].get(code.word()).is_some()
            });
            assert_eq!(is_used, !OF_NO_OPERATION.contains(code), "{}", code.word());
        }
    }
}
