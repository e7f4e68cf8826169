//! What cannot be read from one secret for each field, and how that is said.

use std::collections::HashMap;

use secrets_core::{ErrorKind, Secret};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::support::{Setup, load};

/// Loads a struct with a field of this type: it must be refused, with and without values, and read nothing but the
/// document.
fn refused<T: DeserializeOwned>(what: &str) {
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Holder<T> {
        first: String,
        inner: Inner<T>,
    }
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Inner<T> {
        field: T,
    }
    for secrets in [
        &[][..],
        &[("smtp/db/first", "hunter2"), ("smtp/db/inner/field", "hunter2")],
    ] {
        let setup = Setup::new(secrets);
        let error = setup.load::<Holder<T>>().map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{what}: {error}");
        assert_eq!(error.secret().unwrap().as_str(), "smtp/db/inner/field", "{what}");
        assert!(error.message().contains(what), "{what}: {error}");
        assert!(error.message().contains("`smtp/db/inner/field`"), "{error}");
        assert!(
            error.message().contains("store `smtp/db` as one JSON object"),
            "{error}"
        );
        assert_eq!(setup.calls(), [["smtp/db"]]);
    }
}

#[test]
fn maps_and_sequences_are_refused() {
    refused::<HashMap<String, String>>("a map");
    refused::<Option<HashMap<String, String>>>("a map");
    refused::<Vec<String>>("a sequence");
    refused::<(u8, u8)>("a tuple");
    refused::<[u8; 4]>("an array");
    refused::<Vec<Option<Secret>>>("a sequence");
}

#[test]
fn odd_scalars_are_refused() {
    #[derive(Deserialize)]
    struct Unit;
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Pair(u8, u8);
    struct Bytes;
    impl<'de> Deserialize<'de> for Bytes {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl serde::de::Visitor<'_> for Visitor {
                type Value = Bytes;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("bytes")
                }
            }
            deserializer.deserialize_byte_buf(Visitor)
        }
    }
    refused::<char>("a `char`");
    refused::<()>("a unit");
    refused::<serde::de::IgnoredAny>("ignores");
    refused::<Unit>("a unit struct");
    refused::<Pair>("a tuple struct");
    refused::<Bytes>("`Secret`");
}

#[test]
fn enums_with_data_are_refused_wherever_the_data_is() {
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    enum First {
        Data(String),
        Plain,
    }
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    enum Last {
        Plain,
        Other,
        Data { a: String },
    }
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    enum Tuple {
        Plain,
        Data(u8, u8),
    }
    #[derive(Deserialize)]
    #[serde(tag = "kind")]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    enum Internal {
        Plain,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    enum Untagged {
        Text(String),
    }
    refused::<First>("carries data");
    refused::<Last>("carries data");
    refused::<Tuple>("carries data");
    let data = "an enum that is untagged or tagged within";
    refused::<Internal>(data);
    refused::<Untagged>(data);
    refused::<serde_json::Value>("any JSON");
}

#[test]
fn an_adjacently_tagged_enum_is_refused() {
    #[derive(Debug, Deserialize)]
    #[serde(tag = "kind", content = "data")]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    enum Adjacent {
        Text(String),
    }
    #[derive(Debug, Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Config {
        auth: Adjacent,
    }
    for secrets in [&[][..], &[("auth/kind", "Text"), ("auth/data", "hunter2")]] {
        let error = load::<Config>(secrets).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains("`smtp/db/auth"), "{error}");
    }
}

#[test]
fn flattened_fields_are_refused() {
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Flat {
        user: String,
        #[serde(flatten)]
        rest: HashMap<String, String>,
    }
    refused::<Flat>("a struct with a flattened field");
    let error = load::<Flat>(&[("user", "hunter2")]).map(drop).unwrap_err();
    assert_eq!(
        (error.kind(), error.secret().unwrap().as_str()),
        (ErrorKind::Unsupported, "smtp/db")
    );
    assert!(error.message().contains("flattened"), "{error}");
}

#[test]
fn recursive_types_end_in_an_error() {
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct List {
        value: String,
        next: Option<Box<List>>,
    }
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Tree {
        left: Option<Box<Tree>>,
        right: Option<Box<Tree>>,
    }
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Shell(Option<Box<Shell>>);
    #[allow(clippy::unnecessary_wraps, reason = "serde wants it so")]
    fn lenient<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Quiet>>, D::Error> {
        CALLS.set(CALLS.get() + 1);
        Ok(Option::<Box<Quiet>>::deserialize(deserializer).ok().flatten())
    }
    #[derive(Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Quiet {
        #[serde(deserialize_with = "lenient")]
        left: Option<Box<Quiet>>,
        #[serde(deserialize_with = "lenient")]
        right: Option<Box<Quiet>>,
    }
    thread_local!(static CALLS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });
    fn error<T: DeserializeOwned>() -> secrets_core::Error {
        load::<T>(&[("value", "hunter2"), ("left/left/left", "hunter2")])
            .map(drop)
            .unwrap_err()
    }
    for error in [
        error::<List>(),
        error::<Tree>(),
        error::<Shell>(),
        error::<Quiet>(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains("contains itself"), "{error}");
    }
    assert!(
        CALLS.get() < 50,
        "a type that swallows errors is stopped all the same"
    );
    assert_eq!(
        error::<List>().secret().unwrap().as_str(),
        "smtp/db/next/next/next/next/next/next/next/next"
    );
}

/// Asks for one more field each time it has got all it asked for, or each time at all.
struct Endless<const EACH_TIME: bool>;

impl<'de, const EACH_TIME: bool> Deserialize<'de> for Endless<EACH_TIME> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        thread_local!(static FIELDS: std::cell::Cell<usize> = const { std::cell::Cell::new(1) });
        struct Visitor<const EACH_TIME: bool>;
        impl<'de, const EACH_TIME: bool> serde::de::Visitor<'de> for Visitor<EACH_TIME> {
            type Value = Endless<EACH_TIME>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("more")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = true;
                while let Some((_, value)) = map.next_entry::<String, String>()? {
                    all &= !value.is_empty();
                }
                FIELDS.set(FIELDS.get() + usize::from(all || EACH_TIME));
                Err(serde::de::Error::missing_field("more"))
            }
        }
        let last = FIELDS.get();
        let first = if EACH_TIME { last - 1 } else { 0 };
        let names: Vec<&str> = (first..last).map(|n| &*format!("field{n}").leak()).collect();
        deserializer.deserialize_struct("Endless", names.leak(), Visitor::<EACH_TIME>)
    }
}

#[test]
fn a_type_without_end_ends_in_an_error() {
    let names: Vec<String> = (0..20).map(|n| format!("field{n}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), "hunter2")).collect();
    for error in [
        load::<Endless<false>>(&fields).map(drop).unwrap_err(),
        load::<Endless<true>>(&[]).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains("without end"), "{error}");
    }
}

#[test]
fn a_single_value_is_not_put_together_from_fields() {
    fn error<T: DeserializeOwned>() -> secrets_core::Error {
        load::<T>(&[]).map(drop).unwrap_err()
    }
    for error in [
        error::<String>(),
        error::<Option<u8>>(),
        error::<Secret>(),
        error::<bool>(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("`load`"), "{error}");
        assert_eq!(error.secret().unwrap().as_str(), "smtp/db");
    }
    assert_eq!(error::<Vec<u8>>().kind(), ErrorKind::Unsupported);
}
