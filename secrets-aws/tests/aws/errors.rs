//! The table of errors, over a real socket; and that none of them shows anything.

use secrets_core::{ErrorKind, ReadRequest, SecretBackend};
use secrets_testkit::fakes::aws::Failure;
use secrets_testkit::wire::{HttpServer, Response, TestCa};

use crate::support::{SECOND, Scene, kind, name, read};

#[tokio::test]
async fn e1_every_code_has_its_kind() {
    use ErrorKind as K;
    let scene = Scene::new();
    let (secrets, parameters) = (
        scene.secrets().build().unwrap(),
        scene.parameters().build().unwrap(),
    );
    for (status, code, message, expected) in [
        (400, "AccessDeniedException", "", K::PermissionDenied),
        (403, "AccessDenied", "", K::PermissionDenied),
        (400, "DecryptionFailure", "", K::Disabled),
        (400, "ExpiredTokenException", "", K::Unauthenticated),
        (403, "ExpiredToken", "", K::Unauthenticated),
        (400, "IncompleteSignature", "", K::Unauthenticated),
        (500, "InternalFailure", "", K::Unavailable),
        (500, "InternalServerError", "", K::Unavailable),
        (500, "InternalServiceError", "", K::Unavailable),
        (400, "InvalidKeyId", "", K::Disabled),
        (400, "InvalidParameterException", "", K::InvalidData),
        (
            400,
            "InvalidRequestException",
            "was marked for deletion.",
            K::Disabled,
        ),
        (
            400,
            "InvalidRequestException",
            "managed by another service",
            K::InvalidData,
        ),
        (400, "InvalidSignatureException", "", K::Unauthenticated),
        (400, "MissingAuthenticationTokenException", "", K::Unauthenticated),
        (400, "ParameterNotFound", "", K::NotFound),
        (400, "ParameterVersionNotFound", "", K::VersionNotFound),
        (400, "RequestLimitExceeded", "", K::RateLimited),
        (400, "ResourceNotFoundException", "", K::NotFound),
        (404, "ResourceNotFoundException", "", K::NotFound),
        (503, "ServiceUnavailable", "", K::Unavailable),
        (503, "SlowDown", "", K::RateLimited),
        (400, "Throttling", "", K::RateLimited),
        (400, "ThrottlingException", "", K::RateLimited),
        (429, "TooManyRequestsException", "", K::RateLimited),
        (400, "UnknownOperationException", "", K::Unsupported),
        (400, "UnrecognizedClientException", "", K::Unauthenticated),
        (400, "ValidationException", "", K::InvalidData),
        (
            400,
            "com.amazonaws.secretsmanager#ThrottlingException",
            "",
            K::RateLimited,
        ),
        (400, "NobodyHasHeardOfThis", "", K::InvalidData),
        (503, "NobodyHasHeardOfThis", "", K::Unavailable),
    ] {
        scene
            .aws
            .fail(Failure::new("", status).code(code).message(message));
        for backend in [&secrets as &dyn SecretBackend, &parameters] {
            let error = read(backend, "a").await.unwrap_err();
            assert_eq!(error.kind(), expected, "{status} {code}: {error}");
            let cause = error.cause().unwrap();
            assert_eq!(cause.status(), Some(status), "{code}");
            assert!(
                cause.request_id().unwrap().starts_with("fake-request-"),
                "{cause}"
            );
            assert_eq!(
                (error.backend(), error.secret()),
                (Some(backend.name()), Some(&name("a")))
            );
            assert!(error.message().len() > 20, "it says what to do: {error}");
        }
        scene.aws.heal();
    }
}

#[tokio::test]
async fn e1_a_status_speaks_where_there_is_no_code() {
    use ErrorKind as K;
    let scene = Scene::new();
    let (secrets, parameters) = (
        scene.secrets().build().unwrap(),
        scene.parameters().build().unwrap(),
    );
    for (status, expected) in [
        (301, K::Unavailable),
        (307, K::Unavailable),
        (400, K::InvalidData),
        (401, K::Unauthenticated),
        (403, K::PermissionDenied),
        (404, K::InvalidData),
        (408, K::Timeout),
        (413, K::InvalidData),
        (418, K::InvalidData),
        (429, K::RateLimited),
        (500, K::Unavailable),
        (502, K::Unavailable),
        (503, K::Unavailable),
        (504, K::Timeout),
    ] {
        for body in ["", "<html>a proxy's greeting</html>", "{", "[]"] {
            scene.aws.fail(
                Failure::new("", status)
                    .body(body)
                    .header("content-type", "text/html"),
            );
            for backend in [&secrets as &dyn SecretBackend, &parameters] {
                assert_eq!(kind(backend, "a").await, Err(expected), "{status} {body}");
            }
            scene.aws.heal();
        }
    }
}

#[tokio::test]
async fn e3_throttling_is_recognised_by_code_and_by_status_and_says_how_long() {
    let scene = Scene::new();
    let backend = scene.secrets().build().unwrap();
    for (status, code) in [(400, Some("ThrottlingException")), (429, None)] {
        for (header, after) in [("7", 7), ("6.2", 7), (" 3 ", 3)] {
            let failure = Failure::new("", status).header("retry-after", header);
            scene.aws.fail(match code {
                Some(code) => failure.code(code),
                None => failure,
            });
            let error = read(&backend, "a").await.unwrap_err();
            assert_eq!(
                (error.kind(), error.retry_after()),
                (ErrorKind::RateLimited, Some(SECOND * after))
            );
            scene.aws.heal();
        }
    }
}

#[tokio::test]
async fn v8_malformed_answers_are_never_a_value() {
    let scene = Scene::new();
    let (secrets, parameters) = (
        scene.secrets().build().unwrap(),
        scene.parameters().build().unwrap(),
    );
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "\"x\"",
        r#"{"SecretString":null}"#,
        r#"{"SecretString":1}"#,
        r#"{"SecretString":["x"]}"#,
        r#"{"SecretString":"\ud800"}"#,
        r#"{"SecretString":"half of a"#,
        r#"{"SecretBinary":"no base64 !"}"#,
        r#"{"Parameter":null}"#,
        r#"{"Parameter":{}}"#,
        r#"{"Parameter":{"Value":1}}"#,
        r#"{"Parameter":{"Value":"half of a"#,
        "<html>a proxy's greeting</html>",
        "\u{feff}{}",
    ] {
        for content_type in ["application/x-amz-json-1.1", "text/html", ""] {
            scene.aws.fail(
                Failure::new("", 200)
                    .body(body)
                    .header("content-type", content_type),
            );
            for backend in [&secrets as &dyn SecretBackend, &parameters] {
                assert_eq!(kind(backend, "a").await, Err(ErrorKind::InvalidData), "{body}");
                let [one, other] = ["a", "b"].map(name);
                for answer in backend
                    .get_many(&[ReadRequest::new(&one), ReadRequest::new(&other)])
                    .await
                {
                    assert_eq!(answer.unwrap_err().kind(), ErrorKind::InvalidData, "{body}");
                }
            }
            scene.aws.heal();
        }
    }
}

/// The SDK's signer panics when it has to put such credentials into a header.
#[tokio::test]
async fn v8_credentials_that_no_request_can_carry_are_refused() {
    let ca = TestCa::new();
    let sts = HttpServer::builder().tls(ca.issue(["localhost"]).server_config()).start(|_| async {
        let session = "<AccessKeyId>ASI\nX</AccessKeyId><SecretAccessKey>k</SecretAccessKey><SessionToken>t</SessionToken>\
                       <Expiration>2049-07-15T23:28:33Z</Expiration>";
        let answer = format!(
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>{session}\
             </Credentials></AssumeRoleResult></AssumeRoleResponse>"
        );
        Response::new(answer.into())
    });
    let sts = sts.unwrap();
    let builder = |id: &str, token: Option<&str>| {
        secrets_aws::SecretsManagerBackend::builder()
            .region("eu-central-1")
            .endpoint(sts.url_for("localhost"))
            .ca_pem(ca.pem())
            .credentials(id, "CANARY", token.map(Into::into))
    };
    let assuming = builder("AKIDFAKE", None)
        .role("arn:aws:iam::123456789012:role/app")
        .sts_endpoint(sts.url_for("localhost"))
        .build()
        .unwrap();
    let error = read(&assuming, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    for (id, token) in [
        ("AKID\n", None),
        ("AKID", Some("token\r\n")),
        ("\u{e9}", None),
        ("a b", None),
    ] {
        let error = builder(id, token).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{id:?} {token:?}");
    }
}
