//! Secrets Manager.

mod backend;
mod batch;
mod builder;
mod list;
mod value;

pub use backend::SecretsManagerBackend;
pub use builder::SecretsManagerBuilder;
