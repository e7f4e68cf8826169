use super::*;

#[tokio::test]
async fn n2_n3_every_name_is_taken_as_it_is_or_refused() {
    let strange = "a &+=@:*|<>\"'$~`!,;(){}[]/é/e\u{301}";
    let root = tree([(strange, b"strange"), (".hidden/..x", b"dots")]);
    for backend in nested(&root) {
        assert_eq!(get(&backend, strange).await.unwrap().expose_secret(), b"strange");
        assert_eq!(
            get(&backend, ".hidden/..x").await.unwrap().expose_secret(),
            b"dots"
        );
        let error = error(&backend, &"a".repeat(256)).await;
        assert_eq!(
            (error.kind(), error.backend()),
            (ErrorKind::InvalidName, Some("file"))
        );
        assert!(backend.path(&name(&"a".repeat(256))).is_err());
        assert_eq!(backend.path(&name("smtp/x")).unwrap(), root.path().join("smtp/x"));
    }
}

#[tokio::test]
async fn n4_flat_files_have_many_spellings_and_one_canonical_name() {
    let root = tree([
        ("smtp_api-key.secret", b"1"),
        ("SMTP_KEY.secret", b"2"),
        ("smtp_api-key", CANARY.as_bytes()),
        (".hidden.secret", CANARY.as_bytes()),
        ("a__b.secret", CANARY.as_bytes()),
        ("directory/x.secret", CANARY.as_bytes()),
    ]);
    fs::write(root.path().join(OsStr::from_bytes(b"\xff.secret")), CANARY).unwrap();
    for backend in both(
        FileBackend::builder(root.path())
            .layout(Layout::Flat)
            .extension("secret"),
    ) {
        for spelling in ["smtp/api-key", "smtp_api-key"] {
            assert_eq!(get(&backend, spelling).await.unwrap().expose_secret(), b"1");
        }
        assert_eq!(list(&backend, None).await, ["SMTP/KEY", "smtp/api-key"]);
        assert_eq!(list(&backend, Some("smtp")).await, ["smtp/api-key"]);
        assert_eq!(list(&backend, Some("smtp_api-key")).await, ["smtp_api-key"]);
        assert_eq!(get(&backend, "SMTP/KEY").await.unwrap().expose_secret(), b"2");
    }
}

#[tokio::test]
async fn n5_listing_never_leaves_the_prefix_and_get_accepts_what_it_returns() {
    let root = tree([
        ("app", b"1"),
        ("application", b"2"),
        ("smtp/database/password", b"3"),
        ("smtp/key", b"4"),
        ("smtp/.key.swp", CANARY.as_bytes()),
        ("smtp/bad%name", CANARY.as_bytes()),
        (".git/config", CANARY.as_bytes()),
    ]);
    for backend in nested(&root) {
        assert!(backend.capabilities().list);
        let all = list(&backend, None).await;
        assert_eq!(all, ["app", "application", "smtp/database/password", "smtp/key"]);
        for listed in all {
            assert_ne!(
                get(&backend, &listed).await.unwrap().expose_secret(),
                CANARY.as_bytes()
            );
        }
        assert_eq!(list(&backend, Some("app")).await, ["app"]);
        assert_eq!(
            list(&backend, Some("smtp")).await,
            ["smtp/database/password", "smtp/key"]
        );
        assert_eq!(
            list(&backend, Some("smtp/database")).await,
            ["smtp/database/password"]
        );
        assert_eq!(list(&backend, Some("smtp/data")).await, [""; 0]);
        assert_eq!(list(&backend, Some("other/x")).await, [""; 0]);
    }
}

#[tokio::test]
async fn n5_a_base_is_a_fence() {
    let root = tree([
        ("prod/a", b"1"),
        ("prod/b/c", b"2"),
        ("production/a", CANARY.as_bytes()),
        ("a", CANARY.as_bytes()),
    ]);
    for backend in both(FileBackend::builder(root.path()).base("prod/")) {
        assert_eq!(get(&backend, "a").await.unwrap().expose_secret(), b"1");
        assert_eq!(list(&backend, None).await, ["a", "b/c"]);
        assert_eq!(list(&backend, Some("b")).await, ["b/c"]);
        assert_eq!(kind(&backend, "production/a").await, ErrorKind::NotFound);
    }
    let root = tree([("prod_a", b"1"), ("prod_b_c", b"2"), ("a", CANARY.as_bytes())]);
    for backend in both(
        FileBackend::builder(root.path())
            .base("prod/")
            .layout(Layout::Flat),
    ) {
        assert_eq!(list(&backend, None).await, ["a", "b/c"]);
        assert_eq!(get(&backend, "b/c").await.unwrap().expose_secret(), b"2");
    }
}

#[tokio::test]
async fn the_ready_made_roots() {
    let docker = FileBackend::docker_secrets().build().unwrap();
    assert_eq!(
        docker.path(&name("smtp/password")).unwrap(),
        Path::new("/run/secrets/smtp_password")
    );
    let root = tree([("smtp_password", b"1")]);
    let systemd = FileBackendBuilder::at_variable("CREDENTIALS_DIRECTORY", Some(root.path().into()));
    for backend in both(systemd.layout(Layout::Flat)) {
        assert_eq!(
            get(&backend, "smtp/password").await.unwrap().expose_secret(),
            b"1"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn n5_whatever_is_listed_is_read(
        flat in any::<bool>(),
        extension in prop::option::of("[a-b]"),
        files in prop::collection::vec("[a-bA_.-]{1,4}(/[ab_.]{1,3}){0,2}([.][ab])?", 1..8),
        prefix in prop::option::of("[a-b_]{1,2}(/[a-b_]{1,2})?"),
    ) {
        let root = tree([]);
        for file in &files {
            let path = root.path().join(file);
            // Names such as `..`, or below another file, cannot be made.
            if !file.split('/').any(|part| matches!(part, "." | ".." | "")) {
                let _ = fs::create_dir_all(path.parent().unwrap()).and_then(|()| fs::write(&path, b"x"));
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut builder = FileBackend::builder(root.path()).layout(if flat { Layout::Flat } else { Layout::Nested });
        if let Some(extension) = extension {
            builder = builder.extension(extension);
        }
        let prefix = prefix.map(|prefix| name(&prefix));
        for backend in both(builder) {
            let listed = runtime.block_on(backend.list(prefix.as_ref())).unwrap();
            for name in listed {
                prop_assert!(prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix)));
                prop_assert!(runtime.block_on(get(&backend, name.as_str())).is_ok(), "{}", name);
            }
        }
    }
}
