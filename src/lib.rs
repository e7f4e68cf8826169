//! One interface for reading secrets from every secret store.
//!
//! The same code runs in development and in production; the store is a matter of configuration.
//!
//! ```no_run
//! # async fn example() -> secrets::Result<()> {
//! let secrets = secrets::from_env()?; // `SECRETS_URI`; without it, environment variables
//! secrets.require(["smtp/api-key", "smtp/database/password"]).await?; // at startup: all that is missing, at once
//!
//! let password = secrets.get("smtp/database/password").await?;
//! connect(password.expose_str()?);
//! # Ok(()) }
//! # fn connect(_: &str) {}
//! ```
//!
//! Or with the store in the code, and every option at hand:
//!
//! ```
//! # #[cfg(feature = "env")]
//! # fn example() -> secrets::Result<()> {
//! use std::time::Duration;
//!
//! use secrets::SecretManager;
//! use secrets::env::EnvBackend;
//!
//! let backend = EnvBackend::builder().prefix("APP_").build()?;
//! let secrets = SecretManager::builder(backend).ttl(Duration::from_secs(60)).build()?;
//! # drop(secrets);
//! # Ok(()) }
//! # #[cfg(feature = "env")]
//! # example().unwrap();
//! ```
//!
//! # Where to go from here
//!
//! | to | see |
//! |---|---|
//! | read secrets | [`SecretManager`]: the cache, what is retried, what is served in an outage |
//! | use a value | [`Secret`]: bytes, text, fields of a JSON document, metadata |
//! | choose the store by a URI | [`open`], [`from_env`] |
//! | configure one component | [`ConfigSecretLoader`] |
//! | follow a rotation | [`SecretHandle`] |
//! | ask several stores in turn, or by name | [`FallbackBackend`], [`PrefixRouter`] |
//! | handle failures | [`Error`], [`ErrorKind`] |
//! | connect a store of your own | [`SecretBackend`] |
//!
//! # Features
//!
//! Features only add; none changes what another does.
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `aws` | | AWS Secrets Manager: the module `aws`, the scheme `aws:` |
//! | `aws-ssm` | | AWS Systems Manager Parameter Store: the module `aws`, the scheme `aws-ssm:` |
//! | `azure` | | Azure Key Vault: the module `azure`, the scheme `azure:`; needs Rust 1.88 |
//! | `env` | yes | environment variables: the module `env`, the scheme `env:` |
//! | `file` | yes | files: the module `file`, the scheme `file:` |
//! | `file-watch` | | changes of files as they happen |
//! | `k8s` | | Kubernetes Secrets mounted as volumes: the module `k8s`, the scheme `k8s:`; no SDK |
//! | `k8s-api` | | Kubernetes Secrets through the API server: the scheme `k8s-api:`. [A version of Kubernetes](k8s#the-version-of-kubernetes) has to be chosen once in a build |
//! | `k8s-openapi-earliest` | | chooses that version, for applications that have no other Kubernetes crate; not part of `full` |
//! | `vault` | | `HashiCorp` Vault and `OpenBao`: the module `vault`, the scheme `vault:` |
//! | `full` | | every backend |
//! | `harden` | | `harden_process()`: no core dumps, no tracing by other processes; see [below](#memory) |
//! | `zeroizing-alloc` | | `ZeroAlloc`: an allocator that wipes what is freed; see [below](#memory) |
//! | `tracing` | yes | spans and events on everything but a cache hit; never a value |
//!
//! A crate that only reads secrets, or that implements a backend, can depend on `secrets-core` alone.
//!
//! # Memory
//!
//! What this library allocates for a value, it wipes. What other crates allocate on the way, such as the buffers of TLS
//! and HTTP, it cannot reach. A global allocator can, and only an application may choose one; with the feature
//! `zeroizing-alloc` it is one line:
//!
//! ```
//! # #[cfg(feature = "zeroizing-alloc")]
//! #[global_allocator]
//! static ALLOCATOR: secrets::ZeroAlloc<std::alloc::System> = secrets::ZeroAlloc(std::alloc::System);
//! # fn main() {}
//! ```
//!
//! It wraps another allocator, the system's here, and wipes each block before that gets it back. That costs a few nanoseconds
//! for a small block, one pass over a large one, and growing a block always moves it: 4 KiB of JSON made a struct of a hundred
//! strings takes 1.3 times as long. A cache hit allocates nothing and costs the same, and what a fetch over TLS costs more is
//! lost in the noise; `secrets-bench` has a program, `memory`, that measures all three. What lives (an open connection's buffers, stacks, the environment) is
//! not wiped by it: the backends' option for idle connections closes the first of these gaps. What is left, by backend and
//! with either allocator, is measured by tests and stands in SECURITY.md.
//!
//! Other processes of the same user are kept out of the memory by `harden_process()`, with the feature `harden`.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(feature = "full"),
    allow(dead_code, reason = "each backend uses a part of what reads a URI")
)]

mod backends;
mod credentials;
#[cfg(feature = "harden")]
mod harden;
mod open;
mod options;
mod parameter;
mod uri;

pub use credentials::CREDENTIAL_PARAMETERS;
#[cfg(feature = "harden")]
pub use harden::harden_process;
pub use open::{backend_for, builder_for, from_env, open};
#[cfg(any(feature = "aws", feature = "aws-ssm"))]
#[doc(inline)]
pub use secrets_aws as aws;
#[cfg(feature = "azure")]
#[doc(inline)]
pub use secrets_azure as azure;
#[doc(inline)]
pub use secrets_core::*;
#[cfg(feature = "env")]
#[doc(inline)]
pub use secrets_env as env;
#[cfg(feature = "file")]
#[doc(inline)]
pub use secrets_file as file;
#[cfg(feature = "k8s")]
#[doc(inline)]
pub use secrets_k8s as k8s;
#[cfg(feature = "vault")]
#[doc(inline)]
pub use secrets_vault as vault;
#[cfg(feature = "zeroizing-alloc")]
#[doc(no_inline)]
pub use zeroizing_alloc::ZeroAlloc;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
