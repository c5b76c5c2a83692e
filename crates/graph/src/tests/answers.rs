//! The result of every kind of answer, and of a missing answer.

use std::time::Duration;

use serde_json::json;

use super::support::{Account, FakeMeta, Reply, raw_server, unreachable_client};
use crate::*;

async fn submit(client: &GraphClient) -> Result<BatchAnswer, GraphFailure> {
    let mut body = ItemsBatchBody::new();
    body.push_delete("sku-1").expect("it fits");
    client.submit_items_batch(Account::new().caller(), "987", body).await
}

#[tokio::test]
async fn answers_that_are_none_are_told_apart() {
    use FailureKind::*;
    let text = |status, kind, body: &str| Reply::Text(status, kind, body.as_bytes().to_vec());
    let html = "<html><body>502 Bad Gateway</body></html>";
    // answer, kind, class, whether the outcome is unknown
    let cases = [
        (text(502, "text/html", html), NotJson, ErrorClass::Transient, true),
        (text(200, "text/html", html), NotJson, ErrorClass::Transient, true),
        (text(200, "text/plain", "Service Unavailable"), NotJson, ErrorClass::Transient, true),
        (text(413, "text/html", html), NotJson, ErrorClass::ReduceData, false),
        (text(200, "application/json", ""), NotJson, ErrorClass::Transient, true),
        (text(200, "application/json", "{handles: []}"), NotJson, ErrorClass::Transient, true),
        (text(200, "application/json", r#"{"handles":["Ac"#), Truncated, ErrorClass::Transient, true),
        (text(200, "application/json", "true"), Unreadable, ErrorClass::Transient, true),
        (text(200, "application/json", "[1]"), Unreadable, ErrorClass::Transient, true),
        (Reply::Json(200, json!({})), Unreadable, ErrorClass::Transient, true),
        (Reply::Json(200, json!({"validation_status": []})), Unreadable, ErrorClass::Transient, true),
        (Reply::Json(503, json!({"handles": ["AcH"]})), Unreadable, ErrorClass::Transient, true),
        (Reply::Json(200, json!({"success": false})), SuccessFalse, ErrorClass::Transient, true),
        (text(302, "text/html", html), Redirected, ErrorClass::Transient, true),
        (Reply::Json(200, json!({"error": {"code": 100}})), Refused, ErrorClass::BadRequest, false),
        (Reply::Json(500, json!({"error": {"code": 2, "is_transient": true}})), Refused, ErrorClass::Transient, true),
        (Reply::Json(400, json!({"error": "odd"})), Refused, ErrorClass::Unknown, true),
    ];
    for (number, (reply, kind, class, unknown)) in cases.into_iter().enumerate() {
        let meta = FakeMeta::answering([reply]);
        let failure = submit(&meta.client()).await.expect_err("no answer");
        assert_eq!((failure.kind(), failure.class()), (kind, class), "case {number}: {failure}");
        assert_eq!(failure.outcome_unknown(), unknown, "case {number}: {failure}");
        assert_eq!(meta.received().len(), 1, "case {number} was sent once");
    }
}

#[tokio::test]
async fn null_error_and_success_true_are_no_failure() {
    let meta = FakeMeta::answering([Reply::Json(200, json!({"error": null, "success": true, "handles": []}))]);
    let answer = submit(&meta.client()).await.expect("an answer");
    assert_eq!(answer.handles, Vec::<String>::new());
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let meta = FakeMeta::answering([]);
    let elsewhere = format!("{}steal", meta.client().config().graph_base_url);
    let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\n\r\n");
    let failure = submit(&raw_server(answer)).await.expect_err("a redirect");
    assert_eq!((failure.kind(), failure.http_status()), (FailureKind::Redirected, Some(307)));
    assert!(failure.operator_hint().contains("Graph base URL"));
    assert!(meta.received().is_empty());
}

#[tokio::test]
async fn metas_error_object_arrives_whole() {
    let error = json!({"error": {
        "message": "(#100) bad rows", "type": "OAuthException", "code": 100, "error_subcode": 1_752_129,
        "error_user_title": "Title", "error_user_msg": "Text", "fbtrace_id": "AbC",
        "error_data": "{\"blame_field_specs\":[[\"requests\"]]}"
    }});
    let meta = FakeMeta::answering([Reply::Json(400, error)]);
    let failure = submit(&meta.client()).await.expect_err("a refusal");
    assert_eq!((failure.code(), failure.subcode()), (Some(100), Some(1_752_129)));
    assert_eq!((failure.fb_type(), failure.trace_id()), (Some("OAuthException"), Some("AbC")));
    assert_eq!((failure.message(), failure.http_status()), ("(#100) bad rows", Some(400)));
    let object = failure.error().expect("an error object");
    assert_eq!(object.blamed_fields, ["requests"]);
    assert_eq!((object.user_title.as_deref(), object.user_message.as_deref()), (Some("Title"), Some("Text")));
}

#[tokio::test]
async fn usage_comes_with_answers_and_with_failures() {
    let header = |minutes: u32| {
        json!({"987": [{"type": "any", "call_count": 81, "estimated_time_to_regain_access": minutes}]}).to_string()
    };
    let name = "x-business-use-case-usage";
    let throttled = json!({"error": {"code": 80_014, "message": "too many calls"}});
    let status = json!({"data": []});
    let meta = FakeMeta::answering([
        Reply::WithHeader(name, header(0), json!({"handles": ["AcH"]})),
        Reply::WithHeader(name, header(7), throttled),
        Reply::WithHeader(name, header(0), status),
    ]);
    let client = meta.client();
    let answer = submit(&client).await.expect("an answer");
    assert_eq!((answer.usage.percent_for("987"), answer.usage.regain_after()), (Some(81.0), None));
    let failure = submit(&client).await.expect_err("a throttle");
    assert_eq!(failure.class(), ErrorClass::Throttled(Bucket::CatalogBatch));
    assert_eq!(failure.usage().regain_after(), Some(Duration::from_secs(420)));
    let account = Account::new();
    let polled = client.batch_status(account.caller(), "987", "AcH").await.expect("an answer");
    assert_eq!((polled.status, polled.usage.percent_for("987")), (None, Some(81.0)));
}

#[tokio::test]
async fn silence_is_told_by_where_it_fell() {
    use FailureKind::*;
    let hanging = FakeMeta::answering([Reply::Hang]);
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"handles\":";
    // client, kind, HTTP status, whether the outcome is unknown
    let cases = [
        (hanging.impatient_client(), Timeout, None, true),
        (raw_server(""), Reset, None, true),
        (raw_server("HTTP/1.1 200 OK\r\nconte"), Reset, None, true),
        (raw_server(half), Truncated, Some(200), true),
        (unreachable_client(), Connect, None, false),
    ];
    for (client, kind, status, unknown) in cases {
        let failure = submit(&client).await.expect_err("no answer");
        assert_eq!((failure.kind(), failure.http_status()), (kind, status), "{failure}");
        assert_eq!((failure.class(), failure.outcome_unknown()), (ErrorClass::Transient, unknown), "{failure}");
        assert_eq!(failure.kind().maybe_accepted(), unknown, "{failure}");
    }
}

#[tokio::test]
async fn answer_without_end_does_not_fill_the_memory() {
    let account = Account::new();
    let announced = raw_server("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{");
    let failure = announced.me(account.caller()).await.expect_err("too long");
    assert_eq!(failure.kind(), FailureKind::TooLarge);

    let mut chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    (0..300).for_each(|_| chunked.extend_from_slice(&chunk));
    let failure = raw_server(chunked).me(account.caller()).await.expect_err("too long");
    assert_eq!(failure.kind(), FailureKind::TooLarge);
}

#[tokio::test]
async fn call_that_cannot_be_built_is_not_sent() {
    let meta = FakeMeta::answering([]);
    let (client, account) = (meta.client(), Account::new());
    let failure = client.catalog(account.caller(), "987/products").await.expect_err("no id");
    assert_eq!((failure.kind(), failure.outcome_unknown()), (FailureKind::NotSent, false));
    assert_eq!(failure.message(), "\"987/products\" is not a Graph id: expected up to 64 letters, digits, `_` or `-`");

    let broken = "EAAB\ntoken".into();
    let failure = client.me(Caller { app: &account.app, token: &broken }).await.expect_err("no token");
    assert_eq!(failure.kind(), FailureKind::NotSent);
    assert!(!failure.to_string().contains("EAAB"), "{failure}");
    assert!(meta.received().is_empty());
}

#[test]
fn plain_http_needs_no_certificates() {
    // In a separate process, because the machine's certificates can be hidden only there.
    let module = module_path!().split_once("::").expect("a module below the crate").1;
    let probe = format!("{module}::null_error_and_success_true_are_no_failure");
    let output = std::process::Command::new(std::env::current_exe().expect("this test binary"))
        .args([&probe, "--exact"])
        .envs([("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")])
        .output()
        .expect("the test binary runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}
