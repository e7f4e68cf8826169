use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use secrets_core::{ConfigSecretLoader, ErrorKind, ReadRequest, SecretBackend, SecretManager};
use secrets_k8s::K8sBackend;

use crate::kubelet::{Kubelet, name, read};

async fn kind(backend: &K8sBackend, text: &str) -> ErrorKind {
    read(backend, text).await.unwrap_err().kind()
}

async fn list(backend: &K8sBackend, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(name);
    let names = backend.list(prefix.as_ref()).await.unwrap();
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn v3_values_are_exact_bytes() {
    let kubelet = Kubelet::new();
    let pem = b"-----BEGIN-----\nx\n-----END-----\n".as_slice();
    kubelet.mount(
        "tls",
        &[
            ("tls.crt", pem),
            ("line", b"a\n"),
            ("crlf", b"a\r\n"),
            ("bytes", b"\xff\0\n"),
        ],
    );
    let backend = K8sBackend::new(kubelet.root()).unwrap();
    for (key, value) in [
        ("tls.crt", pem),
        ("line", b"a\n"),
        ("crlf", b"a\r\n"),
        ("bytes", b"\xff\0\n"),
    ] {
        assert_eq!(
            read(&backend, &format!("tls/{key}"))
                .await
                .unwrap()
                .expose_secret(),
            value
        );
    }
}

#[tokio::test]
async fn a_whole_secret_has_its_keys_as_fields_of_one_version() {
    let kubelet = Kubelet::new();
    kubelet.mount(
        "smtp",
        &[
            ("user", b"mailer"),
            ("password", b"hunter2\n"),
            ("raw", b"\xff\0\xfe"),
        ],
    );
    kubelet.mount("one", &[("value", b"only")]);
    let backend = K8sBackend::new(kubelet.root()).unwrap();
    let whole = read(&backend, "smtp").await.unwrap();
    assert_eq!(
        whole.expose_str().unwrap(),
        r#"{"password":"hunter2\n","raw":"/wD+","user":"mailer"}"#
    );
    assert_eq!(whole.field("raw").unwrap().expose_secret(), b"\xff\0\xfe");
    assert!(whole.metadata().created().is_some());
    assert_eq!(read(&backend, "one").await.unwrap().expose_secret(), b"only");
    let other = K8sBackend::builder(kubelet.root())
        .default_field("password")
        .build()
        .unwrap();
    assert_eq!(
        read(&other, "one").await.unwrap().expose_secret(),
        br#"{"value":"only"}"#
    );
}

#[tokio::test]
async fn l2_load_all_reads_a_whole_secret_or_its_keys() {
    let kubelet = Kubelet::new();
    kubelet.mount("smtp", &[("user", b"mailer"), ("password", b"hunter2")]);
    let manager = SecretManager::builder(K8sBackend::new(kubelet.root()).unwrap())
        .build()
        .unwrap();
    let smtp: BTreeMap<String, String> = ConfigSecretLoader::new(&manager, "smtp")
        .load_all()
        .await
        .unwrap();
    assert_eq!(smtp["user"], "mailer");
    assert_eq!(
        manager.get("smtp/password").await.unwrap().expose_secret(),
        b"hunter2"
    );
    assert_eq!(
        manager.get("smtp#password").await.unwrap().expose_secret(),
        b"hunter2"
    );
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
    let kubelet = Kubelet::new();
    let keys: [(&str, &[u8]); 3] = [("host", b"db"), ("port", b"5432"), ("password", b"\xffhunter2")];
    kubelet.mount("smtp-database", &keys);
    let manager = SecretManager::builder(K8sBackend::new(kubelet.root()).unwrap())
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
    kubelet.mount("smtp", &[("api-key", b"x")]);
    manager.invalidate_all();
    assert!(fits(&smtp.load_as("database").await.unwrap()));
}

#[tokio::test]
async fn a_key_that_begins_with_a_dot_is_one_of_the_whole() {
    let kubelet = Kubelet::new();
    let config = br#"{"auths":{}}"#.as_slice();
    kubelet.mount("registry", &[(".dockerconfigjson", config)]);
    kubelet.mount("parts", &[("db/.pgpass", b"one"), ("db/user", b"two")]);
    fs::create_dir(kubelet.at("plain")).unwrap();
    fs::write(kubelet.at("plain/.netrc"), "three").unwrap();
    fs::write(kubelet.at("plain/..hidden"), "four").unwrap();
    let data = kubelet
        .at("parts")
        .join(fs::read_link(kubelet.at("parts/..data")).unwrap());
    symlink(".", data.join("again")).unwrap();
    symlink("..", data.join("db/up")).unwrap();
    let backend = K8sBackend::new(kubelet.root()).unwrap();
    let whole = read(&backend, "registry").await.unwrap();
    assert_eq!(whole.field(".dockerconfigjson").unwrap().expose_secret(), config);
    for (secret, fields) in [
        ("registry", vec![".dockerconfigjson"]),
        ("parts", vec!["db/.pgpass", "db/user"]),
        ("plain", vec![".netrc"]),
    ] {
        let whole = read(&backend, secret).await.unwrap();
        assert_eq!(whole.field_names().collect::<Vec<_>>(), fields, "{secret}");
    }
    assert_eq!(
        list(&backend, None).await,
        ["plain/.netrc", "registry/.dockerconfigjson"]
    );
}

#[tokio::test]
async fn v2_nothing_mounted_is_not_found_and_an_empty_key_is_a_value() {
    let kubelet = Kubelet::new();
    kubelet.mount("smtp", &[("empty", b"")]);
    // A Secret that is optional and absent is an empty volume.
    kubelet.mount("optional", &[]);
    let backend = K8sBackend::new(kubelet.root()).unwrap();
    assert_eq!(read(&backend, "smtp/empty").await.unwrap().expose_secret(), b"");
    for absent in ["smtp/other", "optional", "optional/k", "other", "other/k"] {
        assert_eq!(kind(&backend, absent).await, ErrorKind::NotFound, "{absent}");
    }
    let error = read(&backend, "other/k").await.unwrap_err().to_string();
    assert!(error.contains("the Secret `other` is not mounted"), "{error}");
}

#[tokio::test]
async fn a_volume_at_the_root_is_the_secret_that_the_option_names() {
    let kubelet = Kubelet::new();
    kubelet.mount("volume", &[("password", b"hunter2")]);
    let backend = K8sBackend::builder(kubelet.at("volume"))
        .volume("smtp-database")
        .build()
        .unwrap();
    assert_eq!(
        read(&backend, "smtp/database/password")
            .await
            .unwrap()
            .expose_secret(),
        b"hunter2"
    );
    assert_eq!(
        read(&backend, "smtp-database")
            .await
            .unwrap()
            .field_names()
            .count(),
        1
    );
    assert_eq!(kind(&backend, "smtp/password").await, ErrorKind::NotFound);
    assert_eq!(list(&backend, None).await, ["smtp/database/password"]);
}

#[tokio::test]
async fn projected_volumes_and_plain_directories_are_read() {
    let kubelet = Kubelet::new();
    kubelet.mount("all", &[("db/password", b"one"), ("api-key", b"two")]);
    fs::create_dir_all(kubelet.at("plain/deeper")).unwrap();
    fs::write(kubelet.at("plain/key"), "three").unwrap();
    fs::write(kubelet.at("plain/deeper/key"), "four").unwrap();
    let backend = K8sBackend::new(kubelet.root()).unwrap();
    assert_eq!(
        read(&backend, "all")
            .await
            .unwrap()
            .field("db/password")
            .unwrap()
            .expose_secret(),
        b"one"
    );
    assert_eq!(
        read(&backend, "all/api-key").await.unwrap().expose_secret(),
        b"two"
    );
    assert_eq!(
        read(&backend, "plain/key").await.unwrap().expose_secret(),
        b"three"
    );
    assert_eq!(
        read(&backend, "plain").await.unwrap().expose_str().unwrap(),
        r#"{"key":"three"}"#
    );
    assert_eq!(list(&backend, None).await, ["all/api-key", "plain/key"]);
    assert_eq!(kind(&backend, "all/db").await, ErrorKind::NotFound);
}

#[tokio::test]
async fn n4_n5_names_are_listed_in_their_canonical_form_or_in_that_of_the_prefix() {
    let kubelet = Kubelet::new();
    kubelet.mount("smtp-database", &[("password", b""), ("user", b"")]);
    kubelet.mount("smtp", &[("api-key", b"")]);
    kubelet.mount("smtpd", &[("k", b"")]);
    fs::create_dir(kubelet.at("lost+found")).unwrap();
    fs::write(kubelet.at("stray"), "").unwrap();
    let backend = K8sBackend::new(kubelet.root()).unwrap();
    assert_eq!(
        list(&backend, None).await,
        [
            "smtp/api-key",
            "smtp/database/password",
            "smtp/database/user",
            "smtpd/k"
        ]
    );
    assert_eq!(
        list(&backend, Some("smtp")).await,
        ["smtp/api-key", "smtp/database/password", "smtp/database/user"]
    );
    assert_eq!(
        list(&backend, Some("smtp-database")).await,
        ["smtp-database/password", "smtp-database/user"]
    );
    assert_eq!(
        list(&backend, Some("smtp/database/user")).await,
        ["smtp/database/user"]
    );
    assert_eq!(list(&backend, Some("Smtp")).await, [""; 0]);
    let based = K8sBackend::builder(kubelet.root()).base("smtp-").build().unwrap();
    assert_eq!(list(&based, None).await, ["database/password", "database/user"]);
    read(&based, "database/user").await.unwrap();
}

#[tokio::test]
async fn f3_links_out_of_the_volume_are_refused() {
    let kubelet = Kubelet::new();
    kubelet.mount("smtp", &[("password", b"hunter2")]);
    kubelet.mount("other", &[("key", b"x")]);
    let data = fs::read_link(kubelet.at("smtp/..data")).unwrap();
    symlink("/etc/hostname", kubelet.at("smtp").join(&data).join("out")).unwrap();
    symlink(
        "../../other/..data/key",
        kubelet.at("smtp").join(&data).join("aside"),
    )
    .unwrap();
    symlink("/etc", kubelet.at("elsewhere")).unwrap();
    let backend = K8sBackend::new(kubelet.root()).unwrap();
    for out in ["smtp/out", "smtp/aside", "elsewhere/hostname", "elsewhere"] {
        assert_eq!(kind(&backend, out).await, ErrorKind::PermissionDenied, "{out}");
    }
    assert_eq!(
        read(&backend, "smtp")
            .await
            .unwrap()
            .field_names()
            .collect::<Vec<_>>(),
        ["password"]
    );
}

#[tokio::test]
async fn f4_v7_what_is_no_file_or_too_large_is_a_typed_error() {
    let kubelet = Kubelet::new();
    kubelet.mount("smtp", &[("a", &[b'x'; 60]), ("b", &[b'x'; 60])]);
    let data = kubelet
        .at("smtp")
        .join(fs::read_link(kubelet.at("smtp/..data")).unwrap());
    let _listener = std::os::unix::net::UnixListener::bind(data.join("socket")).unwrap();
    let backend = K8sBackend::builder(kubelet.root())
        .max_value(100)
        .build()
        .unwrap();
    assert_eq!(kind(&backend, "smtp/socket").await, ErrorKind::InvalidData);
    read(&backend, "smtp/a").await.unwrap();
    assert_eq!(kind(&backend, "smtp").await, ErrorKind::InvalidData);
    let backend = K8sBackend::builder(kubelet.root()).max_value(59).build().unwrap();
    assert_eq!(kind(&backend, "smtp/a").await, ErrorKind::InvalidData);
}

#[tokio::test]
async fn e1_a_missing_root_is_unavailable_unless_it_is_optional() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("absent");
    let backend = K8sBackend::new(&root).unwrap();
    assert_eq!(kind(&backend, "a/b").await, ErrorKind::Unavailable);
    assert_eq!(backend.check().await.unwrap_err().kind(), ErrorKind::Unavailable);
    let backend = K8sBackend::builder(&root).optional_root(true).build().unwrap();
    assert_eq!(kind(&backend, "a/b").await, ErrorKind::NotFound);
    assert_eq!(list(&backend, None).await, [""; 0]);
    backend.check().await.unwrap();
    fs::write(&root, "").unwrap();
    assert_eq!(kind(&backend, "a/b").await, ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn e6_a_batch_answers_each_in_order_and_one_failure_does_not_discard_the_rest() {
    let kubelet = Kubelet::new();
    kubelet.mount("a", &[("x", b"1"), ("y", b"2")]);
    kubelet.mount("b", &[("x", b"3")]);
    let backend = K8sBackend::new(kubelet.root()).unwrap();
    let names = ["b/x", "a/y", "A/x", "a/none", "a/x", "c/x", "a/y", "a"].map(name);
    let requests: Vec<_> = names.iter().map(ReadRequest::new).collect();
    let read = backend.get_many(&requests).await;
    let told: Vec<_> = read
        .iter()
        .map(|result| match result {
            Ok(secrets_core::Fetched::Value(secret)) => secret.expose_str().unwrap().to_owned(),
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert_eq!(error.backend(), Some("k8s"));
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
            "2",
            r#"{"x":"1","y":"2"}"#
        ]
    );
}

#[test]
fn e1_wrong_options_name_themselves() {
    let build = |builder: secrets_k8s::K8sBackendBuilder| builder.build().unwrap_err();
    let builder = || K8sBackend::builder("/run/secrets");
    for (error, option) in [
        (build(K8sBackend::builder("")), "root"),
        (build(builder().base("A")), "`base`"),
        (build(builder().volume("a/b")), "`volume`"),
        (build(builder().default_field("")), "`default_field`"),
        (build(builder().max_value(0)), "`max_value`"),
        (
            build(builder().poll_interval(std::time::Duration::ZERO)),
            "`poll_interval`",
        ),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert_eq!(error.backend(), Some("k8s"));
        assert!(error.message().contains(option), "{error}");
    }
}
