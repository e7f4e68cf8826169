//! S1: a canary secret and a canary token show up nowhere.

use std::fmt::Write as _;

use base64ct::Encoding as _;
use secrets_core::{ErrorKind, ReadRequest, SecretBackend};
use secrets_testkit::Canary;
use secrets_testkit::fakes::k8s::{Failure, FakeK8s};
use secrets_testkit::wire::TestCa;

use crate::support::{builder, name, read};

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

#[tokio::test]
async fn s1_no_answer_makes_an_error_show_a_value_or_a_token() {
    let [value, token] = [(); 2].map(|()| Canary::random());
    let cluster = FakeK8s::start_with(TestCa::new(), token.expose()).unwrap();
    cluster.put("app", "smtp", &[("k", value.expose().as_bytes())]);
    let encoded = base64ct::Base64::encode_string(value.expose().as_bytes());
    let absent = |text: &str| {
        for canary in [value.expose(), token.expose(), &encoded] {
            assert!(!text.contains(canary), "{text}");
        }
    };
    let builder = builder(&cluster, token.expose());
    absent(&format!("{builder:?}"));
    let backend = builder.build().unwrap();
    let secret = read(&backend, "smtp/k").await.unwrap();
    assert_eq!(secret.expose_secret(), value.expose().as_bytes());
    absent(&format!("{secret:?} {backend:?} {backend:#?}"));
    let echo = format!("{} {} {encoded}", value.expose(), token.expose());
    let bodies = [
        echo.clone(),
        format!(
            r#"{{"kind":"Status","reason":"{echo}","message":"{echo}","details":{{"name":"{echo}","kind":"{echo}"}},"code":7}}"#
        ),
        format!(r#"{{"metadata":{{"name":"{echo}","resourceVersion":"{echo}"}},"data":{{"k":"{encoded}"#),
        format!(r#"{{"metadata":{{"name":"smtp"}},"data":{{"k":"{echo}","{echo}":1}}}}"#),
        format!(r#"{{"metadata":{{"name":"smtp"}},"data":"{echo}","type":["{echo}"]}}"#),
        format!(r#"{{"{echo}":1,"items":[{{"{echo}":{echo}}}]}}"#),
    ];
    let mut kinds = Vec::new();
    for status in [
        200, 204, 302, 400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 418, 422, 429, 500, 503, 504, 599,
    ] {
        for body in &bodies {
            cluster.fail(
                Failure::new("/", status)
                    .body(body.clone())
                    .retry_after(echo.clone())
                    .location(format!("https://{}/", value.expose())),
            );
            let asked = name("smtp/k");
            let known = ReadRequest::new(&asked).with_known(secret.metadata());
            let errors = [
                read(&backend, "smtp/k").await.err(),
                read(&backend, "smtp").await.err(),
                backend.get(known).await.err(),
                backend.list(None).await.err(),
                backend.check().await.err(),
            ];
            for error in errors.into_iter().flatten() {
                absent(&printed(&error));
                kinds.push(error.kind());
            }
            cluster.heal();
        }
    }
    for kind in [
        ErrorKind::InvalidConfig,
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

#[test]
fn s1_a_kubeconfig_that_is_none_is_not_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    for text in [
        "hunter2",
        "users: [hunter2",
        "apiVersion: v1\nkind: Config\ncurrent-context: hunter2\n",
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nclusters: \
         [{name: a, cluster: {server: 'https://user:hunter2@api'}}]\nusers: [{name: a, user: {token: hunter2}}]\n",
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nclusters: \
         [{name: a, cluster: {server: 'https://api'}}]\nusers: [{name: a, user: {token: \"hunter2\\nx\"}}]\n",
    ] {
        std::fs::write(&file, text).unwrap();
        let built = secrets_k8s::K8sApiBackend::kubeconfig().kubeconfig(&file).build();
        let error = built.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text}");
        assert_eq!(error.backend(), Some("k8s-api"));
        assert!(!printed(&error).contains("hunter2"), "{error}");
    }
}
