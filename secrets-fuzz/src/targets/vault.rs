//! Whatever Vault, or what stands in front of it, may answer.

use std::sync::Mutex;

use secrets::vault::{Engine, VaultBackend};
use secrets::{FakeClock, ReadRequest, SecretBackend as _, SecretName};
use secrets_testkit::wire::HttpServer;
use serde_json::Value;

use super::{HOUR, long_after};
use crate::law;
use crate::script::{Answer, Kept, Script, runtime};

struct Vault {
    runtime: tokio::runtime::Runtime,
    script: Script,
    clock: FakeClock,
    backends: Vec<(Option<&'static str>, VaultBackend)>,
    server: HttpServer,
}

/// Any answer is a whole value or an error.
pub(crate) fn answers(input: &[u8]) {
    static VAULT: Kept<Vault> = Kept::new(|| {
        let script = Script::default();
        let server = script.serve(HttpServer::builder(), |request| {
            let own = request.uri().path() == "/v1/auth/token/lookup-self";
            own.then(|| Answer::ok(r#"{"data":{"ttl":0}}"#))
        });
        let backend = |(whole, engine)| {
            let builder = VaultBackend::builder(server.url()).token("t").engine(engine);
            (
                whole,
                builder.timeout(HOUR).build().expect("the options are fine"),
            )
        };
        let backends = [
            (Some("/data"), Engine::Kv1),
            (Some("/data/data"), Engine::Kv2),
            (Some("/data"), Engine::Dynamic),
            (None, Engine::Detect),
        ];
        Mutex::new(Vault {
            runtime: runtime(),
            clock: FakeClock::new(),
            backends: backends.map(backend).into(),
            script,
            server,
        })
    });
    let vault = VAULT.get();
    if !vault.script.load(input) {
        return;
    }
    let name = SecretName::new("app/secret").expect("it is a name");
    for (whole, backend) in &vault.backends {
        vault.script.load(input);
        let outcome = vault.runtime.block_on(backend.get(ReadRequest::new(&name)));
        if let Some(secret) = law::fetched(outcome) {
            let document = vault.script.document_of_a_value();
            let told = whole.and_then(|whole| document.as_ref()?.pointer(whole));
            if let Some(Value::Object(members)) = told {
                for (member, value) in members {
                    let field = secret.field(member).expect("it was sent");
                    match value {
                        Value::String(text) => assert_eq!(field.expose_secret(), text.as_bytes()),
                        _ => assert!(serde_json::from_slice::<Value>(field.expose_secret()).is_ok()),
                    }
                }
                let object = serde_json::from_slice::<Value>(secret.expose_secret());
                assert!(
                    object.is_ok() || members.len() == 1,
                    "what was sent is no JSON any more"
                );
            }
        }
        vault.script.load(input);
        law::outcome(vault.runtime.block_on(backend.list(None)));
        law::prints_nothing(backend);
    }
    vault.server.forget_requests();
}

/// Any answer to a login is a token or an error.
pub(crate) fn logins(input: &[u8]) {
    static VAULT: Kept<Vault> = Kept::new(|| {
        let script = Script::default();
        let server = script.serve(HttpServer::builder(), |request| {
            let read = request.uri().path().starts_with("/v1/secret/");
            read.then(|| Answer::ok(r#"{"data":{"value":"plain"}}"#))
        });
        let clock = FakeClock::new();
        let builder = || {
            VaultBackend::builder(server.url())
                .engine(Engine::Kv1)
                .timeout(HOUR)
                .login_timeout(HOUR)
                .shutdown_timeout(HOUR)
                .clock(clock.clone())
        };
        let built = [builder().app_role("role", "secret"), builder().token("t")];
        Mutex::new(Vault {
            runtime: runtime(),
            backends: built
                .map(|builder| (None, builder.build().expect("the options are fine")))
                .into(),
            script,
            clock: clock.clone(),
            server,
        })
    });
    let vault = VAULT.get();
    let name = SecretName::new("app/secret").expect("it is a name");
    for (_, backend) in &vault.backends {
        let telling = vault.script.load(input);
        long_after(&vault.clock);
        let outcome = vault.runtime.block_on(backend.get(ReadRequest::new(&name)));
        vault.server.forget_requests();
        if !telling {
            continue;
        }
        law::prints_nothing(backend);
        if let Some(secret) = law::fetched(outcome) {
            assert_eq!(secret.expose_secret(), b"plain");
        }
    }
}
