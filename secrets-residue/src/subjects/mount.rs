use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use secrets_core::{Result, SecretBackend};
use secrets_k8s::K8sBackend;
use tempfile::TempDir;

use super::local_rows;
use crate::message::Settings;
use crate::subject::{Canaries, Situation, Stage, Subject};

/// Volumes as the kubelet makes them.
pub(super) fn subject() -> Subject {
    Subject {
        name: "Kubernetes, mounted",
        stage: |canaries: &Canaries, situation: Situation| {
            let volumes = Volumes {
                root: TempDir::new().expect("there is room for a directory"),
                swaps: AtomicU32::new(0),
                situation,
            };
            volumes.swap(
                "app",
                &[("canary", canaries.value.expose()), ("other", "nothing to see")],
            );
            volumes.swap("first", &[("other", "nothing to see")]);
            volumes.swap("second", &[("other", "nothing to see")]);
            Box::new(volumes)
        },
        build,
        rows: local_rows,
    }
}

struct Volumes {
    root: TempDir,
    swaps: AtomicU32,
    situation: Situation,
}

impl Volumes {
    /// What the kubelet does, in its order: a new directory, then the link to it at once.
    fn swap(&self, secret: &str, keys: &[(&str, &str)]) {
        let volume = self.root.path().join(secret);
        fs::create_dir_all(&volume).expect("the root is ours");
        let new = format!("..2026_11_24.{}", self.swaps.fetch_add(1, Ordering::Relaxed));
        fs::create_dir(volume.join(&new)).expect("the volume is ours");
        for (key, value) in keys {
            fs::write(volume.join(&new).join(key), value).expect("the volume is ours");
            // It stays from the first time on.
            let _ = symlink(Path::new("..data").join(key), volume.join(key));
        }
        symlink(&new, volume.join("..data_tmp")).expect("the volume is ours");
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).expect("the volume is ours");
    }
}

impl Stage for Volumes {
    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("root", self.root.path().display().to_string())];
        if self.situation == Situation::Document {
            // The whole of it is the document.
            settings.extend([("secret", "app".to_owned()), ("field", "canary".to_owned())]);
        }
        settings
    }

    fn rotate(&self) {
        self.swap("app", &[("canary", "another value"), ("other", "nothing to see")]);
    }
}

fn build(settings: &Settings) -> Result<Arc<dyn SecretBackend>> {
    Ok(Arc::new(K8sBackend::new(settings.text("root")?)?))
}
