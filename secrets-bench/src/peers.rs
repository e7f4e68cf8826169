//! The others: each as its documentation shows it, set up to keep all secrets for five minutes.

use std::collections::HashMap;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Config, Credentials, Region};
use aws_secretsmanager_caching::SecretsManagerCachingClient;
use aws_secretsmanager_caching::output::GetSecretValueOutputDef;
use secret_vault::{
    SecretMetadata, SecretVault, SecretVaultBuilder, SecretVaultNoEncryption, SecretVaultRef,
    SecretVaultResult, SecretVaultView, SecretVaultViewer, SecretsSource,
};
use secret_vault_value::SecretValue;

use crate::store::{KEYS, Store, name, value};
use crate::stub;
use crate::subject::Reads;

const TTL: Duration = Duration::from_secs(300);

fn names() -> Vec<String> {
    (0..KEYS).map(name).collect()
}

/// What a lookup costs at the least: a map without locks, and nothing else.
pub(crate) struct Lookup {
    names: Vec<String>,
    map: papaya::HashMap<Arc<str>, Arc<[u8]>, foldhash::fast::RandomState>,
}

impl Lookup {
    pub(crate) fn new() -> Self {
        // Made at its final size: while a table is being moved to a larger one, lookups look into both.
        let map = papaya::HashMap::with_capacity_and_hasher(KEYS, foldhash::fast::RandomState::default());
        for name in names() {
            let value = value(&name);
            map.pin().insert(name.into(), value.into());
        }
        Self { names: names(), map }
    }
}

impl Reads for Lookup {
    type Value<'a> = bool;

    async fn read(&self, key: usize) -> bool {
        let map = self.map.pin();
        black_box(map.get(self.names[key].as_str())).is_some()
    }
}

/// The same, when the value has to outlive the look: it is shared with the map.
pub(crate) struct SharedLookup(pub(crate) Lookup);

impl Reads for SharedLookup {
    type Value<'a> = Option<Arc<[u8]>>;

    async fn read(&self, key: usize) -> Option<Arc<[u8]>> {
        self.0.map.pin().get(self.0.names[key].as_str()).cloned()
    }
}

/// What one writes first: a map behind a mutex, with a copy for each reader.
pub(crate) struct Naive {
    names: Vec<String>,
    store: Store,
    map: Mutex<HashMap<String, (Instant, Vec<u8>)>>,
}

impl Naive {
    pub(crate) async fn new(store: Store) -> Self {
        let naive = Self {
            names: names(),
            store,
            map: Mutex::default(),
        };
        for key in 0..KEYS {
            naive.read(key).await;
        }
        naive
    }
}

impl Reads for Naive {
    type Value<'a> = Vec<u8>;

    async fn read(&self, key: usize) -> Vec<u8> {
        let name = &self.names[key];
        let known = match self.map.lock().unwrap().get(name) {
            Some((read, value)) if read.elapsed() < TTL => Some(value.clone()),
            _ => None,
        };
        if let Some(value) = known {
            return value;
        }
        self.store.call().await;
        let value = value(name);
        self.map
            .lock()
            .unwrap()
            .insert(name.clone(), (Instant::now(), value.clone()));
        value
    }
}

/// A general cache, asked as its documentation shows: with the call to make on a miss.
pub(crate) struct Moka {
    names: Vec<String>,
    store: Store,
    cache: moka::future::Cache<String, Arc<[u8]>>,
}

impl Moka {
    pub(crate) async fn new(store: Store) -> Self {
        let cache = moka::future::Cache::builder()
            .max_capacity(10_000)
            .time_to_live(TTL)
            .build();
        let moka = Self {
            names: names(),
            store,
            cache,
        };
        for key in 0..KEYS {
            moka.read(key).await;
        }
        moka.cache.run_pending_tasks().await;
        moka
    }
}

impl Reads for Moka {
    type Value<'a> = Arc<[u8]>;

    async fn read(&self, key: usize) -> Arc<[u8]> {
        let name = self.names[key].as_str();
        let fetch = async {
            self.store.call().await;
            Arc::from(value(name))
        };
        // Boxed, as its documentation advises for a future of some size.
        self.cache
            .entry_by_ref(name)
            .or_insert_with(Box::pin(fetch))
            .await
            .into_value()
    }
}

/// The nearest peer: secrets from several stores, kept in memory, without its encryption.
pub(crate) struct Vault {
    references: Vec<SecretVaultRef>,
    viewer: SecretVaultViewer<SecretVaultNoEncryption>,
    _vault: SecretVault<VaultSource, SecretVaultNoEncryption>,
}

pub(crate) struct VaultSource;

#[async_trait]
impl SecretsSource for VaultSource {
    fn name(&self) -> String {
        "bench".to_owned()
    }

    async fn get_secrets(
        &self,
        references: &[SecretVaultRef],
    ) -> SecretVaultResult<HashMap<SecretVaultRef, secret_vault::Secret>> {
        let secret = |reference: &SecretVaultRef| {
            let value = SecretValue::new(value(reference.key.secret_name.value()));
            let secret = secret_vault::Secret::new(value, SecretMetadata::create_from_ref(reference));
            (reference.clone(), secret)
        };
        Ok(references.iter().map(secret).collect())
    }
}

impl Vault {
    pub(crate) async fn new() -> SecretVaultResult<Self> {
        let references: Vec<_> = names()
            .into_iter()
            .map(|name| SecretVaultRef::new(name.into()))
            .collect();
        let vault = SecretVaultBuilder::with_source(VaultSource)
            .build()?
            .with_secret_refs(references.iter().collect());
        vault.refresh().await?;
        Ok(Self {
            references,
            viewer: vault.viewer(),
            _vault: vault,
        })
    }
}

impl Reads for Vault {
    type Value<'a> = secret_vault::Secret;

    async fn read(&self, key: usize) -> secret_vault::Secret {
        let secret = self.viewer.get_secret_by_ref(&self.references[key]).await;
        secret.ok().flatten().expect("every secret was loaded")
    }
}

/// AWS's own caching client, over a stub on loopback.
pub(crate) struct AwsCaching {
    names: Vec<String>,
    client: SecretsManagerCachingClient,
}

impl AwsCaching {
    /// One that has read nothing yet.
    pub(crate) async fn cold(store: Store) -> Result<Self, Box<dyn std::error::Error>> {
        let address = stub::serve(store).await?;
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("bench", "bench", None, None, "bench"))
            .endpoint_url(format!("http://{address}"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        let client = aws_sdk_secretsmanager::Client::from_conf(config);
        let most = NonZeroUsize::new(10_000).unwrap();
        Ok(Self {
            names: names(),
            client: SecretsManagerCachingClient::new(client, most, TTL, true)?,
        })
    }

    /// One that has read everything.
    pub(crate) async fn new(store: Store) -> Result<Self, Box<dyn std::error::Error>> {
        let caching = Self::cold(store).await?;
        for key in 0..KEYS {
            caching.read(key).await;
        }
        Ok(caching)
    }
}

impl Reads for AwsCaching {
    type Value<'a> = GetSecretValueOutputDef;

    async fn read(&self, key: usize) -> GetSecretValueOutputDef {
        let secret = self
            .client
            .get_secret_value(&self.names[key], None, None, false)
            .await;
        secret.expect("the stub answers every read")
    }
}
