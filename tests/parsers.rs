//! No text, however malformed, makes a parser panic, and each refusal is clear and gives nothing away (law L5).
//!
//! A million cases in all, made of the pieces that mean something to the parsers; what they are made of counts for more
//! than their number.

use proptest::prelude::*;
use proptest::sample::select;
use secrets::{Error, ErrorKind, SecretName, SecretRef, open};

/// Stands for a credential in the wrong place.
const CANARY: &str = "hunter2";

const PIECES: &[&str] = &[
    CANARY,
    "hunter2",
    "a",
    "A",
    "é",
    "e\u{301}",
    "𝔰",
    "ת",
    "0",
    "1",
    " ",
    "\0",
    "\n",
    "\u{7f}",
    "\u{85}",
    "/",
    "//",
    "///",
    "\\",
    ".",
    "..",
    ":",
    ";",
    ",",
    "?",
    "??",
    "#",
    "%",
    "%2",
    "%2F",
    "%20",
    "%00",
    "%ff",
    "%C3",
    "%A9",
    "%zz",
    "@",
    "+",
    "&",
    "=",
    "*",
    "[",
    "]",
    "`",
    "\"",
    "version=",
    "?version=",
    "env",
    "env:",
    "env://",
    ",env:",
    "file",
    "file:",
    "file:///",
    ",file:",
    "vault:",
    "localhost",
    "prefix",
    "prefix=",
    "?prefix=",
    "&prefix=",
    "allow=",
    "&allow=",
    "layout=",
    "flat",
    "extension=",
    "base=",
    "trim=never",
    "max_size=",
    "optional_root=",
    "true",
    "ttl",
    "ttl=",
    "?ttl=",
    "&timeout=",
    "attempts=",
    "concurrency=",
    "60s",
    "5m",
    "ms",
    "18446744073709551616",
    "-1",
    "token=",
    "?token=",
    "%74oken=",
    "password=",
];

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(PIECES), 0..8).prop_map(|pieces| pieces.concat())
}

/// Begins like a URI more often than not, so that what lies behind the scheme is reached.
fn uri() -> impl Strategy<Value = String> {
    (
        select(
            &[
                "",
                "env:",
                "env:?",
                "env://?",
                "file:///",
                "file:///a?",
                "env:,file:///a?",
            ][..],
        ),
        text(),
    )
        .prop_map(|(start, rest)| format!("{start}{rest}"))
}

fn gives_nothing_away(error: &Error) -> bool {
    !error.to_string().contains(CANARY) && !error.message().is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 340_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn l5_any_uri_is_opened_or_refused(uri in uri()) {
        if let Err(error) = open(&uri) {
            let kind = error.kind();
            prop_assert!(matches!(kind, ErrorKind::InvalidConfig | ErrorKind::Unsupported), "{}", error);
            prop_assert!(gives_nothing_away(&error), "{}", error);
        }
    }

    #[test]
    fn l5_any_name_is_kept_or_refused(name in text()) {
        let refused = |c: char| "\\%?#".contains(c) || c.is_control();
        let fine = name.len() <= SecretName::MAX_LEN
            && name.split('/').all(|segment| !["", ".", ".."].contains(&segment))
            && !name.contains(refused);
        match SecretName::new(&name) {
            Ok(kept) => prop_assert!(fine && kept.as_str() == name),
            Err(error) => prop_assert!(!fine && error.kind() == ErrorKind::InvalidName),
        }
    }

    #[test]
    fn l5_any_reference_is_kept_or_refused(reference in text()) {
        match SecretRef::parse(&reference) {
            Ok(kept) => {
                prop_assert_eq!(kept.to_string(), &*reference);
                prop_assert!(SecretName::new(kept.name()).is_ok());
            }
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::InvalidName),
        }
    }
}

proptest! {
    // Characters at random seldom get far; they are here for those that no piece has.
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn l5_any_characters_are_no_uri_or_one(uri in "\\PC{0,24}|(env|file):[ -~]{0,24}") {
        if let Err(error) = open(&uri) {
            prop_assert!(matches!(error.kind(), ErrorKind::InvalidConfig | ErrorKind::Unsupported), "{}", error);
        }
    }
}
