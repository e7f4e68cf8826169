//! Environment variables as a backend of `secrets`.
//!
//! ```
//! use secrets_core::{Fetched, ReadRequest, SecretBackend, SecretName};
//! use secrets_env::{EnvBackend, Variables};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> secrets_core::Result<()> {
//! let backend = EnvBackend::builder()
//!     .prefix("APP_")
//!     .source(Variables::from([("APP_SMTP_API_KEY", "hunter2")])) // the process's own by default
//!     .build()?;
//!
//! let name = SecretName::new("smtp/api-key")?;
//! let Fetched::Value(secret) = backend.get(ReadRequest::new(&name)).await? else { unreachable!() };
//! assert_eq!(secret.expose_str()?, "hunter2");
//! # Ok(())
//! # }
//! ```
//!
//! # From a name to a variable
//!
//! The prefix, if there is one, comes first, as it is. Of the name, letters become upper case and each of `/`, `-` and
//! `.` becomes `_`.
//!
//! | name | variable | with the prefix `APP_` |
//! |---|---|---|
//! | `smtp/database/password` | `SMTP_DATABASE_PASSWORD` | `APP_SMTP_DATABASE_PASSWORD` |
//! | `smtp/api-key` | `SMTP_API_KEY` | `APP_SMTP_API_KEY` |
//! | `tls.crt` | `TLS_CRT` | `APP_TLS_CRT` |
//! | `api_key` | `API_KEY` | `APP_API_KEY` |
//! | `smtp/api key` | refused: `InvalidName`, the character ` ` | the same |
//!
//! A name may hold ASCII letters, ASCII digits and `/ - . _`, and nothing else: no shell, unit file or Compose file could
//! set what the rest would become. Several names can stand for one variable (`api-key`, `api/key`, `API_KEY`).
//!
//! # What can be read, what is listed
//!
//! Access stays inside the prefix and the allow-list, where they are set. Only then can names be listed: a process's
//! whole environment is not a list of secrets. A listed name is canonical: lower case, each `_` read as `/`
//! (`APP_SMTP_API_KEY` is `smtp/api/key`). A variable whose canonical name would not lead back to it, such as
//! `APP_lower` or `APP_A__B`, is left out. Below a prefix given to `list`, names keep the spelling of that prefix.
//!
//! # What a value is
//!
//! On Unix, exactly the variable's bytes, UTF-8 or not. Elsewhere its text as UTF-8, and `InvalidData` where it is no
//! Unicode. A variable that is set to nothing is an empty value. There are no versions and no metadata, and no limit
//! beyond the system's own: the bytes are in the process already.
//!
//! # Failures
//!
//! | what happened | kind |
//! |---|---|
//! | the variable is not set | `NotFound`, naming the variable |
//! | a character that no variable stands for | `InvalidName`, naming the character |
//! | a name outside the allow-list | `InvalidName`; a fallback chain goes on to its next member |
//! | a version was asked for | `Unsupported` |
//! | names are listed with neither prefix nor allow-list | `Unsupported` |
//! | a value that is no Unicode, where the system wants it to be | `InvalidData` |
//! | a malformed prefix or allow-list | `InvalidConfig`, when the backend is built |
//!
//! # What stays in memory
//!
//! The copies this crate makes are wiped. The environment itself cannot be: it stays in the process's memory, is
//! inherited by its children, and can be read by the same user in `/proc/PID/environ`. Nothing here ever writes to it.

#![forbid(unsafe_code)]

mod backend;
mod builder;
mod mapping;
mod source;

pub use backend::EnvBackend;
pub use builder::EnvBackendBuilder;
pub use source::{EnvSource, ProcessEnv, Variables};
