use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use tokio::sync::Notify;

use crate::beneath::Root;

/// Rings after the interval, and knows nothing of directories.
pub(super) struct Bell {
    /// Dropped, it ends the thread.
    _alive: Sender<()>,
}

impl Bell {
    pub(super) fn start(interval: Duration, rung: Arc<Notify>) -> Option<Self> {
        let (alive, ended) = mpsc::channel();
        let wait = move || {
            while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                rung.notify_one();
            }
        };
        let thread = std::thread::Builder::new().name("secrets-file".into());
        thread.spawn(wait).ok()?;
        Some(Self { _alive: alive })
    }

    #[allow(clippy::unused_self, reason = "has the signature of its counterpart on Linux")]
    pub(super) fn begin(&mut self) {}

    #[allow(clippy::unused_self, reason = "has the signature of its counterpart on Linux")]
    pub(super) fn cover(&mut self, _root: &Root, _path: &Path) {}

    #[allow(clippy::unused_self, reason = "has the signature of its counterpart on Linux")]
    pub(super) fn finish(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn f2_the_interval_rings_until_it_is_dropped() {
        let rung = Arc::new(Notify::new());
        let mut bell = Bell::start(Duration::from_millis(1), rung.clone()).unwrap();
        let root = Root::open(std::env::temp_dir()).unwrap();
        bell.begin();
        bell.cover(&root, Path::new("x"));
        bell.finish();
        for _ in 0..3 {
            rung.notified().await;
        }
        drop(bell);
        while Arc::strong_count(&rung) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
