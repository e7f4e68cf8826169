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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::VecDeque;
    use std::io::SeekFrom;
    use std::time::Duration;

    use super::*;

    /// A file whose content is another one from one look at it to the next.
    struct Scripted {
        /// What it is at each stamp; the last one stays.
        states: VecDeque<(u64, Vec<u8>)>,
        stamps: Cell<u64>,
        at: usize,
        interrupted: bool,
        largest_read: usize,
    }

    impl Scripted {
        fn new<const LEN: usize>(states: [(u64, &[u8]); LEN]) -> Self {
            Self {
                states: states
                    .into_iter()
                    .map(|(len, content)| (len, content.to_vec()))
                    .collect(),
                stamps: Cell::new(0),
                at: 0,
                interrupted: false,
                largest_read: 0,
            }
        }

        fn state(&self) -> usize {
            usize::try_from(self.stamps.get().saturating_sub(1))
                .unwrap()
                .min(self.states.len() - 1)
        }
    }

    impl Read for Scripted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.largest_read = self.largest_read.max(buffer.len());
            self.interrupted = !self.interrupted;
            if self.interrupted {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let content = &self.states[self.state()].1;
            // Never more than two bytes at once: short reads are the rule on some file systems.
            let read = buffer
                .len()
                .min(2)
                .min(content.len() - self.at.min(content.len()));
            buffer[..read].copy_from_slice(&content[self.at..self.at + read]);
            self.at += read;
            Ok(read)
        }
    }

    impl Seek for Scripted {
        fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
            assert_eq!(position, SeekFrom::Start(0));
            self.at = 0;
            Ok(0)
        }
    }

    impl Source for Scripted {
        fn stamp(&self) -> io::Result<Stamp> {
            self.stamps.set(self.stamps.get() + 1);
            let (len, content) = &self.states[self.state()];
            let marker = content.first().copied().map_or(0, u64::from);
            Ok(Stamp {
                len: *len,
                modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(marker)),
                changed: None,
            })
        }
    }

    fn read(mut source: Scripted, limit: usize) -> Result<Vec<u8>, Problem> {
        let buffer = read_stable(&mut source, limit)?;
        Ok(buffer[..buffer.len() - 1].to_vec())
    }

    #[test]
    fn v8_short_and_interrupted_reads_make_a_whole() {
        let whole = b"0123456789";
        assert_eq!(read(Scripted::new([(10, whole)]), 10), Ok(whole.to_vec()));
        assert_eq!(read(Scripted::new([(0, b"")]), 10), Ok(Vec::new()));
    }

    #[test]
    fn v8_a_file_replaced_while_being_read_is_read_again() {
        let (old, new) = (b"aaaa".as_slice(), b"bbbbbb".as_slice());
        assert_eq!(read(Scripted::new([(4, old), (6, new)]), 10), Ok(new.to_vec()));
    }

    #[test]
    fn v8_a_file_that_is_always_longer_or_shorter_than_it_says_is_refused() {
        for content in [b"12345".as_slice(), b"123", b""] {
            assert_eq!(read(Scripted::new([(4, content)]), 10), Err(Problem::Changing));
        }
    }

    #[test]
    fn v8_a_file_that_changes_each_time_is_refused() {
        let source = Scripted::new([(1, b"a"), (1, b"b"), (1, b"c"), (1, b"d"), (1, b"e"), (1, b"f")]);
        assert_eq!(read(source, 10), Err(Problem::Changing));
    }

    #[test]
    fn v7_a_growing_file_is_bounded_by_its_size_and_by_the_limit() {
        let endless = [b'x'; 4_096];
        let mut source = Scripted::new([(4, &endless)]);
        assert_eq!(read_stable(&mut source, 8).unwrap_err(), Problem::Changing);
        assert_eq!(source.largest_read, 5);
        let grown = Scripted::new([(4, &endless), (4_096, &endless)]);
        assert_eq!(read(grown, 8), Err(Problem::TooLarge { limit: 8 }));
    }

    #[test]
    fn v7_too_large_is_refused_before_anything_is_read() {
        for len in [9, u64::MAX] {
            let mut source = Scripted::new([(len, b"")]);
            assert_eq!(
                read_stable(&mut source, 8).unwrap_err(),
                Problem::TooLarge { limit: 8 }
            );
            assert_eq!(source.largest_read, 0);
        }
        let mut source = Scripted::new([(u64::MAX, b"")]);
        let limit = usize::MAX;
        assert_eq!(
            read_stable(&mut source, limit).unwrap_err(),
            Problem::TooLarge { limit }
        );
    }
}
