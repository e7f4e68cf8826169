//! This library, with every default of its manager.

use std::sync::Arc;

use arc_swap::ArcSwap;
use secrets::{Result, Secret, SecretGuard, SecretHandle, SecretManager};

use crate::store::{KEYS, Store, name, value};
use crate::subject::Reads;

/// `manager.get(name).await`
pub(crate) struct Manager {
    names: Vec<String>,
    secrets: SecretManager,
}

impl Manager {
    pub(crate) fn cold(store: Store) -> Result<Self> {
        Ok(Self {
            names: (0..KEYS).map(name).collect(),
            secrets: SecretManager::builder(store).build()?,
        })
    }

    pub(crate) async fn new(store: Store) -> Result<Self> {
        let manager = Self::cold(store)?;
        manager.load().await;
        Ok(manager)
    }

    /// Reads every secret in one call.
    pub(crate) async fn load(&self) {
        let secrets = self.secrets.get_many(&self.names).await;
        assert!(secrets.iter().all(Result::is_ok), "the store answers every read");
    }
}

impl Reads for Manager {
    type Value<'a> = Secret;

    async fn read(&self, key: usize) -> Secret {
        let secret = self.secrets.get(&self.names[key]).await;
        secret.expect("the store answers every read")
    }
}

/// `handle.current()`
pub(crate) struct Handle {
    handle: SecretHandle,
}

impl Handle {
    pub(crate) async fn new(store: Store) -> Result<Self> {
        let secrets = SecretManager::builder(store).build()?;
        Ok(Self {
            handle: secrets.handle(name(0)).await?,
        })
    }
}

impl Reads for Handle {
    type Value<'a> = SecretGuard;

    async fn read(&self, _: usize) -> SecretGuard {
        self.handle.current().expect("the handle has a value")
    }
}

/// What reading a shared value costs at the least that somebody else may replace.
pub(crate) struct Swap(ArcSwap<Vec<u8>>);

impl Swap {
    pub(crate) fn new() -> Self {
        Self(ArcSwap::from_pointee(value(&name(0))))
    }
}

impl Reads for Swap {
    type Value<'a> = arc_swap::Guard<Arc<Vec<u8>>>;

    async fn read(&self, _: usize) -> arc_swap::Guard<Arc<Vec<u8>>> {
        self.0.load()
    }
}
