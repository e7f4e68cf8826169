//! The conformance suite over both services, and through the manager.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use secrets_aws::{ParameterStoreBackend, SecretsManagerBackend};
use secrets_core::{
    Capabilities, Fetched, ReadRequest, Result, SecretBackend, SecretManager, SecretName, SecretRef, Version,
};
use secrets_testkit::fakes::aws::{Failure, FakeAws, Kms};
use secrets_testkit::{Alphabet, Canary, Facts, Fault, Harness, Outcome, VersionFacts, async_trait};

mod secrets_manager {
    use super::*;
    secrets_testkit::conformance!(Aws::new(Service::Secrets), without = [empty, watch]);
}

mod secrets_manager_through_the_manager {
    use super::*;
    secrets_testkit::conformance!(Aws::new(Service::Secrets).managed(), without = [empty, watch]);
}

mod secrets_manager_without_batches {
    use super::*;
    secrets_testkit::conformance!(Aws::without_batches(Service::Secrets), without = [empty, watch]);
}

mod parameter_store {
    use super::*;
    secrets_testkit::conformance!(Aws::new(Service::Parameters), without = [bytes, empty, watch]);
}

mod parameter_store_through_the_manager {
    use super::*;
    secrets_testkit::conformance!(
        Aws::new(Service::Parameters).managed(),
        without = [bytes, empty, watch]
    );
}

mod parameter_store_without_batches {
    use super::*;
    secrets_testkit::conformance!(
        Aws::without_batches(Service::Parameters),
        without = [bytes, empty, watch]
    );
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Parameters,
    Secrets,
}

impl Service {
    pub(crate) fn versions(self) -> VersionFacts {
        let version = |text| Version::new(text).unwrap();
        match self {
            Self::Secrets => VersionFacts::new(version("00000000-0000-4000-8000-000000000000"))
                .with_latest_stage(version("stage:AWSCURRENT"))
                .with_previous_stage(version("stage:AWSPREVIOUS"))
                .with_malformed(["1", "latest", "AWSPREVIOUS", "stage:"].map(version)),
            Self::Parameters => VersionFacts::new(version("999999"))
                .with_malformed(["0", "01", "+1", "1.0", "latest", "label:", "label:1"].map(version)),
        }
    }

    pub(crate) fn facts(self) -> Facts {
        let facts = Facts::new().without_empty_values().with_versions(self.versions());
        match self {
            Self::Secrets => facts.with_max_len(65_536),
            Self::Parameters => facts.with_max_len(8_192).with_alphabet(Alphabet::Text),
        }
    }
}

/// A fake of its own for each case, and the backend with a user's key.
struct Aws {
    fake: FakeAws,
    service: Service,
    key: (String, String),
    prefix: String,
    managed: bool,
}

impl Aws {
    fn new(service: Service) -> Self {
        Self::allowed(service, &[("*", "*")])
    }

    fn without_batches(service: Service) -> Self {
        Self::allowed(
            service,
            &[
                ("secretsmanager:GetSecretValue", "*"),
                ("secretsmanager:ListSecrets", "*"),
                ("ssm:GetParameter", "*"),
                ("ssm:GetParametersByPath", "*"),
            ],
        )
    }

    fn allowed(service: Service, allowed: &[(&str, &str)]) -> Self {
        // What the keys begin with is a canary: none of them may show up anywhere.
        let prefix = Canary::random().expose().to_owned();
        let aws = FakeAws::builder().credential_prefix(&prefix).start().unwrap();
        Self {
            key: aws.user("kit", allowed),
            fake: aws,
            service,
            prefix,
            managed: false,
        }
    }

    fn managed(mut self) -> Self {
        self.managed = true;
        self
    }
}

#[async_trait]
impl Harness for Aws {
    fn facts(&self) -> Facts {
        self.service
            .facts()
            .with_faults([
                Fault::Denied,
                Fault::Disabled,
                Fault::Garbage,
                Fault::Hang,
                Fault::Throttled,
                Fault::Unauthenticated,
                Fault::Unreachable,
            ])
            .with_credential(&self.prefix)
    }

    async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
        let secret = SecretString::from(self.key.1.clone());
        let backend: Arc<dyn SecretBackend> = match self.service {
            Service::Secrets => Arc::new(
                SecretsManagerBackend::builder()
                    .region(self.fake.region())
                    .endpoint(self.fake.url())
                    .ca_pem(self.fake.ca_pem())
                    .credentials(&self.key.0, secret, None)
                    .build()?,
            ),
            Service::Parameters => Arc::new(
                ParameterStoreBackend::builder()
                    .region(self.fake.region())
                    .endpoint(self.fake.url())
                    .ca_pem(self.fake.ca_pem())
                    .credentials(&self.key.0, secret, None)
                    .build()?,
            ),
        };
        Ok(if self.managed { managed(backend)? } else { backend })
    }

    async fn create(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
        let version = match self.service {
            Service::Secrets => self.fake.put_secret(name.as_str(), value),
            Service::Parameters => {
                let text = std::str::from_utf8(value)?;
                self.fake.put_parameter(&format!("/{name}"), text).to_string()
            }
        };
        Ok(Some(Version::new(version)?))
    }

    async fn delete(&self, name: &SecretName) -> Outcome {
        let deleted = match self.service {
            Service::Secrets => self.fake.delete_secret(name.as_str()),
            Service::Parameters => self.fake.delete_parameter(&format!("/{name}")),
        };
        if deleted {
            Ok(())
        } else {
            Err("there was none".into())
        }
    }

    async fn inject(&self, fault: Fault, name: &SecretName) -> Outcome {
        let fail = |code: &str| self.fake.fail(Failure::new("", 400).code(code));
        match fault {
            Fault::Denied => fail("AccessDeniedException"),
            Fault::Disabled => match self.service {
                Service::Secrets => self.fake.schedule_deletion(name.as_str()),
                Service::Parameters => self.fake.set_kms(&format!("/{name}"), Kms::Disabled),
            },
            Fault::Garbage => self
                .fake
                .fail(Failure::new("", 200).body(r#"{"SecretString":"half of a"#)),
            Fault::Hang => self.fake.fail(Failure::hang("")),
            Fault::Throttled => fail("ThrottlingException"),
            Fault::Unauthenticated => fail("UnrecognizedClientException"),
            Fault::Unreachable => self.fake.stop(),
            other => return Err(format!("AWS knows no {other:?}").into()),
        }
        Ok(())
    }

    async fn heal(&self) -> Outcome {
        self.fake.heal();
        self.fake.restore_all();
        self.fake.resume()?;
        Ok(())
    }

    fn requests(&self) -> Option<u64> {
        Some(self.fake.calls().len() as u64)
    }
}

/// A manager that keeps nothing over a backend, as a backend.
pub(crate) fn managed(backend: Arc<dyn SecretBackend>) -> Outcome<Arc<dyn SecretBackend>> {
    let capabilities = backend.capabilities();
    // A healed store is asked at once: what the manager adds in time is its own tests' affair.
    let manager = SecretManager::builder(backend)
        .ttl(Duration::ZERO)
        .breaker(u32::MAX, Duration::from_secs(1), Duration::from_secs(1))
        .build()?;
    Ok(Arc::new(Managed {
        manager,
        capabilities,
    }))
}

#[derive(Debug)]
struct Managed {
    manager: SecretManager,
    capabilities: Capabilities,
}

impl Managed {
    fn reference(request: &ReadRequest<'_>) -> String {
        match request.version {
            None => request.name.to_string(),
            Some(version) => format!("{}?version={version}", request.name),
        }
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
        let reference = SecretRef::parse(Self::reference(&request))?;
        Ok(self.manager.get(&reference.to_string()).await?.into())
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
