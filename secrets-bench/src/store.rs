//! A store of secrets in memory, as slow as one is told, that counts its calls.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use secrets::{Capabilities, Fetched, ReadRequest, Result, Secret, SecretBackend};

/// How many secrets the comparisons are about.
pub(crate) const KEYS: usize = 1_000;

/// The name of a secret, as long as names are in practice.
pub(crate) fn name(key: usize) -> String {
    format!("services/app-{key:04}/database/password")
}

/// Its value: 48 characters, a usual length for a password made by a program.
pub(crate) fn value(name: &str) -> Vec<u8> {
    let mut value = name.as_bytes().to_vec();
    value.resize(48, b'.');
    value
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    latency: Duration,
    batch: Option<NonZeroUsize>,
    calls: Arc<AtomicU64>,
}

impl Store {
    pub(crate) fn new(latency: Duration) -> Self {
        Self {
            latency,
            ..Self::default()
        }
    }

    /// One that reads this many secrets in one call.
    pub(crate) fn in_batches_of(self, batch: usize) -> Self {
        Self {
            batch: NonZeroUsize::new(batch),
            ..self
        }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// One call.
    pub(crate) async fn call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
    }
}

#[async_trait]
impl SecretBackend for Store {
    fn name(&self) -> &'static str {
        "bench"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_batch(self.batch)
    }

    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        self.call().await;
        Ok(Secret::new(value(request.name.as_str())).into())
    }

    async fn get_many(&self, requests: &[ReadRequest<'_>]) -> Vec<Result<Fetched>> {
        self.call().await;
        let secret = |request: &ReadRequest<'_>| Ok(Secret::new(value(request.name.as_str())).into());
        requests.iter().map(secret).collect()
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }
}
