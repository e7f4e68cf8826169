//! Backends made of backends.

mod common;

use std::collections::BTreeSet;

use common::*;
use secrets_core::{
    ErrorKind, FallbackBackend, Fetched, PrefixRouter, ReadRequest, Result, Secret, SecretBackend,
    SecretManager, SecretName,
};
use secrets_testkit::{Answer, MemoryBackend, ScriptedBackend};

fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

async fn get(backend: &dyn SecretBackend, text: &str) -> Result<Secret> {
    match backend.get(ReadRequest::new(&name(text))).await? {
        Fetched::Value(secret) => Ok(secret),
        other => panic!("{other:?}"),
    }
}

async fn listed(backend: &dyn SecretBackend, prefix: Option<&str>) -> BTreeSet<String> {
    let prefix = prefix.map(name);
    let names = backend.list(prefix.as_ref()).await.unwrap();
    let set: BTreeSet<_> = names.iter().map(ToString::to_string).collect();
    assert_eq!(set.len(), names.len(), "each once");
    set
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn chain(members: Vec<Box<dyn SecretBackend>>) -> FallbackBackend {
    FallbackBackend::new(members).unwrap()
}

#[test]
fn a_chain_goes_on_for_absent_and_inexpressible_names_and_for_nothing_else() {
    block_on(async {
        for kind in [
            ErrorKind::Disabled,
            ErrorKind::FieldNotFound,
            ErrorKind::Internal,
            ErrorKind::InvalidConfig,
            ErrorKind::InvalidData,
            ErrorKind::InvalidName,
            ErrorKind::NotFound,
            ErrorKind::PermissionDenied,
            ErrorKind::RateLimited,
            ErrorKind::Timeout,
            ErrorKind::Unauthenticated,
            ErrorKind::Unavailable,
            ErrorKind::Unsupported,
            ErrorKind::VersionNotFound,
        ] {
            let (first, second) = (ScriptedBackend::new(), ScriptedBackend::new());
            first.on("a", [Answer::kind(kind)]);
            second.on("a", [Answer::value("second")]);
            let chain = chain(vec![Box::new(first), Box::new(second.clone())]);
            let goes_on = matches!(kind, ErrorKind::NotFound | ErrorKind::InvalidName);
            let answers = chain.get_many(&[ReadRequest::new(&name("a"))]).await;
            for answer in [get(&chain, "a").await.map(|_| ()), answers[0].clone().map(|_| ())] {
                assert_eq!(
                    answer.map_err(|error| error.kind()),
                    if goes_on { Ok(()) } else { Err(kind) }
                );
            }
            assert_eq!(second.call_count(), if goes_on { 2 } else { 0 }, "{kind:?}");
        }
    });
}

#[test]
fn a_chain_in_which_nobody_has_it_says_what_each_said() {
    block_on(async {
        let (first, second) = (
            ScriptedBackend::new().with_name("first"),
            ScriptedBackend::new().with_name("second"),
        );
        first.on("a", [Answer::kind(ErrorKind::InvalidName)]);
        let both = chain(vec![Box::new(first.clone()), Box::new(second)]);
        let error = get(&both, "a").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.secret()),
            (ErrorKind::NotFound, Some(&name("a")))
        );
        assert!(
            error.message().contains("first: ") && error.message().contains("second: "),
            "{error}"
        );
        let alone = chain(vec![Box::new(first)]);
        assert_eq!(get(&alone, "a").await.unwrap_err().kind(), ErrorKind::InvalidName);
        assert_eq!(
            FallbackBackend::new(vec![]).unwrap_err().kind(),
            ErrorKind::InvalidConfig
        );
    });
}

#[test]
fn a_chain_can_do_what_all_can_and_lists_what_any_lists() {
    block_on(async {
        let (first, second) = (MemoryBackend::new(), MemoryBackend::new());
        first.store().put("app/a", "1");
        first.store().put("app/b", "1");
        second.store().put("app/b", "2");
        second.store().put("application", "2");
        let both = chain(vec![Box::new(first.clone()), Box::new(second.clone())]);
        assert!(both.capabilities().list && both.capabilities().versions);
        assert_eq!(listed(&both, None).await, set(&["app/a", "app/b", "application"]));
        assert_eq!(listed(&both, Some("app")).await, set(&["app/a", "app/b"]));
        assert_eq!(get(&both, "app/b").await.unwrap().expose_secret(), b"1");
        let less = chain(vec![
            Box::new(first),
            Box::new(second.with_list(false).with_versions(false).with_watch(false)),
        ]);
        let can = less.capabilities();
        assert!(!can.list && !can.versions && !can.watch && can.batch.is_none());
        assert_eq!(less.list(None).await.unwrap_err().kind(), ErrorKind::Unsupported);
        let version = secrets_core::Version::new("1").unwrap();
        let pinned = ReadRequest::new(&name("app/a"))
            .with_version(&version)
            .name
            .clone();
        let error = less
            .get(ReadRequest::new(&pinned).with_version(&version))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    });
}

#[test]
fn what_one_member_knows_is_never_unchanged_for_another() {
    block_on(async {
        // Both stores number their versions from 1, so the versions are the same and the values are not.
        let (first, second) = (MemoryBackend::new(), MemoryBackend::new());
        second.store().put("a", "second");
        let both = chain(vec![Box::new(first.clone()), Box::new(second)]);
        let held = get(&both, "a").await.unwrap();
        let known = held.metadata().clone();
        let a = name("a");
        let again = both.get(ReadRequest::new(&a).with_known(&known)).await.unwrap();
        assert!(
            matches!(again, Fetched::Unchanged { .. }),
            "the member itself knows it again"
        );
        first.store().put("a", "first");
        match both.get(ReadRequest::new(&a).with_known(&known)).await.unwrap() {
            Fetched::Value(secret) => assert_eq!(secret.expose_secret(), b"first"),
            other => panic!("{other:?}"),
        }
    });
}

fn router() -> (PrefixRouter, [MemoryBackend; 4]) {
    let [app, db, files, other]: [MemoryBackend; 4] = std::array::from_fn(|_| MemoryBackend::new());
    let router = PrefixRouter::builder()
        .route("app", app.clone())
        .route("app/db", db.clone())
        .route_stripped("files", files.clone())
        .default_route(other.clone())
        .build()
        .unwrap();
    (router, [app, db, files, other])
}

#[test]
fn n5_the_longest_prefix_of_whole_segments_decides() {
    block_on(async {
        let (router, [app, db, files, other]) = router();
        for (backend, names) in [
            (&app, &["app", "app/x", "app/db/hidden"][..]),
            (&db, &["app/db", "app/db/password", "elsewhere"]),
            (&files, &["tls/key", "files/deep"]),
            (&other, &["application", "files", "x", "app/hidden"]),
        ] {
            for name in names {
                backend.store().put(name, *name);
            }
        }
        for (asked, found) in [
            ("app", "app"),
            ("app/x", "app/x"),
            ("app/db", "app/db"),
            ("app/db/password", "app/db/password"),
            ("files/tls/key", "tls/key"),
            ("files/files/deep", "files/deep"),
            ("application", "application"),
            ("files", "files"),
        ] {
            assert_eq!(
                get(&router, asked).await.unwrap().expose_str().unwrap(),
                found,
                "{asked}"
            );
        }
        assert_eq!(
            get(&router, "app/db/hidden").await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        let error = get(&router, "files/none").await.unwrap_err();
        assert_eq!(
            error.secret(),
            Some(&name("files/none")),
            "the caller's name, not the backend's"
        );

        let all = set(&[
            "app",
            "app/x",
            "app/db",
            "app/db/password",
            "files/tls/key",
            "files/files/deep",
            "application",
            "files",
            "x",
        ]);
        assert_eq!(listed(&router, None).await, all);
        assert_eq!(
            listed(&router, Some("app")).await,
            set(&["app", "app/x", "app/db", "app/db/password"])
        );
        assert_eq!(
            listed(&router, Some("app/db")).await,
            set(&["app/db", "app/db/password"])
        );
        assert_eq!(
            listed(&router, Some("files")).await,
            set(&["files", "files/tls/key", "files/files/deep"])
        );
        assert_eq!(listed(&router, Some("files/tls")).await, set(&["files/tls/key"]));
        for name in listed(&router, None).await {
            get(&router, &name).await.unwrap();
        }

        let names: Vec<_> = ["app/x", "files/tls/key", "nothing", "app/x"].map(name).into();
        let requests: Vec<_> = names.iter().map(ReadRequest::new).collect();
        let kinds: Vec<_> = router
            .get_many(&requests)
            .await
            .into_iter()
            .map(|answer| answer.err().map(|e| e.kind()))
            .collect();
        assert_eq!(kinds, [None, None, Some(ErrorKind::NotFound), None]);
    });
}

#[test]
fn a_router_without_a_route_for_a_name_says_so_and_refuses_nonsense() {
    block_on(async {
        let router = PrefixRouter::builder()
            .route("app", MemoryBackend::new())
            .build()
            .unwrap();
        let error = get(&router, "other/x").await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::NotFound && error.message().contains("route"),
            "{error}"
        );
        let twice = PrefixRouter::builder()
            .route("app", MemoryBackend::new())
            .route_stripped("app", MemoryBackend::new());
        assert_eq!(twice.build().unwrap_err().kind(), ErrorKind::InvalidConfig);
        assert_eq!(
            PrefixRouter::builder().build().unwrap_err().kind(),
            ErrorKind::InvalidConfig
        );
        let bad = PrefixRouter::builder()
            .route("app/", MemoryBackend::new())
            .build();
        assert_eq!(bad.unwrap_err().kind(), ErrorKind::InvalidName);
    });
}

#[test]
fn o7_each_route_has_a_breaker_of_its_own() {
    block_on(async {
        let down = ScriptedBackend::new();
        down.otherwise(|_| Answer::kind(ErrorKind::Unauthenticated));
        let up = MemoryBackend::new();
        up.store().put("up/a", "v");
        let router = PrefixRouter::builder()
            .route("down", down.clone())
            .route("up", up)
            .build()
            .unwrap();
        let secrets = SecretManager::builder(router).build().unwrap();
        for _ in 0..20 {
            assert!(secrets.get("down/a").await.is_err());
        }
        assert_eq!(down.call_count(), 5);
        assert!(secrets.get("up/a").await.is_ok());
    });
}

#[test]
fn events_of_all_members_arrive_in_the_callers_names() {
    block_on(async {
        let (router, [app, _, files, _]) = router();
        app.store().put("app/x", "1");
        files.store().put("tls/key", "1");
        let secrets = SecretManager::builder(router).build().unwrap();
        let mut x = secrets.handle("app/x").await.unwrap();
        let mut key = secrets.handle("files/tls/key").await.unwrap();
        settle().await;
        app.store().put("app/x", "2");
        files.store().put("tls/key", "2");
        x.changed().await.unwrap();
        key.changed().await.unwrap();
        assert_eq!(
            (text(&x.current().unwrap()), text(&key.current().unwrap())),
            ("2".into(), "2".into())
        );
    });
}
