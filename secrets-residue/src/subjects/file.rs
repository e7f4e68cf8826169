use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use secrets_core::{Result, SecretBackend};
use secrets_file::FileBackend;
use serde_json::json;
use tempfile::TempDir;

use super::local_rows;
use crate::message::Settings;
use crate::subject::{Canaries, MANY, SECRET, Situation, Stage, Subject};

/// A directory.
pub(super) fn subject() -> Subject {
    Subject {
        name: "file",
        stage: |canaries: &Canaries, situation: Situation| {
            let value = canaries.value.expose();
            Box::new(match situation {
                Situation::Document => Directory::new(&json!({"user": "app", "password": value}).to_string()),
                _ => Directory::new(value),
            })
        },
        build,
        rows: local_rows,
    }
}

struct Directory(TempDir);

impl Directory {
    fn new(value: &str) -> Self {
        let directory = Self(TempDir::new().expect("there is room for a directory"));
        directory.write(SECRET, value);
        for other in &MANY[1..] {
            directory.write(other, "nothing to see");
        }
        directory
    }

    fn write(&self, name: &str, value: &str) {
        let path: PathBuf = self.0.path().join(name);
        let parent = path.parent().expect("a secret lies in the root");
        fs::create_dir_all(parent).expect("the root is ours");
        fs::write(path, value).expect("the root is ours");
    }
}

impl Stage for Directory {
    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("root", self.0.path().display().to_string())]
    }

    fn rotate(&self) {
        self.write(SECRET, "another value");
    }
}

fn build(settings: &Settings) -> Result<Arc<dyn SecretBackend>> {
    Ok(Arc::new(FileBackend::builder(settings.text("root")?).build()?))
}
