use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use secrets_core::{
    BackendEvent, BackendEvents, Capabilities, Error, ErrorKind, Fetched, ReadRequest, Result, Secret,
    SecretBackend, SecretName, Version, WatchedNames,
};

use crate::Gate;
use crate::events::Events;

/// A backend whose store is in memory: for an application's own tests, and the model the conformance kit is held against.
///
/// It can do everything a backend can; the `with_*` methods take that away. Its store is changed behind its back by its
/// [`MemoryStore`]. Every name is expressible, every byte can be stored, and nothing is ever converted. Versions are `1`,
/// `2`, and so on, with the stages `stage:current` and `stage:previous`. Clones share the store.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use secrets_core::{Fetched, ReadRequest, SecretBackend, SecretName};
/// use secrets_testkit::MemoryBackend;
///
/// let backend = MemoryBackend::from_iter([("smtp/password", "hunter2")]);
/// let name = SecretName::new("smtp/password")?;
/// let Fetched::Value(secret) = backend.get(ReadRequest::new(&name)).await? else { unreachable!() };
/// assert_eq!(secret.expose_str()?, "hunter2");
/// # Ok::<_, secrets_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct MemoryBackend {
    name: Arc<str>,
    capabilities: Capabilities,
    domains: Vec<(SecretName, Arc<str>)>,
    store: MemoryStore,
}

impl MemoryBackend {
    /// An empty store behind a backend called `memory`, with versions, list and watch, without batches.
    pub fn new() -> Self {
        Self {
            name: "memory".into(),
            capabilities: Capabilities::new()
                .with_versions(true)
                .with_list(true)
                .with_watch(true),
            domains: Vec::new(),
            store: MemoryStore::default(),
        }
    }

    /// The way to change the store behind the backend's back.
    pub fn store(&self) -> MemoryStore {
        self.store.clone()
    }

    /// Sets the backend's name.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Whether pinned versions can be read. Without them metadata still states what changes with every write.
    #[must_use]
    pub fn with_versions(mut self, versions: bool) -> Self {
        self.capabilities = self.capabilities.with_versions(versions);
        self
    }

    /// Whether names can be listed.
    #[must_use]
    pub fn with_list(mut self, list: bool) -> Self {
        self.capabilities = self.capabilities.with_list(list);
        self
    }

    /// Whether changes can be watched.
    #[must_use]
    pub fn with_watch(mut self, watch: bool) -> Self {
        self.capabilities = self.capabilities.with_watch(watch);
        self
    }

    /// How many requests one batch takes.
    #[must_use]
    pub fn with_batch(mut self, batch: impl Into<Option<NonZeroUsize>>) -> Self {
        self.capabilities = self.capabilities.with_batch(batch.into());
        self
    }

    /// Puts `prefix` and the names below it into a fault domain of their own. The prefix added first wins.
    #[must_use]
    pub fn with_fault_domain(mut self, prefix: SecretName, domain: &str) -> Self {
        self.domains.push((prefix, domain.into()));
        self
    }

    async fn read(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let wanted = match request.version {
            None => Wanted::Latest,
            Some(_) if !self.capabilities.versions => {
                request.refuse_version()?;
                Wanted::Latest
            }
            Some(version) => Wanted::parse(version)?,
        };
        self.store.arrive().await;
        let state = self.store.lock();
        state.fault(request.name)?;
        let secret = state.find(request.name, wanted)?;
        let known = request.known.and_then(|known| known.version());
        if known.is_some() && known == secret.metadata().version() {
            return Ok(Fetched::unchanged(None, None));
        }
        Ok(Fetched::Value(secret))
    }

    fn blame(&self, error: Error) -> Error {
        error.with_backend(&self.name)
    }
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

/// A backend that starts with these secrets.
///
/// # Panics
///
/// When a name is malformed.
impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for MemoryBackend {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(secrets: I) -> Self {
        let backend = Self::new();
        for (name, value) in secrets {
            backend.store.put(name, value);
        }
        backend
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend")
            .field("name", &self.name)
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretBackend for MemoryBackend {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let read = self.read(request).await;
        read.map_err(|error| self.blame(error.with_secret(request.name)))
    }

    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        if !self.capabilities.list {
            let message = "this backend is set up not to list names";
            return Err(self.blame(Error::new(ErrorKind::Unsupported, message)));
        }
        self.store.arrive().await;
        let state = self.store.lock();
        state.outage().map_err(|error| self.blame(error))?;
        let alive = state.secrets.iter().filter(|(_, entry)| !entry.deleted);
        Ok(alive
            .map(|(name, _)| name)
            .filter(|name| prefix.is_none_or(|prefix| name.starts_with(prefix)))
            .cloned()
            .collect())
    }

    fn watch(&self, _names: WatchedNames) -> Option<BackendEvents> {
        self.capabilities.watch.then(|| self.store.0.events.subscribe())
    }

    fn fault_domain(&self, name: &SecretName) -> &str {
        let own = self.domains.iter().find(|(prefix, _)| name.starts_with(prefix));
        own.map_or(&self.name, |(_, domain)| domain)
    }

    async fn check(&self) -> Result<()> {
        self.store.arrive().await;
        let state = self.store.lock();
        state.outage().map_err(|error| self.blame(error))
    }
}

/// The store of a [`MemoryBackend`]: what an operator does with it, and the faults it can have. Clones are the same store.
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

#[derive(Clone, Copy)]
enum Wanted {
    Latest,
    Previous,
    Numbered(u64),
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

impl State {
    fn outage(&self) -> Result<()> {
        self.outage.clone().map_or(Ok(()), Err)
    }

    fn fault(&self, name: &SecretName) -> Result<()> {
        self.outage()?;
        self.faults.get(name).cloned().map_or(Ok(()), Err)
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
    fn parse(version: &Version) -> Result<Self> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn get(backend: &MemoryBackend, name: &str, version: Option<&str>) -> Result<Vec<u8>, ErrorKind> {
        let name = valid(name);
        let version = version.map(|version| Version::new(version).unwrap());
        let request = ReadRequest::new(&name).with_version(version.as_ref());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        match runtime.block_on(backend.read(request)) {
            Ok(Fetched::Value(secret)) => Ok(secret.expose_secret().to_vec()),
            Ok(_) => panic!("nothing was known"),
            Err(error) => Err(error.kind()),
        }
    }

    #[test]
    fn r4_deleted_destroyed_and_disabled_are_told_apart() {
        let backend = MemoryBackend::from_iter([("a", "one")]);
        let store = backend.store();
        store.put("a", "two");
        assert_eq!(get(&backend, "a", Some("1")), Ok(b"one".to_vec()));
        assert_eq!(get(&backend, "a", Some("stage:previous")), Ok(b"one".to_vec()));
        assert!(store.destroy("a", &Version::new("1").unwrap()));
        assert_eq!(get(&backend, "a", Some("1")), Err(ErrorKind::VersionNotFound));
        assert!(store.disable("a"));
        assert_eq!(get(&backend, "a", None), Err(ErrorKind::Disabled));
        assert!(store.enable("a"));
        assert!(store.delete("a"));
        assert!(!store.delete("a"));
        assert_eq!(get(&backend, "a", None), Err(ErrorKind::NotFound));
        assert_eq!(get(&backend, "a", Some("2")), Err(ErrorKind::VersionNotFound));
        assert_eq!(store.put("a", "three").as_str(), "3");
        assert_eq!(get(&backend, "a", None), Ok(b"three".to_vec()));
        assert_eq!(get(&backend, "a", Some("2")), Err(ErrorKind::VersionNotFound));
    }

    #[test]
    fn faults_last_until_healed() {
        let backend = MemoryBackend::from_iter([("a", "one"), ("b", "two")]);
        let store = backend.store();
        store.fail_for("a", Error::new(ErrorKind::PermissionDenied, "no"));
        assert_eq!(get(&backend, "a", None), Err(ErrorKind::PermissionDenied));
        assert_eq!(get(&backend, "b", None), Ok(b"two".to_vec()));
        store.fail(Error::new(ErrorKind::Unavailable, "down"));
        assert_eq!(get(&backend, "b", None), Err(ErrorKind::Unavailable));
        store.heal();
        assert_eq!(get(&backend, "a", None), Ok(b"one".to_vec()));
    }

    #[test]
    fn fault_domains_are_by_whole_segments() {
        let backend = MemoryBackend::new().with_fault_domain(valid("app"), "apps");
        assert_eq!(backend.fault_domain(&valid("app/x")), "apps");
        assert_eq!(backend.fault_domain(&valid("application")), "memory");
    }
}
