//! One document.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use secrets_core::{ConfigSecretLoader, Error, ErrorKind, Field, Secret, SecretManager};
use secrets_testkit::MemoryBackend;
use serde::Deserialize;

use crate::support::{Setup, block_on, load_document};

#[derive(Debug, Deserialize)]
struct Login {
    user: String,
    password: SecretString,
    port: Option<u16>,
}

#[test]
fn j7_a_json_object_is_one_call() {
    let setup = Setup::new(&[
        ("smtp/db", r#" {"user":"app","password":"hunter2","port":25}"#),
        ("smtp/db/user", "somebody else"),
    ]);
    let login: Login = setup.load().unwrap();
    assert_eq!(
        (login.user.as_str(), login.password.expose_secret(), login.port),
        ("app", "hunter2", Some(25))
    );
    assert_eq!(setup.calls(), [["smtp/db"]]);
}

#[test]
fn everything_serde_supports_works_in_a_document() {
    #[derive(Debug, Deserialize)]
    struct Config {
        #[serde(flatten)]
        login: Login,
        labels: BTreeMap<String, Vec<(u8, char)>>,
        auth: Auth,
        any: Any,
        key: Secret,
    }
    #[derive(Debug, Deserialize)]
    #[serde(tag = "kind")]
    enum Auth {
        Basic { realm: String },
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(untagged)]
    enum Any {
        Number(u8),
        Text(String),
    }
    let config: Config = load_document(
        r#"{"user":"app","password":"hunter2","labels":{"a":[[1,"x"]]},"auth":{"kind":"Basic","realm":"r"},"any":"t",
            "key":"k"}"#,
    )
    .unwrap();
    let Auth::Basic { realm } = config.auth;
    assert_eq!((config.login.user.as_str(), realm.as_str()), ("app", "r"));
    assert_eq!(
        (config.any, config.labels["a"][0]),
        (Any::Text("t".into()), (1, 'x'))
    );
    assert_ne!(Any::Number(1), Any::Text(String::new()));
    assert_eq!(config.key.expose_secret(), b"k");
    let map: BTreeMap<String, String> = load_document(r#"{"a":"b"}"#).unwrap();
    assert_eq!(map["a"], "b");
}

fn with_fields(fields: Vec<Field>) -> Setup {
    let setup = Setup::new(&[]);
    setup
        .store
        .put_secret("smtp/db", Secret::from_fields(fields, "value"));
    setup
}

#[test]
fn fields_that_the_store_keeps_are_a_document() {
    let setup = with_fields(vec![
        Field::new("user", b"app".to_vec()),
        Field::new("password", b"hunter2\"\n".to_vec()),
        Field::json("port", "25".into()),
    ]);
    let login: Login = setup.load().unwrap();
    assert_eq!(
        (login.password.expose_secret(), login.port),
        ("hunter2\"\n", Some(25))
    );
    assert_eq!(setup.calls(), [["smtp/db"]]);
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Strict,
    Lax,
}

#[derive(Debug, Deserialize)]
struct Kept {
    port: u16,
    ratio: f32,
    tls: bool,
    mode: Mode,
    other: Option<Mode>,
    key: Secret,
    certificate: Option<String>,
    #[serde(default)]
    limits: Vec<u8>,
}

/// As Kubernetes has them always, and Vault mostly: all text, whatever it means.
fn kept() -> Vec<Field> {
    vec![
        Field::new("port", b"5432\n".to_vec()),
        Field::new("ratio", b"0.5".to_vec()),
        Field::new("tls", b"true".to_vec()),
        Field::new("mode", b"strict\n".to_vec()),
        Field::new("key", vec![0xff, 0, 1]),
        Field::new("ignored", vec![0xff]),
    ]
}

#[test]
fn fields_of_text_are_read_as_single_secrets_are() {
    let kept: Kept = with_fields(kept()).load().unwrap();
    assert_eq!((kept.port, kept.ratio, kept.tls), (5432, 0.5, true));
    assert_eq!((kept.mode, kept.other), (Mode::Strict, None));
    assert_eq!(
        kept.key.expose_secret(),
        [0xff, 0, 1],
        "bytes, and no base64 of them"
    );
    assert!(kept.certificate.is_none() && kept.limits.is_empty());
}

#[test]
fn fields_of_json_stay_what_they_are() {
    let mut fields = kept();
    fields.retain(|field| !["port", "mode"].contains(&field.name()));
    fields.extend([
        Field::json("port", " 25".into()),
        Field::json("mode", r#""lax""#.into()),
        Field::json("other", "null".into()),
        Field::json("limits", "[1, 2]".into()),
    ]);
    let kept: Kept = with_fields(fields).load().unwrap();
    assert_eq!((kept.port, kept.mode, kept.other), (25, Mode::Lax, None));
    assert_eq!(kept.limits, [1, 2]);
}

#[test]
fn j5_fields_that_do_not_fit_are_named_and_not_shown() {
    for (name, value) in [
        ("port", "hunter2"),
        ("port", "65536"),
        ("tls", "hunter2"),
        ("mode", "hunter2"),
        ("limits", "hunter2"),
    ] {
        let mut fields = kept();
        fields.retain(|field| field.name() != name);
        fields.push(Field::new(name, value.into()));
        let error = with_fields(fields).load::<Kept>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{name}");
        assert!(error.message().contains(&format!("`{name}`")), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    let mut fields = kept();
    fields.retain(|field| field.name() != "tls");
    let error = with_fields(fields).load::<Kept>().unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::InvalidData,
            "the secret has no field `tls`; add it, or make it optional"
        )
    );
}

#[test]
fn everything_serde_supports_works_with_fields_that_the_store_keeps() {
    #[derive(Debug, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        all: BTreeMap<String, String>,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "kind")]
    enum Tagged {
        Basic { user: String },
    }
    #[derive(Debug, Deserialize, PartialEq)]
    enum Outer {
        Inner(String),
    }
    #[derive(Debug, Deserialize)]
    struct Wrapped(Option<Flat>);

    let fields = |fields: &[(&str, &str)]| {
        let field = |(name, value): &(&str, &str)| Field::new(*name, value.as_bytes().to_vec());
        with_fields(fields.iter().map(field).collect())
    };
    let flat: Wrapped = fields(&[("a", "b"), ("c", "1")]).load().unwrap();
    assert_eq!(flat.0.unwrap().all["c"], "1");
    let tagged: Tagged = fields(&[("kind", "Basic"), ("user", "app")]).load().unwrap();
    assert_eq!(tagged, Tagged::Basic { user: "app".into() });
    let outer: Outer = fields(&[("Inner", "x")]).load().unwrap();
    assert_eq!(outer, Outer::Inner("x".into()));
    let map: BTreeMap<String, SecretString> = with_fields(kept()).load().unwrap();
    assert_eq!(map["key"].expose_secret(), "/wAB");
}

#[test]
fn the_only_field_may_be_the_struct_s_or_hold_the_document() {
    #[derive(Debug, Deserialize)]
    struct Single {
        value: String,
    }
    let document = r#"{"user":"app","password":"hunter2"}"#;
    let setup = with_fields(vec![Field::new("value", document.into())]);
    assert_eq!(setup.load::<Single>().unwrap().value, document);
    assert_eq!(setup.load::<Login>().unwrap().user, "app");
    let setup = with_fields(vec![Field::new("value", b"hunter2".to_vec())]);
    assert_eq!(setup.load::<Single>().unwrap().value, "hunter2");
    assert_eq!(setup.load::<Login>().unwrap_err().kind(), ErrorKind::InvalidData);
}

#[test]
fn j5_a_document_of_another_shape_has_a_position_and_no_text() {
    for (document, position) in [
        (r#"{"user":"app"}"#, "line 1, column 14"),
        (
            r#"{"user":"app","password":"hunter2","port":"hunter2"}"#,
            "line 1, column 51",
        ),
        (r#"{"user":{"hunter2":1}"#, "line 1, column 8"),
        (r#"{"user":"hunter2"#, "line 1, column 16"),
        (r#"{"user":hunter2}"#, "line 1, column 9"),
    ] {
        let error = load_document::<Login>(document).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{document}");
        assert!(error.message().contains(position), "{document}: {error}");
        assert_eq!(
            (error.secret().unwrap().as_str(), error.backend()),
            ("smtp/db", Some("memory"))
        );
    }
}

#[test]
fn unknown_fields_are_ignored_unless_denied() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        #[allow(
            dead_code,
            reason = "serde fills it; the test is about what is missing or refused"
        )]
        user: String,
    }
    let document = r#"{"user":"app","password":"p","hunter2":1}"#;
    assert_eq!(load_document::<Login>(document).unwrap().user, "app");
    let error = load_document::<Strict>(document).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[test]
fn j4_a_value_that_is_no_object_says_what_to_do() {
    for value in [
        "hunter2",
        "",
        "[\"hunter2\"]",
        "\"hunter2\"",
        "null",
        "7",
        "\u{feff}{}",
    ] {
        let setup = Setup::new(&[
            ("smtp/db", value),
            ("smtp/db/user", "app"),
            ("smtp/db/password", "x"),
        ]);
        let error = setup.load::<Login>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{value}");
        assert!(
            error.message().contains("not a JSON object") && error.message().contains("`load`"),
            "{error}"
        );
    }
    let error = load_document::<String>("hunter2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[test]
fn only_an_absent_document_is_looked_for_field_by_field() {
    for kind in [
        ErrorKind::Disabled,
        ErrorKind::InvalidData,
        ErrorKind::InvalidName,
        ErrorKind::PermissionDenied,
        ErrorKind::Unauthenticated,
    ] {
        let setup = Setup::new(&[("smtp/db/user", "app"), ("smtp/db/password", "hunter2")]);
        setup.store.fail_for("smtp/db", Error::new(kind, "no"));
        let error = setup.load::<Login>().unwrap_err();
        assert_eq!(
            (error.kind(), error.secret().unwrap().as_str()),
            (kind, "smtp/db")
        );
        assert_eq!(setup.calls(), [["smtp/db"]]);
    }
}

#[test]
fn load_all_reads_the_prefix_itself() {
    let setup = Setup::new(&[("smtp", r#"{"user":"app","password":"hunter2"}"#)]);
    assert_eq!(setup.load_all::<Login>("smtp").unwrap().user, "app");
    assert_eq!(setup.calls(), [["smtp"]]);
}

#[test]
fn j6_a_document_is_of_one_version_while_it_rotates() {
    const ROTATIONS: u64 = 300;
    #[derive(Deserialize)]
    struct Pair {
        a: u64,
        b: u64,
    }
    let backend = MemoryBackend::new();
    let store = backend.store();
    let put = |n: u64| store.put("smtp/db", format!(r#"{{"a":{n},"b":{n}}}"#));
    put(0);
    let secrets = SecretManager::builder(backend)
        .ttl(std::time::Duration::ZERO)
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let loader = ConfigSecretLoader::new(&secrets, "smtp");
                loop {
                    let pair: Pair = block_on(loader.load_as("db")).unwrap();
                    assert_eq!(pair.a, pair.b);
                    if pair.a == ROTATIONS {
                        break;
                    }
                }
            });
        }
        for n in 1..=ROTATIONS {
            put(n);
            std::thread::yield_now();
        }
    });
}
