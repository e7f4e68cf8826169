use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::tree::{Listing, MAX_ENTRIES};
use super::{EntryKind, Problem, permissions};

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

/// To go through a directory takes the permission to search it, not to read it, where the system makes the difference.
#[cfg(any(target_os = "android", target_os = "linux"))]
const SEARCH: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "android", target_os = "linux")))]
const SEARCH: OFlags = OFlags::RDONLY;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// Opening a FIFO must not wait for a writer, nor a terminal become the process's own.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// By this a directory is known again, whatever the path it was reached by.
pub(super) type DirId = (u64, u64);

#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    /// Go from directory to directory even where `openat2` could do it at once.
    walk: bool,
}

impl Dir {
    pub(super) fn open(path: &Path) -> Result<Self, Problem> {
        let fd = openat(rustix::fs::CWD, path, SEARCH | DIRECTORY, Mode::empty())?;
        Ok(Self { fd, walk: false })
    }

    #[cfg(test)]
    pub(super) fn walk(&mut self) {
        self.walk = true;
    }

    pub(super) fn open_dir(&self, path: &Path) -> Result<Self, Problem> {
        Ok(Self {
            fd: self.open_beneath(path, SEARCH | DIRECTORY)?,
            walk: self.walk,
        })
    }

    pub(super) fn open_file(&self, path: &Path) -> Result<File, Problem> {
        Ok(self.open_beneath(path, FILE)?.into())
    }

    pub(super) fn id(&self, path: &Path) -> Result<DirId, Problem> {
        Ok(id(&fstat(self.open_beneath(path, SEARCH | DIRECTORY)?)?))
    }

    /// Reads a directory.
    pub(super) fn read(&self, path: &Path) -> Result<Listing<DirId>, Problem> {
        let fd = self.open_beneath(path, OFlags::RDONLY | DIRECTORY)?;
        let stat = fstat(&fd)?;
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::new(fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Symlink | FileType::Unknown => None,
                other => Some(kind(other)),
            };
            entries.push((OsString::from_vec(name.to_vec()), kind));
            if entries.len() > MAX_ENTRIES {
                return Err(Problem::TooManyEntries);
            }
        }
        Ok(Listing {
            id: id(&stat),
            entries,
        })
    }

    /// What lies at `path`, links followed.
    pub(super) fn kind(&self, path: &Path) -> Result<EntryKind, Problem> {
        #[cfg(any(target_os = "android", target_os = "linux"))]
        if let Some(opened) = self.openat2(path, OFlags::PATH | OFlags::CLOEXEC) {
            return Ok(kind(FileType::from_raw_mode(fstat(opened?)?.st_mode)));
        }
        let found = walk(self.fd.as_fd(), path, |dir, name| {
            match FileType::from_raw_mode(statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode) {
                FileType::Symlink => Err(Errno::LOOP),
                other => Ok(kind(other)),
            }
        })?;
        Ok(found)
    }

    #[cfg(all(feature = "watch", target_os = "linux"))]
    pub(super) fn on_the_way(&self, path: &Path, mut directory: impl FnMut(BorrowedFd<'_>)) {
        // How the way ends is of no interest: what comes into being there is heard from its last directory.
        let _ = walk_through(self.fd.as_fd(), path, &mut directory, |_, _| Ok(()));
    }

    pub(super) fn exposed(&self, file: &File, metadata: &Metadata) -> Option<u32> {
        permissions::exposed(self.fd.as_fd(), file.as_fd(), metadata)
    }

    fn open_beneath(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        #[cfg(any(target_os = "android", target_os = "linux"))]
        if let Some(opened) = self.openat2(path, flags) {
            return opened;
        }
        walk(self.fd.as_fd(), path, |dir, name| {
            openat(dir, name, flags | OFlags::NOFOLLOW, Mode::empty())
        })
    }

    /// `None` where the kernel has no `openat2`, a seccomp profile hides it, or too much is being renamed.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    fn openat2(&self, path: &Path, flags: OFlags) -> Option<Result<OwnedFd, Errno>> {
        use rustix::fs::{ResolveFlags, openat2};

        /// How often a rename elsewhere may cross a `..` in a link before we give up.
        const CROSSINGS: usize = 64;

        if self.walk {
            return None;
        }
        // An empty path is refused by the system; here it is the directory itself.
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..CROSSINGS {
            match openat2(&self.fd, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::NOSYS | Errno::PERM) => return None,
                opened => return Some(opened),
            }
        }
        None
    }
}

/// Resolves `path` by opening one directory after the other, and hands the last part and its directory to `last`.
///
/// `last` must not follow a link; when it meets one after all, it answers `LOOP` and is asked again.
fn walk<T>(
    root: BorrowedFd<'_>,
    path: &Path,
    last: impl Fn(BorrowedFd<'_>, &OsStr) -> Result<T, Errno>,
) -> Result<T, Errno> {
    walk_through(root, path, &mut |_| {}, last)
}

/// As [`walk`]; `directory` gets each one that is looked into.
fn walk_through<T>(
    root: BorrowedFd<'_>,
    path: &Path,
    directory: &mut impl FnMut(BorrowedFd<'_>),
    last: impl Fn(BorrowedFd<'_>, &OsStr) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let mut entered: Vec<OwnedFd> = Vec::new();
    let mut pending: Vec<OsString> = Vec::new();
    push_reversed(&mut pending, path.as_os_str().as_bytes())?;
    let mut links = 0;
    loop {
        let Some(part) = pending.pop() else {
            directory(top(root, &entered));
            return last(top(root, &entered), OsStr::new("."));
        };
        match part.as_bytes() {
            b"" | b"." => continue,
            b".." => {
                // Back to where it was entered from, wherever that has been moved to meanwhile.
                entered.pop().ok_or(Errno::XDEV)?;
                continue;
            }
            _ => {}
        }
        let dir = top(root, &entered);
        directory(dir);
        match readlinkat(dir, part.as_os_str(), Vec::new()) {
            Ok(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                push_reversed(&mut pending, target.as_bytes())?;
                continue;
            }
            Err(Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
        #[cfg(test)]
        between::run();
        let refused = if pending.is_empty() {
            match last(dir, &part) {
                Err(error) => error,
                found => return found,
            }
        } else {
            let flags = SEARCH | DIRECTORY | OFlags::NOFOLLOW;
            match openat(dir, part.as_os_str(), flags, Mode::empty()) {
                Err(error) => error,
                Ok(opened) => {
                    entered.push(opened);
                    continue;
                }
            }
        };
        if !may_have_been_a_link(dir, &part, refused) {
            return Err(refused);
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        pending.push(part);
    }
}

/// Whether `part` was refused because it had become a link since it was looked at; it may be none any more.
fn may_have_been_a_link(dir: BorrowedFd<'_>, part: &OsStr, refused: Errno) -> bool {
    match refused {
        Errno::LOOP => true,
        // What Linux says of a link where a directory is wanted, and of a file as well.
        Errno::NOTDIR => statat(dir, part, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            matches!(
                FileType::from_raw_mode(stat.st_mode),
                FileType::Directory | FileType::Symlink
            )
        }),
        _ => false,
    }
}

fn top<'a>(root: BorrowedFd<'a>, entered: &'a [OwnedFd]) -> BorrowedFd<'a> {
    entered.last().map_or(root, AsFd::as_fd)
}

fn push_reversed(pending: &mut Vec<OsString>, path: &[u8]) -> Result<(), Errno> {
    if path.first() == Some(&b'/') {
        return Err(Errno::XDEV);
    }
    let parts = path.split(|byte| *byte == b'/').rev();
    pending.extend(parts.map(|part| OsStr::from_bytes(part).to_owned()));
    Ok(())
}

fn kind(file_type: FileType) -> EntryKind {
    match file_type {
        FileType::Directory => EntryKind::Directory,
        FileType::RegularFile => EntryKind::File,
        _ => EntryKind::Other,
    }
}

#[allow(
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    reason = "these numbers have another type on each system"
)]
fn id(stat: &rustix::fs::Stat) -> DirId {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// What a test does to the tree after a part was found to be no link, and before it is opened.
#[cfg(test)]
pub(super) mod between {
    use std::cell::RefCell;

    thread_local! {
        static NEXT: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    }

    pub(in crate::beneath) fn set(next: impl FnOnce() + 'static) {
        NEXT.set(Some(Box::new(next)));
    }

    pub(super) fn run() {
        if let Some(next) = NEXT.take() {
            next();
        }
    }
}
