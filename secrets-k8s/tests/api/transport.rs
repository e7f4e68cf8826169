//! E7, S3, S4, S7, V7, V8 and the ways to log in, through real sockets.

use std::time::Duration;

use secrets_core::{ErrorKind, FakeClock, Metadata, ReadRequest, SecretBackend, SecretManager, Version};
use secrets_k8s::K8sApiBackend;
use secrets_testkit::Canary;
use secrets_testkit::fakes::k8s::{Failure, FakeK8s};
use secrets_testkit::wire::{TestCa, TlsMatrix, WireFault, behind_a_proxy};

#[cfg(unix)]
use crate::support::plugin_of;
use crate::support::{Watch, admin, kind, kubeconfig, name, read, text};

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
async fn s3_s4_no_way_that_is_wrong_is_taken() {
    let token = Canary::random();
    TlsMatrix::new("localhost")
        .check(&token, |endpoint| {
            let builder = K8sApiBackend::server(endpoint.url).ca_pem(endpoint.ca_pem);
            let backend = builder.namespace("app").token(token.expose()).build().unwrap();
            async move { read(&backend, "smtp/k").await.map(drop) }
        })
        .await
        .unwrap();
}

#[test]
fn s5_loopback_never_goes_through_a_proxy() {
    behind_a_proxy("transport::s5_loopback_never_goes_through_a_proxy", || {
        let cluster = cluster();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let file = tempfile::tempdir().unwrap();
        let file = file.path().join("config");
        let user = format!("token: {}", cluster.admin_token());
        std::fs::write(&file, kubeconfig(&cluster.address(), cluster.ca_pem(), &user)).unwrap();
        for backend in [
            admin(&cluster).build().unwrap(),
            // kube takes a proxy out of the environment by itself.
            K8sApiBackend::kubeconfig().kubeconfig(file).build().unwrap(),
        ] {
            assert_eq!(runtime.block_on(kind(&backend, "smtp/k")), Ok(()));
            let mut watch = Watch::new(&backend, &["smtp/k"]);
            runtime.block_on(watch.meanwhile(cluster.wait_for_watches(1)));
        }
    });
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
async fn s4_a_watch_follows_no_redirect() {
    let (cluster, other, clock) = (cluster(), cluster(), FakeClock::new());
    let backend = admin(&cluster).clock(clock.clone()).build().unwrap();
    cluster.fail(Failure::new("watch=true", 307).location(format!(
        "{}/api/v1/namespaces/app/secrets?watch=true",
        other.address()
    )));
    let mut watch = Watch::new(&backend, &["smtp/k"]);
    for count in 1..=3 {
        watch.meanwhile(cluster.wait_for_calls("watch=true", count)).await;
        watch.meanwhile(pass(&clock)).await;
    }
    assert_eq!(other.calls().len(), 0);
}

/// Lets a wait for the next try pass.
async fn pass(clock: &FakeClock) {
    while clock.next_wake().is_none_or(|wake| wake > Duration::from_secs(4)) {
        tokio::task::yield_now().await;
    }
    clock.advance(Duration::from_secs(4));
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
async fn v8_malformed_answers_are_never_a_value() {
    let cluster = cluster();
    let backend = admin(&cluster).build().unwrap();
    for body in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"kind":"Status","metadata":{},"status":"Success"}"#,
        r#"{"kind":"SecretList","metadata":{},"items":[]}"#,
        r#"{"kind":"Secret","metadata":{"name":"other"},"data":{"k":"dmFsdWU="}}"#,
        r#"{"kind":"Secret","data":{"k":"dmFsdWU="}}"#,
        r#"{"kind":"Secret","metadata":{"name":"smtp"},"data":{"k":"dmFsdWU"}}"#,
        r#"{"kind":"Secret","metadata":{"name":"smtp"},"data":{"k":null}}"#,
        r#"{"kind":"Secret","metadata":{"name":"smtp"},"data":{"k":"dmFsdWU="}} trailing"#,
        r#"{"kind":"Secret","metadata":{"name":"smtp"},"data":{"k":"dmFsdWU="}"#,
        "<html>a proxy's greeting</html>",
    ] {
        cluster.fail(Failure::new("/secrets/smtp", 200).body(body));
        for of in ["smtp/k", "smtp"] {
            assert_eq!(kind(&backend, of).await, Err(ErrorKind::InvalidData), "{body}");
        }
        let asked = name("smtp/k");
        let known = Metadata::new().with_version(Version::new("7").unwrap());
        let known = backend.get(ReadRequest::new(&asked).with_known(&known)).await;
        assert_eq!(known.unwrap_err().kind(), ErrorKind::InvalidData, "{body}");
        cluster.heal();
    }
    for body in ["", "{}", r#"{"kind":"Status","metadata":{}}"#, r#"{"items":{}}"#] {
        cluster.fail(Failure::new("/secrets", 200).body(body));
        let listed = backend.list(None).await;
        assert_eq!(listed.unwrap_err().kind(), ErrorKind::InvalidData, "{body}");
        cluster.heal();
    }
    let whole = r#"{"kind":"SecretList","metadata":{},"items":null}"#;
    cluster.fail(Failure::new("/secrets", 200).body(whole));
    assert_eq!(backend.list(None).await.unwrap(), []);
}

#[tokio::test]
async fn e7_a_list_without_an_end_is_given_up() {
    let cluster = cluster();
    let page = r#"{"kind":"SecretList","metadata":{"continue":"more"},"items":[{"metadata":{"name":"smtp"},"data":{"k":""}}]}"#;
    cluster.fail(Failure::new("/secrets?", 200).body(page));
    let backend = admin(&cluster).list_namespace(true).build().unwrap();
    let listed = tokio::time::timeout(Duration::from_secs(60), backend.list(None));
    let error = listed.await.expect("an end").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.message().contains("come to an end"), "{error}");
    assert_eq!(cluster.count("/secrets?"), 2);
}

#[tokio::test]
async fn r2_what_is_no_version_of_kubernetes_is_not_stated() {
    let cluster = cluster();
    let body =
        r#"{"kind":"Secret","metadata":{"name":"smtp","resourceVersion":"hunter2"},"data":{"k":"dmFsdWU="}}"#;
    cluster.fail(Failure::new("/secrets/smtp", 200).body(body));
    let backend = admin(&cluster).build().unwrap();
    let secret = read(&backend, "smtp/k").await.unwrap();
    assert_eq!(secret.expose_secret(), b"value");
    assert_eq!(secret.metadata().version(), None);
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
    // A wait that nobody can mean is none.
    let body = body.replace(":9", &format!(":{}", u64::MAX));
    cluster.fail(Failure::new("/secrets", 429).retry_after("1e300").body(body));
    let manager = SecretManager::builder(backend).attempts(1).build().unwrap();
    let error = manager.get("smtp/k").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry_after()),
        (ErrorKind::RateLimited, None)
    );
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

#[tokio::test]
async fn a8_a_token_file_that_is_too_large_or_no_file_is_not_sent() {
    let cluster = cluster();
    let directory = tempfile::tempdir().unwrap();
    let large = directory.path().join("large");
    std::fs::write(&large, "x".repeat(64 * 1024 + 1)).unwrap();
    let empty = directory.path().join("empty");
    std::fs::write(&empty, " \n").unwrap();
    let mut files = vec![large, empty, directory.path().to_owned()];
    #[cfg(unix)]
    {
        let fifo = directory.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        files.push(fifo);
    }
    for file in files {
        let backend = K8sApiBackend::server(cluster.address())
            .ca_pem(cluster.ca_pem())
            .namespace("app")
            .token_file(&file)
            .build()
            .unwrap();
        let error = read(&backend, "smtp/k").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{file:?}");
        assert!(error.message().contains(&*file.to_string_lossy()), "{error}");
    }
    assert_eq!(cluster.calls().len(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn a2_a_plugin_that_hangs_is_run_once_and_what_it_brings_at_last_is_used() {
    let cluster = cluster();
    let directory = tempfile::tempdir().unwrap();
    let at = |file: &str| directory.path().join(file);
    let made = std::process::Command::new("mkfifo").arg(at("fifo")).status();
    assert!(made.unwrap().success());
    let script = format!(
        "echo x >>'{0}/calls'\ncat '{0}/fifo'\n",
        directory.path().display()
    );
    let user = plugin_of(directory.path(), &script);
    std::fs::write(
        at("config"),
        kubeconfig(&cluster.address(), cluster.ca_pem(), &user),
    )
    .unwrap();
    let clock = FakeClock::new();
    let backend = K8sApiBackend::kubeconfig()
        .kubeconfig(at("config"))
        .clock(clock.clone())
        .build()
        .unwrap();
    for _ in 0..3 {
        let passing = async {
            loop {
                tokio::task::yield_now().await;
                if clock.next_wake().is_some() {
                    clock.advance(Duration::from_secs(10));
                }
            }
        };
        let outcome = tokio::select! {
            outcome = kind(&backend, "smtp/k") => outcome,
            () = passing => unreachable!("it never ends"),
        };
        assert_eq!(outcome, Err(ErrorKind::Timeout));
    }
    let credential = format!(
        r#"{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{{"token":"{}"}}}}"#,
        cluster.admin_token()
    );
    // Whoever opens it to write waits for the plugin to read.
    let (fifo, read) = (at("fifo"), text(&backend, "smtp/k"));
    let written = tokio::task::spawn_blocking(move || std::fs::write(fifo, credential).unwrap());
    assert_eq!(read.await, "value");
    written.await.unwrap();
    assert_eq!(std::fs::read_to_string(at("calls")).unwrap().lines().count(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a3_a4_a_plugin_is_asked_again_after_a_401_and_not_all_the_time() {
    let cluster = cluster();
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    let script = format!(
        "echo x >>{0}.calls\nprintf '{{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\
         \"status\":{{\"token\":\"%s\"}}}}' \"$(cat {0})\"\n",
        token.display()
    );
    let user = plugin_of(directory.path(), &script);
    let config = directory.path().join("config");
    std::fs::write(&config, kubeconfig(&cluster.address(), cluster.ca_pem(), &user)).unwrap();
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
