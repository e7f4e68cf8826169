use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// The body of a response: whole, or sent piece by piece while the client reads.
#[derive(Debug)]
pub struct Body(Inner);

#[derive(Debug)]
enum Inner {
    Stream(mpsc::UnboundedReceiver<Result<Bytes, Aborted>>),
    Whole(Option<Bytes>),
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Bytes::new().into()
    }

    /// A body in pieces, and the end by which they are sent. It goes out chunked.
    pub fn stream() -> (BodySender, Body) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (BodySender(sender), Body(Inner::Stream(receiver)))
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        let bytes = bytes.into();
        Self(Inner::Whole((!bytes.is_empty()).then_some(bytes)))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let piece = match &mut self.0 {
            Inner::Stream(pieces) => ready!(pieces.poll_recv(cx)),
            Inner::Whole(bytes) => bytes.take().map(Ok),
        };
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Inner::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Stream(_) => SizeHint::default(),
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}

/// Sends a body piece by piece; dropping it ends the body properly. Clones send into the same body.
#[derive(Clone, Debug)]
pub struct BodySender(mpsc::UnboundedSender<Result<Bytes, Aborted>>);

impl BodySender {
    /// Sends one piece. `false` when the client has gone.
    pub fn send(&self, piece: impl Into<Bytes>) -> bool {
        self.0.send(Ok(piece.into())).is_ok()
    }

    /// Drops the connection in the middle of the body.
    pub fn abort(self) {
        let _ = self.0.send(Err(Aborted));
    }

    /// Resolves when the client has gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// The body was broken off on purpose.
#[derive(Debug)]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body was broken off on purpose")
    }
}

impl std::error::Error for Aborted {}
