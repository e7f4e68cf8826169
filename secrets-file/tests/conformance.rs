//! The conformance kit over files: nested and flat, trimmed and exact.

use std::sync::Arc;

use secrets_core::{SecretBackend, SecretName, Version};
use secrets_file::{FileBackend, Layout, Trim};
use secrets_testkit::{Facts, Harness, Outcome, ThroughManager, async_trait};

struct FileHarness {
    root: tempfile::TempDir,
    backend: FileBackend,
    facts: Facts,
}

impl FileHarness {
    fn new(layout: Layout, trim: Trim) -> Self {
        let root = tempfile::tempdir().unwrap();
        let backend = FileBackend::builder(root.path())
            .layout(layout)
            .trim(trim)
            .build()
            .unwrap();
        let facts = match trim {
            Trim::Never => Facts::new(),
            _ => Facts::new().without_final_line_break(),
        };
        let facts = match layout {
            Layout::Flat => facts.with_canonical(|name| name.as_str().replace('_', "/")),
            _ => facts,
        };
        Self { root, backend, facts }
    }
}

#[async_trait]
impl Harness for FileHarness {
    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
        Ok(Arc::new(self.backend.clone()))
    }

    async fn create(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
        let path = self.root.path().join(self.backend.path(name)?);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        // As everybody should: complete first, then in one step over the old one.
        let complete = self.root.path().join(".complete");
        std::fs::write(&complete, value)?;
        std::fs::rename(complete, path)?;
        Ok(None)
    }

    async fn delete(&self, name: &SecretName) -> Outcome {
        std::fs::remove_file(self.root.path().join(self.backend.path(name)?))?;
        Ok(())
    }
}

/// What the backend lacks depends on whether this build can watch files.
macro_rules! over_files {
    ($($name:ident: $layout:expr, $trim:expr;)*) => {$(
        mod $name {
            use super::*;

            #[cfg(feature = "watch")]
            secrets_testkit::conformance!(FileHarness::new($layout, $trim), without = [versions, faults]);
            #[cfg(not(feature = "watch"))]
            secrets_testkit::conformance!(FileHarness::new($layout, $trim), without = [versions, watch, faults]);
        }
    )*};
}

over_files! {
    nested_trimmed: Layout::Nested, Trim::FinalNewline;
    nested_exact: Layout::Nested, Trim::Never;
    flat_trimmed: Layout::Flat, Trim::FinalNewline;
    flat_exact: Layout::Flat, Trim::Never;
}

mod through_the_manager {
    use super::*;

    secrets_testkit::conformance!(
        ThroughManager::new(FileHarness::new(Layout::Nested, Trim::FinalNewline)),
        without = [versions, watch, faults]
    );
}
