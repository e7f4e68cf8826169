//! Files as a backend of `secrets`: mounted secrets, Docker and Compose, systemd credentials.
//!
//! ```
//! use secrets_core::{Fetched, ReadRequest, SecretBackend, SecretName};
//! use secrets_file::FileBackend;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let root = tempfile::tempdir()?;
//! # std::fs::create_dir(root.path().join("smtp"))?;
//! # std::fs::write(root.path().join("smtp/api-key"), "hunter2\n")?;
//! # let root = root.path();
//! let backend = FileBackend::new(root)?; // such as /etc/app/secrets
//!
//! let name = SecretName::new("smtp/api-key")?;
//! let Fetched::Value(secret) = backend.get(ReadRequest::new(&name)).await? else { unreachable!() };
//! assert_eq!(secret.expose_str()?, "hunter2");
//! # Ok(())
//! # }
//! ```
//!
//! # From a name to a file
//!
//! | name | `Layout::Nested` | `Layout::Flat` | flat, with the extension `secret` |
//! |---|---|---|---|
//! | `smtp/database/password` | `smtp/database/password` | `smtp_database_password` | `smtp_database_password.secret` |
//! | `smtp/api-key` | `smtp/api-key` | `smtp_api-key` | `smtp_api-key.secret` |
//! | `smtp/.netrc` | `smtp/.netrc` | `smtp_.netrc` | `smtp_.netrc.secret` |
//!
//! All characters are taken as they are; only `Flat` turns each `/` into `_`. The option
//! [`base`](FileBackendBuilder::base) comes first, as it is. A part longer than the 255 bytes a file name may have is
//! refused with `InvalidName`.
//!
//! Listed names lead back to their file. In the flat layout they are canonical, each `_` read as `/` (`smtp_api-key` is
//! `smtp/api-key`); the case of letters is kept, as the mapping keeps it. What begins with a dot, has another extension,
//! is no regular file, or whose name would not lead back is left out. Below a prefix given to `list`, names keep the
//! spelling of that prefix.
//!
//! # Where secrets are mounted
//!
//! | | use | layout |
//! |---|---|---|
//! | Docker and Compose secrets | [`FileBackend::docker_secrets`] | flat, in `/run/secrets` |
//! | systemd's `LoadCredential=` and its kin | [`FileBackend::systemd_credentials`] | flat, in `$CREDENTIALS_DIRECTORY` |
//! | a Kubernetes volume, a CSI volume, your own directory | [`FileBackend::new`] | nested |
//!
//! # What a value is
//!
//! Exactly the bytes of the file, with one exception: editors and `echo` end a file with a line break that nobody means.
//! When the content is UTF-8 and its final LF or CRLF is the only line break in it, that is removed; a key in PEM keeps
//! all of its own. [`Trim::Never`] turns this off. `created` in the metadata is the time the file was last written; there
//! are no versions.
//!
//! A file larger than 1 MiB ([`max_size`](FileBackendBuilder::max_size)) is refused before it is read. One that changes
//! while it is being read is read again, and refused in the end: replace secrets by renaming a complete file over the old
//! one. A file that is truncated first and written later is empty in between, and nobody can tell that from a value.
//!
//! # What is not read
//!
//! Everything is resolved [`beneath`] the root, which is opened anew by each call. A link that leads out of it is
//! refused, whenever it is made; links inside are followed. The root's own path may be a link: it is configuration.
//!
//! A file that every user of the system can read or write is reported, once each, as a warning through `tracing` (feature
//! `tracing`), or refused with [`strict_permissions`](FileBackendBuilder::strict_permissions).
//! [`OpenFile::exposed`](beneath::OpenFile::exposed) says when it is not held against the file: the kubelet's and
//! Docker's mounts are no reason to warn.
//!
//! # Changes
//!
//! With the feature `watch`, the backend tells a manager of changes as they happen, and handles follow them within a
//! fraction of a second; see the module `watch`. Without it, a change is seen when the time to live of the cached value
//! ends.
//!
//! # Failures
//!
//! | what happened | kind |
//! |---|---|
//! | no such file (`ENOENT`); a file where a directory should be (`ENOTDIR`) | `NotFound`, naming the file |
//! | a directory, nested layout: secrets lie below it | `NotFound` |
//! | a directory, flat layout | `InvalidData` |
//! | a FIFO, socket or device; a file too large; too many links (`ELOOP`) | `InvalidData` |
//! | no permission (`EACCES`, `EPERM`); a link out of the root; `strict_permissions` | `PermissionDenied` |
//! | a name with a part too long (`ENAMETOOLONG`), or with a character Windows does not take | `InvalidName` |
//! | a version was asked for | `Unsupported` |
//! | a file that keeps changing; any other failure of the system (`EIO`, `ESTALE`, `EMFILE`, …) | `Unavailable` |
//! | the system timed out (`ETIMEDOUT`) | `Timeout` |
//! | **the root does not exist**: not mounted yet, or a wrong path | `Unavailable` |
//! | the root is not a directory | `InvalidConfig` |
//! | called outside a tokio runtime | `Unsupported` |
//! | a wrong option; `$CREDENTIALS_DIRECTORY` not set | `InvalidConfig`, when the backend is built |
//!
//! A missing root is not a missing secret: were it `NotFound`, an application would start without its secrets because a
//! mount was late. Where a root is meant to be optional, say so
//! ([`optional_root`](FileBackendBuilder::optional_root)): then it is as good as an empty one.
//!
//! # Threads
//!
//! Files are read on tokio's blocking threads. Dropping a call does not stop a read that hangs in the system, on a dead
//! network mount for instance; it ends when the system lets go of it, and what it read is wiped.
//!
//! # Platforms
//!
//! Linux is served best. On other Unix paths are resolved step by step, as safely, and mounts are not told apart when it
//! comes to permissions. Elsewhere whoever can write beneath the root can race the check that keeps links inside it, and
//! permissions are not looked at. File systems that ignore the case of letters make `A` and `a` one secret.

#![forbid(unsafe_code)]

mod backend;
pub mod beneath;
mod builder;
#[cfg(all(test, unix))]
mod laws;
mod naming;
mod trim;
#[cfg(feature = "tracing")]
mod warned;
#[cfg(feature = "watch")]
pub mod watch;

pub use backend::FileBackend;
pub use builder::FileBackendBuilder;
pub use naming::Layout;
pub use trim::Trim;
