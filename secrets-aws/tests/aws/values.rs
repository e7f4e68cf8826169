//! Values, versions and names as AWS has them.

use std::time::SystemTime;

use secrets_core::{ErrorKind, ReadRequest, SecretBackend};
use secrets_testkit::fakes::aws::Kms;

use crate::support::{Scene, kind, name, read, read_version, value};

#[tokio::test]
async fn v9_binary_is_bytes_and_text_that_looks_like_base64_is_text() {
    let scene = Scene::new();
    let backend = scene.secrets().build().unwrap();
    scene.aws.put_secret("bytes", &[0xff, 0, 0xfe]);
    scene.aws.put_secret_binary("text-as-bytes", b"aGVsbG8=");
    scene.aws.put_secret("text", b"aGVsbG8=");
    for (id, bytes) in [
        ("bytes", &[0xff, 0, 0xfe][..]),
        ("text-as-bytes", b"aGVsbG8="),
        ("text", b"aGVsbG8="),
    ] {
        assert_eq!(read(&backend, id).await.unwrap().expose_secret(), bytes, "{id}");
        let (one, other) = (name(id), name("a"));
        let answers = backend
            .get_many(&[ReadRequest::new(&one), ReadRequest::new(&other)])
            .await;
        let batched = value(answers.into_iter().next().unwrap()).unwrap();
        assert_eq!(batched.expose_secret(), bytes, "{id} in a batch");
    }
}

#[tokio::test]
async fn r2_metadata_tells_version_stages_and_time() {
    let scene = Scene::new();
    let first = scene.aws.put_secret("m", b"first");
    let second = scene.aws.put_secret("m", b"second");
    scene.aws.stage_secret("m", &first, "blue");
    let backend = scene.secrets().build().unwrap();
    let latest = read(&backend, "m").await.unwrap();
    let metadata = latest.metadata();
    assert_eq!(metadata.version().unwrap().as_str(), second);
    assert_eq!(metadata.attribute("stages"), Some("AWSCURRENT"));
    assert!(
        metadata
            .attribute("arn")
            .unwrap()
            .starts_with("arn:aws:secretsmanager:eu-central-1:")
    );
    let written = metadata.created().unwrap();
    let now = secrets_core::Clock::wall(&scene.clock);
    assert!(
        now.duration_since(written).unwrap_or_default().as_millis() < 2 && written > SystemTime::UNIX_EPOCH
    );
    for version in ["stage:blue", "stage:AWSPREVIOUS", &first] {
        let read = read_version(&backend, "m", version).await.unwrap();
        assert_eq!(read.expose_secret(), b"first", "{version}");
        assert_eq!(read.metadata().version().unwrap().as_str(), first);
    }
    let error = read_version(&backend, "m", "stage:green").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::VersionNotFound);
    let error = read_version(&backend, "nothing", "stage:blue").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let parameters = scene.parameters().build().unwrap();
    let secret = read(&parameters, "a").await.unwrap();
    assert_eq!(secret.metadata().attribute("type"), Some("SecureString"));
    assert_eq!(secret.metadata().version().unwrap().as_str(), "1");
}

#[tokio::test]
async fn r4_deleted_scheduled_pending_and_refused_keys_are_told_apart() {
    let scene = Scene::new();
    let backend = scene.secrets().build().unwrap();
    let parameters = scene.parameters().build().unwrap();
    scene.aws.create_secret("pending");
    for id in ["scheduled", "denied", "disabled"] {
        scene.aws.put_secret(id, b"x");
        scene.aws.put_parameter(&format!("/{id}"), "x");
    }
    scene.aws.schedule_deletion("scheduled");
    for id in ["denied", "/denied"] {
        scene.aws.set_kms(id, Kms::Denied);
    }
    for id in ["disabled", "/disabled"] {
        scene.aws.set_kms(id, Kms::Disabled);
    }
    for (id, kind, words) in [
        ("deleted", ErrorKind::NotFound, "there is no secret"),
        ("pending", ErrorKind::NotFound, "no value yet"),
        ("scheduled", ErrorKind::Disabled, "RestoreSecret"),
        ("denied", ErrorKind::PermissionDenied, "kms:Decrypt"),
        ("disabled", ErrorKind::Disabled, "KMS key"),
    ] {
        let error = read(&backend, id).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
    for (id, kind, words) in [
        ("deleted", ErrorKind::NotFound, "there is no parameter"),
        ("denied", ErrorKind::PermissionDenied, "kms:Decrypt"),
        ("disabled", ErrorKind::Disabled, "KMS key"),
    ] {
        let error = read(&parameters, id).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
}

#[tokio::test]
async fn every_kind_of_parameter_is_its_text() {
    let scene = Scene::new();
    let parameters = scene.parameters().build().unwrap();
    for (kind, text) in [
        ("String", "plain"),
        ("StringList", "one,two, three"),
        ("SecureString", "sealed"),
    ] {
        scene.aws.put_parameter_of("/kinds/x", kind, text);
        let secret = read(&parameters, "kinds/x").await.unwrap();
        assert_eq!(secret.expose_str().unwrap(), text);
        assert_eq!(secret.metadata().attribute("type"), Some(kind));
        scene.aws.delete_parameter("/kinds/x");
    }
    scene.aws.put_parameter("flat", "no slash");
    let flat = scene.parameters().base("").build().unwrap();
    assert_eq!(read(&flat, "flat").await.unwrap().expose_secret(), b"no slash");
    assert_eq!(flat.list(None).await.unwrap(), [name("flat")]);
    assert_eq!(kind(&flat, "kinds/x").await, Err(ErrorKind::InvalidName));
    let arn = "arn:aws:ssm:eu-central-1:123456789012:parameter/a";
    assert_eq!(read(&parameters, arn).await.unwrap().expose_secret(), b"one");
}

#[tokio::test]
async fn names_arns_and_incomplete_arns_are_one_secret() {
    let scene = Scene::new();
    scene.aws.put_secret("prod/smtp", b"x");
    let backend = scene.secrets().base("prod/").build().unwrap();
    let arn = read(&backend, "smtp")
        .await
        .unwrap()
        .metadata()
        .attribute("arn")
        .unwrap()
        .to_owned();
    let incomplete = &arn[..arn.len() - 7];
    for id in ["smtp", &arn, incomplete] {
        assert_eq!(read(&backend, id).await.unwrap().expose_secret(), b"x", "{id}");
    }
    let (full, short, plain) = (name(&arn), name(incomplete), name("smtp"));
    let requests = [&full, &short, &plain].map(ReadRequest::new);
    for answer in backend.get_many(&requests).await {
        assert_eq!(value(answer).unwrap().expose_secret(), b"x");
    }
    assert_eq!(
        kind(&backend, "arn:aws:s3:::bucket").await,
        Err(ErrorKind::InvalidName)
    );
}

#[tokio::test]
async fn v7_values_above_the_cap_are_refused() {
    let scene = Scene::new();
    scene.aws.put_secret("fits", &[b'x'; 1_000]);
    scene.aws.put_secret("over", &[b'x'; 1_001]);
    scene.aws.put_secret("huge", &vec![b'x'; 1_000_000]);
    let backend = scene.secrets().max_value(1_000).build().unwrap();
    assert_eq!(kind(&backend, "fits").await, Ok(()));
    assert_eq!(kind(&backend, "over").await, Err(ErrorKind::InvalidData));
    assert_eq!(kind(&backend, "huge").await, Err(ErrorKind::InvalidData));
    let [fits, huge] = ["fits", "huge"].map(name);
    let answers = backend
        .get_many(&[ReadRequest::new(&fits), ReadRequest::new(&huge)])
        .await;
    assert!(answers.iter().all(Result::is_err) || answers[0].is_ok());
    assert!(answers[1].is_err());
}
