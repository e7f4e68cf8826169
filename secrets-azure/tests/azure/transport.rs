//! The way to the vault: TLS, challenges, redirects, proxies, and every way in which it breaks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_core::time::OffsetDateTime;
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use secrets_azure::{Auth, AzureBackend, AzureBuilder, Cloud};
use secrets_core::{ErrorKind, SecretBackend};
use secrets_testkit::Canary;
use secrets_testkit::fakes::azure::{Failure, HOST, HOSTS, TENANT};
use secrets_testkit::wire::{
    Body, Endpoint, HttpServer, Response, TestCa, TlsMatrix, WireFault, WireProxy, behind_a_proxy, http,
};

use crate::support::{APP, SECOND, Scene, client_secret, kind, read};

/// A backend that reaches the fake through a wire, on the machine's clock, with a second for each request.
fn through(scene: &Scene, proxy: &WireProxy) -> AzureBackend {
    let builder = AzureBackend::builder(HOST)
        .ca_pem(scene.azure.ca_pem())
        .auth(client_secret())
        .timeout(SECOND);
    let builder = HOSTS
        .iter()
        .fold(builder, |builder, host| builder.resolve(*host, proxy.address()));
    builder.build().unwrap()
}

#[tokio::test]
async fn e7_every_way_in_which_the_wire_breaks_has_its_kind() {
    let scene = Scene::new();
    scene.azure.put("large", &"x".repeat(120_000));
    let proxy = scene.azure.proxy().unwrap();
    for (fault, kinds) in [
        (WireFault::Refuse, &[ErrorKind::Unavailable][..]),
        (WireFault::Hang, &[ErrorKind::Timeout]),
        (WireFault::NoAnswer, &[ErrorKind::Timeout]),
        (WireFault::ResetAfter(0), &[ErrorKind::Unavailable]),
        (WireFault::ResetAfter(60_000), &[ErrorKind::Unavailable]),
        (WireFault::CloseAfter(60_000), &[ErrorKind::Unavailable]),
        (WireFault::Garbage, &[ErrorKind::Unavailable]),
        (WireFault::GarbageBody, &[ErrorKind::InvalidData]),
        (WireFault::Endless, &[ErrorKind::InvalidData]),
        (WireFault::status(429, "7"), &[ErrorKind::RateLimited]),
        (WireFault::status(502, None), &[ErrorKind::Unavailable]),
    ] {
        let backend = through(&scene, &proxy);
        assert_eq!(kind(&backend, "large").await, Ok(()), "before {fault:?}");
        proxy.set(fault.clone());
        let before = proxy.request_count();
        let error = read(&backend, "large").await.unwrap_err();
        assert!(kinds.contains(&error.kind()), "{fault:?}: {error}");
        assert!(proxy.request_count() <= before + 1, "{fault:?}: one attempt");
        assert_eq!(error.secret().map(ToString::to_string).as_deref(), Some("large"));
        if error.kind() == ErrorKind::RateLimited {
            assert_eq!(error.retry_after(), Some(SECOND * 7));
        }
        proxy.heal();
        assert_eq!(kind(&backend, "large").await, Ok(()), "after {fault:?}");
    }
    let nowhere = AzureBackend::builder("https://no-such-host.invalid")
        .auth(client_secret())
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
async fn s3_s4_no_wrong_way_to_the_vault_is_taken() {
    let secret = Canary::random();
    let read = |endpoint: Endpoint| {
        let builder = AzureBackend::builder(endpoint.url)
            .ca_pem(endpoint.ca_pem)
            .resolve(HOST, endpoint.address);
        let auth = Auth::client_secret(TENANT, APP, secret.expose());
        let backend = builder.auth(auth).build().unwrap();
        async move { read(&backend, "a").await.map(drop) }
    };
    TlsMatrix::new(HOST).check(&secret, read).await.unwrap();
}

/// The vault is as it should be, and whoever issues the tokens is not.
#[tokio::test]
async fn s3_s4_no_wrong_way_to_the_issuer_of_tokens_is_taken() {
    const ISSUER: &str = "login.example.com";
    let scene = Scene::new();
    let secret = Canary::random();
    let from = |endpoint: Endpoint, auth: Auth| {
        let authorities = format!("{}\n{}", scene.azure.ca_pem(), endpoint.ca_pem);
        let builder = AzureBackend::builder(HOST)
            .resolve(HOST, scene.azure.socket())
            .resolve(ISSUER, endpoint.address)
            .ca_pem(authorities);
        let builder = builder.authority(&endpoint.url).imds_endpoint(&endpoint.url);
        let backend = builder.auth(auth).build().unwrap();
        async move { read(&backend, "a").await.map(drop) }
    };
    let matrix = TlsMatrix::new(ISSUER);
    let by_secret = |endpoint| from(endpoint, Auth::client_secret(TENANT, APP, secret.expose()));
    matrix.check(&secret, by_secret).await.unwrap();
    let by_identity = |endpoint| from(endpoint, Auth::managed_identity());
    matrix.check(&secret, by_identity).await.unwrap();
    assert!(
        scene.azure.calls().iter().all(|call| call.status == 401),
        "nobody was let in"
    );
}

#[tokio::test]
async fn s3_tls_12_is_spoken() {
    let ca = TestCa::new();
    let server = HttpServer::builder()
        .tls(ca.issue([HOST]).server_config_tls12())
        .start(|_| async {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = http::StatusCode::FORBIDDEN;
            response
        })
        .unwrap();
    let backend = AzureBackend::builder(HOST)
        .ca_pem(ca.pem())
        .resolve(HOST, server.address())
        .auth(client_secret());
    let outcome = kind(&backend.build().unwrap(), "a").await;
    assert_eq!(outcome, Err(ErrorKind::PermissionDenied));
}

#[tokio::test]
async fn s3_a_challenge_for_something_else_gets_no_token() {
    let scene = Scene::new();
    for resource in [
        "https://evil.example.com",
        "https://vault.azure.cn",
        "https://myvault.vault.azure.net.evil.example.com",
        "nonsense",
        "",
    ] {
        let backend = scene.client_secret().build().unwrap();
        scene.azure.challenge(Some(resource));
        let error = read(&backend, "a").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.cause().unwrap().code()),
            (ErrorKind::Unauthenticated, Some("challenge")),
            "{resource}"
        );
    }
    assert_eq!(scene.azure.issued(), 0);
    scene.azure.challenge(None);
    assert_eq!(kind(&scene.client_secret().build().unwrap(), "a").await, Ok(()));
    let refused = scene.client_secret().verify_challenge(false).build().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidConfig);
}

/// The matrix redirects before there is a token; here there is one.
#[tokio::test]
async fn s4_redirects_are_not_followed() {
    let thief = HttpServer::start(|_| async { Response::new("{}".into()) }).unwrap();
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    read(&backend, "a").await.unwrap();
    for status in [301, 302, 303, 307, 308] {
        scene.azure.fail(
            Failure::new("secrets/", status)
                .bare()
                .location(format!("{}/secrets/a", thief.url())),
        );
        let error = read(&backend, "a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("redirects are not followed"), "{error}");
        scene.azure.heal();
    }
    assert_eq!(thief.connection_count(), 0);
}

#[tokio::test]
async fn e1_e3_answers_of_the_vault_have_their_kinds_and_cost_one_request() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    read(&backend, "a").await.unwrap();
    for (failure, kind, retry_after) in [
        (
            Failure::forbidden("secrets/", "ForbiddenByRbac"),
            ErrorKind::PermissionDenied,
            None,
        ),
        (
            Failure::forbidden("secrets/", "ForbiddenByFirewall"),
            ErrorKind::PermissionDenied,
            None,
        ),
        (
            Failure::forbidden("secrets/", "SecretDisabled"),
            ErrorKind::Disabled,
            None,
        ),
        (Failure::new("secrets/", 409), ErrorKind::Unavailable, None),
        (
            Failure::new("secrets/", 429).retry_after("30"),
            ErrorKind::RateLimited,
            Some(30),
        ),
        (
            Failure::new("secrets/", 429).header("retry-after-ms", "1500"),
            ErrorKind::RateLimited,
            Some(2),
        ),
        (Failure::new("secrets/", 500), ErrorKind::Unavailable, None),
        (
            Failure::new("secrets/", 503).retry_after("5"),
            ErrorKind::Unavailable,
            Some(5),
        ),
        (Failure::new("secrets/", 504), ErrorKind::Timeout, None),
    ] {
        scene.azure.fail(failure.clone());
        scene.azure.forget_calls();
        let error = read(&backend, "a").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.retry_after()),
            (kind, retry_after.map(Duration::from_secs)),
            "{failure:?}"
        );
        assert!(error.cause().unwrap().request_id().is_some());
        assert_eq!(
            scene.azure.calls().len(),
            1,
            "the SDK does not try again: {failure:?}"
        );
        scene.azure.heal();
    }
    for (status, kind) in [
        (429, ErrorKind::RateLimited),
        (500, ErrorKind::Unavailable),
        (401, ErrorKind::Unauthenticated),
    ] {
        scene.azure.fail(Failure::new(TENANT, status));
        scene.azure.forget_calls();
        let fresh = scene.client_secret().build().unwrap();
        let error = read(&fresh, "a").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(scene.logins(), 1, "neither does it log in again");
        scene.azure.heal();
    }
}

#[tokio::test]
async fn v7_values_above_the_cap_are_refused() {
    let scene = Scene::new();
    let backend = scene.client_secret().max_value(1_000).build().unwrap();
    scene.azure.put("fits", &"x".repeat(1_000));
    scene.azure.put("over", &"x".repeat(1_001));
    scene.azure.put("huge", &"x".repeat(140_000));
    assert_eq!(kind(&backend, "fits").await, Ok(()));
    assert_eq!(kind(&backend, "over").await, Err(ErrorKind::InvalidData));
    assert_eq!(kind(&backend, "huge").await, Err(ErrorKind::InvalidData));
    // A page has a limit of its own: a small value does not make lists impossible, and no page is endless.
    let page = |padding: usize| {
        let id = format!("https://{HOST}/secrets/a");
        let tags = serde_json::json!({ "padding": "x".repeat(padding) });
        let body = serde_json::json!({ "value": [{ "id": id, "tags": tags }], "nextLink": null });
        Failure::new("secrets", 200).body(body.to_string()).times(1)
    };
    scene.azure.fail(page(200_000));
    assert_eq!(backend.list(None).await.unwrap().len(), 1);
    scene.azure.fail(page(1_100_000));
    let error = backend.list(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[tokio::test]
async fn v8_malformed_answers_are_never_a_value() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    read(&backend, "a").await.unwrap();
    let id = format!("https://{HOST}/secrets/a/{}", "0".repeat(32));
    for body in [
        String::new(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        r#"{"value":"x"}"#.into(),
        r#"{"value":"x","id":"https://myvault.vault.azure.net/secrets/b/0"}"#.into(),
        format!(r#"{{"value":null,"id":"{id}"}}"#),
        format!(r#"{{"value":["x"],"id":"{id}"}}"#),
        format!(r#"{{"value":"\ud800","id":"{id}"}}"#),
        format!(r#"{{"value":"x","id":"{id}","attributes":{{"exp":"soon"}}}}"#),
        format!(r#"{{"value":"x","id":"{id}"}} trailing"#),
        format!(r#"{{"value":"x","id":"{id}""#),
        "<html>a proxy's greeting</html>".into(),
    ] {
        scene
            .azure
            .fail(Failure::new("secrets/a", 200).body(body.clone()).times(1));
        assert_eq!(kind(&backend, "a").await, Err(ErrorKind::InvalidData), "{body}");
    }
    for body in [
        "",
        "{}",
        "[]",
        r#"{"access_token":"x"}"#,
        r#"{"access_token":1,"expires_in":1}"#,
    ] {
        scene.azure.fail(Failure::new(TENANT, 200).body(body).times(1));
        let fresh = scene.client_secret().build().unwrap();
        assert_eq!(kind(&fresh, "a").await, Err(ErrorKind::InvalidData), "{body}");
    }
}

#[test]
fn s5_loopback_never_goes_through_a_proxy() {
    behind_a_proxy("transport::s5_loopback_never_goes_through_a_proxy", || {
        let scene = Scene::new();
        scene.azure.assign(None);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let builder = scene
            .builder()
            .auth(Auth::managed_identity())
            .imds_endpoint(scene.azure.identity_url());
        assert_eq!(runtime.block_on(kind(&builder.build().unwrap(), "a")), Ok(()));
    });
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused_before_anything_is_asked() {
    let scene = Scene::new();
    let build = |change: fn(AzureBuilder) -> AzureBuilder| {
        change(scene.client_secret())
            .build()
            .map(drop)
            .map_err(|error| error.kind())
    };
    let refused = Err(ErrorKind::InvalidConfig);
    assert_eq!(build(|builder| builder.base("a_b")), refused);
    assert_eq!(build(|builder| builder.base("a//b")), refused);
    assert_eq!(
        build(|builder| builder.authority("http://login.example.com")),
        refused
    );
    assert_eq!(build(|builder| builder.imds_endpoint("http://10.0.0.1")), refused);
    assert_eq!(build(|builder| builder.cloud(Cloud::China)), refused);
    assert_eq!(build(|builder| builder.api_version("7.6&x=y")), refused);
    assert_eq!(build(|builder| builder.ca_pem("no PEM")), refused);
    assert_eq!(build(|builder| builder.ca_file("/no/such/file")), refused);
    assert_eq!(build(|builder| builder.timeout(Duration::ZERO)), refused);
    assert_eq!(build(|builder| builder.login_timeout(Duration::ZERO)), refused);
    assert_eq!(build(|builder| builder.max_value(0)), refused);
    assert_eq!(build(|builder| builder.application("a\nb")), refused);
    assert_eq!(
        build(|builder| builder.auth(Auth::client_secret("", APP, "x"))),
        refused
    );
    assert_eq!(
        build(|builder| builder.auth(Auth::client_secret("a/../b", APP, "x"))),
        refused
    );
    assert_eq!(
        build(|builder| builder.auth(Auth::client_secret(TENANT, APP, ""))),
        refused
    );
    assert_eq!(
        build(|builder| builder.auth(Auth::client_secret(TENANT, APP, "a\nb"))),
        refused
    );
    assert_eq!(build(|builder| builder), Ok(()));
    let closed = scene.client_secret().idle_connections(false).build().unwrap();
    assert_eq!(kind(&closed, "a").await, Ok(()));
    closed.shutdown().await.unwrap();
}

/// A credential that knows the fake's tokens.
#[derive(Debug)]
struct Always(String);

#[async_trait]
impl TokenCredential for Always {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        if self.0.is_empty() {
            return Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Credential,
                "CANARY",
            ));
        }
        Ok(AccessToken::new(
            self.0.clone(),
            OffsetDateTime::now_utc() + azure_core::time::Duration::hours(1),
        ))
    }
}

#[derive(Debug)]
struct Http(reqwest::Client);

#[async_trait]
impl azure_core::http::HttpClient for Http {
    async fn execute_request(
        &self,
        request: &azure_core::http::Request,
    ) -> azure_core::Result<azure_core::http::AsyncRawResponse> {
        use azure_core::error::{Error, ErrorKind};
        let mut sent = self.0.get(request.url().clone());
        for (name, value) in request.headers().iter() {
            sent = sent.header(name.as_str(), value.as_str());
        }
        let failed = |error: reqwest::Error| Error::with_error(ErrorKind::Connection, error, "CANARY");
        let response = sent.send().await.map_err(failed)?;
        let mut headers = azure_core::http::headers::Headers::new();
        for (name, value) in response.headers() {
            headers.insert(name.as_str().to_owned(), value.to_str().unwrap().to_owned());
        }
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(failed)?;
        Ok(azure_core::http::AsyncRawResponse::from_bytes(
            status.into(),
            headers,
            body,
        ))
    }
}

#[tokio::test]
async fn a_client_of_the_users_own_is_taken_as_it_is() {
    let scene = Scene::new();
    scene.azure.assign(None);
    let url = format!(
        "{}/metadata/identity/oauth2/token?resource=https://vault.azure.net",
        scene.azure.identity_url()
    );
    let answer = reqwest::Client::new()
        .get(url)
        .header("metadata", "true")
        .send()
        .await
        .unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    let client = |token: &str| {
        let ca = reqwest::Certificate::from_pem(scene.azure.ca_pem().as_bytes()).unwrap();
        let http = reqwest::Client::builder()
            .tls_certs_only([ca])
            .resolve(HOST, scene.azure.socket())
            .no_proxy()
            .build()
            .unwrap();
        let options = SecretClientOptions {
            client_options: ClientOptions {
                transport: Some(Transport::new(Arc::new(Http(http)))),
                retry: RetryOptions::none(),
                ..ClientOptions::default()
            },
            ..SecretClientOptions::default()
        };
        SecretClient::new(
            &format!("https://{HOST}"),
            Arc::new(Always(token.to_owned())),
            Some(options),
        )
        .unwrap()
    };
    let backend = AzureBackend::with_client(client(&token))
        .base("app")
        .build()
        .unwrap();
    for secret in ["app--a", "app--b", "app--c", "app--d", "other"] {
        scene.azure.put(secret, "theirs");
    }
    assert_eq!(read(&backend, "a").await.unwrap().expose_secret(), b"theirs");
    assert_eq!(backend.list(None).await.unwrap().len(), 4);
    assert_eq!(kind(&backend, "nothing").await, Err(ErrorKind::NotFound));
    backend.check().await.unwrap();
    scene
        .azure
        .fail(Failure::forbidden("secrets/", "ForbiddenByPolicy"));
    assert_eq!(kind(&backend, "a").await, Err(ErrorKind::PermissionDenied));
    scene.azure.heal();
    scene.azure.fail(Failure::new("secrets/", 429).retry_after("9"));
    assert_eq!(
        read(&backend, "a").await.unwrap_err().retry_after(),
        Some(SECOND * 9)
    );
    scene.azure.stop();
    let error = read(&backend, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!format!("{error:?}").contains("CANARY"));
    scene.azure.start_again().unwrap();
    scene.azure.heal();
    let error = read(&AzureBackend::with_client(client("")).build().unwrap(), "a")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(!format!("{error:?}").contains("CANARY"));
    let error = read(&AzureBackend::with_client(client("wrong")).build().unwrap(), "a")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    let refused = AzureBackend::with_client(client(&token))
        .auth(client_secret())
        .build()
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidConfig);
    assert!(refused.message().contains("`auth`"), "{refused}");
}
