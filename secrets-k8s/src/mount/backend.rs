use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
#[cfg(feature = "watch")]
use secrets_core::{BackendEvents, Secret, WatchedNames};
use secrets_core::{Capabilities, Error, ErrorKind, Fetched, ReadRequest, Result, SecretBackend, SecretName};
#[cfg(feature = "watch")]
use secrets_file::beneath::Root;
#[cfg(feature = "watch")]
use secrets_file::watch::{Ledger, Observe, State};

use super::builder::K8sBackendBuilder;
use super::volume::Volumes;

/// What errors, statistics and traces call this backend.
pub(super) const NAME: &str = "k8s";

/// How many names one call of `get_many` takes: more than one component ever asks for at once.
const BATCH: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Kubernetes Secrets that are mounted into the pod: `smtp/database/password` is the file
/// `<root>/smtp-database/password`. No API server, no permissions, no SDK.
///
/// Whatever one call reads of a Secret is of one version, also while the kubelet swaps it. Cloning is cheap.
///
/// ```
/// use secrets_core::{Fetched, ReadRequest, SecretBackend, SecretName};
/// use secrets_k8s::K8sBackend;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let root = tempfile::tempdir()?;
/// # std::fs::create_dir(root.path().join("smtp-database"))?;
/// # std::fs::write(root.path().join("smtp-database/password"), "hunter2")?;
/// # let root = root.path();
/// let backend = K8sBackend::new(root)?; // such as /etc/secrets
///
/// let name = SecretName::new("smtp/database/password")?;
/// let Fetched::Value(secret) = backend.get(ReadRequest::new(&name)).await? else { unreachable!() };
/// assert_eq!(secret.expose_str()?, "hunter2");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct K8sBackend {
    volumes: Arc<Volumes>,
    #[cfg(feature = "watch")]
    ledger: Arc<Ledger>,
    /// Whether it was looked for keys that never change.
    #[cfg(all(feature = "tracing", feature = "watch", target_os = "linux"))]
    looked: Arc<std::sync::Once>,
}

impl K8sBackend {
    /// Volumes mounted beneath `root`, one directory for each Secret, everything else by default.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when `root` is empty.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(root).build()
    }

    /// Volumes mounted beneath `root`, with options.
    pub fn builder(root: impl Into<PathBuf>) -> K8sBackendBuilder {
        K8sBackendBuilder::at(root.into())
    }

    pub(super) fn of(volumes: Volumes) -> Self {
        Self {
            volumes: Arc::new(volumes),
            #[cfg(feature = "watch")]
            ledger: Arc::default(),
            #[cfg(all(feature = "tracing", feature = "watch", target_os = "linux"))]
            looked: Arc::new(std::sync::Once::new()),
        }
    }

    /// Says which keys are mounted by `subPath`, to whoever watches: nothing will ever be heard of them.
    #[cfg(all(feature = "tracing", feature = "watch", target_os = "linux"))]
    fn say_what_never_changes(&self) {
        let depth = if self.volumes.volume.is_some() { 1 } else { 2 };
        let bound = super::subpath::bound(&self.volumes.root, depth);
        if let Some(first) = bound.first() {
            tracing::warn!(
                target: "secrets",
                backend = NAME,
                "`{}` is mounted by `subPath` and stays as it is until the pod is restarted, and so do {} others; mount the \
                 whole volume to have rotations seen",
                first.display(),
                bound.len() - 1
            );
        }
    }

    /// Reads what is asked for, each Secret out of one snapshot.
    async fn read(&self, requests: &[ReadRequest<'_>]) -> Vec<Result<Fetched>> {
        let mut results: Vec<Option<Result<Fetched>>> = Vec::with_capacity(requests.len());
        let mut wanted: BTreeMap<String, (Vec<usize>, Vec<Option<String>>)> = BTreeMap::new();
        for (index, request) in requests.iter().enumerate() {
            let place = request
                .refuse_version()
                .and_then(|()| self.volumes.naming.place(request.name));
            match place {
                Err(error) => results.push(Some(Err(error))),
                Ok(place) => {
                    results.push(None);
                    let (indices, keys) = wanted.entry(place.secret).or_default();
                    indices.push(index);
                    keys.push(place.key);
                }
            }
        }
        let volumes = self.volumes.clone();
        let read = blocking(move || {
            let read = wanted.into_iter().map(|(secret, (indices, keys))| {
                let read = volumes.read(&secret, &keys);
                indices.into_iter().zip(read)
            });
            Ok(read.flatten().collect::<Vec<_>>())
        });
        match read.await {
            Ok(read) => {
                for (index, secret) in read {
                    #[cfg(feature = "watch")]
                    self.note(requests[index].name, &secret);
                    results[index] = Some(secret.map(Into::into));
                }
            }
            Err(error) => {
                for result in results.iter_mut().filter(|result| result.is_none()) {
                    *result = Some(Err(error.clone()));
                }
            }
        }
        let located = results.into_iter().zip(requests).map(|(result, request)| {
            let result = result.unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "nothing was read")));
            result.map_err(|error| error.with_backend(NAME).with_secret(request.name))
        });
        located.collect()
    }

    /// Remembers what was served, for those who watch it from now on.
    #[cfg(feature = "watch")]
    fn note(&self, name: &SecretName, read: &Result<Secret>) {
        if let Some(state) = crate::state::of(&self.ledger, read) {
            self.ledger.record(name, state);
        }
    }
}

/// Does `work` where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        let message = "files are read on tokio's blocking threads; call from within a tokio runtime";
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    match runtime.spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => Err(Error::new(
            ErrorKind::Internal,
            "reading a volume panicked; this is a defect",
        )),
        Err(_) => Err(Error::new(
            ErrorKind::Unavailable,
            "the tokio runtime is shutting down",
        )),
    }
}

#[async_trait]
impl SecretBackend for K8sBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_list(true)
            .with_watch(cfg!(feature = "watch"))
            .with_batch(Some(BATCH))
    }

    /// # Errors
    ///
    /// The table in the [crate's documentation](crate#failures-of-mounts).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing; what is being read is read to its end and wiped.
    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let mut read = self.read(std::slice::from_ref(&request)).await;
        read.pop()
            .unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "nothing was read").with_backend(NAME)))
    }

    /// As [`get`](SecretBackend::get), and the keys of one Secret from one version of it.
    async fn get_many(&self, requests: &[ReadRequest<'_>]) -> Vec<Result<Fetched>> {
        self.read(requests).await
    }

    /// The keys of all Secrets mounted, or those below a prefix. Keys at paths of several parts have no name of their own:
    /// they are fields of the whole Secret.
    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        let (volumes, below) = (self.volumes.clone(), prefix.cloned());
        let names = blocking(move || volumes.list(below.as_ref())).await;
        names.map_err(|error| {
            let error = error.with_backend(NAME);
            match prefix {
                Some(prefix) => error.with_secret(prefix),
                None => error,
            }
        })
    }

    #[cfg(feature = "watch")]
    fn watch(&self, names: WatchedNames) -> Option<BackendEvents> {
        #[cfg(all(feature = "tracing", target_os = "linux"))]
        self.looked.call_once(|| self.say_what_never_changes());
        let interval = self.volumes.poll_interval;
        secrets_file::watch::subscribe(self.volumes.clone(), self.ledger.clone(), names, interval)
    }

    /// Whether the root is there.
    async fn check(&self) -> Result<()> {
        let volumes = self.volumes.clone();
        let checked = blocking(move || volumes.check()).await;
        checked.map_err(|error| error.with_backend(NAME))
    }
}

#[cfg(feature = "watch")]
impl Observe for Volumes {
    fn open(&self) -> Result<Option<Root>> {
        Volumes::open(self)
    }

    fn paths(&self, name: &SecretName) -> Vec<PathBuf> {
        use super::volume::DATA;

        let Ok(place) = self.naming.place(name) else {
            return Vec::new();
        };
        let Some(directory) = self.directory(&place.secret) else {
            return Vec::new();
        };
        // Where nothing is swapped, the file itself changes; for a whole Secret, anything in its directory.
        let key = place.key.as_deref().unwrap_or(".");
        vec![directory.join(DATA).join(key), directory.join(key)]
    }

    fn state(&self, root: Option<&Root>, name: &SecretName, ledger: &Ledger) -> Option<State> {
        let place = self.naming.place(name);
        crate::state::of(ledger, &place.and_then(|place| self.read_place(root, &place)))
    }
}
