//! Connections: accepting them, and ending them.
//!
//! Promises: a client that dawdles over the head of a request, or sends none, is not waited for (what it takes over
//! the body and the answer is [`super::Limits::time`]); asked to stop, nothing new is accepted, and what is under way
//! ends.
//! Left out on purpose: TLS and HTTP/2, which are the proxy's in front.

use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tracing::debug;

/// Serves until `stop` resolves and every connection has ended. `head` is the longest that a client may take to send
/// the head of a request, and a connection lie idle.
pub async fn serve(mut listener: TcpListener, router: Router, head: Duration, stop: impl Future<Output = ()>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head);
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, from) = tokio::select! {
            biased;
            () = &mut stop => break,
            // Out of file descriptors, it waits and tries again.
            accepted = Listener::accept(&mut listener) => accepted,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%from, %error, "a connection broke");
            }
        });
    }
    drop(listener);
    connections.shutdown().await;
}
