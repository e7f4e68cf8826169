//! AWS Secrets Manager and Parameter Store as backends of `secrets`.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(all(feature = "secrets-manager", feature = "ssm")),
    allow(dead_code, unused_imports, unused_macros, reason = "each service uses a part of what both share")
)]

mod backoff;
mod call;
mod endpoint;
mod error;
mod fan;
mod life;
mod name;
mod options;
#[cfg(feature = "ssm")]
mod parameter_store;
mod quiet;
mod refusal;
#[cfg(feature = "secrets-manager")]
mod secrets_manager;
mod session;
mod source;
mod transport;
mod values;

#[cfg(feature = "ssm")]
pub use parameter_store::{ParameterStoreBackend, ParameterStoreBuilder};
#[cfg(feature = "secrets-manager")]
pub use secrets_manager::{SecretsManagerBackend, SecretsManagerBuilder};
