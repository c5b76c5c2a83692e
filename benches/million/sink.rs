//! A Meta that takes everything at once, in a process of its own: what it costs is not the service's.

use std::io::{BufRead as _, BufReader};
use std::process::{Child as Process, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{DefaultBodyLimit, Query};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

/// Serves until its parent ends it; prints its port first.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn serve() {
    let handles = AtomicU64::new(0);
    let handles: &'static AtomicU64 = Box::leak(Box::new(handles));
    let submit = move |body: axum::body::Bytes| async move {
        assert!(!body.is_empty());
        Json(json!({ "handles": [format!("h{}", handles.fetch_add(1, Ordering::Relaxed))] }))
    };
    let verdict = |Query(asked): Query<Value>| async move {
        let status = json!({
            "handle": asked["handle"], "status": "finished", "errors_total_count": 0, "errors": [],
            "warnings_total_count": 0, "warnings": [], "ids_of_invalid_requests": [],
        });
        Json(json!({ "data": [status] }))
    };
    let app = Router::new()
        .route("/{version}/{catalog}/items_batch", post(submit))
        .route("/{version}/{catalog}/check_batch_request_status", get(verdict))
        .layer(DefaultBodyLimit::max(64 << 20));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    axum::serve(listener, app).await.expect("served");
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
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
