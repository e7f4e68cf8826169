//! Proves the laws that concern mounted Secrets, under a kubelet that really swaps them.

#![cfg(unix)]

mod conformance;
mod kubelet;
mod laws;
mod torture;
mod watch;
