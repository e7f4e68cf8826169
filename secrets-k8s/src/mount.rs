//! Secrets mounted as volumes.

mod backend;
mod builder;
#[cfg(all(feature = "tracing", feature = "watch", target_os = "linux"))]
mod subpath;
mod volume;

pub use backend::K8sBackend;
pub use builder::K8sBackendBuilder;
