//! S1: a canary secret and a canary token show up nowhere.

use std::fmt::{Debug, Write as _};

use secrets_azure::{Auth, AzureBackend, Credential};
use secrets_core::{Error, ErrorKind, SecretBackend};
use secrets_testkit::Canary;
use secrets_testkit::fakes::azure::{Failure, FakeAzure, HOST, TENANT};

use crate::support::{APP, reach, read};

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
    let [value, token, client_secret] = [(); 3].map(|()| Canary::random());
    let azure = FakeAzure::builder().token_prefix(token.expose()).start().unwrap();
    azure.app(APP, client_secret.expose());
    azure.put("a", value.expose());
    let canaries = Canaries([value.clone(), token.clone(), client_secret.clone()]);
    let build = || {
        let builder = reach(AzureBackend::builder(HOST), &azure);
        builder
            .auth(Auth::client_secret(TENANT, APP, client_secret.expose()))
            .build()
            .unwrap()
    };
    let backend = build();
    let secret = read(&backend, "a").await.unwrap();
    assert_eq!(secret.expose_secret(), value.expose().as_bytes());
    canaries.absent_in(&backend);
    canaries.absent_in(&secret);
    let echo = format!("{} {} {}", value.expose(), token.expose(), client_secret.expose());
    let mut kinds = Vec::new();
    let bodies = [
        echo.clone(),
        format!(r#"{{"error":{{"code":"{echo}","message":"{echo}","innererror":{{"code":"{echo}"}}}}}}"#),
        format!(r#"{{"error":"{echo}","error_description":"{echo}","error_codes":[7000215]}}"#),
        format!(r#"{{"value":"{echo}"#),
        format!(r#"{{"value":"{echo}","id":"{echo}"}}"#),
        format!(r#"{{"value":[{{"id":"{echo}"}}],"nextLink":"{echo}"}}"#),
        format!(r#"{{"access_token":"{echo}","expires_in":"{echo}"}}"#),
    ];
    for status in [
        200, 204, 307, 400, 401, 403, 404, 405, 408, 409, 413, 418, 429, 500, 501, 503, 504, 599,
    ] {
        for body in &bodies {
            for path in ["secrets", TENANT] {
                azure.fail(
                    Failure::new(path, status)
                        .body(body.clone())
                        .retry_after(echo.clone())
                        .header("x-ms-request-id", "x")
                        .location(format!("https://{}/", value.expose())),
                );
                let fresh = build();
                for outcome in [
                    read(&backend, "a").await.map(drop),
                    backend.list(None).await.map(drop),
                    backend.check().await,
                    read(&fresh, "a").await.map(drop),
                ] {
                    if let Err(error) = outcome {
                        canaries.absent(&printed(&error));
                        kinds.push(error.kind());
                    }
                }
                canaries.absent_in(&fresh);
                azure.heal();
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
async fn s1_no_way_to_log_in_shows_its_credentials() {
    let [secret, jwt, token] = [(); 3].map(|()| Canary::random());
    let canaries = Canaries([secret.clone(), jwt.clone(), token.clone()]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwt");
    std::fs::write(&file, jwt.expose()).unwrap();
    let azure = FakeAzure::builder().token_prefix(token.expose()).start().unwrap();
    let ways = || {
        [
            Auth::client_secret(TENANT, APP, secret.expose()),
            Auth::workload_identity_with(TENANT, APP, &file),
            Auth::default_order_with(|name| match name {
                "AZURE_TENANT_ID" => Some(TENANT.into()),
                "AZURE_CLIENT_ID" => Some(APP.into()),
                "AZURE_CLIENT_SECRET" => Some(secret.expose().into()),
                _ => None,
            }),
        ]
    };
    for status in [0, 200, 400, 403, 404, 500] {
        if status > 0 {
            let echo = format!(r#"{{"error":"{} {}"}}"#, secret.expose(), jwt.expose());
            azure.fail(Failure::new(TENANT, status).body(echo));
        }
        for auth in ways() {
            canaries.absent_in(&auth);
            let builder = reach(AzureBackend::builder(HOST), &azure).auth(auth);
            canaries.absent_in(&builder);
            let backend = builder.build().unwrap();
            let error: Error = read(&backend, "a").await.unwrap_err();
            canaries.absent(&printed(&error));
            canaries.absent_in(&backend);
        }
        azure.heal();
    }
    canaries.absent_in(&Credential::value(secret.expose()));
}
