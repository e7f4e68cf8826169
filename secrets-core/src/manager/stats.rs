use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// What a [`SecretManager`](crate::SecretManager) has done so far: a snapshot.
///
/// Every valid reference asked of `get`, `get_version`, `get_optional`, `get_many`, `exists` or a
/// [`ConfigSecretLoader`](crate::ConfigSecretLoader) is one lookup, classified once, at its end: a hit, a miss, a
/// negative hit or a stale value. Sums are exact when nothing is under way.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SecretStats {
    /// References asked for: the sum of hits, misses, negative hits and stale values.
    pub lookups: u64,
    /// Answered from the cache.
    pub hits: u64,
    /// Answered by the store, or by an error; dropped futures too.
    pub misses: u64,
    /// Answered `NotFound` from memory.
    pub negative_hits: u64,
    /// Answered with a value past its time to live, because the store could not be reached.
    pub stale_served: u64,
    /// Misses that joined a call already under way.
    pub coalesced: u64,
    /// Calls of the backend that read secrets; one for a whole batch.
    pub fetches: u64,
    /// Refreshes of values that were still cached: ahead of time, for handles, on events, or explicit.
    pub refreshes: u64,
    /// Calls repeated after a failure; part of `fetches`.
    pub retries: u64,
    /// Calls that got no answer in time.
    pub timeouts: u64,
    /// Secrets whose fetch failed for good; after retries, counted once for each call of the manager's.
    pub errors: u64,
    /// Names invalidated.
    pub invalidations: u64,
    /// Entries that made way for others.
    pub evictions: u64,
    /// Times that a circuit breaker opened.
    pub breaker_opens: u64,
    /// Reads that an open circuit breaker answered.
    pub breaker_rejected: u64,
    /// Calls of the backend under way.
    pub in_flight: usize,
    /// Cached values, fields and remembered failures.
    pub entries: usize,
    /// How long ago the longest untouched of the cached values was last fetched; `None` when none is cached.
    pub oldest_success: Option<Duration>,
}

impl SecretStats {
    /// Hits per lookup; 0.0 when there was none.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a ratio for people; 2⁵³ lookups are enough"
    )]
    pub fn hit_rate(&self) -> f64 {
        if self.lookups == 0 {
            0.0
        } else {
            self.hits as f64 / self.lookups as f64
        }
    }
}

/// How a lookup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Hit,
    Miss,
    Negative,
    Stale,
}

/// All counters of one manager.
pub(super) struct Counters {
    pub(super) hits: Hits,
    pub(super) misses: AtomicU64,
    pub(super) negative_hits: AtomicU64,
    pub(super) stale_served: AtomicU64,
    pub(super) coalesced: AtomicU64,
    pub(super) fetches: AtomicU64,
    pub(super) refreshes: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) timeouts: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) invalidations: AtomicU64,
    pub(super) evictions: AtomicU64,
    pub(super) breaker_opens: AtomicU64,
    pub(super) breaker_rejected: AtomicU64,
    pub(super) in_flight: AtomicUsize,
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            hits: Hits::new(),
            misses: AtomicU64::new(0),
            negative_hits: AtomicU64::new(0),
            stale_served: AtomicU64::new(0),
            coalesced: AtomicU64::new(0),
            fetches: AtomicU64::new(0),
            refreshes: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            invalidations: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            breaker_opens: AtomicU64::new(0),
            breaker_rejected: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
        }
    }

    /// One lookup that is to be counted when this drops, however it ends.
    pub(super) fn lookup(&self) -> Lookup<'_> {
        Lookup {
            counters: self,
            ending: Ending::Miss,
        }
    }

    /// All but what the cache alone knows.
    pub(super) fn snapshot(&self) -> SecretStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (hits, misses) = (self.hits.sum(), get(&self.misses));
        let (negative_hits, stale_served) = (get(&self.negative_hits), get(&self.stale_served));
        SecretStats {
            lookups: hits + misses + negative_hits + stale_served,
            hits,
            misses,
            negative_hits,
            stale_served,
            coalesced: get(&self.coalesced),
            fetches: get(&self.fetches),
            refreshes: get(&self.refreshes),
            retries: get(&self.retries),
            timeouts: get(&self.timeouts),
            errors: get(&self.errors),
            invalidations: get(&self.invalidations),
            evictions: get(&self.evictions),
            breaker_opens: get(&self.breaker_opens),
            breaker_rejected: get(&self.breaker_rejected),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            entries: 0,
            oldest_success: None,
        }
    }
}

pub(super) fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}

/// Counts a lookup at its end; a dropped future is a miss.
pub(super) struct Lookup<'a> {
    counters: &'a Counters,
    ending: Ending,
}

impl Lookup<'_> {
    pub(super) fn ends_as(&mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Lookup<'_> {
    fn drop(&mut self) {
        match self.ending {
            Ending::Hit => self.counters.hits.add_shared(),
            Ending::Miss => add(&self.counters.misses, 1),
            Ending::Negative => add(&self.counters.negative_hits, 1),
            Ending::Stale => add(&self.counters.stale_served, 1),
        }
    }
}

/// The counter of hits: one cell for each thread, so that counting needs no locked instruction.
///
/// A cell belongs to the one living thread whose id is its index; ids are reused only after their thread has ended,
/// through a lock. Threads beyond the last cell share one, and pay for it.
pub(super) struct Hits {
    own: Box<[Cell]>,
    shared: Cell,
}

/// Two cache lines: processors fetch them in pairs.
#[repr(align(128))]
struct Cell(AtomicU64);

impl Hits {
    const CELLS: usize = 32;

    pub(super) fn new() -> Self {
        let cell = || Cell(AtomicU64::new(0));
        Self {
            own: (0..Self::CELLS).map(|_| cell()).collect(),
            shared: cell(),
        }
    }

    /// Counts one for the calling thread, whose id among the living ones this is.
    #[inline]
    pub(super) fn add(&self, thread: usize) {
        match self.own.get(thread) {
            // No other thread writes this cell, so nothing can come between the load and the store.
            Some(Cell(count)) => count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed),
            None => self.add_shared(),
        }
    }

    pub(super) fn add_shared(&self) {
        self.shared.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sum(&self) -> u64 {
        self.own
            .iter()
            .chain([&self.shared])
            .map(|cell| cell.0.load(Ordering::Relaxed))
            .sum()
    }
}
