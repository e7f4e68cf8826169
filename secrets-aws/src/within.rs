//! A deadline, on the clock that tests turn.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use secrets_core::Clock;

/// What a future comes to within this time; `None` when it does not.
///
/// # Cancel safety
///
/// Dropping it drops the future.
pub(crate) async fn within<F: Future>(clock: &dyn Clock, limit: Duration, future: F) -> Option<F::Output> {
    let (mut future, mut over) = (pin!(future), clock.sleep(limit));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        over.as_mut().poll(cx).map(|()| None)
    })
    .await
}
