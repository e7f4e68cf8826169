//! Proves the laws that concern Azure Key Vault, on a fake of it that answers over TLS under the real names. The tests of
//! `lowkey` run on Lowkey Vault, where `SECRETS_TEST_LOWKEY_URL` says that there is one:
//! `cargo test -p secrets-azure --test azure lowkey -- --ignored`.

mod auth;
mod conformance;
mod lifecycle;
mod lowkey;
mod official;
mod reading;
mod secrecy;
mod support;
mod transport;
