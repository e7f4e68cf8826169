//! Fetching anew what is held: ahead of time, on an event, or because somebody asks; and forgetting it.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::breaker::Admission;
use super::core::{Core, GATHER, State};
use super::fetch::{Claim, Effort, OnLoss, Priority};
use super::slot::Key;
use super::stats::add;
use crate::{Result, Secret, SecretName, SecretRef};

impl Core {
    /// Has the value fetched anew in the background, together with others that come due within a moment.
    pub(super) fn queue_refresh(self: &Arc<Self>, state: &mut State, key: &Key, runtime: &Handle) {
        let queued = state.slots.update(key, |slot| {
            let queue = !slot.refresh_under_way();
            slot.queued |= queue;
            queue
        });
        if !queued {
            return;
        }
        state.queue.push(key.clone());
        // One whose runtime has ended is finished.
        if state
            .gatherer
            .as_ref()
            .is_none_or(tokio::task::AbortHandle::is_finished)
        {
            state.gatherer = Some(runtime.spawn(self.clone().gather()).abort_handle());
        }
    }

    /// Waits a moment, then fetches all that was queued until then.
    async fn gather(self: Arc<Self>) {
        self.time.sleep(GATHER).await;
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let queue = {
            let mut state = self.lock();
            state.gatherer = None;
            std::mem::take(&mut state.queue)
        };
        self.refetch(&runtime, queue);
    }

    /// Starts fetching in the background whatever is not being fetched already.
    pub(super) fn refetch(self: &Arc<Self>, runtime: &Handle, keys: Vec<Key>) {
        let domains: Vec<_> = keys.iter().map(|key| self.domain(key)).collect();
        let now = self.time.now();
        let mut claims = Vec::new();
        let mut state = self.lock();
        if state.closed {
            return;
        }
        for (key, domain) in keys.into_iter().zip(domains) {
            let Some(slot) = state.slots.get(&key) else {
                continue;
            };
            if slot.flight.is_some() {
                continue;
            }
            let effort = match state.breaker(&domain).0.admit(now, &self.config.breaker) {
                Admission::Call => Effort::Full,
                Admission::Probe => Effort::Probe,
                Admission::Paused(left) | Admission::Rejected(left) => {
                    // The value is still good; the next look at it after that asks again.
                    state.slots.update(&key, |slot| {
                        slot.queued = false;
                        if let Some(held) = &mut slot.held {
                            held.refresh_at = now.after(left);
                        }
                        slot.set_due(&self.hot, now);
                    });
                    continue;
                }
            };
            self.claim(
                &mut state,
                &key,
                domain,
                effort,
                OnLoss::Condemn,
                now,
                &mut claims,
            );
        }
        drop(state);
        add(&self.counters.refreshes, claims.len());
        if !claims.is_empty() {
            self.launch(runtime, claims, Priority::Background);
        }
    }

    /// One call for the secret, past everything that stands between; its result counts for everything.
    pub(super) async fn refresh(self: &Arc<Self>, reference: &str) -> Result<Secret> {
        let parsed = SecretRef::parse(reference)?;
        let key = Key {
            name: parsed.name().clone(),
            version: parsed.version().cloned(),
        };
        let runtime = Handle::try_current().map_err(|_| self.no_runtime().with_secret(&key.name))?;
        let mut outcome = self.fetch_apart(&runtime, &key, Effort::Once, None, Priority::Reader)?;
        add(&self.counters.refreshes, 1);
        // Kept apart: the guard of a watch must not live across an await.
        let answer = match outcome.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone(),
            Err(_) => None,
        };
        let secret = answer.unwrap_or_else(|| Err(self.closed_error().with_secret(&key.name)))?;
        match parsed.field() {
            Some(field) => secret.field(field),
            None => Ok(secret),
        }
    }

    /// A fetch that no reader joins, because its answer has to be newer than this moment.
    fn fetch_apart(
        self: &Arc<Self>,
        runtime: &Handle,
        key: &Key,
        effort: Effort,
        known: Option<Secret>,
        priority: Priority,
    ) -> Result<watch::Receiver<Option<Result<Secret>>>> {
        let domain = self.domain(key);
        let (sender, outcome) = watch::channel(None);
        let mut state = self.lock();
        if state.closed {
            return Err(self.closed_error().with_secret(&key.name));
        }
        let sequence = state.next_sequence();
        state.slots.update(key, |slot| slot.detached += 1);
        drop(state);
        let on_loss = OnLoss::Drop;
        let claim = Claim {
            key: key.clone(),
            sequence,
            domain,
            known,
            outcome: sender,
            effort,
            on_loss,
            last: None,
        };
        self.launch(runtime, vec![claim], priority);
        Ok(outcome)
    }

    /// Forgets a name with all its versions and fields. What is being fetched now is not kept either.
    pub(super) fn invalidate(&self, name: &SecretName) {
        let mut state = self.lock();
        for key in state.slots.keys_of(name) {
            self.forget(&mut state, &key);
        }
        drop(state);
        add(&self.counters.invalidations, 1);
        self.names_changed.notify_one();
        self.keeper_wanted.notify_one();
    }

    pub(super) fn invalidate_all(&self) {
        let mut state = self.lock();
        let keys: Vec<Key> = state.slots.iter().map(|(key, _)| key).collect();
        for key in &keys {
            self.forget(&mut state, key);
        }
        drop(state);
        add(&self.counters.invalidations, keys.len());
        self.names_changed.notify_one();
        self.keeper_wanted.notify_one();
    }

    fn forget(&self, state: &mut State, key: &Key) {
        let floor = state.next_sequence();
        state.slots.forget(&self.hot, key, floor);
    }

    /// The store says that a secret has changed: what is held or being fetched is fetched anew at once, what failed may be
    /// asked again.
    pub(super) fn changed(self: &Arc<Self>, runtime: &Handle, name: &SecretName) {
        // Of its own statement: a guard in the head of a loop lives as long as the loop.
        let keys = self.lock().slots.keys_of(name);
        for key in keys {
            let follow = self.lock().slots.update(&key, |slot| {
                slot.failure = None;
                // A pinned version does not change. What is being fetched may have been read before the change.
                let wanted = key.version.is_none() && (slot.held.is_some() || slot.is_busy());
                slot.follow_again |= wanted && slot.following;
                let follow = wanted && !slot.following;
                slot.following |= follow;
                follow
            });
            if follow {
                self.follow_change(runtime, key);
            }
        }
    }

    /// Fetches a secret that an event named, and once more if another event came meanwhile.
    fn follow_change(self: &Arc<Self>, runtime: &Handle, key: Key) {
        let domain = self.domain(&key);
        let (effort, known) = {
            let now = self.time.now();
            let mut state = self.lock();
            let admission = state.breaker(&domain).0.admit(now, &self.config.breaker);
            state.slots.update(&key, |slot| {
                let effort = match admission {
                    Admission::Call => Some(Effort::Full),
                    Admission::Probe => Some(Effort::Probe),
                    Admission::Paused(left) | Admission::Rejected(left) => {
                        // The store is left alone; the first look at the value after that asks for it.
                        slot.following = false;
                        if let Some(held) = &mut slot.held {
                            held.refresh_at = now.after(left);
                        }
                        slot.set_due(&self.hot, now);
                        None
                    }
                };
                (effort, slot.held.as_ref().map(|held| held.secret.clone()))
            })
        };
        let Some(effort) = effort else { return };
        let Ok(mut outcome) = self.fetch_apart(runtime, &key, effort, known, Priority::Background) else {
            return;
        };
        add(&self.counters.refreshes, 1);
        let core = Arc::downgrade(self);
        let spawn_on = runtime.clone();
        runtime.spawn(async move {
            let _ = outcome.wait_for(Option::is_some).await;
            let Some(core) = core.upgrade() else { return };
            let again = core.lock().slots.update(&key, |slot| {
                slot.following = std::mem::take(&mut slot.follow_again);
                slot.following
            });
            if again {
                core.follow_change(&spawn_on, key);
            }
        });
    }

    /// Events may have been missed: everything is looked at again when it is next read, and what handles hold, or
    /// is being fetched, at once.
    pub(super) fn resync(self: &Arc<Self>, runtime: &Handle) {
        let now = self.time.now();
        let mut at_once = Vec::new();
        let mut state = self.lock();
        let keys: Vec<Key> = state.slots.iter().map(|(key, _)| key).collect();
        for key in keys {
            let busy = state.slots.update(&key, |slot| {
                slot.failure = None;
                if key.version.is_some() {
                    return false;
                }
                if let Some(held) = &mut slot.held {
                    held.refresh_at = now;
                }
                slot.set_due(&self.hot, now);
                // Whoever followed an earlier event may have ended with its runtime.
                slot.following = false;
                // Busy: under a handle, or being fetched by a read that may have come before the change.
                slot.is_busy()
            });
            if busy {
                at_once.push(key.name);
            }
        }
        drop(state);
        for name in at_once {
            self.changed(runtime, &name);
        }
    }
}
