//! The laws of the contract that concern this backend, through its public face.

use std::sync::Arc;

use proptest::prelude::*;
use secrets_core::{ErrorKind, Fetched, ReadRequest, Result, Secret, SecretBackend, SecretName, Version};
use secrets_env::{EnvBackend, Variables};
use secrets_testkit::{Canary, LeakSearch};

const CANARY: &str = "canary-5e1f";

fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

fn over<const LEN: usize>(variables: [(&str, &str); LEN]) -> EnvBackend {
    EnvBackend::builder()
        .source(Variables::from(variables))
        .build()
        .unwrap()
}

async fn get(backend: &EnvBackend, text: &str) -> Result<Secret> {
    match backend.get(ReadRequest::new(&name(text))).await? {
        Fetched::Value(secret) => Ok(secret),
        other => panic!("nothing was known before: {other:?}"),
    }
}

async fn list(backend: &EnvBackend, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(name);
    let names = backend.list(prefix.as_ref()).await.unwrap();
    names.iter().map(ToString::to_string).collect()
}

#[cfg(unix)]
#[tokio::test]
async fn v1_any_bytes_of_a_variable_come_back() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    let bytes: Vec<u8> = (1..=255).collect();
    let variables = Variables::from([("RAW", OsString::from_vec(bytes.clone()))]);
    let backend = EnvBackend::builder().source(variables).build().unwrap();
    let secret = get(&backend, "raw").await.unwrap();
    assert_eq!(secret.expose_secret(), bytes);
    let error = secret.expose_str().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[tokio::test]
async fn v2_empty_is_not_absent() {
    let backend = over([("EMPTY", "")]);
    assert_eq!(get(&backend, "empty").await.unwrap().expose_secret(), b"");
    assert_eq!(
        get(&backend, "absent").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn v3_white_space_and_line_endings_survive() {
    for value in [" a ", "a\n", "a\r\n", "\n", "\t\u{feff}a"] {
        let backend = over([("A", value)]);
        assert_eq!(get(&backend, "a").await.unwrap().expose_str().unwrap(), value);
    }
}

#[tokio::test]
async fn v5_unicode_is_not_normalised() {
    for value in ["é", "e\u{301}", "𝔰", "שלום", "\u{202e}x"] {
        let backend = over([("A", value)]);
        assert_eq!(get(&backend, "a").await.unwrap().expose_str().unwrap(), value);
    }
}

#[tokio::test]
async fn v6_a_large_value_and_a_pem_come_back() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQ\nIBADAN\n-----END PRIVATE KEY-----\n";
    let large = "x".repeat(64 * 1024);
    let backend = over([("PEM", pem), ("LARGE", &large)]);
    assert_eq!(get(&backend, "pem").await.unwrap().expose_str().unwrap(), pem);
    assert_eq!(get(&backend, "large").await.unwrap().expose_str().unwrap(), large);
}

#[tokio::test]
async fn n3_a_name_without_a_variable_is_refused_by_its_character() {
    let backend = over([("A_B", CANARY)]);
    for (text, character) in [("a b", "` `"), ("a=b", "`=`"), ("a&b", "`&`"), ("a/é", "`é`")] {
        let error = get(&backend, text).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidName);
        assert!(error.message().contains(character), "{error}");
        assert_eq!(error.secret(), Some(&name(text)));
    }
}

#[tokio::test]
async fn n4_one_variable_has_many_spellings_and_one_canonical_name() {
    let backend = EnvBackend::builder()
        .prefix("APP_")
        .source(Variables::from([("APP_SMTP_API_KEY", CANARY)]))
        .build()
        .unwrap();
    for spelling in ["smtp/api-key", "smtp/api/key", "SMTP.API_KEY"] {
        assert_eq!(
            get(&backend, spelling).await.unwrap().expose_str().unwrap(),
            CANARY
        );
    }
    assert_eq!(list(&backend, None).await, ["smtp/api/key"]);
    assert_eq!(list(&backend, Some("smtp")).await, ["smtp/api/key"]);
    assert_eq!(list(&backend, Some("smtp/api-key")).await, ["smtp/api-key"]);
}

#[tokio::test]
async fn n5_listing_never_leaves_the_prefix_and_get_accepts_what_it_returns() {
    let backend = EnvBackend::builder()
        .prefix("X_")
        .source(Variables::from([
            ("X_APP", "1"),
            ("X_APP_KEY", "2"),
            ("X_APPLICATION_KEY", "3"),
            ("APP_KEY", CANARY),
            ("X_", CANARY),
            ("X_A__B", CANARY),
            ("X_END_", CANARY),
        ]))
        .build()
        .unwrap();
    assert_eq!(list(&backend, Some("app")).await, ["app", "app/key"]);
    assert_eq!(list(&backend, Some("app/key")).await, ["app/key"]);
    assert_eq!(list(&backend, Some("other")).await, [""; 0]);
    let all = list(&backend, None).await;
    assert_eq!(all, ["app", "app/key", "application/key"]);
    for listed in all {
        assert_ne!(
            get(&backend, &listed).await.unwrap().expose_str().unwrap(),
            CANARY
        );
    }
    let error = backend.list(Some(&name("a b"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidName);
}

#[tokio::test]
async fn n6_without_prefix_and_allow_list_nothing_is_listed() {
    let backend = over([("A", CANARY)]);
    assert!(!backend.capabilities().list);
    assert_eq!(
        backend.list(None).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert!(!EnvBackend::new().capabilities().list);
}

#[tokio::test]
async fn n6_a_prefix_cannot_be_left() {
    let backend = EnvBackend::builder()
        .prefix("APP_")
        .source(Variables::from([("PATH", CANARY), ("APP_PATH", "inside")]))
        .build()
        .unwrap();
    assert!(backend.capabilities().list);
    assert_eq!(
        get(&backend, "path").await.unwrap().expose_str().unwrap(),
        "inside"
    );
    assert_eq!(list(&backend, None).await, ["path"]);
}

#[tokio::test]
async fn n6_an_allow_list_cannot_be_left() {
    let variables = || Variables::from([("SMTP_API_KEY", "inside"), ("AWS_SECRET_ACCESS_KEY", CANARY)]);
    let builder = || EnvBackend::builder().source(variables());
    let backend = builder()
        .allow(["smtp/api-key"])
        .allow(["smtp/unset"])
        .build()
        .unwrap();
    assert!(backend.capabilities().list);
    assert_eq!(
        get(&backend, "smtp/api/key").await.unwrap().expose_str().unwrap(),
        "inside"
    );
    assert_eq!(list(&backend, None).await, ["smtp/api/key"]);
    let error = get(&backend, "aws/secret/access/key").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidName);
    assert!(error.message().contains("AWS_SECRET_ACCESS_KEY"), "{error}");
    assert_eq!(
        get(&backend, "smtp/unset").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );

    let both = builder().prefix("SMTP_").allow(["api-key"]).build().unwrap();
    assert_eq!(list(&both, None).await, ["api/key"]);
    assert_eq!(
        get(&both, "other").await.unwrap_err().kind(),
        ErrorKind::InvalidName
    );
}

#[tokio::test]
async fn r5_a_version_is_unsupported() {
    let backend = over([("A", CANARY)]);
    assert!(!backend.capabilities().versions);
    let version = Version::new("1").unwrap();
    let error = backend
        .get(ReadRequest::new(&name("a")).with_version(&version))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.backend()),
        (ErrorKind::Unsupported, Some("env"))
    );
}

#[tokio::test]
async fn e1_an_absent_variable_is_named() {
    let error = get(&over([]), "smtp/database/password").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "not found: secret `smtp/database/password` in backend `env`: \
         the environment variable `SMTP_DATABASE_PASSWORD` is not set"
    );
}

#[test]
fn e1_wrong_options_name_themselves() {
    let allow = |names: &[&str]| EnvBackend::builder().allow(names.iter().copied()).build();
    for (error, word) in [
        (EnvBackend::builder().prefix("").build().unwrap_err(), "`prefix`"),
        (
            EnvBackend::builder().prefix("A-").build().unwrap_err(),
            "`prefix`",
        ),
        (allow(&[]).unwrap_err(), "`allow`"),
        (allow(&["a", "b c"]).unwrap_err(), "`allow`"),
        (allow(&["../a"]).unwrap_err(), "`allow`"),
    ] {
        assert_eq!(
            (error.kind(), error.backend()),
            (ErrorKind::InvalidConfig, Some("env"))
        );
        assert!(error.message().contains(word), "{error}");
    }
}

#[tokio::test]
async fn s1_e5_no_failure_of_any_kind_shows_a_value() {
    let canary = Canary::random();
    let variables = || {
        Variables::from([
            ("A", canary.expose()),
            ("C", canary.expose()),
            ("D", r#"{"key":"x"}"#),
        ])
    };
    let mut search = LeakSearch::start([canary.clone()]).unwrap();
    search.look("the variables", &variables());
    search.look("a builder", &EnvBackend::builder().source(variables()));
    let allowing = EnvBackend::builder()
        .allow(["a", "b", "d"])
        .source(variables())
        .build();
    let everything = EnvBackend::builder().source(variables()).build();
    let version = Version::new("1").unwrap();
    for backend in [allowing.unwrap(), everything.unwrap()] {
        let backend: Arc<dyn SecretBackend> = Arc::new(backend);
        for text in ["a", "a b", "b", "c", "d"] {
            search.ask(&backend, &name(text), Some(&version)).await;
        }
    }
    search.error(
        EnvBackend::builder()
            .prefix("A-")
            .source(variables())
            .build()
            .unwrap_err(),
    );
    assert_eq!(
        search.finish().unwrap(),
        [
            ErrorKind::FieldNotFound,
            ErrorKind::InvalidConfig,
            ErrorKind::InvalidData,
            ErrorKind::InvalidName,
            ErrorKind::NotFound,
            ErrorKind::Unsupported,
        ]
    );
}

#[tokio::test]
async fn the_default_source_is_the_environment_of_the_process() {
    let expected = std::env::var("CARGO_PKG_NAME").expect("cargo sets it for tests");
    let secret = get(&EnvBackend::new(), "cargo/pkg-name").await.unwrap();
    assert_eq!(secret.expose_str().unwrap(), expected);
    let confined = EnvBackend::builder().prefix("CARGO_PKG_").build().unwrap();
    assert!(list(&confined, None).await.contains(&"name".to_owned()));
    confined.check().await.unwrap();
}

#[tokio::test]
async fn s6_reading_leaves_the_environment_as_it_was() {
    let names = || std::env::vars_os().map(|(name, _)| name).collect::<Vec<_>>();
    let before = names();
    let backend = EnvBackend::builder().prefix("CARGO_PKG_").build().unwrap();
    get(&backend, "name").await.unwrap();
    list(&backend, None).await;
    assert_eq!(names(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn v1_text_comes_back_as_it_is(value in any::<String>()) {
        let backend = over([("A", &value)]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let secret = runtime.block_on(get(&backend, "a")).unwrap();
        prop_assert_eq!(secret.expose_secret(), value.as_bytes());
    }

    #[test]
    fn l5_no_name_panics(text in any::<String>()) {
        let backend = over([("A", CANARY)]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        if let Ok(name) = SecretName::new(&text) {
            let result = runtime.block_on(backend.get(ReadRequest::new(&name)));
            if let Err(error) = result {
                prop_assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidName));
            }
        }
    }
}
