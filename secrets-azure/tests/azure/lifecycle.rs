//! Logins and tokens over time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use secrets_azure::Auth;
use secrets_core::{ErrorKind, SecretBackend};
use secrets_testkit::fakes::azure::{Failure, TENANT};

use crate::support::{APP, HOUR, MINUTE, SECOND, Scene, kind, read};

#[tokio::test]
async fn a_token_that_expires_is_replaced_without_a_failed_read() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    for step in 0..240 {
        assert_eq!(kind(&backend, "a").await, Ok(()), "after {step} minutes");
        scene.pass(MINUTE).await;
    }
    // Four hours, tokens of one hour, each replaced at two thirds of its life.
    assert_eq!(scene.logins(), 7);
    let refused = scene
        .azure
        .calls()
        .iter()
        .filter(|call| call.status == 401)
        .count();
    assert_eq!(refused, 1, "the one request that asks for the challenge");
}

#[tokio::test]
async fn a1_a_due_token_is_replaced_in_the_background_once() {
    let scene = Scene::new();
    let backend = Arc::new(scene.client_secret().build().unwrap());
    assert_eq!(kind(&backend, "a").await, Ok(()));
    scene.azure.fail(Failure::hang(TENANT));
    scene.clock.advance(MINUTE * 45);
    for _ in 0..10 {
        assert_eq!(
            kind(&backend, "a").await,
            Ok(()),
            "nobody waits while the token lives"
        );
    }
    scene.azure.heal();
    assert!(scene.logins() <= 2, "{}", scene.logins());
}

#[tokio::test]
async fn a3_a_refused_token_costs_one_login_and_one_replay() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    assert_eq!(kind(&backend, "a").await, Ok(()));
    scene.azure.revoke_all();
    scene.azure.forget_calls();
    assert_eq!(kind(&backend, "a").await, Ok(()));
    let statuses: Vec<_> = scene.azure.calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [401, 200, 200], "refused, logged in, read");
}

#[tokio::test]
async fn a3_a_vault_that_refuses_every_token_is_not_logged_in_to_again_and_again() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    assert_eq!(kind(&backend, "a").await, Ok(()));
    scene.azure.fail(Failure::new("secrets/", 401));
    for _ in 0..10 {
        let error = read(&backend, "a").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.cause().unwrap().status()),
            (ErrorKind::Unauthenticated, Some(401))
        );
    }
    assert_eq!(scene.logins(), 2, "one more within the cool-down");
    scene.clock.advance(SECOND * 31);
    assert!(kind(&backend, "a").await.is_err());
    assert_eq!(scene.logins(), 3);
    scene.azure.heal();
    assert_eq!(kind(&backend, "a").await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c1_many_first_reads_share_one_login() {
    let scene = Scene::new();
    let backend = Arc::new(scene.client_secret().build().unwrap());
    let reads: Vec<_> = (0..40)
        .map(|_| {
            let backend = backend.clone();
            tokio::spawn(async move { kind(&backend, "a").await })
        })
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap(), Ok(()));
    }
    assert_eq!(scene.logins(), 1);
    // And so do many reads whose token is refused.
    for round in 0_u32..5 {
        scene.azure.revoke_all();
        scene.clock.advance(MINUTE);
        let reads: Vec<_> = (0..40)
            .map(|_| {
                let backend = backend.clone();
                tokio::spawn(async move {
                    read(&backend, "a")
                        .await
                        .map(drop)
                        .map_err(|error| error.to_string())
                })
            })
            .collect();
        for read in reads {
            assert_eq!(read.await.unwrap(), Ok(()), "round {round}");
        }
    }
    assert_eq!(scene.logins(), 6);
}

#[tokio::test]
async fn c3_a_reader_that_gives_up_does_not_end_the_login() {
    let scene = Scene::new();
    let backend = Arc::new(scene.client_secret().build().unwrap());
    let reading = tokio::spawn({
        let backend = backend.clone();
        async move { kind(&backend, "a").await }
    });
    while scene.logins() == 0 {
        tokio::task::yield_now().await;
    }
    reading.abort();
    let _ = reading.await;
    scene.settle().await;
    assert_eq!(kind(&backend, "a").await, Ok(()));
    assert_eq!(scene.logins(), 1);
}

#[tokio::test]
async fn a2_failed_logins_are_bounded_by_elapsed_time() {
    let scene = Scene::new();
    let backend = scene
        .builder()
        .auth(Auth::client_secret(TENANT, APP, "wrong"))
        .build()
        .unwrap();
    for _ in 0..600 {
        let error = read(&backend, "a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert_eq!(error.cause().unwrap().code(), Some("AADSTS7000215"));
        assert!(error.retry_after().is_some_and(|wait| wait <= MINUTE * 2) || scene.logins() > 0);
        scene.clock.advance(SECOND);
    }
    assert!(scene.logins() <= 21, "two a minute at most: {}", scene.logins());
    assert!(scene.logins() >= 9, "it does not give up: {}", scene.logins());
}

/// App Service and `az` say when a token ends by the time of day, which may be wrong here.
#[tokio::test]
async fn a2_tokens_that_have_ended_when_they_come_are_not_asked_for_without_end() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    let ended = r#"{"access_token":"x","expires_on":"1893455000"}"#;
    scene.azure.fail(Failure::new(TENANT, 200).body(ended));
    for _ in 0..5 {
        let read = tokio::time::timeout(MINUTE, read(&backend, "a")).await;
        let error = read.expect("it ends").unwrap_err();
        assert_eq!(
            (error.kind(), error.cause().unwrap().code()),
            (ErrorKind::Unauthenticated, Some("expired"))
        );
        assert!(error.message().contains("time of day"), "{error}");
    }
    assert_eq!(scene.logins(), 1);
    scene.azure.heal();
    scene.clock.advance(SECOND);
    assert_eq!(kind(&backend, "a").await, Ok(()));
}

/// A credential that panics the first time.
#[derive(Debug)]
struct Panicking(AtomicBool);

#[async_trait]
impl TokenCredential for Panicking {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        assert!(self.0.swap(true, Ordering::Relaxed), "the first time");
        let ends = azure_core::time::OffsetDateTime::from_unix_timestamp(4_070_908_800).unwrap();
        Ok(AccessToken::new("not the fake's".to_owned(), ends))
    }
}

#[tokio::test]
async fn c6_a_credential_that_panics_costs_one_login_and_poisons_nothing() {
    let scene = Scene::new();
    let credential = Arc::new(Panicking(AtomicBool::new(false)));
    let backend = scene
        .builder()
        .auth(Auth::credential(credential))
        .build()
        .unwrap();
    for _ in 0..2 {
        let error = read(&backend, "a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
        assert!(error.message().contains("panicked"), "{error}");
    }
    scene.clock.advance(SECOND);
    let error = read(&backend, "a").await.unwrap_err();
    assert_eq!(
        error.cause().unwrap().status(),
        Some(401),
        "the vault was shown what the second login brought: {error}"
    );
}

#[tokio::test]
async fn a5_a_hanging_login_ends_and_never_leaves_an_expired_token_in_use() {
    let scene = Scene::new();
    let backend = Arc::new(scene.client_secret().login_timeout(SECOND * 10).build().unwrap());
    assert_eq!(kind(&backend, "a").await, Ok(()));
    scene.azure.fail(Failure::hang(TENANT));
    scene.clock.advance(HOUR);
    scene.azure.forget_calls();
    let reading = tokio::spawn({
        let backend = backend.clone();
        async move { read(&backend, "a").await.unwrap_err() }
    });
    // The login, and the request that is not answered.
    scene.asleep(2, SECOND * 10).await;
    assert_eq!(scene.logins(), 1);
    scene.clock.advance(SECOND * 10);
    let error = reading.await.unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains("client secret"), "{error}");
    assert_eq!(scene.azure.count("secrets/"), 0, "no dead token was sent");
    scene.azure.heal();
    scene.clock.advance(MINUTE * 2);
    assert_eq!(kind(&backend, "a").await, Ok(()));
}

#[tokio::test]
async fn a_refresh_that_fails_leaves_the_token_that_lives() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    assert_eq!(kind(&backend, "a").await, Ok(()));
    scene.azure.fail(Failure::new(TENANT, 500));
    scene.clock.advance(MINUTE * 45);
    for _ in 0..10 {
        assert_eq!(kind(&backend, "a").await, Ok(()));
        scene.pass(MINUTE).await;
    }
    scene.pass(MINUTE * 6).await;
    let error = read(&backend, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    scene.azure.heal();
    scene.clock.advance(MINUTE * 2);
    assert_eq!(kind(&backend, "a").await, Ok(()));
}

#[tokio::test]
async fn t7_a_token_ages_while_the_machine_sleeps() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    assert_eq!(kind(&backend, "a").await, Ok(()));
    scene.clock.suspend(HOUR * 2);
    scene.azure.forget_calls();
    assert_eq!(kind(&backend, "a").await, Ok(()));
    let statuses: Vec<_> = scene.azure.calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [200, 200], "logged in without being refused first");
}

#[tokio::test]
async fn a9_after_shutdown_nothing_is_asked() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    assert_eq!(kind(&backend, "a").await, Ok(()));
    backend.shutdown().await.unwrap();
    scene.azure.forget_calls();
    assert_eq!(kind(&backend, "a").await, Err(ErrorKind::Unavailable));
    assert_eq!(scene.azure.calls().len(), 0);
}

#[test]
fn c10_a_login_whose_runtime_has_ended_is_begun_anew() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    scene.azure.fail(Failure::hang(TENANT));
    let first = runtime();
    first.block_on(async {
        let read = kind(&backend, "a");
        let hung = tokio::time::timeout(Duration::from_secs(60), async {
            while scene.logins() == 0 {
                tokio::task::yield_now().await;
            }
        });
        tokio::select! {
            outcome = read => panic!("{outcome:?}"),
            hung = hung => hung.unwrap(),
        }
    });
    drop(first);
    scene.azure.heal();
    assert_eq!(runtime().block_on(kind(&backend, "a")), Ok(()));
}
