//! The conformance suite over every shape of the backend.

use std::sync::Arc;

use base64ct::Encoding as _;
use secrets_core::{SecretBackend, SecretName, Version};
use secrets_testkit::fakes::vault::{Failure, FakeVault};
use secrets_testkit::{Canary, Facts, Fault, Harness, Outcome, ThroughManager, VersionFacts, async_trait};
use secrets_vault::{Engine, VaultBackend};

mod kv1 {
    use super::*;
    secrets_testkit::conformance!(VaultHarness::new(Engine::Kv1), without = [versions, watch]);
}

mod kv2 {
    use super::*;
    secrets_testkit::conformance!(VaultHarness::new(Engine::Kv2), without = [watch]);
}

mod kv2_through_the_manager {
    use super::*;
    secrets_testkit::conformance!(
        ThroughManager::new(VaultHarness::new(Engine::Kv2)),
        without = [watch]
    );
}

/// A fake of its own for each case, a KV engine mounted in it, and the backend with an `AppRole`.
struct VaultHarness {
    vault: FakeVault,
    engine: Engine,
    credentials: [String; 2],
}

impl VaultHarness {
    fn new(engine: Engine) -> Self {
        // What the tokens begin with is a canary: none of them may show up anywhere.
        let prefix = Canary::random();
        let vault = FakeVault::builder()
            .token_prefix(prefix.expose())
            .start()
            .unwrap();
        let version = if engine == Engine::Kv1 { "1" } else { "2" };
        let mount = format!(r#"{{"type":"kv","options":{{"version":"{version}"}}}}"#);
        vault.admin("POST", "sys/mounts/kit", &mount);
        vault.policy("kit", &[("kit/*", &["read", "list"])]);
        vault.admin(
            "POST",
            "auth/approle/role/app",
            r#"{"token_policies":"kit","token_ttl":"1h"}"#,
        );
        let (_, made) = vault.admin("POST", "auth/approle/role/app/secret-id", "{}");
        let secret_id = crate::server::text(&made, "secret_id");
        Self {
            vault,
            engine,
            credentials: [prefix.expose().to_owned(), secret_id],
        }
    }

    /// Where reads of a name arrive.
    fn path(&self, name: &SecretName) -> String {
        match self.engine {
            Engine::Kv1 => format!("kit/{name}"),
            _ => format!("kit/data/{name}"),
        }
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Outcome<String> {
        match self.vault.admin(method, path, body) {
            (200..=299, answer) => Ok(answer),
            (status, answer) => Err(format!("{method} {path}: {status} {answer}").into()),
        }
    }
}

#[async_trait]
impl Harness for VaultHarness {
    fn facts(&self) -> Facts {
        let version = |text| Version::new(text).unwrap();
        let facts = Facts::new()
            .with_faults([
                Fault::Denied,
                Fault::Garbage,
                Fault::Hang,
                Fault::Throttled,
                Fault::Unauthenticated,
                Fault::Unreachable,
            ])
            .with_credential(&self.credentials[0])
            .with_credential(&self.credentials[1]);
        match self.engine {
            Engine::Kv1 => facts,
            _ => facts.with_versions(
                VersionFacts::new(version("999999"))
                    .with_malformed(["0", "01", "+1", "1.0", "latest"].map(version)),
            ),
        }
    }

    async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
        let backend = VaultBackend::builder(self.vault.address())
            .ca_pem(self.vault.ca_pem())
            .mount("kit")
            .engine(self.engine)
            .binary_suffix("_b64")
            .app_role("role-id-app", self.credentials[1].clone())
            .build()?;
        Ok(Arc::new(backend))
    }

    async fn create(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
        let map = match std::str::from_utf8(value) {
            Ok(text) => serde_json::json!({ "value": text }),
            Err(_) => serde_json::json!({ "value_b64": base64ct::Base64::encode_string(value) }),
        };
        if self.engine == Engine::Kv1 {
            self.call("POST", &self.path(name), &map.to_string())?;
            return Ok(None);
        }
        let answer = self.call(
            "POST",
            &self.path(name),
            &serde_json::json!({ "data": map }).to_string(),
        )?;
        let answer: serde_json::Value = serde_json::from_str(&answer)?;
        Ok(Some(Version::new(answer["version"].to_string())?))
    }

    async fn delete(&self, name: &SecretName) -> Outcome {
        let path = match self.engine {
            Engine::Kv1 => self.path(name),
            _ => format!("kit/metadata/{name}"),
        };
        self.call("DELETE", &path, "").map(drop)
    }

    async fn inject(&self, fault: Fault, name: &SecretName) -> Outcome {
        let at = |status| Failure::new(self.path(name), status);
        match fault {
            Fault::Denied => self
                .vault
                .fail(at(403).error("1 error occurred:\n\t* permission denied\n\n")),
            Fault::Garbage => {
                self.vault
                    .fail(at(200).body(r#"{"data":{"data":{"value":"half of a"#));
            }
            Fault::Hang => self.vault.fail(Failure::hang(self.path(name))),
            Fault::Throttled => self.vault.fail(at(429).retry_after("1")),
            // Logins succeed, and what they bring is refused all the same. (After a refused login the backend waits
            // before it tries again, as it must; the kit does not.)
            Fault::Unauthenticated => {
                for path in [self.path(name), "auth/token/lookup-self".to_owned()] {
                    self.vault
                        .fail(Failure::new(path, 403).error("permission denied: invalid token"));
                }
            }
            Fault::Unreachable => self.vault.stop_node(0),
            other => return Err(format!("Vault knows no {other:?}").into()),
        }
        Ok(())
    }

    async fn heal(&self) -> Outcome {
        self.vault.heal();
        self.vault.start_node(0)?;
        Ok(())
    }

    fn requests(&self) -> Option<u64> {
        Some(self.vault.calls().len() as u64)
    }
}
