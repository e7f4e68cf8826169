use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::system::{Dir, DirId};
use super::{Entry, EntryKind, Problem};

/// How many entries one listing looks at: a root that is `/` by mistake must not fill the memory.
pub(super) const MAX_ENTRIES: usize = 100_000;

/// No secret lies deeper: a name has at most 1,024 bytes, and so 512 segments.
const MAX_DEPTH: usize = 512;

/// What a directory holds.
pub(super) struct Listing<Id> {
    /// By this the directory is known again, whatever the path it was reached by.
    pub(super) id: Id,
    /// Without `.` and `..`; the kind where it is known without following a link.
    pub(super) entries: Vec<(OsString, Option<EntryKind>)>,
}

pub(super) fn entries(dir: &Dir, path: &Path) -> Result<Vec<Entry>, Problem> {
    let resolved = dir.read(path)?.entries.into_iter().map(|(name, kind)| {
        let kind = kind.unwrap_or_else(|| follow(dir, &path.join(&name)));
        Entry { name, kind }
    });
    Ok(resolved.collect())
}

pub(super) fn files(dir: &Dir, path: &Path, deep: bool) -> Result<Vec<PathBuf>, Problem> {
    let mut search = Search {
        dir,
        deep,
        looked_at: 0,
        above: Vec::new(),
        files: Vec::new(),
    };
    // A listing that begins further down finds no more than one that comes through here.
    for above in path.ancestors().skip(1) {
        let id = dir.id(above)?;
        if search.above.contains(&id) {
            return Ok(Vec::new());
        }
        search.above.push(id);
    }
    search.enter(path)?;
    Ok(search.files)
}

struct Search<'a> {
    dir: &'a Dir,
    deep: bool,
    looked_at: usize,
    /// The directories on the way down; a link back into one of them would never end.
    above: Vec<DirId>,
    files: Vec<PathBuf>,
}

impl Search<'_> {
    fn enter(&mut self, path: &Path) -> Result<(), Problem> {
        let Listing { id, entries } = self.dir.read(path)?;
        if self.above.contains(&id) || self.above.len() == MAX_DEPTH {
            return Ok(());
        }
        self.looked_at += entries.len();
        if self.looked_at > MAX_ENTRIES {
            return Err(Problem::TooManyEntries);
        }
        self.above.push(id);
        for (name, kind) in entries {
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = path.join(name);
            match kind.unwrap_or_else(|| follow(self.dir, &path)) {
                EntryKind::File => self.files.push(path),
                EntryKind::Directory if self.deep => match self.enter(&path) {
                    // Removed or replaced since its name was read.
                    Err(Problem::Missing | Problem::NotADirectory | Problem::Escapes) => {}
                    entered => entered?,
                },
                EntryKind::Directory | EntryKind::Other => {}
            }
        }
        self.above.pop();
        Ok(())
    }
}

fn follow(dir: &Dir, path: &Path) -> EntryKind {
    dir.kind(path).unwrap_or(EntryKind::Other)
}
