//! Single values: what text becomes, and what it must not become.

use secrets_core::{ErrorKind, Secret};
use serde::Deserialize;

use crate::support::{Setup, load, missing};

fn value<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ErrorKind> {
    #[derive(Deserialize)]
    struct Holder<T> {
        field: T,
    }
    match load::<Holder<T>>(&[("field", text)]) {
        Ok(holder) => Ok(holder.field),
        Err(error) => {
            assert_eq!(error.secret().unwrap().as_str(), "smtp/db/field", "{error}");
            assert!(error.message().contains("`smtp/db/field` is"), "{error}");
            Err(error.kind())
        }
    }
}

#[test]
fn numbers_are_read_from_text() {
    assert_eq!(value::<u16>("25"), Ok(25));
    assert_eq!(value::<u16>(" 25\r\n"), Ok(25));
    assert_eq!(value::<i8>("-128"), Ok(-128));
    assert_eq!(value::<u64>("18446744073709551615"), Ok(u64::MAX));
    assert_eq!(
        value::<i128>("-170141183460469231731687303715884105728"),
        Ok(i128::MIN)
    );
    assert_eq!(
        value::<u128>("340282366920938463463374607431768211455"),
        Ok(u128::MAX)
    );
    assert!((value::<f64>("2.5e3").unwrap() - 2500.0).abs() < f64::EPSILON);
    assert!((value::<f32>("0.5").unwrap() - 0.5).abs() < f32::EPSILON);
    assert_eq!(value::<usize>("7"), Ok(7));
    assert_eq!(
        (value::<i16>("-1"), value::<i32>("-1"), value::<i64>("-1")),
        (Ok(-1), Ok(-1), Ok(-1))
    );
    assert_eq!((value::<u8>("1"), value::<u32>("1")), (Ok(1), Ok(1)));
}

#[test]
fn s1_what_is_no_number_is_invalid_data_without_the_text() {
    for text in [
        "", " ", "hunter2", "65536", "-1", "1 2", "1.0", "0x10", "\"25\"", "1_000", "25\u{a0}",
    ] {
        assert_eq!(value::<u16>(text), Err(ErrorKind::InvalidData), "{text:?}");
    }
    assert_eq!(value::<f64>("hunter2"), Err(ErrorKind::InvalidData));
    assert_eq!(value::<Option<u16>>("hunter2"), Err(ErrorKind::InvalidData));
}

#[test]
fn booleans_are_true_or_false() {
    assert_eq!((value("true"), value(" false\n")), (Ok(true), Ok(false)));
    for text in ["", "hunter2", "1", "yes", "TRUE", "\"true\""] {
        assert_eq!(value::<bool>(text), Err(ErrorKind::InvalidData), "{text:?}");
    }
}

#[test]
fn unit_enums_are_read_by_name() {
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        Plain,
        StartTls,
        #[serde(rename = "smtps", alias = "tls")]
        Implicit,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    enum Open {
        Known,
        #[serde(other)]
        Other,
    }
    assert_eq!(value("plain"), Ok(Mode::Plain));
    assert_eq!(value("start-tls\n"), Ok(Mode::StartTls));
    assert_eq!(
        (value("smtps"), value("tls")),
        (Ok(Mode::Implicit), Ok(Mode::Implicit))
    );
    for text in ["", "Plain", "hunter2", "0", "{\"plain\":null}"] {
        assert_eq!(value::<Mode>(text), Err(ErrorKind::InvalidData), "{text:?}");
    }
    assert_eq!(
        (value("Known"), value("hunter2")),
        (Ok(Open::Known), Ok(Open::Other))
    );
}

#[test]
fn v3_text_is_kept_as_it_is() {
    for text in ["", " ", "\n", " hunter2\r\n", "e\u{301}", "null", "\"x\""] {
        assert_eq!(value::<String>(text).as_deref(), Ok(text));
        assert_eq!(value::<Option<Box<str>>>(text).unwrap().as_deref(), Some(text));
    }
}

#[test]
fn v4_text_has_to_be_utf_8_and_a_secret_has_not() {
    #[derive(Debug, Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Config<T, U> {
        text: T,
        number: U,
        secret: Secret,
    }
    let setup = Setup::new(&[]);
    for name in ["text", "number", "secret"] {
        setup.store.put(format!("smtp/db/{name}"), b"hunter2\xff");
    }
    let error = setup.load::<Config<String, u8>>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(
        error.message().contains("`smtp/db/text` is not UTF-8 text"),
        "{error}"
    );
    assert!(
        error.message().contains("`smtp/db/number` is not a number"),
        "{error}"
    );
    assert!(!error.message().contains("smtp/db/secret"), "{error}");
    let config: Config<Secret, Option<Secret>> = setup.load().unwrap();
    assert_eq!(config.text.expose_secret(), b"hunter2\xff");
    let error = setup.load::<Config<secrecy::SecretString, Secret>>().unwrap_err();
    assert_eq!(error.secret().unwrap().as_str(), "smtp/db/text");
}

#[test]
fn s1_what_a_type_says_of_a_value_is_dropped() {
    #[derive(Debug)]
    struct Loud;
    impl<'de> Deserialize<'de> for Loud {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            use serde::de::{Error, Unexpected};
            let text = String::deserialize(deserializer)?;
            Err(match text.len() {
                7 => D::Error::custom(&text),
                8 => D::Error::invalid_value(Unexpected::Str(&text), &text.as_str()),
                9 => D::Error::invalid_type(Unexpected::Str(&text), &text.as_str()),
                10 => D::Error::unknown_variant(&text, &[]),
                11 => D::Error::unknown_field(&text, &[]),
                12 => D::Error::invalid_length(7, &text.as_str()),
                13 => D::Error::missing_field("hunter"),
                _ => D::Error::duplicate_field("hunter"),
            })
        }
    }
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "Raw")]
    struct Checked;
    #[derive(Deserialize)]
    struct Raw {
        text: String,
    }
    impl TryFrom<Raw> for Checked {
        type Error = String;
        fn try_from(raw: Raw) -> Result<Self, String> {
            Err(format!("invalid value: string \"{}\"", raw.text))
        }
    }
    #[derive(Debug, Deserialize)]
    #[allow(
        dead_code,
        reason = "serde fills it; the test is about what is missing or refused"
    )]
    struct Config {
        loud: Loud,
        checked: Checked,
        rest: String,
    }
    for more in 0..8 {
        let text = format!("hunter2{}", "x".repeat(more));
        let error = load::<Config>(&[("loud", &text), ("checked/text", "hunter2")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.message().contains("`smtp/db/loud` is refused"), "{error}");
        assert!(
            error.message().contains("`smtp/db/checked` is refused"),
            "{error}"
        );
        assert!(
            error.message().contains("`smtp/db/rest`") || missing(&error).is_empty(),
            "{error}"
        );
    }
}
