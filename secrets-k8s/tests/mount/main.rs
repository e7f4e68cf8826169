//! Proves the laws that concern mounted Secrets, under a kubelet that really swaps them.

#![cfg(unix)]

mod conformance;
mod kubelet;
mod laws;
#[cfg(feature = "tracing")]
#[path = "../support/log.rs"]
mod log;
#[path = "../support/printed.rs"]
mod printed;
mod secrecy;
#[cfg(all(feature = "tracing", target_os = "linux"))]
mod subpath;
mod torture;
mod watch;
