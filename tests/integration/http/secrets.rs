//! No secret is in a log, whatever happens.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use meta_catalog::store::credential;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::installation::{CATALOG, Database, Installation};

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

/// One thread, so that every task of the service logs to this test's own subscriber.
#[tokio::test(flavor = "current_thread")]
async fn no_secret_reaches_the_log() {
    let log = Log::default();
    // With one subscriber alive, `tracing` asks only the thread that meets a log line first, and that may be another
    // test's, which has none. With two it asks all.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let everything = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let _guard = tracing::subscriber::set_default(everything.with_writer(log.clone()).finish());
    let shop = Installation::start(Database::Sqlite).await;
    let mut secrets = vec!["simulator-app-secret".to_owned(), "secret-of-catalog-admin".to_owned()];

    shop.set_app().await;
    let back = shop.consent().await;
    let url = url::Url::parse(&format!("http://host{back}")).expect("a URL");
    secrets.extend(url.query_pairs().filter(|(name, _)| name == "code" || name == "state").map(|(_, v)| v.into()));
    shop.come_back(&back).await.data();
    secrets.push(token(&shop).await);
    // Once more, which fails, and once in the wrong place.
    shop.come_back(&back).await.failure();
    shop.set(json!(["typed-in-the-wrong-place"])).await.failure();
    secrets.push("typed-in-the-wrong-place".to_owned());
    shop.plan(json!({"on": "access_tokens", "kind": "truncated"}));
    shop.select(CATALOG).await.failure();
    shop.select(CATALOG).await.data();
    secrets.push(token(&shop).await);
    shop.post("/admin/meta/bootstrap", Value::Null).await.data();
    shop.stop().await;

    let text = log.text();
    assert!(text.contains("connected to Meta") && text.contains("request_id="), "the log was taken");
    assert_eq!(secrets.len(), 7);
    for secret in secrets {
        assert!(secret.len() > 10 && !text.contains(&secret), "{secret} is in the log");
    }
}

async fn token(shop: &Installation) -> String {
    let pipeline = &shop.service.pipeline;
    let mut tx = pipeline.db.read().await.expect("a connection");
    let known = credential::load(&mut tx, &pipeline.keyring).await.expect("it opens").expect("connected");
    known.access_token.expose_secret().to_owned()
}
