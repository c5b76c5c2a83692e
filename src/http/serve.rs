//! Connections: accepting them, bounding what each of them costs, and ending them.
//!
//! Promises: a client that sends the head of a request too slowly, or not at all, is disconnected (the limit for the
//! body and the response is [`super::Limits::time`]), and so is one that does not read its responses; there are never
//! more connections than [`super::Limits::connections`], and a new one takes the place of the one that has waited
//! longest for its client; an error of `accept` ends nothing; after the stop signal no new connection is accepted,
//! running requests finish, and what is open after [`super::Limits::stop`] is closed.
//! Left out on purpose: TLS, HTTP/2 and fairness between clients, which the proxy in front provides.

mod open;
mod stream;
mod watched;

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::open::Open;
use self::stream::Stream;
use self::watched::Watched;
use super::Limits;

/// Most bytes of a head, of requests that are read ahead, and of responses that wait for the client, each.
const BUFFER: usize = 64 * 1024;
/// Most bytes of responses that the system keeps for one client. By itself it keeps some megabytes, and one that reads
/// nothing could ask for all of them.
const SEND_BUFFER: u32 = 256 * 1024;
/// Clients that the system lets wait until they are accepted.
const BACKLOG: u32 = 1024;
/// The pause after an error of `accept`, such as too few file descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// The time between two messages about errors of `accept`.
const QUIET: Duration = Duration::from_secs(10);

/// Opens the port. Must be called inside the runtime.
///
/// # Errors
/// When the address cannot be used.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // On Windows it would let another program take the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // Connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop` resolves and every connection has ended.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: impl Future<Output = ()>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(BUFFER);
    let open = Open::new(limits.connections);
    let graceful = GracefulShutdown::new();
    let mut told = None;
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            let (stream, from) = listener.accept().await?;
            Ok((stream, from, open.admit().await))
        };
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = next => accepted,
        };
        let (stream, from, seat) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_the_client(&error) => continue,
            Err(error) => {
                if told.is_none_or(|last: Instant| last.elapsed() > QUIET) {
                    warn!(%error, open = open.count(), "connections cannot be accepted; see `nofile` in docs/operations.md");
                    told = Some(Instant::now());
                }
                // Its descriptor serves the next connection.
                open.evict();
                tokio::select! {
                    () = &mut stop => break,
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            }
        };
        let turn = seat.turn();
        let router = TowerToHyperService::new(router.clone());
        let stream = TokioIo::new(Stream::new(stream, limits.write, turn.clone()));
        let service = service_fn(move |request: Request<Incoming>| {
            turn.begins();
            let turn = turn.clone();
            let response = router.call(request.map(|body| Watched::new(body, turn.clone())));
            async move {
                let response = response.await;
                turn.ends();
                response
            }
        });
        let connection = graceful.watch(http.serve_connection(stream, service));
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = seat.lost() => debug!(%from, "connection closed for another one, or for the stop"),
                ended = connection => if let Err(error) = ended {
                    debug!(%from, %error, "connection failed");
                },
            }
            // Given back only now that the descriptor is free.
            drop(seat);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.stop, graceful.shutdown()).await.is_err() {
        info!(open = open.count(), "requests not finished in time; their connections are closed");
        open.end().await;
    }
}

/// Whether the error of `accept` is one of a client that has gone already.
fn is_of_the_client(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}
