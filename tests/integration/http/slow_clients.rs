//! Clients that hold connections: they read nothing, send nothing, or do nothing. They stop neither the API nor the
//! pipeline, whatever their number.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use catalog_sync::domain::state::SyncStatus;
use meta_catalog::http::{Limits, serve::serve};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use testkit::{PATIENCE, Plant, product, resident, until, variant};

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_meta-catalog");
/// The file descriptors of the service in the test with many clients.
const DESCRIPTORS: u64 = 256;
/// More clients than the service has descriptors.
const CLIENTS: usize = 300;
/// The time in which `/health` answers, usually and always.
const USUALLY: Duration = Duration::from_millis(100);
const ALWAYS: Duration = Duration::from_secs(2);

/// A connection with a small buffer for what arrives.
async fn small(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(address).await.expect("a connection")
}

/// A client that asks for far more than the buffers between it and the service hold, and reads nothing.
async fn reads_nothing(address: SocketAddr) -> TcpStream {
    let mut stream = small(address).await;
    // One that was disconnected already cannot write.
    let _ = stream.write_all(&b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200)).await;
    stream
}

/// Asks for `/health` on a new connection; returns how long the response took.
async fn probe(address: SocketAddr) -> Duration {
    let began = Instant::now();
    let answered = tokio::time::timeout(ALWAYS, async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    });
    let answer = answered.await.unwrap_or_else(|_| panic!("/health did not answer within {ALWAYS:?}")).expect("read");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    began.elapsed()
}

fn address_of(url: &str) -> SocketAddr {
    url.strip_prefix("http://").expect("a URL").parse().expect("an address")
}

/// A connected shop whose service has few descriptors. `config` is put before its configuration.
async fn plant(config: &str) -> Plant {
    let mut plant = Plant::open(Path::new(BINARY), None).await;
    plant.program = plant.program.with_descriptors(DESCRIPTORS);
    let written = std::fs::read_to_string(&plant.config).expect("its configuration");
    std::fs::write(&plant.config, format!("{config}\n{written}")).expect("written");
    plant
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_clients_than_descriptors_that_read_nothing_stop_nothing() {
    let plant = plant("shutdown_seconds = 8").await;
    let mut serve = plant.serve().await;
    let address = address_of(&serve.address());
    plant.import(&[product("p", &[variant("a", 100)])]).await;
    plant.settle(&serve).await;
    probe(address).await;
    let before = resident(serve.id());

    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(reads_nothing(address).await);
    }
    let mut took = Vec::new();
    for _ in 0..10 {
        took.push(probe(address).await);
        clients.push(reads_nothing(address).await);
    }
    took.sort();
    let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
    eprintln!("/health: median {median:?}, longest {longest:?}");
    assert!(median < USUALLY, "/health: {took:?}");

    plant.import(&[product("q", &[variant("b", 200)])]).await;
    plant.until("b is synced", &serve, async || plant.status("b").await == Some(SyncStatus::Synced)).await;
    assert!(plant.item("b").is_some());
    let after = resident(serve.id());
    eprintln!("resident: {before} kB before, {after} kB after");
    assert!(after < before + 40 * 1024, "resident: {before} kB before, {after} kB after");

    let began = Instant::now();
    serve.signal("TERM").await;
    let status = serve.end().await;
    let ended = began.elapsed();
    eprintln!("ended after {ended:?}");
    // The clients take the time for requests, an eighth; the rest is there for a busy machine.
    assert!(ended < Duration::from_secs(8), "ended after {ended:?}");
    assert!(status.success(), "{status}\n{}", serve.log.text());
    drop(clients);
}

/// A server with these limits in this process.
struct Served {
    address: SocketAddr,
    /// A request to `/waits` has begun.
    begun: Arc<Notify>,
    /// Lets a request to `/waits` end.
    go: Arc<Notify>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

/// The length of the response of `/large`: far more than buffers hold.
const LARGE: usize = 24 * 1024 * 1024;

impl Served {
    async fn with(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let large = Bytes::from(vec![b'x'; LARGE]);
        let (begins, waits) = (Arc::clone(&begun), Arc::clone(&go));
        let waits = async move || {
            begins.notify_one();
            waits.notified().await;
        };
        let router = Router::new()
            .route("/health", get(async || "here"))
            .route("/large", get(async move || large))
            .route("/waits", get(waits))
            .route("/takes", post(async |body: Bytes| body.len().to_string()));
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(serve(listener, router, limits, async {
            let _ = stopped.await;
        }));
        Self { address, begun, go, stop, ended }
    }

    async fn asked(&self, head: &str) -> TcpStream {
        let mut stream = small(self.address).await;
        stream.write_all(head.as_bytes()).await.expect("taken");
        stream
    }
}

fn get_of(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// Waits until the server has closed a connection. Returns what it sent before.
async fn closed(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("still open");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a request on an open connection and reads the head and the first bytes of the response.
async fn answers(stream: &mut TcpStream, path: &str) -> String {
    stream.write_all(get_of(path).as_bytes()).await.expect("taken");
    let mut part = [0; 1024];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut part)).await.expect("an answer").expect("readable");
    String::from_utf8_lossy(&part[..read]).into_owned()
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_disconnected() {
    let served = Served::with(Limits { write: Duration::from_millis(300), ..Limits::default() }).await;
    let mut stream = served.asked(&get_of("/large")).await;
    let writes = async { while stream.write_all(&[b'x'; 4096]).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, writes).await.expect("still connected");
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_all_of_its_response() {
    // The whole takes three times as long as a client may read nothing.
    let limit = Duration::from_secs(2);
    let served = Served::with(Limits { write: limit, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(served.address).await.expect("a connection");
    let request = get_of("/large").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("taken");
    let began = Instant::now();
    let (mut all, mut part) = (0, vec![0; LARGE / 120]);
    let mut pace = tokio::time::interval(limit * 3 / 120);
    loop {
        pace.tick().await;
        match stream.read_exact(&mut part).await {
            Ok(read) => all += read,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => panic!("{error} after {all} bytes and {:?}", began.elapsed()),
        }
    }
    assert!(began.elapsed() > limit * 2, "it was not slow: {:?}", began.elapsed());
    assert!(all >= LARGE - part.len(), "{all} bytes");
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let served = Served::with(Limits { head: Duration::from_millis(300), ..Limits::default() }).await;
    let mut stream = served.asked("").await;
    assert!(answers(&mut stream, "/health").await.ends_with("here"));
    assert_eq!(closed(stream).await, "");
}

#[tokio::test]
async fn above_the_cap_the_connection_that_waited_longest_for_its_client_goes() {
    let served = Served::with(Limits { connections: 2, ..Limits::default() }).await;
    let mut first = served.asked("").await;
    assert!(answers(&mut first, "/health").await.ends_with("here"));
    let mut second = served.asked("").await;
    assert!(answers(&mut second, "/health").await.ends_with("here"));
    assert!(answers(&mut first, "/health").await.ends_with("here"), "two have room");

    let mut third = served.asked("").await;
    assert!(answers(&mut third, "/health").await.ends_with("here"));
    assert_eq!(closed(second).await, "");
    assert!(answers(&mut first, "/health").await.ends_with("here"), "the second waited longer");

    // A head and a body that do not come whole, and a response that is not read, are waits too.
    for part in [
        "GET /health HTTP/1.1\r\nHo".to_owned(),
        "POST /takes HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123".to_owned(),
        get_of("/large"),
    ] {
        let (_one, _two) = (served.asked(&part).await, served.asked(&part).await);
        let mut next = served.asked("").await;
        assert!(answers(&mut next, "/health").await.ends_with("here"), "{part}");
    }
}

#[tokio::test]
async fn a_request_that_is_worked_on_does_not_give_way() {
    let served = Served::with(Limits { connections: 1, ..Limits::default() }).await;
    let mut working = served.asked(&get_of("/waits")).await;
    served.begun.notified().await;
    let mut next = served.asked("").await;
    let answer = tokio::spawn(async move { answers(&mut next, "/health").await });
    // If it took the place of the first one, it would be answered at once.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!answer.is_finished(), "there is one place");
    served.go.notify_one();
    let mut status = [0; 12];
    working.read_exact(&mut status).await.expect("its response");
    assert_eq!(&status, b"HTTP/1.1 200");
    assert!(answer.await.expect("no panic").ends_with("here"), "the first one waits for its client now");
}

#[tokio::test]
async fn a_stop_waits_for_requests_only_so_long() {
    let limits = Limits { stop: Duration::from_millis(300), ..Limits::default() };
    let served = Served::with(limits).await;
    let waiting = served.asked(&get_of("/waits")).await;
    served.begun.notified().await;
    let mut stuck = served.asked(&get_of("/large")).await;
    stuck.read_exact(&mut [0; 9]).await.expect("its response has begun");
    served.stop.send(()).expect("it runs");
    tokio::time::timeout(PATIENCE, served.ended).await.expect("it ends").expect("no panic");
    assert_eq!(closed(waiting).await, "");
    assert!(closed(stuck).await.len() < LARGE);
}

/// Limits the descriptors of a running process.
async fn limit_descriptors(id: u32, count: u64) {
    let (id, limit) = (id.to_string(), format!("--nofile={count}:{DESCRIPTORS}"));
    let limited = Command::new("prlimit").args(["--pid", &id, &limit]).status().await.expect("prlimit runs");
    assert!(limited.success(), "{limited}");
}

/// The time that a process has used a processor, in hundredths of a second.
fn used(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("this is Linux");
    let fields = stat.rsplit_once(") ").expect("its name").1.split(' ');
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_the_service_waits_for_some() {
    const TOLD: &str = "connections cannot be accepted";
    let plant = plant("").await;
    let serve = plant.serve().await;
    let address = address_of(&serve.address());
    probe(address).await;

    limit_descriptors(serve.id(), 3).await;
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).await.expect("the system accepts it");
    serve.log.until(TOLD).await;
    let (before, span) = (used(serve.id()), Duration::from_secs(1));
    tokio::time::sleep(span).await;
    let busy = used(serve.id()) - before;
    assert!(busy < 25, "it used {busy} % of a processor");
    limit_descriptors(serve.id(), DESCRIPTORS).await;
    assert!(answers(&mut stream, "/health").await.starts_with("HTTP/1.1 200 "));
    let told = serve.log.text().matches(TOLD).count() as u64;
    assert!(told <= 1 + began.elapsed().as_secs() / 10, "{}", serve.log.text());
}

/// A service whose log nobody reads: each of its threads blocks when it has something to log.
struct Blocked {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Blocked {
    async fn start(shutdown_seconds: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(BINARY)
            .arg("serve")
            .current_dir(folder.path())
            .env("META_CATALOG_LISTEN", "127.0.0.1:0")
            .env("META_CATALOG_SHUTDOWN_SECONDS", shutdown_seconds)
            .env_remove("DATABASE_URL")
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the service starts");
        let stdout = child.stdout.take().expect("piped");
        let line = BufReader::new(stdout).lines().next_line().await.expect("readable").expect("a line");
        let address = address_of(line.strip_prefix("listening ").expect("where it listens"));
        let request = format!("GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: {}\r\n\r\n", "x".repeat(128));
        let answered = async || {
            let exchange = async {
                let mut stream = TcpStream::connect(address).await.ok()?;
                stream.write_all(request.as_bytes()).await.ok()?;
                stream.read(&mut [0; 1024]).await.ok()
            };
            tokio::time::timeout(Duration::from_secs(2), exchange).await.is_ok()
        };
        until("nothing is answered", async || !answered().await && !answered().await, String::new).await;
        Self { child, _folder: folder }
    }

    async fn terminate(&self) {
        let Some(id) = self.child.id() else { return };
        let sent = Command::new("kill").args(["-s", "TERM", &id.to_string()]).status().await.expect("kill runs");
        assert!(sent.success(), "{sent}");
    }
}

#[tokio::test]
async fn a_stop_ends_in_time_though_every_thread_is_blocked() {
    let mut blocked = Blocked::start("2").await;
    blocked.terminate().await;
    let began = Instant::now();
    let status = tokio::time::timeout(PATIENCE, blocked.child.wait()).await.expect("still runs").expect("waited for");
    assert_eq!(status.code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(10), "after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let mut blocked = Blocked::start("3600").await;
    // Two signals that are not yet handled count as one.
    let status = loop {
        blocked.terminate().await;
        if let Ok(status) = tokio::time::timeout(Duration::from_millis(500), blocked.child.wait()).await {
            break status.expect("waited for");
        }
    };
    assert_eq!(status.code(), Some(143));
}
