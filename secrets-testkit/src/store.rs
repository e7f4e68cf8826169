use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrets_core::{BackendEvent, BackendEvents, Error, ErrorKind, Result, Secret, SecretName, Version};

use crate::Gate;
use crate::events::Events;

/// The store of a [`MemoryBackend`](crate::MemoryBackend): what an operator does with it, and the faults it can have. Clones are the same store.
///
/// Wherever a name is taken, a malformed one panics: it is a mistake in the test.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    events: Events,
}

#[derive(Default)]
struct State {
    secrets: BTreeMap<SecretName, Entry>,
    faults: BTreeMap<SecretName, Error>,
    outage: Option<Error>,
    hanging: Option<Gate>,
    requests: u64,
}

#[derive(Default)]
struct Entry {
    latest: u64,
    versions: BTreeMap<u64, Secret>,
    deleted: bool,
    disabled: bool,
}

impl MemoryStore {
    /// Writes a value: the first version of a new secret, or the next one. Returns the version written.
    ///
    /// # Panics
    ///
    /// When the name is malformed.
    pub fn put(&self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Version {
        self.put_secret(name, Secret::copy_from(value.as_ref()))
    }

    /// Writes a secret with fields, or with metadata such as an end or a lease; the version is added to that.
    ///
    /// # Panics
    ///
    /// When the name is malformed.
    pub fn put_secret(&self, name: impl AsRef<str>, secret: Secret) -> Version {
        let name = valid(name);
        let mut state = self.lock();
        let entry = state.secrets.entry(name.clone()).or_default();
        entry.latest += 1;
        let version = numbered(entry.latest);
        let metadata = secret.metadata().clone().with_version(version.clone());
        entry
            .versions
            .insert(entry.latest, secret.with_metadata(metadata));
        if std::mem::take(&mut entry.deleted) {
            entry.disabled = false;
        }
        drop(state);
        self.0.events.send(&BackendEvent::Changed(name));
        version
    }

    /// Deletes a secret with all its versions: the latest is `NotFound`, an earlier one `VersionNotFound`. A later
    /// [`put`](MemoryStore::put) creates it anew. Returns whether there was one.
    ///
    /// # Panics
    ///
    /// When the name is malformed.
    pub fn delete(&self, name: impl AsRef<str>) -> bool {
        self.change(name, |entry| {
            entry.versions.clear();
            !std::mem::replace(&mut entry.deleted, true)
        })
    }

    /// Destroys one version: reading it is `VersionNotFound`, or `NotFound` if it is the latest. Returns whether there
    /// was one.
    ///
    /// # Panics
    ///
    /// When the name is malformed.
    pub fn destroy(&self, name: impl AsRef<str>, version: &Version) -> bool {
        self.change(name, |entry| {
            let number = version.as_str().parse();
            number.is_ok_and(|number: u64| entry.versions.remove(&number).is_some())
        })
    }

    /// Disables a secret: reading it is `Disabled`. Returns whether there is one.
    ///
    /// # Panics
    ///
    /// When the name is malformed.
    pub fn disable(&self, name: impl AsRef<str>) -> bool {
        self.change(name, |entry| !std::mem::replace(&mut entry.disabled, true))
    }

    /// Enables a disabled secret. Returns whether it was disabled.
    ///
    /// # Panics
    ///
    /// When the name is malformed.
    pub fn enable(&self, name: impl AsRef<str>) -> bool {
        self.change(name, |entry| std::mem::replace(&mut entry.disabled, false))
    }

    /// From now on everything fails with this error, until [`heal`](MemoryStore::heal).
    pub fn fail(&self, error: Error) {
        self.lock().outage = Some(error);
    }

    /// From now on reading this secret fails with this error, until [`heal`](MemoryStore::heal).
    ///
    /// # Panics
    ///
    /// When the name is malformed.
    pub fn fail_for(&self, name: impl AsRef<str>, error: Error) {
        let name = valid(name);
        self.lock().faults.insert(name, error);
    }

    /// From now on every request waits until [`heal`](MemoryStore::heal).
    pub fn hang(&self) {
        self.lock().hanging = Some(Gate::new());
    }

    /// Ends all faults, and lets requests that hang go on.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.outage = None;
        state.faults.clear();
        if let Some(gate) = state.hanging.take() {
            gate.open();
        }
    }

    /// Tells every watcher that events may have been missed.
    pub fn resync(&self) {
        self.0.events.send(&BackendEvent::Resync);
    }

    /// How many requests have arrived: reads, lists and checks, of all clones. What is refused before it reaches the
    /// store is not among them.
    pub fn requests(&self) -> u64 {
        self.lock().requests
    }

    /// How many watches are alive.
    pub fn watchers(&self) -> usize {
        self.0.events.subscribers()
    }

    /// One read.
    pub(crate) async fn read(&self, name: &SecretName, wanted: Wanted) -> Result<Secret> {
        self.arrive().await;
        let state = self.lock();
        state.outage()?;
        state.faults.get(name).cloned().map_or(Ok(()), Err)?;
        state.find(name, wanted)
    }

    /// The names of all secrets.
    pub(crate) async fn names(&self) -> Result<Vec<SecretName>> {
        self.arrive().await;
        let state = self.lock();
        state.outage()?;
        let alive = state.secrets.iter().filter(|(_, entry)| !entry.deleted);
        Ok(alive.map(|(name, _)| name.clone()).collect())
    }

    /// Whether the store works.
    pub(crate) async fn check(&self) -> Result<()> {
        self.arrive().await;
        self.lock().outage()
    }

    pub(crate) fn subscribe(&self) -> BackendEvents {
        self.0.events.subscribe()
    }

    /// Counts a request, which then waits while the store hangs.
    async fn arrive(&self) {
        let hanging = {
            let mut state = self.lock();
            state.requests += 1;
            state.hanging.clone()
        };
        if let Some(gate) = hanging {
            gate.pass().await;
        }
    }

    fn change(&self, name: impl AsRef<str>, change: impl FnOnce(&mut Entry) -> bool) -> bool {
        let name = valid(name);
        let mut state = self.lock();
        let changed = state.secrets.get_mut(&name).is_some_and(change);
        drop(state);
        if changed {
            self.0.events.send(&BackendEvent::Changed(name));
        }
        changed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

/// Which version is to be read.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    Latest,
    Previous,
    Numbered(u64),
}

impl State {
    fn outage(&self) -> Result<()> {
        self.outage.clone().map_or(Ok(()), Err)
    }

    fn find(&self, name: &SecretName, wanted: Wanted) -> Result<Secret> {
        let absent = || Error::new(ErrorKind::NotFound, "there is no such secret; create it first");
        let entry = self.secrets.get(name).ok_or_else(absent)?;
        if entry.disabled && !entry.deleted {
            return Err(Error::new(
                ErrorKind::Disabled,
                "the secret is disabled; enable it first",
            ));
        }
        let number = match wanted {
            Wanted::Latest => return entry.versions.get(&entry.latest).cloned().ok_or_else(absent),
            Wanted::Previous => entry.latest.saturating_sub(1),
            Wanted::Numbered(number) => number,
        };
        entry.versions.get(&number).cloned().ok_or_else(|| {
            let message = "the secret has no such version, or it is deleted";
            Error::new(ErrorKind::VersionNotFound, message)
        })
    }
}

impl Wanted {
    pub(crate) fn parse(version: &Version) -> Result<Self> {
        match version.as_str() {
            "stage:current" => return Ok(Self::Latest),
            "stage:previous" => return Ok(Self::Previous),
            _ => {}
        }
        // `01` and `+1` would be second spellings of `1`.
        let number = version.as_str().parse().ok();
        let number = number.filter(|&number: &u64| number.to_string() == version.as_str());
        number.map(Self::Numbered).ok_or_else(|| {
            let message = "a version is a number such as `3`, `stage:current` or `stage:previous`";
            Error::new(ErrorKind::InvalidName, message)
        })
    }
}

fn numbered(number: u64) -> Version {
    Version::new(number.to_string()).expect("digits are a version")
}

fn valid(name: impl AsRef<str>) -> SecretName {
    SecretName::new(name).expect("a test names its secrets well")
}
