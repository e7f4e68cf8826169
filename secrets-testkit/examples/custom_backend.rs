//! A backend for a store that `secrets` does not know, in one file.
//!
//! `cargo run -p secrets-testkit --example custom_backend` reads through it, and
//! `cargo test -p secrets-testkit --example custom_backend` holds it against the whole contract.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use secrets_core::{
    Capabilities, Cause, Error, ErrorKind, Fetched, ReadRequest, Result, Secret, SecretBackend,
    SecretManager, SecretName,
};

/// Reads secrets from Acme Keeper.
///
/// `smtp/api-key` is the entry `smtp.api-key`: each `/` becomes a `.`, and everything else is as it is. Acme knows lower-case
/// letters, digits and `-`, and keys of up to 100 bytes; any other name is `InvalidName`. There are no versions.
struct AcmeBackend {
    client: Arc<acme::Client>,
}

impl AcmeBackend {
    fn new(client: Arc<acme::Client>) -> Self {
        Self { client }
    }

    /// Acme's key for a name. Nothing is ever changed to make it fit: it would be another secret's name.
    fn key(name: &SecretName) -> Result<String> {
        let fits = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '/');
        if let Some(c) = name.as_str().chars().find(|c| !fits(c)) {
            let message = format!(
                "Acme's keys cannot hold `{}`; use a-z, 0-9 and -",
                c.escape_debug()
            );
            return Err(Error::new(ErrorKind::InvalidName, message));
        }
        if name.as_str().len() > 100 {
            return Err(Error::new(
                ErrorKind::InvalidName,
                "Acme's keys have at most 100 bytes",
            ));
        }
        Ok(name.as_str().replace('/', "."))
    }

    async fn read(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        request.refuse_version()?;
        let value = self.client.fetch(&Self::key(request.name)?).await;
        Ok(Secret::new(value.map_err(|error| translated(&error))?).into())
    }
}

/// Each of the vendor's failures has its kind. None of its text is kept: `Protocol` quotes the response.
fn translated(error: &acme::Error) -> Error {
    match error {
        acme::Error::NoSuchEntry => {
            Error::new(ErrorKind::NotFound, "Acme has no such entry; create it first")
        }
        acme::Error::Forbidden { request_id } => Error::new(
            ErrorKind::PermissionDenied,
            "ask for the role `reader` on this entry",
        )
        .with_cause(Cause::new().with_status(403).with_request_id(request_id)),
        acme::Error::Protocol(_) => Error::new(ErrorKind::InvalidData, "Acme's answer is malformed"),
    }
}

/// The client's own `Debug` would print its token.
impl fmt::Debug for AcmeBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcmeBackend").finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretBackend for AcmeBackend {
    fn name(&self) -> &'static str {
        "acme"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_list(true)
    }

    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let read = self.read(request).await;
        read.map_err(|error| error.with_backend(self.name()).with_secret(request.name))
    }

    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        let keys = self.client.keys().await;
        let keys = keys.map_err(|error| translated(&error).with_backend(self.name()))?;
        // What somebody stored under a key that no name maps to cannot be read here, so it is not listed either.
        let names = keys
            .iter()
            .filter_map(|key| SecretName::new(key.replace('.', "/")).ok());
        Ok(names
            .filter(|name| Self::key(name).is_ok() && prefix.is_none_or(|prefix| name.starts_with(prefix)))
            .collect())
    }

    async fn check(&self) -> Result<()> {
        let keys = self.client.keys().await;
        keys.map(drop)
            .map_err(|error| translated(&error).with_backend(self.name()))
    }
}

/// All that it takes to test the backend: how to change the store behind its back.
#[cfg(test)]
mod tests {
    use secrets_core::Version;
    use secrets_testkit::{Facts, Harness, Outcome};

    use super::*;

    #[derive(Default)]
    struct Acme(Arc<acme::Client>);

    #[async_trait]
    impl Harness for Acme {
        fn facts(&self) -> Facts {
            Facts::new().with_credential(acme::TOKEN)
        }

        async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
            Ok(Arc::new(AcmeBackend::new(self.0.clone())))
        }

        async fn create(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
            self.0.store(&AcmeBackend::key(name)?, value);
            Ok(None)
        }

        async fn delete(&self, name: &SecretName) -> Outcome {
            self.0.remove(&AcmeBackend::key(name)?);
            Ok(())
        }
    }

    secrets_testkit::conformance!(Acme::default(), without = [versions, watch, faults]);

    #[test]
    fn e1_a_denial_is_told_from_absence_and_keeps_its_request_id() {
        let error = translated(&acme::Error::Forbidden {
            request_id: "r-1".into(),
        });
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(error.cause().unwrap().request_id(), Some("r-1"));
    }

    #[test]
    fn s7_a_malformed_answer_is_not_quoted() {
        let error = translated(&acme::Error::Protocol("hunter2".into()));
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}

fn main() -> Result<()> {
    let client = Arc::new(acme::Client::default());
    client.store("smtp.api-key", b"hunter2");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        let secrets = SecretManager::builder(AcmeBackend::new(client)).build()?;
        let key = secrets.get("smtp/api-key").await?;
        println!("smtp/api-key has {} bytes", key.expose_secret().len());
        match secrets.get("smtp/API_KEY").await {
            Ok(_) => println!("smtp/API_KEY was read"),
            Err(error) => println!("{error}"),
        }
        Ok(())
    })
}

/// The vendor's client, with the habits of such: imagine a crate here.
#[allow(unreachable_pub, reason = "a crate has public items")]
mod acme {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    pub const TOKEN: &str = "acme-token-3f9aKq77";

    #[derive(Debug)]
    pub struct Client {
        #[allow(dead_code, reason = "a real client sends it; `Debug` prints it")]
        token: &'static str,
        entries: Mutex<BTreeMap<String, Vec<u8>>>,
    }

    #[derive(Debug)]
    pub enum Error {
        NoSuchEntry,
        #[allow(dead_code, reason = "this store lets everybody in")]
        Forbidden {
            request_id: String,
        },
        #[allow(dead_code, reason = "this store answers well")]
        Protocol(String),
    }

    impl Client {
        pub async fn fetch(&self, key: &str) -> Result<Vec<u8>, Error> {
            let found = self.entries().get(key).cloned();
            std::future::ready(found).await.ok_or(Error::NoSuchEntry)
        }

        pub async fn keys(&self) -> Result<Vec<String>, Error> {
            let keys = self.entries().keys().cloned().collect();
            Ok(std::future::ready(keys).await)
        }

        pub fn store(&self, key: &str, value: &[u8]) {
            self.entries().insert(key.into(), value.into());
        }

        #[allow(dead_code, reason = "only tests delete")]
        pub fn remove(&self, key: &str) {
            self.entries().remove(key);
        }

        fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
            self.entries.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Default for Client {
        fn default() -> Self {
            Self {
                token: TOKEN,
                entries: Mutex::default(),
            }
        }
    }
}
