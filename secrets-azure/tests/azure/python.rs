//! The fake is held to what another official client makes of it.

use std::process::Command;

use secrets_testkit::fakes::azure::{FakeAzure, TENANT};

use crate::support::{APP, SECRET};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/official_client.py");

/// `SECRETS_TEST_AZURE_PYTHON` names a Python that has the packages `azure-keyvault-secrets` and `azure-identity`.
#[test]
#[ignore = "needs a Python with azure-keyvault-secrets and azure-identity: SECRETS_TEST_AZURE_PYTHON"]
fn the_official_python_client_agrees_with_the_fake() {
    let python = std::env::var_os("SECRETS_TEST_AZURE_PYTHON").expect(
        "SECRETS_TEST_AZURE_PYTHON names a Python that has azure-keyvault-secrets and azure-identity",
    );
    let azure = FakeAzure::start().unwrap();
    azure.app(APP, SECRET);
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, azure.ca_pem()).unwrap();
    let ran = Command::new(python)
        .arg(SCRIPT)
        .env_clear()
        .env("HOME", directory.path())
        .env("FAKE_PORT", azure.socket().port().to_string())
        .env("FAKE_CA", &ca)
        .env("FAKE_TENANT", TENANT)
        .env("FAKE_CLIENT_ID", APP)
        .env("FAKE_CLIENT_SECRET", SECRET)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success() && said.contains("the official Python client agrees"),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}
