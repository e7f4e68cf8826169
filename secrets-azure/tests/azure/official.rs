//! The fake is held to what other official clients make of it, and the backend to what they have written.

use std::process::Command;

use secrets_azure::AzureBackend;
use secrets_testkit::fakes::azure::{Failure, FakeAzure, HOST, IDENTITY_HEADER, TENANT};

use crate::support::{APP, SECRET, client_secret, reach, read};

/// Runs a script by the program that a variable names, against a fake that has everything it needs; then reads what it has
/// written. The script says at its end that its client agrees.
async fn agrees(program: &str, script: &str, client: &str) {
    let program = std::env::var_os(program)
        .unwrap_or_else(|| panic!("{program} names a program that has {client}; see tools/servers"));
    let modules = std::env::var_os("SECRETS_TEST_AZURE_NODE_PATH");
    let azure = FakeAzure::start().unwrap();
    azure.app(APP, SECRET);
    azure.federate(APP, "header.payload.signature");
    azure.assign(None);
    azure.assign(Some("user-assigned"));
    azure.put("busy", "x");
    let throttled = r#"{"error":{"code":"Throttled","message":"Request was not processed."}}"#;
    let throttled = Failure::new("secrets/busy", 429).retry_after("1").body(throttled);
    azure.fail(throttled.times(2));
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, content).unwrap();
        file
    };
    let ran = Command::new(program)
        .arg(format!("{}/tests/{script}", env!("CARGO_MANIFEST_DIR")))
        .env_clear()
        .env("HOME", directory.path())
        .env("FAKE_PORT", azure.socket().port().to_string())
        .env("FAKE_CA", file("ca.pem", azure.ca_pem()))
        .env("FAKE_JWT", file("jwt", "header.payload.signature"))
        .env("FAKE_TENANT", TENANT)
        .env("FAKE_CLIENT_ID", APP)
        .env("FAKE_CLIENT_SECRET", SECRET)
        .env("FAKE_IDENTITY", azure.identity_url())
        .env("FAKE_IDENTITY_HEADER", IDENTITY_HEADER)
        .env("FAKE_OUT", directory.path())
        .envs(modules.map(|path| ("NODE_PATH", path)))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success() && said.contains(&format!("the official {client} agrees")),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let attempts = azure
        .calls()
        .into_iter()
        .filter(|call| call.status == 429)
        .count();
    assert_eq!(attempts, 2, "one is refused, one waits and is served");
    let backend = reach(AzureBackend::builder(HOST), &azure).auth(client_secret());
    let backend = backend.build().unwrap();
    for (name, content_type) in [
        ("certificate-pem", "application/x-pem-file"),
        ("certificate-pfx", "application/x-pkcs12"),
    ] {
        let secret = read(&backend, name).await.unwrap();
        let written = std::fs::read(directory.path().join(name)).unwrap();
        assert!(secret.expose_secret() == written && written.len() > 400, "{name}");
        assert_eq!(secret.metadata().attribute("contentType"), Some(content_type));
    }
}

#[tokio::test]
#[ignore = "needs a Python with azure-keyvault-secrets and azure-identity: SECRETS_TEST_AZURE_PYTHON"]
async fn the_official_python_client_agrees_with_the_fake() {
    let script = "python/official_client.py";
    agrees("SECRETS_TEST_AZURE_PYTHON", script, "Python client").await;
}

#[tokio::test]
#[ignore = "needs Node with @azure/keyvault-secrets and @azure/identity: SECRETS_TEST_AZURE_NODE and _NODE_PATH"]
async fn the_official_javascript_client_agrees_with_the_fake() {
    let script = "node/official_client.js";
    agrees("SECRETS_TEST_AZURE_NODE", script, "JavaScript client").await;
}
