use std::collections::BTreeSet;
use std::future::poll_fn;
use std::time::Duration;

use secrets_core::{
    BackendEvent, BackendEvents, ErrorKind, SecretBackend, SecretManager, WatchedNames, WatchedNamesSender,
};
use secrets_k8s::K8sBackend;

use crate::kubelet::{Kubelet, name, read};

/// Longer than any test: what is seen was heard from the system.
const NEVER: Duration = Duration::from_secs(3_600);

struct Watch {
    _names: WatchedNamesSender,
    events: BackendEvents,
}

impl Watch {
    fn new(backend: &K8sBackend, names: &[&str]) -> Self {
        assert!(backend.capabilities().watch);
        let (sender, watched) = WatchedNames::channel();
        let events = backend.watch(watched).unwrap();
        sender.set(names.iter().map(|text| name(text)).collect::<BTreeSet<_>>());
        Self {
            _names: sender,
            events,
        }
    }

    async fn next(&mut self) -> String {
        let next = poll_fn(|cx| self.events.as_mut().poll_next(cx));
        // The limit only turns a hanging test into a failing one.
        match tokio::time::timeout(Duration::from_secs(60), next)
            .await
            .expect("an event")
        {
            Some(BackendEvent::Changed(name)) => name.to_string(),
            other => panic!("a change: {other:?}"),
        }
    }
}

async fn backend(kubelet: &Kubelet, served: &[&str]) -> K8sBackend {
    let backend = K8sBackend::builder(kubelet.root())
        .poll_interval(NEVER)
        .build()
        .unwrap();
    for text in served {
        let _ = read(&backend, text).await;
    }
    backend
}

#[tokio::test]
async fn f2_a_swap_is_seen_key_by_key_and_as_a_whole() {
    let kubelet = Kubelet::new();
    kubelet.mount("smtp", &[("a", b"1"), ("b", b"1")]);
    let served = ["smtp/a", "smtp/b", "smtp"];
    let backend = backend(&kubelet, &served).await;
    let mut watch = Watch::new(&backend, &served);
    for version in [b"2", b"3", b"4"] {
        // The same values in a new directory are no event.
        kubelet.mount("smtp", &[("a", b"1"), ("b", b"1")]);
        kubelet.mount("smtp", &[("a", b"1"), ("b", version)]);
        let seen = BTreeSet::from([watch.next().await, watch.next().await]);
        assert_eq!(seen, BTreeSet::from(["smtp".to_owned(), "smtp/b".to_owned()]));
        assert_eq!(read(&backend, "smtp/b").await.unwrap().expose_secret(), version);
        kubelet.mount("smtp", &[("a", b"1"), ("b", b"1")]);
        let seen = BTreeSet::from([watch.next().await, watch.next().await]);
        assert_eq!(seen, BTreeSet::from(["smtp".to_owned(), "smtp/b".to_owned()]));
    }
}

#[tokio::test]
async fn w1_w3_what_comes_and_goes_is_seen() {
    let kubelet = Kubelet::new();
    kubelet.mount("smtp", &[("a", b"1")]);
    let backend = backend(&kubelet, &["smtp/a", "late/k"]).await;
    // Between the read and the watch.
    kubelet.mount("smtp", &[("a", b"2")]);
    let mut watch = Watch::new(&backend, &["smtp/a", "late/k"]);
    assert_eq!(watch.next().await, "smtp/a");
    kubelet.mount("smtp", &[]);
    assert_eq!(watch.next().await, "smtp/a");
    assert_eq!(
        read(&backend, "smtp/a").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    kubelet.mount("smtp", &[("a", b"2")]);
    assert_eq!(watch.next().await, "smtp/a");
    kubelet.mount("late", &[("k", b"here")]);
    assert_eq!(watch.next().await, "late/k");
}

#[tokio::test]
async fn f2_without_a_word_from_the_system_it_is_polled() {
    let kubelet = Kubelet::new();
    kubelet.mount("1", &[("k", b"1")]);
    kubelet.mount("2", &[("k", b"2")]);
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    std::os::unix::fs::symlink(kubelet.at("1"), at("volume")).unwrap();
    let backend = K8sBackend::builder(at("volume"))
        .volume("smtp")
        .poll_interval(Duration::from_millis(100))
        .build()
        .unwrap();
    read(&backend, "smtp/k").await.unwrap();
    let mut watch = Watch::new(&backend, &["smtp/k"]);
    for target in ["2", "1"] {
        // The link lies outside of what is watched.
        std::os::unix::fs::symlink(kubelet.at(target), at("new")).unwrap();
        std::fs::rename(at("new"), at("volume")).unwrap();
        assert_eq!(watch.next().await, "smtp/k");
    }
}

#[tokio::test]
async fn f2_a_handle_follows_a_rotation() {
    let kubelet = Kubelet::new();
    kubelet.mount("smtp", &[("password", b"1")]);
    let manager = SecretManager::builder(backend(&kubelet, &[]).await)
        .build()
        .unwrap();
    let mut handle = manager.handle("smtp/password").await.unwrap();
    for version in ["2", "3"] {
        kubelet.mount("smtp", &[("password", version.as_bytes())]);
        let changed = tokio::time::timeout(Duration::from_secs(60), handle.changed());
        changed.await.expect("a change").unwrap();
        assert_eq!(handle.current().unwrap().expose_str().unwrap(), version);
    }
}

#[tokio::test]
async fn s1_nothing_that_watches_shows_a_value() {
    let kubelet = Kubelet::new();
    kubelet.mount("smtp", &[("a", b"hunter2")]);
    let backend = backend(&kubelet, &["smtp/a", "smtp"]).await;
    let _watch = Watch::new(&backend, &["smtp/a", "smtp"]);
    assert!(!format!("{backend:?}").contains("hunter2"));
}
