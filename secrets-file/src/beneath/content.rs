use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::Problem;

/// How often a file that changes while it is being read is read again.
const ATTEMPTS: usize = 3;

/// A regular file, open and not yet read.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    modified: Option<SystemTime>,
    exposed: Option<u32>,
}

impl OpenFile {
    /// Refuses what is no regular file; `exposed` is only asked about those that are.
    pub(super) fn new(
        file: File,
        exposed: impl FnOnce(&File, &Metadata) -> Option<u32>,
    ) -> Result<Self, Problem> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(Problem::Directory);
        }
        if !metadata.is_file() {
            return Err(Problem::NotAFile);
        }
        Ok(Self {
            exposed: exposed(&file, &metadata),
            modified: metadata.modified().ok(),
            file,
        })
    }

    /// When the file was last written.
    pub fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// The permission bits, if every user of the system can read or write the file and whoever runs this process could
    /// have prevented it. `None` also where there are no such bits.
    ///
    /// It could not be prevented, and is not held against the file, where others cannot enter the root, where the file
    /// lies on a read-only mount other than that of `/`, where the file is a mount of its own, and on a memory file system
    /// mounted at the root or beneath it. That is how the kubelet, Docker, Podman and systemd present secrets. Which of
    /// these holds is only known on Linux; elsewhere on Unix the bits of file and root decide.
    pub fn exposed(&self) -> Option<u32> {
        self.exposed
    }

    /// Reads all of it, if it has no more than `limit` bytes: never a part, and never more than that into memory.
    ///
    /// # Errors
    ///
    /// - [`TooLarge`](Problem::TooLarge), before anything is read.
    /// - [`Changing`](Problem::Changing) when its size or times differ before and after reading, three times in a row.
    /// - [`Failed`](Problem::Failed) with what the system says.
    pub fn read(mut self, limit: usize) -> Result<Content, Problem> {
        Ok(Content {
            buffer: read_stable(&mut self.file, limit)?,
            modified: self.modified,
        })
    }
}

/// What a file holds; wiped when dropped.
pub struct Content {
    /// One byte longer than the file: a full buffer tells that the file has grown.
    buffer: Zeroizing<Box<[u8]>>,
    modified: Option<SystemTime>,
}

impl Content {
    /// The bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.buffer.len() - 1]
    }

    /// When the file was last written.
    pub fn modified(&self) -> Option<SystemTime> {
        self.modified
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("modified", &self.modified)
            .finish_non_exhaustive()
    }
}

/// What must be the same before and after reading.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    changed: Option<(i64, i64)>,
}

/// A file, or a test's idea of one.
trait Source: Read + Seek {
    fn stamp(&self) -> io::Result<Stamp>;
}

impl Source for File {
    fn stamp(&self) -> io::Result<Stamp> {
        let metadata = self.metadata()?;
        #[cfg(unix)]
        let changed = {
            use std::os::unix::fs::MetadataExt;
            Some((metadata.ctime(), metadata.ctime_nsec()))
        };
        #[cfg(not(unix))]
        let changed = None;
        Ok(Stamp {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            changed,
        })
    }
}

fn read_stable(source: &mut impl Source, limit: usize) -> Result<Zeroizing<Box<[u8]>>, Problem> {
    for _ in 0..ATTEMPTS {
        let before = source.stamp()?;
        let len = usize::try_from(before.len)
            .ok()
            .filter(|len| *len <= limit && *len < usize::MAX)
            .ok_or(Problem::TooLarge { limit })?;
        let mut buffer = Zeroizing::new(vec![0; len + 1].into_boxed_slice());
        source.rewind()?;
        let filled = fill(source, &mut buffer)?;
        if filled == len && source.stamp()? == before {
            return Ok(buffer);
        }
    }
    Err(Problem::Changing)
}

fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
