//! The laws of the contract that concern this backend. Each holds however paths are resolved.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use proptest::prelude::*;
use secrets_core::{
    Error, ErrorKind, Fetched, ReadRequest, Result, Secret, SecretBackend, SecretName, Version,
};
use secrets_testkit::{Canary, LeakSearch};
use tempfile::TempDir;

use crate::{FileBackend, FileBackendBuilder, Layout, Trim};

mod errors;
mod files;
#[cfg(feature = "tracing")]
mod log;
mod names;
mod values;
#[cfg(feature = "watch")]
mod watch;

const CANARY: &str = "canary-5e1f";

/// Set in processes that run one test again, under other conditions.
const ROOT: &str = "SECRETS_FILE_TEST_ROOT";

fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

/// A directory that everybody can enter, with these files.
fn tree<const LEN: usize>(files: [(&str, &[u8]); LEN]) -> TempDir {
    let root = TempDir::new().unwrap();
    chmod(root.path(), 0o755);
    for (path, content) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

fn chmod(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
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

async fn error(backend: &FileBackend, text: &str) -> Error {
    get(backend, text).await.unwrap_err()
}

async fn kind(backend: &FileBackend, text: &str) -> ErrorKind {
    error(backend, text).await.kind()
}

async fn list(backend: &FileBackend, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(name);
    let names = backend.list(prefix.as_ref()).await.unwrap();
    names.iter().map(ToString::to_string).collect()
}

/// Runs one test again in another process, with this root.
fn again(command: &mut Command, test: &str, root: &Path) {
    command.args(["--exact", test, "--nocapture"]).env(ROOT, root);
    match command.output() {
        Err(error) => skipped(
            test,
            &format!("{:?} does not start: {error}", command.get_program()),
        ),
        Ok(output) => {
            let printed = String::from_utf8_lossy(&output.stdout);
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success() && printed.contains("1 passed"),
                "{printed}\n{told}"
            );
        }
    }
}

/// Says so past the test harness, which would swallow it.
fn skipped(test: &str, why: &str) {
    let mut stderr = std::io::stderr();
    writeln!(stderr, "skipped: {test}: {why}").unwrap();
}
