//! Where credentials come from, how they are replaced, and that there are never too many logins.
//!
//! The SDK reads its variables from the process: whatever depends on them runs in a process of its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrets_core::{Clock as _, ErrorKind, SecretBackend};
use secrets_testkit::Canary;
use secrets_testkit::fakes::aws::{Failure, FakeAws};

use crate::support::{ALL, HOUR, SECOND, Scene, alone, block_on, kind, read};

const ROLE: &str = "arn:aws:iam::123456789012:role/app";

/// The variables that lead to a fake, whose port the child cannot know otherwise.
fn to(aws: &FakeAws) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_REGION", aws.region()),
        ("AWS_ENDPOINT_URL", aws.plain_url()),
    ]
}

/// A fake with a role that may do everything and the secret `a`.
fn fake() -> FakeAws {
    let aws = FakeAws::builder().credential_prefix("CANARY").start().unwrap();
    aws.put_secret("a", b"one");
    assert_eq!(aws.role("app", ALL), ROLE);
    aws
}

/// In the child: reads `a` with whatever the environment gives.
fn read_with_the_environment() {
    let backend = secrets_aws::SecretsManagerBackend::builder().build().unwrap();
    let secret = block_on(read(&backend, "a")).unwrap();
    assert_eq!(secret.expose_secret(), b"one");
}

fn operations(aws: &FakeAws) -> Vec<String> {
    aws.calls().into_iter().map(|call| call.operation).collect()
}

#[test]
fn the_environment_gives_a_key() {
    let aws = fake();
    let (id, key) = aws.user("app", ALL);
    let within = alone("logins::the_environment_gives_a_key", || {
        let mut variables = to(&aws);
        variables.extend([("AWS_ACCESS_KEY_ID", id.clone()), ("AWS_SECRET_ACCESS_KEY", key)]);
        variables
    });
    if within {
        return read_with_the_environment();
    }
    let calls = aws.calls();
    assert_eq!((calls.len(), calls[0].access_key_id.as_deref()), (1, Some(&*id)));
    assert_eq!(calls[0].region.as_deref(), Some("eu-central-1"));
}

#[test]
fn a_profile_gives_a_key_a_region_and_a_role() {
    let aws = fake();
    let (id, key) = aws.user("app", &[("sts:AssumeRole", ROLE)]);
    let within = alone("logins::a_profile_gives_a_key_a_region_and_a_role", || {
        let folder = std::env::temp_dir().join(format!("secrets-aws-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = folder.join("config");
        let text = format!(
            "[profile base]\naws_access_key_id = {id}\naws_secret_access_key = {key}\n\n[profile app]\nrole_arn = {ROLE}\n\
             source_profile = base\nregion = eu-central-1\n"
        );
        std::fs::write(&config, text).unwrap();
        vec![
            ("AWS_ENDPOINT_URL", aws.plain_url()),
            ("AWS_CONFIG_FILE", config.to_str().unwrap().to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent".into()),
        ]
    });
    if within {
        let backend = secrets_aws::SecretsManagerBackend::builder()
            .profile("app")
            .build()
            .unwrap();
        assert_eq!(block_on(kind(&backend, "a")), Ok(()));
        let other = secrets_aws::SecretsManagerBackend::builder()
            .profile("nobody")
            .region("eu-central-1")
            .build()
            .unwrap();
        let error = block_on(read(&other, "a")).unwrap_err();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::InvalidConfig | ErrorKind::Unauthenticated
            ),
            "{error}"
        );
        return;
    }
    assert_eq!(
        operations(&aws),
        ["sts.AssumeRole", "secretsmanager.GetSecretValue"]
    );
    let _ = std::fs::remove_dir_all(std::env::temp_dir().join(format!("secrets-aws-{}", std::process::id())));
}

#[test]
fn a_web_identity_gives_a_session() {
    let aws = fake();
    aws.trust_web_identity(ROLE, "CANARY-web-identity");
    let file = std::env::temp_dir().join(format!("secrets-aws-token-{}", std::process::id()));
    let within = alone("logins::a_web_identity_gives_a_session", || {
        std::fs::write(&file, "CANARY-web-identity").unwrap();
        let mut variables = to(&aws);
        variables.extend([
            ("AWS_ROLE_ARN", ROLE.to_owned()),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap().to_owned()),
        ]);
        variables
    });
    if within {
        return read_with_the_environment();
    }
    let _ = std::fs::remove_file(file);
    assert_eq!(
        operations(&aws),
        ["sts.AssumeRoleWithWebIdentity", "secretsmanager.GetSecretValue"]
    );
    assert!(aws.calls()[1].access_key_id.as_ref().unwrap().starts_with("ASIA"));
}

#[test]
fn a8_a_web_identity_token_is_read_again_at_each_login() {
    let aws = fake();
    for token in ["the-first-token", "the-second-token"] {
        aws.trust_web_identity(ROLE, token);
    }
    let file = std::env::temp_dir().join(format!("secrets-aws-again-{}", std::process::id()));
    let within = alone(
        "logins::a8_a_web_identity_token_is_read_again_at_each_login",
        || {
            // The second read finds its session ended.
            let ended = Failure::new("secretsmanager.", 400).code("ExpiredTokenException");
            aws.fail(ended.after(1).times(1));
            std::fs::write(&file, "the-first-token").unwrap();
            let mut variables = to(&aws);
            variables.extend([
                ("AWS_ROLE_ARN", ROLE.to_owned()),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap().to_owned()),
            ]);
            variables
        },
    );
    if within {
        let backend = secrets_aws::SecretsManagerBackend::builder().build().unwrap();
        block_on(async {
            assert_eq!(kind(&backend, "a").await, Ok(()));
            std::fs::write(
                std::env::var("AWS_WEB_IDENTITY_TOKEN_FILE").unwrap(),
                "the-second-token",
            )
            .unwrap();
            assert_eq!(kind(&backend, "a").await, Ok(()));
        });
        return;
    }
    let _ = std::fs::remove_file(file);
    let shown = |token: &str| {
        let bodies = aws.requests();
        let with = bodies.iter().filter(|request| {
            String::from_utf8_lossy(request.body()).contains(&format!("WebIdentityToken={token}"))
        });
        with.count()
    };
    assert_eq!((shown("the-first-token"), shown("the-second-token")), (1, 1));
}

#[test]
fn a_container_gives_a_session() {
    let aws = fake();
    aws.set_container_role(ROLE, "CANARY-container-token");
    let file = std::env::temp_dir().join(format!("secrets-aws-container-{}", std::process::id()));
    let within = alone("logins::a_container_gives_a_session", || {
        std::fs::write(&file, "CANARY-container-token").unwrap();
        let mut variables = to(&aws);
        variables.extend([
            (
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                format!("{}/v1/credentials", aws.plain_url()),
            ),
            (
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                file.to_str().unwrap().to_owned(),
            ),
        ]);
        variables
    });
    if within {
        return read_with_the_environment();
    }
    let _ = std::fs::remove_file(file);
    assert_eq!(
        operations(&aws),
        ["container.credentials", "secretsmanager.GetSecretValue"]
    );
}

#[test]
fn an_instance_gives_a_session_and_a_region() {
    let aws = fake();
    aws.set_instance_role(ROLE);
    let within = alone("logins::an_instance_gives_a_session_and_a_region", || {
        vec![
            ("AWS_ENDPOINT_URL", aws.plain_url()),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.plain_url()),
            ("AWS_EC2_METADATA_DISABLED", "false".into()),
        ]
    });
    if within {
        return read_with_the_environment();
    }
    let operations = operations(&aws);
    for part in ["imds.token", "imds.region", "imds.role", "imds.credentials"] {
        assert!(
            operations.iter().any(|operation| operation == part),
            "{operations:?}"
        );
    }
    assert_eq!(operations.last().unwrap(), "secretsmanager.GetSecretValue");
    assert_eq!(
        aws.calls().last().unwrap().region.as_deref(),
        Some("eu-central-1")
    );
}

#[test]
fn the_metadata_service_of_another_cloud_is_none() {
    let aws = fake();
    let within = alone("logins::the_metadata_service_of_another_cloud_is_none", || {
        aws.fail(Failure::new("imds.token", 405));
        vec![
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.plain_url()),
            ("AWS_EC2_METADATA_DISABLED", "false".into()),
        ]
    });
    if within {
        let builder = secrets_aws::SecretsManagerBackend::builder;
        for (backend, kind, says) in [
            (builder(), ErrorKind::InvalidConfig, "AWS_REGION"),
            (
                builder().region("eu-central-1"),
                ErrorKind::Unauthenticated,
                "AWS_ACCESS_KEY_ID",
            ),
        ] {
            let error = block_on(read(&backend.build().unwrap(), "a")).unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(error.message().contains(says), "{error}");
        }
    }
}

#[test]
fn without_credentials_or_region_it_says_what_to_set() {
    if alone(
        "logins::without_credentials_or_region_it_says_what_to_set",
        Vec::new,
    ) {
        let backend = secrets_aws::SecretsManagerBackend::builder()
            .region("eu-central-1")
            .build()
            .unwrap();
        let error = block_on(read(&backend, "a")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(error.message().contains("AWS_ACCESS_KEY_ID"), "{error}");
        let backend = secrets_aws::ParameterStoreBackend::builder()
            .credentials("AKID", "CANARY", None)
            .build()
            .unwrap();
        let error = block_on(read(&backend, "a")).unwrap_err();
        assert_eq!(
            (error.kind(), error.backend()),
            (ErrorKind::InvalidConfig, Some("aws-ssm"))
        );
        assert!(error.message().contains("AWS_REGION"), "{error}");
    }
}

#[test]
fn s1_nothing_traced_shows_a_credential() {
    let aws = fake();
    let (value, token, canary) = (
        Canary::random(),
        Canary::random(),
        Canary::of("CANARY-secret-key"),
    );
    aws.put_secret("a", value.expose().as_bytes());
    aws.trust_web_identity(ROLE, token.expose());
    let file = std::env::temp_dir().join(format!("secrets-aws-traced-{}", std::process::id()));
    let within = alone("logins::s1_nothing_traced_shows_a_credential", || {
        std::fs::write(&file, token.expose()).unwrap();
        let mut variables = to(&aws);
        variables.extend([
            ("AWS_ROLE_ARN", ROLE.to_owned()),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap().to_owned()),
            ("EXPECTED_VALUE", value.expose().to_owned()),
            ("EXPECTED_TOKEN", token.expose().to_owned()),
        ]);
        variables
    });
    if !within {
        let _ = std::fs::remove_file(file);
        return;
    }
    let records = traces::install();
    let [value, token] =
        ["EXPECTED_VALUE", "EXPECTED_TOKEN"].map(|name| Canary::of(std::env::var(name).unwrap()));
    let backend = secrets_aws::SecretsManagerBackend::builder().build().unwrap();
    assert_eq!(
        block_on(read(&backend, "a")).unwrap().expose_secret(),
        value.expose().as_bytes()
    );
    let seen = records.lock().unwrap().clone();
    assert!(
        seen.iter().any(|record| record.contains("received response")),
        "calls are traced: {seen:#?}"
    );
    for record in &seen {
        for canary in [&value, &token, &canary] {
            assert_eq!(canary.find_in(record), None, "{record}");
        }
    }
}

#[test]
fn s1_an_answer_of_sts_that_cannot_be_read_is_not_traced() {
    let aws = fake();
    let echo = Canary::random();
    let within = alone(
        "logins::s1_an_answer_of_sts_that_cannot_be_read_is_not_traced",
        || {
            aws.fail(Failure::new("sts.", 200).body(format!(
                "<AssumeRoleWithWebIdentityResponse><SecretAccessKey>{}</Secret",
                echo.expose()
            )));
            let file = std::env::temp_dir().join("secrets-aws-any-token");
            std::fs::write(&file, "any").unwrap();
            let mut variables = to(&aws);
            variables.extend([
                ("AWS_ROLE_ARN", ROLE.to_owned()),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap().to_owned()),
                ("ECHO", echo.expose().to_owned()),
            ]);
            variables
        },
    );
    if within {
        let records = traces::install();
        let echo = Canary::of(std::env::var("ECHO").unwrap());
        let backend = secrets_aws::SecretsManagerBackend::builder().build().unwrap();
        let error = block_on(read(&backend, "a")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let mut seen = records.lock().unwrap().clone();
        seen.push(format!("{error} {error:?}"));
        for record in &seen {
            assert_eq!(echo.find_in(record), None, "{record}");
        }
    }
}

#[test]
fn profiles_that_sign_in_elsewhere_are_refused_at_once_with_what_to_do() {
    let folder = std::env::temp_dir().join(format!("secrets-aws-sso-{}", std::process::id()));
    let within = alone(
        "logins::profiles_that_sign_in_elsewhere_are_refused_at_once_with_what_to_do",
        || {
            std::fs::create_dir_all(&folder).unwrap();
            let config = folder.join("config");
            let text = format!(
                "[profile sso]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n[sso-session s]\nsso_start_url = \
                 https://x\n[profile console]\nlogin_session = x\n\
                 [profile over]\nrole_arn = {ROLE}\nsource_profile = sso\n"
            );
            std::fs::write(&config, text).unwrap();
            vec![
                ("AWS_CONFIG_FILE", config.to_str().unwrap().to_owned()),
                ("AWS_REGION", "eu-central-1".into()),
            ]
        },
    );
    if !within {
        let _ = std::fs::remove_dir_all(folder);
        return;
    }
    for (profile, says) in [
        ("sso", "browser (sso_session)"),
        ("console", "browser (login_session)"),
        ("over", "browser (sso_session)"),
        ("nobody", "no AWS profile `nobody`"),
    ] {
        let backend = secrets_aws::SecretsManagerBackend::builder().profile(profile);
        let error = block_on(read(&backend.build().unwrap(), "a")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
        assert!(error.message().contains(says), "{error}");
    }
}

/// A folder with a script in it, whose path has a space, and a configuration whose profile `program` runs it.
#[cfg(unix)]
fn program(name: &str, script: &str, more: &str) -> (std::path::PathBuf, Vec<(&'static str, String)>) {
    let folder = std::env::temp_dir().join(format!("secrets-aws-{name} {}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (file, config) = (folder.join("the script"), folder.join("config"));
    std::fs::write(&file, script).unwrap();
    let text = format!(
        "[profile program]\ncredential_process = /bin/sh \"{}\" \"{}\" CANARY-argument\n{more}",
        file.display(),
        folder.join("trace").display()
    );
    std::fs::write(&config, text).unwrap();
    let variables = vec![("AWS_CONFIG_FILE", config.to_str().unwrap().to_owned())];
    (folder, variables)
}

#[cfg(unix)]
#[test]
fn a8_a_program_gives_the_credentials_that_a_role_is_assumed_with_at_each_login() {
    let aws = fake();
    let (id, key) = aws.user("app", &[("sts:AssumeRole", ROLE)]);
    let script = format!(
        "[ \"$2\" = CANARY-argument ] || exit 1\necho ran >> \"$1\"\n\
         printf '{{\"Version\":1,\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"{key}\"}}'\n"
    );
    let more = format!("[profile app]\nrole_arn = {ROLE}\nsource_profile = program\n");
    let (folder, more) = program("process", &script, &more);
    let within = alone(
        "logins::a8_a_program_gives_the_credentials_that_a_role_is_assumed_with_at_each_login",
        || {
            let ended = Failure::new("secretsmanager.", 400).code("ExpiredTokenException");
            aws.fail(ended.after(1).times(1));
            let mut variables = to(&aws);
            variables.extend(more);
            variables
        },
    );
    if within {
        let backend = secrets_aws::SecretsManagerBackend::builder().profile("app");
        let backend = backend.build().unwrap();
        block_on(async {
            assert_eq!(kind(&backend, "a").await, Ok(()));
            assert_eq!(kind(&backend, "a").await, Ok(()), "after another login");
        });
        return;
    }
    let ran = std::fs::read_to_string(folder.join("trace")).unwrap();
    let _ = std::fs::remove_dir_all(folder);
    assert_eq!((ran.as_str(), aws.count("sts.AssumeRole")), ("ran\nran\n", 2));
}

#[cfg(unix)]
#[test]
fn a_program_that_gives_nothing_usable_is_said_with_what_to_do() {
    let test = "logins::a_program_that_gives_nothing_usable_is_said_with_what_to_do";
    let script = "printf '{\"Version\":1,\"AccessKeyId\":\"CANARY\",\"SecretAccessKey\":\"CANARY\",\"Expiration\":\
                  \"2001-01-01T00:00:00Z\"}'";
    let (folder, variables) = program(
        "process-ended",
        script,
        "[profile absent]\ncredential_process = /nonexistent/CANARY CANARY\n\
         [profile folder]\ncredential_process = / CANARY\n\
         [profile open]\ncredential_process = \"/bin/sh CANARY\n\
         [profile much]\ncredential_process = /bin/sh -c 'while :; do echo CANARY-CANARY-CANARY-CANARY; done'\n",
    );
    let within = alone(test, || {
        let mut all = variables;
        all.push(("AWS_REGION", "eu-central-1".to_owned()));
        all
    });
    if !within {
        let _ = std::fs::remove_dir_all(folder);
        return;
    }
    for (profile, kind, says) in [
        ("program", ErrorKind::Unauthenticated, "ended already"),
        ("absent", ErrorKind::InvalidConfig, "full path"),
        ("folder", ErrorKind::InvalidConfig, "may not be run"),
        ("open", ErrorKind::InvalidConfig, "quote"),
        ("much", ErrorKind::Unauthenticated, "far more"),
    ] {
        let backend = secrets_aws::SecretsManagerBackend::builder().profile(profile);
        let error = block_on(read(&backend.build().unwrap(), "a")).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(says), "{error}");
        let printed = format!("{error} {error:?} {:?}", error.cause());
        assert!(!printed.contains("CANARY"), "{printed}");
    }
}

#[cfg(unix)]
#[test]
fn a5_a_program_that_hangs_is_killed_when_the_login_is_over_or_its_backend_is_gone() {
    let test = "logins::a5_a_program_that_hangs_is_killed_when_the_login_is_over_or_its_backend_is_gone";
    // It becomes the program that hangs, so that there is no other to be left.
    let (folder, variables) = program("process-hangs", "echo $$ > \"$1\"\nexec /bin/sleep 600\n", "");
    let within = alone(test, || {
        let mut all = variables;
        all.push(("AWS_REGION", "eu-central-1".to_owned()));
        all.push(("TRACE", folder.join("trace").to_str().unwrap().to_owned()));
        all
    });
    if !within {
        let _ = std::fs::remove_dir_all(folder);
        return;
    }
    let trace = std::env::var("TRACE").unwrap();
    let started = || std::fs::read_to_string(&trace).is_ok_and(|pid| pid.ends_with('\n'));
    let lives = || {
        let pid = std::fs::read_to_string(&trace).unwrap();
        let probe = format!("kill -0 {} 2>/dev/null", pid.trim());
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", &probe]).status().unwrap().success()
    };
    block_on(async {
        let clock = secrets_core::FakeClock::new();
        let build = || {
            let builder = secrets_aws::SecretsManagerBackend::builder().profile("program");
            builder
                .clock(clock.clone())
                .login_timeout(SECOND * 10)
                .build()
                .unwrap()
        };
        for dropped in [false, true] {
            let _ = std::fs::remove_file(&trace);
            let backend = Arc::new(build());
            let reader = tokio::spawn({
                let backend = backend.clone();
                async move { kind(&*backend, "a").await }
            });
            wait_for(started).await;
            assert!(lives());
            if dropped {
                reader.abort();
                assert!(reader.await.unwrap_err().is_cancelled());
                drop(backend);
            } else {
                clock.advance(SECOND * 10);
                assert_eq!(reader.await.unwrap(), Err(ErrorKind::Timeout));
            }
            wait_for(|| !lives()).await;
        }
    });
}

#[test]
fn a_profile_that_the_builder_names_stands_before_the_environment() {
    let aws = fake();
    let (id, key) = aws.user("app", ALL);
    let file = std::env::temp_dir().join(format!("secrets-aws-named-{}", std::process::id()));
    let within = alone(
        "logins::a_profile_that_the_builder_names_stands_before_the_environment",
        || {
            let text = format!("[app]\naws_access_key_id = {id}\naws_secret_access_key = {key}\n");
            std::fs::write(&file, text).unwrap();
            let mut variables = to(&aws);
            variables.extend([
                ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap().to_owned()),
                ("AWS_ACCESS_KEY_ID", "AKIDOTHER".into()),
                ("AWS_SECRET_ACCESS_KEY", "other".into()),
            ]);
            variables
        },
    );
    if !within {
        let _ = std::fs::remove_file(file);
        assert_eq!(aws.calls()[0].access_key_id.as_deref(), Some(&*id));
        return;
    }
    let backend = secrets_aws::SecretsManagerBackend::builder().profile("app");
    assert_eq!(block_on(kind(&backend.build().unwrap(), "a")), Ok(()));
}

/// An instance whose credentials end at this time, as JSON says it.
fn ends_at(end: &str) -> Vec<(&'static str, String)> {
    let aws = fake();
    aws.set_instance_role(ROLE);
    let body = format!(r#"{{"AccessKeyId":"AKID","SecretAccessKey":"CANARY","Expiration":"{end}"}}"#);
    aws.fail(Failure::new("imds.credentials", 200).body(body.clone()));
    aws.fail(Failure::new("container.", 200).body(body));
    let url = aws.plain_url();
    // It lives as long as the process, which is that of one test.
    std::mem::forget(aws);
    vec![
        ("AWS_REGION", "eu-central-1".into()),
        ("AWS_ENDPOINT_URL", url.clone()),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url),
        ("AWS_EC2_METADATA_DISABLED", "false".into()),
    ]
}

#[test]
fn a2_credentials_that_have_ended_already_are_not_asked_for_again_and_again() {
    let within = alone(
        "logins::a2_credentials_that_have_ended_already_are_not_asked_for_again_and_again",
        || {
            let mut variables = ends_at("2001-01-01T00:00:00Z");
            let url = variables[1].1.clone();
            variables.push((
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                format!("{url}/v1/credentials"),
            ));
            variables
        },
    );
    if within {
        let backend = secrets_aws::SecretsManagerBackend::builder().build().unwrap();
        let error = block_on(read(&backend, "a")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(error.message().contains("ended already"), "{error}");
    }
}

#[test]
fn credentials_of_an_instance_are_used_a_little_longer_when_it_has_no_newer_ones() {
    let within = alone(
        "logins::credentials_of_an_instance_are_used_a_little_longer_when_it_has_no_newer_ones",
        || ends_at("2001-01-01T00:00:00Z"),
    );
    if within {
        let backend = secrets_aws::SecretsManagerBackend::builder().build().unwrap();
        let error = block_on(read(&backend, "a")).unwrap_err();
        assert_eq!(
            (
                error.kind(),
                error
                    .cause()
                    .and_then(|cause| cause.code().map(ToOwned::to_owned))
            ),
            (
                ErrorKind::Unauthenticated,
                Some("UnrecognizedClientException".to_owned())
            ),
            "AWS was shown them: {error}"
        );
    }
}

#[test]
fn half_a_key_in_the_environment_is_said() {
    let within = alone("logins::half_a_key_in_the_environment_is_said", || {
        vec![
            ("AWS_REGION", "eu-central-1".into()),
            ("AWS_SECRET_ACCESS_KEY", "CANARY".into()),
        ]
    });
    if within {
        let backend = secrets_aws::SecretsManagerBackend::builder().build().unwrap();
        let error = block_on(read(&backend, "a")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.message().contains("AWS_ACCESS_KEY_ID"), "{error}");
    }
}

#[tokio::test]
async fn a_role_is_assumed_with_its_external_id() {
    let scene = Scene::new();
    let role = scene.aws.role("app", ALL);
    scene.aws.require_external_id(&role, "tenant-7");
    let assume = || scene.bare_with_role(&role);
    let backend = assume()
        .external_id("tenant-7")
        .session_name("billing")
        .build()
        .unwrap();
    assert_eq!(kind(&backend, "a").await, Ok(()));
    let calls = scene.aws.calls();
    assert_eq!(calls[0].operation, "sts.AssumeRole");
    assert_eq!(calls[0].access_key_id.as_ref(), Some(&scene.key.0));
    assert!(calls[1].access_key_id.as_ref().unwrap().starts_with("ASIA"));
    let stranger = assume().build().unwrap();
    let error = read(&stranger, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(
        error.message().contains(&role) && error.message().contains("trust policy"),
        "{error}"
    );
    assert_eq!(error.cause().unwrap().code(), Some("AccessDenied"));
}

#[tokio::test]
async fn a3_an_expired_session_is_replaced_once_and_the_read_repeated() {
    let scene = Scene::new();
    let role = scene.aws.role("app", ALL);
    let backend = scene.bare_with_role(&role).build().unwrap();
    read(&backend, "a").await.unwrap();
    scene.aws.end_sessions();
    scene.aws.forget_calls();
    assert_eq!(kind(&backend, "a").await, Ok(()));
    let outcome: Vec<_> = scene
        .aws
        .calls()
        .into_iter()
        .map(|call| (call.operation, call.status))
        .collect();
    let step = |operation: &str, status| (operation.to_owned(), status);
    assert_eq!(
        outcome,
        [
            step("secretsmanager.GetSecretValue", 400),
            step("sts.AssumeRole", 200),
            step("secretsmanager.GetSecretValue", 200)
        ]
    );
}

#[tokio::test]
async fn a3_many_readers_share_one_login() {
    let scene = Scene::new();
    let role = scene.aws.role("app", ALL);
    let backend = Arc::new(scene.bare_with_role(&role).build().unwrap());
    for _ in 0..2 {
        scene.aws.forget_calls();
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let backend = backend.clone();
            readers.spawn(async move { kind(&*backend, "a").await });
        }
        while let Some(outcome) = readers.join_next().await {
            assert_eq!(outcome.unwrap(), Ok(()));
        }
        assert_eq!(scene.aws.count("sts."), 1);
        scene.aws.end_sessions();
    }
}

#[tokio::test]
async fn a4_credentials_refused_again_are_not_replaced_within_the_cool_down() {
    let scene = Scene::new();
    let role = scene.aws.role("app", ALL);
    let backend = scene.bare_with_role(&role).build().unwrap();
    scene
        .aws
        .fail(Failure::new("secretsmanager.", 400).code("UnrecognizedClientException"));
    for _ in 0..10 {
        assert_eq!(kind(&backend, "a").await, Err(ErrorKind::Unauthenticated));
    }
    assert_eq!(scene.aws.count("sts."), 2);
    scene.clock.advance(SECOND * 30);
    assert_eq!(kind(&backend, "a").await, Err(ErrorKind::Unauthenticated));
    assert_eq!(scene.aws.count("sts."), 3);
    scene.aws.heal();
    assert_eq!(kind(&backend, "a").await, Ok(()));
    // A key that the user gave is the only one there is.
    let fixed = scene.secrets().build().unwrap();
    scene.aws.revoke(&scene.key.0);
    scene.aws.forget_calls();
    assert_eq!(kind(&fixed, "a").await, Err(ErrorKind::Unauthenticated));
    assert_eq!(scene.aws.calls().len(), 1);
}

#[tokio::test]
async fn a1_sessions_are_replaced_ahead_of_their_end_beside_the_readers() {
    let scene = Scene::new();
    let role = scene.aws.role("app", ALL);
    let backend = scene.bare_with_role(&role).build().unwrap();
    read(&backend, "a").await.unwrap();
    scene.clock.advance(HOUR / 2);
    read(&backend, "a").await.unwrap();
    assert_eq!(scene.aws.count("sts."), 1);
    scene.clock.advance(HOUR / 4);
    scene.aws.fail(Failure::hang("sts."));
    assert_eq!(
        kind(&backend, "a").await,
        Ok(()),
        "nobody waits while the old one lives"
    );
    scene.aws.heal();
    wait_for(|| scene.aws.count("sts.") == 2).await;
    assert_eq!(kind(&backend, "a").await, Ok(()));
    assert_eq!(scene.aws.count("sts."), 2, "one attempt at a time");
    // Nobody asks, nothing is done.
    scene.clock.advance(HOUR * 24);
    tokio::task::yield_now().await;
    assert_eq!(scene.aws.count("sts."), 2);
}

#[tokio::test]
async fn a5_expired_credentials_are_never_used_and_a_hanging_login_ends_in_time() {
    let scene = Scene::new();
    let role = scene.aws.role("app", ALL);
    let backend = scene
        .bare_with_role(&role)
        .login_timeout(SECOND * 10)
        .build()
        .unwrap();
    read(&backend, "a").await.unwrap();
    scene.clock.advance(HOUR);
    scene.aws.fail(Failure::hang("sts."));
    scene.aws.forget_calls();
    let before = scene.clock.boot();
    assert_eq!(
        scene.clock.run(kind(&backend, "a")).await,
        Err(ErrorKind::Timeout)
    );
    assert_eq!(scene.clock.boot().checked_sub(before).unwrap(), SECOND * 10);
    assert_eq!(scene.aws.count("secretsmanager."), 0);
    let error = read(&backend, "a").await.unwrap_err();
    assert!(error.retry_after().is_some_and(|wait| wait <= SECOND), "{error}");
    scene.aws.heal();
    scene.clock.advance(SECOND);
    assert_eq!(kind(&backend, "a").await, Ok(()));
}

#[tokio::test]
async fn a2_failed_logins_are_bounded_by_time_whatever_the_readers() {
    let scene = Scene::new();
    let role = scene.aws.role("app", ALL);
    let backend = scene.bare_with_role(&role).build().unwrap();
    scene.aws.fail(Failure::new("sts.", 403).code("AccessDenied"));
    for _ in 0..600 {
        for _ in 0..5 {
            assert_eq!(kind(&backend, "a").await, Err(ErrorKind::Unauthenticated));
        }
        scene.clock.advance(SECOND);
    }
    let logins = scene.aws.count("sts.");
    assert!((10..=22).contains(&logins), "{logins} in ten minutes");
}

#[tokio::test]
async fn t7_time_asleep_ages_a_session() {
    let scene = Scene::new();
    let role = scene.aws.role("app", ALL);
    let backend = scene.bare_with_role(&role).build().unwrap();
    read(&backend, "a").await.unwrap();
    scene.clock.suspend(HOUR * 2);
    scene.aws.forget_calls();
    assert_eq!(kind(&backend, "a").await, Ok(()));
    assert_eq!(
        operations(&scene.aws),
        ["sts.AssumeRole", "secretsmanager.GetSecretValue"]
    );
}

#[tokio::test]
async fn a_cancelled_reader_does_not_cancel_the_login() {
    let scene = Scene::new();
    let role = scene.aws.role("app", ALL);
    let backend = scene.bare_with_role(&role).build().unwrap();
    {
        let mut first = std::pin::pin!(kind(&backend, "a"));
        let pending =
            std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx).is_pending())).await;
        assert!(pending);
    }
    assert_eq!(kind(&backend, "a").await, Ok(()));
    assert_eq!(scene.aws.count("sts."), 1);
}

#[test]
fn c10_a_login_survives_the_runtime_that_began_it() {
    let scene = Scene::new();
    let role = scene.aws.role("app", ALL);
    let backend = scene.bare_with_role(&role).build().unwrap();
    scene.aws.fail(Failure::hang("sts.").times(1));
    block_on(async {
        let mut first = std::pin::pin!(kind(&backend, "a"));
        let reader = std::future::poll_fn(|cx| {
            assert!(first.as_mut().poll(cx).is_pending());
            if scene.aws.count("sts.") == 1 {
                std::task::Poll::Ready(())
            } else {
                cx.waker().wake_by_ref();
                std::task::Poll::Pending
            }
        });
        reader.await;
    });
    assert_eq!(block_on(kind(&backend, "a")), Ok(()), "on another runtime");
    assert_eq!(scene.aws.count("sts."), 2);
}

#[tokio::test]
async fn after_the_end_nothing_is_asked() {
    let scene = Scene::new();
    let backend = scene.secrets().build().unwrap();
    read(&backend, "a").await.unwrap();
    backend.shutdown().await.unwrap();
    scene.aws.forget_calls();
    assert_eq!(kind(&backend, "a").await, Err(ErrorKind::Unavailable));
    assert_eq!(scene.aws.calls().len(), 0);
}

/// Lets tasks run until something has happened on a real socket.
async fn wait_for(reached: impl Fn() -> bool) {
    let waiting = async {
        while !reached() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting)
        .await
        .expect("it happens");
}

impl Scene {
    /// A role is assumed with the user's key.
    fn bare_with_role(&self, role: &str) -> secrets_aws::SecretsManagerBuilder {
        self.secrets().role(role).sts_endpoint(self.aws.url())
    }
}

/// Everything that is traced in this process.
mod traces {
    use std::fmt::Write as _;

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::{Arc, Mutex};

    type Records = Arc<Mutex<Vec<String>>>;

    pub(super) fn install() -> Records {
        let records = Records::default();
        tracing::subscriber::set_global_default(Listener(records.clone())).unwrap();
        records
    }

    struct Listener(Records);

    struct Text(String);

    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            write!(self.0, " {field}={value:?}").unwrap();
        }
    }

    impl Subscriber for Listener {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, attributes: &Attributes<'_>) -> Id {
            let mut text = Text(attributes.metadata().name().to_owned());
            attributes.record(&mut text);
            self.0.lock().unwrap().push(text.0);
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, values: &Record<'_>) {
            let mut text = Text("span".to_owned());
            values.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut text = Text(event.metadata().target().to_owned());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }
}
