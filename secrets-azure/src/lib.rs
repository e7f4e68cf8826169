//! Azure Key Vault.
#![forbid(unsafe_code)]

mod answer;
mod auth;
mod backend;
mod backoff;
mod builder;
mod client;
mod config;
mod credential;
mod error;
mod exchange;
mod json;
mod list;
mod name;
mod secret;
mod session;
mod time;
mod token;
mod transport;

pub use auth::{Auth, Identity};
pub use backend::AzureBackend;
pub use builder::AzureBuilder;
pub use config::Cloud;
pub use credential::Credential;
