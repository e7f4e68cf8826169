//! Hands watch events out to every subscriber, in bounded memory.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use secrets_core::{BackendEvent, BackendEvents};

/// Events a subscriber has not taken yet; beyond this many they become one `Resync`.
const PENDING: usize = 1024;

/// The sending end. Its subscribers' streams end when it is dropped.
#[derive(Default)]
pub(crate) struct Events(Mutex<Vec<Arc<Queue>>>);

#[derive(Default)]
struct Queue(Mutex<State>);

#[derive(Default)]
struct State {
    pending: VecDeque<BackendEvent>,
    ended: bool,
    waker: Option<Waker>,
}

impl Events {
    /// Tells every subscriber. One that has the same event waiting does not get it twice.
    pub(crate) fn send(&self, event: &BackendEvent) {
        self.each(|state| {
            if state.pending.contains(event) || state.pending.front() == Some(&BackendEvent::Resync) {
                return;
            }
            if *event == BackendEvent::Resync || state.pending.len() == PENDING {
                state.pending.clear();
                state.pending.push_back(BackendEvent::Resync);
            } else {
                state.pending.push_back(event.clone());
            }
        });
    }

    /// From here on no event is lost to the stream returned.
    pub(crate) fn subscribe(&self) -> BackendEvents {
        let queue = Arc::new(Queue::default());
        self.lock().push(queue.clone());
        Box::pin(Subscription(queue))
    }

    /// Ends every stream, once it has given out what is pending.
    pub(crate) fn end(&self) {
        self.each(|state| state.ended = true);
        self.lock().clear();
    }

    /// How many streams are alive.
    pub(crate) fn subscribers(&self) -> usize {
        let mut queues = self.lock();
        queues.retain(|queue| Arc::strong_count(queue) > 1);
        queues.len()
    }

    fn each(&self, change: impl Fn(&mut State)) {
        let mut queues = self.lock();
        // A queue that only this list holds has lost its stream.
        queues.retain(|queue| Arc::strong_count(queue) > 1);
        for queue in queues.iter() {
            let mut state = queue.lock();
            change(&mut state);
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Queue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.end();
    }
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Subscription(Arc<Queue>);

impl Stream for Subscription {
    type Item = BackendEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BackendEvent>> {
        let mut state = self.0.lock();
        if let Some(event) = state.pending.pop_front() {
            return Poll::Ready(Some(event));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrets_core::SecretName;

    fn changed(text: &str) -> BackendEvent {
        BackendEvent::Changed(SecretName::new(text).unwrap())
    }

    fn next(stream: &mut BackendEvents) -> Poll<Option<BackendEvent>> {
        stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn w6_a_slow_subscriber_costs_bounded_memory() {
        let events = Events::default();
        let mut stream = events.subscribe();
        for n in 0..=PENDING {
            events.send(&changed(&format!("n{n}")));
            events.send(&changed(&format!("n{n}")));
        }
        assert_eq!(next(&mut stream), Poll::Ready(Some(BackendEvent::Resync)));
        events.send(&changed("a"));
        assert_eq!(next(&mut stream), Poll::Ready(Some(changed("a"))));
        assert_eq!(next(&mut stream), Poll::Pending);
        drop(events);
        assert_eq!(next(&mut stream), Poll::Ready(None));
    }

    #[test]
    fn a_dropped_stream_is_forgotten() {
        let events = Events::default();
        let stream = events.subscribe();
        assert_eq!(events.subscribers(), 1);
        drop(stream);
        assert_eq!(events.subscribers(), 0);
    }
}
