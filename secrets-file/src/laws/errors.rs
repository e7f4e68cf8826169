use super::*;

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
async fn e1_a_missing_root_is_not_a_missing_secret() {
    let outer = tree([("file", b"")]);
    for backend in both(FileBackend::builder(outer.path().join("root"))) {
        for error in [
            error(&backend, "a").await,
            backend.check().await.unwrap_err(),
            backend.list(None).await.unwrap_err(),
        ] {
            assert_eq!(
                (error.kind(), error.backend()),
                (ErrorKind::Unavailable, Some("file"))
            );
            assert!(
                error.message().contains(outer.path().to_str().unwrap()),
                "{error}"
            );
        }
    }
    for backend in both(FileBackend::builder(outer.path().join("root")).optional_root(true)) {
        assert_eq!(kind(&backend, "a").await, ErrorKind::NotFound);
        assert_eq!(list(&backend, None).await, [""; 0]);
        backend.check().await.unwrap();
        // A root that appears later is seen.
        fs::create_dir(outer.path().join("root")).unwrap();
        fs::write(outer.path().join("root/a"), "late").unwrap();
        assert_eq!(get(&backend, "a").await.unwrap().expose_secret(), b"late");
        fs::remove_dir_all(outer.path().join("root")).unwrap();
    }
    for backend in both(FileBackend::builder(outer.path().join("file")).optional_root(true)) {
        assert_eq!(kind(&backend, "a").await, ErrorKind::InvalidConfig);
        assert_eq!(
            backend.check().await.unwrap_err().kind(),
            ErrorKind::InvalidConfig
        );
    }
}

#[test]
fn e1_wrong_options_name_themselves() {
    let builder = || FileBackend::builder("/run/secrets");
    for (built, word) in [
        (FileBackend::new(""), "root"),
        (builder().max_size(0).build(), "`max_size`"),
        (builder().extension("a/b").build(), "`extension`"),
        (builder().base("../").build(), "`base`"),
        (
            FileBackendBuilder::at_variable("CREDENTIALS_DIRECTORY", None).build(),
            "`CREDENTIALS_DIRECTORY`",
        ),
        (
            FileBackendBuilder::at_variable("CREDENTIALS_DIRECTORY", Some(OsString::new())).build(),
            "`CREDENTIALS_DIRECTORY`",
        ),
    ] {
        let error = built.unwrap_err();
        assert_eq!(
            (error.kind(), error.backend()),
            (ErrorKind::InvalidConfig, Some("file"))
        );
        assert!(error.message().contains(word), "{error}");
    }
}

#[test]
fn e1_outside_a_runtime_is_a_typed_error() {
    let root = tree([("a", b"")]);
    let backend = FileBackend::new(root.path()).unwrap();
    let name = name("a");
    let mut get = std::pin::pin!(backend.get(ReadRequest::new(&name)));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = get.as_mut().poll(&mut context) else {
        panic!("it has to end at once")
    };
    assert_eq!(
        (error.kind(), error.backend()),
        (ErrorKind::Unsupported, Some("file"))
    );
}

#[tokio::test]
async fn s1_e5_no_failure_of_any_kind_shows_a_value() {
    let canary = Canary::random();
    let value = canary.expose().as_bytes();
    let root = tree([("a", value), ("document", br#"{"key":"x"}"#), ("d/x", value)]);
    fs::write(root.path().join("large"), value.repeat(100)).unwrap();
    let outside = tree([("b", value)]);
    symlink(outside.path().join("b"), root.path().join("out")).unwrap();
    let mut search = LeakSearch::start([canary.clone()]).unwrap();
    let version = Version::new("1").unwrap();
    for backend in both(FileBackend::builder(root.path()).max_size(1_000)) {
        let backend: Arc<dyn SecretBackend> = Arc::new(backend);
        for text in ["a", "a/x", "absent", "d", "document", "large", "out"] {
            search.ask(&backend, &name(text), Some(&version)).await;
        }
        search
            .ask(&backend, &name(&format!("a/{}", "x".repeat(300))), None)
            .await;
    }
    for backend in both(FileBackend::builder(root.path().join("nowhere"))) {
        search.ask(&(Arc::new(backend) as _), &name("a"), None).await;
    }
    for error in [
        FileBackend::new("").unwrap_err(),
        FileBackend::builder("/x").max_size(0).build().unwrap_err(),
    ] {
        search.error(error);
    }
    let kinds = search.finish().unwrap();
    assert_eq!(
        kinds,
        [
            ErrorKind::FieldNotFound,
            ErrorKind::InvalidConfig,
            ErrorKind::InvalidData,
            ErrorKind::InvalidName,
            ErrorKind::NotFound,
            ErrorKind::PermissionDenied,
            ErrorKind::Unavailable,
            ErrorKind::Unsupported,
        ]
    );
}

#[tokio::test]
async fn s6_reading_leaves_the_environment_as_it_was() {
    let root = tree([("a", b"x")]);
    let before: Vec<_> = std::env::vars_os().collect();
    for backend in nested(&root) {
        get(&backend, "a").await.unwrap();
    }
    assert_eq!(std::env::vars_os().collect::<Vec<_>>(), before);
}
