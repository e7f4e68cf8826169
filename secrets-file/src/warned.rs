use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use secrets_core::SecretName;

/// Whoever asks for ever more files must not fill the memory with their names.
const MAX_FILES: usize = 1_000;

/// The files whose permissions were complained about: once each is enough.
#[derive(Debug, Default)]
pub(crate) struct Warned(Mutex<HashSet<PathBuf>>);

impl Warned {
    /// Warns about the file at `path`, which holds the secret `name`, the first time.
    pub(crate) fn warn(&self, name: &SecretName, path: &Path, mode: u32) {
        if self.is_first(path) {
            tracing::warn!(
                backend = crate::FileBackend::NAME,
                secret = %name,
                path = %path.display(),
                mode = format_args!("{mode:04o}"),
                "this file can be read or written by every user; take that away, as in `chmod o-rw`"
            );
        }
    }

    fn is_first(&self, path: &Path) -> bool {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.len() < MAX_FILES && files.insert(path.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f6_each_file_is_complained_about_once_and_only_so_many() {
        let warned = Warned::default();
        let file = |number: usize| PathBuf::from(format!("/run/{number}"));
        assert!(warned.is_first(&file(0)));
        assert!(!warned.is_first(&file(0)));
        let firsts = (0..2 * MAX_FILES)
            .filter(|number| warned.is_first(&file(*number)))
            .count();
        assert_eq!(firsts, MAX_FILES - 1);
    }
}
