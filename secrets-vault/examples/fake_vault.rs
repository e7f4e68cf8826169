//! Starts a fake Vault with a few secrets and prints the variables that lead a program to it. Ends with its standard
//! input, or with Ctrl-C.
//!
//! ```sh
//! mkfifo /tmp/hold && cargo run --example fake_vault < /tmp/hold > /tmp/vault.env &
//! ```
//!
//! or, in two terminals: run it in one, paste what it prints into the other.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::io::Read as _;

use secrets_testkit::fakes::vault::FakeVault;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let vault = FakeVault::start()?;
    vault.put(
        "secret",
        "smtp/database",
        r#"{"user":"mailer","password":"correct horse battery staple","port":5432}"#,
    );
    vault.put("secret", "smtp/api-key", r#"{"value":"k-123"}"#);
    vault.policy("app", &[("secret/*", &["read", "list"])]);
    vault.admin(
        "POST",
        "auth/approle/role/app",
        r#"{"token_policies":"app","token_ttl":"1h","token_max_ttl":"24h"}"#,
    );
    let (_, made) = vault.admin("POST", "auth/approle/role/app/secret-id", "{}");
    let made: serde_json::Value = serde_json::from_str(&made)?;
    println!("export VAULT_ADDR={}", vault.address());
    println!("export VAULT_CACERT_BYTES='{}'", vault.ca_pem().trim_end());
    println!("export VAULT_ROLE_ID=role-id-app");
    println!(
        "export VAULT_SECRET_ID={}",
        made["secret_id"].as_str().unwrap_or_default()
    );
    println!(
        "export SECRETS_URI='vault://{}/secret?auth=approle'",
        vault.address().trim_start_matches("https://")
    );
    let mut ignored = Vec::new();
    std::io::stdin().read_to_end(&mut ignored)?;
    Ok(())
}
