//! S1: a canary secret and a canary token show up nowhere.

use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use secrets_core::{ErrorKind, SecretBackend, Version};
use secrets_testkit::Canary;
use secrets_testkit::fakes::vault::{Failure, FakeVault};
use secrets_testkit::wire::{Endpoint, LeakTable, Request, Response};
use secrets_vault::{Auth, Engine, VaultBackend};

use crate::support::read;

/// Everything that can be printed of a thing and of what caused it.
fn printed(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, "{cause} {cause:?} {cause:#?}").unwrap();
        source = cause.source();
    }
    text
}

struct Canaries([Canary; 3]);

impl Canaries {
    fn absent(&self, text: &str) {
        for canary in &self.0 {
            assert_eq!(canary.find_in(text), None, "{text}");
        }
    }

    fn absent_in(&self, thing: &impl Debug) {
        self.absent(&format!("{thing:?} {thing:#?}"));
    }
}

#[tokio::test]
async fn s1_e5_s7_nothing_that_any_answer_says_is_printed() {
    let [value, token, issued, secret_id] = [(); 4].map(|()| Canary::random());
    let table = LeakTable::new([value, token.clone(), issued.clone(), secret_id.clone()])
        .for_version(Version::new("1").unwrap())
        .with_body(
            r#"{"data":{"data":null,"metadata":{"version":1,"deletion_time":"2026-01-02T03:04:05Z","CANARY":"CANARY"}}}"#,
        )
        .with_body(r#"{"errors":["CANARY","invalid token CANARY"],"warnings":["CANARY"],"request_id":"x"}"#)
        .with_body(r#"{"data":{"data":{"value":"CANARY"},"metadata":{"version":1}}}"#)
        .with_body(r#"{"data":{"data":"CANARY","metadata":{"version":"CANARY"}}}"#)
        .with_body(r#"{"data":{"data":{"value":"CANARY\ud800"},"metadata":{"version":1}}}"#)
        .with_body(r#"{"data":{"data":{"value":"CANARY"}"#)
        .with_body(r#"{"auth":{"client_token":"CANARY","lease_duration":"CANARY"}}"#);
    // With a token that is given, whose look-up succeeds; and with one that a login brings, or does not.
    let looked_up = |request: &Request| {
        let body = r#"{"data":{"ttl":0,"renewable":false,"type":"service"}}"#;
        (request.uri().path() == "/v1/auth/token/lookup-self").then(|| Response::new(body.into()))
    };
    let login = format!(
        r#"{{"auth":{{"client_token":"{}","lease_duration":3600,"renewable":true,"token_type":"service"}}}}"#,
        issued.expose()
    );
    let logged_in = move |request: &Request| {
        (request.uri().path() == "/v1/auth/approle/login").then(|| Response::new(login.clone().into()))
    };
    let build = |endpoint: &Endpoint, auth: Auth| {
        let builder = VaultBackend::builder(&endpoint.url).ca_pem(endpoint.ca_pem.as_str());
        Ok(Arc::new(builder.auth(auth).build()?) as Arc<dyn SecretBackend>)
    };
    let by_token = |endpoint: &Endpoint| build(endpoint, Auth::token(token.expose()));
    let by_role = |endpoint: &Endpoint| build(endpoint, Auth::app_role("role", secret_id.expose()));
    let mut kinds = table.check(by_token, looked_up).await.unwrap();
    kinds.extend(table.check(by_role, logged_in).await.unwrap());
    kinds.extend(table.check(by_role, |_: &Request| None).await.unwrap());
    kinds.sort_by_key(|kind| format!("{kind:?}"));
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            ErrorKind::FieldNotFound,
            ErrorKind::InvalidConfig,
            ErrorKind::InvalidData,
            ErrorKind::NotFound,
            ErrorKind::PermissionDenied,
            ErrorKind::RateLimited,
            ErrorKind::Timeout,
            ErrorKind::Unauthenticated,
            ErrorKind::Unavailable,
            ErrorKind::Unsupported,
            ErrorKind::VersionNotFound,
        ]
    );
}

#[tokio::test]
async fn s1_no_login_shows_its_credentials() {
    let [token, jwt, secret_id] = [(); 3].map(|()| Canary::random());
    let canaries = Canaries([token.clone(), jwt.clone(), secret_id.clone()]);
    let vault = FakeVault::builder().token_prefix(token.expose()).start().unwrap();
    vault.admin("POST", "auth/approle/role/app", r#"{"token_ttl":"1h"}"#);
    let wrapped = vault.admin_wrapped(
        "POST",
        "auth/approle/role/app/secret-id",
        "{}",
        std::time::Duration::from_secs(60),
    );
    let ways = || {
        [
            Auth::app_role("role-id-app", secret_id.expose()),
            Auth::app_role_wrapped("role-id-app", wrapped.clone()),
            Auth::jwt(Some("app".into()), jwt.expose()),
            Auth::kubernetes_with("app", jwt.expose()),
            Auth::token(format!("hvs.{}wrong", token.expose())),
        ]
    };
    let echo = format!(
        r#"{{"errors":["{} {}"],"auth":{{"client_token":{{"{}":1}}}}}}"#,
        secret_id.expose(),
        jwt.expose(),
        token.expose()
    );
    for status in [0, 200, 400, 403, 404, 500] {
        if status > 0 {
            vault.fail(Failure::new("", status).body(echo.clone()));
        }
        for auth in ways() {
            canaries.absent_in(&auth);
            let builder = VaultBackend::builder(vault.address())
                .ca_pem(vault.ca_pem())
                .auth(auth);
            canaries.absent_in(&builder);
            let backend = builder.build().unwrap();
            let outcome = read(&backend, "a").await;
            canaries.absent(&outcome.map(drop).map_err(|error| printed(&error)).unwrap_err());
            canaries.absent_in(&backend);
        }
        vault.heal();
    }
}

#[tokio::test]
async fn s1_leases_do_not_show_their_credentials() {
    let vault = FakeVault::builder().start().unwrap();
    vault.admin("POST", "sys/mounts/db", r#"{"type":"database"}"#);
    vault.admin("POST", "db/roles/app", r#"{"default_ttl":"1h"}"#);
    let backend = VaultBackend::builder(vault.address())
        .ca_pem(vault.ca_pem())
        .mount("db")
        .engine(Engine::Dynamic)
        .token(vault.root_token().to_owned())
        .build()
        .unwrap();
    let secret = read(&backend, "creds/app").await.unwrap();
    let text = format!("{secret:?} {backend:#?}");
    assert!(
        !text.contains("password-1") && !text.contains("v-app-1"),
        "{text}"
    );
    assert!(
        !text.contains("db/creds/app/0"),
        "who knows the id of a lease can end it: {text}"
    );
    assert!(
        format!("{:?}", vault.live_leases()).contains("db/creds/app/0"),
        "that is how it looks"
    );
}
