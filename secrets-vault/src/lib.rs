//! `HashiCorp` Vault and `OpenBao` as a backend of `secrets`.
//!
//! ```no_run
//! use secrets_core::SecretManager;
//! use secrets_vault::{Auth, VaultBackend};
//!
//! # async fn example() -> secrets_core::Result<()> {
//! let vault = VaultBackend::builder("https://vault.example.com:8200")
//!     .auth(Auth::kubernetes("billing"))
//!     .mount("secret")
//!     .base("apps/billing")
//!     .build()?;
//! let secrets = SecretManager::builder(vault).build()?;
//! let password = secrets.get("smtp/database#password").await?;
//! # let _ = password;
//! # Ok(())
//! # }
//! ```
//!
//! # Names
//!
//! A name is a path below the mount, after the [base](VaultBuilder::base), its segments percent-encoded each by itself:
//!
//! | engine | `smtp/database` with mount `secret` and base `apps` | versions | list |
//! |---|---|---|---|
//! | [KV v2](Engine::Kv2) | `GET secret/data/apps/smtp/database` | yes: 1, 2, … | yes |
//! | [KV v1](Engine::Kv1) | `GET secret/apps/smtp/database` | no | yes |
//! | [dynamic](Engine::Dynamic) | `GET secret/apps/smtp/database`, such as `database/creds/readonly` | no | no |
//!
//! # Values
//!
//! Vault keeps maps. Every key is a field of the secret; a value that is no string is its JSON source text, digits and all.
//! The secret itself is the field `value` ([`default_field`](VaultBuilder::default_field)) when that is the only one,
//! otherwise the JSON object of all of them. A map of Vault's holds text: to keep other bytes, store them as base64 in a
//! field whose name ends in a suffix of your choice, and name that as [`binary_suffix`](VaultBuilder::binary_suffix).
//!
//! Metadata has the version, when it was written, when it will be deleted (`delete_version_after`) and the custom metadata
//! of KV v2, and the lease of dynamic secrets.
//!
//! # What the policy has to allow
//!
//! | path | capability | for |
//! |---|---|---|
//! | `secret/data/*` (v2) or `secret/*` (v1, dynamic) | `read` | reading |
//! | `secret/metadata/*` (v2) or `secret/*` (v1) | `list` | listing |
//! | `secret/metadata/*` (v2) | `read` | telling an absent version from an absent secret |
//! | `auth/token/lookup-self`, `renew-self`, `revoke-self`, `sys/leases/renew` | in the policy `default` | keeping the login and leases alive |
//! | `sys/leases/revoke` | `update` | revoking leases that were obtained with a token given by the user |
//!
//! # Logging in
//!
//! [`Auth`] has the ways. A login is made by the first read that needs one, whatever the number of readers, and kept alive by one
//! task of the runtime of that read: renewed at a jittered two thirds of its life, replaced where it cannot be renewed
//! (batch tokens, `max_ttl`), or where Vault refuses it. Readers do not wait for that while the old token lives. After a
//! failure the task waits: 1 s at first, and never more than two attempts a minute. Without a live token, and without anybody
//! asking for one, nothing is tried. All ages are counted in time that includes suspension of the machine. The task ends
//! with the backend.
//!
//! A 401 means that the token is dead. A 403 may mean the same: unless Vault says `invalid token`, the token is looked up.
//! A dead token is replaced and the read repeated, once; another one within 30 s is not replaced again.
//!
//! A dynamic secret is asked for anew by whoever holds it ([`ReadRequest::known`](secrets_core::ReadRequest::known)): its
//! lease is then extended, and answered `Unchanged`. A new credential is made when the lease cannot be extended any more and
//! two thirds of it are over, when it is gone, or when the login it hangs on is. `shutdown` revokes the logins, and
//! with them everything that hangs on them.
//!
//! # Errors
//!
//! Vault's own texts are read for what they say, and never passed on.
//!
//! | status | kind | when, and what to do |
//! |---|---|---|
//! | no answer | `Unavailable` | refused, reset, cut short; no DNS; TLS that does not verify (code `tls`): check address and authority |
//! | no answer in time | `Timeout` | |
//! | 2xx, malformed or too large | `InvalidData` | something between rewrites answers, or [`max_value`](VaultBuilder::max_value) is too small |
//! | 3xx | `Unavailable` | a standby redirects; redirects are not followed: give [every node](VaultBuilder::address) |
//! | 400 | `InvalidData` | malformed request: check mount and engine |
//! | 400 at login | `Unauthenticated` | wrong credentials or role |
//! | 400 `missing client token` | `Unauthenticated` | a proxy drops headers |
//! | 400 `unknown role` | `NotFound` | the dynamic engine has no such role |
//! | 400 `lease not found` | – | a new credential is made |
//! | 400 while a mount is upgraded, or sealed | `Unavailable` | |
//! | 400, 405 `unsupported` | `Unsupported` | check mount and engine |
//! | 401 | `Unauthenticated` | also after a new login |
//! | 403, token alive | `PermissionDenied` | the message says which capability on which path |
//! | 403, token dead | `Unauthenticated` | also after a new login; so too when the token [may not look itself up](Auth::token), as nobody can tell |
//! | 403 at login | `Unauthenticated` | wrong credentials or role |
//! | 404 | `NotFound` | nothing there |
//! | 404 with metadata | `NotFound`, pinned `VersionNotFound` | that version is deleted or destroyed |
//! | 404, version pinned | `VersionNotFound` | the secret exists, or its metadata may not be read |
//! | 404 `no handler for route` | `InvalidConfig` | wrong mount or namespace |
//! | 404 `for a versioned K/V` | `InvalidConfig` | KV v2, read as v1 |
//! | 404 at login | `InvalidConfig` | no auth method there |
//! | 408, 504 | `Timeout` | a proxy gave up |
//! | 412 | `Unavailable` | the node has not caught up |
//! | 413 | `InvalidData` | |
//! | 429 | `RateLimited` | quota; `Retry-After` is passed on |
//! | 429 of `sys/health` | `Unavailable` | a standby |
//! | 472, 473 | `Unavailable` | recovery secondary, performance standby |
//! | 500, 502, 5xx | `Unavailable` | Vault's log has the reason |
//! | 501 | `Unavailable` | not initialised |
//! | 503 | `Unavailable` | sealed or in maintenance |
//! | other 4xx | `InvalidData` | this is not Vault |
//!
//! # In memory
//!
//! Answers are parsed in place and wiped, values copied once into buffers of their own size, credentials written once into
//! bodies that are wiped when sent, tokens kept in headers that are wiped when dropped. What the TLS and HTTP layers read
//! into stays with them while a connection lives: see [`idle_connections`](VaultBuilder::idle_connections).
//!
//! # What is not done
//!
//! No redirect is followed, no certificate left unverified, no proxy used for this machine, no variable read unless
//! [`from_env`](VaultBuilder::from_env) is called. The typed requests are those of `vaultrs`, its client is not used.

#![forbid(unsafe_code)]

mod answer;
mod api;
mod auth;
mod backend;
mod backoff;
mod builder;
mod config;
mod credential;
mod dynamic;
mod engine;
mod env;
mod error;
mod json;
mod kv;
mod lease;
mod list;
mod session;
mod time;
mod token;
mod transport;
mod values;

pub use auth::Auth;
pub use backend::VaultBackend;
pub use builder::VaultBuilder;
pub use credential::Credential;
pub use engine::Engine;
pub use env::AuthMethod;
