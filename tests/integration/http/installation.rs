//! A whole installation for one test: the local Meta, the service on a free port, and a client for its API.

use std::ops::Deref;
use std::sync::Arc;

use catalog_sync::clock::{Clock as _, ManualClock, Millis};
use catalog_sync::config::Config;
use catalog_sync::runtime::vitals::VitalsBoard;
use catalog_sync::store::api_token::{self, ApiToken};
use graph_simulator::Simulator;
use meta_catalog::server::Server;
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
pub(crate) use testkit::selection;
use testkit::{Engine, KEY, PICTURES, Site, trial_program};

/// The time of the service's clock at the start.
pub(crate) const NOW: Millis = 1_764_000_000_000;

/// Another catalog of this business.
pub(crate) const SECOND_CATALOG: &str = "4000000002";

/// A running installation. It ends when it is dropped or [`Installation::stop`]ped.
pub(crate) struct Installation {
    server: Server,
    config: Config,
    /// The service's clock.
    pub(crate) clock: Arc<ManualClock>,
    client: reqwest::Client,
    base: String,
    site: Site,
}

impl Deref for Installation {
    type Target = Site;
    fn deref(&self) -> &Site {
        &self.site
    }
}

/// A response of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: reqwest::header::HeaderMap,
    /// The body.
    pub(crate) text: String,
}

impl Answer {
    /// Returns the body, which must be JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {:?} {}", self.status, self.text))
    }

    /// Returns the `data` of a successful response.
    pub(crate) fn data(&self) -> Value {
        let mut body = self.json();
        assert!(self.status.is_success(), "{} {body}", self.status);
        body["data"].take()
    }

    /// Returns the status and error code of a failed response.
    pub(crate) fn failure(&self) -> (u16, String) {
        let body = self.json();
        assert_eq!(body["statusCode"], self.status.as_u16(), "{body}");
        (self.status.as_u16(), body["errorCode"].as_str().unwrap_or_default().to_owned())
    }

    /// Returns status and body for snapshots, without the values that differ between runs.
    pub(crate) fn told(&self) -> Value {
        let mut body = self.json();
        redact(&mut body);
        json!({"status": self.status.as_u16(), "body": body})
    }
}

/// The options that a test can set before the start.
pub(crate) struct Plan {
    /// The engine of the database to create.
    pub(crate) database: Engine,
    /// The configuration of the local Meta.
    pub(crate) meta: graph_simulator::Config,
    /// Content of the configuration file.
    pub(crate) config: String,
    /// The URL of an existing database; `None` to create a new one.
    pub(crate) url: Option<String>,
}

impl Plan {
    /// Returns the default plan on this database.
    pub(crate) fn on(database: Engine) -> Self {
        let mut meta = graph_simulator::Config { seed: Some(7), ..graph_simulator::Config::default() };
        meta.app.auto_consent = true;
        Self { database, meta, config: String::new(), url: None }
    }

    /// Returns the plan for SQLite with this content of the configuration file.
    pub(crate) fn with_config(config: String) -> Self {
        Self { config, ..Self::on(Engine::Sqlite) }
    }

    /// Starts the installation. The actors' intervals are long and the clock is frozen, so nothing is drained without a
    /// nudge.
    pub(crate) async fn start(self) -> Installation {
        let meta = Simulator::spawn(self.meta).await.expect("the local Meta starts");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database = match self.url {
            Some(url) => url,
            None => self.database.url(folder.path()).await,
        };
        let file = folder.path().join("config.toml");
        std::fs::write(&file, &self.config).expect("the configuration is written");
        let mut config = Config::load(Some(&file), |name| match name {
            "DATABASE_URL" => Some(database.clone()),
            "META_CATALOG_LISTEN" => Some("127.0.0.1:0".into()),
            "META_CATALOG_KEY" => Some(KEY.into()),
            "META_GRAPH_BASE_URL" | "META_DIALOG_BASE_URL" => Some(meta.base_url().to_owned()),
            "S3_PUBLIC_URL" => Some(PICTURES.into()),
            _ => None,
        })
        .expect("the configuration is taken");
        config.trial_program = Some(trial_program());
        let clock = ManualClock::at(NOW);
        let server = Server::start(&config, clock.clone()).await.expect("the server starts");
        let base = format!("http://{}", server.address);
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client can be made");
        let installation = {
            let site = Site { meta, app: Arc::clone(&server.service.app), folder };
            Installation { server, config, clock, client, base, site }
        };
        for role in ["catalog-admin", "catalog-viewer", "nobody"] {
            installation.create_token(role).await;
        }
        installation
    }
}

impl Installation {
    /// Starts the default plan on this database.
    pub(crate) async fn start(database: Engine) -> Self {
        Plan::on(database).start().await
    }

    /// Shuts the service down and waits for it. A drop also ends the service, but does not wait.
    pub(crate) async fn stop(self) {
        self.server.shutdown().await.expect("every actor ends in time");
    }

    /// Starts another replica on the same database, with the same clock.
    pub(crate) async fn start_replica(&self) -> Server {
        Server::start(&self.config, self.clock.clone()).await.expect("a replica starts")
    }

    /// Returns the vitals of the actors.
    pub(crate) fn board(&self) -> &VitalsBoard {
        &self.server.service.board
    }

    async fn create_token(&self, role: &str) {
        let token = ApiToken {
            id: format!("token-of-{role}"),
            name: role.into(),
            role: role.into(),
            created_at: NOW,
            revoked_at: None,
            expires_at: None,
        };
        let mut tx = self.app.db.write().await.expect("a transaction");
        api_token::create(&mut tx, &token, &SecretString::from(secret_of(role))).await.expect("the token is stored");
        tx.commit().await.expect("committed");
    }

    /// Returns every byte of the SQLite database, including its write-ahead log.
    pub(crate) fn raw_database(&self) -> Vec<u8> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder").map(|entry| entry.expect("an entry"));
        let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("shop.db"));
        ours.flat_map(|entry| std::fs::read(entry.path()).expect("it can be read")).collect()
    }

    /// Returns the base URL of the service.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sets the service's clock to a time, which may be in the past.
    pub(crate) fn stand_at(&self, moment: Millis) {
        self.clock.advance(moment - self.clock.now());
    }

    /// Builds a request with the API token of a role.
    pub(crate) fn request_as(&self, role: &str, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(secret_of(role))
    }

    /// Returns the URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Builds a request without credentials.
    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// Sends a GET request with every permission.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request_as("catalog-admin", Method::GET, path)).await
    }

    /// Sends a POST request with every permission.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let request = self.request_as("catalog-admin", Method::POST, path);
        answer(if body.is_null() { request } else { request.json(&body) }).await
    }

    /// Sends a DELETE request with every permission.
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        answer(self.request_as("catalog-admin", Method::DELETE, path)).await
    }

    /// Sends the bytes of a mapper module.
    pub(crate) async fn send_module(&self, method: Method, path: &str, bytes: Vec<u8>) -> Answer {
        let request = self.request_as("catalog-admin", method, path).header("content-type", "application/wasm");
        answer(request.body(bytes)).await
    }

    /// Makes a module the active mapper.
    pub(crate) async fn put_module(&self, bytes: Vec<u8>) -> Answer {
        self.send_module(Method::PUT, "/admin/meta/mapper", bytes).await
    }

    /// Returns the digests of the active and the previous mapper.
    pub(crate) async fn mappers(&self) -> (String, Option<String>) {
        let state = self.get("/admin/meta/mapper").await.data();
        let digest = |mapper: &Value| mapper["digest"].as_str().map(str::to_owned);
        (digest(&state["active"]).expect("a digest"), digest(&state["previous"]))
    }

    /// Changes settings.
    pub(crate) async fn set(&self, meta: Value) -> Answer {
        let request = self.request_as("catalog-admin", Method::PATCH, "/admin/settings/admin");
        answer(request.json(&json!({"meta": meta}))).await
    }

    /// Sets the app of the local Meta.
    pub(crate) async fn set_app(&self) {
        self.set(json!({"app_id": "1000000001", "app_secret": "simulator-app-secret"})).await.data();
    }

    /// Plans a fault of the local Meta, in the format of its control API.
    pub(crate) fn plan(&self, fault: Value) {
        self.meta.plan(serde_json::from_value(fault).expect("a fault"));
    }

    /// Returns the number of calls that the local Meta received on this method and edge.
    pub(crate) fn called(&self, edge: &str) -> u64 {
        self.meta.calls().by_edge.get(edge).copied().unwrap_or_default()
    }

    /// Starts a login and consents as the operator. Returns the path to which Facebook redirects the browser.
    pub(crate) async fn consent(&self) -> String {
        self.consent_of(self.get("/admin/meta/oauth/start").await).await
    }

    /// Consents as the operator to a login that was started. Returns the path to which Facebook redirects the browser.
    pub(crate) async fn consent_of(&self, started: Answer) -> String {
        let started = started.data();
        let url = started["authUrl"].as_str().expect("a URL");
        let page = answer(self.client.get(url)).await;
        let back = page.headers["location"].to_str().expect("text").to_owned();
        back.strip_prefix(&self.base).expect("back to the service").to_owned()
    }

    /// Sends the browser to the callback.
    pub(crate) async fn come_back(&self, path: &str) -> Answer {
        answer(self.anonymous(Method::GET, path)).await
    }

    /// Connects as the operator.
    pub(crate) async fn connect(&self) {
        self.set_app().await;
        let back = self.consent().await;
        assert_eq!(self.come_back(&back).await.data(), json!({"connected": true}));
    }

    /// Selects a catalog.
    pub(crate) async fn select(&self, catalog: &str) -> Answer {
        self.post("/admin/meta/select-catalog", selection(catalog)).await
    }

    /// Imports products into the shop and discards the intents that this creates.
    pub(crate) async fn stock(&self, lines: &[Value]) {
        self.import(lines).await;
        self.sql("DELETE FROM meta_outbox").await;
        self.sql("DELETE FROM meta_sync_state").await;
    }

    /// Lets time pass, here and at Meta, until the variant at this path segment has this state.
    pub(crate) async fn until_state(&self, variant: &str, status: &str) {
        let what = format!("{variant} is {status}");
        let holds = async || {
            let item = self.get(&format!("/admin/meta/items/{variant}")).await.data();
            let is_so = item["syncState"]["status"] == status;
            if !is_so {
                self.clock.advance(1_000);
                self.meta.advance(1_000);
            }
            is_so
        };
        testkit::until(&what, holds, String::new).await;
    }

    /// Returns the queue in order, as variant and intent.
    pub(crate) async fn queued(&self) -> Vec<(String, String)> {
        self.rows("SELECT variant_id, intent FROM meta_outbox ORDER BY seq").await
    }
}

/// Replaces the values that differ between runs.
fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| match key.as_str() {
            "fbTraceId" if value.is_string() => *value = json!("[trace]"),
            // The last part of the built-in digest changes with the samples.
            "digest" if value == catalog_sync::mapping::builtin_digest() => *value = json!("[builtin]"),
            _ => redact(value),
        }),
        Value::Array(list) => list.iter_mut().for_each(redact),
        _ => {}
    }
}

/// Compares a response with its reviewed snapshot. Both databases must give the same response.
macro_rules! assert_told {
    ($name:expr, $answer:expr) => {
        let told = $answer.told();
        insta::with_settings!({
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/http"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_json_snapshot!($name, told);
        });
    };
}
pub(crate) use assert_told;

/// Returns the API token of a role.
pub(crate) fn secret_of(role: &str) -> String {
    format!("mct_secret-of-{role}")
}

/// Sends a request and returns the response.
pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, text: response.text().await.expect("a whole answer") }
}
