//! A backend over one in memory, with exactly one thing broken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard};

use secrets_core::{
    BackendEvents, Capabilities, Error, ErrorKind, Fetched, Metadata, ReadRequest, Result, Secret,
    SecretBackend, SecretName, Version, WatchedNames,
};
use secrets_testkit::{MemoryBackend, async_trait};

/// What `get_many` answers.
pub(crate) type Answers = Vec<Result<Fetched>>;

/// What is broken.
#[derive(Clone, Copy)]
pub(crate) enum Defect {
    /// The first value read of a name is kept for ever.
    Cached,
    /// What the backend says it can do.
    Capabilities(fn(Capabilities) -> Capabilities),
    /// What `check` answers, given what it should.
    Check(fn(Result<()>) -> Result<()>),
    /// What `Debug` prints, given the last value read.
    Debug(fn(&[u8]) -> String),
    /// A name's fault domain, given how many were asked for so far.
    Domain(fn(usize) -> usize),
    /// What becomes of an error; the names are those that exist.
    Error(fn(Error, &ReadRequest<'_>, &[SecretName]) -> Result<Fetched>),
    /// An error's text, given the last value read.
    ErrorText(fn(Error, &[u8]) -> Error),
    /// What is listed, given all names.
    List(fn(Vec<SecretName>, Option<&SecretName>) -> Result<Vec<SecretName>>),
    /// Names that were listed once stay listed.
    ListsDeleted,
    /// What is logged when a value is read.
    Log(fn(&[u8])),
    /// What becomes of the answers of `get_many`.
    Many(fn(&[ReadRequest<'_>], Answers) -> Answers),
    /// What becomes of metadata.
    Metadata(fn(Metadata, &ReadRequest<'_>, &[u8]) -> Metadata),
    /// Which name is read instead.
    Name(fn(&SecretName) -> Result<SecretName>),
    /// A refusal that comes after the store was asked.
    RefusesLate(fn(&SecretName) -> bool),
    /// A read that is dropped never gives its place back.
    LeaksPlaces,
    /// Reads at once share one buffer.
    SharesBuffer,
    /// Whether a value is said to be unchanged, given what is known and what is served.
    Unchanged(fn(&ReadRequest<'_>, &Metadata) -> bool),
    /// What becomes of a value; `None` is absence.
    Value(fn(&[u8]) -> Option<Vec<u8>>),
    /// Which version is read instead.
    Version(fn(&Version) -> Option<Version>),
    /// What becomes of a watch.
    Watch(fn(MemoryBackend, WatchedNames) -> Option<BackendEvents>),
}

pub(crate) struct Broken {
    inner: MemoryBackend,
    defect: Defect,
    domains: Vec<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cache: BTreeMap<SecretName, Secret>,
    last_name: Option<SecretName>,
    last_value: Vec<u8>,
    listed: BTreeSet<SecretName>,
    domains_asked: usize,
    places_taken: usize,
}

impl Broken {
    pub(crate) fn new(inner: MemoryBackend, defect: Defect) -> Self {
        Self {
            inner,
            defect,
            domains: (0..1000).map(|number| format!("domain {number}")).collect(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The answer to what the backend takes the request for.
    async fn ask(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        match self.defect {
            Defect::Name(map) => {
                let locate = |error: Error| error.with_backend(self.name()).with_secret(request.name);
                let mapped = map(request.name).map_err(locate)?;
                let mut other = ReadRequest::new(&mapped).with_version(request.version);
                other = other.with_known(request.known);
                self.inner.get(other).await.map_err(locate)
            }
            Defect::Version(map) => {
                let mapped = request.version.and_then(map);
                self.inner.get(request.with_version(mapped.as_ref())).await
            }
            Defect::RefusesLate(refuses) => {
                let answer = self.inner.get(request).await;
                if refuses(request.name) {
                    let message = format!(
                        "the store refused the name: {}",
                        request.name.as_str().escape_unicode()
                    );
                    return Err(Error::new(ErrorKind::InvalidName, message)
                        .with_backend(self.name())
                        .with_secret(request.name));
                }
                answer
            }
            Defect::SharesBuffer => {
                self.state().last_name = Some(request.name.clone());
                tokio::task::yield_now().await;
                let name = self.state().last_name.clone().unwrap();
                let other = ReadRequest::new(&name).with_version(request.version);
                let answer = self.inner.get(other.with_known(request.known)).await;
                answer.map_err(|error| error.with_secret(request.name))
            }
            Defect::LeaksPlaces => {
                if self.state().places_taken == 50 {
                    let full = Error::new(ErrorKind::Unavailable, "too many reads in flight");
                    return Err(full.with_backend(self.name()).with_secret(request.name));
                }
                self.state().places_taken += 1;
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                self.state().places_taken -= 1;
                self.inner.get(request).await
            }
            _ => self.inner.get(request).await,
        }
    }

    fn change(&self, secret: Secret, request: &ReadRequest<'_>) -> Result<Fetched> {
        let metadata = secret.metadata().clone();
        match self.defect {
            Defect::Cached if request.version.is_none() => {
                let mut state = self.state();
                let kept = state.cache.entry(request.name.clone()).or_insert(secret);
                return Ok(kept.clone().into());
            }
            Defect::Log(log) => log(secret.expose_secret()),
            Defect::Metadata(change) => {
                let metadata = change(metadata, request, secret.expose_secret());
                return Ok(secret.with_metadata(metadata).into());
            }
            Defect::Unchanged(unchanged) if unchanged(request, &metadata) => {
                return Ok(Fetched::unchanged(None, None));
            }
            Defect::Value(change) => {
                let changed = change(secret.expose_secret()).ok_or_else(|| {
                    Error::new(ErrorKind::NotFound, "nothing is there")
                        .with_backend(self.name())
                        .with_secret(request.name)
                })?;
                return Ok(Secret::new(changed).with_metadata(metadata).into());
            }
            _ => {}
        }
        Ok(secret.into())
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.defect {
            Defect::Debug(print) => f.write_str(&print(&self.state().last_value)),
            _ => self.inner.fmt(f),
        }
    }
}

#[async_trait]
impl SecretBackend for Broken {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        match self.defect {
            Defect::Capabilities(change) => change(self.inner.capabilities()),
            _ => self.inner.capabilities(),
        }
    }

    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let answer = match self.ask(request).await {
            Ok(Fetched::Value(secret)) => {
                self.state().last_value = secret.expose_secret().to_vec();
                self.change(secret, &request)
            }
            answer => answer,
        };
        match (self.defect, answer) {
            (Defect::Cached, Err(error)) if request.version.is_none() => {
                let kept = self.state().cache.get(request.name).cloned();
                kept.map(Into::into).ok_or(error)
            }
            (Defect::Error(change), Err(error)) => {
                // Asking costs a request, which a name or version that is refused must not.
                let names = match error.kind() {
                    ErrorKind::NotFound => self.inner.list(None).await.unwrap_or_default(),
                    _ => Vec::new(),
                };
                change(error, &request, &names)
            }
            (Defect::ErrorText(change), Err(error)) => Err(change(error, &self.state().last_value)),
            (_, answer) => answer,
        }
    }

    async fn get_many(&self, requests: &[ReadRequest<'_>]) -> Vec<Result<Fetched>> {
        let mut answers = Vec::new();
        for request in requests {
            answers.push(self.get(*request).await);
        }
        match self.defect {
            Defect::Many(change) => change(requests, answers),
            _ => answers,
        }
    }

    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        match self.defect {
            Defect::List(change) => change(self.inner.list(None).await?, prefix),
            Defect::ListsDeleted => {
                let now = self.inner.list(prefix).await?;
                let mut state = self.state();
                state.listed.extend(now);
                let below = |name: &&SecretName| prefix.is_none_or(|prefix| name.starts_with(prefix));
                Ok(state.listed.iter().filter(below).cloned().collect())
            }
            _ => self.inner.list(prefix).await,
        }
    }

    fn watch(&self, names: WatchedNames) -> Option<BackendEvents> {
        match self.defect {
            Defect::Watch(watch) => watch(self.inner.clone(), names),
            _ => self.inner.watch(names),
        }
    }

    fn fault_domain(&self, name: &SecretName) -> &str {
        match self.defect {
            Defect::Domain(choose) => {
                let mut state = self.state();
                state.domains_asked += 1;
                &self.domains[choose(state.domains_asked)]
            }
            _ => self.inner.fault_domain(name),
        }
    }

    async fn check(&self) -> Result<()> {
        let checked = self.inner.check().await;
        match self.defect {
            Defect::Check(change) => change(checked),
            _ => checked,
        }
    }
}
