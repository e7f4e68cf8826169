//! Reading a volume as the kubelet makes it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use secrets_core::{Error, ErrorKind, Field, Metadata, Result, Secret, SecretName};
use secrets_file::beneath::{Content, EntryKind, Problem, Root};

use crate::naming::Naming;
use crate::values::Values;

/// What the kubelet swaps: <https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go>.
pub(super) const DATA: &str = "..data";

/// How often a volume that is swapped while it is being read is read again.
const ATTEMPTS: usize = 64;

/// How deep the keys of a projected volume lie at the most.
const MAX_DEPTH: usize = 32;

/// A Secret of a mebibyte has fewer keys.
const MAX_ENTRIES: usize = 100_000;

/// The volumes beneath a root.
#[derive(Clone, Debug)]
pub(super) struct Volumes {
    pub(super) root: PathBuf,
    /// The Secret whose volume the root itself is.
    pub(super) volume: Option<Box<str>>,
    pub(super) naming: Naming,
    pub(super) values: Values,
    pub(super) optional_root: bool,
    #[cfg(feature = "watch")]
    pub(super) poll_interval: std::time::Duration,
}

/// One reading of a volume.
struct Snapshot<'a> {
    data: Root,
    /// The kubelet swaps it as a whole; otherwise it is a directory like any other.
    swapped: bool,
    secret: &'a str,
}

impl Volumes {
    /// Reads keys of one Secret, and the whole of it (`None`), out of one snapshot.
    pub(super) fn read(&self, secret: &str, keys: &[Option<String>]) -> Vec<Result<Secret>> {
        let read = self
            .open()
            .and_then(|root| self.read_beneath(root.as_ref(), secret, keys));
        read.unwrap_or_else(|error| vec![Err(error); keys.len()])
    }

    /// Reads one name beneath a root that is open.
    #[cfg(feature = "watch")]
    pub(super) fn read_place(&self, root: Option<&Root>, place: &crate::naming::Place) -> Result<Secret> {
        let mut read = self.read_beneath(root, &place.secret, std::slice::from_ref(&place.key))?;
        read.pop()
            .unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "nothing was read")))
    }

    fn read_beneath(
        &self,
        root: Option<&Root>,
        secret: &str,
        keys: &[Option<String>],
    ) -> Result<Vec<Result<Secret>>> {
        let Some(volume) = self.volume(root, secret)? else {
            return Err(self.not_mounted(secret));
        };
        for _ in 0..ATTEMPTS {
            let Some(snapshot) = self.snapshot(&volume, secret)? else {
                continue;
            };
            let read: Vec<_> = keys
                .iter()
                .map(|key| match key {
                    Some(key) => self.key(&snapshot, key),
                    None => self.whole(&snapshot),
                })
                .collect();
            // What was opened never changes. But once it has been swapped out it is being deleted: then something may be
            // missing of it that never was.
            let complete = keys.iter().all(Option::is_some) && read.iter().all(Result::is_ok);
            if complete || !snapshot.swapped || volume.leads_to(DATA, &snapshot.data) == Ok(true) {
                return Ok(read);
            }
        }
        Err(self.problem(Problem::Changing, secret, None))
    }

    /// The names of all keys, or those below a prefix.
    pub(super) fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        let Some(root) = self.open()? else {
            return Ok(Vec::new());
        };
        let secrets = match &self.volume {
            Some(secret) => vec![secret.to_string()],
            None => self.directories(&root)?,
        };
        let mut names = Vec::new();
        for secret in secrets {
            if self.naming.is_apart(&secret, prefix) {
                continue;
            }
            for key in self.keys(&root, &secret)? {
                names.extend(self.naming.listed(&secret, &key, prefix));
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.open()? {
            None => Ok(()),
            Some(root) => {
                let opened = root.open_dir("");
                opened.map(drop).map_err(|problem| problem.into_error(&self.root))
            }
        }
    }

    /// `None` when there is none and there need not be.
    pub(super) fn open(&self) -> Result<Option<Root>> {
        let at = self.root.display();
        match Root::open(&self.root) {
            Ok(root) => Ok(Some(root)),
            Err(Problem::Missing) if self.optional_root => Ok(None),
            Err(problem @ Problem::Missing) => Err(with_code(
                ErrorKind::Unavailable,
                format!(
                    "the root directory `{at}` does not exist; mount it, correct the path, or make it optional"
                ),
                problem,
                &self.root,
            )),
            Err(problem @ Problem::NotADirectory) => Err(with_code(
                ErrorKind::InvalidConfig,
                format!("the root `{at}` is not a directory"),
                problem,
                &self.root,
            )),
            Err(problem) => Err(problem.into_error(&self.root)),
        }
    }

    /// Where the volume of a Secret is, relative to the root; `None` when it is not here.
    pub(super) fn directory<'a>(&self, secret: &'a str) -> Option<&'a Path> {
        match &self.volume {
            Some(volume) => (**volume == *secret).then_some(Path::new("")),
            None => Some(Path::new(secret)),
        }
    }

    fn volume(&self, root: Option<&Root>, secret: &str) -> Result<Option<Root>> {
        let (Some(root), Some(directory)) = (root, self.directory(secret)) else {
            return Ok(None);
        };
        match root.open_dir(directory) {
            Ok(volume) => Ok(Some(volume)),
            Err(Problem::Missing | Problem::NotADirectory) => Ok(None),
            Err(problem) => Err(self.problem(problem, secret, None)),
        }
    }

    /// `None` when it was swapped while it was being opened.
    fn snapshot<'a>(&self, volume: &Root, secret: &'a str) -> Result<Option<Snapshot<'a>>> {
        let failed = |problem| self.problem(problem, secret, None);
        match volume.open_dir(DATA) {
            Ok(data) => Ok(Some(Snapshot {
                data,
                swapped: true,
                secret,
            })),
            Err(Problem::Missing) => {
                // Either there is no such link, or it led to where nothing is any more.
                let entries = volume.entries("").map_err(failed)?;
                if entries.iter().any(|entry| entry.name == DATA) {
                    return Ok(None);
                }
                Ok(Some(Snapshot {
                    data: volume.open_dir("").map_err(failed)?,
                    swapped: false,
                    secret,
                }))
            }
            Err(problem) => Err(failed(problem)),
        }
    }

    fn key(&self, snapshot: &Snapshot<'_>, key: &str) -> Result<Secret> {
        let content = snapshot.data.read(key, self.values.max);
        let content = content.map_err(|problem| self.problem(problem, snapshot.secret, Some(key)))?;
        Ok(Secret::copy_from(content.bytes()).with_metadata(written(content.modified())))
    }

    fn whole(&self, snapshot: &Snapshot<'_>) -> Result<Secret> {
        // A projected volume may have keys at paths of several parts. In a directory that the kubelet does not swap, what
        // lies deeper is another volume.
        let mut keys = Keys::new(&snapshot.data, snapshot.swapped);
        let entered = keys.enter(Path::new(""));
        entered.map_err(|problem| self.problem(problem, snapshot.secret, None))?;
        let mut files = keys.found;
        files.sort_unstable();
        let mut fields = Vec::with_capacity(files.len());
        let (mut total, mut modified) = (0, None);
        for file in files {
            let Some(key) = file.to_str() else {
                continue;
            };
            let content: Content = snapshot
                .data
                .read(&file, self.values.max)
                .map_err(|problem| self.problem(problem, snapshot.secret, Some(key)))?;
            total += content.bytes().len();
            self.values.check_len(total)?;
            modified = modified.max(content.modified());
            fields.push(Field::new(key, content.bytes().to_vec()));
        }
        if fields.is_empty() {
            let at = self.at(snapshot.secret, None);
            let message = format!(
                "nothing is in `{}`: the Secret does not exist and is mounted as optional, or it has no keys",
                at.display()
            );
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Ok(self.values.whole(fields).with_metadata(written(modified)))
    }

    fn directories(&self, root: &Root) -> Result<Vec<String>> {
        let entries = root.entries("");
        let entries = entries.map_err(|problem| problem.into_error(&self.root))?;
        let directories = entries
            .into_iter()
            .filter(|entry| entry.kind == EntryKind::Directory);
        let names = directories.filter_map(|entry| entry.name.into_string().ok());
        // What is no Secret's need not even be readable.
        Ok(names.filter(|name| Naming::check(name).is_ok()).collect())
    }

    fn keys(&self, root: &Root, secret: &str) -> Result<Vec<String>> {
        let Some(volume) = self.volume(Some(root), secret)? else {
            return Ok(Vec::new());
        };
        for _ in 0..ATTEMPTS {
            let Some(snapshot) = self.snapshot(&volume, secret)? else {
                continue;
            };
            let files = snapshot.data.entries("");
            if snapshot.swapped && volume.leads_to(DATA, &snapshot.data) != Ok(true) {
                continue;
            }
            let files = files.map_err(|problem| self.problem(problem, secret, None))?;
            let files = files.into_iter().filter(|entry| entry.kind == EntryKind::File);
            return Ok(files.filter_map(|entry| entry.name.into_string().ok()).collect());
        }
        Err(self.problem(Problem::Changing, secret, None))
    }

    fn at(&self, secret: &str, key: Option<&str>) -> PathBuf {
        let mut at = self.root.clone();
        let parts = [self.directory(secret), key.map(Path::new)];
        at.extend(parts.into_iter().flatten());
        at
    }

    fn not_mounted(&self, secret: &str) -> Error {
        let message = match &self.volume {
            Some(only) => format!(
                "the Secret `{secret}` is not mounted: `{}` is the volume of `{only}`",
                self.root.display()
            ),
            None => format!(
                "the Secret `{secret}` is not mounted: there is no directory `{}`",
                self.root.join(secret).display()
            ),
        };
        Error::new(ErrorKind::NotFound, message)
    }

    fn problem(&self, problem: Problem, secret: &str, key: Option<&str>) -> Error {
        let at = self.at(secret, key);
        match problem {
            Problem::Missing => with_code(
                ErrorKind::NotFound,
                format!("there is no file `{}`: the Secret has no such key", at.display()),
                problem,
                &at,
            ),
            Problem::Directory => with_code(
                ErrorKind::NotFound,
                format!("`{}` is a directory, not a key of the Secret", at.display()),
                problem,
                &at,
            ),
            Problem::Changing => with_code(
                ErrorKind::Unavailable,
                format!("`{}` is swapped faster than it can be read", at.display()),
                problem,
                &at,
            ),
            other => other.into_error(&at),
        }
    }
}

/// A search for the files that are keys of a Secret. Unlike elsewhere on a file system a dot in front hides nothing: a key
/// may be `.dockerconfigjson`, and none begins with two.
struct Keys<'a> {
    data: &'a Root,
    deep: bool,
    looked_at: usize,
    /// The directories on the way down; a link back into one of them would never end.
    above: Vec<Root>,
    found: Vec<PathBuf>,
}

impl<'a> Keys<'a> {
    fn new(data: &'a Root, deep: bool) -> Self {
        Self {
            data,
            deep,
            looked_at: 0,
            above: Vec::new(),
            found: Vec::new(),
        }
    }

    fn enter(&mut self, path: &Path) -> Result<(), Problem> {
        let directory = self.data.open_dir(path)?;
        let known = |above: &Root| self.data.leads_to(path, above) == Ok(true);
        if self.above.len() == MAX_DEPTH || self.above.iter().any(known) {
            return Ok(());
        }
        let entries = self.data.entries(path)?;
        self.looked_at += entries.len();
        if self.looked_at > MAX_ENTRIES {
            return Err(Problem::TooManyEntries);
        }
        self.above.push(directory);
        for entry in entries {
            if entry.name.as_encoded_bytes().starts_with(b"..") {
                continue;
            }
            let path = path.join(entry.name);
            match entry.kind {
                EntryKind::File => self.found.push(path),
                EntryKind::Directory if self.deep => match self.enter(&path) {
                    // Removed or replaced since its name was read.
                    Err(Problem::Missing | Problem::NotADirectory | Problem::Escapes) => {}
                    entered => entered?,
                },
                _ => {}
            }
        }
        self.above.pop();
        Ok(())
    }
}

/// The message is ours, the code that of the problem.
fn with_code(kind: ErrorKind, message: String, problem: Problem, at: &Path) -> Error {
    let error = Error::new(kind, message);
    match problem.into_error(at).cause() {
        Some(cause) => error.with_cause(cause.clone()),
        None => error,
    }
}

fn written(modified: Option<SystemTime>) -> Metadata {
    match modified {
        Some(modified) => Metadata::new().with_created(modified),
        None => Metadata::new(),
    }
}
