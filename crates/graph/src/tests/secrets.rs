//! Tests that no secret appears in a log, an error or a `Debug`, whatever Meta answers.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::support::{APP_SECRET, Account, FakeMeta, Reply, TOKEN, raw_server, unreachable_client};
use crate::proof::app_secret_proof;
use crate::*;

const CODE: &str = "AQthecodefromtheredirect";
const MINTED: &str = "EAABfreshlyminted";

/// Everything that the thread logs, including the HTTP library's own messages.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test thread panicked").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Captured {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let captured = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(captured.clone())
            .finish();
        (captured, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no test thread panicked").clone()).expect("UTF-8")
    }
}

fn assert_clean(text: &str) {
    let proof = app_secret_proof(&APP_SECRET.into(), &TOKEN.into());
    for secret in [TOKEN, APP_SECRET, CODE, MINTED, &proof] {
        assert!(!text.contains(secret), "{secret} shows in:\n{text}");
    }
}

#[tokio::test]
async fn no_secret_is_shown_whatever_comes_back() {
    let (captured, _guard) = Captured::start();
    let quoting = |secret: &str| {
        let message = format!("Malformed access token {secret}; app secret {APP_SECRET}");
        let url = format!("/x?code={secret}&client_secret={APP_SECRET}");
        json!({"error": {"message": message, "code": 190, "error_user_title": secret, "error_user_msg": url}})
    };
    let squid = format!("<html>cannot fetch /oauth/access_token?client_secret={APP_SECRET}&code={CODE}</html>");
    let replies = [
        Reply::Json(200, json!({"access_token": MINTED})),
        Reply::Json(401, quoting(CODE)),
        Reply::Text(502, "text/html", squid.into_bytes()),
        // An unexpected answer that contains the secret.
        Reply::Json(200, json!({"access_token": [MINTED]})),
        Reply::Json(200, json!({"access_token": {"token": MINTED}})),
        Reply::Json(200, json!(MINTED)),
    ];
    let answers = replies.len();
    let meta = FakeMeta::answering(replies);
    let (client, account) = (meta.client(), Account::new());
    let code = CODE.into();

    let mut shown = Vec::new();
    for _ in 0..answers {
        let result = client.exchange_code(&account.app, &code, "https://shop.example/cb").await;
        shown.push(format!("{result:?}"));
        if let Err(failure) = result {
            shown.push(format!("{failure} {:?} {:?}", failure.error(), failure.message()));
        }
    }
    for client in [unreachable_client(), raw_server(""), raw_server("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")] {
        let failure = client.debug_token(&account.app, account.caller().token).await.expect_err("no answer");
        shown.push(format!("{failure} {failure:?}"));
    }
    // The JSON library would quote this value.
    let odd = Reply::Json(200, json!({"data": MINTED}));
    let refusing = FakeMeta::answering([Reply::Json(401, quoting(TOKEN)), odd]);
    let failure = refusing.client().catalog(account.caller(), "987").await.expect_err("a refusal");
    assert_eq!(failure.class(), ErrorClass::TokenDead(TokenCause::Unspecified));
    shown.push(format!("{failure} {failure:?} {:?}", failure.error()));
    let failure = refusing.client().system_users(account.caller(), "111").await.expect_err("not a list");
    assert_eq!(failure.kind(), FailureKind::Unreadable);
    shown.push(format!("{failure} {failure:?}"));

    let shown = shown.join("\n");
    assert!(shown.contains("[redacted]"), "Meta's words came through:\n{shown}");
    assert_clean(&shown);
    assert!(!shown.contains("http://"), "a URL shows in:\n{shown}");
    let log = captured.text();
    assert!(log.contains(r#"graph{method=GET edge="catalog" catalog_id="987"}"#), "{log}");
    assert!(log.contains("hyper"), "the HTTP library was heard:\n{log}");
    assert!(!log.contains("client_secret="), "{log}");
    assert_clean(&log);
}

#[test]
fn debug_shows_no_secret() {
    let account = Account::new();
    let grant = TokenGrant { access_token: MINTED.into(), expires_in: None };
    let mut body = ItemsBatchBody::new();
    body.push_delete("sku-1").expect("it fits");
    let shown = format!("{:?} {:?} {grant:?} {body:?}", account.app, account.caller());
    assert_clean(&shown);
    assert!(shown.contains("634") && !shown.contains("sku-1"), "{shown}");
}
