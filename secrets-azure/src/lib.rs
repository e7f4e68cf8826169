//! Azure Key Vault as a backend of `secrets`.
//!
//! ```no_run
//! use secrets_azure::{Auth, AzureBackend};
//! use secrets_core::SecretManager;
//!
//! # async fn example() -> secrets_core::Result<()> {
//! let vault = AzureBackend::builder("myvault")
//!     .auth(Auth::managed_identity())
//!     .base("apps/billing")
//!     .build()?;
//! let secrets = SecretManager::builder(vault).build()?;
//! let password = secrets.get("smtp/database/password").await?;
//! # let _ = password;
//! # Ok(())
//! # }
//! ```
//!
//! # Names
//!
//! Key Vault's names are letters, digits and `-`, 127 at most. The segments of a name, after those of the
//! [base](AzureBuilder::base), are joined by `--`, as .NET's configuration provider does:
//!
//! | name | in the vault |
//! |---|---|
//! | `smtp/database/password` | `smtp--database--password` |
//! | `smtp/api-key` with base `apps/billing` | `apps--billing--smtp--api-key` |
//! | `smtp/api_key`, `a.b`, `a b`, `é` | refused, naming the character |
//! | `a--b`, `a-/b`, `-a` | refused: they would be read back as another name |
//!
//! Key Vault ignores case: `SMTP` and `smtp` are one secret, and `list` gives lower case. Secrets of a vault that no name
//! stands for are left out there. A version is the 32 hexadecimal digits that Key Vault gives it.
//!
//! # Values
//!
//! Text, as it is: the PFX of a certificate is the base64 that Key Vault keeps. Metadata has the version, when it was
//! created, and when it expires, which bounds how long it is cached; the attributes `contentType`, `notBefore` and `managed`
//! where Key Vault has them, and each tag as `tags/{name}`.
//!
//! What is disabled, not valid yet (`nbf`) or expired (`exp`) is `Disabled`. Key Vault itself refuses the first only;
//! [`serve_expired`](AzureBuilder::serve_expired) lets the last through.
//!
//! # What the identity has to be allowed
//!
//! | to | role (Azure RBAC) | access policy |
//! |---|---|---|
//! | read | `Key Vault Secrets User`, on the vault or on single secrets | secret permission `get` |
//! | list | `Key Vault Secrets User`, on the vault | secret permission `list` |
//! | be told that a secret is deleted rather than absent | `Key Vault Secrets Officer` | the same as for reading |
//!
//! # Logging in
//!
//! [`Auth`] has the ways, and [`Auth::default_order`] is the one unless another is given. A login is made by the first read
//! that needs one, whatever the number of readers; it is a task of its own and goes on when that reader gives up. A token is
//! replaced in the background by the first read after a jittered two thirds of its life: nobody waits while the old one
//! lives, and none is used in its last moments. After a failure the next attempt waits: 1 s at first, and never more than two
//! a minute. All ages are counted in time that includes suspension of the machine.
//!
//! A 401 means that the token is dead. It is replaced, and the read repeated, once; another one within 30 s is not replaced
//! again. There is nothing to give back at `shutdown`: Microsoft Entra ID cannot revoke a token.
//!
//! # Errors
//!
//! The service's own texts are read for what they say, and never passed on. Codes are in the
//! [cause](secrets_core::Error::cause): the inner one where there is one, the first `AADSTS` number of a login.
//!
//! | status | kind | when, and what to do |
//! |---|---|---|
//! | no answer | `Unavailable` | refused, reset, cut short; no DNS, as for a vault that is not there; TLS that does not verify (code `tls`) |
//! | no answer in time | `Timeout` | |
//! | 2xx, malformed, too large, about another secret | `InvalidData` | something between rewrites answers, or [`max_value`](AzureBuilder::max_value) is too small |
//! | 3xx | `Unavailable` | redirects are not followed |
//! | 400 | `InvalidData` | check [`api_version`](AzureBuilder::api_version) |
//! | 401 | `Unauthenticated` | also after a new login; `AKV10032`: the token is of another tenant |
//! | 401 whose challenge is for something else | `Unauthenticated` | code `challenge`; no token was sent |
//! | 403 `SecretDisabled`, `SecretNotYetValid`, `SecretExpired` | `Disabled` | |
//! | 403 `ForbiddenByRbac` | `PermissionDenied` | the message names the role |
//! | 403 `ForbiddenByPolicy`, `AccessDenied` | `PermissionDenied` | the message names the permission |
//! | 403 `ForbiddenByFirewall`, `ForbiddenByConnection` | `PermissionDenied` | allow the network, or use a private endpoint |
//! | 404 | `NotFound` | absent, or deleted, where the identity may be told |
//! | 404 of a pinned version | `VersionNotFound` | the secret exists, or is deleted |
//! | 404 `VaultNotFound` | `InvalidConfig` | |
//! | 405, 501 | `Unsupported` | this is not Key Vault |
//! | 408, 504 | `Timeout` | something on the way gave up |
//! | 409 `ObjectIsDeletedButRecoverable`, `ObjectIsBeingDeleted` | `NotFound` | |
//! | 409 | `Unavailable` | it is being changed |
//! | 413, other 4xx | `InvalidData` | |
//! | 429 | `RateLimited` | `Retry-After`, or Azure's headers in milliseconds, is passed on |
//! | 5xx | `Unavailable` | |
//!
//! Of a login:
//!
//! | | kind |
//! |---|---|
//! | 4xx, with what the `AADSTS` number says: a wrong or expired secret, an unknown tenant or application, a federated token that does not fit | `Unauthenticated` |
//! | 400 of an identity endpoint: no such identity is assigned | `Unauthenticated` |
//! | 404 of an identity endpoint: it is being updated, or there is none | `Unavailable` |
//! | no credential in the whole [default order](Auth::default_order) | `Unauthenticated`, with why each was passed over |
//! | a token that cannot be read | `InvalidData` |
//! | a token that has ended when it comes: this machine's time of day is wrong (code `expired`) | `Unauthenticated` |
//! | 408, 504; longer than [`login_timeout`](AzureBuilder::login_timeout) | `Timeout` |
//! | 429 | `RateLimited` |
//! | 3xx, 410, 5xx, no connection | `Unavailable` |
//!
//! # In memory
//!
//! The SDK writes the requests, and checks and answers the vault's challenge, of which it is told the resource alone: it logs
//! what it is told. Answers do not pass through it. They are
//! parsed in place and wiped, values copied once into buffers of their own size, tokens kept in headers that are wiped when
//! dropped. What the TLS and HTTP layers read into stays with them while a connection lives: see
//! [`idle_connections`](AzureBuilder::idle_connections). The SDK's form of a client secret, and of a federated token, is freed
//! after each login and not wiped: there the zeroing allocator helps. Nothing of this holds for a
//! [client](AzureBackend::with_client) or [credential](Auth::credential) of your own.
//!
//! # What is not done
//!
//! No redirect is followed, no certificate left unverified, no challenge for another service answered, no proxy used for this
//! machine, nothing tried twice. Certificates for logging in are not offered: in the SDK they need OpenSSL.

#![forbid(unsafe_code)]

mod answer;
mod auth;
mod backend;
mod backoff;
mod builder;
mod challenge;
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
