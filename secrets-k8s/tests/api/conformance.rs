//! The conformance suite over the API: on a fake, by labels, and through a manager. `live` runs it on a real API server.

use std::sync::Arc;
use std::time::Duration;

use secrets_core::{
    Capabilities, Fetched, ReadRequest, Result, SecretBackend, SecretManager, SecretName, SecretRef, Version,
};
use secrets_k8s::K8sApiBuilder;
use secrets_testkit::fakes::k8s::{Failure, FakeK8s, Rule};
use secrets_testkit::wire::TestCa;
use secrets_testkit::{Canary, Facts, Fault, Harness, Outcome, async_trait};

mod fake {
    use super::*;
    secrets_testkit::conformance!(Api::new(|builder| builder), without = [versions]);
}

mod fake_by_labels {
    use super::*;
    secrets_testkit::conformance!(
        Api::new(|builder| builder.label_selector("kit=yes")),
        without = [versions]
    );
}

mod fake_without_idle_connections {
    use super::*;
    secrets_testkit::conformance!(
        Api::new(|builder| builder.idle_connections(false).list_namespace(true)),
        without = [versions]
    );
}

mod fake_through_the_manager {
    use super::*;
    secrets_testkit::conformance!(Api::new(|builder| builder).managed(), without = [versions, watch]);
}

/// A fake of its own for each case, and a reader of its Secrets.
struct Api {
    cluster: FakeK8s,
    reader: String,
    options: fn(K8sApiBuilder) -> K8sApiBuilder,
    managed: bool,
}

impl Api {
    fn new(options: fn(K8sApiBuilder) -> K8sApiBuilder) -> Self {
        let reader = Canary::random().expose().to_owned();
        let cluster = FakeK8s::start_with(TestCa::new(), "admin").unwrap();
        cluster.user(&reader, [Rule::new("app", &["get", "list", "watch"])]);
        Self {
            cluster,
            reader,
            options,
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

pub(crate) fn facts() -> Facts {
    let inexpressible = ["A/b", "a_b/c", "a/b c", "a/..b", "-a/b", "é"];
    Facts::new()
        // A Secret holds a mebibyte, its names included.
        .with_max_len(512 * 1024)
        .with_canonical(canonical)
        .with_inexpressible(inexpressible.map(|name| SecretName::new(name).unwrap()))
}

#[async_trait]
impl Harness for Api {
    fn facts(&self) -> Facts {
        facts()
            .with_faults([
                Fault::Denied,
                Fault::Garbage,
                Fault::Hang,
                Fault::Throttled,
                Fault::Unauthenticated,
                Fault::Unreachable,
            ])
            .with_credential(&self.reader)
    }

    async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
        let builder = crate::support::builder(&self.cluster, &self.reader);
        let backend = (self.options)(builder).build()?;
        if !self.managed {
            return Ok(Arc::new(backend));
        }
        let capabilities = backend.capabilities().with_watch(false);
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
        let (secret, key) = place(name);
        self.cluster.put_key("app", &secret, &key, value);
        self.cluster.label("app", &secret, &[("kit", "yes")]);
        Ok(None)
    }

    async fn update(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
        let (secret, key) = place(name);
        self.cluster.put_key("app", &secret, &key, value);
        Ok(None)
    }

    async fn delete(&self, name: &SecretName) -> Outcome {
        let (secret, key) = place(name);
        self.cluster.remove_key("app", &secret, &key);
        Ok(())
    }

    async fn inject(&self, fault: Fault, _: &SecretName) -> Outcome {
        let at = |status| Failure::new("/secrets", status);
        match fault {
            Fault::Denied => self.cluster.fail(at(403)),
            Fault::Garbage => self
                .cluster
                .fail(at(200).body(r#"{"metadata":{"name":"a"},"data":{"k":"half of a"#)),
            Fault::Hang => self.cluster.fail(Failure::hang("/secrets")),
            Fault::Throttled => self.cluster.fail(at(429).retry_after("1")),
            Fault::Unauthenticated => self.cluster.fail(Failure::new("/", 401)),
            Fault::Unreachable => self.cluster.stop(),
            other => return Err(format!("Kubernetes knows no {other:?}").into()),
        }
        Ok(())
    }

    async fn heal(&self) -> Outcome {
        self.cluster.heal();
        self.cluster.start_again()?;
        Ok(())
    }

    fn requests(&self) -> Option<u64> {
        Some(self.cluster.calls().len() as u64)
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

    async fn check(&self) -> Result<()> {
        self.manager.check().await
    }

    async fn shutdown(&self) -> Result<()> {
        self.manager.shutdown().await
    }
}
