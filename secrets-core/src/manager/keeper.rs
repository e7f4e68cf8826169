//! Keeps the values under handles fresh, and their states true, without anybody reading.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::core::{Core, State};
use super::slot::{Key, Use};
use super::time::Tick;
use crate::{Error, ErrorKind};

/// With nothing to wait for, it looks now and then all the same: a machine may have slept.
const IDLE: Duration = Duration::from_secs(60);

/// A value that ends by the boot clock is looked at this often.
const LEASED: Duration = Duration::from_secs(1);

/// How soon a secret that is neither held nor refused is asked for again. The breaker spares the store.
const ASK_AGAIN: Duration = Duration::from_secs(5);

impl Core {
    pub(super) fn ensure_keeper(self: &Arc<Self>, runtime: &Handle) {
        let mut state = self.lock();
        if !state.closed && state.keeper.as_ref().is_none_or(AbortHandle::is_finished) {
            state.keeper = Some(runtime.spawn(self.clone().keep_handles()).abort_handle());
        }
        drop(state);
        self.keeper_wanted.notify_one();
    }

    /// A keeper ends with its runtime; handles outlive it, so the next read on another one starts a new one.
    pub(super) fn revive_keeper(self: &Arc<Self>, runtime: &Handle) {
        let ended = {
            let state = self.lock();
            !state.handled.is_empty() && state.keeper.as_ref().is_some_and(AbortHandle::is_finished)
        };
        if ended {
            self.ensure_keeper(runtime);
        }
    }

    async fn keep_handles(self: Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        loop {
            let Some(next) = self.look_after_handles(&runtime) else {
                return;
            };
            let wait = next.since(self.time.now()).max(Duration::from_millis(1));
            // A wake-up in between only means another look.
            self.time.within(wait, self.keeper_wanted.notified()).await;
        }
    }

    /// Does what is due, and says when something is due next. `None` once there is no handle left.
    fn look_after_handles(self: &Arc<Self>, runtime: &Handle) -> Option<Tick> {
        let now = self.time.now();
        let mut refetch = Vec::new();
        let mut next = now.after(IDLE);
        let mut state = self.lock();
        let keys: Vec<Key> = state.handled.iter().cloned().collect();
        if keys.is_empty() {
            state.keeper = None;
            return None;
        }
        for key in keys {
            let (due, fetch) = self.look_after(&mut state, &key, now);
            next = next.min(due);
            if fetch {
                refetch.push(key);
            }
        }
        drop(state);
        self.refetch(runtime, refetch);
        Some(next)
    }

    /// One slot with handles: tells them what time has done to the value. Returns when to look again, and whether it has
    /// to be fetched now.
    fn look_after(&self, state: &mut State, key: &Key, now: Tick) -> (Tick, bool) {
        let Some(slot) = state.slots.get(key) else {
            return (Tick::NEVER, false);
        };
        let busy = slot.flight.is_some() || slot.detached > 0;
        let Some(held) = &slot.held else {
            // Nothing to lose: ask again when the failure remembered ends, or a little later.
            return match &slot.failure {
                Some(failure) if now < failure.until => (failure.until, false),
                _ => (now.after(ASK_AGAIN), !busy),
            };
        };
        let leased = if held.ends.is_some() {
            now.after(LEASED)
        } else {
            Tick::NEVER
        };
        match held.good_for(now, || self.time.boot()) {
            Use::Fresh if now >= held.refresh_at => (held.fresh_until.min(leased), !busy),
            Use::Fresh => (held.fresh_until.min(held.refresh_at).min(leased), false),
            Use::Stale => {
                let since = self.time.wall().checked_sub(now.since(held.fresh_until));
                for cell in &slot.handles {
                    cell.stale(since.unwrap_or(std::time::SystemTime::UNIX_EPOCH));
                }
                (held.stale_until.min(now.after(ASK_AGAIN)).min(leased), !busy)
            }
            Use::Nothing => {
                let error = slot
                    .failure
                    .as_ref()
                    .map_or_else(|| self.too_old(key), |failure| failure.error.clone());
                slot.handles.iter().for_each(|cell| cell.gone(error.clone()));
                state.slots.update(key, |slot| slot.unpublish(&self.hot));
                (now.after(ASK_AGAIN), !busy)
            }
        }
    }

    fn too_old(&self, key: &Key) -> Error {
        let message = "the value could not be fetched anew, and is too old to be served; check the store";
        Error::new(ErrorKind::Unavailable, message)
            .with_backend(&self.backend_name)
            .with_secret(&key.name)
    }
}
