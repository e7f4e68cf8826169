//! For systems that cannot open relative to a directory: canonical paths are compared, then opened.

use std::fs::{self, File, Metadata};
use std::path::{Component, Path, PathBuf};

use super::tree::{Listing, MAX_ENTRIES};
use super::{EntryKind, Problem};

pub(super) type DirId = PathBuf;

#[derive(Debug)]
pub(super) struct Dir {
    /// Canonical.
    path: PathBuf,
}

impl Dir {
    pub(super) fn open(path: &Path) -> Result<Self, Problem> {
        let path = fs::canonicalize(path)?;
        if fs::metadata(&path)?.is_dir() {
            Ok(Self { path })
        } else {
            Err(Problem::NotADirectory)
        }
    }

    pub(super) fn open_dir(&self, path: &Path) -> Result<Self, Problem> {
        Self::open(&self.beneath(path)?)
    }

    pub(super) fn open_file(&self, path: &Path) -> Result<File, Problem> {
        let path = self.beneath(path)?;
        // Asked before opening: a FIFO would wait for its writer.
        let metadata = fs::metadata(&path)?;
        if metadata.is_dir() {
            return Err(Problem::Directory);
        }
        if !metadata.is_file() {
            return Err(Problem::NotAFile);
        }
        Ok(File::open(path)?)
    }

    pub(super) fn id(&self, path: &Path) -> Result<DirId, Problem> {
        self.beneath(path)
    }

    pub(super) fn read(&self, path: &Path) -> Result<Listing<DirId>, Problem> {
        let path = self.beneath(path)?;
        let mut entries = Vec::new();
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            let kind = match entry.file_type() {
                Ok(found) if found.is_dir() => Some(EntryKind::Directory),
                Ok(found) if found.is_file() => Some(EntryKind::File),
                _ => None,
            };
            entries.push((entry.file_name(), kind));
            if entries.len() > MAX_ENTRIES {
                return Err(Problem::TooManyEntries);
            }
        }
        Ok(Listing { id: path, entries })
    }

    pub(super) fn kind(&self, path: &Path) -> Result<EntryKind, Problem> {
        let metadata = fs::metadata(self.beneath(path)?)?;
        Ok(if metadata.is_dir() {
            EntryKind::Directory
        } else if metadata.is_file() {
            EntryKind::File
        } else {
            EntryKind::Other
        })
    }

    #[allow(clippy::unused_self, reason = "has the signature of its Unix counterpart")]
    pub(super) fn exposed(&self, _file: &File, _metadata: &Metadata) -> Option<u32> {
        None
    }

    fn beneath(&self, path: &Path) -> Result<PathBuf, Problem> {
        let relative = |part: Component<'_>| !matches!(part, Component::Prefix(_) | Component::RootDir);
        if !path.components().all(relative) {
            return Err(Problem::Escapes);
        }
        let path = fs::canonicalize(self.path.join(path))?;
        if path.starts_with(&self.path) {
            Ok(path)
        } else {
            Err(Problem::Escapes)
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn f3_f4_the_portable_way_refuses_the_same_paths() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "outside").unwrap();
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("sub/secret"), "inside").unwrap();
        symlink("sub/secret", at("inside")).unwrap();
        symlink(outside.path().join("secret"), at("outside")).unwrap();
        symlink("loop", at("loop")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), rustix::fs::Mode::RWXU).unwrap();

        let dir = Dir::open(root.path()).unwrap();
        let mut content = String::new();
        dir.open_file(Path::new("inside"))
            .unwrap()
            .read_to_string(&mut content)
            .unwrap();
        assert_eq!(content, "inside");
        let problem = |path: &str| dir.open_file(Path::new(path)).unwrap_err();
        assert_eq!(problem("outside"), Problem::Escapes);
        assert_eq!(problem("sub/../../x"), Problem::Missing);
        assert_eq!(problem(".."), Problem::Escapes);
        assert_eq!(problem("/etc"), Problem::Escapes);
        assert_eq!(problem("sub"), Problem::Directory);
        assert_eq!(problem("fifo"), Problem::NotAFile);
        assert_eq!(problem("absent"), Problem::Missing);
        assert_eq!(problem("sub/secret/x"), Problem::NotADirectory);
        assert_eq!(problem("loop"), Problem::TooManyLinks);
        assert_eq!(
            dir.open_dir(Path::new("inside")).unwrap_err(),
            Problem::NotADirectory
        );

        assert_eq!(dir.kind(Path::new("fifo")), Ok(EntryKind::Other));
        let sub = dir.open_dir(Path::new("sub")).unwrap();
        assert_eq!(sub.kind(Path::new("secret")), Ok(EntryKind::File));
        let listing = dir.read(Path::new("sub")).unwrap();
        assert_eq!(listing.id, fs::canonicalize(at("sub")).unwrap());
        assert_eq!(dir.id(Path::new("sub")), Ok(listing.id));
        assert_eq!(listing.entries, [("secret".into(), Some(EntryKind::File))]);
        let file = sub.open_file(Path::new("secret")).unwrap();
        assert_eq!(sub.exposed(&file, &file.metadata().unwrap()), None);
    }
}
