//! Several backends' events as one stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::BackendEvent;
use crate::watch::BackendEvents;

/// Ends when any of them ends: whoever follows subscribes to all of them again, and misses nothing.
pub(crate) struct Merged {
    streams: Vec<BackendEvents>,
    /// Who is asked first; a busy one does not silence the others.
    first: usize,
}

impl Merged {
    pub(crate) fn boxed(streams: Vec<BackendEvents>) -> BackendEvents {
        Box::pin(Self { streams, first: 0 })
    }
}

impl Stream for Merged {
    type Item = BackendEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BackendEvent>> {
        let count = self.streams.len();
        for offset in 0..count {
            let at = (self.first + offset) % count;
            if let Poll::Ready(event) = self.streams[at].as_mut().poll_next(cx) {
                self.first = (at + 1) % count;
                return Poll::Ready(event);
            }
        }
        Poll::Pending
    }
}

/// A stream whose items are translated; what has no translation is left out.
pub(crate) struct Translated<F> {
    pub(crate) events: BackendEvents,
    pub(crate) translate: F,
}

impl<F: FnMut(BackendEvent) -> Option<BackendEvent> + Unpin> Stream for Translated<F> {
    type Item = BackendEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BackendEvent>> {
        loop {
            match self.events.as_mut().poll_next(cx) {
                Poll::Ready(Some(event)) => {
                    if let Some(event) = (self.translate)(event) {
                        return Poll::Ready(Some(event));
                    }
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
