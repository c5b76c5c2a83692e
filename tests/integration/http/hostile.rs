//! What nobody who means well sends: every answer is an envelope that says what is wrong, soon, and costs nothing.
//!
//! Requests are written byte by byte where a client library would not send them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use meta_catalog::http::{self, Api, Limits, Site};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use testkit::{Engine, PATIENCE};

use super::installation::{Installation, secret_of};

const SETTINGS: &str = "/admin/settings/admin";

/// What came back: the status, and the body if there is one.
struct Told {
    status: u16,
    head: String,
    body: String,
}

impl Told {
    /// Status and code of a failure, which is an envelope.
    fn failure(&self) -> (u16, String) {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body));
        assert_eq!(body["statusCode"], self.status, "{body}");
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
        (self.status, body["errorCode"].as_str().unwrap_or_default().to_owned())
    }
}

/// A request's head; `more` are further lines of it.
fn head(method: &str, target: &str, token: &str, more: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
        .into_bytes()
}

fn json_head(method: &str, target: &str, token: &str, length: usize) -> Vec<u8> {
    head(method, target, token, &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"))
}

fn with_json(method: &str, target: &str, token: &str, body: &[u8]) -> Vec<u8> {
    [json_head(method, target, token, body.len()), body.to_vec()].concat()
}

/// Sends bytes and reads the answer to its end. A server that has answered need not read on.
async fn send(address: &str, bytes: &[u8]) -> Told {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let (mut from, mut to) = stream.split();
        let mut answer = Vec::new();
        let write = async {
            // The answer counts, not whether all of the request was taken.
            let _ = to.write_all(bytes).await;
        };
        let read = async {
            // A reset after the answer is the server's way of not reading ten megabytes.
            let _ = from.read_to_end(&mut answer).await;
        };
        tokio::join!(write, read);
        answer
    };
    let answer = tokio::time::timeout(PATIENCE, exchange).await;
    told(&answer.unwrap_or_else(|_| panic!("no answer to {}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)]))))
}

fn told(answer: &[u8]) -> Told {
    let text = String::from_utf8_lossy(answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Told { status: status.unwrap_or_else(|| panic!("{head}")), head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// Everything hostile that is a request, with the failure it must come to.
fn requests(token: &str) -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let patch = |body: &[u8]| with_json("PATCH", SETTINGS, token, body);
    let event = |body: &str| with_json("POST", "/events", token, body.as_bytes());
    let get = |target: &str| head("GET", target, token, "");
    let typed = |kind: &str| head("PATCH", SETTINGS, token, &format!("Content-Type: {kind}\r\nContent-Length: 2\r\n"));
    let nested = |open: &str, close: &str| {
        let depth = 100_000;
        [r#"{"meta":{"app_id":"#, &open.repeat(depth), "1", &close.repeat(depth), "}}"].concat().into_bytes()
    };
    let megabytes = [br#"{"meta":{"app_id":""#.as_slice(), &vec![b'x'; 10 * 1024 * 1024], b"\"}}"].concat();
    let chunked = {
        let head = head("PATCH", SETTINGS, token, "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n");
        let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 0x10_0000], b"\r\n"].concat();
        [head, chunk.repeat(10), b"0\r\n\r\n".to_vec()].concat()
    };
    let long = "v".repeat(10_000);
    const BAD: &str = "BAD_REQUEST";
    const INVALID: &str = "VALIDATION_ERROR";
    const TYPE: &str = "UNSUPPORTED_MEDIA_TYPE";
    const METHOD: &str = "METHOD_NOT_ALLOWED";
    vec![
        ("ten megabytes", patch(&megabytes), 413, "PAYLOAD_TOO_LARGE"),
        ("ten megabytes in chunks", chunked, 413, "PAYLOAD_TOO_LARGE"),
        ("ten megabytes of nobody", with_json("PATCH", SETTINGS, "nobody", &megabytes), 401, "UNAUTHORIZED"),
        ("deep lists", patch(&nested("[", "]")), 400, BAD),
        ("deep objects", patch(&nested(r#"{"a":"#, "}")), 400, BAD),
        ("an empty body", patch(b""), 400, BAD),
        ("a list", patch(b"[]"), 400, INVALID),
        ("a list in place of an object", patch(br#"[{"app_id":"1"}]"#), 400, INVALID),
        ("a list in place of an event", event(r#"["inventory.stock.adjusted","v1"]"#), 400, INVALID),
        ("a list of events", event(r#"{"events":[["inventory.stock.adjusted","v1"]]}"#), 400, INVALID),
        (
            "a list in place of a selection",
            with_json("POST", "/admin/meta/select-catalog", token, br#"["1","a","2","b"]"#),
            400,
            INVALID,
        ),
        ("null", patch(b"null"), 400, INVALID),
        ("NUL bytes between", patch(b"{\0\"meta\":{}}"), 400, BAD),
        ("a NUL in a text", patch(br#"{"meta":{"business_name":"a\u0000b"}}"#), 400, INVALID),
        ("a NUL in an id", event(r#"{"event":"inventory.stock.adjusted","variantId":"a\u0000b"}"#), 400, INVALID),
        ("a NUL in the path", get("/admin/meta/items/a%00b"), 400, BAD),
        ("a NUL in the path of nobody", head("GET", "/admin/meta/items/a%00b", "nobody", ""), 401, "UNAUTHORIZED"),
        (
            "a NUL in the query of nobody",
            head("GET", "/admin/meta/items?search=a%00b", "nobody", ""),
            401,
            "UNAUTHORIZED",
        ),
        ("a NUL in the query", get("/admin/meta/items?search=a%00b"), 400, INVALID),
        ("a body that is not UTF-8", patch(b"{\"meta\":{\"app_id\":\"\xff\"}}"), 400, BAD),
        ("half a surrogate", patch(br#"{"meta":{"app_id":"\ud800"}}"#), 400, BAD),
        ("a query that is not UTF-8", get("/admin/meta/items?search=%FF"), 400, BAD),
        ("a callback that is not UTF-8", get("/admin/meta/oauth/callback?state=%C3%28"), 400, BAD),
        ("a path that is not UTF-8", get("/admin/meta/items/%C3%28"), 400, BAD),
        ("a path beyond bounds", get(&format!("/admin/meta/items/{long}")), 404, "NOT_FOUND"),
        ("a number beyond bounds", patch(br#"{"meta":{"batch_size":99999999999999999999}}"#), 400, INVALID),
        ("a number beyond floats", patch(br#"{"meta":{"batch_size":1e999}}"#), 400, BAD),
        ("a negative number", patch(br#"{"meta":{"batch_size":-1}}"#), 400, INVALID),
        ("a page beyond bounds", get("/admin/meta/items?page=99999999999999999999"), 400, INVALID),
        ("a page below bounds", get("/admin/meta/items?page=-1"), 400, INVALID),
        ("a limit that is no number", get("/admin/meta/errors?limit=1e1"), 400, INVALID),
        ("an unknown group", patch(br#"{"meta":{},"google":{}}"#), 400, INVALID),
        ("an unknown setting", patch(br#"{"meta":{"__proto__":{}}}"#), 400, INVALID),
        ("a group twice", patch(br#"{"meta":{},"meta":{}}"#), 400, INVALID),
        ("a setting twice", patch(br#"{"meta":{"batch_size":1,"batch_size":2}}"#), 400, INVALID),
        ("an event twice", event(r#"{"events":[{"event":"a","event":"b"}]}"#), 400, INVALID),
        (
            "an id that is null",
            event(r#"{"event":"inventory.stock.adjusted","variantId":"v","productId":null}"#),
            400,
            INVALID,
        ),
        ("an unknown query key", get("/admin/meta/items?pages=1"), 400, INVALID),
        ("a query key twice", get("/admin/meta/items?page=1&page=2"), 400, INVALID),
        ("a state twice", get("/admin/meta/oauth/callback?state=a&state=b&code=c"), 400, BAD),
        ("a form", [typed("application/x-www-form-urlencoded"), b"{}".to_vec()].concat(), 415, TYPE),
        ("XML", [typed("application/xml"), b"{}".to_vec()].concat(), 415, TYPE),
        ("a type that is none", [typed("application/json/json"), b"{}".to_vec()].concat(), 415, TYPE),
        ("no type", [head("PATCH", SETTINGS, token, "Content-Length: 2\r\n"), b"{}".to_vec()].concat(), 415, TYPE),
        ("OPTIONS", head("OPTIONS", "/admin/meta/items", token, ""), 405, METHOD),
        ("TRACE", head("TRACE", SETTINGS, token, ""), 405, METHOD),
        ("a method of its own", head("SUBSCRIBE", "/events", token, ""), 405, METHOD),
        ("a path with dots", get("/admin/meta/../../etc/passwd"), 404, "NOT_FOUND"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_the_answer_is_an_envelope_and_memory_stays() {
    let served = Served::start().await;
    // The first round warms up: pools, caches, the allocator's arenas.
    let mut before = None;
    for _ in 0..3 {
        for (what, bytes, status, code) in requests(&served.token) {
            let told = send(&served.address, &bytes).await;
            assert_eq!(told.failure(), (status, code.to_owned()), "{what}");
            if status == 405 {
                assert!(told.head.contains("\nallow: "), "{what}: {}", told.head);
            }
        }
        before.get_or_insert_with(|| served.resident());
    }
    // Protocol errors are hyper's, which has no envelope for them; a 4xx all the same.
    let smuggled =
        send(&served.address, b"GET /ready HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(smuggled.await.status, 400);
    let huge = head("GET", "/ready", &"x".repeat(1024 * 1024), "");
    assert_eq!(send(&served.address, &huge).await.status, 431);

    let alive = send(&served.address, &head("GET", "/admin/meta/status", &served.token, "")).await;
    assert_eq!(alive.status, 200, "{}", alive.body);
    let looked = send(&served.address, &head("HEAD", "/admin/meta/status", &served.token, "")).await;
    assert_eq!((looked.status, looked.body.as_str()), (200, ""));
    let unasked = send(&served.address, &head("HEAD", "/admin/meta/bootstrap", &served.token, "")).await;
    assert_eq!((unasked.status, unasked.body.as_str()), (405, ""));

    let (before, after) = (before.unwrap_or_default(), served.resident());
    assert!(after < before + 64 * 1024, "resident: {before} kB before, {after} kB after");
}

/// The service as a process of its own, so that its memory can be told from the test's.
struct Served {
    child: Child,
    address: String,
    token: String,
    _folder: tempfile::TempDir,
}

impl Served {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = command(folder.path()).args(["token", "create", "--role", "catalog-admin"]).output().await;
        let made = made.expect("the command runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let token = String::from_utf8(made.stdout).expect("text").trim().to_owned();
        let mut child = command(folder.path())
            .arg("serve")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the service starts");
        let stdout = child.stdout.take().expect("its output");
        let line = BufReader::new(stdout).lines().next_line().await.expect("readable").expect("a line");
        let address = line.strip_prefix("listening http://").expect("where it listens").to_owned();
        Self { child, address, token, _folder: folder }
    }

    /// Its resident memory, in kB.
    fn resident(&self) -> u64 {
        testkit::resident(self.child.id().expect("it runs"))
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meta-catalog"));
    command.current_dir(folder).env("META_CATALOG_LISTEN", "127.0.0.1:0").env_remove("DATABASE_URL");
    command
}

/// Another API on the same pipeline, with limits that a test can wait for.
async fn impatient(shop: &Installation, time: Duration) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let site =
        Site { enabled: true, api_url: format!("http://{address}"), admin_url: None, allowed_origins: Vec::new() };
    let mut api = Api::new(std::sync::Arc::clone(&shop.app), shop.board().clone(), None, site);
    api.limits = Limits { time, ..Limits::default() };
    tokio::spawn(async move {
        axum::serve(listener, http::router(api, meta_catalog::page::routes(Limits::default()))).await
    });
    address.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_comes_a_byte_now_and_then_is_not_waited_for() {
    let shop = Installation::start(Engine::Sqlite).await;
    let address = impatient(&shop, Duration::from_millis(300)).await;
    // The second may take minutes for its work, but not for its body.
    for (method, path) in [("PATCH", SETTINGS), ("POST", "/admin/meta/select-catalog"), ("POST", "/events")] {
        let exchange = async {
            let stream = TcpStream::connect(&address).await.expect("a connection");
            let (mut from, mut to) = stream.into_split();
            to.write_all(&json_head(method, path, &secret_of("catalog-admin"), 1000)).await.expect("the head is taken");
            let drip = tokio::spawn(async move {
                let mut pace = tokio::time::interval(Duration::from_millis(20));
                while to.write_all(b" ").await.is_ok() {
                    pace.tick().await;
                }
            });
            let mut answer = Vec::new();
            // The connection is closed on a client that still sends.
            let _ = from.read_to_end(&mut answer).await;
            drip.abort();
            told(&answer)
        };
        let told = tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| panic!("{path}: no answer"));
        assert_eq!(told.failure(), (408, "REQUEST_TIMEOUT".into()), "{path}");
    }
    let event = json!({"event": "inventory.stock.adjusted", "variantId": "v"}).to_string();
    let address = impatient(&shop, PATIENCE / 2).await;
    let quick = send(&address, &with_json("POST", "/events", &secret_of("catalog-admin"), event.as_bytes())).await;
    assert_eq!(quick.status, 202, "{}", quick.body);
    shop.stop().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = axum::Router::new().route("/", axum::routing::get(async || "here"));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let limits = Limits { head: Duration::from_millis(300), ..Limits::default() };
    let served = http::serve::serve(listener, router, limits, async {
        let _ = stopped.await;
    });
    let served = tokio::spawn(served);
    for head in ["", "GET / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("taken");
        let mut answer = Vec::new();
        // Whoever has asked is answered, and then its connection lies idle.
        let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        end.unwrap_or_else(|_| panic!("still waits after {head:?}")).expect("closed in order");
        assert_eq!(String::from_utf8_lossy(&answer).ends_with("\r\n\r\nhere"), head.ends_with("\r\n\r\n"), "{head:?}");
    }
    drop(stop);
    tokio::time::timeout(PATIENCE, served).await.expect("it stops when asked").expect("no panic");
}

#[tokio::test]
async fn a_body_that_breaks_off_harms_nobody() {
    let shop = Installation::start(Engine::Sqlite).await;
    let address = shop.url("").trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.expect("a connection");
    let part = [json_head("POST", "/events", &secret_of("catalog-admin"), 1000), b"{\"events\":[".to_vec()].concat();
    stream.write_all(&part).await.expect("taken");
    stream.shutdown().await.expect("no more comes");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
    // Either an answer or a closed connection; never one that stays open.
    assert!(read.is_err() || answer.is_empty() || told(&answer).failure() == (400, "BAD_REQUEST".into()));
    assert_eq!(shop.queued().await, []);
    shop.stop().await;
}
