//! One secret for each field: the shapes that are supported.

use secrecy::{ExposeSecret, SecretString};
use secrets_core::{ConfigSecretLoader, ErrorKind, Field, Secret};
use serde::Deserialize;

use crate::support::{Setup, load, missing};

#[derive(Debug, Deserialize, PartialEq)]
struct Login {
    user: String,
    password: String,
}

#[test]
fn a_plain_struct_is_read_from_one_secret_per_field() {
    let login: Login = load(&[("user", "app"), ("password", " hunter2\n")]).unwrap();
    assert_eq!(
        (login.user.as_str(), login.password.as_str()),
        ("app", " hunter2\n")
    );
}

#[test]
fn j7_the_fields_are_read_together_after_the_document() {
    let setup = Setup::new(&[("smtp/db/user", "app"), ("smtp/db/password", "hunter2")]);
    setup.load::<Login>().unwrap();
    let mut calls = setup.calls();
    calls[1].sort();
    assert_eq!(calls, [vec!["smtp/db"], vec!["smtp/db/password", "smtp/db/user"]]);
}

#[test]
fn j7_nested_and_optional_fields_are_in_the_same_call() {
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Config {
        login: Login,
        tls: Option<Tls>,
    }
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Tls {
        key: SecretString,
    }
    let setup = Setup::new(&[
        ("smtp/db/login/user", "app"),
        ("smtp/db/login/password", "hunter2"),
    ]);
    setup.load::<Config>().unwrap();
    assert_eq!(setup.calls().len(), 2);
    assert_eq!(setup.calls()[1].len(), 3);
}

#[test]
fn nested_structs_are_below_their_field() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Config {
        login: Login,
        pool: Pool,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Pool {
        limits: Limits,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Limits {
        max: u32,
    }
    let config: Config = load(&[
        ("login/user", "app"),
        ("login/password", "hunter2"),
        ("pool/limits/max", "8"),
    ])
    .unwrap();
    assert_eq!(config.login.user, "app");
    assert_eq!(
        config.pool,
        Pool {
            limits: Limits { max: 8 }
        }
    );
}

#[test]
fn eight_structs_within_one_another_are_read() {
    macro_rules! nest {
        ($outer:ident $inner:ty) => {
            #[derive(Deserialize)]
            struct $outer {
                a: $inner,
            }
        };
    }
    nest!(Eight String);
    nest!(Seven Eight);
    nest!(Six Seven);
    nest!(Five Six);
    nest!(Four Five);
    nest!(Three Four);
    nest!(Two Three);
    nest!(One Two);
    nest!(Nine One);
    let one: One = load(&[("a/a/a/a/a/a/a/a", "deep")]).unwrap();
    assert_eq!(one.a.a.a.a.a.a.a.a, "deep");
    let error = load::<Nine>(&[("a/a/a/a/a/a/a/a/a", "deep")])
        .map(|nine| nine.a.a)
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.secret().unwrap().as_str(), "smtp/db/a/a/a/a/a/a/a/a");
}

#[derive(Debug, Default, Deserialize, PartialEq)]
struct Optional {
    user: Option<String>,
    port: Option<u16>,
    login: Option<Login>,
}

#[test]
fn an_option_is_none_when_there_is_no_such_secret() {
    assert_eq!(load::<Optional>(&[]).unwrap(), Optional::default());
    let some: Optional = load(&[("user", ""), ("port", "25")]).unwrap();
    assert_eq!((some.user.as_deref(), some.port), (Some(""), Some(25)));
}

#[test]
fn an_optional_struct_is_all_or_nothing() {
    let both: Optional = load(&[("login/user", "app"), ("login/password", "hunter2")]).unwrap();
    assert_eq!(both.login.unwrap().user, "app");
    let error = load::<Optional>(&[("login/user", "app")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(missing(&error), ["smtp/db/login/password"]);
}

#[test]
fn defaults_stand_in_for_what_does_not_exist() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Config {
        host: String,
        #[serde(default)]
        retries: u8,
        #[serde(default = "submission")]
        port: u16,
        #[serde(default)]
        pool: Pool,
        #[serde(default = "some")]
        note: Option<String>,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(default)]
    struct Pool {
        max: u32,
        min: u32,
    }
    impl Default for Pool {
        fn default() -> Self {
            Self { max: 8, min: 1 }
        }
    }
    fn submission() -> u16 {
        587
    }
    #[allow(clippy::unnecessary_wraps, reason = "serde wants it so")]
    fn some() -> Option<String> {
        Some("none given".into())
    }
    let config: Config = load(&[("host", "mail")]).unwrap();
    assert_eq!(
        (config.retries, config.port, &config.pool),
        (0, 587, &Pool { max: 8, min: 1 })
    );
    assert_eq!(config.note.as_deref(), Some("none given"));
    let config: Config = load(&[("host", "mail"), ("port", "25"), ("pool/max", "4")]).unwrap();
    assert_eq!((config.port, &config.pool), (25, &Pool { max: 4, min: 1 }));
}

#[test]
fn a_renamed_field_has_its_new_name() {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Config {
        api_key: String,
        #[serde(rename = "tls/ca")]
        ca: String,
    }
    let config: Config = load(&[("api-key", "k"), ("tls/ca", "c")]).unwrap();
    assert_eq!((config.api_key.as_str(), config.ca.as_str()), ("k", "c"));
    assert_eq!(
        missing(&load::<Config>(&[("api_key", "k")]).map(drop).unwrap_err()),
        ["smtp/db/api-key", "smtp/db/tls/ca"]
    );
}

#[test]
fn a_rename_that_is_no_name_is_refused() {
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Config {
        #[serde(rename = "a#b")]
        field: String,
    }
    assert_eq!(
        load::<Config>(&[]).map(drop).unwrap_err().kind(),
        ErrorKind::InvalidName
    );
}

#[test]
fn an_alias_is_another_name_of_one_field() {
    #[derive(Debug, Deserialize)]
    struct Config {
        #[serde(alias = "a-passphrase", alias = "z-passphrase")]
        password: String,
        #[serde(alias = "account", alias = "who")]
        login: Login,
    }
    let login = [("login/user", "app"), ("login/password", "hunter2")];
    for name in ["password", "a-passphrase", "z-passphrase"] {
        let config: Config = load(&[&[(name, "hunter2")], login.as_slice()].concat()).unwrap();
        assert_eq!(
            (config.password.as_str(), config.login.user.as_str()),
            ("hunter2", "app"),
            "{name}"
        );
    }
    for name in ["login", "account", "who"] {
        let (user, password) = (format!("{name}/user"), format!("{name}/password"));
        let config: Config = load(&[("password", "p"), (&user, "app"), (&password, "hunter2")]).unwrap();
        assert_eq!(config.login.user, "app", "{name}");
    }
    let error = load::<Config>(&[]).unwrap_err();
    assert_eq!(
        missing(&error),
        ["smtp/db/password", "smtp/db/login/user", "smtp/db/login/password"]
    );
    let twice = [("password", "hunter2"), ("z-passphrase", "hunter2")];
    let error = load::<Config>(&[twice, login].concat()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.message().contains("smtp/db/z-passphrase"), "{error}");
}

#[test]
fn secret_strings_and_secrets_are_fields() {
    #[derive(Deserialize)]
    struct Config {
        password: SecretString,
        key: Secret,
        other: Option<Secret>,
        none: Option<SecretString>,
    }
    let setup = Setup::new(&[("smtp/db/password", "hunter2")]);
    setup.store.put("smtp/db/key", b"\xff\x00 raw\n");
    setup.store.put("smtp/db/other", b"");
    let config: Config = setup.load().unwrap();
    assert_eq!(config.password.expose_secret(), "hunter2");
    assert_eq!(config.key.expose_secret(), b"\xff\x00 raw\n");
    assert_eq!(config.other.unwrap().expose_secret(), b"");
    assert!(config.none.is_none());
}

#[test]
fn a_field_may_be_a_secret_whose_store_keeps_fields() {
    let setup = Setup::new(&[("smtp/db/user", "app")]);
    let fields = vec![Field::new("value", b"hunter2".to_vec())];
    setup
        .store
        .put_secret("smtp/db/password", Secret::from_fields(fields, "value"));
    assert_eq!(setup.load::<Login>().unwrap().password, "hunter2");
}

#[test]
fn newtypes_and_types_read_from_text_are_fields() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Port(u16);
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(transparent)]
    struct Host {
        name: Box<str>,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Config {
        port: Port,
        host: Host,
        address: std::net::IpAddr,
        peer: std::net::SocketAddr,
        workers: std::num::NonZeroU8,
        path: std::path::PathBuf,
        wait: std::time::Duration,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Whole(Config);
    let Whole(config) = load(&[
        ("port", "25"),
        ("host", "mail"),
        ("address", "::1"),
        ("peer", "[::1]:25"),
        ("workers", "4"),
        ("path", "/tmp"),
        ("wait/secs", "5"),
        ("wait/nanos", "0"),
    ])
    .unwrap();
    assert_eq!(
        (config.port, &*config.host.name, config.workers.get()),
        (Port(25), "mail", 4)
    );
    assert_eq!(config.wait.as_secs(), 5);
    let error = load::<Whole>(&[]).unwrap_err();
    assert_eq!(error.missing().len(), 8, "{error}");
}

#[test]
fn unknown_fields_are_not_looked_for_so_denying_them_changes_nothing() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        user: String,
    }
    assert_eq!(
        load::<Strict>(&[("user", "app"), ("other", "x")]).unwrap().user,
        "app"
    );
}

#[test]
fn load_all_reads_below_the_prefix() {
    let setup = Setup::new(&[("smtp/db/user", "app"), ("smtp/db/password", "hunter2")]);
    assert_eq!(setup.load_all::<Login>("smtp/db").unwrap().user, "app");
    let error = setup.load_all::<Login>("smtp").unwrap_err();
    assert_eq!(missing(&error), ["smtp/user", "smtp/password"]);
    assert_eq!(
        setup.load_all::<Login>("../x").unwrap_err().kind(),
        ErrorKind::InvalidName
    );
}

#[test]
fn n1_a_name_that_is_no_name_is_refused_before_anything_is_read() {
    let setup = Setup::new(&[]);
    let loader = ConfigSecretLoader::new(&setup.secrets, "smtp");
    for bad in ["", "a//b", "../x", "a#b", "a?version=1", &"a".repeat(1024)] {
        let error = crate::support::block_on(loader.load_as::<Login>(bad)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidName, "{bad}");
    }
    assert_eq!(setup.calls(), Vec::<Vec<String>>::new());
}

#[test]
fn l3_what_was_read_is_not_expanded() {
    let login: Login = load(&[("user", "smtp/db/password"), ("password", "${user} env:USER")]).unwrap();
    assert_eq!(
        (login.user.as_str(), login.password.as_str()),
        ("smtp/db/password", "${user} env:USER")
    );
}

#[test]
fn the_future_goes_to_other_threads_whatever_the_type() {
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Local {
        name: std::cell::RefCell<Option<String>>,
        here: std::marker::PhantomData<*const u8>,
    }
    fn assert_send(_: &impl Send) {}
    let setup = Setup::new(&[]);
    let loader = ConfigSecretLoader::new(&setup.secrets, "smtp");
    assert_send(&loader.load_as::<Local>("db"));
    assert_send(&loader.load_all::<Login>());
}
