//! What a reader sees of a cached value, and where it is shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::time::Tick;
use crate::Secret;

/// Where the slots show their values to readers. One writer at a time, who holds the lock of the state; any number of
/// readers, who hold nothing.
pub(super) trait Show {
    /// Shows a value, in place of any older one. What was used before still is.
    fn insert(&self, reference: Arc<str>, secret: Secret, due: Tick);

    fn remove(&self, reference: &str);

    /// Sets when the value needs something next.
    fn set_due(&self, reference: &str, due: Tick);

    /// Whether the value was read since this was last asked.
    fn take_used(&self, reference: &str) -> bool;
}

/// A number that readers and the writer share. A trait, so that the model checker can put its own in place.
pub(super) trait Word {
    fn new(value: u64) -> Self;
    fn load(&self) -> u64;
    fn store(&self, value: u64);
    fn swap(&self, value: u64) -> u64;
}

/// Relaxed throughout: each word stands for itself, and nothing is read by way of it.
impl Word for AtomicU64 {
    fn new(value: u64) -> Self {
        Self::new(value)
    }

    #[inline]
    fn load(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }

    #[inline]
    fn store(&self, value: u64) {
        self.store(value, Ordering::Relaxed);
    }

    fn swap(&self, value: u64) -> u64 {
        self.swap(value, Ordering::Relaxed)
    }
}

/// One value, as readers see it.
pub(super) struct View<W = AtomicU64> {
    secret: Secret,
    /// The instant at which anything at all needs doing. Until then a read is a hit.
    due: W,
    /// Read since the eviction's hand last came by: one or zero.
    used: W,
}

impl<W: Word> View<W> {
    pub(super) fn new(secret: Secret, due: Tick, used: bool) -> Self {
        Self {
            secret,
            due: W::new(due.nanos()),
            used: W::new(used.into()),
        }
    }

    /// The value, if nothing at all needs doing first.
    #[inline]
    pub(super) fn read(&self, now: Tick) -> Option<&Secret> {
        if now >= Tick::from_nanos(self.due.load()) {
            return None;
        }
        // Written only when clear: a store would take the cache line from every other reader.
        if self.used.load() == 0 {
            self.used.store(1);
        }
        Some(&self.secret)
    }

    pub(super) fn set_due(&self, due: Tick) {
        self.due.store(due.nanos());
    }

    pub(super) fn take_used(&self) -> bool {
        self.used.swap(0) != 0
    }
}
