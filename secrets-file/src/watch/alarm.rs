//! Rings when something may have changed.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(not(target_os = "linux"), test))]
mod timer;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::beneath::Root;

#[cfg(target_os = "linux")]
use linux::Bell;
#[cfg(not(target_os = "linux"))]
use timer::Bell;

/// Rings after the interval, and where the system tells, when something happened in a directory that is covered.
pub(super) struct Alarm {
    rung: Arc<Notify>,
    bell: Bell,
}

impl Alarm {
    pub(super) fn start(interval: Duration) -> Option<Self> {
        let rung = Arc::new(Notify::new());
        let bell = Bell::start(interval, rung.clone())?;
        Some(Self { rung, bell })
    }

    /// Resolves when it has rung since this was last asked.
    pub(super) fn rung(&self) -> impl Future<Output = ()> + Send {
        self.rung.notified()
    }

    /// From here on, what is not covered again is no longer watched after [`finish`](Alarm::finish).
    pub(super) fn begin(&mut self) {
        self.bell.begin();
    }

    /// Watches every directory on the way to `path`.
    pub(super) fn cover(&mut self, root: &Root, path: &Path) {
        self.bell.cover(root, path);
    }

    pub(super) fn finish(&mut self) {
        self.bell.finish();
    }
}
