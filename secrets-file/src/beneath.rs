//! Reading files beneath a directory, so that neither a link nor a rename leads out of it.
//!
//! [`Root`] opens a directory once. Every path is then resolved from that open directory, and the resolution itself
//! refuses to leave it: there is no check that something could slip past afterwards. Links are followed as long as they
//! stay inside, the kubelet's `..data` included.
//!
//! A directory that is opened beneath another is a `Root` of its own. That gives a consistent view of a Kubernetes
//! volume: the kubelet replaces the link `..data` and never the files behind it, so all keys read through one opened
//! `..data` are of one version.
//!
//! ```
//! use secrets_file::beneath::Root;
//!
//! # let volume = tempfile::tempdir()?;
//! # std::fs::create_dir(volume.path().join("..2026_01"))?;
//! # std::fs::write(volume.path().join("..2026_01/username"), "smtp")?;
//! # std::fs::write(volume.path().join("..2026_01/password"), "hunter2")?;
//! # #[cfg(unix)]
//! # std::os::unix::fs::symlink("..2026_01", volume.path().join("..data"))?;
//! # #[cfg(not(unix))]
//! # std::fs::rename(volume.path().join("..2026_01"), volume.path().join("..data"))?;
//! let data = Root::open(volume.path())?.open_dir("..data")?;
//! for file in data.files("", false)? {
//!     let content = data.read(&file, 1024 * 1024)?;
//!     assert!(!content.bytes().is_empty());
//! }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! All calls block the thread for as long as the file system takes.
//!
//! # How it is done
//!
//! - **Linux**: one `openat2` with `RESOLVE_BENEATH` per path. Where a kernel or a seccomp profile does not have it, as
//!   on other Unix.
//! - **Other Unix**: one directory after the other is opened with `O_NOFOLLOW`; links are read and followed here, `..`
//!   leads back to the directory it was entered from. An absolute link leads out, as it does for `openat2`.
//! - **Elsewhere**: paths are made canonical and compared before they are opened. That refuses the same paths, but whoever
//!   can write beneath the root can change them in between.

mod content;
mod permissions;
#[cfg(any(not(unix), test))]
mod portable;
mod problem;
#[cfg(all(test, target_os = "linux"))]
mod tests;
mod tree;
#[cfg(unix)]
mod unix;

use std::ffi::OsString;
use std::path::Path;

pub use content::{Content, OpenFile};
pub use problem::Problem;

#[cfg(not(unix))]
use portable as system;
#[cfg(unix)]
use unix as system;

/// An open directory; everything read through it lies beneath it.
#[derive(Debug)]
pub struct Root(system::Dir);

impl Root {
    /// Opens a directory. Links in `path` itself are followed wherever they lead.
    ///
    /// # Errors
    ///
    /// Most likely [`Missing`](Problem::Missing), [`Denied`](Problem::Denied) or
    /// [`NotADirectory`](Problem::NotADirectory).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Problem> {
        system::Dir::open(path.as_ref()).map(Self)
    }

    /// Opens a directory beneath this one as a root of its own: links that leave it are refused from then on, even
    /// where they stay inside this one.
    ///
    /// # Errors
    ///
    /// As [`open`](Root::open), and [`Escapes`](Problem::Escapes).
    pub fn open_dir(&self, path: impl AsRef<Path>) -> Result<Self, Problem> {
        self.0.open_dir(path.as_ref()).map(Self)
    }

    /// Whether `path` leads, at this moment, to the directory that `other` is: whether a link such as the kubelet's `..data`
    /// still points where it did when `other` was opened through it.
    ///
    /// # Errors
    ///
    /// As [`open_dir`](Root::open_dir).
    pub fn leads_to(&self, path: impl AsRef<Path>, other: &Root) -> Result<bool, Problem> {
        // An open directory keeps its identity to itself, also after it was deleted.
        Ok(self.0.id(path.as_ref())? == other.0.id(Path::new(""))?)
    }

    /// Opens a regular file, without waiting for whatever it may be instead.
    ///
    /// # Errors
    ///
    /// Any [`Problem`] but those of reading.
    pub fn open_file(&self, path: impl AsRef<Path>) -> Result<OpenFile, Problem> {
        let file = self.0.open_file(path.as_ref())?;
        OpenFile::new(file, |file, metadata| self.0.exposed(file, metadata))
    }

    /// Opens a regular file and reads all of it, if it has no more than `limit` bytes.
    ///
    /// # Errors
    ///
    /// Any [`Problem`].
    pub fn read(&self, path: impl AsRef<Path>, limit: usize) -> Result<Content, Problem> {
        self.open_file(path)?.read(limit)
    }

    /// What lies at a path, links followed.
    ///
    /// # Errors
    ///
    /// As [`open_file`](Root::open_file).
    pub fn kind(&self, path: impl AsRef<Path>) -> Result<EntryKind, Problem> {
        self.0.kind(path.as_ref())
    }

    /// The entries of a directory, in no order; the empty path is the root itself. `.` and `..` are left out.
    ///
    /// # Errors
    ///
    /// As [`open_dir`](Root::open_dir), and [`TooManyEntries`](Problem::TooManyEntries) beyond 100,000.
    pub fn entries(&self, path: impl AsRef<Path>) -> Result<Vec<Entry>, Problem> {
        tree::entries(&self.0, path.as_ref())
    }

    /// The regular files of a directory, and when `deep` those of the directories beneath it, as paths that
    /// [`read`](Root::read) takes. In no order.
    ///
    /// What begins with a dot is left out, and so are links that lead out or nowhere. Links to directories are followed,
    /// but not into a directory they lie in.
    ///
    /// # Errors
    ///
    /// As [`entries`](Root::entries). A directory that may not be read is an error: an incomplete answer would look like
    /// a complete one.
    pub fn files(&self, path: impl AsRef<Path>, deep: bool) -> Result<Vec<std::path::PathBuf>, Problem> {
        tree::files(&self.0, path.as_ref(), deep)
    }

    /// Hands out every directory that is looked into on the way to `path`, those behind links included; as far as the
    /// way goes.
    #[cfg(all(feature = "watch", target_os = "linux"))]
    pub(crate) fn on_the_way(
        &self,
        path: impl AsRef<Path>,
        directory: impl FnMut(std::os::fd::BorrowedFd<'_>),
    ) {
        self.0.on_the_way(path.as_ref(), directory);
    }

    /// The same root, resolving paths as where there is no `openat2`.
    #[cfg(all(unix, test))]
    pub(crate) fn walking(mut self) -> Self {
        self.0.walk();
        self
    }
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name in the directory.
    pub name: OsString,
    /// What it is; for a link, what that leads to.
    pub kind: EntryKind,
}

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// Anything else, links that lead out or nowhere included.
    Other,
}
