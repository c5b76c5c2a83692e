//! The OpenAPI document, held against the API that it describes.

use std::collections::BTreeSet;
use std::process::Command;

use catalog_sync::mapping::preview::PreviewReport;
use catalog_sync::store::{self, mapper::StoredModule};
use reqwest::Method;
use serde_json::{Value, json};

use super::api_checks;
use super::operations::{Operation, operations};
use testkit::modules::{digest, module};
use testkit::{CATALOG, Engine};

use super::installation::{Answer, Installation, Plan, answer};

/// A connected installation with a catalog and the variant that the examples name.
async fn connected() -> Installation {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.stock(&[json!({"id": "p-1", "title": "Linen shirt", "slug": "linen-shirt", "status": "active",
        "visibility": "public", "thumbnail": "img/p-1.jpg", "variants": [{"id": "v-1", "sku": "LS-1", "price": 29900}]})])
    .await;
    shop.connect().await;
    shop.select(CATALOG).await.data();
    shop.set(json!({"storefront_base_url": "https://shop.example"})).await.data();
    // The preview that the examples name: done, with its file.
    let bytes = module("margin-label");
    let digest = digest(&bytes);
    let file = StoredModule { digest: &digest, name: "n", version: "1", bytes: &bytes };
    let report = serde_json::to_string(&PreviewReport::default()).expect("JSON");
    let now = shop.app.now();
    let id = "019ab7d0-0000-7000-8000-000000000000";
    let mut tx = shop.app.db.write().await.expect("a transaction");
    store::mapper::keep(&mut tx, &file, now).await.expect("kept");
    store::preview::begin(&mut tx, id, &digest, "n", "1", now).await.expect("begun");
    store::preview::finish(&mut tx, id, 1, Ok(&report), now).await.expect("ended");
    tx.commit().await.expect("committed");
    shop
}

#[tokio::test]
async fn every_operation_answers_refuses_nobody_and_refuses_the_wrong_one() {
    let shop = connected().await;
    let document = answer(shop.anonymous(Method::GET, "/openapi.json")).await.json();
    let operations = operations(&document);
    assert!(operations.len() >= 22, "{}", operations.len());
    // What it does is undone by nothing else, so it comes last.
    let (last, first): (Vec<_>, Vec<_>) = operations.iter().partition(|one| one.method == Method::DELETE);
    for one in first.into_iter().chain(last) {
        let Operation { name, method, path, permission, statuses, .. } = one;
        let documented = |answer: &Answer| assert!(statuses.contains(&answer.status.as_u16()), "{name}: {answer:?}");
        let Some(permission) = permission else {
            // The callback needs a login that was begun, and a notification a signature; that they are open shows in what
            // they ask for.
            let open = answer(one.request(shop.anonymous(method.clone(), path))).await;
            documented(&open);
            let expected = match (path.as_str(), method.as_str()) {
                (path, _) if path.ends_with("/callback") => 400,
                ("/webhooks/meta", "POST") => 401,
                ("/webhooks/meta", _) => 403,
                _ => 200,
            };
            assert_eq!(open.status, expected, "{name}: {open:?}");
            continue;
        };
        let nobody = answer(one.request(shop.anonymous(method.clone(), path))).await;
        assert_eq!(nobody.failure(), (401, "UNAUTHORIZED".into()), "{name}");
        documented(&nobody);

        let wrong = if permission == "metaCatalog:view" { "nobody" } else { "catalog-viewer" };
        let wrong = answer(one.request(shop.request_as(wrong, method.clone(), path))).await;
        assert_eq!(wrong.failure(), (403, "FORBIDDEN".into()), "{name}");
        assert!(wrong.text.contains(permission), "{name}: {wrong:?}");
        documented(&wrong);

        let right = if permission == "metaCatalog:view" { "catalog-viewer" } else { "catalog-admin" };
        let allowed = answer(one.request(shop.request_as(right, method.clone(), path))).await;
        assert!(allowed.status.is_success(), "{name}: {allowed:?}");
        documented(&allowed);
        let (known, verb) = name.split_once(' ').map(|(verb, path)| (path, verb.to_lowercase())).expect("both");
        let status = allowed.status.as_u16().to_string();
        let schema = &document["paths"][known][verb]["responses"][status]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{name}");
        holds(&document, schema, &allowed.json(), name);
    }
    shop.stop().await;
}

/// Asserts what a generated client relies on: required fields are there, words are known, times are times.
fn holds(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return holds(document, &document["components"]["schemas"][name], value, at);
    }
    if let (Some(choices), false) = (schema["oneOf"].as_array(), value.is_null()) {
        let choice = choices.iter().find(|choice| choice["type"] != "null").expect("a type");
        return holds(document, choice, value, at);
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert!(value.is_null() || value.get(name).is_some(), "{at}: {name} is missing in {value}");
    }
    if let (Some(words), false) = (schema["enum"].as_array(), value.is_null()) {
        assert!(words.contains(value), "{at}: {value}");
    }
    if let (Some("date-time"), Some(text)) = (schema["format"].as_str(), value.as_str()) {
        text.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("{at}: {error}"));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            holds(document, property, value, &format!("{at}.{name}"));
        }
    }
    for value in value.as_array().into_iter().flatten() {
        holds(document, &schema["items"], value, at);
    }
}

/// What is null or there is required, and what may be left out is never null; times say that they are.
#[test]
fn fields_that_are_always_there_are_required() {
    let document = meta_catalog::http::document(true);
    let of = |name: &str| &document["components"]["schemas"][name];
    for (schema, field) in [
        ("ConnectionStatus", "accountId"),
        ("ConnectionStatus", "selection"),
        ("ItemSummary", "price"),
        ("LiveStatus", "reviewStatus"),
        ("FailedItem", "lastError"),
    ] {
        assert!(of(schema)["required"].as_array().expect("a list").contains(&json!(field)), "{schema}.{field}");
    }
    for (schema, field) in [("ItemDetail", "mapperError"), ("WarningView", "field"), ("ErrorEnvelope", "fbCode")] {
        assert!(!of(schema)["required"].as_array().expect("a list").contains(&json!(field)), "{schema}.{field}");
    }
    assert!(!of("ResyncRequest")["required"].as_array().expect("a list").contains(&json!("force")));
    assert_eq!(of("ConnectionStatus")["properties"]["connectedAt"]["format"], "date-time");
    assert_eq!(of("FailedItem")["properties"]["updatedAt"]["format"], "date-time");
    assert!(of("Configuration")["properties"]["missingKeys"]["items"]["enum"].is_array());
    assert!(!document.to_string().contains("at most 50"));
}

/// One line an operation: method, path, permission, statuses of success, codes of errors.
#[test]
fn the_api_is_the_reviewed_one() {
    let lines = operations(&meta_catalog::http::document(true)).into_iter().map(|one| {
        let (method, path) = one.name.split_once(' ').expect("a method and a path");
        let permission = one.permission.as_deref().unwrap_or("open");
        let successes: Vec<String> = one.statuses.iter().filter(|status| **status < 400).map(u16::to_string).collect();
        let codes: Vec<String> = one.codes.into_iter().collect();
        let (method, successes) = (method.to_uppercase(), successes.join(","));
        format!("{method} {path} | {permission} | {successes} | {}", codes.join(" "))
    });
    let mut lines: Vec<String> = lines.collect();
    lines.sort_by(|a, b| a.split(' ').nth(1).cmp(&b.split(' ').nth(1)).then(a.cmp(b)));
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!("api", lines.join("\n"));
    });
}

#[tokio::test]
async fn the_document_is_the_same_everywhere() {
    let shop = Installation::start(Engine::Sqlite).await;
    let served = answer(shop.anonymous(Method::GET, "/openapi.json")).await;
    assert_eq!(served.headers["content-type"], "application/json");
    assert_eq!(printed("").await, served.json());

    shop.stop().await;
}

/// The page runs from this server alone, under a policy that allows nothing else.
#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let shop = Installation::start(Engine::Sqlite).await;
    let get = async |path: &str| answer(shop.anonymous(Method::GET, path)).await;
    let page = get("/docs").await;
    assert!(page.headers["content-type"].to_str().expect("text").starts_with("text/html"));
    let policy = page.headers["content-security-policy"].to_str().expect("text").to_owned();
    assert_eq!(
        policy,
        "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let parts = page.text.split(['"', ' ']);
    let files: Vec<&str> = parts.filter(|part| part.starts_with("docs/")).collect();
    assert_eq!(files, ["docs/favicon-32x32.png", "docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js"]);
    let references = page.text.matches("src=").count() + page.text.matches("href=").count();
    assert_eq!(references, files.len() + 1, "the files and the document");
    assert!(!page.text.contains("//") && !page.text.contains("<style"), "{}", page.text);
    for file in files {
        let kind = match file.rsplit('.').next() {
            Some("js") => "text/javascript",
            Some("css") => "text/css",
            _ => "image/png",
        };
        let served = get(&format!("/{file}")).await;
        assert_eq!(
            (served.status.as_u16(), &served.headers["content-type"]),
            (200, &kind.parse().expect("a type")),
            "{file}"
        );
        assert_eq!(served.headers["content-security-policy"], policy, "{file}");
        let kept = if file == "docs/start.js" { "no-store" } else { "public, max-age=3600" };
        assert_eq!(served.headers["cache-control"], kept, "{file}");
        assert_eq!(served.headers.contains_key("content-encoding"), file != "docs/start.js", "{file}");
    }
    let starts = get("/docs/start.js").await.text;
    assert!(starts.contains("url: \"openapi.json\"") && starts.contains("validatorUrl: \"none\""), "{starts}");
    assert_eq!(get("/docs/swagger-ui.js").await.status, 404, "what the page does not use is not served");
    shop.stop().await;
}

/// What the command prints under a configuration.
async fn printed(config: &str) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.toml");
    std::fs::write(&file, config).expect("it is written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_meta-catalog"));
    let output = command.arg("openapi").arg("--config").arg(&file).current_dir(&folder).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn switched_off_the_module_is_gone_from_the_document() {
    let shop = Plan { config: "enabled = false".into(), ..Plan::on(Engine::Sqlite) }.start().await;
    let served = answer(shop.anonymous(Method::GET, "/openapi.json")).await.json();
    let paths: Vec<&String> = served["paths"].as_object().expect("paths").keys().collect();
    assert_eq!(paths, ["/health", "/ready"]);
    assert_eq!(served["tags"].as_array().expect("tags").len(), 1);
    assert_eq!(printed("enabled = false").await, served);
    shop.stop().await;
}

#[tokio::test]
async fn operation_ids_are_unique_and_the_document_is_valid() {
    let document = meta_catalog::http::document(true);
    let paths = document["paths"].as_object().expect("paths");
    let ids: Vec<&Value> = paths
        .values()
        .flat_map(|item| item.as_object().expect("operations").values())
        .map(|o| &o["operationId"])
        .collect();
    let distinct: BTreeSet<&str> = ids.iter().filter_map(|id| id.as_str()).collect();
    assert_eq!(ids.len(), distinct.len(), "{ids:?}");

    let folder = tempfile::tempdir().expect("a temporary folder");
    for (enabled, name) in [(true, "on.json"), (false, "off.json")] {
        let file = folder.path().join(name);
        std::fs::write(&file, meta_catalog::http::document(enabled).to_string()).expect("it is written");
        let said =
            api_checks::run(api_checks::python().args(["-m", "openapi_spec_validator", "--schema", "3.1"]).arg(file));
        assert!(said.contains("OK"), "{said}");
    }
}
