//! A file changes, and whoever holds its value learns of it: through the manager, on a real file system.
#![cfg(all(feature = "watch", unix))]

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use secrets_core::SecretManager;
use secrets_file::FileBackend;

#[tokio::test(flavor = "multi_thread")]
async fn w3_a_handle_follows_the_kubelet() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join("smtp").join(path);
    for version in ["..1", "..2", "..3"] {
        fs::create_dir_all(at(version)).unwrap();
        fs::write(at(version).join("password"), version).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/password", at("password")).unwrap();

    let backend = FileBackend::builder(root.path())
        .poll_interval(Duration::from_secs(3_600))
        .build()
        .unwrap();
    let secrets = SecretManager::builder(backend)
        .ttl(Duration::from_secs(3_600))
        .build()
        .unwrap();
    let mut password = secrets.handle("smtp/password").await.unwrap();
    assert_eq!(password.current().unwrap().expose_secret(), b"..1");
    for version in ["..2", "..3"] {
        symlink(version, at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        // The limit only turns a hanging test into a failing one.
        let changed = tokio::time::timeout(Duration::from_secs(60), password.changed());
        changed.await.expect("a change").unwrap();
        assert_eq!(password.current().unwrap().expose_str().unwrap(), version);
        assert_eq!(
            secrets.get("smtp/password").await.unwrap().expose_str().unwrap(),
            version
        );
    }
    secrets.shutdown().await.unwrap();
}
