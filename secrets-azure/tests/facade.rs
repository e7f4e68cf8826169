//! `SECRETS_URI=azure://…` end to end: the facade, a login, a secret, over TLS, in a process of its own.

use std::process::Command;

use secrets_testkit::fakes::azure::{FakeAzure, TENANT};

const APP: &str = "11111111-2222-4333-8444-555555555555";

/// Starts this test binary again, as the program that the environment configures.
fn program(uri: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_program", "--ignored", "--nocapture"])
        .env_clear()
        .env("SECRETS_URI", uri)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    (
        output.status.success(),
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    )
}

#[test]
#[ignore = "the program that the other tests start, with an environment of its own"]
fn the_program() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let password = runtime.block_on(async {
        let secrets = secrets::from_env()?;
        let password = secrets.get("smtp/database/password").await?;
        secrets.shutdown().await?;
        Ok::<_, secrets::Error>(password.expose_str()?.to_owned())
    });
    let password = password.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(password, "correct horse");
}

#[test]
fn a_uri_reads_a_secret_from_a_key_vault() {
    let azure = FakeAzure::start().unwrap();
    azure.app(APP, "hunter2-the-secret");
    azure.assign(None);
    azure.assign(Some("user-assigned"));
    azure.put("apps--smtp--database--password", "correct horse");
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, azure.ca_pem()).unwrap();
    let common = format!(
        "azure://localhost:{port}?verify_challenge=false&base=apps&ca_file={ca}&imds_endpoint={imds}&ttl=60s",
        port = azure.socket().port(),
        ca = ca.display(),
        imds = azure.identity_url(),
    );
    for uri in [
        format!("{common}&auth=managed_identity"),
        format!("{common}&auth=managed_identity&client_id=user-assigned"),
        common.clone(),
    ] {
        let (read, said) = program(&uri, &[]);
        assert!(read, "{uri}: {said}");
    }
    let login = [
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", APP),
        ("AZURE_CLIENT_SECRET", "hunter2-wrong"),
    ];
    // The authority of the environment is where workload identities put it; here nobody listens.
    let nowhere = [
        login[0],
        login[1],
        login[2],
        ("AZURE_AUTHORITY_HOST", "https://localhost:9"),
    ];
    let (read, said) = program(&format!("{common}&auth=client_secret"), &nowhere);
    assert!(!read && said.contains("no login by client secret"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let (read, said) = program(&format!("{common}&auth=client_secret"), &login[..2]);
    assert!(!read && said.contains("AZURE_CLIENT_SECRET"), "{said}");
}

#[test]
fn s3_l4_what_a_uri_may_not_say_is_refused_before_any_contact() {
    for (uri, says) in [
        ("azure://myvault?client_secret=hunter2", "client_secret"),
        ("azure://user:hunter2@myvault", "user or password"),
        ("azure://myvault/hunter2", "no path"),
        ("azure:", "vault is missing"),
        ("azure://hunter2_", "the vault is neither"),
        ("azure://myvault?auth=hunter2", "auth"),
        ("azure://myvault?cloud=hunter2", "cloud"),
        ("azure://myvault?client_id=hunter2", "managed identity"),
        ("azure://myvault?authority=http://hunter2", "https"),
        ("azure://myvault?verify_challenge=false", "on this machine"),
        ("azure://myvault?imds_endpoint=http://hunter2", "this machine"),
        ("azure://myvault?hunter2=1", "unknown parameter"),
    ] {
        let (read, said) = program(uri, &[]);
        assert!(!read && said.contains(says), "{uri}: {said}");
        assert!(!said.contains("hunter2"), "{uri}: {said}");
    }
}
