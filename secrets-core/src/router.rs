use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::merged::{Merged, Translated};
use crate::watch::{BackendEvents, WatchedNames};
use crate::{
    BackendEvent, Capabilities, Error, ErrorKind, Fetched, ReadRequest, Result, SecretBackend, SecretName,
};

/// Several backends, each for the names below a prefix.
///
/// The longest prefix that matches on whole segments decides, and nobody else is asked: a name without a route is
/// `NotFound`. The backend sees the whole name, unless its route strips the prefix.
///
/// Versions and batches are offered where every route has them; a version can be read on each route that has versions.
/// `list` is the union of all routes' names and needs all of them to list. Each route has a circuit breaker of its own.
///
/// ```
/// # use secrets_core::{PrefixRouter, SecretBackend};
/// # fn example(vault: impl SecretBackend, files: impl SecretBackend) -> secrets_core::Result<PrefixRouter> {
/// PrefixRouter::builder()
///     .route("database", vault) // database/password is read as database/password
///     .route_stripped("files", files) // files/tls/key is read as tls/key
///     .build()
/// # }
/// ```
#[derive(Debug)]
pub struct PrefixRouter {
    name: String,
    /// Longer prefixes first; the one without a prefix last.
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    names: Names,
    backend: Box<dyn SecretBackend>,
    /// What fails together: the prefix and the backend.
    domain: String,
}

/// Which names a route takes, and what its backend calls them.
#[derive(Clone, Debug)]
struct Names {
    prefix: Option<SecretName>,
    strip: bool,
}

/// Sets a [`PrefixRouter`] up.
#[derive(Debug, Default)]
#[must_use = "call `build` to get the router"]
pub struct PrefixRouterBuilder {
    routes: Vec<(Option<String>, bool, Box<dyn SecretBackend>)>,
}

impl PrefixRouter {
    /// A router without routes.
    pub fn builder() -> PrefixRouterBuilder {
        PrefixRouterBuilder::default()
    }

    fn route(&self, name: &SecretName) -> Option<&Route> {
        self.routes.iter().find(|route| route.names.takes(name))
    }

    fn unrouted(name: &SecretName) -> Error {
        let message = "no route has a prefix of this name; add one, or a default route";
        Error::new(ErrorKind::NotFound, message).with_secret(name)
    }
}

impl PrefixRouterBuilder {
    /// Names at and below `prefix` go to `backend`, as they are.
    pub fn route(mut self, prefix: impl Into<String>, backend: impl SecretBackend) -> Self {
        self.routes.push((Some(prefix.into()), false, Box::new(backend)));
        self
    }

    /// Names below `prefix` go to `backend`, without the prefix.
    pub fn route_stripped(mut self, prefix: impl Into<String>, backend: impl SecretBackend) -> Self {
        self.routes.push((Some(prefix.into()), true, Box::new(backend)));
        self
    }

    /// All other names go to `backend`.
    pub fn default_route(mut self, backend: impl SecretBackend) -> Self {
        self.routes.push((None, false, Box::new(backend)));
        self
    }

    /// The router.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when there is no route, or two for one prefix; `InvalidName` for a malformed prefix.
    pub fn build(self) -> Result<PrefixRouter> {
        let mut routes = Vec::with_capacity(self.routes.len());
        for (prefix, strip, backend) in self.routes {
            let prefix = prefix.map(SecretName::new).transpose()?;
            if routes.iter().any(|route: &Route| route.names.prefix == prefix) {
                return Err(Error::new(
                    ErrorKind::InvalidConfig,
                    "two routes have the same prefix",
                ));
            }
            let domain = format!(
                "{}={}",
                prefix.as_ref().map_or("*", SecretName::as_str),
                backend.name()
            );
            routes.push(Route {
                names: Names { prefix, strip },
                backend,
                domain,
            });
        }
        if routes.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "a router needs at least one route",
            ));
        }
        let name = routes
            .iter()
            .map(|route| &*route.domain)
            .collect::<Vec<_>>()
            .join(",");
        routes.sort_by_key(|route| {
            std::cmp::Reverse(
                route
                    .names
                    .prefix
                    .as_ref()
                    .map_or(0, |prefix| prefix.as_str().len()),
            )
        });
        Ok(PrefixRouter { name, routes })
    }
}

impl Names {
    fn takes(&self, name: &SecretName) -> bool {
        match &self.prefix {
            None => true,
            // Stripped, nothing would be left of the prefix itself.
            Some(prefix) if self.strip => name.strip_prefix(prefix).is_some(),
            Some(prefix) => name.starts_with(prefix),
        }
    }

    /// The backend's name for it; only for names that this route takes.
    fn inner(&self, name: &SecretName) -> SecretName {
        match &self.prefix {
            Some(prefix) if self.strip => name.strip_prefix(prefix).unwrap_or_else(|| name.clone()),
            _ => name.clone(),
        }
    }

    /// Our name for what the backend calls so. `None` when it would be too long, or lies outside of the route.
    fn outer(&self, name: SecretName) -> Option<SecretName> {
        match &self.prefix {
            None => Some(name),
            Some(prefix) if self.strip => prefix.join(&name).ok(),
            Some(prefix) => name.starts_with(prefix).then_some(name),
        }
    }
}

impl Route {
    /// Lists what the backend has at and below `prefix`, in its own names.
    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        let inner = match (&self.names.prefix, prefix) {
            (None, asked) => asked.cloned(),
            (Some(own), Some(asked)) if self.names.takes(asked) && asked != own => {
                Some(self.names.inner(asked))
            }
            // The whole route.
            (Some(own), asked) if asked.is_none_or(|asked| own.starts_with(asked)) => {
                (!self.names.strip).then(|| own.clone())
            }
            (Some(_), _) => return Ok(Vec::new()),
        };
        self.backend.list(inner.as_ref()).await
    }

    fn named(&self, error: Error, name: &SecretName) -> Error {
        error.with_backend(self.backend.name()).with_secret(name)
    }
}

#[async_trait]
impl SecretBackend for PrefixRouter {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        let each = || self.routes.iter().map(|route| route.backend.capabilities());
        Capabilities::new()
            .with_versions(each().all(|can| can.versions))
            .with_list(each().all(|can| can.list))
            .with_watch(each().any(|can| can.watch))
            .with_batch(each().map(|can| can.batch).min().flatten())
    }

    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let route = self
            .route(request.name)
            .ok_or_else(|| Self::unrouted(request.name))?;
        let inner = route.names.inner(request.name);
        let asked = ReadRequest {
            name: &inner,
            ..request
        };
        route
            .backend
            .get(asked)
            .await
            .map_err(|error| route.named(error, request.name))
    }

    async fn get_many(&self, requests: &[ReadRequest<'_>]) -> Vec<Result<Fetched>> {
        let mut answers: Vec<Option<Result<Fetched>>> = vec![None; requests.len()];
        for route in &self.routes {
            let mine: Vec<usize> = (0..requests.len())
                .filter(|&at| {
                    self.route(requests[at].name)
                        .is_some_and(|other| std::ptr::eq(other, route))
                })
                .collect();
            if mine.is_empty() {
                continue;
            }
            let inner: Vec<_> = mine
                .iter()
                .map(|&at| route.names.inner(requests[at].name))
                .collect();
            let asked: Vec<_> = mine
                .iter()
                .zip(&inner)
                .map(|(&at, name)| ReadRequest { name, ..requests[at] })
                .collect();
            // Where too few came back, those that are left are marked as such below.
            for (&at, answer) in mine.iter().zip(route.backend.get_many(&asked).await) {
                answers[at] = Some(answer.map_err(|error| route.named(error, requests[at].name)));
            }
            for &at in &mine {
                answers[at].get_or_insert_with(|| {
                    let message = "the backend gave fewer answers than requests";
                    Err(route.named(Error::new(ErrorKind::Internal, message), requests[at].name))
                });
            }
        }
        let unrouted = |at: usize| Err(Self::unrouted(requests[at].name));
        answers
            .into_iter()
            .enumerate()
            .map(|(at, answer)| answer.unwrap_or_else(|| unrouted(at)))
            .collect()
    }

    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        if !self.capabilities().list {
            let message = "not every route lists names; list a backend that does";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let mut names = BTreeSet::new();
        for route in &self.routes {
            let listed = route
                .list(prefix)
                .await
                .map_err(|error| error.with_backend(route.backend.name()))?;
            names.extend(
                listed
                    .into_iter()
                    .filter_map(|name| route.names.outer(name))
                    // What a longer prefix hides cannot be read here.
                    .filter(|name| self.route(name).is_some_and(|other| std::ptr::eq(other, route)))
                    .filter(|name| prefix.is_none_or(|prefix| name.starts_with(prefix))),
            );
        }
        Ok(names.into_iter().collect())
    }

    fn watch(&self, names: WatchedNames) -> Option<BackendEvents> {
        let mut streams = Vec::new();
        for route in &self.routes {
            let into = route.names.clone();
            let names = names
                .clone()
                .filter_map(move |name| into.takes(name).then(|| into.inner(name)));
            let Some(events) = route.backend.watch(names) else {
                continue;
            };
            let back = route.names.clone();
            let translate = move |event| match event {
                BackendEvent::Changed(name) => back.outer(name).map(BackendEvent::Changed),
                BackendEvent::Resync => Some(BackendEvent::Resync),
            };
            streams.push(Box::pin(Translated { events, translate }) as BackendEvents);
        }
        if streams.is_empty() {
            None
        } else {
            Some(Merged::boxed(streams))
        }
    }

    fn fault_domain(&self, name: &SecretName) -> &str {
        self.route(name).map_or(&self.name, |route| &route.domain)
    }

    async fn check(&self) -> Result<()> {
        for route in &self.routes {
            route
                .backend
                .check()
                .await
                .map_err(|error| error.with_backend(route.backend.name()))?;
        }
        Ok(())
    }

    async fn shutdown(&self) -> Result<()> {
        let mut first = Ok(());
        for route in &self.routes {
            let ended = route.backend.shutdown().await;
            first = first.and(ended.map_err(|error| error.with_backend(route.backend.name())));
        }
        first
    }
}
