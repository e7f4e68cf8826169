//! `SECRETS_URI=vault://…` end to end: the facade, a login, a secret, over TLS, in a process of its own.

use std::process::Command;

use secrets_testkit::fakes::vault::FakeVault;

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
        let password = secrets.get("smtp/database#password").await?;
        secrets.shutdown().await?;
        Ok::<_, secrets::Error>(password.expose_str()?.to_owned())
    });
    let password = password.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(password, "correct horse");
}

#[test]
fn a_uri_reads_a_secret_from_vault() {
    let vault = FakeVault::start().unwrap();
    vault.put(
        "secret",
        "smtp/database",
        r#"{"user":"mailer","password":"correct horse"}"#,
    );
    vault.policy("app", &[("secret/*", &["read"])]);
    vault.admin("POST", "auth/approle/role/app", r#"{"token_policies":"app"}"#);
    let (_, made) = vault.admin("POST", "auth/approle/role/app/secret-id", "{}");
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let secret_id = made["secret_id"].as_str().unwrap();
    let ca = vault.ca_pem();
    let host = vault.address().trim_start_matches("https://").to_owned();
    let login = [
        ("VAULT_ROLE_ID", "role-id-app"),
        ("VAULT_SECRET_ID", secret_id),
        ("VAULT_CACERT_BYTES", ca),
    ];

    for uri in [
        format!("vault://{host}/secret?auth=approle"),
        format!("vault://{host}?kv=2&ttl=60s"),
    ] {
        let (read, said) = program(&uri, &login);
        assert!(read, "{said}");
    }

    let (read, said) = program(&format!("vault://{host}/secret?auth=approle"), &login[..2]);
    assert!(
        !read && said.contains("unavailable") && !said.contains(secret_id),
        "an unknown authority is refused: {said}"
    );
    let (read, said) = program(&format!("vault://{host}/secret?auth=token"), &login);
    assert!(!read && said.contains("VAULT_TOKEN"), "{said}");
}

#[test]
fn s3_l4_what_a_uri_may_not_say_is_refused_before_any_contact() {
    for (uri, says) in [
        ("vault://vault:8200/secret?token=hunter2", "token"),
        ("vault://user:hunter2@vault:8200/secret", "user or password"),
        ("vault+http://vault.example.com:8200/secret", "plain http"),
        ("vault:///secret", "host is missing"),
        ("vault://vault:8200/hunter2/../x?auth=token", "mount"),
        ("vault://vault:8200/secret?kv=hunter2", "kv"),
    ] {
        let (read, said) = program(uri, &[("VAULT_TOKEN", "hvs.hunter3")]);
        assert!(!read && said.contains(says), "{uri}: {said}");
        assert!(
            !said.contains("hunter2") && !said.contains("hunter3"),
            "{uri}: {said}"
        );
    }
}
