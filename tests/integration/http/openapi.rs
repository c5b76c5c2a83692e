//! The OpenAPI document, held against the API that it describes.

use std::collections::BTreeSet;
use std::process::Command;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::api_checks;
use testkit::modules::module;
use testkit::{Answer, CATALOG, Engine, Installation, Plan, answer};

/// A body as the document shows it.
enum Example {
    Json(Value),
    /// A mapper module, which no document shows.
    Module,
}

/// An operation as the document describes it, with the request that it gives as an example.
struct Operation {
    name: String,
    method: Method,
    path: String,
    body: Option<Example>,
    /// The permission, if it is guarded.
    permission: Option<String>,
    /// Every status that it may answer with.
    statuses: BTreeSet<u16>,
}

impl Operation {
    fn request(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.body {
            Some(Example::Json(body)) => request.json(body),
            Some(Example::Module) => request.header("content-type", "application/wasm").body(module("margin-label")),
            None => request,
        }
    }
}

fn operations(document: &Value) -> Vec<Operation> {
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
        assert!(status == "303" || (exemplified && body["schema"].is_object()), "{name}: {status} shows no body");
    }
    let asked = about["security"].as_array().unwrap_or_else(|| panic!("{name}: does not say who may call it"));
    let permissions: BTreeSet<&str> =
        asked.iter().flat_map(|one| one.as_object().expect("schemes").values()).filter_map(|p| p[0].as_str()).collect();
    assert!(permissions.len() <= 1, "{name}: {permissions:?}");
    Operation {
        method: method.to_uppercase().parse().expect("a method"),
        path: filled,
        body: (!about["requestBody"].is_null()).then(|| match &about["requestBody"]["content"]["application/wasm"] {
            Value::Null => Example::Json(example_body(document, &about["requestBody"])),
            _ => Example::Module,
        }),
        permission: permissions.first().map(|&permission| permission.to_owned()),
        statuses: responses.keys().map(|status| status.parse().expect("a status")).collect(),
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

/// A connected installation with a catalog and the variant that the examples name.
async fn connected() -> Installation {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.stock(&[json!({"id": "p-1", "title": "Linen shirt", "slug": "linen-shirt", "status": "active",
        "visibility": "public", "thumbnail": "img/p-1.jpg", "variants": [{"id": "v-1", "sku": "LS-1", "price": 29900}]})])
    .await;
    shop.connect().await;
    shop.select(CATALOG).await.data();
    shop.set(json!({"storefront_base_url": "https://shop.example"})).await.data();
    // The preview that the examples name.
    shop.sql(
        "INSERT INTO mapper_preview (id, digest, name, version, total, done, started_at, updated_at)
         VALUES ('019ab7d0-0000-7000-8000-000000000000', 'd', 'n', '1', 1, 0, 0, 0)",
    )
    .await;
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
            // The callback needs a login that was begun; that it is open shows in what it asks for.
            let open = answer(one.request(shop.anonymous(method.clone(), path))).await;
            documented(&open);
            let expected = if path.ends_with("/callback") { 400 } else { 200 };
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
    }
    shop.stop().await;
}

#[tokio::test]
async fn the_document_is_the_reviewed_one_and_the_same_everywhere() {
    let shop = Installation::start(Engine::Sqlite).await;
    let served = answer(shop.anonymous(Method::GET, "/openapi.json")).await;
    assert_eq!(served.headers["content-type"], "application/json");
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_json_snapshot!("openapi", served.json());
    });
    assert_eq!(printed("").await, served.json());

    let page = answer(shop.anonymous(Method::GET, "/docs")).await;
    assert!(page.headers["content-type"].to_str().expect("text").starts_with("text/html"));
    for file in ["docs/page.js", "docs/page.css"] {
        assert!(page.text.contains(file), "{file}");
        assert_eq!(answer(shop.anonymous(Method::GET, &format!("/{file}"))).await.status, 200, "{file}");
    }
    let whole = [page.text, answer(shop.anonymous(Method::GET, "/docs/page.js")).await.text].concat();
    assert!(
        !whole.contains("//cdn") && !whole.contains("https:") && !whole.contains("http:"),
        "nothing from elsewhere"
    );
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
