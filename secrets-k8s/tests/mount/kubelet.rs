//! What the kubelet does to a volume, in the order in which it does it
//! (`pkg/volume/util/atomic_writer.go` of Kubernetes).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use secrets_core::{Error, Fetched, ReadRequest, Secret, SecretBackend, SecretName};
use tempfile::TempDir;

/// A root with volumes in it.
pub(crate) struct Kubelet {
    /// The root is a directory in it.
    outer: TempDir,
    root: PathBuf,
    swaps: AtomicU64,
    secrets: Mutex<BTreeMap<String, Data>>,
}

pub(crate) type Data = BTreeMap<String, Vec<u8>>;

impl Kubelet {
    pub(crate) fn new() -> Self {
        let outer = TempDir::new().unwrap();
        let root = outer.path().join("root");
        fs::create_dir(&root).unwrap();
        Self {
            outer,
            root,
            swaps: AtomicU64::new(0),
            secrets: Mutex::default(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Mounts a Secret of these keys, or swaps it for one. A key may be a path, as in a projected volume.
    pub(crate) fn mount(&self, secret: &str, keys: &[(&str, &[u8])]) {
        let data = keys
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.to_vec()));
        self.swap(secret, &data.collect());
    }

    pub(crate) fn put_key(&self, secret: &str, key: &str, value: &[u8]) {
        let mut data = self
            .secrets
            .lock()
            .unwrap()
            .get(secret)
            .cloned()
            .unwrap_or_default();
        data.insert(key.to_owned(), value.to_vec());
        self.swap(secret, &data);
    }

    pub(crate) fn remove_key(&self, secret: &str, key: &str) {
        let mut data = self
            .secrets
            .lock()
            .unwrap()
            .get(secret)
            .cloned()
            .unwrap_or_default();
        data.remove(key);
        self.swap(secret, &data);
    }

    /// Swaps every volume for one that holds the same, at the root's own place.
    pub(crate) fn repair(&self) {
        if !self.root.exists() {
            fs::rename(self.outer.path().join("away"), &self.root).unwrap();
        }
        let secrets = self.secrets.lock().unwrap().clone();
        for (secret, data) in secrets {
            self.swap(&secret, &data);
        }
    }

    /// Takes the root away.
    pub(crate) fn unmount(&self) {
        fs::rename(&self.root, self.outer.path().join("away")).unwrap();
    }

    /// Puts something else in the place of the file of a key.
    pub(crate) fn replace(&self, secret: &str, key: &str, make: impl FnOnce(&Path)) {
        let file = self.at(secret).join("..data").join(key);
        fs::remove_file(&file).unwrap();
        make(&file);
    }

    fn swap(&self, secret: &str, data: &Data) {
        let volume = self.at(secret);
        fs::create_dir_all(&volume).unwrap();
        let old = fs::read_link(volume.join("..data")).ok();
        let new = format!("..2026_11_24.{}", self.swaps.fetch_add(1, Ordering::Relaxed));
        fs::create_dir(volume.join(&new)).unwrap();
        for (key, value) in data {
            let file = volume.join(&new).join(key);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, value).unwrap();
        }
        symlink(&new, volume.join("..data_tmp")).unwrap();
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
        let visible = |data: &Data| -> Vec<String> {
            data.keys()
                .map(|key| key.split('/').next().unwrap().to_owned())
                .collect()
        };
        for entry in visible(data) {
            let _ = symlink(Path::new("..data").join(&entry), volume.join(&entry));
        }
        let before = self
            .secrets
            .lock()
            .unwrap()
            .insert(secret.to_owned(), data.clone());
        for stale in visible(&before.unwrap_or_default()) {
            if !visible(data).contains(&stale) {
                fs::remove_file(volume.join(stale)).unwrap();
            }
        }
        if let Some(old) = old {
            fs::remove_dir_all(volume.join(old)).unwrap();
        }
    }
}

pub(crate) fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

pub(crate) async fn read(backend: &dyn SecretBackend, text: &str) -> Result<Secret, Error> {
    match backend.get(ReadRequest::new(&name(text))).await? {
        Fetched::Value(secret) => Ok(secret),
        other => panic!("nothing was known before: {other:?}"),
    }
}
