//! Proves the laws that concern AWS, on a fake of it that answers over TLS. The tests of `live` run on moto and ministack:
//! `cargo test -p secrets-aws --all-features --test aws live:: -- --ignored`, with the variables that `tools/servers` exports.

mod batches;
mod conformance;
mod endpoints;
mod errors;
mod live;
mod logged;
mod logins;
mod secrecy;
mod support;
mod transport;
mod values;
