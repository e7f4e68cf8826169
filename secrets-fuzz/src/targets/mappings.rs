//! What a name is called in each store: it asks for itself and nothing else, or is refused before anything is asked.

use std::sync::Mutex;

use secrets::azure::AzureBackend;
use secrets::k8s::K8sApiBackend;
use secrets::vault::{Engine, VaultBackend};
use secrets::{ErrorKind, ReadRequest, SecretBackend, SecretName};
use secrets_testkit::wire::HttpServer;
use serde_json::Value;

use super::{HOUR, aws, azure};
use crate::script::{Answer, Kept, Script, runtime};
use crate::{CANARY, law};

struct Stores {
    runtime: tokio::runtime::Runtime,
    script: Script,
    server: HttpServer,
    secrets_manager: secrets::aws::SecretsManagerBackend,
    parameter_store: secrets::aws::ParameterStoreBackend,
    vault: VaultBackend,
    k8s: K8sApiBackend,
    azure: (azure::Vault, AzureBackend),
}

/// What a path says, once its escapes are read.
fn unescaped(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| std::str::from_utf8(after.get(..2)?).ok());
        let escaped = escaped.flatten().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).expect("a path is text")
}

/// What was asked when a name was read that its store has not.
fn asked(
    runtime: &tokio::runtime::Runtime,
    script: &Script,
    backend: &dyn SecretBackend,
    name: &SecretName,
) -> Option<String> {
    script.load(b"404\n\n{}");
    let outcome = runtime.block_on(backend.get(ReadRequest::new(name)));
    let error = outcome.expect_err("there is nothing");
    law::error(&error);
    let asked = script.take_asked().into_iter().next();
    assert_eq!(
        asked.is_none(),
        error.kind() == ErrorKind::InvalidName,
        "{name:?} was refused, and asked for: {error}"
    );
    asked
}

/// The member of a request's JSON.
fn member(asked: &str, member: &str) -> String {
    let asked: Value = serde_json::from_str(asked).expect("a request is JSON");
    asked[member]
        .as_str()
        .expect("it names what it asks for")
        .to_owned()
}

/// A name asks for itself, or is refused.
pub(crate) fn mappings(input: &[u8]) {
    static STORES: Kept<Stores> = Kept::new(|| {
        let script = Script::default();
        let server = script.serve(HttpServer::builder(), |request| {
            let own = request.uri().path() == "/v1/auth/token/lookup-self";
            own.then(|| Answer::ok(r#"{"data":{"ttl":0}}"#))
        });
        let vault = VaultBackend::builder(server.url()).token("t").engine(Engine::Kv2);
        let k8s = K8sApiBackend::server(server.url()).namespace("app");
        let azure = azure::usual();
        let backend = azure.backend();
        Mutex::new(Stores {
            runtime: runtime(),
            secrets_manager: aws::secrets_manager(&script),
            parameter_store: aws::parameter_store(&script),
            vault: vault.timeout(HOUR).build().expect("the options are fine"),
            k8s: k8s
                .token("t".to_owned())
                .timeout(HOUR)
                .build()
                .expect("the options are fine"),
            azure: (azure, backend),
            script,
            server,
        })
    });
    let Ok(name) = SecretName::new(String::from_utf8_lossy(input)) else {
        return;
    };
    // A name may be printed.
    if name.as_str().contains(CANARY) {
        return;
    }
    let stores = STORES.get();
    let text = name.as_str();
    let ask = |backend: &dyn SecretBackend| asked(&stores.runtime, &stores.script, backend, &name);
    if let Some(asked) = ask(&stores.secrets_manager) {
        assert_eq!(member(&asked, "SecretId"), text);
    }
    if let Some(asked) = ask(&stores.parameter_store) {
        let own = member(&asked, "Name");
        assert!(
            own == format!("/{text}") || (own == text && text.starts_with("arn:")),
            "{own}"
        );
    }
    if let Some(asked) = ask(&stores.vault) {
        let (path, query) = asked.split_once('?').unwrap_or((&asked, ""));
        assert_eq!(
            (unescaped(path).as_str(), query),
            (format!("/v1/secret/data/{text}").as_str(), "")
        );
        assert_eq!(path.split('/').count(), 4 + name.segments().count(), "{path}");
    }
    if let Some(asked) = ask(&stores.k8s) {
        let (path, _) = asked.split_once('?').unwrap_or((&asked, ""));
        let own = path
            .strip_prefix("/api/v1/namespaces/app/secrets/")
            .expect("it is below");
        let segments: Vec<_> = name.segments().collect();
        let secret = match segments.as_slice() {
            [whole] => (*whole).to_owned(),
            [secret @ .., _] => secret.join("-"),
            [] => unreachable!("a name has a segment"),
        };
        assert_eq!(own, secret);
    }
    let (vault, backend) = &stores.azure;
    if let Some(asked) = asked(&vault.runtime, &vault.script, backend, &name) {
        let (path, _) = asked.split_once('?').unwrap_or((&asked, ""));
        let own = path
            .trim_end_matches('/')
            .strip_prefix("/secrets/")
            .expect("it is below");
        assert_eq!(own, text.replace('/', "--"));
    }
    vault.server.forget_requests();
    stores.server.forget_requests();
}
