use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use secrets_core::{
    BackendEvents, Capabilities, Error, ErrorKind, Fetched, ReadRequest, Result, SecretBackend, SecretName,
    WatchedNames,
};

use crate::MemoryStore;
use crate::store::Wanted;

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
        let secret = self.store.read(request.name, wanted).await?;
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
        let names = self.store.names().await;
        let mut names = names.map_err(|error| self.blame(error))?;
        names.retain(|name| prefix.is_none_or(|prefix| name.starts_with(prefix)));
        Ok(names)
    }

    fn watch(&self, _names: WatchedNames) -> Option<BackendEvents> {
        self.capabilities.watch.then(|| self.store.subscribe())
    }

    fn fault_domain(&self, name: &SecretName) -> &str {
        let own = self.domains.iter().find(|(prefix, _)| name.starts_with(prefix));
        own.map_or(&self.name, |(_, domain)| domain)
    }

    async fn check(&self) -> Result<()> {
        self.store.check().await.map_err(|error| self.blame(error))
    }
}

#[cfg(test)]
mod tests {
    use secrets_core::Version;

    use super::*;

    fn valid(name: &str) -> SecretName {
        SecretName::new(name).unwrap()
    }

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
