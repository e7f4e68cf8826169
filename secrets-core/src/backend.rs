use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::watch::{BackendEvents, WatchedNames};
use crate::{Error, ErrorKind, Lease, Metadata, Result, Secret, SecretName, Version};

/// A store of secrets: what a backend author implements.
///
/// Applications use a [`SecretManager`](crate::SecretManager) over it, which caches, retries, limits and counts. A
/// backend does none of that: it turns one request into one answer, as exactly as the store allows.
///
/// # For implementors
///
/// - **One call, one attempt.** No retries, no caching, no timeout of your own; switch those of a vendor's client off.
///   Logging in again once after the store has refused a credential is yours, and so is keeping that login alive.
/// - **Refuse before any I/O** what the store cannot express: `InvalidName` naming the character, never another name.
/// - **Absent is `NotFound`, empty is a value**, refused is `PermissionDenied`; never one for the other.
/// - **Nothing that came out of the store goes into an error or a log.** See [`Cause`](crate::Cause) for what may.
/// - **Every future may be dropped at any await point.** The manager drops it at its timeout.
/// - Hand over values in buffers of their own size ([`Secret::new`]) and drop the vendor's types at once.
/// - `secrets-testkit` proves all this against your store with one macro.
///
/// `Arc<B>` and `Box<B>` are backends too, `dyn SecretBackend` included.
#[async_trait]
pub trait SecretBackend: fmt::Debug + Send + Sync + 'static {
    /// A short, stable name for errors, statistics and traces, such as `vault`.
    fn name(&self) -> &str;

    /// What this backend, configured as it is, can do.
    fn capabilities(&self) -> Capabilities;

    /// Reads one secret.
    ///
    /// # Errors
    ///
    /// Any [`ErrorKind`] but `FieldNotFound`; what each means is said there.
    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched>;

    /// Reads several secrets: one result per request, in their order.
    ///
    /// The manager calls this with at most [`Capabilities::batch`] requests, and only where that is set. The default
    /// reads one after the other.
    async fn get_many(&self, requests: &[ReadRequest<'_>]) -> Vec<Result<Fetched>> {
        let mut results = Vec::with_capacity(requests.len());
        for request in requests {
            results.push(self.get(*request).await);
        }
        results
    }

    /// The names that exist: all of them, or `prefix` itself and those below it. In no particular order; each once.
    ///
    /// # Errors
    ///
    /// `Unsupported` by default, and wherever [`Capabilities::list`] is `false`.
    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        let _ = prefix;
        Err(Error::new(ErrorKind::Unsupported, "this backend does not list names").with_backend(self.name()))
    }

    /// Changes as they happen, for as long as the stream is polled. `None` by default, and wherever
    /// [`Capabilities::watch`] is `false`.
    ///
    /// # For implementors
    ///
    /// Every change of what was read after this returned has to be reported, by name or, when one may have been missed,
    /// by a [`Resync`](crate::BackendEvent::Resync): also one that comes while the subscription is still being set up,
    /// and the creation of what was read as absent. `names` says which secrets are of interest now; an event about
    /// another does no harm.
    fn watch(&self, names: WatchedNames) -> Option<BackendEvents> {
        let _ = names;
        None
    }

    /// What fails together with `name`: the key of its circuit breaker. By default everything here, as one.
    ///
    /// # For implementors
    ///
    /// The number of different answers must be small and independent of the number of names.
    fn fault_domain(&self, name: &SecretName) -> &str {
        let _ = name;
        self.name()
    }

    /// Whether the store can be reached and lets the caller in, as cheaply as it can be told.
    ///
    /// # Errors
    ///
    /// The same kinds as [`get`](SecretBackend::get).
    async fn check(&self) -> Result<()>;

    /// Gives back what was obtained: revokes leases and tokens, closes connections. Nothing by default.
    ///
    /// # Errors
    ///
    /// What could not be given back; the backend is not used again in either case.
    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }
}

/// What a backend can do, as configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Pinned versions can be read. Where this is `false`, asking for one is `Unsupported`.
    pub versions: bool,
    /// [`SecretBackend::list`] works. Where this is `false`, it is `Unsupported`.
    pub list: bool,
    /// [`SecretBackend::watch`] returns a stream.
    pub watch: bool,
    /// How many requests one [`SecretBackend::get_many`] takes, where that is cheaper than as many reads.
    pub batch: Option<NonZeroUsize>,
}

impl Capabilities {
    /// A backend that reads the latest version of one name at a time, and no more.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`versions`](Capabilities::versions).
    #[must_use]
    pub fn with_versions(mut self, versions: bool) -> Self {
        self.versions = versions;
        self
    }

    /// Sets [`list`](Capabilities::list).
    #[must_use]
    pub fn with_list(mut self, list: bool) -> Self {
        self.list = list;
        self
    }

    /// Sets [`watch`](Capabilities::watch).
    #[must_use]
    pub fn with_watch(mut self, watch: bool) -> Self {
        self.watch = watch;
        self
    }

    /// Sets [`batch`](Capabilities::batch).
    #[must_use]
    pub fn with_batch(mut self, batch: Option<NonZeroUsize>) -> Self {
        self.batch = batch;
        self
    }
}

/// One secret to read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ReadRequest<'a> {
    /// Which secret.
    pub name: &'a SecretName,
    /// Which version; `None` for the latest.
    pub version: Option<&'a Version>,
    /// What the caller holds already. A backend that finds it still right answers [`Fetched::Unchanged`].
    pub known: Option<&'a Metadata>,
}

impl<'a> ReadRequest<'a> {
    /// Asks for the latest version.
    pub fn new(name: &'a SecretName) -> Self {
        Self {
            name,
            version: None,
            known: None,
        }
    }

    /// Asks for this version, or for the latest.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<Option<&'a Version>>) -> Self {
        self.version = version.into();
        self
    }

    /// Says what the caller holds already.
    #[must_use]
    pub fn with_known(mut self, known: impl Into<Option<&'a Metadata>>) -> Self {
        self.known = known.into();
        self
    }

    /// For a backend without versions.
    ///
    /// # Errors
    ///
    /// `Unsupported` when a version is asked for.
    pub fn refuse_version(&self) -> Result<()> {
        match self.version {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::Unsupported,
                "this backend has no versions; leave `?version=` out to read the only one",
            )
            .with_secret(self.name)),
        }
    }
}

/// What a backend found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fetched {
    /// The caller's value is still the one ([`ReadRequest::known`]); only to a request that had one.
    #[non_exhaustive]
    Unchanged {
        /// The renewed lease; `None` when there is none or it was not renewed.
        lease: Option<Lease>,
        /// The new end; `None` when it is as before.
        expires: Option<SystemTime>,
    },
    /// The value, with its metadata.
    Value(Secret),
}

impl Fetched {
    /// The value known to the caller is still the one.
    pub fn unchanged(lease: Option<Lease>, expires: Option<SystemTime>) -> Self {
        Self::Unchanged { lease, expires }
    }
}

impl From<Secret> for Fetched {
    fn from(secret: Secret) -> Self {
        Self::Value(secret)
    }
}

/// Forwards every method; a method added to the trait and forgotten here does not compile under clippy.
macro_rules! forward {
    ($pointer:ident) => {
        #[deny(clippy::missing_trait_methods)]
        #[async_trait]
        impl<B: SecretBackend + ?Sized> SecretBackend for $pointer<B> {
            fn name(&self) -> &str {
                (**self).name()
            }

            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }

            async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
                (**self).get(request).await
            }

            async fn get_many(&self, requests: &[ReadRequest<'_>]) -> Vec<Result<Fetched>> {
                (**self).get_many(requests).await
            }

            async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
                (**self).list(prefix).await
            }

            fn watch(&self, names: WatchedNames) -> Option<BackendEvents> {
                (**self).watch(names)
            }

            fn fault_domain(&self, name: &SecretName) -> &str {
                (**self).fault_domain(name)
            }

            async fn check(&self) -> Result<()> {
                (**self).check().await
            }

            async fn shutdown(&self) -> Result<()> {
                (**self).shutdown().await
            }
        }
    };
}

forward!(Arc);
forward!(Box);
