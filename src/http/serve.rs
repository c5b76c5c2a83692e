//! Connections: accepting them, and ending them.
//!
//! Promises: a client that sends the head of a request too slowly, or not at all, is disconnected (the limit for the
//! body and the response is [`super::Limits::time`]); after the stop signal no new connection is accepted, and running
//! requests finish.
//! Left out on purpose: TLS and HTTP/2, which the proxy in front provides.

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
            // When file descriptors run out, this call waits and tries again.
            accepted = Listener::accept(&mut listener) => accepted,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%from, %error, "connection failed");
            }
        });
    }
    drop(listener);
    connections.shutdown().await;
}
