//! Reads one secret from the Vault that the environment describes: `cargo run --example read smtp/database password`.
//!
//! `fake_vault` prints such an environment.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use secrets_core::SecretManager;
use secrets_vault::VaultBackend;

#[tokio::main(flavor = "current_thread")]
async fn main() -> secrets_core::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "smtp/database".to_owned());
    let backend = VaultBackend::from_env()?.application("example/1.0").build()?;
    let secrets = SecretManager::builder(backend).build()?;
    let secret = secrets.get(&name).await?;
    let version = secret
        .metadata()
        .version()
        .map_or("none", |version| version.as_str());
    println!(
        "{name}, version {version}: fields {:?}",
        secret.field_names().collect::<Vec<_>>()
    );
    if let Some(field) = arguments.next() {
        // An example may print a secret; a service does not.
        println!("{field} = {}", secret.field(&field)?.expose_str()?);
    }
    secrets.shutdown().await
}
