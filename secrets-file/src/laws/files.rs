use super::*;

#[tokio::test]
async fn f3_links_out_of_the_root_are_refused_and_not_listed() {
    let outside = tree([("secret", CANARY.as_bytes())]);
    let root = tree([("real", b"inside")]);
    let at = |path: &str| root.path().join(path);
    symlink(outside.path().join("secret"), at("absolute")).unwrap();
    symlink(at("real"), at("absolute-inside")).unwrap();
    symlink("../".repeat(20) + "etc/hostname", at("relative")).unwrap();
    symlink(outside.path(), at("directory")).unwrap();
    for backend in nested(&root) {
        for path in ["absolute", "absolute-inside", "relative", "directory/secret"] {
            let error = error(&backend, path).await;
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        }
        assert_eq!(list(&backend, None).await, ["real"]);
    }
}

#[tokio::test]
async fn f3_the_kubelets_own_links_are_followed() {
    let root = tree([
        ("smtp/..2026_01/password", b"hunter2"),
        ("smtp/..2026_01/tls/crt", b"pem"),
    ]);
    let at = |path: &str| root.path().join("smtp").join(path);
    symlink("..2026_01", at("..data")).unwrap();
    symlink("..data/password", at("password")).unwrap();
    symlink("..data/tls", at("tls")).unwrap();
    for backend in nested(&root) {
        assert_eq!(
            get(&backend, "smtp/password").await.unwrap().expose_secret(),
            b"hunter2"
        );
        assert_eq!(list(&backend, None).await, ["smtp/password", "smtp/tls/crt"]);
        assert_eq!(list(&backend, Some("smtp/tls")).await, ["smtp/tls/crt"]);
    }
}

#[tokio::test]
async fn f4_what_is_no_file_is_a_typed_error() {
    let root = tree([("directory/x", b"")]);
    let at = |path: &str| root.path().join(path);
    rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), rustix::fs::Mode::RWXU).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    for backend in nested(&root) {
        assert_eq!(kind(&backend, "fifo").await, ErrorKind::InvalidData);
        assert_eq!(kind(&backend, "socket").await, ErrorKind::InvalidData);
        // Nested secrets lie below a directory: that there is none of its own name is no defect of the data.
        assert_eq!(kind(&backend, "directory").await, ErrorKind::NotFound);
        assert_eq!(list(&backend, None).await, ["directory/x"]);
    }
    for backend in both(FileBackend::builder(root.path()).layout(Layout::Flat)) {
        let error = error(&backend, "directory").await;
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.message().contains("is a directory"), "{error}");
    }
    for backend in both(FileBackend::builder("/dev")) {
        assert_eq!(kind(&backend, "null").await, ErrorKind::InvalidData);
    }
}

#[tokio::test]
async fn f5_an_absent_file_is_named() {
    let root = tree([("a", b"")]);
    for backend in nested(&root) {
        let expected = format!(
            "not found: secret `smtp/password` in backend `file`: there is no file `{}/smtp/password`",
            root.path().display()
        );
        assert_eq!(error(&backend, "smtp/password").await.to_string(), expected);
        assert_eq!(kind(&backend, "a/below-a-file").await, ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn f5_what_may_not_be_read_is_permission_denied() {
    const TEST: &str = "laws::files::f5_what_may_not_be_read_is_permission_denied";

    let Some(root) = std::env::var_os(ROOT).map(PathBuf::from) else {
        let root = tree([("unreadable", b""), ("closed/x", b""), ("open/x", b"")]);
        chmod(root.path().join("unreadable"), 0);
        chmod(root.path().join("closed"), 0);
        // Nothing is closed to root, so that the rest happens as somebody else.
        let me = fs::metadata(root.path()).unwrap().uid();
        let program = root.path().join("test");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let mut command = Command::new(&program);
        if me == 0 {
            command.uid(65_534).gid(65_534);
        }
        again(&mut command, TEST, root.path());
        return chmod(root.path().join("closed"), 0o700);
    };
    for backend in both(FileBackend::builder(&root)) {
        for text in ["unreadable", "closed/x"] {
            let error = error(&backend, text).await;
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert!(error.message().contains(text), "{error}");
        }
        assert_eq!(get(&backend, "open/x").await.unwrap().expose_secret(), b"");
        assert_eq!(list(&backend, Some("open")).await, ["open/x"]);
        assert_eq!(
            backend.list(None).await.unwrap_err().kind(),
            ErrorKind::PermissionDenied
        );
        backend.check().await.unwrap();
    }
    for backend in both(FileBackend::builder(root.join("closed"))) {
        assert_eq!(
            backend.check().await.unwrap_err().kind(),
            ErrorKind::PermissionDenied
        );
        assert_eq!(kind(&backend, "x").await, ErrorKind::PermissionDenied);
    }
}

#[tokio::test]
async fn f6_strict_refuses_what_everybody_can_read() {
    let root = tree([("a", b"x"), ("b", b"x")]);
    chmod(root.path().join("a"), 0o644);
    chmod(root.path().join("b"), 0o640);
    for backend in both(FileBackend::builder(root.path()).strict_permissions(true)) {
        let error = error(&backend, "a").await;
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.message().contains("mode 0644"), "{error}");
        assert_eq!(get(&backend, "b").await.unwrap().expose_secret(), b"x");
    }
    for backend in nested(&root) {
        assert_eq!(get(&backend, "a").await.unwrap().expose_secret(), b"x");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn f6_kubelet_and_docker_mounts_are_left_in_peace() {
    const TEST: &str = "laws::files::f6_kubelet_and_docker_mounts_are_left_in_peace";
    /// In a mount namespace of its own: a volume as the kubelet's, one as Podman's, a file as Compose's.
    const SCRIPT: &str = r#"
        set -e
        cd "$0"
        mkdir kubelet memory; touch compose
        mount -t tmpfs -o mode=0755 none kubelet; echo x >kubelet/file; mount -o remount,ro kubelet
        mount -t tmpfs -o mode=0755 none memory; echo x >memory/file; mkdir memory/plain; echo x >memory/plain/file
        mount --bind plain compose
        SECRETS_FILE_TEST_ROOT=$0 exec "$@"
    "#;

    let Some(root) = std::env::var_os(ROOT).map(PathBuf::from) else {
        let root = tree([("plain", b"x")]);
        let mut unshare = Command::new("unshare");
        if fs::metadata(root.path()).unwrap().uid() != 0 {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(["--mount", "sh", "-c"]);
        let possible = Command::new(unshare.get_program())
            .args(unshare.get_args())
            .arg("mount -t tmpfs none /mnt")
            .output();
        if !possible.is_ok_and(|output| output.status.success()) {
            return skipped(TEST, "mounts cannot be made here");
        }
        unshare
            .args([SCRIPT.as_ref(), root.path().as_os_str()])
            .arg(std::env::current_exe().unwrap());
        return again(&mut unshare, TEST, root.path());
    };
    let strict = |root: &Path| both(FileBackend::builder(root).strict_permissions(true));
    for backend in strict(&root) {
        for managed in ["kubelet/file", "memory/file", "compose"] {
            get(&backend, managed).await.unwrap();
        }
        assert_eq!(kind(&backend, "plain").await, ErrorKind::PermissionDenied);
    }
    for backend in strict(&root.join("memory")) {
        get(&backend, "file").await.unwrap();
    }
    // A directory that merely lies on a memory file system, as everything in /tmp may.
    for backend in strict(&root.join("memory/plain")) {
        assert_eq!(kind(&backend, "file").await, ErrorKind::PermissionDenied);
    }
}

#[cfg(feature = "tracing")]
#[tokio::test]
async fn f6_s1_a_file_everybody_can_read_is_warned_about_once() {
    let root = tree([("a", CANARY.as_bytes()), ("b", CANARY.as_bytes())]);
    chmod(root.path().join("a"), 0o604);
    chmod(root.path().join("b"), 0o600);
    for backend in nested(&root) {
        let log = super::log::Log::default();
        let _guard = tracing::subscriber::set_default(log.clone());
        for text in ["a", "b", "a", "absent"] {
            let _ = get(&backend, text).await;
        }
        let lines = log.lines();
        let [line] = lines.as_slice() else {
            panic!("one warning: {lines:?}")
        };
        assert!(line.starts_with("WARN") && line.contains("mode=0604"), "{line}");
        assert!(line.contains(root.path().join("a").to_str().unwrap()), "{line}");
        assert!(!line.contains(CANARY), "{line}");
    }
}
