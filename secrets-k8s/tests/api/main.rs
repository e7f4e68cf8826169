//! Proves the laws that concern the API of Kubernetes, on a fake of it that answers over TLS. The tests of `both` and `live`
//! run on a real API server, too: `cargo test -p secrets-k8s --features api --test api -- --ignored real`, with
//! `SECRETS_TEST_KUBECONFIG` and its companions of one, and `SECRETS_TEST_SERVERS` naming the directory of the tool `up` that
//! starts another for the tests that end it.

mod both;
mod conformance;
mod live;
#[cfg(feature = "tracing")]
#[path = "../support/log.rs"]
mod log;
#[path = "../support/printed.rs"]
mod printed;
mod relay;
mod secrecy;
mod support;
mod transport;
mod watch;
