//! Proves the laws that concern Vault, on a fake of it that answers over TLS. The tests of `both` run on a real server,
//! too: `cargo test -p secrets-vault --test vault both::real -- --ignored`, with `VAULT_ADDR` and `VAULT_TOKEN` of one, or with
//! `bao` or `vault` on the path.

#![allow(
    clippy::unchecked_time_subtraction,
    reason = "an instant in the wrong order fails the test, as it should"
)]

mod auth;
mod both;
mod conformance;
mod endurance;
mod leases;
mod lifecycle;
mod secrecy;
mod server;
mod support;
mod transport;
