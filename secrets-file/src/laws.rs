//! The laws of the contract that concern this backend. Each holds however paths are resolved.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use secrets_core::{ErrorKind, Fetched, ReadRequest, Result, Secret, SecretBackend, SecretName, Version};
use tempfile::TempDir;

use crate::{FileBackend, FileBackendBuilder, Layout, Trim};

const CANARY: &str = "canary-5e1f";

fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

/// A directory with these files.
fn tree<const LEN: usize>(files: [(&str, &[u8]); LEN]) -> TempDir {
    let root = TempDir::new().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

/// The same backend twice: resolving with `openat2` where there is one, and without.
fn both(builder: FileBackendBuilder) -> [FileBackend; 2] {
    let backend = builder.build().unwrap();
    [backend.clone(), backend.walking()]
}

fn nested(root: &TempDir) -> [FileBackend; 2] {
    both(FileBackend::builder(root.path()))
}

async fn get(backend: &FileBackend, text: &str) -> Result<Secret> {
    match backend.get(ReadRequest::new(&name(text))).await? {
        Fetched::Value(secret) => Ok(secret),
        other => panic!("nothing was known before: {other:?}"),
    }
}

async fn kind(backend: &FileBackend, text: &str) -> ErrorKind {
    get(backend, text).await.unwrap_err().kind()
}

async fn list(backend: &FileBackend, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(name);
    let names = backend.list(prefix.as_ref()).await.unwrap();
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn v1_any_bytes_come_back() {
    let bytes: Vec<u8> = (0..=255).cycle().take(1_000).collect();
    let root = tree([("raw", &bytes)]);
    for backend in nested(&root) {
        let secret = get(&backend, "raw").await.unwrap();
        assert_eq!(secret.expose_secret(), bytes);
        assert_eq!(secret.expose_str().unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

#[tokio::test]
async fn v2_empty_is_not_absent() {
    let root = tree([("empty", b"")]);
    for backend in nested(&root) {
        assert_eq!(get(&backend, "empty").await.unwrap().expose_secret(), b"");
        assert_eq!(kind(&backend, "absent").await, ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn v3_one_final_line_break_goes_and_everything_else_stays() {
    let root = tree([("a", b" a \r\n"), ("pem", b"-\nx\n-\n")]);
    for backend in nested(&root) {
        assert_eq!(get(&backend, "a").await.unwrap().expose_secret(), b" a ");
        assert_eq!(get(&backend, "pem").await.unwrap().expose_secret(), b"-\nx\n-\n");
    }
    for backend in both(FileBackend::builder(root.path()).trim(Trim::Never)) {
        assert_eq!(get(&backend, "a").await.unwrap().expose_secret(), b" a \r\n");
    }
}

#[tokio::test]
async fn f3_links_out_of_the_root_are_refused() {
    let outside = tree([("secret", CANARY.as_bytes())]);
    let root = tree([("real", b"inside")]);
    let at = |path: &str| root.path().join(path);
    symlink(outside.path().join("secret"), at("absolute")).unwrap();
    symlink(at("real"), at("absolute-inside")).unwrap();
    symlink("../".repeat(20) + "etc/hostname", at("relative")).unwrap();
    symlink(outside.path(), at("directory")).unwrap();
    for backend in nested(&root) {
        for path in ["absolute", "absolute-inside", "relative", "directory/secret"] {
            let error = get(&backend, path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        }
        assert_eq!(list(&backend, None).await, ["real"]);
    }
}

#[tokio::test]
async fn f5_an_absent_file_is_named() {
    let root = tree([("a", b"")]);
    for backend in nested(&root) {
        let error = get(&backend, "smtp/password").await.unwrap_err();
        let path = root.path().join("smtp/password");
        assert_eq!(
            error.to_string(),
            format!(
                "not found: secret `smtp/password` in backend `file`: there is no file `{}`",
                Path::new(&path).display()
            )
        );
    }
}

#[tokio::test]
async fn r5_a_version_is_unsupported() {
    let root = tree([("a", b"")]);
    for backend in nested(&root) {
        assert!(!backend.capabilities().versions);
        let version = Version::new("1").unwrap();
        let name = name("a");
        let error = backend
            .get(ReadRequest::new(&name).with_version(&version))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.backend()),
            (ErrorKind::Unsupported, Some("file"))
        );
    }
}

#[tokio::test]
async fn n4_n5_lists_lead_back() {
    let root = tree([
        ("smtp_api-key.secret", b"1"),
        ("app_x.secret", b"2"),
        ("application.secret", b"3"),
        ("other", b""),
    ]);
    for backend in both(
        FileBackend::builder(root.path())
            .layout(Layout::Flat)
            .extension("secret"),
    ) {
        let all = list(&backend, None).await;
        assert_eq!(all, ["app/x", "application", "smtp/api-key"]);
        for listed in all {
            get(&backend, &listed).await.unwrap();
        }
        assert_eq!(list(&backend, Some("app")).await, ["app/x"]);
    }
}
