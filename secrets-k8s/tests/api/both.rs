//! What the backend makes of the API, on the fake.

use secrets_core::{
    ConfigSecretLoader, ErrorKind, Fetched, ReadRequest, SecretBackend, SecretManager, SecretName,
};
use secrets_testkit::fakes::k8s::{Failure, FakeK8s, Rule};

use crate::support::{admin, builder, kind, name, read, text};

async fn list(backend: &dyn SecretBackend, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(name);
    let mut names = backend.list(prefix.as_ref()).await.unwrap();
    names.sort();
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_whole_secret_has_its_keys_as_fields_and_metadata_its_version() {
    let cluster = FakeK8s::start().unwrap();
    let version = cluster.put("app", "smtp", &[("user", b"mailer"), ("raw", b"\xff\0\xfe")]);
    cluster.put("app", "one", &[("value", b"only")]);
    cluster.put("app", "none", &[]);
    let backend = admin(&cluster).build().unwrap();
    let whole = read(&backend, "smtp").await.unwrap();
    assert_eq!(whole.expose_str().unwrap(), r#"{"raw":"/wD+","user":"mailer"}"#);
    assert_eq!(whole.field("raw").unwrap().expose_secret(), b"\xff\0\xfe");
    assert_eq!(whole.metadata().version().unwrap().as_str(), version);
    assert_eq!(whole.metadata().attribute("type"), Some("Opaque"));
    assert_eq!(text(&backend, "one").await, "only");
    assert_eq!(text(&backend, "none").await, "{}", "it exists and holds nothing");
    let other = admin(&cluster).default_field("user").base("s").build().unwrap();
    assert_eq!(text(&other, "mtp/user").await, "mailer");
}

#[tokio::test]
async fn e2_absent_denied_and_unknown_are_three_things() {
    let cluster = FakeK8s::start().unwrap();
    cluster.put("app", "smtp", &[("k", b"")]);
    cluster.user("reader", [Rule::new("app", &["get"]).of(&["smtp", "absent"])]);
    let reader = builder(&cluster, "reader").build().unwrap();
    assert_eq!(text(&reader, "smtp/k").await, "");
    assert_eq!(kind(&reader, "smtp/other").await, Err(ErrorKind::NotFound));
    assert_eq!(kind(&reader, "absent/k").await, Err(ErrorKind::NotFound));
    let denied = read(&reader, "other/k").await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    assert!(
        denied
            .message()
            .contains("`get` on the Secret `other` in namespace `app`"),
        "{denied}"
    );
    assert_eq!(denied.cause().unwrap().to_string(), "code Forbidden, status 403");
    let unlisted = reader.list(None).await.unwrap_err();
    assert_eq!(unlisted.kind(), ErrorKind::PermissionDenied);
    assert!(unlisted.message().contains("`list`"), "{unlisted}");
    reader.check().await.unwrap();
    cluster.user("nobody", []);
    let nobody = builder(&cluster, "nobody").build().unwrap();
    assert_eq!(
        nobody.check().await.unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    let unknown = builder(&cluster, "unknown").build().unwrap();
    assert_eq!(kind(&unknown, "smtp/k").await, Err(ErrorKind::Unauthenticated));
    assert_eq!(
        unknown.check().await.unwrap_err().kind(),
        ErrorKind::Unauthenticated
    );
}

#[tokio::test]
async fn j7_d5_each_secret_is_asked_for_once_and_not_at_all_when_its_version_is_known() {
    let cluster = FakeK8s::start().unwrap();
    cluster.put("app", "a", &[("x", b"1"), ("y", b"2")]);
    cluster.put("app", "b", &[("x", b"3")]);
    let backend = admin(&cluster).build().unwrap();
    let names = ["b/x", "a/y", "A/x", "a/none", "a/x", "c/x", "a"].map(name);
    let requests: Vec<_> = names.iter().map(ReadRequest::new).collect();
    let read_all = backend.get_many(&requests).await;
    let told: Vec<_> = read_all
        .iter()
        .map(|result| match result {
            Ok(Fetched::Value(secret)) => secret.expose_str().unwrap().to_owned(),
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert_eq!(error.backend(), Some("k8s-api"));
                error.kind().to_string()
            }
        })
        .collect();
    assert_eq!(
        told,
        [
            "3",
            "2",
            "invalid name",
            "not found",
            "1",
            "not found",
            r#"{"x":"1","y":"2"}"#
        ]
    );
    assert_eq!(cluster.calls().len(), 3, "a, b and c: {:?}", cluster.calls());

    let known = read(&backend, "a/x").await.unwrap();
    let again = ReadRequest::new(&names[4]).with_known(known.metadata());
    let before = cluster.calls().len();
    assert!(matches!(
        backend.get(again).await.unwrap(),
        Fetched::Unchanged { .. }
    ));
    assert!(
        cluster.calls()[before..].iter().all(|call| call.partial),
        "no value was moved"
    );
    cluster.put("app", "a", &[("x", b"new")]);
    assert!(matches!(backend.get(again).await.unwrap(), Fetched::Value(_)));
    cluster.delete("app", "a");
    assert_eq!(backend.get(again).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn several_secrets_come_by_a_list_only_with_labels_or_on_request() {
    let cluster = FakeK8s::start().unwrap();
    let names: Vec<SecretName> = (0..200).map(|number| name(&format!("s/{number:03}/k"))).collect();
    for name in &names {
        let secret = name.as_str().trim_end_matches("/k").replace('/', "-");
        cluster.put("app", &secret, &[("k", secret.as_bytes())]);
        cluster.label("app", &secret, &[("app", "billing")]);
    }
    cluster.put("app", "unlabelled", &[("k", b"alone")]);
    cluster.user("reader", [Rule::new("app", &["get", "list"])]);
    cluster.user("getter", [Rule::new("app", &["get"])]);
    let requests: Vec<_> = names.iter().map(ReadRequest::new).collect();
    let plain = |token| builder(&cluster, token);
    for (builder, count, what) in [
        (plain("reader"), 200, "one read each"),
        (plain("reader").label_selector("app=billing"), 4, "four pages"),
        (plain("reader").list_namespace(true), 4, "four pages"),
        (
            plain("getter").label_selector("app=billing"),
            201,
            "a refused list, and one read each",
        ),
    ] {
        let backend = builder.build().unwrap();
        let before = cluster.calls().len();
        for (read, name) in backend.get_many(&requests).await.into_iter().zip(&names) {
            match read.unwrap() {
                Fetched::Value(secret) => {
                    assert_eq!(
                        secret.expose_str().unwrap(),
                        name.as_str().trim_end_matches("/k").replace('/', "-")
                    );
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(cluster.calls().len() - before, count, "{what}");
    }
    // What the labels do not find is read by its name; and after a refusal nothing is listed for a while.
    for (token, lists) in [("reader", 2), ("getter", 1)] {
        let backend = builder(&cluster, token)
            .label_selector("app=billing")
            .build()
            .unwrap();
        let four = ["s/000/k", "s/001/k", "unlabelled/k", "absent/k"].map(name);
        let requests = four.each_ref().map(ReadRequest::new);
        let before = cluster.count("labelSelector=");
        for _ in 0..2 {
            let read = backend.get_many(&requests).await;
            assert!(read[..3].iter().all(Result::is_ok));
            assert_eq!(read[3].as_ref().unwrap_err().kind(), ErrorKind::NotFound);
        }
        let listed = cluster.count("labelSelector=") - before;
        assert_eq!(listed, if token == "reader" { lists * 4 } else { lists });
    }
}

#[tokio::test]
async fn n4_n5_names_are_listed_page_by_page_in_one_namespace() {
    let cluster = FakeK8s::start().unwrap();
    for secret in ["smtp-database", "smtp", "smtpd"] {
        cluster.put("app", secret, &[("password", b""), ("tls.crt", b"")]);
    }
    cluster.put("other", "smtp-elsewhere", &[("k", b"")]);
    for number in 0..100 {
        cluster.put("app", &format!("z-{number}"), &[("k", b"")]);
    }
    let backend = admin(&cluster).build().unwrap();
    assert_eq!(
        list(&backend, Some("smtp")).await,
        [
            "smtp/database/password",
            "smtp/database/tls.crt",
            "smtp/password",
            "smtp/tls.crt"
        ]
    );
    assert_eq!(list(&backend, Some("smtp-database")).await.len(), 2);
    assert_eq!(list(&backend, Some("z")).await.len(), 100);
    assert_eq!(list(&backend, None).await.len(), 106);
    // A list that has become too old on its way is begun anew, once.
    cluster.fail(Failure::new("continue=", 410).times(1));
    assert_eq!(list(&backend, None).await.len(), 106);
    cluster.fail(Failure::new("continue=", 410));
    assert_eq!(
        backend.list(None).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}

#[tokio::test]
async fn l2_load_all_reads_a_whole_secret() {
    let cluster = FakeK8s::start().unwrap();
    cluster.put("app", "smtp", &[("user", b"mailer"), ("password", b"hunter2")]);
    let manager = SecretManager::builder(admin(&cluster).build().unwrap())
        .build()
        .unwrap();
    let config = ConfigSecretLoader::new(&manager, "smtp");
    let smtp: std::collections::BTreeMap<String, String> = config.load_all().await.unwrap();
    assert_eq!(smtp["user"], "mailer");
    assert_eq!(
        manager.get("smtp#password").await.unwrap().expose_secret(),
        b"hunter2"
    );
    assert_eq!(config.load("password").await.unwrap().expose_secret(), b"hunter2");
}

/// What an application asks for.
#[derive(serde::Deserialize)]
struct Database {
    host: String,
    port: u16,
    password: secrets_core::Secret,
}

#[tokio::test]
async fn l2_a_type_comes_from_the_keys_of_the_secret_that_its_prefix_names() {
    let cluster = FakeK8s::start().unwrap();
    let keys: [(&str, &[u8]); 3] = [("host", b"db"), ("port", b"5432"), ("password", b"\xffhunter2")];
    cluster.put("app", "smtp-database", &keys);
    let manager = SecretManager::builder(admin(&cluster).build().unwrap())
        .build()
        .unwrap();
    let fits = |database: &Database| {
        database.host == "db" && database.port == 5432 && database.password.expose_secret() == b"\xffhunter2"
    };
    let smtp = ConfigSecretLoader::new(&manager, "smtp");
    assert!(fits(&smtp.load_as("database").await.unwrap()));
    let database = ConfigSecretLoader::new(&manager, "smtp/database");
    assert!(fits(&database.load_all().await.unwrap()));
    // Also where the first part is a Secret of its own.
    cluster.put("app", "smtp", &[("api-key", b"x")]);
    manager.invalidate_all();
    assert!(fits(&smtp.load_as("database").await.unwrap()));
}

#[tokio::test]
async fn l1_a_prefix_whose_secret_a_role_does_not_name_is_denied_and_not_absent() {
    let cluster = FakeK8s::start().unwrap();
    cluster.put("app", "smtp-database", &[("host", b"db")]);
    cluster.user("reader", [Rule::new("app", &["get"]).of(&["smtp-database"])]);
    let manager = SecretManager::builder(builder(&cluster, "reader").build().unwrap())
        .build()
        .unwrap();
    // The document would be the key `database` of the Secret `smtp`.
    let config = ConfigSecretLoader::new(&manager, "smtp");
    let loaded = config.load_as::<Database>("database").await;
    let error = loaded.err().expect("an error");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(
        error.message().contains("Secret `smtp` in namespace `app`"),
        "{error}"
    );
    // By the Secret's own name it is the whole of it.
    let config = ConfigSecretLoader::new(&manager, "smtp-database");
    let whole: std::collections::BTreeMap<String, String> = config.load_all().await.unwrap();
    assert_eq!(whole["host"], "db");
}
