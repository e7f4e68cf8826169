//! docs

#![forbid(unsafe_code)]

#[cfg(feature = "api")]
mod api;
mod mount;
mod naming;
#[cfg(feature = "watch")]
mod state;
mod values;

#[cfg(feature = "api")]
pub use api::{K8sApiBackend, K8sApiBuilder};
pub use mount::{K8sBackend, K8sBackendBuilder};
