//! What the features `harden` and `zeroizing-alloc` do to a process: each in one of its own.

#![cfg(all(feature = "env", feature = "harden", feature = "zeroizing-alloc"))]

use std::alloc::System;
use std::process::Command;

use secrets::ZeroAlloc;

/// The line that the documentation tells applications to write.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

const CHILD: &str = "SECRETS_TEST_HARDENED";

/// Runs one test of this file in a process of its own, as hardening cannot be undone.
fn in_a_process_of_its_own(test: &str, body: fn()) {
    if std::env::var_os(CHILD).is_some() {
        return body();
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && printed.contains("1 passed"),
        "{printed}"
    );
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "asks the Linux kernel")]
fn a_hardened_process_dumps_no_core_and_is_not_traced_by_others() {
    in_a_process_of_its_own(
        "a_hardened_process_dumps_no_core_and_is_not_traced_by_others",
        hardened,
    );
}

#[cfg(target_os = "linux")]
fn hardened() {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::Dumpable);
    secrets::harden_process().unwrap();
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    let core = getrlimit(Resource::Core);
    assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
    secrets::harden_process().unwrap();
}

#[cfg(not(target_os = "linux"))]
fn hardened() {}

#[tokio::test]
async fn secrets_are_read_as_ever_on_the_zeroizing_allocator() {
    use secrets::env::{EnvBackend, Variables};
    use secrets::{Secret, SecretManager};

    let variables = Variables::from([("SMTP_PASSWORD", "hunter2")]);
    let backend = EnvBackend::builder().source(variables).build().unwrap();
    let secrets = SecretManager::builder(backend).build().unwrap();
    let secret: Secret = secrets.get("smtp/password").await.unwrap();
    assert_eq!(secret.expose_secret(), b"hunter2");
}
