//! Names, references, URIs, fields, variables: text that the application, its configuration and its store give.

use std::collections::BTreeMap;

use proptest::prelude::*;
use secrets::env::{EnvBackend, Variables};
use secrets::{Error, ErrorKind, Fetched, ReadRequest, Secret, SecretBackend as _, SecretName, SecretRef};
use secrets_fuzz::{CANARY, cases, mangled, mangled_text};
use serde::de::IgnoredAny;
use serde_json::Value;

fn gives_nothing_away(error: &Error) -> bool {
    !format!("{error} {error:?}").contains(CANARY) && !error.message().is_empty()
}

/// The keys of a JSON object.
#[allow(clippy::zero_sized_map_values, reason = "a set is no JSON object to serde")]
fn members(bytes: &[u8]) -> Option<Vec<String>> {
    let members = serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(bytes).ok()?;
    Some(members.into_keys().collect())
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn l5_any_name_is_kept_or_refused(text in mangled_text("names")) {
        match SecretName::new(text.as_str()) {
            Ok(name) => prop_assert_eq!(name.as_str(), text),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::InvalidName),
        }
    }

    #[test]
    fn l5_any_reference_reads_back_as_it_was_written(text in mangled_text("names")) {
        match text.parse::<SecretRef>() {
            Ok(reference) => {
                let again = reference.to_string().parse::<SecretRef>();
                prop_assert_eq!(again.ok(), Some(reference));
            }
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::InvalidName),
        }
    }

    #[test]
    fn l5_any_uri_is_a_backend_or_refused(uri in mangled_text("uris")) {
        if let Err(error) = secrets::open(&uri) {
            let kind = error.kind();
            prop_assert!(matches!(kind, ErrorKind::InvalidConfig | ErrorKind::Unsupported), "{error}");
            prop_assert!(gives_nothing_away(&error), "{error}");
        }
    }

    #[test]
    fn j1_j5_a_field_is_what_the_reference_parser_finds(bytes in mangled("fields"), field in mangled_text("names")) {
        let secret = Secret::new(bytes.clone());
        // What is passed over need not be well-formed text, as long as it is JSON around it.
        let members = members(&bytes);
        let whole = serde_json::from_slice::<BTreeMap<String, Value>>(&bytes);
        for field in [field.as_str(), "password", "a/b", "/a/b/2/c", "s", ""] {
            match secret.field(field) {
                Ok(found) => {
                    prop_assert!(members.is_some(), "a field of what is no object");
                    if let Some(Value::String(text)) = whole.as_ref().ok().and_then(|whole| whole.get(field)) {
                        prop_assert_eq!(found.expose_secret(), text.as_bytes());
                    }
                }
                Err(error) => {
                    prop_assert!(gives_nothing_away(&error), "{error}");
                    let known = members.as_ref().is_some_and(|members| members.iter().any(|member| member == field));
                    prop_assert!(!known || error.kind() != ErrorKind::FieldNotFound, "{field:?} is there: {error}");
                }
            }
        }
    }

    #[test]
    fn n4_l5_any_name_has_one_variable_or_none(text in mangled_text("names")) {
        let Ok(name) = SecretName::new(text.as_str()) else { return Ok(()) };
        let variables = Variables::from([("APP_SMTP_DATABASE_PASSWORD", CANARY), ("APP_KEY", CANARY)]);
        let backend = EnvBackend::builder().prefix("APP_").source(variables).build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        match runtime.block_on(backend.get(ReadRequest::new(&name))) {
            Ok(Fetched::Value(secret)) => prop_assert_eq!(secret.expose_secret(), CANARY.as_bytes()),
            Ok(_) => return Err(TestCaseError::fail("a value was to be read")),
            Err(error) => {
                prop_assert!(matches!(error.kind(), ErrorKind::InvalidName | ErrorKind::NotFound), "{error}");
                prop_assert!(gives_nothing_away(&error), "{error}");
            }
        }
    }
}
