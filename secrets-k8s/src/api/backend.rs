use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrets_core::{
    BackendEvents, Capabilities, Error, ErrorKind, Fetched, ReadRequest, Result, SecretBackend, SecretName,
    WatchedNames,
};
use secrets_file::watch::Ledger;

use super::access;
use super::batch::{self, Listing, Wanted};
use super::builder::K8sApiBuilder;
use super::list;
use super::say::Said;
use super::server::{Scope, Server};
use super::watch;
use crate::naming::Naming;

/// What errors, statistics and traces call this backend.
pub(super) const NAME: &str = "k8s-api";

/// How many names one call of `get_many` takes.
const BATCH: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Kubernetes Secrets, read through the API server: `smtp/database/password` is the key `password` of the Secret
/// `smtp-database`.
///
/// Nothing is contacted and nothing is spawned before the first read. Cloning is cheap.
///
/// ```no_run
/// use secrets_core::{ReadRequest, SecretBackend, SecretName};
/// use secrets_k8s::K8sApiBackend;
///
/// # async fn example() -> secrets_core::Result<()> {
/// let secrets = K8sApiBackend::in_cluster().label_selector("app=billing").build()?;
/// let name = SecretName::new("smtp/database/password")?;
/// let secret = secrets.get(ReadRequest::new(&name)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct K8sApiBackend {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) server: Server,
    pub(super) naming: Naming,
    pub(super) listing: Listing,
    pub(super) ledger: Ledger,
    pub(super) said: Said,
    pub(super) poll_interval: Duration,
    pub(super) watch_timeout: Duration,
}

impl K8sApiBackend {
    /// The cluster that is at hand: that of the variable `KUBECONFIG`; otherwise the one this pod runs in, with its service
    /// account; otherwise that of `~/.kube/config`.
    pub fn builder() -> K8sApiBuilder {
        K8sApiBuilder::inferred()
    }

    /// The cluster this pod runs in, with the token of its service account.
    pub fn in_cluster() -> K8sApiBuilder {
        K8sApiBuilder::in_cluster()
    }

    /// The cluster of the current context of a kubeconfig: that of the variable `KUBECONFIG`, or `~/.kube/config`.
    ///
    /// [`K8sApiBuilder::kubeconfig`] names another file, [`K8sApiBuilder::context`] another context.
    pub fn kubeconfig() -> K8sApiBuilder {
        K8sApiBuilder::from_kubeconfig()
    }

    /// The API server at this address, such as `https://10.0.0.1:6443`; nothing is read from anywhere.
    pub fn server(address: impl Into<String>) -> K8sApiBuilder {
        K8sApiBuilder::at(address.into())
    }

    /// The cluster of a configuration made by `kube`. Its timeouts, retries and compression are not used.
    pub fn with_config(config: kube::Config) -> K8sApiBuilder {
        K8sApiBuilder::with_config(config)
    }

    async fn read(&self, requests: &[ReadRequest<'_>]) -> Vec<Result<Fetched>> {
        let mut results: Vec<Option<Result<Fetched>>> = Vec::with_capacity(requests.len());
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        for (index, request) in requests.iter().enumerate() {
            let place = request
                .refuse_version()
                .and_then(|()| self.inner.naming.place(request.name));
            match place {
                Err(error) => results.push(Some(Err(error))),
                Ok(place) => {
                    results.push(None);
                    wanted
                        .entry(place.secret)
                        .or_default()
                        .add(index, place.key, request);
                }
            }
        }
        let inner = &*self.inner;
        for (index, answer) in batch::read(&inner.server, &inner.listing, &inner.said, wanted).await {
            self.note(requests[index].name, &answer);
            results[index] = Some(answer);
        }
        let located = results.into_iter().zip(requests).map(|(result, request)| {
            let result = result.unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "nothing was read")));
            result.map_err(|error| error.with_backend(NAME).with_secret(request.name))
        });
        located.collect()
    }

    /// Remembers what was served, for those who watch it from now on.
    fn note(&self, name: &SecretName, answer: &Result<Fetched>) {
        let ledger = &self.inner.ledger;
        let state = match answer {
            Ok(Fetched::Value(secret)) => Some(crate::state::of_value(ledger, secret)),
            Err(error) => crate::state::of_error(error),
            // What is still the same was noted when it was served.
            Ok(_) => None,
        };
        if let Some(state) = state {
            ledger.record(name, state);
        }
    }
}

#[async_trait]
impl SecretBackend for K8sApiBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_list(true)
            .with_watch(true)
            .with_batch(Some(BATCH))
    }

    /// What the caller holds already is compared by the version of the Secret, without moving its values.
    ///
    /// # Errors
    ///
    /// The table in the [crate's documentation](crate#failures-of-the-api).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let mut read = self.read(std::slice::from_ref(&request)).await;
        read.pop()
            .unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "nothing was read").with_backend(NAME)))
    }

    /// As [`get`](SecretBackend::get), each Secret asked for once, eight at a time; by a list where the builder allows it.
    async fn get_many(&self, requests: &[ReadRequest<'_>]) -> Vec<Result<Fetched>> {
        self.read(requests).await
    }

    /// The keys of all Secrets of the namespace that the [label selector](K8sApiBuilder::label_selector) finds, or those
    /// below a prefix. Needs `list`, and the values of those Secrets cross the network: the API has no list without them
    /// that names the keys.
    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        let inner = &*self.inner;
        let scope = inner.listing.scope.clone().unwrap_or(Scope::All);
        let names = list::names(&inner.server, &scope, &inner.naming, prefix).await;
        names.map_err(|error| {
            let error = error.with_backend(NAME);
            match prefix {
                Some(prefix) => error.with_secret(prefix),
                None => error,
            }
        })
    }

    /// Needs `watch` on the Secrets of interest, and polls them where that is denied.
    fn watch(&self, names: WatchedNames) -> Option<BackendEvents> {
        Some(watch::subscribe(self.inner.clone(), names))
    }

    /// Has the API server say what may be done here: whether it can be reached, accepts the credentials, and lets any
    /// Secret be read.
    async fn check(&self) -> Result<()> {
        let checked = access::check(&self.inner.server).await;
        checked.map_err(|error| error.with_backend(NAME))
    }
}
