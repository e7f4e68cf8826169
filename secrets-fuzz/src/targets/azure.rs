//! What Key Vault answers, and what issues its tokens, through TLS.

use std::sync::Mutex;

use secrets::azure::{Auth, AzureBackend, AzureBuilder};
use secrets::{FakeClock, ReadRequest, SecretBackend as _, SecretName, Version};
use secrets_testkit::wire::{HttpServer, Request, TestCa};

use super::{HOUR, long_after};
use crate::law;
use crate::script::{Answer, Kept, Script, runtime};

const HOST: &str = "myvault.vault.azure.net";
const AUTHORITY: &str = "login.microsoftonline.com";
const TENANT: &str = "7b795fb9-09d3-42f4-a494-38864f99ba3c";
const VERSION: &str = "0123456789abcdef0123456789abcdef";

pub(super) struct Vault {
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) script: Script,
    clock: FakeClock,
    builder: fn(&Self) -> AzureBuilder,
    ca: TestCa,
    pub(super) server: HttpServer,
}

fn host(request: &Request) -> &str {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok());
    host.unwrap_or_default().split(':').next().unwrap_or_default()
}

/// What a vault answers to whoever has no token.
fn challenge(request: &Request) -> Option<Answer> {
    if host(request) != HOST || request.headers().contains_key("authorization") {
        return None;
    }
    let challenge =
        format!(r#"Bearer authorization="https://{AUTHORITY}/{TENANT}", resource="https://vault.azure.net""#);
    Some(Answer {
        status: 401,
        headers: vec![("www-authenticate".to_owned(), challenge.into_bytes())],
        body: Vec::new(),
    })
}

fn token(request: &Request) -> Option<Answer> {
    (host(request) == AUTHORITY).then(|| {
        Answer::ok(
            r#"{"token_type":"Bearer","expires_in":86399,"ext_expires_in":86399,"access_token":"token"}"#,
        )
    })
}

impl Vault {
    pub(super) fn new(fixed: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let ca = TestCa::new();
        let script = Script::default();
        let server = HttpServer::builder().tls(ca.issue([HOST, AUTHORITY]).server_config());
        Self {
            runtime: runtime(),
            server: script.serve(server, fixed),
            script,
            clock: FakeClock::new(),
            builder: |vault| {
                AzureBackend::builder(HOST)
                    .ca_pem(vault.ca.pem())
                    .resolve(HOST, vault.server.address())
                    .resolve(AUTHORITY, vault.server.address())
                    .auth(Auth::client_secret(
                        TENANT,
                        "11111111-2222-4333-8444-555555555555",
                        "secret",
                    ))
                    .timeout(HOUR)
                    .login_timeout(HOUR)
                    .clock(vault.clock.clone())
            },
            ca,
        }
    }

    pub(super) fn backend(&self) -> AzureBackend {
        (self.builder)(self).build().expect("the options are fine")
    }
}

/// The vault with its usual challenge and tokens.
pub(super) fn usual() -> Vault {
    Vault::new(|request| challenge(request).or_else(|| token(request)))
}

/// Any answer of a vault is a whole value or an error.
pub(crate) fn answers(input: &[u8]) {
    static VAULT: Kept<(Vault, AzureBackend)> = Kept::new(|| {
        let vault = usual();
        let backend = vault.backend();
        Mutex::new((vault, backend))
    });
    let kept = VAULT.get();
    let (vault, backend) = &*kept;
    if !vault.script.load(input) {
        return;
    }
    let name = SecretName::new("smtp/database").expect("it is a name");
    let version = Version::new(VERSION).expect("it is a version");
    vault.runtime.block_on(async {
        for request in [
            ReadRequest::new(&name),
            ReadRequest::new(&name).with_version(&version),
        ] {
            vault.script.load(input);
            let Some(secret) = law::fetched(backend.get(request).await) else {
                continue;
            };
            if let Some(document) = vault.script.document_of_a_value() {
                let told = document.get("value").and_then(|value| value.as_str());
                assert_eq!(
                    Some(secret.expose_secret()),
                    told.map(str::as_bytes),
                    "another value"
                );
            }
        }
        vault.script.load(input);
        law::outcome(backend.list(None).await);
        vault.script.load(input);
        law::outcome(backend.check().await);
    });
    vault.server.forget_requests();
    law::prints_nothing(backend);
}

/// Any challenge is met with a token for this vault, or refused.
pub(crate) fn challenges(input: &[u8]) {
    static VAULT: Kept<Vault> = Kept::new(|| Mutex::new(Vault::new(token)));
    let vault = VAULT.get();
    if !vault.script.load(input) {
        return;
    }
    let backend = vault.backend();
    let name = SecretName::new("smtp/database").expect("it is a name");
    let outcome = vault.runtime.block_on(backend.get(ReadRequest::new(&name)));
    vault.server.forget_requests();
    if law::fetched(outcome).is_some() {
        vault.script.document_of_a_value();
    }
}

/// Any answer of an issuer is a token or an error.
pub(crate) fn logins(input: &[u8]) {
    static VAULT: Kept<(Vault, Vec<AzureBackend>)> = Kept::new(|| {
        let vault = Vault::new(|request| {
            challenge(request).or_else(|| {
                let secret = format!(r#"{{"value":"plain","id":"https://{HOST}/secrets/a/{VERSION}"}}"#);
                (host(request) == HOST).then(|| Answer::ok(secret))
            })
        });
        let managed = (vault.builder)(&vault)
            .auth(Auth::managed_identity())
            .imds_endpoint(format!("https://{AUTHORITY}"));
        let backends = vec![vault.backend(), managed.build().expect("the options are fine")];
        Mutex::new((vault, backends))
    });
    let kept = VAULT.get();
    let (vault, backends) = &*kept;
    let name = SecretName::new("a").expect("it is a name");
    for backend in backends {
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
            assert!(
                vault.script.last().is_some_and(|issued| issued.status / 100 == 2),
                "a token out of a failure"
            );
        }
    }
}
