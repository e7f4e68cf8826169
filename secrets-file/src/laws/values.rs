use super::*;

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
    let root = tree([("empty", b""), ("line", b"\n")]);
    for backend in nested(&root) {
        assert_eq!(get(&backend, "empty").await.unwrap().expose_secret(), b"");
        assert_eq!(get(&backend, "line").await.unwrap().expose_secret(), b"");
        assert_eq!(kind(&backend, "absent").await, ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn v3_one_final_line_break_goes_and_everything_else_stays() {
    let root = tree([("a", b" a \r\n"), ("two", b"a\n\n"), ("raw", b"\xff\n")]);
    for backend in nested(&root) {
        assert_eq!(get(&backend, "a").await.unwrap().expose_secret(), b" a ");
        assert_eq!(get(&backend, "two").await.unwrap().expose_secret(), b"a\n\n");
        assert_eq!(get(&backend, "raw").await.unwrap().expose_secret(), b"\xff\n");
    }
    for backend in both(FileBackend::builder(root.path()).trim(Trim::Never)) {
        assert_eq!(get(&backend, "a").await.unwrap().expose_secret(), b" a \r\n");
    }
}

#[tokio::test]
async fn v5_unicode_is_not_normalised() {
    for text in ["é", "e\u{301}", "𝔰", "שלום", "\u{202e}x", "\u{feff}"] {
        let root = tree([("a", text.as_bytes())]);
        for backend in nested(&root) {
            assert_eq!(get(&backend, "a").await.unwrap().expose_str().unwrap(), text);
        }
    }
}

#[tokio::test]
async fn v6_a_large_value_and_a_pem_come_back() {
    let pem = b"-----BEGIN PRIVATE KEY-----\r\nMIIEvQ\r\nIBADAN\r\n-----END PRIVATE KEY-----\r\n";
    let large: Vec<u8> = (0..=255).cycle().take(64 * 1024).collect();
    let root = tree([("pem", pem), ("large", &large)]);
    for backend in nested(&root) {
        assert_eq!(get(&backend, "pem").await.unwrap().expose_secret(), pem);
        assert_eq!(get(&backend, "large").await.unwrap().expose_secret(), large);
    }
}

#[tokio::test]
async fn v7_a_file_above_the_limit_is_refused_by_its_size() {
    let root = tree([("exact", &vec![b'x'; FileBackend::DEFAULT_MAX_SIZE])]);
    let sparse = fs::File::create(root.path().join("sparse")).unwrap();
    sparse.set_len(2 << 30).unwrap();
    for backend in nested(&root) {
        assert_eq!(
            get(&backend, "exact").await.unwrap().expose_secret().len(),
            FileBackend::DEFAULT_MAX_SIZE
        );
        let error = error(&backend, "sparse").await;
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.message().contains("1048576"), "{error}");
    }
    for backend in both(FileBackend::builder(root.path()).max_size(10)) {
        assert_eq!(kind(&backend, "exact").await, ErrorKind::InvalidData);
    }
}

#[tokio::test]
async fn the_time_of_writing_is_in_the_metadata() {
    let root = tree([("a", b"")]);
    let written = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_007, 5_000);
    fs::File::options()
        .append(true)
        .open(root.path().join("a"))
        .unwrap()
        .set_modified(written)
        .unwrap();
    for backend in nested(&root) {
        let secret = get(&backend, "a").await.unwrap();
        assert_eq!(secret.metadata().created(), Some(written));
        assert_eq!(secret.metadata().version(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn v1_whatever_was_written_is_read(content in prop::collection::vec(any::<u8>(), 0..300)) {
        let root = tree([("a", &content)]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for backend in both(FileBackend::builder(root.path()).trim(Trim::Never)) {
            let secret = runtime.block_on(get(&backend, "a")).unwrap();
            prop_assert_eq!(secret.expose_secret(), content.as_slice());
        }
    }
}
