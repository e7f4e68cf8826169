//! Starts a fake Key Vault with a few secrets and prints the variables that lead a program to it. Ends with its standard
//! input, or with Ctrl-C: run it in one terminal, paste what it prints into another.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::io::{Read as _, Write as _};

use secrets_testkit::fakes::azure::FakeAzure;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let azure = FakeAzure::start()?;
    azure.put("smtp--database--password", "correct horse battery staple");
    azure.put("smtp--api-key", "k-123");
    azure.assign(None);
    let mut ca = tempfile::NamedTempFile::new()?;
    ca.write_all(azure.ca_pem().as_bytes())?;
    println!(
        "export SECRETS_URI='azure://localhost:{}?auth=managed_identity&verify_challenge=false&imds_endpoint={}&ca_file={}'",
        azure.socket().port(),
        azure.identity_url(),
        ca.path().display()
    );
    let mut ignored = Vec::new();
    std::io::stdin().read_to_end(&mut ignored)?;
    Ok(())
}
