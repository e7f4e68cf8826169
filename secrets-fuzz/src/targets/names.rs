//! Names, references, and the variables that names stand for.

use std::cell::LazyCell;

use secrets::env::{EnvBackend, Variables};
use secrets::{ErrorKind, ReadRequest, SecretBackend as _, SecretName, SecretRef};

use crate::script::runtime;
use crate::{CANARY, law};

/// What a name may be, written down once more.
fn may_be_a_name(text: &str) -> bool {
    text.len() <= SecretName::MAX_LEN
        && text.split('/').all(|segment| !["", ".", ".."].contains(&segment))
        && !text.contains(|c: char| "\\%?#".contains(c) || c.is_control())
}

/// A name is kept as it is, or refused.
pub(crate) fn names(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match SecretName::new(&*text) {
        Ok(name) => {
            assert!(may_be_a_name(&text), "it is no name: {text:?}");
            assert_eq!(name.as_str(), text);
        }
        Err(error) => {
            assert!(!may_be_a_name(&text), "it is a name: {error}");
            assert_eq!(error.kind(), ErrorKind::InvalidName);
        }
    }
}

/// A reference reads back as it was written, or is refused.
pub(crate) fn references(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match text.parse::<SecretRef>() {
        Ok(reference) => {
            assert_eq!(reference.to_string(), text, "another reference");
            assert!(
                may_be_a_name(reference.name().as_ref()),
                "it is no name: {text:?}"
            );
            assert_eq!(reference.to_string().parse::<SecretRef>().ok(), Some(reference));
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidName),
    }
}

/// The name of a variable is that of a secret or of none; a name has one variable or none.
pub(crate) fn variables(input: &[u8]) {
    thread_local! {
        static RUNTIME: LazyCell<tokio::runtime::Runtime> = const { LazyCell::new(runtime) };
    }
    let text = String::from_utf8_lossy(input).replace(['\0', '='], "");
    // A name may be printed.
    if text.contains(CANARY) {
        return;
    }
    let prefixed = format!("APP_{text}");
    let backend = |prefix: &str| {
        let variables = Variables::from([(prefixed.as_str(), CANARY), ("APP_SMTP_API_KEY", CANARY)]);
        EnvBackend::builder().prefix(prefix).source(variables).build()
    };
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let backend = backend("APP_").expect("it is a prefix");
            let listed = backend.list(None).await.expect("a prefix can be listed");
            for name in &listed {
                let found = law::fetched(backend.get(ReadRequest::new(name)).await);
                let found = found.unwrap_or_else(|| panic!("{name} is listed and not there"));
                assert_eq!(found.expose_secret(), CANARY.as_bytes());
                let parent = SecretName::new(name.as_str().split('/').next().unwrap_or_default());
                let below = backend
                    .list(parent.ok().as_ref())
                    .await
                    .expect("a name can be listed");
                assert!(below.contains(name), "{name} is not below its own beginning");
            }
            if let Ok(name) = SecretName::new(&text) {
                match backend.get(ReadRequest::new(&name)).await {
                    Ok(found) => {
                        let found = law::fetched(Ok(found)).expect("it is a value");
                        assert_eq!(found.expose_secret(), CANARY.as_bytes());
                    }
                    Err(error) => law::one_of(&[ErrorKind::InvalidName, ErrorKind::NotFound], &error),
                }
            }
        });
    });
    if let Err(error) = backend(&text) {
        law::one_of(&[ErrorKind::InvalidConfig], &error);
    }
}
