//! The manager: a cache over one backend, and everything that keeps reads quick, correct and possible.

mod answer;
mod ask;
mod breaker;
mod builder;
mod core;
mod fetch;
mod handle;
mod hot;
mod keeper;
#[cfg(test)]
mod model;
mod read;
mod refresh;
mod slot;
mod slots;
mod stats;
mod time;
mod view;
mod watcher;

use std::fmt::{self, Write as _};
use std::sync::Arc;

pub use self::builder::SecretManagerBuilder;
use self::core::{Core, Owner};
pub use self::handle::{Closed, HandleState, SecretGuard, SecretHandle};
pub use self::stats::SecretStats;
use crate::{Error, ErrorKind, Result, Secret, SecretBackend, SecretName, Version};

/// Reads secrets from one backend, through a cache.
///
/// Cloning is cheap, and clones share everything. Nothing is shared between managers.
///
/// ```
/// # use secrets_core::{Capabilities, Fetched, ReadRequest, Result, Secret, SecretBackend, SecretManager};
/// # #[derive(Debug)] struct Fixed;
/// # #[async_trait::async_trait] impl SecretBackend for Fixed {
/// #     fn name(&self) -> &str { "fixed" }
/// #     fn capabilities(&self) -> Capabilities { Capabilities::new() }
/// #     async fn get(&self, _: ReadRequest<'_>) -> Result<Fetched> { Ok(Secret::copy_from(b"hunter2").into()) }
/// #     async fn check(&self) -> Result<()> { Ok(()) }
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let secrets = SecretManager::builder(Fixed).build()?;
/// let password = secrets.get("smtp/database/password").await?;
/// assert_eq!(password.expose_str()?, "hunter2");
/// # Ok::<_, secrets_core::Error>(()) }).unwrap();
/// ```
///
/// # What a read does
///
/// 1. A value within its time to live is returned at once: no lock, no allocation, no system call.
/// 2. A failure that is remembered is returned.
/// 3. A call for the same secret that is under way is joined; otherwise one is made, as a task of the current tokio
///    runtime, which goes on if the caller stops waiting.
/// 4. If that fails because the store cannot be reached, the last value is served, flagged, for a while.
///
/// # What a failure does
///
/// | kind | retried | stale value served | circuit breaker | remembered for that secret |
/// |---|---|---|---|---|
/// | `Unavailable`, `Timeout` | yes | yes | counts | no |
/// | `RateLimited` | yes | yes | pauses for `Retry-After` | no |
/// | `Unauthenticated` | no | yes | counts | no |
/// | `PermissionDenied`, `Disabled`, `InvalidData`, `VersionNotFound` | no | no | an answer | 1 s, doubling to the TTL |
/// | `NotFound` | no | no | an answer | 5 s, doubling to 60 s |
/// | all others | no | no | no | no |
///
/// # Runtimes
///
/// Cached values can be read anywhere. A call of the backend needs a tokio runtime with its timer on; outside of one it
/// is `Unsupported`. A runtime that ends takes its calls with it, and whoever waits on another one starts anew.
#[derive(Clone)]
pub struct SecretManager {
    core: Owner,
}

impl SecretManager {
    /// Sets up a manager over `backend`.
    pub fn builder(backend: impl SecretBackend) -> SecretManagerBuilder {
        SecretManagerBuilder::new(Box::new(backend))
    }

    fn new(core: Core) -> Self {
        Self {
            core: Owner::new(Arc::new(core)),
        }
    }

    /// Reads a secret: `name`, `name#field`, `name?version=V` or `name?version=V#field`.
    ///
    /// # Errors
    ///
    /// Any [`ErrorKind`]. `InvalidName` before anything is asked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing for others that wait for the same secret; the call goes on, at the longest to
    /// its deadline, and its result is cached.
    pub async fn get(&self, reference: impl AsRef<str>) -> Result<Secret> {
        if let Some(secret) = self.hit(reference.as_ref()) {
            return Ok(secret);
        }
        // Boxed, so that the future of a hit stays small.
        Box::pin(self.core.read(reference.as_ref())).await
    }

    #[inline]
    fn hit(&self, reference: &str) -> Option<Secret> {
        let core = &**self.core;
        core.hot.hit(reference, &core.time, &core.counters.hits)
    }

    /// Reads one version of a secret, in the store's terms; see [`Version`].
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); `VersionNotFound` when there is no such version, `Unsupported` where there are none at all.
    pub async fn get_version(&self, name: impl AsRef<str>, version: &Version) -> Result<Secret> {
        let name = SecretName::new(name)?;
        self.get(format!("{name}?version={version}")).await
    }

    /// Reads a secret that need not exist: `None` when it, or the field asked for, does not.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), but for `NotFound` and `FieldNotFound`.
    pub async fn get_optional(&self, reference: impl AsRef<str>) -> Result<Option<Secret>> {
        match self.get(reference).await {
            Ok(secret) => Ok(Some(secret)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::FieldNotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads several secrets: one result for each reference, in order. What is asked for twice is fetched once, and all
    /// fields of one secret come from one version of it.
    ///
    /// # Errors
    ///
    /// For each reference as [`get`](Self::get); one failure leaves the others alone.
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get).
    pub async fn get_many<R: AsRef<str>>(
        &self,
        references: impl IntoIterator<Item = R>,
    ) -> Vec<Result<Secret>> {
        let references: Vec<R> = references.into_iter().collect();
        self.core.read_many(&references, true).await
    }

    /// Whether a secret exists, and the field if one is asked for. Reads it, through the cache.
    ///
    /// # Errors
    ///
    /// As [`get_optional`](Self::get_optional): not being allowed to know is an error, not `false`.
    pub async fn exists(&self, reference: impl AsRef<str>) -> Result<bool> {
        Ok(self.get_optional(reference).await?.is_some())
    }

    /// A value that is kept fresh for as long as the handle lives.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get): the first read has to succeed.
    pub async fn handle(&self, reference: impl AsRef<str>) -> Result<SecretHandle> {
        self.core.make_handle(reference.as_ref()).await
    }

    /// The names that exist, or those that are `prefix` or below it. Asks the store each time.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the backend does not list; otherwise as [`get`](Self::get).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the call.
    pub async fn list(&self, prefix: Option<&str>) -> Result<Vec<SecretName>> {
        let prefix = prefix.map(SecretName::new).transpose()?;
        self.core.ask(|| self.core.backend.list(prefix.as_ref())).await
    }

    /// Makes sure, at startup, that these can be read; afterwards they are cached.
    ///
    /// # Errors
    ///
    /// `NotFound` lists every missing one ([`Error::missing`]). Where some failed otherwise, the first of those kinds,
    /// and the message says what happened to each.
    pub async fn require<R: AsRef<str>>(&self, references: impl IntoIterator<Item = R>) -> Result<()> {
        let references: Vec<R> = references.into_iter().collect();
        let results = self.core.read_many(&references, false).await;
        let failures: Vec<(&str, Error)> = references
            .iter()
            .zip(results)
            .filter_map(|(reference, result)| Some((reference.as_ref(), result.err()?)))
            .collect();
        match failures.as_slice() {
            [] => Ok(()),
            failures => Err(self.required(failures)),
        }
    }

    /// One error that says everything.
    fn required(&self, failures: &[(&str, Error)]) -> Error {
        let missing = |kind| matches!(kind, ErrorKind::NotFound | ErrorKind::FieldNotFound);
        let first = failures
            .iter()
            .map(|(_, error)| error)
            .find(|error| !missing(error.kind()));
        let (kind, retry_after) = first.map_or((ErrorKind::NotFound, None), |error| {
            (error.kind(), error.retry_after())
        });
        let mut message = String::from("required secrets cannot be read: ");
        for (index, (reference, error)) in failures.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            // A malformed reference is not repeated: it may be a misplaced credential.
            let reference = if error.kind() == ErrorKind::InvalidName {
                "one of them"
            } else {
                *reference
            };
            // Writing to a string cannot fail.
            let _ = write!(
                message,
                "{separator}{reference} ({}: {})",
                error.kind(),
                error.message()
            );
        }
        let names = failures
            .iter()
            .filter(|(_, error)| missing(error.kind()))
            .filter_map(|(_, error)| error.secret().cloned());
        let error = Error::new(kind, message)
            .with_backend(&self.core.backend_name)
            .with_missing(names);
        match retry_after {
            Some(after) => error.with_retry_after(after),
            None => error,
        }
    }

    /// Reads secrets into the cache; what fails is left for the read that wants it. Returns how many are there.
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get).
    pub async fn prefetch<R: AsRef<str>>(&self, references: impl IntoIterator<Item = R>) -> usize {
        let references: Vec<R> = references.into_iter().collect();
        self.core
            .read_many(&references, false)
            .await
            .iter()
            .filter(|result| result.is_ok())
            .count()
    }

    /// Fetches a secret now: one call, past cache, circuit breaker and back-off, and returns what it brings. Success and
    /// failure count like those of any other call.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), without retries and without an older value in place of an error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not end the call; its result is cached.
    pub async fn refresh(&self, reference: impl AsRef<str>) -> Result<Secret> {
        self.core.refresh(reference.as_ref()).await
    }

    /// Forgets a secret: its value, versions, fields and any failure remembered. A fetch under way is not cached either,
    /// though those who wait for it get its result. The version and field of a reference are ignored; what is no valid
    /// reference is not cached, so there is nothing to do.
    pub fn invalidate(&self, reference: impl AsRef<str>) {
        if let Ok(reference) = crate::SecretRef::parse(reference) {
            self.core.invalidate(reference.name());
        }
    }

    /// Forgets everything, as [`invalidate`](Self::invalidate) does for one name.
    pub fn invalidate_all(&self) {
        self.core.invalidate_all();
    }

    /// Whether the store can be reached and lets the caller in.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the call.
    pub async fn check(&self) -> Result<()> {
        self.core.ask(|| self.core.backend.check()).await
    }

    /// What has happened so far.
    pub fn stats(&self) -> SecretStats {
        self.core.stats()
    }

    /// The [name](SecretBackend::name) of the backend.
    pub fn backend_name(&self) -> &str {
        &self.core.backend_name
    }

    /// Ends background work, wipes every cached value, and lets the backend give back what it obtained, within the
    /// [deadline](SecretManagerBuilder::deadline) of a fetch. Reads that wait, and later ones, are `Unsupported`; handles
    /// are closed. The second call does nothing.
    ///
    /// Dropping the last manager and handle does the same, but for the backend's part.
    ///
    /// # Errors
    ///
    /// What the backend could not give back; `Timeout` when that took too long.
    pub async fn shutdown(&self) -> Result<()> {
        if std::mem::replace(&mut self.core.lock().closed, true) {
            return Ok(());
        }
        self.core.close();
        self.core.give_back().await
    }
}

impl fmt::Debug for SecretManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretManager")
            .field("backend", &self.core.backend_name)
            .finish_non_exhaustive()
    }
}
