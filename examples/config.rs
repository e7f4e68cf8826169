//! An application's typed configuration: environment variables in development, files in production, one type for both.
//!
//! ```text
//! APP_DATABASE_HOST=localhost APP_DATABASE_PASSWORD=hunter2 APP_SMTP_API_KEY=hunter2 cargo run --example config
//! SECRETS_URI=file:///run/secrets cargo run --example config
//! ```
//!
//! In production each of these is a file (`/run/secrets/app/database/password`), or all of it is one JSON document
//! (`/run/secrets/app`), which then comes from one version of it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::process::ExitCode;

use secrets::{ConfigSecretLoader, Result, Secret};
use serde::Deserialize;

/// `Debug` is safe to derive: a `Secret` prints a redaction.
#[derive(Debug, Deserialize)]
struct Config {
    database: Database,
    smtp: Smtp,
}

#[derive(Debug, Deserialize)]
struct Database {
    host: String,
    #[serde(default = "postgres")]
    port: u16,
    password: Secret,
    /// Only where the server's certificate is not signed by somebody whom everybody trusts.
    ca: Option<Secret>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Smtp {
    api_key: Secret,
    #[serde(default)]
    tls: Tls,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tls {
    #[default]
    Required,
    Off,
}

fn postgres() -> u16 {
    5432
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match load().await {
        Ok(config) => {
            start(&config);
            ExitCode::SUCCESS
        }
        // Names everything that is missing, at once.
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn load() -> Result<Config> {
    let secrets = secrets::from_env()?;
    let config = ConfigSecretLoader::new(&secrets, "app").load_all().await?;
    secrets.shutdown().await?;
    Ok(config)
}

/// Where a real application would connect.
fn start(config: &Config) {
    let Config { database, smtp } = config;
    println!("database: {}:{}", database.host, database.port);
    println!("database's own CA: {}", database.ca.is_some());
    println!("smtp: TLS {:?}", smtp.tls);
    println!("{config:?}");
    // Values leave a `Secret` only here, by name.
    let _credentials = (database.password.expose_secret(), smtp.api_key.expose_secret());
}
