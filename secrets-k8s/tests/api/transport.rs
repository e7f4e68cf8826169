//! E7, S3, S4, S7, V7, V8 and the ways to log in, through real sockets.

use std::time::Duration;

#[cfg(unix)]
use base64ct::Encoding as _;
use secrets_core::{ErrorKind, FakeClock, SecretBackend};
use secrets_k8s::K8sApiBackend;
use secrets_testkit::fakes::k8s::{Failure, FakeK8s};
use secrets_testkit::wire::{TestCa, WireFault};

use crate::support::{admin, kind, read, text};

fn cluster() -> FakeK8s {
    let cluster = FakeK8s::start().unwrap();
    cluster.put("app", "smtp", &[("k", b"value")]);
    cluster
}

#[tokio::test]
async fn e7_a_broken_wire_ends_in_the_right_kind() {
    let cluster = cluster();
    let proxy = cluster.proxy().unwrap();
    let through = |limit| {
        K8sApiBackend::server(proxy.url_for("localhost"))
            .ca_pem(cluster.ca_pem())
            .namespace("app")
            .token(cluster.admin_token())
            .timeout(limit)
            .idle_connections(false)
            .build()
            .unwrap()
    };
    let patient = through(Duration::from_secs(30));
    let hasty = through(Duration::from_millis(200));
    for (fault, backend, kinds) in [
        (
            WireFault::CloseAfter(40),
            &patient,
            [ErrorKind::Unavailable, ErrorKind::InvalidData],
        ),
        (
            WireFault::CloseAfter(300),
            &patient,
            [ErrorKind::Unavailable, ErrorKind::InvalidData],
        ),
        (
            WireFault::ResetAfter(300),
            &patient,
            [ErrorKind::Unavailable, ErrorKind::Unavailable],
        ),
        (
            WireFault::Endless,
            &patient,
            [ErrorKind::InvalidData, ErrorKind::InvalidData],
        ),
        (
            WireFault::Garbage,
            &patient,
            [ErrorKind::Unavailable, ErrorKind::Unavailable],
        ),
        (
            WireFault::GarbageBody,
            &patient,
            [ErrorKind::InvalidData, ErrorKind::InvalidData],
        ),
        (
            WireFault::Refuse,
            &patient,
            [ErrorKind::Unavailable, ErrorKind::Unavailable],
        ),
        (
            WireFault::NoAnswer,
            &hasty,
            [ErrorKind::Timeout, ErrorKind::Timeout],
        ),
        (WireFault::Hang, &hasty, [ErrorKind::Timeout, ErrorKind::Timeout]),
    ] {
        proxy.set(fault.clone());
        let found = kind(backend, "smtp/k").await.unwrap_err();
        assert!(kinds.contains(&found), "{fault:?}: {found}");
        proxy.heal();
    }
    assert_eq!(text(&patient, "smtp/k").await, "value");
}

#[tokio::test]
async fn s3_an_untrusted_or_wrong_certificate_is_refused() {
    let cluster = cluster();
    let stranger = TestCa::new();
    let made = |ca: &TestCa, address: String| {
        K8sApiBackend::server(address)
            .ca_pem(ca.pem())
            .namespace("app")
            .token(cluster.admin_token())
            .build()
            .unwrap()
    };
    let error = read(&made(&stranger, cluster.address()), "smtp/k")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.cause().unwrap().code(), Some("tls"));
    let other_name = cluster.address().replace("localhost", "[::1]");
    assert!(read(&made(cluster.ca(), other_name), "smtp/k").await.is_err());
    assert_eq!(
        cluster.calls().len(),
        0,
        "nothing was asked before the certificate was checked"
    );
    let refused = K8sApiBackend::server("http://api.example.com")
        .namespace("app")
        .build();
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn s3_a_cluster_whose_authority_is_replaced_is_trusted_anew() {
    let cluster = cluster();
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.crt");
    std::fs::write(&ca_file, cluster.ca_pem()).unwrap();
    let mut config = kube::Config::new(cluster.address().parse().unwrap());
    config.root_cert = Some(vec![cluster.ca().der().to_vec()]);
    config.root_cert_file = Some(ca_file.clone());
    let backend = K8sApiBackend::with_config(config)
        .namespace("app")
        .token(cluster.admin_token())
        .idle_connections(false)
        .build()
        .unwrap();
    assert_eq!(text(&backend, "smtp/k").await, "value");
    let next = TestCa::new();
    cluster.start_again_as(&next).unwrap();
    assert_eq!(kind(&backend, "smtp/k").await, Err(ErrorKind::Unavailable));
    std::fs::write(&ca_file, next.pem()).unwrap();
    assert_eq!(text(&backend, "smtp/k").await, "value");
}

#[tokio::test]
async fn s4_redirects_are_not_followed() {
    let (cluster, other) = (cluster(), cluster());
    cluster.fail(
        Failure::new("/secrets", 307)
            .location(format!("{}/api/v1/namespaces/app/secrets/smtp", other.address())),
    );
    assert_eq!(
        kind(&admin(&cluster).build().unwrap(), "smtp/k").await,
        Err(ErrorKind::Unavailable)
    );
    assert_eq!(other.calls().len(), 0);
}

#[tokio::test]
async fn v7_a_value_above_the_cap_is_refused_before_it_is_there() {
    let cluster = cluster();
    cluster.put("app", "large", &[("k", &vec![b'x'; 100_000])]);
    let small = admin(&cluster).max_value(10_000).build().unwrap();
    let error = read(&small, "large/k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.message().contains("max_value"), "{error}");
    cluster.put("app", "huge", &[("k", &vec![b'x'; 1_000_000])]);
    let error = read(&small, "huge/k").await.unwrap_err();
    assert_eq!(error.cause().unwrap().code(), Some("too-large"));
    let whole = admin(&cluster).max_value(1_000_000).build().unwrap();
    assert_eq!(
        read(&whole, "huge/k").await.unwrap().expose_secret().len(),
        1_000_000
    );
}

#[tokio::test]
async fn e3_retry_after_of_header_and_status_are_passed_on() {
    let cluster = cluster();
    let backend = admin(&cluster).build().unwrap();
    let body = r#"{"kind":"Status","reason":"TooManyRequests","details":{"retryAfterSeconds":9},"code":429}"#;
    for (failure, seconds) in [
        (Failure::new("/secrets", 429).retry_after("3"), 3),
        (Failure::new("/secrets", 429).retry_after("3").body(body), 9),
        (Failure::new("/secrets", 503).retry_after("0.5"), 1),
    ] {
        cluster.fail(failure);
        let error = read(&backend, "smtp/k").await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)));
        cluster.heal();
    }
}

#[tokio::test]
async fn e1_what_is_not_the_api_server_is_said_to_be_none() {
    let cluster = cluster();
    cluster.fail(Failure::new("/", 404).body("<html>not here</html>"));
    assert_eq!(
        kind(&admin(&cluster).build().unwrap(), "smtp/k").await,
        Err(ErrorKind::InvalidConfig)
    );
}

#[tokio::test]
async fn a3_a8_a_token_file_is_read_again_after_a_401_and_every_minute() {
    let cluster = cluster();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let rules = || [secrets_testkit::fakes::k8s::Rule::new("app", &["get"])];
    cluster.user("one", rules());
    std::fs::write(&file, "one\n").unwrap();
    let clock = FakeClock::new();
    let backend = K8sApiBackend::server(cluster.address())
        .ca_pem(cluster.ca_pem())
        .namespace("app")
        .token_file(&file)
        .clock(clock.clone())
        .build()
        .unwrap();
    assert_eq!(text(&backend, "smtp/k").await, "value");
    // The old token has ended, and the new one is in the file already.
    cluster.forget_user("one");
    cluster.user("two", rules());
    std::fs::write(&file, "two").unwrap();
    let before = cluster.calls().len();
    let reads = (0..8).map(|_| read(&backend, "smtp/k"));
    for read in futures_util::future::join_all(reads).await {
        read.unwrap();
    }
    assert!(
        cluster.calls().len() - before <= 16,
        "each is repeated once at the most"
    );
    // With nothing new in the file there is nothing to repeat.
    cluster.forget_user("two");
    let before = cluster.calls().len();
    assert_eq!(kind(&backend, "smtp/k").await, Err(ErrorKind::Unauthenticated));
    assert_eq!(cluster.calls().len() - before, 1);
    // A minute later it is read again, without a refusal.
    cluster.user("two", rules());
    cluster.user("three", rules());
    std::fs::write(&file, "three").unwrap();
    assert_eq!(text(&backend, "smtp/k").await, "value");
    cluster.forget_user("two");
    clock.advance(Duration::from_secs(60));
    let before = cluster.calls().len();
    assert_eq!(text(&backend, "smtp/k").await, "value");
    assert_eq!(cluster.calls().len() - before, 1);
    // A file that is taken away leaves the token that was in it.
    std::fs::remove_file(&file).unwrap();
    clock.advance(Duration::from_secs(60));
    assert_eq!(text(&backend, "smtp/k").await, "value");
}

#[cfg(unix)]
#[tokio::test]
async fn a3_a4_a_plugin_is_asked_again_after_a_401_and_not_all_the_time() {
    use std::os::unix::fs::PermissionsExt;

    let cluster = cluster();
    let directory = tempfile::tempdir().unwrap();
    let plugin = directory.path().join("plugin");
    let token = directory.path().join("token");
    let script = format!(
        "#!/bin/sh\necho x >>{0}.calls\nprintf '{{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\
         \"status\":{{\"token\":\"%s\"}}}}' \"$(cat {0})\"\n",
        token.display()
    );
    std::fs::write(&plugin, script).unwrap();
    std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o700)).unwrap();
    let ca = base64ct::Base64::encode_string(cluster.ca_pem().as_bytes());
    let config = directory.path().join("config");
    std::fs::write(
        &config,
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- name: a\n  context: {{cluster: a, user: a, namespace: app}}\n\
             clusters:\n- name: a\n  cluster: {{server: '{}', certificate-authority-data: {ca}}}\nusers:\n- name: a\n  user:\n    exec:\n      \
             apiVersion: client.authentication.k8s.io/v1\n      command: {}\n      interactiveMode: Never\n",
            cluster.address(),
            plugin.display()
        ),
    )
    .unwrap();
    let rules = || [secrets_testkit::fakes::k8s::Rule::new("app", &["get"])];
    cluster.user("one", rules());
    std::fs::write(&token, "one").unwrap();
    let clock = FakeClock::new();
    let backend = K8sApiBackend::kubeconfig()
        .kubeconfig(&config)
        .context("a")
        .clock(clock.clone())
        .build()
        .unwrap();
    let calls = || {
        std::fs::read_to_string(directory.path().join("token.calls"))
            .unwrap()
            .lines()
            .count()
    };
    for _ in 0..3 {
        assert_eq!(text(&backend, "smtp/k").await, "value");
    }
    assert_eq!(calls(), 1);
    cluster.forget_user("one");
    cluster.user("two", rules());
    std::fs::write(&token, "two").unwrap();
    assert_eq!(text(&backend, "smtp/k").await, "value");
    assert_eq!(calls(), 2);
    cluster.forget_user("two");
    for _ in 0..3 {
        assert_eq!(kind(&backend, "smtp/k").await, Err(ErrorKind::Unauthenticated));
    }
    assert_eq!(calls(), 2, "within its cool-down it is left alone");
    clock.advance(Duration::from_secs(30));
    std::fs::write(&token, "\u{1}").unwrap();
    let error = read(&backend, "smtp/k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    backend.shutdown().await.unwrap();
}

#[test]
fn e1_wrong_options_name_themselves() {
    let builder = || K8sApiBackend::server("https://api").namespace("app");
    for (error, option) in [
        (builder().base("A").build(), "`base`"),
        (builder().default_field("").build(), "`default_field`"),
        (builder().max_value(0).build(), "`max_value`"),
        (builder().namespace("a/b").build(), "namespace"),
        (builder().label_selector("a&b").build(), "`label_selector`"),
        (builder().timeout(Duration::ZERO).build(), "`timeout`"),
        (builder().watch_timeout(Duration::ZERO).build(), "`watch_timeout`"),
        (builder().poll_interval(Duration::ZERO).build(), "`poll_interval`"),
        (builder().login_timeout(Duration::MAX).build(), "`login_timeout`"),
        (builder().ca_pem("hunter2").build(), "authority"),
        (builder().token("a\nb").build(), "token"),
        (builder().application("a\nb").build(), "application"),
        (K8sApiBackend::server("hunter2").build(), "address"),
        (
            K8sApiBackend::kubeconfig().kubeconfig("/nonexistent").build(),
            "/nonexistent",
        ),
    ] {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert_eq!(error.backend(), Some("k8s-api"));
        assert!(error.message().contains(option), "{option}: {error}");
        assert!(!error.message().contains("hunter2"), "{error}");
    }
}
