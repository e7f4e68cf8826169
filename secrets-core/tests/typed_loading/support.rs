use std::fmt::Write as _;
use std::future::Future;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use secrets_core::{
    Capabilities, ConfigSecretLoader, Error, Fetched, ReadRequest, Result, SecretBackend, SecretManager,
    SecretName,
};
use secrets_testkit::{MemoryBackend, MemoryStore};
use serde::de::DeserializeOwned;

/// In every value that must not show up anywhere.
pub(crate) const CANARY: &str = "hunter2";

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

/// A store of these secrets, and a manager that reads it in pages large enough for every test.
pub(crate) struct Setup {
    pub(crate) store: MemoryStore,
    pub(crate) secrets: SecretManager,
    calls: Calls,
}

type Calls = Arc<Mutex<Vec<Vec<String>>>>;

impl Setup {
    pub(crate) fn new(secrets: &[(&str, &str)]) -> Self {
        let memory: MemoryBackend = secrets.iter().copied().collect();
        let memory = memory.with_batch(std::num::NonZeroUsize::new(1000));
        let store = memory.store();
        let calls = Calls::default();
        let backend = Recorder {
            memory,
            calls: calls.clone(),
        };
        Self {
            store,
            secrets: SecretManager::builder(backend).build().unwrap(),
            calls,
        }
    }

    pub(crate) fn load<T: DeserializeOwned>(&self) -> Result<T> {
        block_on(ConfigSecretLoader::new(&self.secrets, "smtp").load_as("db")).inspect_err(assert_silent)
    }

    pub(crate) fn load_all<T: DeserializeOwned>(&self, prefix: &str) -> Result<T> {
        block_on(ConfigSecretLoader::new(&self.secrets, prefix).load_all()).inspect_err(assert_silent)
    }

    /// The names of each call that arrived.
    pub(crate) fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().unwrap().clone()
    }
}

/// Loads `smtp/db` from a store that has just these below it.
pub(crate) fn load<T: DeserializeOwned>(fields: &[(&str, &str)]) -> Result<T> {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (format!("smtp/db/{name}"), *value))
        .collect();
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    Setup::new(&fields).load()
}

/// Loads `smtp/db`, which is this document.
pub(crate) fn load_document<T: DeserializeOwned>(document: &str) -> Result<T> {
    Setup::new(&[("smtp/db", document)]).load()
}

/// No form of an error has a value in it.
pub(crate) fn assert_silent(error: &Error) {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        write!(text, " {error} {error:?}").unwrap();
        source = error.source();
    }
    assert!(!text.contains(CANARY), "{text}");
}

pub(crate) fn missing(error: &Error) -> Vec<&str> {
    error.missing().iter().map(SecretName::as_str).collect()
}

/// Notes which names each call asks for.
#[derive(Debug)]
struct Recorder {
    memory: MemoryBackend,
    calls: Calls,
}

#[async_trait]
impl SecretBackend for Recorder {
    fn name(&self) -> &str {
        self.memory.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        self.calls.lock().unwrap().push(vec![request.name.to_string()]);
        self.memory.get(request).await
    }

    async fn get_many(&self, requests: &[ReadRequest<'_>]) -> Vec<Result<Fetched>> {
        let names = requests.iter().map(|request| request.name.to_string());
        self.calls.lock().unwrap().push(names.collect());
        self.memory.get_many(requests).await
    }

    async fn check(&self) -> Result<()> {
        self.memory.check().await
    }
}
