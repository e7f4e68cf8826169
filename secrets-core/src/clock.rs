use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Where a [`SecretManager`](crate::SecretManager) gets its time from, so that tests can turn it by hand.
///
/// Durations are counted from any fixed origin, the same for each call on one clock.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Monotonic time, which stands still while the machine is suspended. May be coarse: every cache hit reads it.
    fn monotonic(&self) -> Duration;

    /// Monotonic time, which also counts while the machine is suspended. Tokens and leases end by this one.
    fn boot(&self) -> Duration;

    /// The time of day. It may jump; only instants that a store names are compared with it.
    fn wall(&self) -> SystemTime;

    /// Resolves `duration` from now on.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>>;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }

    fn boot(&self) -> Duration {
        (**self).boot()
    }

    fn wall(&self) -> SystemTime {
        (**self).wall()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        (**self).sleep(duration)
    }
}

/// The machine's own clocks; sleeping is tokio's.
///
/// On Linux the monotonic time is `CLOCK_MONOTONIC_COARSE`, which advances with the kernel's tick (1 to 10 ms) and is
/// several times cheaper to read than the precise one, and the boot time is `CLOCK_BOOTTIME`. Elsewhere both are
/// [`Instant`], and whether that counts time asleep is up to the platform.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    #[cfg_attr(
        target_os = "linux",
        allow(dead_code, reason = "Linux reads its clocks by id")
    )]
    origin: Instant,
}

impl SystemClock {
    /// The machine's clocks.
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[inline]
    fn monotonic(&self) -> Duration {
        #[cfg(target_os = "linux")]
        return since_boot(rustix::time::ClockId::MonotonicCoarse);
        #[cfg(not(target_os = "linux"))]
        return self.origin.elapsed();
    }

    fn boot(&self) -> Duration {
        #[cfg(target_os = "linux")]
        return since_boot(rustix::time::ClockId::Boottime);
        #[cfg(not(target_os = "linux"))]
        return self.origin.elapsed();
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[cfg(target_os = "linux")]
#[inline]
fn since_boot(clock: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    // These clocks count from boot: neither part is ever negative, and the second one is below 10⁹.
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
