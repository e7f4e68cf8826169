//! Types that check their values, and so can hide what else they need.

use secrets_core::{Error, ErrorKind, Secret};
use serde::Deserialize;

use crate::support::{Setup, load, missing};

/// Takes nothing but what starts with `sk-`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Key(String);

impl TryFrom<String> for Key {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with("sk-") {
            Ok(Self(text))
        } else {
            Err(format!("no key: {text}"))
        }
    }
}

#[derive(Debug, Deserialize)]
struct Config {
    key: Key,
    port: u16,
    account: Account,
    #[serde(default)]
    retries: u8,
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Account {
    key: Key,
    backup: Option<Key>,
    user: String,
}

const ALL: [(&str, &str); 4] = [
    ("key", "sk-1"),
    ("port", "25"),
    ("account/key", "sk-2"),
    ("account/user", "app"),
];

#[test]
fn a_type_that_checks_its_value_is_read() {
    let setup = Setup::new(&[]);
    for (name, value) in ALL {
        setup.store.put(format!("smtp/db/{name}"), value);
    }
    let config: Config = setup.load().unwrap();
    assert_eq!((&*config.key.0, config.port, config.retries), ("sk-1", 25, 0));
    assert_eq!((&*config.account.key.0, &*config.account.user), ("sk-2", "app"));
    assert!(config.account.backup.is_none() && config.note.is_none());
    assert_eq!(
        setup.calls().len(),
        2,
        "what such a type hides is found without values"
    );
}

#[test]
fn what_a_type_refuses_is_invalid_data() {
    let mut fields = ALL;
    fields[2].1 = "hunter2";
    let error = load::<Config>(&fields).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(error.secret().unwrap().as_str(), "smtp/db/account/key");
    assert!(
        error.message().contains("`smtp/db/account/key` is refused"),
        "{error}"
    );
    let error = load::<Config>(&[&ALL[..], &[("account/backup", "hunter2")]].concat()).unwrap_err();
    assert_eq!(error.secret().unwrap().as_str(), "smtp/db/account/backup");
}

#[test]
fn l2_where_a_type_hides_what_is_needed_the_message_says_so() {
    let error = load::<Config>(&[("port", "25")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(missing(&error), ["smtp/db/key"]);
    let message = error.message();
    let hidden = message.split_once("missing too, and perhaps needed").unwrap().1;
    assert!(
        hidden.contains("as long as `smtp/db/key` cannot be read"),
        "{message}"
    );
    for name in ["account/key", "account/backup", "account/user", "retries"] {
        assert!(hidden.contains(&format!("`smtp/db/{name}`")), "{name}: {message}");
    }
    assert!(!message.contains("note"), "an option is never needed: {message}");
}

#[test]
fn l2_what_comes_before_such_a_type_is_known() {
    #[derive(Debug, Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Before {
        user: String,
        account: Option<Account>,
        key: Key,
    }
    let error = load::<Before>(&[("account/key", "sk-1")]).unwrap_err();
    assert_eq!(
        missing(&error),
        ["smtp/db/user", "smtp/db/account/user", "smtp/db/key"]
    );
    assert!(!error.message().contains("perhaps"), "{error}");
}

#[test]
fn l2_common_types_that_check_hide_nothing() {
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Url(String);
    impl TryFrom<String> for Url {
        type Error = &'static str;
        fn try_from(text: String) -> Result<Self, &'static str> {
            if text.contains("://") {
                Ok(Self(text))
            } else {
                Err("relative URL without a base")
            }
        }
    }
    #[derive(Debug, Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Common {
        url: Url,
        workers: std::num::NonZeroU32,
        address: std::net::Ipv4Addr,
        user: String,
    }
    let error = load::<Common>(&[]).unwrap_err();
    assert_eq!(
        missing(&error),
        [
            "smtp/db/url",
            "smtp/db/workers",
            "smtp/db/address",
            "smtp/db/user"
        ]
    );
    assert!(!error.message().contains("perhaps"), "{error}");
    let error = load::<Common>(&[
        ("url", "hunter2"),
        ("workers", "0"),
        ("address", "hunter2"),
        ("user", "u"),
    ]);
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    for name in ["url", "workers", "address"] {
        assert!(
            error.message().contains(&format!("`smtp/db/{name}` is refused")),
            "{error}"
        );
    }
}

#[test]
fn a_struct_that_checks_its_fields_together_is_read() {
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "Raw")]
    struct Range(Raw);
    #[derive(Debug, Deserialize)]
    struct Raw {
        low: u8,
        high: u8,
    }
    impl TryFrom<Raw> for Range {
        type Error = &'static str;
        fn try_from(raw: Raw) -> Result<Self, &'static str> {
            if raw.low < raw.high {
                Ok(Self(raw))
            } else {
                Err("low has to be below high")
            }
        }
    }
    #[derive(Debug, Deserialize)]
    struct Outer {
        range: Range,
        key: String,
    }
    let outer: Outer = load(&[("range/low", "1"), ("range/high", "2"), ("key", "k")]).unwrap();
    assert_eq!((outer.range.0.low, outer.range.0.high, &*outer.key), (1, 2, "k"));
    let error = load::<Outer>(&[("range/low", "2"), ("range/high", "1"), ("key", "k")]).unwrap_err();
    assert_eq!(
        (error.kind(), error.secret().unwrap().as_str()),
        (ErrorKind::InvalidData, "smtp/db/range")
    );
    let error = load::<Outer>(&[("range/low", "1")]).unwrap_err();
    assert_eq!(missing(&error)[..1], ["smtp/db/range/high"]);
    assert!(error.message().contains("`smtp/db/key`"), "{error}");
    let error = load::<Range>(&[("low", "2"), ("high", "1")]).unwrap_err();
    assert_eq!(
        (error.kind(), error.secret().unwrap().as_str()),
        (ErrorKind::InvalidData, "smtp/db")
    );
    assert_eq!(load::<Range>(&[("low", "1"), ("high", "2")]).unwrap().0.high, 2);
}

#[test]
fn a_struct_without_values_of_its_own_may_be_refused() {
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "Raw")]
    struct Either(
        #[allow(
            dead_code,
            reason = "serde fills it; the test is about what is missing or refused"
        )]
        Raw,
    );
    #[derive(Debug, Deserialize)]
    struct Raw {
        a: Option<Key>,
        b: Option<u8>,
    }
    impl TryFrom<Raw> for Either {
        type Error = &'static str;
        fn try_from(raw: Raw) -> Result<Self, &'static str> {
            if raw.a.is_some() ^ raw.b.is_some() {
                Ok(Self(raw))
            } else {
                Err("either a or b")
            }
        }
    }
    #[derive(Debug, Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Outer {
        either: Either,
    }
    load::<Outer>(&[("either/a", "sk-1")]).unwrap();
    load::<Outer>(&[("either/b", "1")]).unwrap();
    for fields in [&[][..], &[("either/a", "sk-1"), ("either/b", "1")]] {
        let error = load::<Outer>(fields).unwrap_err();
        assert_eq!(
            (error.kind(), error.secret().unwrap().as_str()),
            (ErrorKind::InvalidData, "smtp/db/either")
        );
    }
}

#[test]
fn fields_that_depend_on_values_are_found_in_further_rounds() {
    /// Reads `kind`, and asks for a struct or a text accordingly.
    #[derive(Debug)]
    struct Shifty(String);
    impl<'de> Deserialize<'de> for Shifty {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Shifty;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("something shifty")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Shifty, A::Error> {
                    #[derive(Deserialize)]
                    struct Login {
                        user: String,
                    }
                    let mut kind = String::new();
                    let mut rest = String::new();
                    while let Some(key) = map.next_key::<String>()? {
                        if key == "kind" {
                            kind = map.next_value()?;
                        } else if kind == "login" {
                            rest = map.next_value::<Login>()?.user;
                        } else {
                            rest = map.next_value()?;
                        }
                    }
                    Ok(Shifty(rest))
                }
            }
            deserializer.deserialize_struct("Shifty", &["kind", "rest"], Visitor)
        }
    }
    #[derive(Debug, Deserialize)]
    struct Config {
        shifty: Shifty,
    }
    let text: Config = load(&[("shifty/kind", "text"), ("shifty/rest", "app")]).unwrap();
    assert_eq!(text.shifty.0, "app");
    let setup = Setup::new(&[("smtp/db/shifty/kind", "login"), ("smtp/db/shifty/rest", "x")]);
    setup.store.put("smtp/db/shifty/rest/user", "app");
    assert_eq!(setup.load::<Config>().unwrap().shifty.0, "app");
    assert_eq!(setup.calls().len(), 3);
    assert_eq!(setup.calls()[2], ["smtp/db/shifty/rest/user"]);
}

#[test]
fn a_type_that_never_takes_anything_is_an_error() {
    #[derive(Debug)]
    struct Never;
    impl<'de> Deserialize<'de> for Never {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(serde::de::Error::custom("hunter2"))
        }
    }
    #[derive(Debug, Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Config {
        never: Never,
        user: String,
    }
    assert_eq!(load::<Never>(&[]).unwrap_err().kind(), ErrorKind::InvalidData);
    let error = load::<Config>(&[("never", "hunter2"), ("user", "app")]).unwrap_err();
    assert_eq!(
        (error.kind(), error.secret().unwrap().as_str()),
        (ErrorKind::InvalidData, "smtp/db/never")
    );
}

#[test]
fn l2_a_type_that_disguises_what_is_missing_has_it_listed() {
    #[derive(Debug)]
    struct Disguised;
    impl<'de> Deserialize<'de> for Disguised {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            match String::deserialize(deserializer) {
                Ok(text) if text == "sk-1" => Ok(Self),
                _ => Err(serde::de::Error::custom("hunter2")),
            }
        }
    }
    #[derive(Debug, Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Config {
        key: Disguised,
        user: String,
    }
    load::<Config>(&[("key", "sk-1"), ("user", "app")]).unwrap();
    let error = load::<Config>(&[("user", "app")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.message().contains("perhaps needed"), "{error}");
    assert!(error.message().contains("`smtp/db/key`"), "{error}");
}

#[test]
fn l1_a_type_cannot_swallow_a_failure() {
    #[allow(clippy::unnecessary_wraps, reason = "serde wants it so")]
    fn lenient<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
        Ok(u16::deserialize(deserializer).ok())
    }
    #[derive(Debug, Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Config {
        #[serde(deserialize_with = "lenient")]
        port: Option<u16>,
        key: Secret,
    }
    let setup = Setup::new(&[("smtp/db/key", "hunter2"), ("smtp/db/port", "25")]);
    assert_eq!(setup.load::<Config>().unwrap().port, Some(25));
    setup
        .store
        .fail_for("smtp/db/port", Error::new(ErrorKind::PermissionDenied, "no"));
    setup.secrets.invalidate_all();
    assert_eq!(
        setup.load::<Config>().unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    assert_eq!(
        load::<Config>(&[("key", "k"), ("port", "hunter2")])
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidData
    );
}
