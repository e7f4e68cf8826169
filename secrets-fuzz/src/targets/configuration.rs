//! What configuration says: URIs and kubeconfigs.

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use secrets::ErrorKind;
use secrets::k8s::K8sApiBackend;

use crate::law;
use crate::script::Kept;

/// A URI is a backend, or is refused.
pub(crate) fn uris(input: &[u8]) {
    let uri = String::from_utf8_lossy(input);
    match secrets::open(&uri) {
        Ok(manager) => law::prints_nothing(&manager),
        Err(error) => law::one_of(&[ErrorKind::InvalidConfig, ErrorKind::Unsupported], &error),
    }
}

/// A kubeconfig is a backend, or is refused.
pub(crate) fn kubeconfig(input: &[u8]) {
    static FILE: Kept<PathBuf> = Kept::new(|| {
        static FOLDER: LazyLock<tempfile::TempDir> =
            LazyLock::new(|| tempfile::tempdir().expect("there is room for a file"));
        Mutex::new(FOLDER.path().join("config"))
    });
    let file = FILE.get();
    std::fs::write(&*file, input).expect("there is room for a file");
    match K8sApiBackend::kubeconfig().kubeconfig(&*file).build() {
        Ok(backend) => law::prints_nothing(&backend),
        Err(error) => law::one_of(&[ErrorKind::InvalidConfig, ErrorKind::Unsupported], &error),
    }
}
