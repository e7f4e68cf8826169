//! Keys that are mounted by `subPath`, as the kubelet binds them.

use std::fs;
use std::process::Command;

use secrets_core::{SecretBackend as _, WatchedNames};
use secrets_k8s::K8sBackend;

/// Names the root to the process in which something is mounted.
const ROOT: &str = "SECRETS_TEST_SUBPATH_ROOT";

#[tokio::test]
#[ignore = "needs leave to mount: util-linux's `unshare`, and root or user namespaces"]
async fn a_key_bound_by_itself_is_told_of_once() {
    let Some(root) = std::env::var_os(ROOT) else {
        return bind_and_run_again();
    };
    let log = crate::log::Log::default();
    let _listening = tracing::subscriber::set_default(log.clone());
    for builder in [
        K8sBackend::builder(&root),
        K8sBackend::builder(std::path::Path::new(&root).join("smtp")).volume("smtp"),
    ] {
        let before = log.lines().len();
        let backend = builder.build().unwrap();
        for _ in 0..2 {
            drop(backend.watch(WatchedNames::channel().1));
        }
        let said = log.lines().split_off(before);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains("smtp/password` is mounted by `subPath`") && said[0].contains("0 others"),
            "{said:?}"
        );
        assert!(!said[0].contains("hunter2"));
    }
}

fn bind_and_run_again() {
    let outer = tempfile::tempdir().unwrap();
    let at = |path: &str| outer.path().join(path);
    fs::create_dir_all(at("root/smtp")).unwrap();
    for file in ["source", "root/smtp/password", "root/smtp/plain"] {
        fs::write(at(file), "hunter2").unwrap();
    }
    let script = r#"mount --bind "$1" "$2" && exec "$3" --exact subpath::a_key_bound_by_itself_is_told_of_once --ignored"#;
    let ran = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", script, "sh"])
        .args([
            at("source"),
            at("root/smtp/password"),
            std::env::current_exe().unwrap(),
        ])
        .env(ROOT, at("root"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success() && told.contains(" 1 passed"),
        "{told}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}
