//! The conformance suite over Lowkey Vault, another's stand-in for Key Vault. It is found by the variables
//! `SECRETS_TEST_LOWKEY_URL` (https, on this machine), `SECRETS_TEST_LOWKEY_CA_FILE` and `SECRETS_TEST_LOWKEY_TOKEN_URL`.

use std::sync::Arc;

use secrets_azure::{Auth, AzureBackend};
use secrets_core::{SecretBackend, SecretName, Version};
use secrets_testkit::{Facts, Harness, Outcome, async_trait, cases};

use crate::conformance::{encoded, facts};

/// What it speaks.
const API: &str = "7.6";

struct Lowkey {
    url: String,
    ca: String,
    token: String,
    client: reqwest::Client,
}

impl Lowkey {
    fn find() -> Self {
        let variable = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| {
                panic!("{name} says where Lowkey Vault is; set it, or leave this test out")
            })
        };
        let ca = std::fs::read_to_string(variable("SECRETS_TEST_LOWKEY_CA_FILE")).unwrap();
        let authorities = reqwest::Certificate::from_pem_bundle(ca.as_bytes()).unwrap();
        Self {
            url: variable("SECRETS_TEST_LOWKEY_URL")
                .trim_end_matches('/')
                .to_owned(),
            token: variable("SECRETS_TEST_LOWKEY_TOKEN_URL"),
            client: reqwest::Client::builder()
                .tls_certs_only(authorities)
                .no_proxy()
                .build()
                .unwrap(),
            ca,
        }
    }

    /// A call of its API, which takes any token.
    async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<String>,
    ) -> Outcome<serde_json::Value> {
        let mut request = self
            .client
            .request(method.clone(), format!("{}/{path}?api-version={API}", self.url))
            .bearer_auth("anything")
            .header("content-type", "application/json");
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            return Err(format!("{method} {path}: {status}").into());
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

#[async_trait]
impl Harness for Lowkey {
    fn facts(&self) -> Facts {
        facts()
    }

    async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
        let imds = self.token.split("/metadata/").next().unwrap_or_default();
        let backend = AzureBackend::builder(&self.url)
            .ca_pem(self.ca.clone())
            .api_version(API)
            .imds_endpoint(imds)
            .verify_challenge(false)
            .auth(Auth::managed_identity())
            .build()?;
        Ok(Arc::new(backend))
    }

    async fn create(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
        let body = serde_json::json!({ "value": std::str::from_utf8(value)? }).to_string();
        let path = format!("secrets/{}", encoded(name));
        let answer = self.call(reqwest::Method::PUT, &path, Some(body)).await?;
        let id = answer["id"].as_str().ok_or("no id")?;
        Ok(Some(Version::new(id.rsplit('/').next().unwrap_or_default())?))
    }

    async fn delete(&self, name: &SecretName) -> Outcome {
        let name = encoded(name);
        self.call(reqwest::Method::DELETE, &format!("secrets/{name}"), None)
            .await?;
        self.call(reqwest::Method::DELETE, &format!("deletedsecrets/{name}"), None)
            .await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Lowkey Vault: SECRETS_TEST_LOWKEY_URL, _CA_FILE and _TOKEN_URL"]
async fn the_kit_passes_over_lowkey_vault() {
    let lowkey = Lowkey::find();
    let mut ran = 0;
    for case in cases() {
        if case.applies_to(&lowkey).await.unwrap() {
            case.run(&lowkey)
                .await
                .unwrap_or_else(|failure| panic!("{}: {failure}", case.name()));
            ran += 1;
        }
    }
    assert!(ran > 20, "{ran} cases ran");
}
