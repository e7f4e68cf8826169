//! The way to AWS: TLS, redirects, proxies, and every way in which it breaks.

use std::time::Duration;

use secrets_aws::{SecretsManagerBackend, SecretsManagerBuilder};
use secrets_core::{ErrorKind, Result, SecretBackend};
use secrets_testkit::Canary;
use secrets_testkit::fakes::aws::{Failure, FakeAws};
use secrets_testkit::wire::{Endpoint, HttpServer, Response, TestCa, TlsMatrix, WireFault, behind_a_proxy};

use crate::support::{ALL, SECOND, Scene, alone, block_on, kind, read};

fn client(url: String, ca: &str) -> SecretsManagerBuilder {
    SecretsManagerBackend::builder()
        .region("eu-central-1")
        .endpoint(url)
        .ca_pem(ca)
        .timeout(SECOND)
        .credentials("AKIDFAKE", "CANARY", None)
}

#[tokio::test]
async fn e7_every_way_in_which_the_wire_breaks_has_its_kind() {
    let aws = FakeAws::start().unwrap();
    aws.put_secret("large", &vec![b'x'; 60_000]);
    let key = aws.user("app", ALL);
    let proxy = aws.proxy().unwrap();
    for (fault, expected) in [
        (WireFault::Refuse, ErrorKind::Unavailable),
        (WireFault::Hang, ErrorKind::Timeout),
        (WireFault::NoAnswer, ErrorKind::Timeout),
        (WireFault::ResetAfter(0), ErrorKind::Unavailable),
        (WireFault::ResetAfter(20_000), ErrorKind::Unavailable),
        (WireFault::CloseAfter(20_000), ErrorKind::Unavailable),
        (WireFault::Garbage, ErrorKind::Unavailable),
        (WireFault::GarbageBody, ErrorKind::InvalidData),
        (WireFault::Endless, ErrorKind::InvalidData),
        (WireFault::status(429, "7"), ErrorKind::RateLimited),
        (WireFault::status(502, None), ErrorKind::Unavailable),
    ] {
        let build = || {
            client(proxy.url_for("localhost"), aws.ca_pem())
                .credentials(&key.0, key.1.clone(), None)
                .build()
                .unwrap()
        };
        let backend = build();
        assert_eq!(kind(&backend, "large").await, Ok(()), "before {fault:?}");
        proxy.set(fault.clone());
        let error = read(&backend, "large").await.unwrap_err();
        assert_eq!(error.kind(), expected, "{fault:?}: {error}");
        if error.kind() == ErrorKind::RateLimited {
            assert_eq!(error.retry_after(), Some(SECOND * 7));
        }
        proxy.heal();
        assert_eq!(kind(&backend, "large").await, Ok(()), "after {fault:?}");
    }
    let nowhere = client("https://no-such-host.invalid".into(), aws.ca_pem())
        .timeout(SECOND * 5)
        .build()
        .unwrap();
    let outcome = kind(&nowhere, "a").await;
    assert!(
        matches!(outcome, Err(ErrorKind::Unavailable | ErrorKind::Timeout)),
        "{outcome:?}"
    );
}

/// Reads through a backend of either service, with a key that no way that is wrong may be shown.
async fn through(endpoint: Endpoint, key: String, parameters: bool) -> Result<()> {
    if !parameters {
        let builder = client(endpoint.url, &endpoint.ca_pem).credentials("AKIDFAKE", key, None);
        return read(&builder.build()?, "a").await.map(drop);
    }
    let builder = secrets_aws::ParameterStoreBackend::builder()
        .region("eu-central-1")
        .endpoint(endpoint.url)
        .ca_pem(endpoint.ca_pem)
        .credentials("AKIDFAKE", key, None);
    read(&builder.build()?, "a").await.map(drop)
}

#[tokio::test]
async fn s3_s4_no_way_that_is_wrong_is_taken() {
    for parameters in [false, true] {
        let key = Canary::random();
        TlsMatrix::new("localhost")
            .check(&key, |endpoint| {
                through(endpoint, key.expose().to_owned(), parameters)
            })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn s3_s4_no_way_to_sts_that_is_wrong_is_taken() {
    let key = Canary::random();
    let assume = |endpoint: Endpoint| {
        let builder = client(endpoint.url.clone(), &endpoint.ca_pem)
            .credentials("AKIDFAKE", key.expose(), None)
            .role("arn:aws:iam::123456789012:role/app")
            .sts_endpoint(endpoint.url);
        async move { read(&builder.build()?, "a").await.map(drop) }
    };
    TlsMatrix::new("localhost").check(&key, assume).await.unwrap();
}

#[tokio::test]
async fn s3_only_the_authorities_given_are_trusted_and_tls_12_is_spoken() {
    let ca = TestCa::new();
    // A private authority is no authority of the platform.
    let scene = Scene::new();
    let backend = SecretsManagerBackend::builder()
        .region("eu-central-1")
        .endpoint(scene.aws.url())
        .credentials(&scene.key.0, scene.key.1.clone(), None)
        .build()
        .unwrap();
    assert_eq!(
        read(&backend, "a").await.unwrap_err().cause().unwrap().code(),
        Some("tls")
    );
    let old = HttpServer::builder()
        .tls(ca.issue(["localhost"]).server_config_tls12())
        .start(|_| async { Response::new(r#"{"SecretString":"x"}"#.into()) })
        .unwrap();
    let backend = client(old.url_for("localhost"), ca.pem()).build().unwrap();
    assert_eq!(kind(&backend, "a").await, Ok(()), "TLS 1.2 is spoken");
}

#[tokio::test]
async fn s4_redirects_are_not_followed() {
    let thief = HttpServer::start(|_| async { Response::new("{}".into()) }).unwrap();
    let scene = Scene::new();
    let backend = scene.secrets().build().unwrap();
    for status in [301, 302, 303, 307, 308] {
        scene
            .aws
            .fail(Failure::new("", status).header("location", thief.url()));
        let error = read(&backend, "a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("redirects are not followed"), "{error}");
        scene.aws.heal();
    }
    assert_eq!(thief.connection_count(), 0);
}

#[test]
fn s5_loopback_never_goes_through_a_proxy() {
    behind_a_proxy("transport::s5_loopback_never_goes_through_a_proxy", || {
        let scene = Scene::new();
        let role = scene.aws.role("app", ALL);
        let assumed = scene.secrets().role(role).sts_endpoint(scene.aws.url());
        block_on(async {
            assert_eq!(kind(&scene.secrets().build().unwrap(), "a").await, Ok(()));
            assert_eq!(kind(&scene.parameters().build().unwrap(), "a").await, Ok(()));
            assert_eq!(kind(&assumed.build().unwrap(), "a").await, Ok(()));
        });
    });
}

#[tokio::test]
async fn s3_plain_http_stays_on_this_machine() {
    let scene = Scene::new();
    let plain = scene.secrets().endpoint(scene.aws.plain_url()).build().unwrap();
    assert_eq!(kind(&plain, "a").await, Ok(()));
    let refused = scene
        .secrets()
        .endpoint("http://secretsmanager.example.com")
        .build();
    assert_eq!(
        refused.map(drop).map_err(|error| error.kind()),
        Err(ErrorKind::InvalidConfig)
    );
}

#[test]
fn s3_an_endpoint_from_the_environment_is_held_to_the_same() {
    let within = alone(
        "transport::s3_an_endpoint_from_the_environment_is_held_to_the_same",
        || {
            vec![
                ("AWS_ENDPOINT_URL", "http://secretsmanager.example.com".into()),
                ("AWS_REGION", "eu-central-1".into()),
                ("AWS_ACCESS_KEY_ID", "AKIDFAKE".into()),
                ("AWS_SECRET_ACCESS_KEY", "CANARY".into()),
            ]
        },
    );
    if within {
        let backend = SecretsManagerBackend::builder().build().unwrap();
        let error = block_on(read(&backend, "a")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.message().contains("allow_insecure"), "{error}");
    }
}

#[tokio::test]
async fn the_user_agent_names_library_and_application() {
    let scene = Scene::new();
    let backend = scene.secrets().application("billing").build().unwrap();
    read(&backend, "a").await.unwrap();
    let requests = scene.aws.requests();
    let header = |name: &str| requests[0].headers()[name].to_str().unwrap().to_owned();
    let agents = format!("{} {}", header("user-agent"), header("x-amz-user-agent"));
    assert!(agents.contains("app/billing"), "{agents}");
    assert!(agents.contains("lib/secrets-aws"), "{agents}");
    assert_eq!(requests.len(), 1, "one call, one attempt");
}

#[tokio::test]
async fn without_idle_connections_each_request_has_its_own() {
    let scene = Scene::new();
    for (keep, connections) in [(true, 1), (false, 3)] {
        let proxy = scene.aws.proxy().unwrap();
        let backend = scene
            .secrets()
            .endpoint(proxy.url_for("localhost"))
            .idle_connections(keep)
            .build()
            .unwrap();
        for _ in 0..3 {
            assert_eq!(kind(&backend, "a").await, Ok(()));
        }
        assert_eq!(proxy.connection_count(), connections);
    }
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused_before_anything_is_asked() {
    let scene = Scene::new();
    let build = |change: fn(SecretsManagerBuilder) -> SecretsManagerBuilder| {
        change(scene.secrets()).build().map(drop).map_err(|error| {
            assert_eq!(error.backend(), Some("aws"));
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
            error.kind()
        })
    };
    let refused = Err(ErrorKind::InvalidConfig);
    assert_eq!(build(|builder| builder.region("EU Central")), refused);
    assert_eq!(
        build(|builder| builder.region("evil.example.com/hunter2")),
        refused
    );
    assert_eq!(build(|builder| builder.endpoint("hunter2")), refused);
    assert_eq!(
        build(|builder| builder.endpoint("https://user:hunter2@host")),
        refused
    );
    assert_eq!(build(|builder| builder.base("a b")), refused);
    assert_eq!(build(|builder| builder.ca_pem("no PEM")), refused);
    assert_eq!(
        build(|builder| builder.ca_pem("-----BEGIN CERTIFICATE-----\naGk=\n-----END CERTIFICATE-----\n")),
        refused
    );
    assert_eq!(build(|builder| builder.ca_file("/no/such/file")), refused);
    assert_eq!(build(|builder| builder.timeout(Duration::ZERO)), refused);
    assert_eq!(build(|builder| builder.login_timeout(SECOND * 3_601)), refused);
    assert_eq!(build(|builder| builder.max_value(0)), refused);
    assert_eq!(build(|builder| builder.application("a b")), refused);
    assert_eq!(build(|builder| builder.role("hunter2")), refused);
    assert_eq!(build(|builder| builder.external_id("x")), refused);
    assert_eq!(build(|builder| builder.session_name("x")), refused);
    assert_eq!(
        build(|builder| builder.sts_endpoint("https://sts.example.com")),
        refused
    );
    let role = |builder: SecretsManagerBuilder| builder.role("arn:aws:iam::123456789012:role/x");
    assert_eq!(
        role(scene.secrets())
            .session_name("a b")
            .build()
            .map(drop)
            .map_err(|error| error.kind()),
        refused
    );
    assert!(role(scene.secrets()).build().is_ok());
    assert_eq!(build(|builder| builder), Ok(()));
    assert_eq!(scene.aws.calls().len(), 0);
}

#[tokio::test]
async fn a_client_of_the_users_is_used_as_it_is() {
    let scene = Scene::new();
    let config = aws_types::SdkConfig::builder()
        .behavior_version(aws_smithy_runtime_api::client::behavior_version::BehaviorVersion::v2026_01_12())
        .region(aws_types::region::Region::new("eu-central-1"))
        .endpoint_url(scene.aws.plain_url())
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(
            aws_credential_types::Credentials::new(&scene.key.0, &scene.key.1, None, None, "test"),
        ))
        .time_source(Wall(scene.clock.clone()))
        .sleep_impl(aws_sdk_ssm::config::SharedAsyncSleep::new(
            aws_smithy_async::rt::sleep::TokioSleep::new(),
        ))
        .http_client(
            aws_smithy_http_client::Builder::new()
                .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
                    aws_smithy_http_client::tls::rustls_provider::CryptoMode::AwsLc,
                ))
                .build_https(),
        )
        .build();
    let secrets = SecretsManagerBackend::with_client(aws_sdk_secretsmanager::Client::new(&config));
    let parameters = secrets_aws::ParameterStoreBackend::with_client(aws_sdk_ssm::Client::new(&config));
    let (secrets, parameters) = (secrets.build().unwrap(), parameters.build().unwrap());
    for backend in [&secrets as &dyn SecretBackend, &parameters] {
        assert_eq!(kind(backend, "a").await, Ok(()));
        scene.aws.fail(Failure::new("", 503));
        scene.aws.forget_calls();
        assert_eq!(kind(backend, "a").await, Err(ErrorKind::Unavailable));
        assert_eq!(scene.aws.calls().len(), 1, "its retries are switched off");
        scene.aws.heal();
        backend.check().await.unwrap();
        backend.shutdown().await.unwrap();
    }
    let refused =
        SecretsManagerBackend::with_client(aws_sdk_secretsmanager::Client::new(&config)).region("eu-west-1");
    let error = refused.build().unwrap_err();
    assert!(error.message().contains("`region`"), "{error}");
}

#[derive(Debug)]
struct Wall(secrets_core::FakeClock);

impl aws_smithy_async::time::TimeSource for Wall {
    fn now(&self) -> std::time::SystemTime {
        secrets_core::Clock::wall(&self.0)
    }
}
