//! Kubernetes Secrets as backends of `secrets`: mounted volumes, and the API.
//!
//! | | [`K8sBackend`] | `K8sApiBackend` (feature `api`) |
//! |---|---|---|
//! | reads | volumes that the kubelet mounts | the API server |
//! | needs | a volume in the pod's manifest | a role that allows `get` |
//! | sees a rotation | when the kubelet has swapped the volume (a minute or so) | as it happens |
//! | brings | no crate of others | kube |
//!
//! Mounts are the better choice where the Secrets are known when the pod is written: no permission, no load on the API
//! server, and Secrets stay readable in its outage. The API is for what is known only at run time, and for rotations
//! that cannot wait.
//!
//! ```
//! use secrets_core::SecretManager;
//! use secrets_k8s::K8sBackend;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let root = tempfile::tempdir()?;
//! # std::fs::create_dir(root.path().join("smtp-database"))?;
//! # std::fs::write(root.path().join("smtp-database/user"), "mailer")?;
//! # std::fs::write(root.path().join("smtp-database/password"), "hunter2")?;
//! # let root = root.path();
//! let secrets = SecretManager::builder(K8sBackend::new(root)?).build()?; // such as /etc/secrets
//! let password = secrets.get("smtp/database/password").await?; // the key `password` of the Secret `smtp-database`
//! let user = secrets.get("smtp-database#user").await?; // the same Secret as a whole, and a field of it
//! # assert_eq!((password.expose_str()?, user.expose_str()?), ("hunter2", "mailer"));
//! # Ok(())
//! # }
//! ```
//!
//! # Names
//!
//! The last segment is the key, the earlier ones joined by `-` are the Secret. A name of one segment is a whole Secret.
//!
//! | name | Secret | key | with base `billing-` |
//! |---|---|---|---|
//! | `smtp/database/password` | `smtp-database` | `password` | `billing-smtp-database` |
//! | `smtp-database/password` | the same | the same | the same |
//! | `tls/tls.crt` | `tls` | `tls.crt` | `billing-tls` |
//! | `smtp-database` | `smtp-database` | all of them | `billing-smtp-database` |
//!
//! What [Kubernetes does not take](https://kubernetes.io/docs/concepts/overview/working-with-objects/names/) is refused with
//! `InvalidName`: a Secret is a DNS subdomain (a-z, 0-9, `-` and `.`), a key is made of letters, digits, `-`, `_` and `.`;
//! each has at most 253 characters. Mounts keep to the same, so that a name that works on one works on the other.
//!
//! Listed names are canonical: each single `-` of a Secret's name is read as `/`. Below a prefix given to `list`, names keep
//! the spelling of that prefix. Both lead back.
//!
//! # Values
//!
//! Exactly the bytes, nothing trimmed. A whole Secret has each key as a field; it is itself the field `value`
//! (`default_field`) when that is the only one, otherwise the JSON object of all of them, in which what is not UTF-8 stands as
//! base64. All fields come from one version of the Secret, and so do several keys of a Secret that one call asks for.
//!
//! So [`ConfigSecretLoader`](secrets_core::ConfigSecretLoader) has one Secret for each component. `load_all` below `smtp` reads
//! the whole of the Secret `smtp`; below `smtp/database`, and by `load_as("database")` below `smtp`, the fields of the type are
//! keys of the Secret `smtp-database`, with numbers read from their text. The latter asks for the key `database` of the Secret
//! `smtp` first, which may be absent but not denied: where a role names its Secrets, take the prefix `smtp-database` instead. A
//! whole Secret holds texts: in a type that is read from one, a number is a `String`.
//!
//! There are no versions to ask for: that is `Unsupported`. The API states the `resourceVersion` as the metadata's version,
//! and `type` and `immutable` as attributes; a mount states when its files were written.
//!
//! # Mounts
//!
//! `<root>/<secret>/<key>`, one directory for each Secret; [`volume`](K8sBackendBuilder::volume) is for a Secret mounted at
//! the root itself.
//!
//! - The kubelet writes a new version beside the old one, and swaps the link `..data`. What one call reads is read through
//!   one opened `..data`; a version that is swapped out and deleted meanwhile is read again.
//! - Everything is resolved beneath the root. Links out of a volume are refused.
//! - A **projected volume** is a directory like any other: its name stands for the Secret's. Keys at paths of several parts
//!   (`db/password`) are fields of the whole: `app#db/password`.
//! - A key that is **optional** and absent is `NotFound`. So is the whole of a Secret that is optional and absent: the kubelet
//!   mounts an empty directory, which nobody can tell from a Secret without keys.
//! - A file mounted by **`subPath`** [never changes](https://kubernetes.io/docs/concepts/storage/volumes/#secret): the kubelet
//!   binds it once. It is read, and watching it hears of nothing until the pod is restarted. On Linux that is said once, with
//!   the feature `tracing`, as soon as anything is watched. Where a directory has no `..data`, its Secret is mounted so, or by
//!   somebody else than the kubelet.
//! - A dot in front of a file's name hides nothing: `.dockerconfigjson` is a key. What begins with `..` is the kubelet's own.
//! - Permission bits are not held against a file: the kubelet chose them (`defaultMode`).
//!
//! With the feature `watch` changes are heard as they happen (inotify on Linux), and looked for every
//! 10 seconds (`poll_interval`) where they are not. Contents are compared: a swap that leaves a value as it
//! was is no event.
//!
//! ## Failures of mounts
//!
//! | what happened | kind |
//! |---|---|
//! | the Secret is not mounted, or has no such key; nothing is in its volume | `NotFound` |
//! | a FIFO, socket or device; a value too large; too many links | `InvalidData` |
//! | no permission; a link out of the volume | `PermissionDenied` |
//! | a name that Kubernetes does not take | `InvalidName` |
//! | a version was asked for; called outside a tokio runtime | `Unsupported` |
//! | the root does not exist ([unless it need not](K8sBackendBuilder::optional_root)); a volume that changes faster than it can be read; any other failure of the system | `Unavailable` |
//! | the root is no directory; a wrong option | `InvalidConfig` |
#![cfg_attr(feature = "api", doc = include_str!("../docs/api.md"))]
//!
//! # With External Secrets Operator, or the Secrets Store CSI driver
//!
//! Both put what another store holds where these backends read: see [`operators`].
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `api` | the API, and with it kube; includes `watch`. Needs Rust 1.89, as kube does |
//! | `k8s-openapi-earliest` | chooses [the version of Kubernetes](#the-version-of-kubernetes) for k8s-openapi; not for libraries |
//! | `tracing` | says once when it has to fall back from watching or listing, and which keys are mounted by `subPath` |
//! | `watch` | changes of mounts as they happen |

#![forbid(unsafe_code)]

#[cfg(feature = "api")]
mod api;
mod mount;
mod naming;
#[cfg(feature = "watch")]
mod state;
mod values;

#[cfg(doc)]
#[doc = include_str!("../docs/operators.md")]
pub mod operators {}

#[cfg(feature = "api")]
pub use api::{K8sApiBackend, K8sApiBuilder};
pub use mount::{K8sBackend, K8sBackendBuilder};
