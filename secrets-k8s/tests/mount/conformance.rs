//! The conformance suite over mounted volumes, and through a manager.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use secrets_core::{
    BackendEvents, Capabilities, Fetched, ReadRequest, Result, SecretBackend, SecretManager, SecretName,
    SecretRef, Version, WatchedNames,
};
use secrets_k8s::K8sBackend;
use secrets_testkit::{Facts, Fault, Harness, Outcome, async_trait};

use crate::kubelet::Kubelet;

mod mounted {
    use super::*;
    secrets_testkit::conformance!(Mounted::new(), without = [versions]);
}

mod through_the_manager {
    use super::*;
    secrets_testkit::conformance!(Mounted::new().managed(), without = [versions, watch]);
}

struct Mounted {
    kubelet: Kubelet,
    managed: bool,
}

impl Mounted {
    fn new() -> Self {
        Self {
            kubelet: Kubelet::new(),
            managed: false,
        }
    }

    fn managed(self) -> Self {
        Self {
            managed: true,
            ..self
        }
    }
}

/// The Secret and its key.
pub(crate) fn place(name: &SecretName) -> (String, String) {
    let (secret, key) = name.as_str().rsplit_once('/').unwrap();
    (secret.replace('/', "-"), key.to_owned())
}

/// Each `-` in the name of the Secret read as `/`, but for those at an end or beside another.
pub(crate) fn canonical(name: &SecretName) -> String {
    let Some((secret, key)) = name.as_str().rsplit_once('/') else {
        return name.to_string();
    };
    let secret = format!("  {}  ", secret.replace('/', "-"));
    let chars: Vec<char> = secret.chars().collect();
    let read = chars.windows(3).map(|three| match three {
        [before, '-', after] if ![before, after].iter().any(|c| matches!(c, '-' | ' ')) => '/',
        [_, c, _] => *c,
        _ => unreachable!(),
    });
    format!("{}/{key}", read.collect::<String>().trim())
}

#[async_trait]
impl Harness for Mounted {
    fn facts(&self) -> Facts {
        let inexpressible = ["A/b", "a_b/c", "a/b c", "a/..b", "-a/b", "é"];
        Facts::new()
            .with_canonical(canonical)
            .with_faults([Fault::Denied, Fault::Garbage, Fault::Unreachable])
            .with_inexpressible(inexpressible.map(|name| SecretName::new(name).unwrap()))
    }

    async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
        let backend = K8sBackend::new(self.kubelet.root())?;
        if !self.managed {
            return Ok(Arc::new(backend));
        }
        let capabilities = backend.capabilities().with_watch(false);
        let manager = SecretManager::builder(backend)
            .ttl(Duration::ZERO)
            .breaker(u32::MAX, Duration::from_secs(1), Duration::from_secs(1))
            .build()?;
        Ok(Arc::new(Managed {
            manager,
            capabilities,
        }))
    }

    async fn create(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
        let (secret, key) = place(name);
        self.kubelet.put_key(&secret, &key, value);
        Ok(None)
    }

    async fn delete(&self, name: &SecretName) -> Outcome {
        let (secret, key) = place(name);
        self.kubelet.remove_key(&secret, &key);
        Ok(())
    }

    async fn inject(&self, fault: Fault, name: &SecretName) -> Outcome {
        let (secret, key) = place(name);
        match fault {
            // Whoever runs the tests may be allowed to read everything: what leads out is refused to everybody.
            Fault::Denied => self
                .kubelet
                .replace(&secret, &key, |file| symlink("/etc/hostname", file).unwrap()),
            Fault::Garbage => self
                .kubelet
                .replace(&secret, &key, |file| drop(UnixListener::bind(file).unwrap())),
            Fault::Unreachable => self.kubelet.unmount(),
            other => return Err(format!("a mount knows no {other:?}").into()),
        }
        Ok(())
    }

    async fn heal(&self) -> Outcome {
        self.kubelet.repair();
        Ok(())
    }
}

/// A manager that keeps nothing, as a backend.
#[derive(Debug)]
struct Managed {
    manager: SecretManager,
    capabilities: Capabilities,
}

#[async_trait]
impl SecretBackend for Managed {
    fn name(&self) -> &'static str {
        "managed"
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let reference = match request.version {
            None => request.name.to_string(),
            Some(version) => format!("{}?version={version}", request.name),
        };
        let reference = SecretRef::parse(reference)?.to_string();
        Ok(self.manager.get(&reference).await?.into())
    }

    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        self.manager.list(prefix.map(SecretName::as_str)).await
    }

    fn watch(&self, _: WatchedNames) -> Option<BackendEvents> {
        None
    }

    async fn check(&self) -> Result<()> {
        self.manager.check().await
    }

    async fn shutdown(&self) -> Result<()> {
        self.manager.shutdown().await
    }
}
