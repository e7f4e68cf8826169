use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use secrets_core::SecretName;

/// Whoever asks for ever more names must not fill the memory with them.
const MAX_NAMES: usize = 1_000;

/// The secrets whose permissions were complained about: once each is enough.
#[derive(Debug, Default)]
pub(crate) struct Warned(Mutex<HashSet<SecretName>>);

impl Warned {
    /// Warns about the file of the secret `name`, the first time.
    pub(crate) fn warn(&self, name: &SecretName, path: &Path, mode: u32) {
        if self.is_first(name) {
            tracing::warn!(
                backend = crate::FileBackend::NAME,
                secret = %name,
                path = %path.display(),
                mode = format_args!("{mode:04o}"),
                "this file can be read or written by every user; take that away, as in `chmod o-rw`"
            );
        }
    }

    fn is_first(&self, name: &SecretName) -> bool {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.len() < MAX_NAMES && names.insert(name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f6_each_file_is_complained_about_once_and_only_so_many() {
        let warned = Warned::default();
        let name = |number: usize| SecretName::new(format!("a/{number}")).unwrap();
        assert!(warned.is_first(&name(0)));
        assert!(!warned.is_first(&name(0)));
        let firsts = (0..2 * MAX_NAMES)
            .filter(|number| warned.is_first(&name(*number)))
            .count();
        assert_eq!(firsts, MAX_NAMES - 1);
    }
}
