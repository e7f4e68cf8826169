//! Names of files: in a directory, and in mounted volumes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};
use std::sync::Mutex;

use secrets::file::{FileBackend, Layout};
use secrets::k8s::K8sBackend;
use secrets::{ErrorKind, ReadRequest, SecretBackend, SecretName};

use crate::script::{Kept, runtime};
use crate::{CANARY, law};

struct Scene {
    runtime: tokio::runtime::Runtime,
    root: tempfile::TempDir,
    backends: Vec<Box<dyn SecretBackend>>,
}

/// Puts a file there whose name is the input. `false` when no file can be called so.
fn put(root: &Path, input: &[u8]) -> bool {
    let path = Path::new(OsStr::from_bytes(input));
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if input.is_empty() || !plain {
        return false;
    }
    let path = root.join(path);
    let folder = path.parent().unwrap_or(root);
    std::fs::create_dir_all(folder).is_ok() && std::fs::write(&path, CANARY).is_ok()
}

fn clear(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
    }
}

async fn look(backend: &dyn SecretBackend, input: &[u8], there: bool) {
    // A name may be printed.
    if String::from_utf8_lossy(input).contains(CANARY) {
        return;
    }
    match backend.list(None).await {
        Ok(listed) => {
            for name in &listed {
                let found = law::fetched(backend.get(ReadRequest::new(name)).await);
                let found = found.unwrap_or_else(|| panic!("{name} is listed and not there"));
                assert_eq!(found.expose_secret(), CANARY.as_bytes());
                assert!(there, "{name} is listed where nothing is");
            }
        }
        Err(error) => law::error(&error),
    }
    let Ok(name) = SecretName::new(String::from_utf8_lossy(input)) else {
        return;
    };
    if let Err(error) = backend.get(ReadRequest::new(&name)).await {
        law::error(&error);
        assert!(error.kind() != ErrorKind::InvalidData, "{error}");
    }
}

/// Whatever a file is called, what is listed can be read, and a name reads that file or none.
pub(crate) fn files(input: &[u8]) {
    static SCENE: Kept<Scene> = Kept::new(|| {
        let root = tempfile::tempdir().expect("there is room for a folder");
        let builders = [
            FileBackend::builder(root.path()),
            FileBackend::builder(root.path()).layout(Layout::Flat),
            FileBackend::builder(root.path())
                .layout(Layout::Flat)
                .extension(".secret")
                .base("app/"),
            FileBackend::builder(root.path()).extension("txt").base("app/x-"),
        ];
        let built = builders.map(|builder| Box::new(builder.build().expect("the options are fine")) as _);
        Mutex::new(Scene {
            runtime: runtime(),
            backends: built.into(),
            root,
        })
    });
    let scene = SCENE.get();
    clear(scene.root.path());
    let there = put(scene.root.path(), input);
    for backend in &scene.backends {
        scene.runtime.block_on(look(&**backend, input, there));
    }
}

/// The same for the keys of mounted Secrets, and their directories.
pub(crate) fn mounts(input: &[u8]) {
    static SCENE: Kept<Scene> = Kept::new(|| {
        let root = tempfile::tempdir().expect("there is room for a folder");
        let builders = [
            K8sBackend::builder(root.path()),
            K8sBackend::builder(root.path()).base("billing-"),
            K8sBackend::builder(root.path()).volume("smtp"),
        ];
        let built = builders.map(|builder| Box::new(builder.build().expect("the options are fine")) as _);
        Mutex::new(Scene {
            runtime: runtime(),
            backends: built.into(),
            root,
        })
    });
    let scene = SCENE.get();
    clear(scene.root.path());
    let there = put(scene.root.path(), input);
    for backend in &scene.backends {
        scene.runtime.block_on(look(&**backend, input, there));
    }
}
