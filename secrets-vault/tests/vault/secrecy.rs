//! S1: a canary secret and a canary token show up nowhere.

use std::fmt::{Debug, Write as _};

use secrets_core::{ErrorKind, SecretBackend};
use secrets_testkit::Canary;
use secrets_testkit::fakes::vault::{Failure, FakeVault};
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
async fn s1_no_error_of_any_kind_shows_a_value_or_a_token() {
    let [value, token, secret_id] = [(); 3].map(|()| Canary::random());
    let vault = FakeVault::builder().token_prefix(token.expose()).start().unwrap();
    vault.put("secret", "a", &format!(r#"{{"value":"{}"}}"#, value.expose()));
    let canaries = Canaries([value.clone(), token.clone(), secret_id.clone()]);
    let backend = VaultBackend::builder(vault.address())
        .ca_pem(vault.ca_pem())
        .token(vault.root_token().to_owned())
        .build()
        .unwrap();
    let secret = read(&backend, "a").await.unwrap();
    assert_eq!(secret.expose_secret(), value.expose().as_bytes());
    canaries.absent_in(&backend);
    canaries.absent_in(&secret);
    let echo = format!("{} {}", value.expose(), vault.root_token());
    let mut kinds = Vec::new();
    let statuses = [
        200, 204, 307, 400, 401, 403, 404, 405, 408, 412, 413, 418, 429, 472, 473, 500, 501, 502, 503, 504,
        599,
    ];
    let bodies = [
        echo.clone(),
        format!(r#"{{"errors":["{echo}","invalid token {echo}"],"warnings":["{echo}"],"request_id":"x"}}"#),
        format!(r#"{{"data":{{"data":{{"value":"{echo}""#),
        format!(r#"{{"data":{{"data":"{echo}","metadata":{{"version":"{echo}"}}}}}}"#),
        format!(r#"{{"data":{{"data":{{"value":"{echo}\ud800"}},"metadata":{{"version":1}}}}}}"#),
        format!(r#"{{"{echo}":1,"data":{{"{echo}":{echo}}}}}"#),
    ];
    for status in statuses {
        for body in &bodies {
            for path in ["secret/", ""] {
                vault.fail(
                    Failure::new(path, status)
                        .body(body.clone())
                        .retry_after(echo.clone())
                        .location(format!("https://{}/", value.expose())),
                );
                for error in [
                    read(&backend, "a").await.unwrap_err(),
                    backend
                        .list(None)
                        .await
                        .map(drop)
                        .err()
                        .unwrap_or_else(|| secrets_core::Error::new(ErrorKind::Internal, "listed")),
                ] {
                    canaries.absent(&printed(&error));
                    kinds.push(error.kind());
                }
                if let Err(error) = backend.check().await {
                    canaries.absent(&printed(&error));
                }
                vault.heal();
            }
        }
    }
    for kind in [
        ErrorKind::InvalidData,
        ErrorKind::NotFound,
        ErrorKind::PermissionDenied,
        ErrorKind::RateLimited,
        ErrorKind::Timeout,
        ErrorKind::Unauthenticated,
        ErrorKind::Unavailable,
        ErrorKind::Unsupported,
    ] {
        assert!(kinds.contains(&kind), "{kind} was among them");
    }
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
