//! The map that hits read: no lock, no allocation, one comparison with the clock.
//!
//! Its writers hold the lock of the manager's state, so there is one at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use papaya::{HashMap, ResizeMode};
use seize::{Collector, Guard};

use super::stats::Hits;
use super::time::{Tick, Time};
use super::view::{Show, View};
use crate::Secret;

/// Values by the text of their reference, as a caller writes it.
pub(super) struct HotMap {
    map: HashMap<Arc<str>, Entry, foldhash::fast::RandomState>,
    reclaim: Reclaim,
}

struct Entry {
    view: View,
    freed: Arc<AtomicUsize>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.freed.fetch_add(1, Ordering::Release);
    }
}

impl HotMap {
    pub(super) fn new() -> Self {
        let map = HashMap::builder()
            .hasher(foldhash::fast::RandomState::default())
            // Frees what is removed at once. In batches, which is the default, plaintext would linger.
            .collector(Collector::new().batch_size(1))
            // While an incremental resize is under way, what is removed is kept until it ends.
            .resize_mode(ResizeMode::Blocking)
            .build();
        Self {
            map,
            reclaim: Reclaim::default(),
        }
    }

    /// The value, if nothing at all needs doing first.
    #[inline]
    pub(super) fn hit(&self, reference: &str, time: &Time, hits: &Hits) -> Option<Secret> {
        let guard = self.map.guard();
        let entry = self.map.get(reference, &guard)?;
        let secret = entry.view.read(time.now())?;
        hits.add(guard.thread_id());
        Some(secret.clone())
    }
}

impl Show for HotMap {
    /// The old value is dropped when the last reader lets go of it.
    fn insert(&self, reference: Arc<str>, secret: Secret, due: Tick) {
        let used = self.take_used(&reference);
        let entry = Entry {
            view: View::new(secret, due, used),
            freed: self.reclaim.freed.clone(),
        };
        let replaced = self.map.pin().insert(reference, entry).is_some();
        self.reclaim.after(usize::from(replaced), &self.map);
    }

    /// The value is dropped when the last reader lets go of it.
    fn remove(&self, reference: &str) {
        let removed = self.map.pin().remove(reference).is_some();
        self.reclaim.after(usize::from(removed), &self.map);
    }

    fn set_due(&self, reference: &str, due: Tick) {
        if let Some(entry) = self.map.pin().get(reference) {
            entry.view.set_due(due);
        }
    }

    fn take_used(&self, reference: &str) -> bool {
        let map = self.map.pin();
        map.get(reference).is_some_and(|entry| entry.view.take_used())
    }
}

/// Sees to it that removed entries are really freed.
///
/// The map's collector hands a batch of removed entries over to the threads that are reading at that moment, and needs
/// one entry in the batch for each of them. A batch of one is therefore kept back whenever another thread happens to be
/// reading, and would stay until this thread removes something again. Then entries without a value are added until the
/// batch is large enough.
#[derive(Default)]
struct Reclaim {
    removed: AtomicUsize,
    freed: Arc<AtomicUsize>,
}

impl Reclaim {
    /// More threads than this reading in the same few nanoseconds leave an entry to the next removal.
    const MOST: usize = 64;

    fn after(&self, removed: usize, map: &HashMap<Arc<str>, Entry, foldhash::fast::RandomState>) {
        if removed == 0 {
            return;
        }
        let removed = self.removed.fetch_add(removed, Ordering::Relaxed) + removed;
        for _ in 0..Self::MOST {
            if self.freed.load(Ordering::Acquire) >= removed {
                return;
            }
            // No reference contains this character.
            let filler: Arc<str> = "\0".into();
            map.pin().insert(filler.clone(), Entry::filler());
            map.pin().remove(&filler);
        }
    }
}

impl Entry {
    fn filler() -> Self {
        Self {
            view: View::new(Secret::new(Vec::new()), Tick::NOW, false),
            freed: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;
    use crate::SystemClock;

    fn freed(map: &HotMap) -> usize {
        map.reclaim.freed.load(Ordering::Acquire)
    }

    #[test]
    fn t15_removed_and_replaced_values_are_freed_at_once() {
        let map = HotMap::new();
        for round in 1..=100 {
            map.insert("a".into(), Secret::copy_from(b"1"), Tick::NEVER);
            map.insert("a".into(), Secret::copy_from(b"2"), Tick::NEVER);
            assert_eq!(freed(&map), 2 * round - 1);
            map.remove("a");
            assert_eq!(freed(&map), 2 * round);
        }
    }

    #[test]
    fn t15_values_are_freed_at_once_also_while_others_read() {
        let (map, time, hits) = (HotMap::new(), Time::System(SystemClock::new()), Hits::new());
        map.insert("hot".into(), Secret::copy_from(b"1"), Tick::NEVER);
        let (start, stop) = (Barrier::new(5), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    while !stop.load(Ordering::Relaxed) {
                        assert!(map.hit("hot", &time, &hits).is_some());
                    }
                });
            }
            start.wait();
            for _ in 0..500 {
                map.insert("cold".into(), Secret::copy_from(b"1"), Tick::NEVER);
                map.remove("cold");
            }
            stop.store(true, Ordering::Relaxed);
        });
        // Every reader has left, and nothing has been removed since.
        assert_eq!(freed(&map), 500);
    }

    #[test]
    fn t1_a_value_is_fresh_strictly_before_its_due_time() {
        #[derive(Debug)]
        struct At(u64);
        impl crate::Clock for At {
            fn monotonic(&self) -> std::time::Duration {
                std::time::Duration::from_nanos(self.0)
            }
            fn boot(&self) -> std::time::Duration {
                self.monotonic()
            }
            fn wall(&self) -> std::time::SystemTime {
                std::time::SystemTime::UNIX_EPOCH
            }
            fn sleep(&self, _: std::time::Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
                Box::pin(std::future::pending())
            }
        }
        let (map, hits) = (HotMap::new(), Hits::new());
        map.insert("a".into(), Secret::copy_from(b"1"), Tick::from_nanos(100));
        assert!(map.hit("a", &Time::Injected(Arc::new(At(99))), &hits).is_some());
        assert!(map.hit("a", &Time::Injected(Arc::new(At(100))), &hits).is_none());
        assert_eq!(hits.sum(), 1);
    }
}
