//! S1: whatever goes wrong with a mount, nothing of what is in it is printed.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrets_core::{
    ConfigSecretLoader, Error, ErrorKind, ReadRequest, SecretBackend, SecretManager, Version,
};
use secrets_k8s::{K8sBackend, K8sBackendBuilder};
use secrets_testkit::Canary;

use crate::kubelet::{Kubelet, name, read};
use crate::printed;

/// Everything that the table of failures in the documentation of the crate can give.
const KINDS: [ErrorKind; 7] = [
    ErrorKind::InvalidConfig,
    ErrorKind::InvalidData,
    ErrorKind::InvalidName,
    ErrorKind::NotFound,
    ErrorKind::PermissionDenied,
    ErrorKind::Unavailable,
    ErrorKind::Unsupported,
];

/// What was printed, and the kinds of the errors among it.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<(String, Vec<ErrorKind>)>>);

impl Seen {
    fn text(&self, text: &str) {
        self.0.lock().unwrap().0.push_str(text);
    }

    fn error(&self, error: &Error) {
        self.text(&printed::error(error));
        self.0.lock().unwrap().1.push(error.kind());
    }
}

/// Asks in every way, and notes what can be printed of it.
async fn ask(backend: &K8sBackend, text: &str, seen: &Seen) {
    let Ok(asked) = secrets_core::SecretName::new(text) else {
        return;
    };
    let version = Version::new("1").unwrap();
    let (plain, pinned) = (
        ReadRequest::new(&asked),
        ReadRequest::new(&asked).with_version(&version),
    );
    for answer in backend.get_many(&[plain, pinned]).await {
        match answer {
            Ok(fetched) => seen.text(&printed::thing(&fetched)),
            Err(error) => seen.error(&error),
        }
    }
    let manager = SecretManager::builder(backend.clone())
        .attempts(1)
        .build()
        .unwrap();
    for answer in [
        manager.get(text).await.map(drop),
        manager.get(format!("{text}#no-such-field")).await.map(drop),
        manager.list(Some(text)).await.map(drop),
        manager.check().await,
        manager
            .handle(text)
            .await
            .map(|handle| seen.text(&printed::thing(&handle))),
        ConfigSecretLoader::new(&manager, text)
            .load_all::<u64>()
            .await
            .map(drop),
        backend.list(None).await.map(drop),
        backend.check().await,
    ] {
        if let Err(error) = answer {
            seen.error(&error);
        }
    }
    seen.text(&printed::thing(backend));
    seen.text(&printed::thing(&manager));
    seen.text(&printed::thing(&manager.stats()));
}

/// A volume in which everything is wrong that can be, its files full of canaries.
fn spoil(kubelet: &Kubelet, canary: &[u8]) -> UnixListener {
    let large = canary.repeat(100);
    kubelet.mount("good", &[("k", canary), ("raw", &[canary, b"\xff"].concat())]);
    kubelet.mount("large", &[("k", &large)]);
    kubelet.mount("parts", &[("db/k", canary)]);
    kubelet.mount("outside", &[("k", canary)]);
    kubelet.mount("bad", &[("k", canary)]);
    let data = kubelet
        .at("bad")
        .join(fs::read_link(kubelet.at("bad/..data")).unwrap());
    symlink("../../outside/..data/k", data.join("out")).unwrap();
    symlink("loop", data.join("loop")).unwrap();
    symlink(kubelet.at("outside"), kubelet.at("elsewhere")).unwrap();
    // A swap that never comes to its end.
    fs::create_dir(kubelet.at("torn")).unwrap();
    fs::write(kubelet.at("torn/k"), canary).unwrap();
    symlink("..2026_gone", kubelet.at("torn/..data")).unwrap();
    fs::create_dir(kubelet.at("blocked")).unwrap();
    fs::write(kubelet.at("blocked/..data"), canary).unwrap();
    UnixListener::bind(data.join("socket")).unwrap()
}

async fn everything(kubelet: &Kubelet, canary: &[u8], seen: &Seen) {
    let _socket = spoil(kubelet, canary);
    let builder = |root: &Path| K8sBackend::builder(root).max_value(canary.len() * 2);
    let backend = builder(kubelet.root()).build().unwrap();
    for text in [
        "good/k",
        "good/raw",
        "good",
        "good/absent",
        "large/k",
        "large",
        "parts/db",
        "bad/out",
        "bad/loop",
        "bad/socket",
        "elsewhere/k",
        "torn/k",
        "torn",
        "blocked/k",
        "absent/k",
        "Good/k",
        "good/a b",
    ] {
        ask(&backend, text, seen).await;
    }
    let file = kubelet.at("good").join("..data/k");
    let options: [fn(K8sBackendBuilder) -> K8sBackendBuilder; 2] = [
        |builder| builder,
        |builder| builder.optional_root(true).volume("good"),
    ];
    for root in [kubelet.at("nowhere"), file] {
        for option in options {
            ask(&option(builder(&root)).build().unwrap(), "good/k", seen).await;
        }
    }
    let mut handle = SecretManager::builder(backend)
        .build()
        .unwrap()
        .handle("good/k")
        .await
        .unwrap();
    kubelet.mount("good", &[("k", &canary.repeat(3))]);
    let changed = tokio::time::timeout(Duration::from_secs(60), handle.changed());
    changed.await.expect("a change").unwrap();
    seen.error(&handle.current().unwrap_err());
}

#[test]
fn s1_e5_nothing_of_a_file_is_printed_whatever_is_wrong_with_its_mount() {
    let (canary, seen, kubelet) = (Canary::random(), Seen::default(), Kubelet::new());
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all();
    #[cfg(feature = "tracing")]
    let log = crate::log::Log::default();
    #[cfg(feature = "tracing")]
    let _listening = tracing::subscriber::set_default(log.clone());
    #[cfg(feature = "tracing")]
    {
        // Files are read on threads of the runtime.
        let log = log.clone();
        runtime.on_thread_start(move || std::mem::forget(tracing::subscriber::set_default(log.clone())));
    }
    let runtime = runtime.build().unwrap();
    runtime.block_on(everything(&kubelet, canary.expose().as_bytes(), &seen));
    drop(runtime);
    // Outside of a runtime.
    let backend = K8sBackend::new(kubelet.root()).unwrap();
    let asked = name("good/k");
    let mut get = std::pin::pin!(backend.get(ReadRequest::new(&asked)));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match get.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Err(error)) => seen.error(&error),
        other => panic!("an error: {other:?}"),
    }
    let (text, kinds) = &*seen.0.lock().unwrap();
    assert_eq!(canary.find_in(text), None, "{text}");
    for kind in KINDS {
        assert!(kinds.contains(&kind), "{kind} was among {kinds:?}");
    }
    #[cfg(feature = "tracing")]
    {
        let lines = log.lines();
        assert!(!lines.is_empty(), "the manager traces");
        for line in lines {
            assert_eq!(canary.find_in(&line), None, "{line}");
        }
    }
}

#[tokio::test]
async fn s1_debug_of_what_was_read_shows_nothing() {
    let (canary, kubelet) = (Canary::random(), Kubelet::new());
    kubelet.mount("good", &[("k", canary.expose().as_bytes())]);
    let backend = K8sBackend::new(kubelet.root()).unwrap();
    for text in ["good/k", "good"] {
        let secret = read(&backend, text).await.unwrap();
        assert_eq!(canary.find_in(&printed::thing(&secret)), None);
    }
}
