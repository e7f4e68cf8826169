//! Reads one secret and says where it came from.
//!
//! ```text
//! SMTP_DATABASE_PASSWORD=hunter2 cargo run --example quickstart -- smtp/database/password
//! SECRETS_URI=file:///run/secrets cargo run --example quickstart -- smtp/database/password
//! ```
//!
//! With `--reveal` it prints the value too.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use secrets::{Metadata, Result, Secret, SecretManager};

const READS: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some((reference, reveal)) = arguments() else {
        eprintln!("usage: quickstart NAME [--reveal], with a name such as smtp/database/password");
        return ExitCode::from(2);
    };
    match run(&reference, reveal).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A reference, and whether to print the value.
fn arguments() -> Option<(String, bool)> {
    let (mut reference, mut reveal) = (None, false);
    for argument in std::env::args_os().skip(1) {
        match argument.into_string().ok()? {
            flag if flag == "--reveal" => reveal = true,
            flag if flag.starts_with("--") => return None,
            text if reference.is_none() => reference = Some(text),
            _ => return None,
        }
    }
    Some((reference?, reveal))
}

async fn run(reference: &str, reveal: bool) -> Result<()> {
    let secrets = secrets::from_env()?;
    let mut secret = secrets.get(reference).await?;
    for _ in 1..READS {
        secret = secrets.get(reference).await?;
    }
    describe(reference, &secrets, &secret);
    count(&secrets);
    if reveal {
        show(&secret);
    } else {
        println!("value: hidden; --reveal prints it");
    }
    secrets.shutdown().await
}

fn describe(reference: &str, secrets: &SecretManager, secret: &Secret) {
    println!("secret: {reference}");
    println!("backend: {}", secrets.backend_name());
    let metadata: &Metadata = secret.metadata();
    println!(
        "version: {}",
        metadata.version().map_or("none", |version| version.as_str())
    );
    println!("created: {}", metadata.created().map_or("unknown".into(), since));
    if let Some(expires) = metadata.expires() {
        println!("expires: {}", since(expires));
    }
    if let Some(lease) = metadata.lease() {
        println!("lease: {} s", lease.duration().as_secs());
    }
    for (name, value) in metadata.attributes() {
        println!("{name}: {value}");
    }
}

fn since(time: SystemTime) -> String {
    match time.elapsed() {
        Ok(ago) => format!("{} ago", rounded(ago)),
        Err(ahead) => format!("in {}", rounded(ahead.duration())),
    }
}

fn rounded(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn count(secrets: &SecretManager) {
    let stats = secrets.stats();
    println!(
        "cache: {} lookups, {} from the cache, {} from the store ({} fetched); hit rate {:.0} %",
        stats.lookups,
        stats.hits,
        stats.misses,
        stats.fetches,
        stats.hit_rate() * 100.0
    );
}

/// The bytes as they are: a secret need not be text.
fn show(secret: &Secret) {
    let mut out = std::io::stdout().lock();
    let written = out
        .write_all(b"value: ")
        .and_then(|()| out.write_all(secret.expose_secret()))
        .and_then(|()| out.write_all(b"\n"));
    if let Err(error) = written {
        eprintln!("the value could not be printed: {}", error.kind());
    }
}
