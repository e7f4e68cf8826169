use std::collections::BTreeSet;
use std::future::poll_fn;
#[cfg(unix)]
use std::path::Path;
use std::time::Duration;

use base64ct::Encoding as _;
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

/// A kubeconfig of one cluster, and of one user whom this YAML describes.
pub(crate) fn kubeconfig(address: &str, ca_pem: &str, user: &str) -> String {
    let ca = base64ct::Base64::encode_string(ca_pem.as_bytes());
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- name: a\n  context: {{cluster: a, user: a, namespace: \
         app}}\nclusters:\n- name: a\n  cluster: {{server: '{address}', certificate-authority-data: {ca}}}\nusers:\n- name: \
         a\n  user: {{{user}}}\n"
    )
}

/// A plugin in this directory that prints this text, as the user of a [`kubeconfig`]. Each of its runs is a line of the file
/// `calls` there.
#[cfg(unix)]
pub(crate) fn plugin(directory: &Path, text: &str) -> String {
    let calls = directory.join("calls");
    plugin_of(
        directory,
        &format!("echo x >>'{}'\nprintf '%s' '{text}'\n", calls.display()),
    )
}

/// The same, with this script.
#[cfg(unix)]
pub(crate) fn plugin_of(directory: &Path, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt;

    let plugin = directory.join("plugin");
    std::fs::write(&plugin, format!("#!/bin/sh\n{script}")).unwrap();
    std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o700)).unwrap();
    format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, command: '{}', interactiveMode: Never}}",
        plugin.display()
    )
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
