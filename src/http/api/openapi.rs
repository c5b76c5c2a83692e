//! `/openapi.json`, the description of the API for programs, and `/docs`, the same for people.
//!
//! Purpose: completes what the handlers say of themselves with what is true of many of them: who may call, and how
//! they fail.
//! Promises: paths, methods and bodies come from the handlers that the router serves, so the document cannot describe
//! another API; every failure that an operation can give is listed with its code; the page needs nothing from elsewhere.
//! Left out on purpose: the document and its page themselves, and trying requests out in the page: it holds no tokens.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::get;
use serde_json::{Map, Value, json};
use utoipa::PartialSchema as _;
use utoipa::openapi::OpenApi;

use crate::http::Api;
use crate::http::error::ErrorEnvelope;

/// Where a handler's annotation lists the codes of the failures that are its own.
const CODES: &str = "x-error-codes";
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const DESCRIPTION: &str = "Keeps a Meta Commerce Catalog (Facebook and Instagram shops) equal to a shop's own catalog.\n\n\
    Every success is `{\"data\", \"message\": \"Success\", \"statusCode\", \"metadata\"?}`, every failure \
    `{\"message\", \"statusCode\", \"errorCode\", \"details\"?, \"fbType\"?, \"fbCode\"?, \"fbSubcode\"?, \
    \"fbTraceId\"?}`. Every answer names its request in `X-Request-Id`. Unknown query parameters and body fields, and \
    such that come twice, are refused.";

/// A kind of failure: its code, its status, when it happens, and what it says.
type Failure = (&'static str, u16, &'static str, &'static str);

const FAILURES: [Failure; 16] = [
    ("BAD_REQUEST", 400, "The request cannot be read.", "the body is not JSON: EOF while parsing a value"),
    ("VALIDATION_ERROR", 400, "Something in the request is not what it must be.", "unknown field `pages`"),
    (
        "meta_misconfigured",
        400,
        "A setting is missing, or Meta is not connected.",
        "app_id or app_secret is blank; set both with PATCH /admin/settings/admin",
    ),
    (
        "meta_oauth_state_invalid",
        400,
        "The state is missing, unknown, used or too old.",
        "the state of this login was already used; start it again from the settings page",
    ),
    (
        "meta_oauth_exchange_failed",
        400,
        "Facebook refused the code.",
        "Facebook did not accept the login: This authorization code has expired.",
    ),
    ("meta_account_error", 400, "Meta refused a step.", "Meta refused to create the system user: Permissions error."),
    (
        "mapper_refused",
        400,
        "The file is no mapper module that can become active.",
        "the module fails on the sample `sale_running` (a sale that is on): the mapper module x 1.0.0 trapped",
    ),
    (
        "mapper_preview_running",
        400,
        "One preview at a time.",
        "a preview is already running (019ab7d0-0000-7000-8000-000000000000); wait until it ends, or check its progress",
    ),
    ("UNAUTHORIZED", 401, "Nobody says who is asking, or it does not hold.", "sign in, or send an API token"),
    ("FORBIDDEN", 403, "Whoever is asking may not do it.", "this needs the permission metaCatalog:manage"),
    ("NOT_FOUND", 404, "There is no such thing.", "no variant \"v-1\" in the catalog"),
    ("REQUEST_TIMEOUT", 408, "It took too long.", "not answered within 30 s; try again"),
    ("PAYLOAD_TOO_LARGE", 413, "The body is too long.", "the body is longer than 1048576 bytes"),
    ("UNSUPPORTED_MEDIA_TYPE", 415, "The body is of a type that is not taken here.", "send the body as JSON"),
    (
        "INTERNAL_SERVER_ERROR",
        500,
        "A call to Meta came to nothing, and then the `fb…` fields hold what Meta said; or something of ours went wrong.",
        "the call to Meta failed: Service temporarily unavailable.",
    ),
    (
        "SERVICE_UNAVAILABLE",
        503,
        "The database does not answer, somebody else holds what is to be changed, or this machine could not try the mapper module.",
        "the database does not answer just now",
    ),
];

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
    document["servers"] = json!([{"url": "/"}]);
    document["components"]["schemas"]["ErrorEnvelope"] =
        serde_json::to_value(ErrorEnvelope::schema()).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        "bearerToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token of `meta-catalog token create`, or a signed-in person's session token.",
        },
        "sessionCookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": "better-auth.session_token",
            "description": "The session of a signed-in person; `__Secure-better-auth.session_token` over https.",
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

const TAGS: [(&str, &str); 7] = [
    ("Connection", "Facebook Login, the choice of the catalog, and how the connection is."),
    ("Catalog", "The catalog as a whole."),
    ("Items", "Single variants and lists of them."),
    ("Mapper", "Which field mapper makes the payloads: the built-in one or a module."),
    ("Settings", "What an operator sets."),
    ("Events", "What changes in the shop."),
    ("Health", "For probes."),
];

/// Path, method and description of every operation of a document.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().into_iter().flatten().flat_map(|(path, item)| {
        METHODS.into_iter().filter_map(move |method| Some((path.as_str(), method, item.get(method)?)))
    })
}

fn complete_operation(path: &str, operation: &mut Map<String, Value>) {
    let mut codes: Vec<String> =
        operation.remove(CODES).and_then(|codes| serde_json::from_value(codes).ok()).unwrap_or_default();
    let mut also = |more: &[&str]| codes.extend(more.iter().map(|code| (*code).to_owned()));
    if path.contains('{') {
        also(&["BAD_REQUEST"]);
    }
    if operation.contains_key("requestBody") {
        also(&["BAD_REQUEST", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"]);
    }
    // Whoever asks for a permission says yes to one of these.
    if let Some(permission) = operation.get("security").map(|asked| asked[0]["bearerToken"][0].clone()) {
        also(&["VALIDATION_ERROR", "UNAUTHORIZED", "FORBIDDEN", "REQUEST_TIMEOUT", "INTERNAL_SERVER_ERROR"]);
        also(&["SERVICE_UNAVAILABLE"]);
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
fn failures(codes: &[String]) -> BTreeMap<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<Failure>> = BTreeMap::new();
    for failure in FAILURES.into_iter().filter(|(code, ..)| codes.iter().any(|known| known == code)) {
        by_status.entry(failure.1).or_default().push(failure);
    }
    by_status.into_iter().map(|(status, failures)| (status.to_string(), response(status, &failures))).collect()
}

fn response(status: u16, failures: &[Failure]) -> Value {
    let when: Vec<String> = failures.iter().map(|(code, _, when, _)| format!("`{code}`: {when}")).collect();
    let codes: Vec<&str> = failures.iter().map(|(code, ..)| *code).collect();
    let examples: Map<String, Value> = failures
        .iter()
        .map(|(code, _, when, message)| {
            let value = json!({"message": message, "statusCode": status, "errorCode": code});
            ((*code).to_owned(), json!({"summary": when, "value": value}))
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
    if status == StatusCode::UNAUTHORIZED.as_u16() {
        response["headers"] = json!({"WWW-Authenticate": {"schema": {"type": "string"}, "description": "`Bearer`."}});
    }
    response
}

/// The page holds no secret and asks nobody but this server; nothing else may run in it.
const POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The document and its page.
pub(in crate::http) fn pages(described: OpenApi) -> Router<Api> {
    let document = complete(described).to_string();
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind), (CSP, POLICY)], text) })
    };
    const CSP: HeaderName = header::CONTENT_SECURITY_POLICY;
    Router::new()
        .route("/openapi.json", get(move || async move { ([(header::CONTENT_TYPE, "application/json")], document) }))
        .route("/docs", file("text/html; charset=utf-8", include_str!("openapi/page.html")))
        .route("/docs/page.js", file("text/javascript; charset=utf-8", include_str!("openapi/page.js")))
        .route("/docs/page.css", file("text/css; charset=utf-8", include_str!("openapi/page.css")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_own_code_of_an_operation_is_a_known_one() {
        let (_, described) = super::super::described(true, super::super::Limits::default()).split_for_parts();
        let raw = serde_json::to_value(described).expect("JSON");
        let own: Vec<String> = operations(&raw)
            .filter_map(|(.., operation)| serde_json::from_value::<Vec<String>>(operation[CODES].clone()).ok())
            .flatten()
            .collect();
        assert!(own.len() > 10, "{own:?}");
        for code in own {
            assert!(FAILURES.iter().any(|(known, ..)| *known == code), "{code}");
        }
    }
}
