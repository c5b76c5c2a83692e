//! A Meta that takes everything at once, in a process of its own: what it costs is not the service's. While it is held it
//! has no verdict.

use std::io::{BufRead as _, BufReader};
use std::process::{Child as Process, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::extract::{DefaultBodyLimit, Query};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

static HANDLES: AtomicU64 = AtomicU64::new(0);
static IS_HELD: AtomicBool = AtomicBool::new(false);

/// Serves until its parent ends it; prints its port first.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn serve() {
    let app = Router::new()
        .route("/{version}/{catalog}/items_batch", post(submit))
        .route("/{version}/{catalog}/check_batch_request_status", get(verdict))
        .route("/hold", post(async || IS_HELD.store(true, Ordering::SeqCst)))
        .route("/release", post(async || IS_HELD.store(false, Ordering::SeqCst)))
        .layer(DefaultBodyLimit::max(64 << 20));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    axum::serve(listener, app).await.expect("served");
}

async fn submit(body: axum::body::Bytes) -> Json<Value> {
    assert!(!body.is_empty());
    Json(json!({ "handles": [format!("h{}", HANDLES.fetch_add(1, Ordering::Relaxed))] }))
}

async fn verdict(Query(asked): Query<Value>) -> Json<Value> {
    let status = if IS_HELD.load(Ordering::SeqCst) { "in_progress" } else { "finished" };
    let status = json!({
        "handle": asked["handle"], "status": status, "errors_total_count": 0, "errors": [],
        "warnings_total_count": 0, "warnings": [], "ids_of_invalid_requests": [],
    });
    Json(json!({ "data": [status] }))
}

/// The running sink; it ends with this value.
pub(crate) struct Child {
    process: Process,
    address: String,
}

impl Child {
    pub(crate) fn start() -> Self {
        let program = std::env::current_exe().expect("a path");
        let mut process =
            Command::new(program).arg("--sink").stdout(Stdio::piped()).spawn().expect("a process for the sink");
        let mut address = String::new();
        let output = process.stdout.take().expect("an output");
        BufReader::new(output).read_line(&mut address).expect("the sink's address");
        Self { process, address: address.trim().into() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Answers that every batch is in progress, until [`Child::release`].
    pub(crate) async fn hold(&self) {
        self.tell("hold").await;
    }

    /// Answers again that every batch is finished.
    pub(crate) async fn release(&self) {
        self.tell("release").await;
    }

    async fn tell(&self, what: &str) {
        let url = format!("{}/{what}", self.url());
        let answer = reqwest::Client::new().post(url).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{what}: {}", answer.status());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
