//! Secrets read through the API server.

mod access;
mod answer;
mod backend;
mod batch;
mod builder;
mod config;
mod error;
mod list;
mod login;
mod object;
mod say;
mod server;
mod transport;
mod watch;

pub use backend::K8sApiBackend;
pub use builder::K8sApiBuilder;
