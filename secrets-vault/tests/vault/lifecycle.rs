//! Tokens: renewed, replaced, revoked; and nothing asked too often.

use std::time::Duration;

use secrets_core::{Clock as _, ErrorKind, ReadRequest, SecretBackend};
use secrets_testkit::fakes::vault::Failure;

use crate::support::{HOUR, MINUTE, Scene, kind, name, read};

#[tokio::test]
async fn nothing_is_contacted_before_the_first_read() {
    let scene = Scene::new();
    let backend = scene.app_role().build().unwrap();
    scene.pass(HOUR).await;
    assert!(scene.vault.calls().is_empty());
    assert!(backend.get(ReadRequest::new(&name("a"))).await.is_ok());
    assert_eq!((scene.logins(), scene.vault.calls().len()), (1, 2));
}

#[tokio::test]
async fn a1_a_token_is_renewed_at_a_jittered_two_thirds() {
    let mut at = Vec::new();
    for seed in 0..4 {
        let scene = Scene::new();
        let start = scene.clock.boot();
        let backend = scene.app_role().seed(seed).build().unwrap();
        read(&backend, "a").await.unwrap();
        scene.pass(HOUR * 3 / 4).await;
        assert_eq!((scene.logins(), scene.renewals()), (1, 1));
        let renewed = scene
            .vault
            .calls()
            .into_iter()
            .find(|call| call.path.ends_with("renew-self"))
            .unwrap();
        at.push(renewed.at - start);
    }
    assert!(
        at.iter().all(|at| (HOUR * 3 / 5..HOUR * 3 / 4).contains(at)),
        "{at:?}"
    );
    at.dedup();
    assert_eq!(at.len(), 4, "clients do not renew together");
}

#[tokio::test]
async fn a2_a_failed_renewal_backs_off_and_the_token_goes_on() {
    let scene = Scene::new();
    let backend = scene.app_role().build().unwrap();
    read(&backend, "a").await.unwrap();
    scene.vault.fail(Failure::new("auth/", 500));
    scene.pass(HOUR * 3 / 4).await;
    let first = scene.vault.count("auth/") - 1;
    scene.pass(MINUTE * 10).await;
    let calls = scene.vault.count("auth/") - 1 - first;
    assert!((9..=20).contains(&calls), "{calls} calls in ten minutes");
    assert!(read(&backend, "a").await.is_ok(), "the token still lives");
    scene.vault.heal();
    scene.pass(MINUTE).await;
    assert!(scene.renewals() > 0 && scene.logins() == 1);
    scene.pass(MINUTE * 30).await;
    assert!(read(&backend, "a").await.is_ok());
    assert_eq!(scene.logins(), 1);
}

#[tokio::test]
async fn a3_many_readers_with_a_dead_token_log_in_once() {
    let scene = Scene::new();
    let backend = scene.app_role().build().unwrap();
    read(&backend, "a").await.unwrap();
    for round in 2..4 {
        scene.vault.revoke_all();
        scene.clock.advance(MINUTE);
        let reads = (0..20).map(|_| kind(&backend, "a"));
        for outcome in join(reads).await {
            assert_eq!(outcome, Ok(()));
        }
        assert_eq!(scene.logins(), round);
    }
}

#[tokio::test]
async fn a3_401_logs_in_again_once_and_repeats_the_read() {
    let scene = Scene::new();
    let backend = scene.app_role().build().unwrap();
    scene.vault.fail(Failure::new("secret/data/a", 401).times(1));
    assert_eq!(kind(&backend, "a").await, Ok(()));
    assert_eq!(scene.logins(), 2);
    scene.clock.advance(MINUTE);
    scene.vault.fail(Failure::new("secret/data/a", 401));
    assert_eq!(kind(&backend, "a").await, Err(ErrorKind::Unauthenticated));
    assert_eq!(scene.logins(), 3, "one login and one repetition, not more");
    assert_eq!(kind(&backend, "a").await, Err(ErrorKind::Unauthenticated));
    assert_eq!(scene.logins(), 3, "none within the cool-down");
}

#[tokio::test]
async fn a4_a_denied_path_with_a_live_token_does_not_log_in() {
    let scene = Scene::new();
    let backend = scene.app_role().mount("closed").build().unwrap();
    for _ in 0..10 {
        assert_eq!(kind(&backend, "a").await, Err(ErrorKind::PermissionDenied));
    }
    assert_eq!((scene.logins(), scene.lookups()), (1, 10));
}

#[tokio::test]
async fn a4_where_nobody_can_tell_a_login_is_tried_once_per_cool_down() {
    let scene = Scene::new();
    scene.role(r#"{"token_ttl":"1h","token_policies":"app","token_no_default_policy":true}"#);
    let backend = scene.app_role().mount("closed").build().unwrap();
    for _ in 0..10 {
        assert_eq!(kind(&backend, "a").await, Err(ErrorKind::PermissionDenied));
    }
    assert_eq!(scene.logins(), 2);
    scene.pass(MINUTE).await;
    assert_eq!(kind(&backend, "a").await, Err(ErrorKind::PermissionDenied));
    assert_eq!(scene.logins(), 3);
}

#[tokio::test]
async fn a5_a_hanging_login_never_leaves_an_expired_token_in_use() {
    let scene = Scene::new();
    let backend = scene
        .app_role()
        .login_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    read(&backend, "a").await.unwrap();
    scene.vault.fail(Failure::hang("auth/"));
    // From sleeper to sleeper: each attempt hangs until its own time is over.
    let end = scene.clock.boot() + HOUR;
    while scene.clock.boot() < end {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        scene.clock.advance(
            scene
                .clock
                .next_wake()
                .unwrap_or(MINUTE)
                .min(end - scene.clock.boot()),
        );
    }
    scene.vault.forget_calls();
    // A request with the old token would have time to be made, and be refused.
    let outcome = tokio::select! {
        outcome = kind(&backend, "a") => outcome,
        () = async {
            loop {
                for _ in 0..2_000 {
                    tokio::task::yield_now().await;
                }
                scene.clock.advance(Duration::from_secs(1));
            }
        } => unreachable!(),
    };
    assert_eq!(outcome, Err(ErrorKind::Timeout));
    assert_eq!(scene.vault.count("secret/"), 0, "the expired token was not used");
    scene.vault.heal();
    scene.clock.advance(MINUTE);
    assert_eq!(kind(&backend, "a").await, Ok(()));
}

#[tokio::test]
async fn a5_a_waiting_reader_is_told_when_the_login_times_out() {
    let scene = Scene::new();
    let builder = scene.app_role().timeout(Duration::from_secs(5));
    let backend = builder.login_timeout(Duration::from_secs(3)).build().unwrap();
    scene.vault.fail(Failure::hang("auth/"));
    let before = scene.clock.boot();
    let outcome = scene.clock.run(kind(&backend, "a")).await;
    assert_eq!(outcome, Err(ErrorKind::Timeout));
    assert_eq!(scene.clock.boot() - before, Duration::from_secs(3));
}

#[tokio::test]
async fn a6_batch_tokens_are_replaced_and_never_renewed() {
    let scene = Scene::new();
    scene.role(r#"{"token_ttl":"1h","token_policies":"app","token_type":"batch"}"#);
    let backend = scene.app_role().build().unwrap();
    read(&backend, "a").await.unwrap();
    scene.pass(HOUR * 10).await;
    assert_eq!(scene.renewals(), 0);
    assert!((13..=17).contains(&scene.logins()), "{}", scene.logins());
    let logins = scene.logins();
    assert_eq!(kind(&backend, "a").await, Ok(()));
    assert_eq!(scene.logins(), logins, "no reader waits for a login");
}

#[tokio::test]
async fn a6_a_token_of_the_users_that_cannot_be_renewed_is_left_to_end() {
    let scene = Scene::new();
    let token = scene.token(r#"{"policies":["app"],"ttl":"1h","renewable":false}"#);
    let backend = scene.builder().token(token).build().unwrap();
    read(&backend, "a").await.unwrap();
    scene.pass(MINUTE * 59).await;
    assert_eq!((scene.lookups(), scene.renewals()), (1, 0));
    assert_eq!(kind(&backend, "a").await, Ok(()));
    scene.pass(MINUTE).await;
    assert_eq!(kind(&backend, "a").await, Err(ErrorKind::Unauthenticated));
    let asked = scene.vault.calls().len();
    assert_eq!(kind(&backend, "a").await, Err(ErrorKind::Unauthenticated));
    assert_eq!(
        scene.vault.calls().len(),
        asked,
        "the answer is remembered for the back-off"
    );
}

#[tokio::test]
async fn a7_max_ttl_is_met_by_a_new_login_before_the_truncated_end() {
    let scene = Scene::new();
    let backend = scene.app_role().build().unwrap();
    read(&backend, "a").await.unwrap();
    scene.pass(HOUR * 24).await;
    assert_eq!(scene.logins(), 2);
    scene.vault.forget_calls();
    assert_eq!(kind(&backend, "a").await, Ok(()));
    assert_eq!(scene.vault.calls().len(), 1);
}

#[tokio::test]
async fn a7_periodic_tokens_are_renewed_for_ever() {
    let scene = Scene::new();
    scene.role(r#"{"token_period":"1h","token_policies":"app"}"#);
    let backend = scene.app_role().build().unwrap();
    read(&backend, "a").await.unwrap();
    scene.pass(HOUR * 100).await;
    assert_eq!(scene.logins(), 1);
    assert_eq!(kind(&backend, "a").await, Ok(()));
}

#[tokio::test]
async fn t7_time_asleep_ages_the_token() {
    let scene = Scene::new();
    let backend = scene.app_role().build().unwrap();
    read(&backend, "a").await.unwrap();
    scene.clock.suspend(HOUR * 2);
    assert_eq!(kind(&backend, "a").await, Ok(()));
    let paths: Vec<_> = scene
        .vault
        .calls()
        .into_iter()
        .map(|call| (call.path, call.status))
        .collect();
    assert_eq!(
        paths[2..],
        [
            ("auth/approle/login".to_owned(), 200),
            ("secret/data/a".to_owned(), 200)
        ]
    );
}

#[tokio::test]
async fn a9_shutdown_revokes_every_login_and_takes_bounded_time() {
    let scene = Scene::new();
    scene.role(r#"{"token_ttl":"1h","token_policies":"app","token_type":"batch"}"#);
    let backend = scene.app_role().build().unwrap();
    read(&backend, "a").await.unwrap();
    scene.pass(HOUR * 3 / 4).await;
    assert_eq!(scene.vault.live_tokens().len(), 2, "the one replaced still lives");
    backend.shutdown().await.unwrap();
    assert!(scene.vault.live_tokens().is_empty());
    let hanging = scene
        .app_role()
        .shutdown_timeout(Duration::from_secs(3))
        .build()
        .unwrap();
    read(&hanging, "a").await.unwrap();
    scene.vault.fail(Failure::hang("auth/token/revoke-self"));
    let before = scene.clock.boot();
    let error = scene.clock.run(hanging.shutdown()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(scene.clock.boot() - before, Duration::from_secs(3));
}

#[tokio::test]
async fn dropping_the_backend_ends_its_task() {
    let scene = Scene::new();
    let backend = scene.app_role().build().unwrap();
    read(&backend, "a").await.unwrap();
    scene.settle().await;
    assert_eq!(scene.clock.sleepers(), 1);
    drop(backend);
    scene.settle().await;
    assert_eq!(scene.clock.sleepers(), 0);
}

#[test]
fn c10_a_login_survives_the_runtime_that_began_it() {
    let scene = Scene::new();
    let backend = scene.app_role().build().unwrap();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    runtime().block_on(async { assert_eq!(kind(&backend, "a").await, Ok(())) });
    runtime().block_on(async { assert_eq!(kind(&backend, "a").await, Ok(())) });
    assert_eq!(scene.logins(), 1);
    scene.clock.advance(HOUR);
    runtime().block_on(async { assert_eq!(kind(&backend, "a").await, Ok(())) });
    assert_eq!(scene.logins(), 2);
}

#[tokio::test]
async fn wrong_credentials_are_not_tried_for_ever() {
    let scene = Scene::new();
    let backend = scene.builder().app_role("role-id-app", "wrong").build().unwrap();
    assert_eq!(kind(&backend, "a").await, Err(ErrorKind::Unauthenticated));
    scene.pass(HOUR * 24).await;
    assert_eq!(scene.logins(), 1, "nobody asked");
    for _ in 0..100 {
        assert_eq!(kind(&backend, "a").await, Err(ErrorKind::Unauthenticated));
    }
    assert_eq!(scene.logins(), 2);
    let error = read(&backend, "a").await.unwrap_err();
    assert!(
        error
            .retry_after()
            .is_some_and(|wait| wait <= Duration::from_secs(2)),
        "{error}"
    );
}

#[tokio::test]
async fn a_cancelled_reader_does_not_cancel_the_login() {
    let scene = Scene::new();
    let backend = scene.app_role().build().unwrap();
    {
        let mut first = std::pin::pin!(kind(&backend, "a"));
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx).is_pending())).await;
        assert!(polled);
        tokio::task::yield_now().await;
    }
    assert_eq!(kind(&backend, "a").await, Ok(()));
    assert_eq!(scene.logins(), 1);
}

/// Drives futures together.
async fn join<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, output) in &mut futures {
            if output.is_none() {
                if let std::task::Poll::Ready(done) = future.as_mut().poll(cx) {
                    *output = Some(done);
                }
            }
        }
        if futures.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}
