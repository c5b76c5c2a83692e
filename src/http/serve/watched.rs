//! A request's body that tells when the service waits for the client to send more of it.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::open::Turn;

/// The body of a request.
#[derive(Debug)]
pub(super) struct Watched {
    body: Incoming,
    turn: Turn,
}

impl Watched {
    pub(super) fn new(body: Incoming, turn: Turn) -> Self {
        Self { body, turn }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.turn.body(frame.is_ready());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
