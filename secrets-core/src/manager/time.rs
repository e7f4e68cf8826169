//! The manager's view of its clock: instants as one word, so that they fit an atomic.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use crate::{Clock, SystemClock};

/// An instant of the monotonic or of the boot clock, in nanoseconds from that clock's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u64);

impl Tick {
    pub(super) const NEVER: Self = Self(u64::MAX);
    /// Before every instant.
    pub(super) const NOW: Self = Self(0);

    #[inline]
    pub(super) fn at(since_origin: Duration) -> Self {
        // 584 years fit.
        Self(
            since_origin
                .as_secs()
                .saturating_mul(1_000_000_000)
                .saturating_add(u64::from(since_origin.subsec_nanos())),
        )
    }

    pub(super) fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(super) fn nanos(self) -> u64 {
        self.0
    }

    pub(super) fn after(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// Zero when `earlier` is later.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A sleep under way.
pub(super) type Sleeping = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The machine's clock is called directly, one that was injected through its vtable: every hit reads it.
#[derive(Clone, Debug)]
pub(super) enum Time {
    Injected(Arc<dyn Clock>),
    System(SystemClock),
}

impl Time {
    #[inline]
    pub(super) fn now(&self) -> Tick {
        Tick::at(match self {
            Self::Injected(clock) => clock.monotonic(),
            Self::System(clock) => clock.monotonic(),
        })
    }

    fn clock(&self) -> &dyn Clock {
        match self {
            Self::Injected(clock) => clock,
            Self::System(clock) => clock,
        }
    }

    pub(super) fn boot(&self) -> Tick {
        Tick::at(self.clock().boot())
    }

    pub(super) fn wall(&self) -> SystemTime {
        self.clock().wall()
    }

    pub(super) async fn sleep(&self, duration: Duration) {
        self.sleeping(duration).await;
    }

    /// A sleep that is polled beside something else.
    pub(super) fn sleeping(&self, duration: Duration) -> Sleeping {
        self.clock().sleep(duration)
    }

    /// The future's output, or `None` once `limit` has passed. The future goes first: what is ready is never late.
    pub(super) async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut sleep = None;
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            // Made only once it is needed: most futures here are ready at once or soon.
            let sleep = sleep.get_or_insert_with(|| self.clock().sleep(limit));
            sleep.as_mut().poll(cx).map(|()| None)
        })
        .await
    }
}
