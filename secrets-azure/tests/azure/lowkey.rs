//! The conformance suite over Lowkey Vault, another's stand-in for Key Vault. It is found by the variables
//! `SECRETS_TEST_LOWKEY_URL` (https, on this machine; a vault whose deleted secrets can be purged),
//! `SECRETS_TEST_LOWKEY_CA_FILE` and `SECRETS_TEST_LOWKEY_TOKEN_URL`.
//!
//! The same goes over the fake in every run, so that nothing here waits for a server to be found wrong.

use std::sync::Arc;

use secrets_azure::{Auth, AzureBackend};
use secrets_core::{SecretBackend, SecretName, Version};
use secrets_testkit::fakes::azure::FakeAzure;
use secrets_testkit::{Facts, Harness, Outcome, async_trait, cases};

use crate::conformance::{encoded, facts};

/// What it speaks.
const API: &str = "7.6";

/// Where it is not like Key Vault: the cases that show it, and what it does.
const UNLIKE: [(&str, &str); 3] = [
    ("n3_a_name_is_exact_or_refused", "its names differ by case"),
    ("n4_list_gives_canonical_names", "its names differ by case"),
    (
        "v3_white_space_survives",
        "it takes no value of white space alone",
    ),
];

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
        Self::at(
            &variable("SECRETS_TEST_LOWKEY_URL"),
            ca,
            variable("SECRETS_TEST_LOWKEY_TOKEN_URL"),
        )
    }

    fn at(url: &str, ca: String, token: String) -> Self {
        let authorities = reqwest::Certificate::from_pem_bundle(ca.as_bytes()).unwrap();
        Self {
            url: url.trim_end_matches('/').to_owned(),
            token,
            client: reqwest::Client::builder()
                .tls_certs_only(authorities)
                .no_proxy()
                .build()
                .unwrap(),
            ca,
        }
    }

    /// A token as its managed identity endpoint issues them.
    async fn token(&self) -> Outcome<String> {
        let url = format!("{}?api-version=2018-02-01&resource=https://localhost", self.token);
        let response = self.client.get(url).header("metadata", "true").send().await?;
        let answer: serde_json::Value = serde_json::from_str(&response.text().await?)?;
        Ok(answer["access_token"].as_str().ok_or("no token")?.to_owned())
    }

    async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<String>,
    ) -> Outcome<serde_json::Value> {
        let mut request = self
            .client
            .request(method.clone(), format!("{}/{path}?api-version={API}", self.url))
            .bearer_auth(self.token().await?)
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
        // It takes none that is empty.
        facts().without_empty_values()
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

/// Runs every case but these.
async fn run(lowkey: &Lowkey, without: &[(&str, &str)]) {
    let mut ran = 0;
    for case in cases() {
        if without.iter().any(|(name, _)| *name == case.name()) || !case.applies_to(lowkey).await.unwrap() {
            continue;
        }
        case.run(lowkey)
            .await
            .unwrap_or_else(|failure| panic!("{}: {failure}", case.name()));
        ran += 1;
    }
    assert!(ran > 18, "{ran} cases ran");
    let known = |name: &str| cases().iter().any(|case| case.name() == name);
    assert!(UNLIKE.iter().all(|(name, _)| known(name)), "{UNLIKE:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Lowkey Vault: SECRETS_TEST_LOWKEY_URL, _CA_FILE and _TOKEN_URL"]
async fn the_kit_passes_over_lowkey_vault() {
    run(&Lowkey::find(), &UNLIKE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_passes_over_the_fake_as_a_stand_in_on_this_machine() {
    let azure = FakeAzure::start().unwrap();
    azure.assign(None);
    let lowkey = Lowkey::at(
        &format!("https://localhost:{}", azure.socket().port()),
        azure.ca_pem().to_owned(),
        format!("{}/metadata/identity/oauth2/token", azure.identity_url()),
    );
    run(&lowkey, &[]).await;
}
