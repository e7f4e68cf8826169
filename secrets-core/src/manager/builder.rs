use std::sync::Arc;
use std::time::Duration;

use super::SecretManager;
use super::breaker::BreakerPolicy;
use super::core::Core;
use super::time::Time;
use crate::{Clock, Error, ErrorKind, Result, SecretBackend, SystemClock};

/// Sets a [`SecretManager`] up. Made by [`SecretManager::builder`].
///
/// Every option has a default that suits a service reading its credentials; each says why.
#[derive(Debug)]
#[must_use = "call `build` to get the manager"]
pub struct SecretManagerBuilder {
    backend: Box<dyn SecretBackend>,
    config: Config,
    clock: Option<Arc<dyn Clock>>,
    seed: Option<u64>,
}

/// The options as the pipeline reads them.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) ttl: Duration,
    pub(super) ttl_jitter: f64,
    pub(super) refresh_ahead: bool,
    pub(super) attempts: u32,
    pub(super) retry_delay: Duration,
    pub(super) max_retry_delay: Duration,
    pub(super) deadline: Duration,
    pub(super) timeout: Duration,
    pub(super) concurrency: usize,
    pub(super) capacity: usize,
    pub(super) capacity_bytes: usize,
    pub(super) negative_ttl: Duration,
    pub(super) max_negative_ttl: Duration,
    pub(super) stale_if_error: Duration,
    pub(super) stale_wait: Duration,
    pub(super) breaker: BreakerPolicy,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(300),
            ttl_jitter: 0.1,
            refresh_ahead: true,
            attempts: 3,
            retry_delay: Duration::from_millis(100),
            max_retry_delay: Duration::from_secs(5),
            deadline: Duration::from_secs(15),
            timeout: Duration::from_secs(5),
            concurrency: 32,
            capacity: 10_000,
            capacity_bytes: 64 << 20,
            negative_ttl: Duration::from_secs(5),
            max_negative_ttl: Duration::from_secs(60),
            stale_if_error: Duration::from_secs(3600),
            stale_wait: Duration::from_millis(500),
            breaker: BreakerPolicy {
                threshold: 5,
                cool_down: Duration::from_secs(5),
                max_cool_down: Duration::from_secs(60),
            },
        }
    }
}

impl SecretManagerBuilder {
    pub(super) fn new(backend: Box<dyn SecretBackend>) -> Self {
        Self {
            backend,
            config: Config::default(),
            clock: None,
            seed: None,
        }
    }

    /// How long a value is served from the cache; 5 minutes by default, which bounds how late a rotation is seen while
    /// costing a store next to nothing.
    ///
    /// Zero keeps nothing at all: no value, no failure, nothing to fall back on; concurrent reads of one secret still
    /// share one call. Otherwise at least 100 ms and at most 365 days. A lease or an expiry of the store's own shortens
    /// it for that value.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.config.ttl = ttl;
        self
    }

    /// The largest part by which a time to live is shortened at random; 0.1 by default, so that secrets loaded together
    /// do not end together. 0.0 to 0.5.
    pub fn ttl_jitter(mut self, part: f64) -> Self {
        self.config.ttl_jitter = part;
        self
    }

    /// Whether a value that is read between 60 % and 90 % of its time to live (a random point for each) is fetched anew
    /// in the background; on by default, so that reads of a secret in use never wait.
    pub fn refresh_ahead(mut self, on: bool) -> Self {
        self.config.refresh_ahead = on;
        self
    }

    /// How often one fetch calls the backend at the most; 3 by default, which rides out a lost packet or a failover
    /// without prolonging an outage. At least 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.config.attempts = attempts;
        self
    }

    /// The wait before a call is repeated: a random time up to `first`, doubled each time up to `most`; 100 ms and 5 s
    /// by default. A store's `Retry-After` is waited for in any case, if the deadline allows.
    pub fn retry_delay(mut self, first: Duration, most: Duration) -> Self {
        (self.config.retry_delay, self.config.max_retry_delay) = (first, most);
        self
    }

    /// How long one fetch takes at the most, with all its calls, waits and the queue; 15 s by default: longer than three
    /// calls that time out are worth waiting for, shorter than the patience of most callers.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.config.deadline = deadline;
        self
    }

    /// How long one call of the backend takes at the most; 5 s by default, ten times what a slow store needs. A backend
    /// that has to log in first has its own limit for that.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// How many calls of the backend are under way at once at the most, of which background work takes half at the
    /// most; 32 by default, so that a cold start does not look like an attack to the store. At least 1.
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.config.concurrency = calls;
        self
    }

    /// How much is cached at the most: entries (values, fields, remembered failures), 10,000 by default, and bytes of
    /// plaintext, 64 MiB by default. Beyond that, what was not used lately makes way. Both at least 1.
    pub fn capacity(mut self, entries: usize, bytes: usize) -> Self {
        (self.config.capacity, self.config.capacity_bytes) = (entries, bytes);
        self
    }

    /// How long "there is no such secret" is remembered: `first`, doubled with each repetition up to `most`; 5 s and
    /// 60 s by default, so that a missing optional secret does not cost a call for each read and a new one is seen soon.
    /// Zero remembers nothing.
    pub fn negative_ttl(mut self, first: Duration, most: Duration) -> Self {
        (self.config.negative_ttl, self.config.max_negative_ttl) = (first, most);
        self
    }

    /// How long after its last successful fetch a value is still served when the store cannot be reached; 1 hour by
    /// default, which outlasts most outages. Never past a lease or the store's own expiry. Zero serves none.
    pub fn stale_if_error(mut self, age: Duration) -> Self {
        self.config.stale_if_error = age;
        self
    }

    /// How long a caller waits for the store when a stale value is at hand; 500 ms by default.
    pub fn stale_wait(mut self, wait: Duration) -> Self {
        self.config.stale_wait = wait;
        self
    }

    /// When the circuit breaker of a fault domain opens: after `failures` calls in a row that could not reach or use the
    /// store, for `first`, doubled after each failed probe up to `most`; 5 failures, 5 s and 60 s by default. While it
    /// is open, the store is left alone but for one probe after each wait. Zero failures switch it off.
    pub fn breaker(mut self, failures: u32, first: Duration, most: Duration) -> Self {
        self.config.breaker = BreakerPolicy {
            threshold: failures,
            cool_down: first,
            max_cool_down: most,
        };
        self
    }

    /// Where time comes from; the machine by default. For tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Makes every random choice (jitter) repeatable. For tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The manager. Starts no task and does no I/O.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` names the option that is out of its range.
    pub fn build(self) -> Result<SecretManager> {
        self.config.check()?;
        let time = match self.clock {
            Some(clock) => Time::Injected(clock),
            None => Time::System(SystemClock::new()),
        };
        let rng = self
            .seed
            .map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Ok(SecretManager::new(Core::new(
            self.backend,
            self.config,
            time,
            rng,
        )))
    }
}

impl Config {
    fn check(&self) -> Result<()> {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let invalid = |message: &'static str| Err(Error::new(ErrorKind::InvalidConfig, message));
        if !self.ttl.is_zero() && !(Duration::from_millis(100)..=YEAR).contains(&self.ttl) {
            return invalid("ttl: must be zero, which caches nothing, or between 100 ms and 365 days");
        }
        if !(0.0..=0.5).contains(&self.ttl_jitter) {
            return invalid("ttl_jitter: must be between 0.0 and 0.5");
        }
        if self.attempts == 0 {
            return invalid("attempts: must be at least 1");
        }
        if self.retry_delay > self.max_retry_delay {
            return invalid("retry_delay: the first wait must not be longer than the longest");
        }
        if self.timeout.is_zero() || self.timeout > YEAR {
            return invalid("timeout: must be longer than zero and at most 365 days");
        }
        if self.deadline < self.timeout || self.deadline > YEAR {
            return invalid("deadline: must be at least the timeout of one call, and at most 365 days");
        }
        if self.concurrency == 0 || self.concurrency > tokio::sync::Semaphore::MAX_PERMITS {
            return invalid("concurrency: must be at least 1, and is better below 1,000");
        }
        if self.capacity == 0 || self.capacity_bytes == 0 {
            return invalid("capacity: must be at least 1; to cache nothing, set ttl to zero");
        }
        if self.negative_ttl > self.max_negative_ttl || self.max_negative_ttl > YEAR {
            return invalid(
                "negative_ttl: the first must not be longer than the longest, and that not than 365 days",
            );
        }
        if self.stale_if_error > YEAR {
            return invalid("stale_if_error: must be at most 365 days");
        }
        let breaker = &self.breaker;
        if breaker.threshold > 0 && breaker.cool_down.is_zero() {
            return invalid("breaker: the first cool-down must be longer than zero");
        }
        if breaker.cool_down > breaker.max_cool_down || breaker.max_cool_down > YEAR {
            return invalid(
                "breaker: the first cool-down must not be longer than the longest, and that not than 365 days",
            );
        }
        Ok(())
    }

    /// Whether anything is kept after a call.
    pub(super) fn caches(&self) -> bool {
        !self.ttl.is_zero()
    }
}
