//! What a manager, its handles and its tasks share.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;

use super::breaker::Breaker;
use super::builder::Config;
use super::hot::HotMap;
use super::slot::{Key, Sequence};
use super::slots::Slots;
use super::stats::Counters;
use super::time::Time;
use crate::{Error, ErrorKind, SecretBackend, SecretStats};

pub(super) struct Core {
    pub(super) hot: HotMap,
    pub(super) time: Time,
    pub(super) counters: Counters,
    pub(super) backend: Box<dyn SecretBackend>,
    pub(super) backend_name: Arc<str>,
    pub(super) watches: bool,
    pub(super) config: Config,
    state: Mutex<State>,
    /// Held while the backend is being subscribed to.
    subscribing: Mutex<()>,
    /// Places for calls of the backend.
    pub(super) places: Semaphore,
    /// Of these, how many background work may take.
    pub(super) background_places: Semaphore,
    /// The set of names cached or held by a handle has changed.
    pub(super) names_changed: Notify,
    /// A handle came, or the value under one changed.
    pub(super) keeper_wanted: Notify,
    /// Managers and handles. Tasks do not count: when this reaches zero, they end.
    owners: AtomicUsize,
}

/// What changes, under one lock that is never held across an await or a call of the backend.
pub(super) struct State {
    pub(super) slots: Slots,
    /// Keys under handles.
    pub(super) handled: HashSet<Key>,
    domains: HashMap<Arc<str>, Breaker>,
    pub(super) rng: Rng,
    /// Values to be fetched anew ahead of time, gathered for a moment.
    pub(super) queue: Vec<Key>,
    pub(super) gatherer: Option<AbortHandle>,
    pub(super) keeper: Option<AbortHandle>,
    pub(super) watcher: Option<AbortHandle>,
    pub(super) fetches: HashMap<u64, AbortHandle>,
    next_sequence: Sequence,
    next_fetch: u64,
    pub(super) closed: bool,
}

impl State {
    pub(super) fn next_sequence(&mut self) -> Sequence {
        self.next_sequence += 1;
        self.next_sequence
    }

    pub(super) fn next_fetch(&mut self) -> u64 {
        self.next_fetch += 1;
        self.next_fetch
    }

    /// The breaker of a fault domain. A backend that breaks its promise and has a domain for each name would make this
    /// grow without end: from a point on, all new ones are one.
    pub(super) fn breaker(&mut self, domain: &Arc<str>) -> (&mut Breaker, &mut Rng) {
        const MOST: usize = 1024;
        let known = self.domains.len() < MOST || self.domains.contains_key(domain);
        let domain = if known { domain.clone() } else { "".into() };
        (
            self.domains.entry(domain).or_insert_with(Breaker::new),
            &mut self.rng,
        )
    }
}

impl Core {
    pub(super) fn new(backend: Box<dyn SecretBackend>, config: Config, time: Time, rng: Rng) -> Self {
        Self {
            hot: HotMap::new(),
            time,
            counters: Counters::new(),
            backend_name: backend.name().into(),
            watches: backend.capabilities().watch,
            backend,
            subscribing: Mutex::new(()),
            places: Semaphore::new(config.concurrency),
            background_places: Semaphore::new((config.concurrency / 2).max(1)),
            config,
            state: Mutex::new(State {
                slots: Slots::default(),
                handled: HashSet::new(),
                domains: HashMap::new(),
                rng,
                queue: Vec::new(),
                gatherer: None,
                keeper: None,
                watcher: None,
                fetches: HashMap::new(),
                next_sequence: 0,
                next_fetch: 0,
                closed: false,
            }),
            names_changed: Notify::new(),
            keeper_wanted: Notify::new(),
            owners: AtomicUsize::new(0),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock, and every change leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What fails together with `key`: the backend's word for it. Not to be called under the lock.
    pub(super) fn domain(&self, key: &Key) -> Arc<str> {
        self.backend.fault_domain(&key.name).into()
    }

    pub(super) fn subscribing(&self) -> MutexGuard<'_, ()> {
        self.subscribing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stats(&self) -> SecretStats {
        let (entries, oldest) = {
            let state = self.lock();
            (state.slots.entries(), state.slots.oldest_success())
        };
        SecretStats {
            entries,
            oldest_success: oldest.map(|fetched| self.time.now().since(fetched)),
            ..self.counters.snapshot()
        }
    }

    /// Ends every task and wipes every value. What is asked later is refused.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let cells: Vec<_> = state
            .slots
            .iter()
            .flat_map(|(_, slot)| slot.handles.clone())
            .collect();
        state.slots.clear(&self.hot);
        state.handled.clear();
        state.queue.clear();
        let tasks: Vec<AbortHandle> = [state.gatherer.take(), state.keeper.take(), state.watcher.take()]
            .into_iter()
            .flatten()
            .chain(std::mem::take(&mut state.fetches).into_values())
            .collect();
        drop(state);
        for cell in cells {
            cell.gone(self.closed_error());
        }
        for task in tasks {
            task.abort();
        }
    }

    pub(super) fn closed_error(&self) -> Error {
        Error::new(
            ErrorKind::Unsupported,
            "the manager has been shut down; build a new one",
        )
        .with_backend(&self.backend_name)
    }

    pub(super) fn no_runtime(&self) -> Error {
        let message = "a secret that is not cached can only be read within a tokio runtime; call this from a task of one";
        Error::new(ErrorKind::Unsupported, message).with_backend(&self.backend_name)
    }
}

/// A share in the core that keeps its tasks going. When the last one drops, they end and every value is wiped.
pub(super) struct Owner(Arc<Core>);

impl Owner {
    pub(super) fn new(core: Arc<Core>) -> Self {
        core.owners.fetch_add(1, Ordering::Relaxed);
        Self(core)
    }
}

impl Clone for Owner {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if self.0.owners.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.close();
        }
    }
}

impl Deref for Owner {
    type Target = Arc<Core>;

    #[inline]
    fn deref(&self) -> &Arc<Core> {
        &self.0
    }
}

/// How long the refreshes that come due are gathered, so that they can share a call.
pub(super) const GATHER: Duration = Duration::from_millis(50);
