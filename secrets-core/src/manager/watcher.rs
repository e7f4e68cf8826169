//! Follows the backend's own events, where it has them.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;

use super::core::{Core, GATHER};
use super::time::Sleeping;
use crate::watch::{BackendEvents, WatchedNames, WatchedNamesSender};
use crate::{BackendEvent, trace};

/// What the watcher wakes up for.
enum Wake {
    Event(BackendEvent),
    Ended,
    NamesChanged,
    NamesGathered,
}

impl Core {
    /// Subscribes before the first read, so that no change after that read is lost.
    pub(super) fn ensure_watcher(self: &Arc<Self>, runtime: &Handle) {
        if !self.watches {
            return;
        }
        // Held while subscribing: who reads meanwhile waits until that is done, and is not ahead of the first event.
        let _subscribing = self.subscribing();
        let state = self.lock();
        if state.closed
            || state
                .watcher
                .as_ref()
                .is_some_and(|watcher| !watcher.is_finished())
        {
            return;
        }
        let restarted = state.watcher.is_some();
        drop(state);
        let (sender, names) = WatchedNames::channel();
        sender.set(self.lock().slots.names());
        let Some(events) = self.backend.watch(names.clone()) else {
            return;
        };
        let watcher = runtime
            .spawn(self.clone().follow(events, sender, names))
            .abort_handle();
        self.lock().watcher = Some(watcher);
        if restarted {
            self.resync(runtime);
        }
    }

    async fn follow(
        self: Arc<Self>,
        mut events: BackendEvents,
        sender: WatchedNamesSender,
        names: WatchedNames,
    ) {
        const LONGEST: Duration = Duration::from_secs(60);
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut wait = Duration::from_secs(1);
        // A cold load changes the names a thousand times; events go on meanwhile.
        let mut gathering = None;
        loop {
            match self.next(&mut events, &mut gathering).await {
                Wake::Event(event) => {
                    wait = Duration::from_secs(1);
                    trace::event(&self.backend_name, &event);
                    match event {
                        BackendEvent::Changed(name) => self.changed(&runtime, &name),
                        BackendEvent::Resync => self.resync(&runtime),
                    }
                }
                Wake::NamesChanged => gathering = Some(self.time.sleeping(GATHER)),
                Wake::NamesGathered => {
                    gathering = None;
                    sender.set(self.lock().slots.names());
                }
                Wake::Ended => {
                    trace::watch_ended(&self.backend_name, wait);
                    let jitter = self.lock().rng.f64();
                    self.time.sleep(wait.mul_f64(0.5 + 0.5 * jitter)).await;
                    wait = (wait * 2).min(LONGEST);
                    match self.backend.watch(names.clone()) {
                        Some(again) => events = again,
                        None => return,
                    }
                    self.resync(&runtime);
                }
            }
        }
    }

    async fn next(&self, events: &mut BackendEvents, gathering: &mut Option<Sleeping>) -> Wake {
        let mut changed = pin!(self.names_changed.notified());
        poll_fn(|cx| {
            if let Poll::Ready(event) = events.as_mut().poll_next(cx) {
                return Poll::Ready(event.map_or(Wake::Ended, Wake::Event));
            }
            match gathering {
                Some(sleep) => sleep.as_mut().poll(cx).map(|()| Wake::NamesGathered),
                None => changed.as_mut().poll(cx).map(|()| Wake::NamesChanged),
            }
        })
        .await
    }
}
