//! Secrets mounted as volumes.

mod backend;
mod builder;
mod volume;

pub use backend::K8sBackend;
pub use builder::K8sBackendBuilder;
