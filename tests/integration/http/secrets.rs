//! No secret is in a log, in an answer or readable in the database, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catalog_sync::store::credential;
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use testkit::better_auth::{AuthDb, Scenario, config};
use testkit::{CATALOG, KEY, PATIENCE};

use super::installation::{Answer, Installation, Plan, answer, selection};

#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Everything that somebody could read, and everything that nobody must read there.
struct Watch {
    log: Log,
    /// Every answer of the API, headers included.
    answers: String,
    /// Every byte that was in the database at some time.
    database: Vec<u8>,
    /// By what they are, so that a failure does not repeat them.
    secrets: BTreeMap<String, String>,
}

impl Watch {
    fn secret(&mut self, what: impl Into<String>, secret: impl Into<String>) {
        let secret = secret.into();
        assert!(secret.len() >= 10, "too short to be found only where it is");
        self.secrets.insert(what.into(), secret);
    }

    async fn ask(&mut self, request: RequestBuilder) -> Answer {
        let answer = answer(request).await;
        self.answers.push_str(&format!("{:?}\n{}\n", answer.headers, answer.text));
        answer
    }

    async fn get(&mut self, shop: &Installation, path: &str) -> Answer {
        self.ask(shop.request_as("catalog-admin", Method::GET, path)).await
    }

    async fn send(&mut self, shop: &Installation, method: Method, path: &str, body: Value) -> Answer {
        self.ask(shop.request_as("catalog-admin", method, path).json(&body)).await
    }

    async fn come_back(&mut self, shop: &Installation, path: &str) -> Answer {
        self.ask(shop.anonymous(Method::GET, path)).await
    }

    /// A login up to the moment when the browser is sent back.
    async fn consent(&mut self, shop: &Installation, which: &str) -> String {
        let back = shop.consent().await;
        let url = url::Url::parse(&format!("http://host{back}")).expect("a URL");
        for (name, value) in url.query_pairs().filter(|(name, _)| name == "code" || name == "state") {
            self.secret(format!("{which} {name}"), value);
        }
        back
    }

    fn keep(&mut self, shop: &Installation) {
        self.database.extend(shop.raw_database());
    }

    /// Fails when one is found, as it is or encoded.
    fn judge(&self) {
        let log = self.log.text();
        let places = [("log", log.as_bytes()), ("answers", self.answers.as_bytes()), ("database", &self.database)];
        let found: Vec<_> = self
            .secrets
            .iter()
            .flat_map(|(what, secret)| forms(secret).into_iter().map(move |form| (what, form)))
            .flat_map(|(what, form)| {
                let holding = places.iter().filter(move |(_, place)| holds(place, form.as_bytes()));
                holding.map(move |(place, _)| format!("{what} in the {place}"))
            })
            .collect();
        assert!(found.is_empty(), "{found:#?}");
        // What must be there is found the same way.
        for (place, there) in [(0, "connected to Meta"), (0, "request_id="), (1, "********"), (2, "1000000001")] {
            assert!(holds(places[place].1, there.as_bytes()), "{there} is not in the {}", places[place].0);
        }
    }
}

/// As it is, in a query, and in base64.
fn forms(secret: &str) -> BTreeSet<String> {
    let encoded = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    [secret.to_owned(), encoded, STANDARD.encode(secret).trim_end_matches('=').to_owned()].into()
}

fn holds(place: &[u8], text: &[u8]) -> bool {
    place.windows(text.len()).any(|window| window == text)
}

/// One thread, so that every task of the service logs to this test's own subscriber.
#[tokio::test(flavor = "current_thread")]
async fn no_secret_is_readable_anywhere() {
    let log = Log::default();
    // What crates say through `log` goes the same way, as in the service.
    tracing_log::LogTracer::init().expect("no other test takes it");
    // With one subscriber alive, `tracing` asks only the thread that meets a log line first, and that may be another
    // test's, which has none. With two it asks all.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let everything = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let _guard = tracing::subscriber::set_default(everything.with_writer(log.clone()).finish());
    let mut watch = Watch { log, answers: String::new(), database: Vec::new(), secrets: BTreeMap::new() };

    let scenario = Scenario::named("sqlite/presentation");
    let auth = AuthDb::new(&scenario.schema).await;
    auth.hold(&scenario).await;
    let shop = Plan::with_config(config(&scenario.deployment, &auth.url, "")).start().await;
    shop.stand_at(scenario.now());
    watch.secret("sealing key", KEY);
    watch.secret("app secret", "simulator-app-secret");
    watch.secret("API token", "mct_secret-of-catalog-admin");
    watch.secret("session secret", &scenario.deployment.secret);

    people_sign_in(&mut watch, &shop, &scenario).await;
    logins(&mut watch, &shop).await;
    settings(&mut watch, &shop).await;
    selections(&mut watch, &shop).await;
    sync(&mut watch, &shop).await;
    watch.keep(&shop);

    // The token dies, and is taken back.
    shop.plan(json!({"on": "businesses", "kind": "graph_error", "code": 190, "subcode": 460}));
    assert!(!watch.get(&shop, "/admin/meta/businesses").await.status.is_success());
    watch.send(&shop, Method::DELETE, "/admin/meta/oauth", Value::Null).await;
    watch.keep(&shop);
    let tokens = shop.meta.tokens();
    assert!(tokens.len() >= 4, "two short-lived ones, two long-lived ones, and a system user's: {}", tokens.len());
    for (number, token) in tokens.into_iter().enumerate() {
        watch.secret(format!("token {number} of Meta"), token);
    }
    shop.stop().await;
    watch.judge();
}

/// Sessions in every form: good, forged, and with the database away.
async fn people_sign_in(watch: &mut Watch, shop: &Installation, scenario: &Scenario) {
    for name in
        ["cookie-percent-encoded", "cookie-flipped-signature", "bearer-signed", "bearer-raw", "bearer-other-secret"]
    {
        let headers = scenario.headers(name);
        for method in [Method::GET, Method::PATCH] {
            let request = shop.anonymous(method, "/admin/settings/admin");
            watch.ask(headers.iter().fold(request, |request, (name, value)| request.header(name, value))).await;
        }
    }
    let token = scenario.session.as_ref().and_then(|session| session["token"].as_str()).expect("a token");
    watch.secret("session token", token);
    let signed = scenario.headers("bearer-signed")["authorization"].rsplit_once('.').expect("a signature").1.to_owned();
    watch.secret("session signature", signed);
    watch.secret("unknown API token", "mct_of-somebody-who-left");
    watch.ask(shop.anonymous(Method::GET, "/admin/meta/status").bearer_auth("mct_of-somebody-who-left")).await;
}

/// Logins that come to nothing in every way, then one that works.
async fn logins(watch: &mut Watch, shop: &Installation) {
    shop.set_app().await;
    let back = watch.consent(shop, "made-up").await;
    watch.secret("made-up code", "a-code-nobody-gave-out");
    let state = back.split("state=").nth(1).expect("a state").split('&').next().expect("a state").to_owned();
    let path = format!("/admin/meta/oauth/callback?code=a-code-nobody-gave-out&state={state}");
    watch.come_back(shop, &path).await.failure();
    for fault in ["status_5xx", "truncated", "html_502", "drop_after_accept"] {
        let back = watch.consent(shop, fault).await;
        shop.plan(json!({"on": "oauth", "kind": fault}));
        watch.come_back(shop, &back).await.failure();
    }
    let back = watch.consent(shop, "denied").await;
    let denied = back.replace("code=", "error=access_denied&error_reason=user_denied&code=");
    watch.come_back(shop, &denied).await.failure();
    shop.clock.advance(1);
    let back = watch.consent(shop, "good").await;
    watch.come_back(shop, &back).await.data();
    watch.come_back(shop, &back).await.failure();
}

/// Settings read, and a secret typed where none belongs.
async fn settings(watch: &mut Watch, shop: &Installation) {
    let settings = "/admin/settings/admin";
    watch.get(shop, settings).await.data();
    let long = "simulator-app-secret".repeat(100);
    for wrong in [json!({"app_secret": {"value": "simulator-app-secret"}}), json!({"app_secret": long})] {
        watch.send(shop, Method::PATCH, settings, json!({"meta": wrong})).await.failure();
    }
    // Whoever typed it may be told what it was; the log may not.
    for body in [json!(["typed-in-the-wrong-place"]), json!({"meta": {"currency": "typed-in-the-wrong-place"}})] {
        shop.set(body["meta"].clone()).await.failure();
        answer(shop.request_as("catalog-admin", Method::PATCH, settings).json(&body)).await.failure();
    }
    watch.secret("misplaced secret", "typed-in-the-wrong-place");
}

/// Selections that fail, once with a token in Meta's own words, then one that works.
async fn selections(watch: &mut Watch, shop: &Installation) {
    let path = "/admin/meta/select-catalog";
    shop.plan(json!({"on": "access_tokens", "kind": "truncated"}));
    watch.send(shop, Method::POST, path, selection(CATALOG)).await.failure();
    let token = token(shop).await;
    let message = format!("Malformed access token {token}: access_token={token}");
    shop.plan(json!({"on": "assigned_users", "kind": "graph_error", "code": 100, "message": message}));
    watch.send(shop, Method::POST, path, selection(CATALOG)).await.failure();
    watch.send(shop, Method::POST, path, selection(CATALOG)).await.data();
    watch.get(shop, "/admin/meta/businesses").await.data();
}

/// A sync with a row that Meta refuses and a call that breaks off, and every page that tells of it.
async fn sync(watch: &mut Watch, shop: &Installation) {
    let variant = |id: &str| {
        json!({"id": id, "sku": id, "price": 29900,
               "inventory": {"trackInventory": false, "quantityOnHand": 0, "reservedQuantity": 0, "allowBackorder": false}})
    };
    shop.stock(&[json!({
        "id": "p", "title": "Cotton shirt", "description": "A shirt of cotton.", "slug": "shirt", "status": "active",
        "visibility": "public", "thumbnail": "img/shirt.jpg", "brand": {"id": "b", "title": "Acme"},
        "variants": [variant("v-1"), variant("v-2")],
    })])
    .await;
    shop.meta.reject("v-2", "Refused for the test");
    shop.plan(json!({"on": "items_batch", "kind": "truncated"}));
    shop.set(json!({"drain_pacing": "budget", "storefront_base_url": "https://shop.example", "sync_enabled": true}))
        .await
        .data();
    watch.send(shop, Method::POST, "/admin/meta/bootstrap", Value::Null).await.data();
    let settled = async || {
        let counts = shop.get("/admin/meta/status").await.data()["counts"].take();
        counts["synced"] == 1 && counts["failed"] == 1 && counts["outboxPending"] == 0
    };
    let began = Instant::now();
    while !settled().await {
        assert!(began.elapsed() < PATIENCE, "{}", shop.get("/admin/meta/status").await.text);
        shop.clock.advance(1_000);
        shop.meta.advance(1_000);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for page in ["status", "errors", "items", "items/v-1", "items/v-2", "items/v-1/meta-status", "oauth/nothing"] {
        watch.get(shop, &format!("/admin/meta/{page}")).await;
    }
}

async fn token(shop: &Installation) -> String {
    let app = &shop.app;
    let mut tx = app.db.read().await.expect("a connection");
    let known = credential::load(&mut tx, &app.keyring).await.expect("it opens").expect("connected");
    known.access_token.expose_secret().to_owned()
}
