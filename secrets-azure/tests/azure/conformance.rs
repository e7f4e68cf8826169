//! The conformance suite over the fake.

use std::sync::Arc;
use std::time::Duration;

use secrets_azure::{Auth, AzureBackend};
use secrets_core::{
    Capabilities, Fetched, ReadRequest, Result, SecretBackend, SecretManager, SecretName, SecretRef, Version,
};
use secrets_testkit::fakes::azure::{Failure, FakeAzure, HOST, TENANT};
use secrets_testkit::{Alphabet, Canary, Facts, Fault, Harness, Outcome, VersionFacts, async_trait};

use crate::support::{APP, reach};

mod directly {
    use super::*;
    secrets_testkit::conformance!(AzureHarness::new(false), without = [bytes, watch]);
}

mod through_the_manager {
    use super::*;
    secrets_testkit::conformance!(AzureHarness::new(true), without = [bytes, watch]);
}

/// What every Key Vault is like.
pub(crate) fn facts() -> Facts {
    let version = |text: &str| Version::new(text).unwrap();
    let name = |text: &str| SecretName::new(text).unwrap();
    Facts::new()
        .with_alphabet(Alphabet::Text)
        .with_max_len(25 * 1024)
        // Key Vault ignores case.
        .with_canonical(|name| name.as_str().to_ascii_lowercase())
        .with_inexpressible(["a_b", "a.b", "a b", "a--b", "-a", "a-", "a/-b", "é"].map(name))
        .with_versions(
            VersionFacts::new(version("0123456789abcdef0123456789abcdef")).with_malformed(
                [
                    "1",
                    "latest",
                    "0123456789ABCDEF0123456789ABCDEF",
                    "0123456789abcdef",
                ]
                .map(version),
            ),
        )
}

/// What a name is called in the vault.
pub(crate) fn encoded(name: &SecretName) -> String {
    name.as_str().replace('/', "--")
}

/// A fake of its own for each case, and the backend with a client secret.
struct AzureHarness {
    azure: FakeAzure,
    managed: bool,
    credentials: [String; 2],
}

impl AzureHarness {
    fn new(managed: bool) -> Self {
        // What the tokens begin with is a canary: none of them may show up anywhere.
        let [prefix, secret] = [(); 2].map(|()| Canary::random());
        let azure = FakeAzure::builder()
            .token_prefix(prefix.expose())
            .start()
            .unwrap();
        azure.app(APP, secret.expose());
        Self {
            azure,
            managed,
            credentials: [prefix, secret].map(|canary| canary.expose().to_owned()),
        }
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Outcome<String> {
        match self.azure.admin(method, path, body) {
            (200..=299, answer) => Ok(answer),
            (status, answer) => Err(format!("{method} {path}: {status} {answer}").into()),
        }
    }
}

#[async_trait]
impl Harness for AzureHarness {
    fn facts(&self) -> Facts {
        facts()
            .with_faults([
                Fault::Denied,
                Fault::Disabled,
                Fault::Garbage,
                Fault::Hang,
                Fault::Throttled,
                Fault::Unauthenticated,
                Fault::Unreachable,
            ])
            .with_credential(&self.credentials[0])
            .with_credential(&self.credentials[1])
    }

    async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
        let backend = reach(AzureBackend::builder(HOST), &self.azure)
            .auth(Auth::client_secret(TENANT, APP, self.credentials[1].clone()))
            .build()?;
        if !self.managed {
            return Ok(Arc::new(backend));
        }
        let capabilities = backend.capabilities();
        // Nothing is kept, and a healed store is asked at once: what the manager adds in time is its own tests' affair.
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
        let body = serde_json::json!({ "value": std::str::from_utf8(value)? });
        let answer = self.call("PUT", &format!("secrets/{}", encoded(name)), &body.to_string())?;
        let answer: serde_json::Value = serde_json::from_str(&answer)?;
        let id = answer["id"].as_str().ok_or("no id")?;
        Ok(Some(Version::new(id.rsplit('/').next().unwrap_or_default())?))
    }

    async fn delete(&self, name: &SecretName) -> Outcome {
        self.call("DELETE", &format!("secrets/{}", encoded(name)), "")?;
        self.call("DELETE", &format!("deletedsecrets/{}", encoded(name)), "")?;
        Ok(())
    }

    async fn inject(&self, fault: Fault, name: &SecretName) -> Outcome {
        let path = format!("secrets/{}/", encoded(name));
        match fault {
            Fault::Denied => self.azure.fail(Failure::forbidden(path, "ForbiddenByRbac")),
            Fault::Disabled => self.azure.fail(Failure::forbidden(path, "SecretDisabled")),
            Fault::Garbage => self
                .azure
                .fail(Failure::new(path, 200).body(r#"{"value":"half of a"#)),
            Fault::Hang => self.azure.fail(Failure::hang(path)),
            Fault::Throttled => self.azure.fail(Failure::new(path, 429).retry_after("1")),
            // Logins succeed, and what they bring is refused all the same. (After a refused login the backend waits before
            // it tries again, as it must; the kit does not.)
            Fault::Unauthenticated => self.azure.fail(Failure::new("secrets/", 401)),
            Fault::Unreachable => self.azure.stop(),
            other => return Err(format!("Key Vault knows no {other:?}").into()),
        }
        Ok(())
    }

    async fn heal(&self) -> Outcome {
        self.azure.heal();
        self.azure.start_again()?;
        Ok(())
    }

    fn requests(&self) -> Option<u64> {
        Some(self.azure.calls().len() as u64)
    }
}

/// A manager that keeps nothing, as a backend.
#[derive(Debug)]
pub(crate) struct Managed {
    pub(crate) manager: SecretManager,
    pub(crate) capabilities: Capabilities,
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
        Ok(self
            .manager
            .get(&SecretRef::parse(reference)?.to_string())
            .await?
            .into())
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
