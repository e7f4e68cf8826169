//! Dynamic secrets and their leases.

use std::time::Duration;

use secrets_core::{ErrorKind, Fetched, ReadRequest, Secret, SecretBackend};
use secrets_testkit::fakes::vault::Failure;
use secrets_vault::{Engine, VaultBackend};

use crate::support::{HOUR, MINUTE, Scene, kind, name, read, read_version};

fn scene(role: &str) -> (Scene, VaultBackend) {
    let scene = Scene::new();
    assert!(scene.vault.admin("POST", "db/roles/app", role).0 < 300);
    let backend = scene
        .app_role()
        .mount("db")
        .engine(Engine::Dynamic)
        .build()
        .unwrap();
    (scene, backend)
}

/// What the manager does: asks again with what it holds.
async fn again(backend: &VaultBackend, held: &Secret) -> Fetched {
    let creds = name("creds/app");
    backend
        .get(ReadRequest::new(&creds).with_known(held.metadata()))
        .await
        .unwrap()
}

fn left(fetched: &Fetched) -> Option<Duration> {
    match fetched {
        Fetched::Unchanged { lease, .. } => lease.as_ref().map(secrets_core::Lease::duration),
        _ => None,
    }
}

#[tokio::test]
async fn a_lease_is_extended_and_no_credential_minted_anew() {
    let (scene, backend) = scene(r#"{"default_ttl":"1h","max_ttl":"24h"}"#);
    let held = read(&backend, "creds/app").await.unwrap();
    assert_eq!(held.field("username").unwrap().expose_secret(), b"v-app-1");
    let lease = held.metadata().lease().unwrap();
    assert_eq!((lease.duration(), lease.renewable()), (HOUR, true));
    for _ in 0..100 {
        scene.pass(MINUTE * 5).await;
        assert_eq!(left(&again(&backend, &held).await), Some(HOUR));
    }
    assert_eq!(scene.vault.count("db/creds"), 1);
    // A refresh that passes nothing known is a wish for another.
    assert_eq!(
        read(&backend, "creds/app")
            .await
            .unwrap()
            .field("username")
            .unwrap()
            .expose_secret(),
        b"v-app-2"
    );
}

/// As `pki` without `generate_lease` does, and every engine whose plugin keeps none.
#[tokio::test]
async fn t3_a_duration_without_a_lease_is_no_lease() {
    let (scene, backend) = scene(r#"{"default_ttl":"1h"}"#);
    for lease_id in [r#""lease_id":"","#, r#""lease_id":null,"#, ""] {
        let body =
            format!(r#"{{{lease_id}"lease_duration":2764800,"renewable":false,"data":{{"value":"v"}}}}"#);
        scene.vault.fail(Failure::new("db/creds", 200).body(body));
        let secret = read(&backend, "creds/app").await.unwrap();
        assert!(secret.metadata().lease().is_none(), "{lease_id}");
        let Fetched::Value(again) = again(&backend, &secret).await else {
            panic!("there is nothing to extend")
        };
        assert_eq!(again.expose_secret(), b"v");
        scene.vault.heal();
    }
}

#[tokio::test]
async fn a7_a_credential_is_rotated_before_the_truncated_end_of_its_lease() {
    let (scene, backend) = scene(r#"{"default_ttl":"1h","max_ttl":"90m"}"#);
    let held = read(&backend, "creds/app").await.unwrap();
    let mut rotated = None;
    for minute in 0..90 {
        match again(&backend, &held).await {
            Fetched::Value(_) => {
                rotated = Some(minute);
                break;
            }
            unchanged => assert!(left(&unchanged).unwrap() <= MINUTE * (90 - minute)),
        }
        scene.pass(MINUTE).await;
    }
    assert!(
        rotated.is_some_and(|minute| (30..85).contains(&minute)),
        "{rotated:?}"
    );
}

#[tokio::test]
async fn a6_a_lease_that_cannot_be_renewed_is_kept_and_then_replaced() {
    let (scene, backend) = scene(r#"{"default_ttl":"1h","fake_renewable":false}"#);
    let held = read(&backend, "creds/app").await.unwrap();
    scene.pass(MINUTE * 30).await;
    assert_eq!(left(&again(&backend, &held).await), Some(MINUTE * 30));
    assert_eq!(scene.vault.count("sys/leases/renew"), 0);
    scene.pass(MINUTE * 15).await;
    assert!(matches!(again(&backend, &held).await, Fetched::Value(_)));
}

#[tokio::test]
async fn a_lease_revoked_behind_our_back_is_noticed() {
    let (scene, backend) = scene(r#"{"default_ttl":"1h"}"#);
    let held = read(&backend, "creds/app").await.unwrap();
    scene.vault.revoke_lease(held.metadata().lease().unwrap().id());
    assert!(matches!(again(&backend, &held).await, Fetched::Value(_)));
}

#[tokio::test]
async fn a10_losing_the_login_loses_its_leases() {
    let (scene, backend) = scene(r#"{"default_ttl":"1h"}"#);
    let held = read(&backend, "creds/app").await.unwrap();
    scene.vault.revoke_all();
    let Fetched::Value(fresh) = again(&backend, &held).await else {
        panic!("a new credential");
    };
    assert_eq!(fresh.field("username").unwrap().expose_secret(), b"v-app-2");
    assert_eq!(scene.logins(), 2);
    assert_eq!(
        scene.vault.live_leases(),
        [fresh.metadata().lease().unwrap().id()]
    );
}

#[tokio::test]
async fn a10_a_lease_is_moved_to_the_new_login_before_the_old_one_ends() {
    let (scene, backend) = scene(r#"{"default_ttl":"48h","max_ttl":"96h"}"#);
    let mut held = read(&backend, "creds/app").await.unwrap();
    let mut minted = 1;
    for _ in 0..48 * 12 {
        scene.pass(MINUTE * 5).await;
        let lease = held.metadata().lease().unwrap().id();
        assert!(
            scene.vault.live_leases().iter().any(|live| live == lease),
            "a dead credential is held"
        );
        if let Fetched::Value(fresh) = again(&backend, &held).await {
            held = fresh;
            minted += 1;
        }
    }
    assert!((2..=4).contains(&minted), "two days, two logins: {minted}");
}

#[tokio::test]
async fn an_outage_leaves_the_lease_and_its_holder_alone() {
    let (scene, backend) = scene(r#"{"default_ttl":"1h"}"#);
    let held = read(&backend, "creds/app").await.unwrap();
    scene.vault.fail(Failure::new("sys/leases/renew", 500));
    let creds = name("creds/app");
    let error = backend
        .get(ReadRequest::new(&creds).with_known(held.metadata()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    scene.vault.heal();
    assert_eq!(left(&again(&backend, &held).await), Some(HOUR));
    scene.vault.fail(Failure::new("sys/leases/renew", 403));
    scene.pass(MINUTE).await;
    assert_eq!(
        left(&again(&backend, &held).await),
        Some(MINUTE * 59),
        "it may not be renewed, and still lives"
    );
}

#[tokio::test]
async fn a9_leases_on_a_token_of_the_users_are_revoked_one_by_one() {
    let (scene, _) = scene(r#"{"default_ttl":"1h"}"#);
    scene
        .vault
        .policy("app", &[("db/*", &["read"]), ("sys/leases/revoke", &["update"])]);
    let token = scene.token(r#"{"policies":["app"],"ttl":"1h"}"#);
    let backend = scene
        .builder()
        .token(token.clone())
        .mount("db")
        .engine(Engine::Dynamic)
        .build()
        .unwrap();
    for _ in 0..3 {
        read(&backend, "creds/app").await.unwrap();
    }
    assert_eq!(scene.vault.live_leases().len(), 3);
    backend.shutdown().await.unwrap();
    assert!(scene.vault.live_leases().is_empty());
    assert!(
        scene.vault.live_tokens().contains(&token),
        "the token is not ours"
    );
}

#[tokio::test]
async fn r5_what_is_made_on_demand_has_no_versions_and_no_names() {
    let (scene, backend) = scene(r#"{"default_ttl":"1h"}"#);
    assert_eq!(
        read_version(&backend, "creds/app", "1").await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert_eq!(
        backend.list(None).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert!(scene.vault.calls().is_empty());
    assert_eq!(kind(&backend, "creds/nobody").await, Err(ErrorKind::NotFound));
}
