use std::fmt;
use std::io;
use std::path::Path;

use secrets_core::{Cause, Error, ErrorKind};

/// Why something beneath a [`Root`](super::Root) cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// It changed each time while it was being read.
    Changing,
    /// The process may not read it, or not enter a directory on the way.
    Denied,
    /// It is a directory, where a file was asked for.
    Directory,
    /// The way to it leads out of the root.
    Escapes,
    /// Anything else the system says.
    Failed(io::ErrorKind),
    /// It does not exist.
    Missing,
    /// One of its parts is longer than the file system takes.
    NameTooLong,
    /// It, or something on the way to it, is no directory.
    NotADirectory,
    /// It is a FIFO, socket or device, where a file was asked for.
    NotAFile,
    /// It is larger than allowed.
    TooLarge {
        /// How many bytes are allowed.
        limit: usize,
    },
    /// There are more entries than a listing may have.
    TooManyEntries,
    /// The way to it goes through more links than the system follows.
    TooManyLinks,
}

impl Problem {
    /// The kind of error a backend reports it as.
    ///
    /// | problem | kind |
    /// |---|---|
    /// | `Missing`, `NotADirectory`, `Directory` | `NotFound` |
    /// | `Denied`, `Escapes` | `PermissionDenied` |
    /// | `NotAFile`, `TooLarge`, `TooManyEntries`, `TooManyLinks` | `InvalidData` |
    /// | `NameTooLong` | `InvalidName` |
    /// | `Changing`, `Failed` | `Unavailable`; `Timeout` when the system says so |
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::Directory | Self::Missing | Self::NotADirectory => ErrorKind::NotFound,
            Self::Denied | Self::Escapes => ErrorKind::PermissionDenied,
            Self::NotAFile | Self::TooLarge { .. } | Self::TooManyEntries | Self::TooManyLinks => {
                ErrorKind::InvalidData
            }
            Self::NameTooLong => ErrorKind::InvalidName,
            Self::Failed(io::ErrorKind::TimedOut) => ErrorKind::Timeout,
            Self::Changing | Self::Failed(_) => ErrorKind::Unavailable,
        }
    }

    /// The error a backend reports about `path`; it adds its name and the secret's.
    pub fn into_error(self, path: &Path) -> Error {
        Error::new(self.kind(), format!("`{}` {self}", path.display())).with_cause(self.cause())
    }

    pub(crate) fn cause(self) -> Cause {
        match self {
            Self::Failed(kind) => Cause::new().with_code(&format!("{kind:?}")),
            other => Cause::new().with_code(match other {
                Self::Denied => "EACCES",
                Self::Directory => "EISDIR",
                Self::Escapes => "EXDEV",
                Self::Missing => "ENOENT",
                Self::NameTooLong => "ENAMETOOLONG",
                Self::NotADirectory => "ENOTDIR",
                Self::TooManyLinks => "ELOOP",
                Self::NotAFile => "not-a-file",
                Self::TooLarge { .. } => "too-large",
                Self::TooManyEntries => "too-many-entries",
                Self::Changing | Self::Failed(_) => "changing",
            }),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changing => f.write_str(
                "changes while it is being read; replace the file by renaming another one over it",
            ),
            Self::Denied => f.write_str("may not be read by this process; check its owner and mode, and those of its directories"),
            Self::Directory => f.write_str("is a directory"),
            Self::Escapes => f.write_str(
                "is reached through a link that leads out of the root; only what lies beneath the root is read",
            ),
            Self::Failed(kind) => write!(f, "cannot be read: {kind}"),
            Self::Missing => f.write_str("does not exist"),
            Self::NameTooLong => f.write_str("has a part longer than the file system takes"),
            Self::NotADirectory => f.write_str("is not in a directory: something on the way to it is a file"),
            Self::NotAFile => f.write_str("is a FIFO, socket or device; only regular files are read"),
            Self::TooLarge { limit } => {
                write!(f, "is larger than the {limit} bytes allowed; raise the limit if it is meant to be")
            }
            Self::TooManyEntries => f.write_str("holds too many entries; list below a prefix, or choose another root"),
            Self::TooManyLinks => f.write_str("is reached through too many links, or through a loop of them"),
        }
    }
}

impl std::error::Error for Problem {}

#[cfg(unix)]
impl From<rustix::io::Errno> for Problem {
    fn from(error: rustix::io::Errno) -> Self {
        use rustix::io::Errno;

        match error {
            Errno::ACCESS | Errno::PERM => Self::Denied,
            Errno::ISDIR => Self::Directory,
            Errno::LOOP => Self::TooManyLinks,
            Errno::NAMETOOLONG => Self::NameTooLong,
            Errno::NOENT => Self::Missing,
            Errno::NOTDIR => Self::NotADirectory,
            // What opening a socket, or a device without a driver, says.
            Errno::NXIO | Errno::NODEV | Errno::OPNOTSUPP => Self::NotAFile,
            Errno::XDEV => Self::Escapes,
            other => Self::Failed(io::Error::from(other).kind()),
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        #[cfg(unix)]
        if let Some(error) = rustix::io::Errno::from_io_error(&error) {
            return error.into();
        }
        match error.kind() {
            io::ErrorKind::IsADirectory => Self::Directory,
            io::ErrorKind::NotADirectory => Self::NotADirectory,
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::Denied,
            other => Self::Failed(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn e1_what_the_system_says_becomes_a_kind() {
        use rustix::io::Errno;

        for (errno, problem, kind) in [
            (Errno::ACCESS, Problem::Denied, ErrorKind::PermissionDenied),
            (Errno::PERM, Problem::Denied, ErrorKind::PermissionDenied),
            (Errno::NOENT, Problem::Missing, ErrorKind::NotFound),
            (Errno::NOTDIR, Problem::NotADirectory, ErrorKind::NotFound),
            (Errno::ISDIR, Problem::Directory, ErrorKind::NotFound),
            (Errno::LOOP, Problem::TooManyLinks, ErrorKind::InvalidData),
            (Errno::NXIO, Problem::NotAFile, ErrorKind::InvalidData),
            (Errno::NODEV, Problem::NotAFile, ErrorKind::InvalidData),
            (Errno::OPNOTSUPP, Problem::NotAFile, ErrorKind::InvalidData),
            (Errno::XDEV, Problem::Escapes, ErrorKind::PermissionDenied),
            (Errno::NAMETOOLONG, Problem::NameTooLong, ErrorKind::InvalidName),
            (
                Errno::TIMEDOUT,
                Problem::Failed(io::ErrorKind::TimedOut),
                ErrorKind::Timeout,
            ),
            (
                Errno::STALE,
                Problem::Failed(io::ErrorKind::StaleNetworkFileHandle),
                ErrorKind::Unavailable,
            ),
            (
                Errno::NOTCONN,
                Problem::Failed(io::ErrorKind::NotConnected),
                ErrorKind::Unavailable,
            ),
        ] {
            assert_eq!(Problem::from(errno), problem);
            assert_eq!(Problem::from(io::Error::from(errno)), problem);
            assert_eq!(problem.kind(), kind);
        }
        for errno in [
            Errno::IO,
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
            Errno::INVAL,
            Errno::AGAIN,
        ] {
            assert_eq!(Problem::from(errno).kind(), ErrorKind::Unavailable);
        }
    }

    #[test]
    fn e1_every_problem_has_a_code_and_says_what_it_is() {
        for (problem, code, kind) in [
            (Problem::Changing, "changing", ErrorKind::Unavailable),
            (Problem::Denied, "EACCES", ErrorKind::PermissionDenied),
            (Problem::Directory, "EISDIR", ErrorKind::NotFound),
            (Problem::Escapes, "EXDEV", ErrorKind::PermissionDenied),
            (
                Problem::Failed(io::ErrorKind::NotConnected),
                "NotConnected",
                ErrorKind::Unavailable,
            ),
            (Problem::Missing, "ENOENT", ErrorKind::NotFound),
            (Problem::NameTooLong, "ENAMETOOLONG", ErrorKind::InvalidName),
            (Problem::NotADirectory, "ENOTDIR", ErrorKind::NotFound),
            (Problem::NotAFile, "not-a-file", ErrorKind::InvalidData),
            (
                Problem::TooLarge { limit: 7 },
                "too-large",
                ErrorKind::InvalidData,
            ),
            (
                Problem::TooManyEntries,
                "too-many-entries",
                ErrorKind::InvalidData,
            ),
            (Problem::TooManyLinks, "ELOOP", ErrorKind::InvalidData),
        ] {
            let error = problem.into_error(Path::new("/run/x"));
            assert_eq!(error.kind(), kind);
            assert_eq!(error.cause().unwrap().code(), Some(code));
            assert_eq!(error.message(), format!("`/run/x` {problem}"));
        }
    }
}
