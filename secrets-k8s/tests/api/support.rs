use std::collections::BTreeSet;
use std::future::poll_fn;
use std::time::Duration;

use secrets_core::{
    BackendEvent, BackendEvents, Error, ErrorKind, Fetched, ReadRequest, Secret, SecretBackend, SecretName,
    WatchedNames, WatchedNamesSender,
};
use secrets_k8s::{K8sApiBackend, K8sApiBuilder};
use secrets_testkit::fakes::k8s::FakeK8s;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

pub(crate) async fn read(backend: &dyn SecretBackend, text: &str) -> Result<Secret, Error> {
    match backend.get(ReadRequest::new(&name(text))).await? {
        Fetched::Value(secret) => Ok(secret),
        other => panic!("a value, not {other:?}"),
    }
}

pub(crate) async fn text(backend: &dyn SecretBackend, of: &str) -> String {
    read(backend, of).await.unwrap().expose_str().unwrap().to_owned()
}

pub(crate) async fn kind(backend: &dyn SecretBackend, text: &str) -> Result<(), ErrorKind> {
    read(backend, text).await.map(drop).map_err(|error| error.kind())
}

/// A backend for namespace `app` of the fake, with this token.
pub(crate) fn builder(cluster: &FakeK8s, token: &str) -> K8sApiBuilder {
    K8sApiBackend::server(cluster.address())
        .ca_pem(cluster.ca_pem())
        .namespace("app")
        .token(token.to_owned())
}

pub(crate) fn admin(cluster: &FakeK8s) -> K8sApiBuilder {
    builder(cluster, &cluster.admin_token())
}

/// A watch, and its end by which the names are set.
pub(crate) struct Watch {
    pub(crate) names: WatchedNamesSender,
    events: BackendEvents,
}

impl Watch {
    pub(crate) fn new(backend: &K8sApiBackend, names: &[&str]) -> Self {
        let (sender, watched) = WatchedNames::channel();
        let events = backend.watch(watched).unwrap();
        let watch = Self {
            names: sender,
            events,
        };
        watch.set(names);
        watch
    }

    pub(crate) fn set(&self, names: &[&str]) {
        self.names
            .set(names.iter().map(|text| name(text)).collect::<BTreeSet<_>>());
    }

    pub(crate) async fn next(&mut self) -> String {
        let next = poll_fn(|cx| self.events.as_mut().poll_next(cx));
        // The limit only turns a hanging test into a failing one.
        match tokio::time::timeout(MINUTE * 2, next).await.expect("an event") {
            Some(BackendEvent::Changed(name)) => name.to_string(),
            other => panic!("a change: {other:?}"),
        }
    }

    /// Lets the watch work while something else is waited for, which has to come before any event.
    pub(crate) async fn meanwhile<T>(&mut self, other: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = other => done,
            event = self.next() => panic!("no event: {event}"),
        }
    }
}
