use std::collections::BTreeSet;
use std::future::poll_fn;
use std::time::Duration;

use secrets_core::{BackendEvent, BackendEvents, WatchedNames, WatchedNamesSender};

use super::*;

// What a secret was is noted when it is read, so that no test waits for the watch to have begun. The first event says
// that it has; what is seen after that was heard from the system, unless the interval is short.

/// Longer than any test: what is seen was heard from the system.
const NEVER: Duration = Duration::from_secs(3_600);
/// For what the system does not tell.
const OFTEN: Duration = Duration::from_millis(100);

struct Watch {
    names: WatchedNamesSender,
    events: BackendEvents,
}

impl Watch {
    fn new(backend: &FileBackend, names: &[&str]) -> Self {
        assert!(backend.capabilities().watch);
        let (sender, watched) = WatchedNames::channel();
        let events = backend.watch(watched).unwrap();
        let watch = Self {
            names: sender,
            events,
        };
        watch.set(names);
        watch
    }

    fn set(&self, names: &[&str]) {
        self.names
            .set(names.iter().map(|text| name(text)).collect::<BTreeSet<_>>());
    }

    async fn next(&mut self) -> String {
        let next = poll_fn(|cx| self.events.as_mut().poll_next(cx));
        // The limit only turns a hanging test into a failing one.
        match tokio::time::timeout(Duration::from_secs(60), next)
            .await
            .expect("an event")
        {
            Some(BackendEvent::Changed(name)) => name.to_string(),
            other => panic!("a change: {other:?}"),
        }
    }
}

/// Backends of which some read `a`, at this interval.
async fn served(root: &Path, interval: Duration) -> [FileBackend; 2] {
    let backends = both(FileBackend::builder(root).poll_interval(interval));
    for backend in &backends {
        let _ = get(backend, "a").await;
    }
    backends
}

/// The new file comes from where nobody watches: a rename is all there is to hear.
fn replace(root: &Path, path: &str, content: &str) {
    let new = root.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, root.join(path)).unwrap();
}

#[tokio::test]
async fn w1_a_change_between_the_read_and_the_watch_is_not_lost() {
    let root = tree([("a", b"1")]);
    for backend in served(root.path(), NEVER).await {
        replace(root.path(), "a", "2");
        assert_eq!(Watch::new(&backend, &["a"]).next().await, "a");
        replace(root.path(), "a", "1");
    }
}

#[tokio::test]
async fn f2_rename_write_delete_and_create_are_seen() {
    let root = tree([("a", b"1")]);
    for backend in served(root.path(), NEVER).await {
        let mut watch = Watch::new(&backend, &["a"]);
        for content in ["2", "3"] {
            replace(root.path(), "a", content);
            assert_eq!(watch.next().await, "a");
        }
        fs::write(root.path().join("a"), "in place").unwrap();
        assert_eq!(watch.next().await, "a");
        fs::remove_file(root.path().join("a")).unwrap();
        assert_eq!(watch.next().await, "a");
        assert_eq!(kind(&backend, "a").await, ErrorKind::NotFound);
        fs::write(root.path().join("a"), "again").unwrap();
        assert_eq!(watch.next().await, "a");
        assert_eq!(get(&backend, "a").await.unwrap().expose_secret(), b"again");
        replace(root.path(), "a", "1");
        assert_eq!(watch.next().await, "a");
    }
}

#[tokio::test]
async fn f2_the_kubelets_swap_is_seen() {
    let root = tree([("smtp/..1/a", b"1"), ("smtp/..2/a", b"2"), ("smtp/..3/a", b"3")]);
    let at = |path: &str| root.path().join("smtp").join(path);
    symlink("..1", at("..data")).unwrap();
    symlink("..data/a", at("a")).unwrap();
    for backend in both(FileBackend::builder(root.path()).poll_interval(NEVER)) {
        assert_eq!(get(&backend, "smtp/a").await.unwrap().expose_secret(), b"1");
        let mut watch = Watch::new(&backend, &["smtp/a"]);
        for version in ["..2", "..3", "..1"] {
            symlink(version, at("..data_tmp")).unwrap();
            fs::rename(at("..data_tmp"), at("..data")).unwrap();
            assert_eq!(watch.next().await, "smtp/a");
            let secret = get(&backend, "smtp/a").await.unwrap();
            assert_eq!(secret.expose_str().unwrap(), version.trim_start_matches('.'));
        }
    }
}

#[tokio::test]
async fn f2_what_lies_behind_a_link_and_what_does_not_exist_yet_are_watched() {
    let root = tree([("real/deep/a", b"1")]);
    symlink("real/deep/a", root.path().join("a")).unwrap();
    for backend in served(root.path(), NEVER).await {
        assert_eq!(kind(&backend, "x/y/z").await, ErrorKind::NotFound);
        let mut watch = Watch::new(&backend, &["a", "x/y/z"]);
        for content in ["2", "1"] {
            replace(root.path(), "real/deep/a", content);
            assert_eq!(watch.next().await, "a");
        }
        fs::create_dir_all(root.path().join("x/y")).unwrap();
        fs::write(root.path().join("x/y/z"), "").unwrap();
        assert_eq!(watch.next().await, "x/y/z");
        fs::remove_dir_all(root.path().join("x")).unwrap();
        assert_eq!(watch.next().await, "x/y/z");
    }
}

#[tokio::test]
async fn w2_the_same_value_written_again_is_no_event() {
    let root = tree([("a", b"1"), ("b", b"1")]);
    for backend in served(root.path(), NEVER).await {
        get(&backend, "b").await.unwrap();
        let mut watch = Watch::new(&backend, &["a", "b"]);
        for content in ["2", "3", "1"] {
            replace(root.path(), "a", "1");
            // Another final line break is trimmed: the value is the same.
            replace(root.path(), "a", "1\n");
            chmod(root.path().join("a"), 0o600);
            replace(root.path(), "b", content);
            assert_eq!(watch.next().await, "b");
        }
    }
}

#[tokio::test]
async fn w3_what_becomes_unreadable_is_an_event_and_what_comes_back_is_another() {
    let root = tree([("a", b"1")]);
    for backend in served(root.path(), NEVER).await {
        let mut watch = Watch::new(&backend, &["a"]);
        fs::remove_file(root.path().join("a")).unwrap();
        assert_eq!(watch.next().await, "a");
        symlink("/etc/hostname", root.path().join("a")).unwrap();
        assert_eq!(watch.next().await, "a");
        assert_eq!(kind(&backend, "a").await, ErrorKind::PermissionDenied);
        replace(root.path(), "a", "1");
        assert_eq!(watch.next().await, "a");
    }
}

#[tokio::test]
async fn w5_a_root_that_is_gone_for_a_while_hides_no_change() {
    let outer = tree([("root/a", b"1")]);
    let at = |path: &str| outer.path().join(path);
    for backend in served(&at("root"), OFTEN).await {
        let mut watch = Watch::new(&backend, &["a"]);
        for content in ["2", "1"] {
            fs::rename(at("root"), at("away")).unwrap();
            assert_eq!(kind(&backend, "a").await, ErrorKind::Unavailable);
            fs::write(at("away/a"), content).unwrap();
            fs::rename(at("away"), at("root")).unwrap();
            assert_eq!(watch.next().await, "a");
        }
    }
}

#[tokio::test]
async fn w3_an_optional_root_that_goes_takes_its_secrets_along() {
    let outer = tree([("root/a", b"1")]);
    let at = |path: &str| outer.path().join(path);
    for backend in both(
        FileBackend::builder(at("root"))
            .optional_root(true)
            .poll_interval(OFTEN),
    ) {
        get(&backend, "a").await.unwrap();
        let mut watch = Watch::new(&backend, &["a"]);
        fs::rename(at("root"), at("away")).unwrap();
        assert_eq!(watch.next().await, "a");
        assert_eq!(kind(&backend, "a").await, ErrorKind::NotFound);
        fs::rename(at("away"), at("root")).unwrap();
        assert_eq!(watch.next().await, "a");
    }
}

#[tokio::test]
async fn f2_what_the_system_does_not_tell_is_seen_by_polling() {
    let outer = tree([("1/a", b"1"), ("2/a", b"2")]);
    let at = |path: &str| outer.path().join(path);
    symlink("1", at("root")).unwrap();
    for backend in served(&at("root"), OFTEN).await {
        let mut watch = Watch::new(&backend, &["a"]);
        for version in ["2", "1", "2", "1"] {
            // The link lies outside of what is watched.
            symlink(version, at("new")).unwrap();
            fs::rename(at("new"), at("root")).unwrap();
            assert_eq!(watch.next().await, "a");
        }
    }
}

#[tokio::test]
async fn w6_a_slow_consumer_gets_one_event_and_the_latest_value() {
    let root = tree([("a", b"1"), ("b", b"1")]);
    for backend in served(root.path(), NEVER).await {
        get(&backend, "b").await.unwrap();
        let mut watch = Watch::new(&backend, &["a", "b"]);
        for number in 0..1_000 {
            replace(root.path(), "a", &number.to_string());
        }
        assert_eq!(watch.next().await, "a");
        assert_eq!(get(&backend, "a").await.unwrap().expose_secret(), b"999");
        replace(root.path(), "b", "2");
        assert_eq!(watch.next().await, "b");
        replace(root.path(), "a", "1");
        assert_eq!(watch.next().await, "a");
        replace(root.path(), "b", "1");
        assert_eq!(watch.next().await, "b");
    }
}

#[tokio::test]
async fn only_the_names_asked_for_are_watched() {
    let root = tree([("a", b"1"), ("b", b"1")]);
    for backend in served(root.path(), NEVER).await {
        get(&backend, "b").await.unwrap();
        let mut watch = Watch::new(&backend, &["a"]);
        for (watched, other) in [("a", "b"), ("b", "a"), ("a", "b"), ("b", "a")] {
            watch.set(&[watched]);
            replace(root.path(), other, "other");
            replace(root.path(), watched, "watched");
            assert_eq!(watch.next().await, watched);
            let _ = get(&backend, other).await;
        }
        // Names no file can have are no trouble, and the watch goes on when nobody changes the names any more.
        watch.set(&["a", "b", &"x".repeat(300)]);
        drop(std::mem::replace(&mut watch.names, WatchedNames::channel().0));
        replace(root.path(), "a", "last");
        assert_eq!(watch.next().await, "a");
    }
}

#[tokio::test]
async fn s1_no_value_in_debug_of_what_watches() {
    let root = tree([("a", CANARY.as_bytes())]);
    for backend in served(root.path(), NEVER).await {
        let _watch = Watch::new(&backend, &["a"]);
        assert!(!format!("{backend:?}").contains(CANARY));
    }
}

#[test]
fn e1_a_poll_interval_too_short_names_its_option() {
    let error = FileBackend::builder("/run/secrets")
        .poll_interval(Duration::ZERO)
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.message().contains("`poll_interval`"), "{error}");
}
