//! Many at once: how many calls that takes, and what becomes of those among many that fail.

use std::sync::Arc;

use secrets_core::{ErrorKind, ReadRequest, SecretBackend, SecretManager, SecretName, Version};
use secrets_testkit::fakes::aws::{Failure, Kms};

use crate::support::{SECOND, Scene, name, value};

fn names(count: usize) -> Vec<SecretName> {
    (0..count)
        .map(|number| name(&format!("load/s{number}")))
        .collect()
}

fn fill(scene: &Scene, names: &[SecretName]) {
    for name in names {
        scene.aws.put_secret(name.as_str(), name.as_str().as_bytes());
        scene.aws.put_parameter(&format!("/{name}"), name.as_str());
    }
}

async fn kinds(backend: &dyn SecretBackend, requests: &[ReadRequest<'_>]) -> Vec<Result<(), ErrorKind>> {
    let answers = backend.get_many(requests).await;
    let kind = |answer| value(answer).map(drop).map_err(|error| error.kind());
    answers.into_iter().map(kind).collect()
}

#[tokio::test]
async fn a_cold_load_of_100_takes_5_calls_of_secrets_and_10_of_parameters() {
    let scene = Scene::new();
    let names = names(100);
    fill(&scene, &names);
    let requests: Vec<_> = names.iter().map(ReadRequest::new).collect();
    let (secrets, parameters) = (
        scene.secrets().build().unwrap(),
        scene.parameters().build().unwrap(),
    );
    for (backend, batch, calls) in [
        (
            &secrets as &dyn SecretBackend,
            "secretsmanager.BatchGetSecretValue",
            5,
        ),
        (&parameters, "ssm.GetParameters", 10),
    ] {
        scene.aws.forget_calls();
        for (answer, name) in backend.get_many(&requests).await.into_iter().zip(&names) {
            assert_eq!(value(answer).unwrap().expose_secret(), name.as_str().as_bytes());
        }
        assert_eq!(
            (scene.aws.count(batch), scene.aws.calls().len()),
            (calls, calls),
            "{batch}"
        );
    }
}

#[tokio::test]
async fn the_manager_loads_in_as_few() {
    let scene = Scene::new();
    let names = names(100);
    fill(&scene, &names);
    let secrets: Arc<dyn SecretBackend> = Arc::new(scene.secrets().build().unwrap());
    let parameters: Arc<dyn SecretBackend> = Arc::new(scene.parameters().build().unwrap());
    for (backend, calls) in [(secrets, 5), (parameters, 10)] {
        let manager = SecretManager::builder(backend).build().unwrap();
        scene.aws.forget_calls();
        manager
            .require(names.iter().map(SecretName::as_str))
            .await
            .unwrap();
        assert_eq!(scene.aws.calls().len(), calls);
        assert_eq!(
            manager.get("load/s99").await.unwrap().expose_secret(),
            b"load/s99"
        );
        assert_eq!(scene.aws.calls().len(), calls, "it is cached");
    }
}

#[tokio::test]
async fn e6_one_failure_does_not_cost_the_rest() {
    let scene = Scene::new();
    fill(&scene, &names(4));
    scene.aws.schedule_deletion("load/s1");
    scene.aws.set_kms("/load/s1", Kms::Disabled);
    scene.aws.create_secret("load/pending");
    let (absent, pending, all) = (name("load/absent"), name("load/pending"), names(4));
    let unheard = name("load/é");
    let version = Version::new("stage:AWSPREVIOUS").unwrap();
    let secrets = scene.secrets().build().unwrap();
    let requests = [
        ReadRequest::new(&all[0]),
        ReadRequest::new(&all[1]),
        ReadRequest::new(&absent),
        ReadRequest::new(&pending),
        ReadRequest::new(&unheard),
        ReadRequest::new(&all[2]).with_version(&version),
        ReadRequest::new(&all[3]),
        ReadRequest::new(&all[0]),
    ];
    let expected = [
        Ok(()),
        Err(ErrorKind::Disabled),
        Err(ErrorKind::NotFound),
        Err(ErrorKind::NotFound),
        Err(ErrorKind::InvalidName),
        Err(ErrorKind::VersionNotFound),
        Ok(()),
        Ok(()),
    ];
    assert_eq!(kinds(&secrets, &requests).await, expected);
    let operations: Vec<_> = scene.aws.calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(
        operations,
        [
            "secretsmanager.BatchGetSecretValue",
            "secretsmanager.GetSecretValue"
        ],
        "only the version is asked for alone"
    );
    let parameters = scene.parameters().build().unwrap();
    let second = Version::new("2").unwrap();
    let requests = [
        ReadRequest::new(&all[0]),
        ReadRequest::new(&all[1]),
        ReadRequest::new(&absent),
        ReadRequest::new(&all[2]).with_version(&second),
        ReadRequest::new(&all[3]),
    ];
    let expected = [
        Ok(()),
        Err(ErrorKind::Disabled),
        Err(ErrorKind::NotFound),
        Err(ErrorKind::VersionNotFound),
        Ok(()),
    ];
    assert_eq!(kinds(&parameters, &requests).await, expected);
    let [healthy, missing] = [&all[0], &absent].map(ReadRequest::new);
    scene.aws.forget_calls();
    assert_eq!(
        kinds(&parameters, &[healthy, missing]).await,
        [Ok(()), Err(ErrorKind::NotFound)]
    );
    assert_eq!(
        scene.aws.calls().len(),
        1,
        "an absent parameter costs no call of its own"
    );
}

#[tokio::test]
async fn versions_and_labels_ride_in_a_batch_of_parameters() {
    let scene = Scene::new();
    let name = name("v");
    for text in ["one", "two", "three"] {
        scene.aws.put_parameter("/v", text);
    }
    scene.aws.label_parameter("/v", 2, "stable");
    let parameters = scene.parameters().build().unwrap();
    let versions = ["1", "label:stable", "3"].map(|version| Version::new(version).unwrap());
    let mut requests = vec![ReadRequest::new(&name)];
    requests.extend(
        versions
            .iter()
            .map(|version| ReadRequest::new(&name).with_version(version)),
    );
    let read: Vec<_> = parameters
        .get_many(&requests)
        .await
        .into_iter()
        .map(|answer| {
            let secret = value(answer).unwrap();
            let version = secret.metadata().version().unwrap().to_string();
            (secret.expose_str().unwrap().to_owned(), version)
        })
        .collect();
    let pair = |text: &str, version: &str| (text.to_owned(), version.to_owned());
    assert_eq!(
        read,
        [
            pair("three", "3"),
            pair("one", "1"),
            pair("two", "2"),
            pair("three", "3")
        ]
    );
    assert_eq!(scene.aws.calls().len(), 1);
}

#[tokio::test]
async fn continuations_of_a_batch_are_followed() {
    let scene = Scene::new();
    let names = names(20);
    fill(&scene, &names);
    scene.aws.set_batch_page(6);
    let secrets = scene.secrets().build().unwrap();
    let requests: Vec<_> = names.iter().map(ReadRequest::new).collect();
    assert_eq!(kinds(&secrets, &requests).await, [Ok(()); 20]);
    assert_eq!(scene.aws.count("secretsmanager.BatchGetSecretValue"), 4);
    assert_eq!(scene.aws.calls().len(), 4);
}

#[tokio::test]
async fn a_denied_batch_is_read_one_by_one_and_not_tried_again_for_a_while() {
    let scene = Scene::new();
    let names = names(8);
    fill(&scene, &names);
    let requests: Vec<_> = names.iter().map(ReadRequest::new).collect();
    let key = scene.aws.user(
        "reader",
        &[("secretsmanager:GetSecretValue", "*"), ("ssm:GetParameter", "*")],
    );
    let secrets = scene.with_key(&key).build().unwrap();
    let parameters = scene.parameters_with_key(&key).build().unwrap();
    for (backend, batch) in [
        (
            &secrets as &dyn SecretBackend,
            "secretsmanager.BatchGetSecretValue",
        ),
        (&parameters, "ssm.GetParameters"),
    ] {
        scene.aws.forget_calls();
        for _ in 0..3 {
            assert_eq!(kinds(backend, &requests).await, [Ok(()); 8]);
        }
        assert_eq!(
            (scene.aws.count(batch), scene.aws.calls().len()),
            (1, 25),
            "{batch}"
        );
        scene.clock.advance(SECOND * 299);
        kinds(backend, &requests).await;
        assert_eq!(scene.aws.count(batch), 1);
        scene.clock.advance(SECOND);
        kinds(backend, &requests).await;
        assert_eq!(scene.aws.count(batch), 2, "policies change");
    }
}

#[tokio::test]
async fn one_denied_parameter_does_not_end_batches_for_the_others() {
    let scene = Scene::new();
    let names = names(3);
    fill(&scene, &names);
    let arn = |name: &str| format!("arn:aws:ssm:eu-central-1:123456789012:parameter/load/{name}");
    let (first, second) = (arn("s0"), arn("s1"));
    let key = scene.aws.user("reader", &[("ssm:*", &first), ("ssm:*", &second)]);
    let parameters = scene.parameters_with_key(&key).build().unwrap();
    let requests: Vec<_> = names.iter().map(ReadRequest::new).collect();
    let denied = Err(ErrorKind::PermissionDenied);
    assert_eq!(kinds(&parameters, &requests).await, [Ok(()), Ok(()), denied]);
    scene.aws.forget_calls();
    assert_eq!(kinds(&parameters, &requests[..2]).await, [Ok(()), Ok(())]);
    assert_eq!(scene.aws.calls().len(), 1);
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_is_not_repeated_one_by_one() {
    let scene = Scene::new();
    let names = names(5);
    fill(&scene, &names);
    let requests: Vec<_> = names.iter().map(ReadRequest::new).collect();
    let (secrets, parameters) = (
        scene.secrets().build().unwrap(),
        scene.parameters().build().unwrap(),
    );
    for (status, code, kind) in [
        (400, "ThrottlingException", ErrorKind::RateLimited),
        (500, "InternalServiceError", ErrorKind::Unavailable),
    ] {
        scene
            .aws
            .fail(Failure::new("", status).code(code).header("retry-after", "7"));
        for backend in [&secrets as &dyn SecretBackend, &parameters] {
            scene.aws.forget_calls();
            assert_eq!(kinds(backend, &requests).await, [Err(kind); 5]);
            assert_eq!(scene.aws.calls().len(), 1);
            let error = backend.get_many(&requests).await.swap_remove(4).unwrap_err();
            assert_eq!(error.retry_after(), Some(SECOND * 7));
            assert_eq!(
                (error.secret(), error.backend()),
                (Some(&names[4]), Some(backend.name()))
            );
        }
        scene.aws.heal();
    }
    // A request that one name spoils is.
    scene
        .aws
        .fail(Failure::new("secretsmanager.Batch", 400).code("InvalidParameterException"));
    scene
        .aws
        .fail(Failure::new("ssm.GetParameters", 400).code("ValidationException"));
    for backend in [&secrets as &dyn SecretBackend, &parameters] {
        assert_eq!(kinds(backend, &requests).await, [Ok(()); 5]);
    }
}

#[tokio::test]
async fn one_secret_needs_no_leave_to_read_in_batches() {
    let scene = Scene::new();
    let key = scene
        .aws
        .user("reader", &[("secretsmanager:GetSecretValue", "*")]);
    let secrets = scene.with_key(&key).build().unwrap();
    let name = name("a");
    assert_eq!(kinds(&secrets, &[ReadRequest::new(&name); 3]).await, [Ok(()); 3]);
    let calls = scene.aws.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0].operation, "secretsmanager.GetSecretValue");
}

#[tokio::test]
async fn n5_lists_are_read_to_their_end() {
    let scene = Scene::new();
    let names = names(250);
    fill(&scene, &names);
    for id in ["other", "loads", "/loads/x", "load/"] {
        scene.aws.put_secret(id, b"x");
    }
    scene.aws.put_parameter("/load", "x");
    scene.aws.put_parameter("/loads/x", "x");
    let prefix = name("load");
    let secrets = scene.secrets().build().unwrap();
    scene.aws.forget_calls();
    assert_eq!(secrets.list(Some(&prefix)).await.unwrap().len(), 250);
    assert_eq!(scene.aws.calls().len(), 3);
    let parameters = scene.parameters().build().unwrap();
    scene.aws.forget_calls();
    let listed = parameters.list(Some(&prefix)).await.unwrap();
    assert_eq!(listed.len(), 251, "and the one of the prefix's own name");
    assert_eq!(scene.aws.calls().len(), 26);
    let below = scene.secrets().base("load/").build().unwrap();
    assert!(below.list(None).await.unwrap().contains(&name("s7")));
    let below = scene.parameters().base("/load/s1").build().unwrap();
    assert_eq!(
        below.list(None).await.unwrap().len(),
        10 + 100,
        "s10 to s19 and s100 to s199"
    );
    assert_eq!(
        value(below.get(ReadRequest::new(&name("99"))).await)
            .unwrap()
            .expose_secret(),
        b"load/s199"
    );
    let key = scene.aws.user(
        "reader",
        &[("secretsmanager:GetSecretValue", "*"), ("ssm:GetParameter", "*")],
    );
    let (secrets, parameters) = (
        scene.with_key(&key).build().unwrap(),
        scene.parameters_with_key(&key).build().unwrap(),
    );
    for (backend, action) in [
        (&secrets as &dyn SecretBackend, "secretsmanager:ListSecrets"),
        (&parameters, "ssm:GetParametersByPath"),
    ] {
        let error = backend.list(Some(&prefix)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.message().contains(action), "{error}");
        assert_eq!(error.backend(), Some(backend.name()));
        assert!(
            backend.check().await.is_ok(),
            "who may not list is known all the same"
        );
    }
}
