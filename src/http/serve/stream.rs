//! A client's connection with a limit on how long it may read nothing.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::open::Turn;

/// A stream on which a write fails when nothing could be written for `limit`. However slowly, a client that reads keeps
/// its connection.
#[derive(Debug)]
pub(super) struct Stream {
    stream: TcpStream,
    turn: Turn,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    /// A write waits for the client, and the timer runs.
    waits: bool,
    failed: bool,
}

impl Stream {
    pub(super) fn new(stream: TcpStream, limit: Duration, turn: Turn) -> Self {
        Self { stream, turn, limit, timer: Box::pin(tokio::time::sleep(limit)), waits: false, failed: false }
    }

    /// Applies the limit to what a write returned.
    fn limited<T>(&mut self, cx: &mut Context<'_>, written: Poll<Result<T>>) -> Poll<Result<T>> {
        if written.is_ready() {
            self.waits = false;
            self.turn.progresses();
            return written;
        }
        self.turn.stands();
        if !self.waits {
            self.waits = true;
            self.timer.as_mut().reset(Instant::now() + self.limit);
        }
        std::task::ready!(self.timer.as_mut().poll(cx));
        self.failed = true;
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client does not read")))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.failed || self.waits && self.turn.is_lost() {
            // The system forgets what the client did not read; otherwise it would offer it for minutes.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_pending() {
            self.turn.stands();
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.limited(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.limited(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // A TCP stream has no buffer of its own, so neither of these waits for the client.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
