//! What does not exist, and what cannot be read.

use secrecy::SecretString;
use secrets_core::{Error, ErrorKind};
use serde::Deserialize;

use crate::support::{Setup, load, missing};

#[derive(Debug, Deserialize)]
#[allow(
    dead_code,
    reason = "serde fills it; the test is about what is missing or refused"
)]
struct Config {
    host: String,
    port: u16,
    tls: Tls,
    mode: Mode,
    proxy: Option<String>,
    #[serde(default)]
    retries: u8,
    password: SecretString,
}

#[derive(Debug, Deserialize)]
#[allow(
    dead_code,
    reason = "serde fills it; the test is about what is missing or refused"
)]
struct Tls {
    key: SecretString,
    ca: Option<String>,
    client: Client,
}

#[derive(Debug, Deserialize)]
#[allow(
    dead_code,
    reason = "serde fills it; the test is about what is missing or refused"
)]
struct Client {
    name: String,
}

#[derive(Debug, Deserialize)]
enum Mode {
    #[serde(rename = "plain")]
    Plain,
}

const ALL: [(&str, &str); 6] = [
    ("host", "mail"),
    ("port", "25"),
    ("tls/key", "hunter2"),
    ("tls/client/name", "app"),
    ("mode", "plain"),
    ("password", "hunter2"),
];

#[test]
fn l2_one_missing_field_is_named_in_full() {
    load::<Config>(&ALL).unwrap();
    for (index, (name, _)) in ALL.iter().enumerate() {
        let mut fields = ALL.to_vec();
        fields.remove(index);
        let error = load::<Config>(&fields).unwrap_err();
        let full = format!("smtp/db/{name}");
        assert_eq!(
            (error.kind(), missing(&error)),
            (ErrorKind::NotFound, vec![full.as_str()])
        );
        assert_eq!(
            (error.secret().unwrap().as_str(), error.backend()),
            (&*full, Some("memory"))
        );
        assert!(
            error.message().contains(&format!("missing: `{full}`;")),
            "{error}"
        );
    }
}

#[test]
fn l2_every_missing_field_is_in_one_error() {
    let error = load::<Config>(&[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let all = ALL.map(|(name, _)| format!("smtp/db/{name}"));
    assert_eq!(missing(&error), all);
    assert_eq!(error.secret().unwrap().as_str(), "smtp/db");
    for name in &all {
        assert!(error.message().contains(&format!("`{name}`")), "{error}");
    }
    for name in ["proxy", "retries", "tls/ca"] {
        assert!(!error.message().contains(name), "{error}");
    }
    assert!(
        error.message().contains("store `smtp/db` as one JSON object"),
        "{error}"
    );
}

#[test]
fn l2_what_is_missing_is_found_with_two_calls() {
    let setup = Setup::new(&[]);
    setup.load::<Config>().unwrap_err();
    assert_eq!(setup.calls().len(), 2);
}

#[test]
fn l2_missing_and_unfit_fields_are_in_one_error() {
    let error = load::<Config>(&[("host", "mail"), ("port", "hunter2"), ("mode", "hunter2")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(
        missing(&error),
        ["smtp/db/tls/key", "smtp/db/tls/client/name", "smtp/db/password"]
    );
    let message = error.message();
    assert!(
        message.contains("`smtp/db/port` is not a number of type u16"),
        "{message}"
    );
    assert!(
        message.contains("`smtp/db/mode` is not one of `plain`"),
        "{message}"
    );
}

#[test]
fn l1_a_field_that_is_denied_is_not_absent() {
    for field in ["host", "proxy", "retries", "tls/key", "tls/ca"] {
        for kind in [
            ErrorKind::PermissionDenied,
            ErrorKind::Disabled,
            ErrorKind::InvalidName,
        ] {
            let setup = Setup::new(&[]);
            let name = format!("smtp/db/{field}");
            for (name, value) in ALL {
                setup.store.put(format!("smtp/db/{name}"), value);
            }
            setup.store.fail_for(&name, Error::new(kind, "no"));
            let error = setup.load::<Config>().unwrap_err();
            assert_eq!((error.kind(), error.secret().unwrap().as_str()), (kind, &*name));
            assert_eq!((error.message(), error.backend()), ("no", Some("memory")));
        }
    }
}

#[test]
fn l1_a_field_below_an_optional_struct_is_not_absent_when_denied() {
    #[derive(Debug, Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Outer {
        tls: Option<Tls>,
        #[serde(default)]
        other: Option<Client>,
    }
    load::<Outer>(&[]).unwrap();
    let setup = Setup::new(&[]);
    setup.store.fail_for(
        "smtp/db/other/name",
        Error::new(ErrorKind::PermissionDenied, "no"),
    );
    let error = setup.load::<Outer>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(error.secret().unwrap().as_str(), "smtp/db/other/name");
}

#[test]
fn l1_a_denied_alias_is_not_absent() {
    #[derive(Debug, Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Aliased {
        #[serde(alias = "passphrase")]
        password: String,
    }
    let setup = Setup::new(&[("smtp/db/password", "hunter2")]);
    setup.store.fail_for(
        "smtp/db/passphrase",
        Error::new(ErrorKind::PermissionDenied, "no"),
    );
    let error = setup.load::<Aliased>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(error.secret().unwrap().as_str(), "smtp/db/passphrase");
}
