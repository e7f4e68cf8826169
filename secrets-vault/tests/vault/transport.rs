//! The way to Vault: TLS, nodes, redirects, proxies, and every way in which it breaks.

use std::time::Duration;

use secrets_core::{ErrorKind, SecretBackend};
use secrets_testkit::Canary;
use secrets_testkit::fakes::vault::{Failure, NodeState};
use secrets_testkit::wire::{HttpServer, Response, TestCa, TlsMatrix, WireFault, WireProxy, behind_a_proxy};
use secrets_vault::{Engine, VaultBackend, VaultBuilder};

use crate::support::{Scene, kind, read};

const SECOND: Duration = Duration::from_secs(1);

/// A backend that reaches the fake through a wire, on the machine's clock, with a second for each request.
fn through(
    scene: &Scene,
    proxy: &WireProxy,
    change: impl FnOnce(VaultBuilder) -> VaultBuilder,
) -> VaultBackend {
    let builder = VaultBackend::builder(proxy.url_for("localhost"))
        .ca_pem(scene.vault.ca_pem())
        .token(scene.vault.root_token().to_owned())
        .timeout(SECOND);
    change(builder).build().unwrap()
}

#[tokio::test]
async fn e7_every_way_in_which_the_wire_breaks_has_its_kind() {
    let scene = Scene::new();
    scene.vault.put(
        "secret",
        "large",
        &format!(r#"{{"value":"{}"}}"#, "x".repeat(300_000)),
    );
    let proxy = scene.vault.proxy(0).unwrap();
    for (fault, kinds) in [
        (WireFault::Refuse, &[ErrorKind::Unavailable][..]),
        (WireFault::Hang, &[ErrorKind::Timeout]),
        (WireFault::NoAnswer, &[ErrorKind::Timeout]),
        (WireFault::ResetAfter(0), &[ErrorKind::Unavailable]),
        (WireFault::ResetAfter(100_000), &[ErrorKind::Unavailable]),
        (WireFault::CloseAfter(100_000), &[ErrorKind::Unavailable]),
        (WireFault::Garbage, &[ErrorKind::Unavailable]),
        (WireFault::GarbageBody, &[ErrorKind::InvalidData]),
        (WireFault::Endless, &[ErrorKind::InvalidData]),
        (WireFault::status(429, "7"), &[ErrorKind::RateLimited]),
        (WireFault::status(502, None), &[ErrorKind::Unavailable]),
    ] {
        let backend = through(&scene, &proxy, |builder| builder);
        assert_eq!(kind(&backend, "large").await, Ok(()), "before {fault:?}");
        proxy.set(fault.clone());
        let error = read(&backend, "large").await.unwrap_err();
        assert!(kinds.contains(&error.kind()), "{fault:?}: {error}");
        if error.kind() == ErrorKind::RateLimited {
            assert_eq!(error.retry_after(), Some(SECOND * 7));
        }
        proxy.heal();
        assert_eq!(kind(&backend, "large").await, Ok(()), "after {fault:?}");
    }
    let nowhere = VaultBackend::builder("https://no-such-host.invalid")
        .token("t")
        .timeout(SECOND * 5)
        .build()
        .unwrap();
    let outcome = kind(&nowhere, "a").await;
    assert!(
        matches!(outcome, Err(ErrorKind::Unavailable | ErrorKind::Timeout)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn s3_s4_no_way_that_is_wrong_is_taken() {
    let token = Canary::random();
    TlsMatrix::new("localhost")
        .check(&token, |endpoint| {
            let builder = VaultBackend::builder(endpoint.url).ca_pem(endpoint.ca_pem);
            let backend = builder.token(token.expose()).build().unwrap();
            async move { read(&backend, "a").await.map(drop) }
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn s3_only_the_authorities_given_are_trusted_and_tls_12_is_spoken() {
    let scene = Scene::new();
    let ca = TestCa::new();
    // A private authority is no authority of the platform.
    let backend = VaultBackend::builder(scene.vault.address())
        .token("hvs.CANARY")
        .build()
        .unwrap();
    assert_eq!(
        read(&backend, "a").await.unwrap_err().cause().unwrap().code(),
        Some("tls")
    );
    let server = HttpServer::builder()
        .tls(ca.issue(["localhost"]).server_config_tls12())
        .start(|_| async { Response::new(r#"{"data":{"value":"x"}}"#.into()) })
        .unwrap();
    let builder = VaultBackend::builder(server.url_for("localhost"))
        .ca_pem(ca.pem())
        .engine(Engine::Kv1);
    let outcome = kind(&builder.token("t").build().unwrap(), "a").await;
    assert_eq!(
        outcome,
        Err(ErrorKind::InvalidData),
        "TLS 1.2 is spoken: the answer to the look-up has no `ttl`"
    );
}

#[tokio::test]
async fn v8_a_life_that_no_clock_can_tell_the_end_of_is_a_long_one() {
    let server = HttpServer::start(|request| async move {
        let body = match request.uri().path() {
            "/v1/auth/approle/login" => {
                r#"{"auth":{"client_token":"t","lease_duration":18446744073709551615,"renewable":true}}"#
            }
            "/v1/auth/token/lookup-self" => r#"{"data":{"ttl":18446744073709551615,"renewable":true}}"#,
            _ => {
                r#"{"lease_id":"x/1","lease_duration":18446744073709551615,"renewable":true,"data":{"value":"x"}}"#
            }
        };
        Response::new(body.into())
    });
    let server = server.unwrap();
    let builder = || VaultBackend::builder(server.url()).engine(Engine::Dynamic);
    for builder in [builder().app_role("role", "secret"), builder().token("t")] {
        let backend = builder.build().unwrap();
        for _ in 0..2 {
            // A login whose task is gone would be waited for without an end.
            let read = tokio::time::timeout(SECOND * 60, read(&backend, "creds/a"));
            let secret = read.await.expect("it ends").unwrap();
            assert_eq!(secret.expose_secret(), b"x");
            assert!(secret.metadata().lease().unwrap().duration() > SECOND * 86_400 * 365);
        }
    }
}

#[tokio::test]
async fn s4_redirects_are_not_followed() {
    let thief = HttpServer::start(|_| async { Response::new("{}".into()) }).unwrap();
    let scene = Scene::new();
    let backend = scene.app_role().build().unwrap();
    read(&backend, "a").await.unwrap();
    for status in [301, 302, 303, 307, 308] {
        scene
            .vault
            .fail(Failure::new("secret/", status).location(format!("{}/v1/secret/data/a", thief.url())));
        let error = read(&backend, "a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("redirects are not followed"), "{error}");
        scene.vault.heal();
    }
    assert_eq!(thief.connection_count(), 0);
}

#[tokio::test]
async fn nodes_that_cannot_serve_are_left_for_the_next() {
    let scene = Scene::with_nodes(3);
    let build = || {
        let nodes = scene
            .app_role()
            .address(scene.vault.address_of(1))
            .address(scene.vault.address_of(2));
        nodes.build().unwrap()
    };
    for state in [
        NodeState::Sealed,
        NodeState::Standby,
        NodeState::RecoverySecondary,
        NodeState::Uninitialised,
        NodeState::Redirecting(scene.vault.address_of(2)),
    ] {
        scene.vault.set_node(0, state.clone());
        scene.vault.stop_node(1);
        scene.vault.forget_calls();
        let backend = build();
        for _ in 0..3 {
            assert_eq!(kind(&backend, "a").await, Ok(()), "{state:?}");
        }
        let asked: Vec<_> = scene.vault.calls().iter().map(|call| call.node).collect();
        assert_eq!(
            asked,
            [0, 2, 2, 2, 2],
            "the node that served is asked first from then on"
        );
        scene.vault.start_node(1).unwrap();
        scene.vault.set_node(0, NodeState::Active);
    }
    for node in 0..3 {
        scene.vault.set_node(node, NodeState::Sealed);
    }
    let error = read(&build(), "a").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.cause().unwrap().status()),
        (ErrorKind::Unavailable, Some(503))
    );
    assert!(error.message().contains("sealed"), "{error}");
}

#[tokio::test]
async fn a_node_that_may_have_acted_is_not_followed_by_another() {
    let scene = Scene::with_nodes(2);
    assert!(
        scene
            .vault
            .admin("POST", "db/roles/app", r#"{"default_ttl":"1h"}"#)
            .0
            < 300
    );
    let builder = scene
        .app_role()
        .mount("db")
        .engine(Engine::Dynamic)
        .address(scene.vault.address_of(1));
    let backend = builder.timeout(SECOND * 5).build().unwrap();
    scene.vault.fail(Failure::new("db/creds", 500));
    assert_eq!(kind(&backend, "creds/app").await, Err(ErrorKind::Unavailable));
    assert_eq!(scene.vault.count("db/creds"), 1);
    scene.vault.heal();
    scene.vault.forget_calls();
    // The credential is made, and the answer is lost.
    let proxy = scene.vault.proxy(0).unwrap();
    let backend = through(&scene, &proxy, |builder| {
        let builder = builder.mount("db").engine(Engine::Dynamic);
        builder.address(scene.vault.address_of(1))
    });
    backend.check().await.unwrap();
    proxy.set(WireFault::ResetAfter(0));
    assert_eq!(kind(&backend, "creds/app").await, Err(ErrorKind::Unavailable));
    assert_eq!(scene.vault.count("db/creds"), 1);
}

#[tokio::test]
async fn e4_states_of_a_node_are_told_by_their_reason() {
    let scene = Scene::new();
    let backend = scene.app_role().build().unwrap();
    read(&backend, "a").await.unwrap();
    for (state, status, words) in [
        (NodeState::Sealed, 503, "sealed"),
        (NodeState::Standby, 473, "standby"),
        (NodeState::RecoverySecondary, 472, "recovery"),
        (NodeState::Uninitialised, 501, "not initialised"),
    ] {
        scene.vault.set_node(0, state);
        let error = read(&backend, "a").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.cause().unwrap().status()),
            (ErrorKind::Unavailable, Some(status))
        );
        assert!(error.message().contains(words), "{error}");
    }
    scene.vault.set_node(0, NodeState::Active);
    for (status, after, kind) in [
        (412, None, ErrorKind::Unavailable),
        (429, Some("30"), ErrorKind::RateLimited),
        (500, None, ErrorKind::Unavailable),
        (405, None, ErrorKind::Unsupported),
    ] {
        let failure = Failure::new("secret/", status);
        scene.vault.fail(match after {
            Some(after) => failure.retry_after(after),
            None => failure,
        });
        let error = read(&backend, "a").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.retry_after()),
            (kind, after.map(|_| SECOND * 30)),
            "{status}"
        );
        scene.vault.heal();
    }
}

#[tokio::test]
async fn v7_values_above_the_cap_are_refused() {
    let scene = Scene::new();
    let backend = scene.app_role().max_value(1_000).build().unwrap();
    scene.vault.put(
        "secret",
        "fits",
        &format!(r#"{{"value":"{}"}}"#, "x".repeat(1_000)),
    );
    scene.vault.put(
        "secret",
        "over",
        &format!(r#"{{"value":"{}"}}"#, "x".repeat(1_001)),
    );
    scene.vault.put(
        "secret",
        "huge",
        &format!(r#"{{"value":"{}"}}"#, "x".repeat(1_000_000)),
    );
    assert_eq!(kind(&backend, "fits").await, Ok(()));
    assert_eq!(kind(&backend, "over").await, Err(ErrorKind::InvalidData));
    assert_eq!(kind(&backend, "huge").await, Err(ErrorKind::InvalidData));
}

#[tokio::test]
async fn v8_malformed_answers_are_never_a_value() {
    let scene = Scene::new();
    let backend = scene.app_role().build().unwrap();
    read(&backend, "a").await.unwrap();
    for body in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"data":null}"#,
        r#"{"data":{}}"#,
        r#"{"data":{"data":null,"metadata":{"version":1}}}"#,
        r#"{"data":{"data":[],"metadata":{"version":1}}}"#,
        r#"{"data":{"data":{"value":"x"}}}"#,
        r#"{"data":{"data":{"value":"x"},"metadata":{"version":"1"}}}"#,
        r#"{"data":{"data":{"value":"\ud800"},"metadata":{"version":1}}}"#,
        r#"{"data":{"data":{"value":"x"},"metadata":{"version":1}}} trailing"#,
        r#"{"data":{"data":{"value":"x"},"metadata":{"version":1}"#,
        "<html>a proxy's greeting</html>",
    ] {
        scene
            .vault
            .fail(Failure::new("secret/data/a", 200).body(body).times(1));
        assert_eq!(kind(&backend, "a").await, Err(ErrorKind::InvalidData), "{body}");
    }
}

#[test]
fn s5_loopback_never_goes_through_a_proxy() {
    behind_a_proxy("transport::s5_loopback_never_goes_through_a_proxy", || {
        let scene = Scene::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let backend = scene.app_role().build().unwrap();
        assert_eq!(runtime.block_on(kind(&backend, "a")), Ok(()));
    });
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused_before_anything_is_asked() {
    let scene = Scene::new();
    let build = |change: fn(secrets_vault::VaultBuilder) -> secrets_vault::VaultBuilder| {
        change(scene.app_role())
            .build()
            .map(drop)
            .map_err(|error| error.kind())
    };
    let refused = Err(ErrorKind::InvalidConfig);
    assert_eq!(build(|builder| builder.mount("")), refused);
    assert_eq!(build(|builder| builder.mount("../sys")), refused);
    assert_eq!(build(|builder| builder.base("a//b")), refused);
    assert_eq!(build(|builder| builder.namespace("a\nb")), refused);
    assert_eq!(
        build(|builder| builder.address("http://vault.example.com")),
        refused
    );
    assert_eq!(build(|builder| builder.ca_pem("no PEM")), refused);
    assert_eq!(build(|builder| builder.ca_file("/no/such/file")), refused);
    assert_eq!(build(|builder| builder.timeout(Duration::ZERO)), refused);
    assert_eq!(build(|builder| builder.max_value(0)), refused);
    assert_eq!(build(|builder| builder.default_field("")), refused);
    assert_eq!(build(|builder| builder.binary_suffix("")), refused);
    assert_eq!(build(|builder| builder.application("a\nb")), refused);
    assert_eq!(build(|builder| builder.auth_mount("a?b")), refused);
    assert_eq!(build(|builder| builder.token("t").auth_mount("x")), refused);
    assert_eq!(build(|builder| builder.app_role("", "x")), refused);
    assert_eq!(
        build(|builder| builder.client_certificate("no PEM", vec![1].into())),
        refused
    );
    assert_eq!(
        scene.builder().build().map(drop).map_err(|error| error.kind()),
        refused
    );
    assert_eq!(build(|builder| builder), Ok(()));
    let closed = scene.app_role().idle_connections(false).build().unwrap();
    assert_eq!(kind(&closed, "a").await, Ok(()));
    closed.shutdown().await.unwrap();
}
