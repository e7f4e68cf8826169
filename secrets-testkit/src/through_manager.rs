use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrets_core::{
    Capabilities, Fetched, ReadRequest, Result, SecretBackend, SecretManager, SecretName, Version,
};

use crate::{Facts, Fault, Harness, Outcome};

/// Another harness, with a [`SecretManager`] between the cases and its backend: what holds for the backend holds for
/// what applications get.
///
/// The manager keeps nothing and its circuit breaker never opens: what it adds in time is its own tests' affair. It hands
/// no events on, so `watch` is among what the harness lacks.
///
/// ```
/// mod through_the_manager {
///     use secrets_testkit::{MemoryHarness, ThroughManager};
///
///     secrets_testkit::conformance!(ThroughManager::new(MemoryHarness::default()), without = [watch]);
/// }
/// ```
#[derive(Debug)]
pub struct ThroughManager<H>(H);

impl<H: Harness> ThroughManager<H> {
    /// Puts a manager over the backend of `harness`.
    pub fn new(harness: H) -> Self {
        Self(harness)
    }
}

#[async_trait]
impl<H: Harness> Harness for ThroughManager<H> {
    fn facts(&self) -> Facts {
        self.0.facts()
    }

    async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
        let backend = self.0.backend().await?;
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
        self.0.create(name, value).await
    }

    async fn update(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
        self.0.update(name, value).await
    }

    async fn delete(&self, name: &SecretName) -> Outcome {
        self.0.delete(name).await
    }

    async fn inject(&self, fault: Fault, name: &SecretName) -> Outcome {
        self.0.inject(fault, name).await
    }

    async fn heal(&self) -> Outcome {
        self.0.heal().await
    }

    fn requests(&self) -> Option<u64> {
        self.0.requests()
    }
}

/// A manager, as a backend.
#[derive(Debug)]
struct Managed {
    manager: SecretManager,
    capabilities: Capabilities,
}

fn reference(request: &ReadRequest<'_>) -> String {
    match request.version {
        None => request.name.to_string(),
        Some(version) => format!("{}?version={version}", request.name),
    }
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
        self.manager.get(reference(&request)).await.map(Fetched::from)
    }

    async fn get_many(&self, requests: &[ReadRequest<'_>]) -> Vec<Result<Fetched>> {
        let references: Vec<_> = requests.iter().map(reference).collect();
        let secrets = self.manager.get_many(&references).await;
        secrets
            .into_iter()
            .map(|secret| secret.map(Fetched::from))
            .collect()
    }

    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        self.manager.list(prefix.map(SecretName::as_str)).await
    }

    async fn check(&self) -> Result<()> {
        self.manager.check().await
    }

    async fn shutdown(&self) -> Result<()> {
        self.manager.shutdown().await
    }
}
