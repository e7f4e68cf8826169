//! Fields of documents, and types loaded from them.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::SecretString;
use secrets::{
    Capabilities, ConfigSecretLoader, ErrorKind, Fetched, ReadRequest, Secret, SecretBackend, SecretManager,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::script::runtime;
use crate::{CANARY, law};

/// The members of a JSON object: the text of a document that is one.
#[allow(clippy::zero_sized_map_values, reason = "a set is no JSON object to serde")]
fn members(document: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(document).ok()?;
    let members = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(text).ok()?;
    Some(members.into_keys().collect())
}

/// A field is what the reference parser finds. The input is a document; or a field, a line end, and a document.
pub(crate) fn fields(input: &[u8]) {
    let (asked, document) = match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (&b"password"[..], input),
    };
    let asked = String::from_utf8_lossy(asked);
    // The name of a field may be printed.
    let asked = if asked.contains(CANARY) {
        "password".into()
    } else {
        asked
    };
    for document in [document, input] {
        let secret = Secret::copy_from(document);
        let members = members(document);
        let whole = serde_json::from_slice::<BTreeMap<String, Value>>(document);
        for field in [&*asked, "a/b", "/a/b/2/c", ""] {
            let found = match secret.field(field) {
                Ok(found) => found,
                Err(error) => {
                    law::one_of(&[ErrorKind::FieldNotFound, ErrorKind::InvalidData], &error);
                    let missing = error.kind() == ErrorKind::FieldNotFound;
                    assert!(!missing || members.is_some(), "what is no object lacks {field:?}");
                    let known = members.iter().flatten().any(|member| member == field);
                    assert!(!(known && missing), "{field:?} is there: {error}");
                    continue;
                }
            };
            assert!(members.is_some(), "a field of what is no object");
            law::secret(&found);
            let Ok(whole) = &whole else { continue };
            let pointed = || {
                let (first, rest) = field
                    .strip_prefix('/')?
                    .split_once('/')
                    .unwrap_or((&field[1..], ""));
                let first = whole.get(&first.replace("~1", "/").replace("~0", "~"))?;
                if rest.is_empty() && !field[1..].contains('/') {
                    return Some(first);
                }
                first.pointer(&format!("/{rest}"))
            };
            let expected = whole
                .get(field)
                .or_else(pointed)
                .expect("the reference parser finds it, too");
            match expected {
                Value::String(text) => assert_eq!(found.expose_secret(), text.as_bytes()),
                // Numbers keep their digits, which the reference parser does not.
                Value::Number(_) => {
                    assert!(serde_json::from_slice::<IgnoredAny>(found.expose_secret()).is_ok());
                }
                other => assert_eq!(
                    serde_json::from_slice::<Value>(found.expose_secret())
                        .ok()
                        .as_ref(),
                    Some(other)
                ),
            }
        }
    }
}

#[derive(Debug, Default)]
struct Holding(Mutex<Vec<u8>>);

#[async_trait::async_trait]
impl SecretBackend for Holding {
    fn name(&self) -> &'static str {
        "holding"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
    }

    async fn get(&self, _: ReadRequest<'_>) -> secrets::Result<Fetched> {
        let document = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Secret::copy_from(&document).into())
    }

    async fn check(&self) -> secrets::Result<()> {
        Ok(())
    }
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "what is loaded is dropped")]
struct Database {
    host: String,
    port: Option<u16>,
    password: SecretString,
    #[serde(default)]
    mode: Mode,
    tls: Option<Tls>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    ReadOnly,
    ReadWrite,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "what is loaded is dropped")]
struct Tls {
    ca: Vec<String>,
    verify: bool,
    #[serde(flatten)]
    rest: BTreeMap<String, f64>,
}

/// A type is loaded from a document as serde would load it, or not at all.
pub(crate) fn typed(input: &[u8]) {
    struct Kept {
        runtime: tokio::runtime::Runtime,
        holding: Arc<Holding>,
        secrets: SecretManager,
    }
    thread_local! {
        static KEPT: LazyCell<Kept> = const { LazyCell::new(|| {
            let holding = Arc::new(Holding::default());
            let secrets = SecretManager::builder(holding.clone());
            Kept {
                runtime: runtime(),
                holding,
                secrets: secrets.ttl(std::time::Duration::ZERO).build().expect("it caches nothing"),
            }
        }) };
    }
    KEPT.with(|kept| {
        input.clone_into(&mut kept.holding.0.lock().unwrap_or_else(PoisonError::into_inner));
        let app = ConfigSecretLoader::new(&kept.secrets, "app");
        let object = input.trim_ascii_start().first() == Some(&b'{');
        let check =
            |loaded: Result<(), secrets::Error>, reference: Result<(), serde_json::Error>| match loaded {
                Ok(()) => assert!(object && reference.is_ok(), "a type out of something else"),
                Err(error) => {
                    law::one_of(&[ErrorKind::InvalidData], &error);
                    assert!(!(object && reference.is_ok()), "it can be loaded: {error}");
                }
            };
        let loaded = kept.runtime.block_on(app.load_as::<Database>("database"));
        check(
            loaded.map(drop),
            serde_json::from_slice::<Database>(input).map(drop),
        );
        let loaded = kept
            .runtime
            .block_on(app.load_as::<BTreeMap<String, Option<i64>>>("database"));
        let reference = serde_json::from_slice::<BTreeMap<String, Option<i64>>>(input);
        check(loaded.map(drop), reference.map(drop));
    });
}
