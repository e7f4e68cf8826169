//! The server that a test of `both` runs on.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use secrets_testkit::fakes::vault::FakeVault;
use secrets_vault::{VaultBackend, VaultBuilder};

pub(crate) enum Server {
    Fake(Box<FakeVault>),
    Real(Real),
}

pub(crate) struct Real {
    address: String,
    token: String,
    client: reqwest::Client,
    /// Ended with the test, where the test started it.
    started: Option<Child>,
}

impl Server {
    pub(crate) fn fake() -> Self {
        Self::Fake(Box::new(FakeVault::start().unwrap()))
    }

    /// The server of `VAULT_ADDR` and `VAULT_TOKEN`, or one in development mode from `bao` or `vault` on the path.
    pub(crate) async fn real() -> Self {
        let variables = (std::env::var("VAULT_ADDR"), std::env::var("VAULT_TOKEN"));
        let real = match variables {
            (Ok(address), Ok(token)) => Real {
                address,
                token,
                client: reqwest::Client::new(),
                started: None,
            },
            _ => Real::start().await,
        };
        Self::Real(real)
    }

    pub(crate) fn builder(&self) -> VaultBuilder {
        match self {
            Self::Fake(vault) => VaultBackend::builder(vault.address()).ca_pem(vault.ca_pem()),
            Self::Real(real) => {
                let builder = VaultBackend::builder(&real.address);
                match std::env::var("VAULT_CACERT") {
                    Ok(ca) => builder.ca_file(ca),
                    Err(_) => builder,
                }
            }
        }
    }

    pub(crate) fn root(&self) -> &str {
        match self {
            Self::Fake(vault) => vault.root_token(),
            Self::Real(real) => &real.token,
        }
    }

    /// A mount, policy or role name that no other test uses.
    pub(crate) fn unique(what: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!(
            "secrets-{}-{what}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// A call with the root token, which has to succeed: the body of the answer.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: &str) -> String {
        let (status, answer) = match self {
            Self::Fake(vault) => vault.admin(method, path, body),
            Self::Real(real) => real.call(method, path, body, None).await,
        };
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    /// The same, wrapped for a minute: the wrapping token.
    pub(crate) async fn admin_wrapped(&self, method: &str, path: &str, body: &str) -> String {
        match self {
            Self::Fake(vault) => vault.admin_wrapped(method, path, body, std::time::Duration::from_secs(60)),
            Self::Real(real) => {
                let (status, answer) = real.call(method, path, body, Some("60")).await;
                assert!(status < 300, "{answer}");
                text(&answer, "token")
            }
        }
    }

    /// A KV engine of this version, freshly mounted.
    pub(crate) async fn kv(&self, version: u8) -> String {
        let mount = Self::unique(&format!("kv{version}"));
        let body = format!(r#"{{"type":"kv","options":{{"version":"{version}"}}}}"#);
        self.admin("POST", &format!("sys/mounts/{mount}"), &body).await;
        // A real server upgrades the new mount in the background and answers 400 meanwhile.
        if version == 2 {
            if let Self::Real(real) = self {
                while real
                    .call("POST", &format!("{mount}/data/probe"), r#"{"data":{}}"#, None)
                    .await
                    .0
                    == 400
                {
                    tokio::task::yield_now().await;
                }
                self.admin("DELETE", &format!("{mount}/metadata/probe"), "").await;
            }
        }
        mount
    }

    pub(crate) async fn policy(&self, rules: &str) -> String {
        let name = Self::unique("policy");
        let body = serde_json::json!({ "policy": rules }).to_string();
        self.admin("PUT", &format!("sys/policies/acl/{name}"), &body)
            .await;
        name
    }

    /// A token with this policy, for an hour.
    pub(crate) async fn token(&self, policy: &str) -> String {
        let body = format!(r#"{{"policies":["{policy}"],"ttl":"1h"}}"#);
        text(
            &self.admin("POST", "auth/token/create", &body).await,
            "client_token",
        )
    }
}

impl Real {
    async fn start() -> Self {
        let token = "secrets-test-root".to_owned();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let listen = format!("127.0.0.1:{port}");
        let start = |program| {
            Command::new(program)
                .args([
                    "server",
                    "-dev",
                    "-dev-no-store-token",
                    "-dev-root-token-id",
                    &token,
                ])
                .args(["-dev-listen-address", &listen])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        };
        let child = start("bao").or_else(|_| start("vault"));
        let child = child.expect("VAULT_ADDR and VAULT_TOKEN, or `bao` or `vault` on the path");
        let real = Self {
            address: format!("http://{listen}"),
            token,
            client: reqwest::Client::new(),
            started: Some(child),
        };
        while real
            .try_call("GET", "sys/health", "", None)
            .await
            .is_none_or(|(status, _)| status != 200)
        {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        real
    }

    async fn call(&self, method: &str, path: &str, body: &str, wrap: Option<&str>) -> (u16, String) {
        self.try_call(method, path, body, wrap)
            .await
            .expect("the server answers")
    }

    async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: &str,
        wrap: Option<&str>,
    ) -> Option<(u16, String)> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self
            .client
            .request(method, format!("{}/v1/{path}", self.address))
            .header("x-vault-token", &self.token)
            .body(body.to_owned());
        if let Some(wrap) = wrap {
            request = request.header("x-vault-wrap-ttl", wrap);
        }
        let response = request.send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        if let Some(child) = &mut self.started {
            // Best effort: it is a child of this test and in development mode.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The text of this key, wherever in the answer it is.
pub(crate) fn text(answer: &str, key: &str) -> String {
    let start = answer
        .find(&format!("\"{key}\":"))
        .unwrap_or_else(|| panic!("no {key}"))
        + key.len()
        + 3;
    answer[start..].split('"').nth(1).unwrap().to_owned()
}
