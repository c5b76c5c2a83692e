//! A server that plays back prepared answers and records the requests.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use serde_json::Value;
use url::Url;

use crate::{AppCredentials, Caller, DEFAULT_VERSION, GraphClient, GraphConfig, Timeouts};

pub(super) const TOKEN: &str = "EAABtokenofthecaller";
pub(super) const APP_SECRET: &str = "appsecret0123456789";

/// A prepared answer.
pub(super) enum Reply {
    Json(u16, Value),
    Text(u16, &'static str, Vec<u8>),
    WithHeader(&'static str, String, Value),
    /// Does not answer.
    Hang,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Received {
    /// Method, path, decoded parameters and body in one line; the proof is left out.
    pub(super) fn line(&self) -> String {
        let params = |query: &str| {
            let pairs = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "appsecret_proof");
            pairs.map(|(name, value)| format!(" {name}={value}")).collect::<String>()
        };
        let form = self.headers.get("content-type").is_some_and(|kind| kind == "application/x-www-form-urlencoded");
        let query = params(self.uri.query().unwrap_or_default());
        let body = if form { params(&self.body) } else { self.body.clone() };
        let separator = if body.is_empty() { "" } else { " :" };
        format!("{} {}{query}{separator}{body}", self.method, self.uri.path())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn query(&self, name: &str) -> Option<String> {
        let query = self.uri.query().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

#[derive(Clone)]
struct Shared {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    received: Arc<Mutex<Vec<Received>>>,
}

/// Meta's side, as prepared by a test.
pub(super) struct FakeMeta {
    address: SocketAddr,
    shared: Shared,
}

impl FakeMeta {
    /// A server that gives these answers in this order. It has its own thread, so that a test that captures the log of
    /// its thread captures only the client.
    pub(super) fn answering(replies: impl IntoIterator<Item = Reply>) -> Self {
        let shared = Shared { replies: Arc::new(Mutex::new(replies.into_iter().collect())), received: Arc::default() };
        let (listener, address) = listen();
        listener.set_nonblocking(true).expect("a listener can be non-blocking");
        let app = Router::new().fallback(handle).with_state(shared.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                axum::serve(listener, app).await.expect("the server runs");
            });
        });
        Self { address, shared }
    }

    pub(super) fn client(&self) -> GraphClient {
        client(self.address, Timeouts::default().request)
    }

    pub(super) fn impatient_client(&self) -> GraphClient {
        client(self.address, Duration::from_millis(200))
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("no test thread panicked").clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.received().iter().map(Received::line).collect()
    }
}

async fn handle(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let body = String::from_utf8(body.to_vec()).expect("bodies are UTF-8");
    let received = Received { method, uri, headers, body };
    shared.received.lock().expect("no test thread panicked").push(received);
    let reply = shared.replies.lock().expect("no test thread panicked").pop_front();
    let json = |status: u16, value: &Value| {
        Response::builder()
            .status(status)
            .header("content-type", "text/javascript; charset=UTF-8")
            .body(value.to_string())
    };
    let response = match reply.expect("an answer was prepared for every call") {
        Reply::Json(status, value) => json(status, &value).map(|response| response.map(Body::from)),
        Reply::WithHeader(name, header, value) => json(200, &value).map(|mut response| {
            response.headers_mut().insert(name, header.parse().expect("a header value"));
            response.map(Body::from)
        }),
        Reply::Text(status, kind, text) => {
            Response::builder().status(status).header("content-type", kind).body(Body::from(text))
        }
        Reply::Hang => std::future::pending().await,
    };
    response.expect("a response")
}

/// A server below HTTP: reads one request, writes `answer` as it is, and hangs up.
pub(super) fn raw_server(answer: impl Into<Vec<u8>>) -> GraphClient {
    let (listener, address) = listen();
    let answer = answer.into();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client connects");
        read_request(&mut stream);
        // The client may close the connection first; some tests depend on it.
        let _ = stream.write_all(&answer);
    });
    client(address, Timeouts::default().request)
}

/// A client of a port on which no process listens.
pub(super) fn unreachable_client() -> GraphClient {
    let (listener, address) = listen();
    drop(listener);
    client(address, Timeouts::default().request)
}

fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).expect("the request can be read");
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return;
            }
        }
        assert_ne!(read, 0, "the client hung up inside its request");
    }
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

fn client(address: SocketAddr, request: Duration) -> GraphClient {
    let base = Url::parse(&format!("http://{address}")).expect("a URL");
    let config = GraphConfig {
        graph_base_url: base.clone(),
        dialog_base_url: base,
        version: DEFAULT_VERSION.to_owned(),
        timeouts: Timeouts { request, ..Timeouts::default() },
    };
    GraphClient::new(config).expect("a client")
}

/// An app and a token.
pub(super) struct Account {
    pub(super) app: AppCredentials,
    token: secrecy::SecretString,
}

impl Account {
    pub(super) fn new() -> Self {
        Self { app: AppCredentials { app_id: "634".to_owned(), app_secret: APP_SECRET.into() }, token: TOKEN.into() }
    }

    pub(super) fn caller(&self) -> Caller<'_> {
        Caller { app: &self.app, token: &self.token }
    }
}
