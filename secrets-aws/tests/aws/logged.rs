//! S1 where a process has no subscriber of `tracing` and hears its records through `log`: every way to log in, in a process of
//! its own.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use secrecy::SecretString;
use secrets_aws::{ParameterStoreBackend, SecretsManagerBackend};
use secrets_core::{ErrorKind, ReadRequest, Result, Secret, SecretBackend};
use secrets_testkit::Canary;
use secrets_testkit::fakes::aws::{Failure, FakeAws};

use crate::support::{ALL, alone, block_on, read};

const ROLE: &str = "arn:aws:iam::123456789012:role/app";

type Variables = Vec<(&'static str, String)>;

/// A fake whose keys and tokens all begin with a canary, which is the secret `a` as well; and the variables that lead to it.
struct Scene {
    aws: FakeAws,
    canary: Canary,
    folder: PathBuf,
}

impl Scene {
    fn new(test: &str) -> Self {
        let canary = Canary::random();
        let aws = FakeAws::builder()
            .credential_prefix(canary.expose())
            .start()
            .unwrap();
        aws.put_secret("a", canary.expose().as_bytes());
        assert_eq!(aws.role("app", ALL), ROLE);
        let folder = std::env::temp_dir().join(format!("secrets-aws-{test}-{}", std::process::id()));
        Self { aws, canary, folder }
    }

    fn variables(&self) -> Variables {
        vec![
            ("AWS_REGION", self.aws.region()),
            ("AWS_ENDPOINT_URL", self.aws.plain_url()),
            ("CANARY", self.canary.expose().to_owned()),
        ]
    }

    /// A file of this text, for as long as the scene lasts.
    fn file(&self, name: &str, text: &str) -> String {
        std::fs::create_dir_all(&self.folder).unwrap();
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What was heard through `log`, at every level.
static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Listener;

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let record = format!("{} {} {}", record.level(), record.target(), record.args());
        HEARD.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    fn flush(&self) {}
}

/// In the child: reads twice with what the environment gives, and looks through what was said of it.
fn listen(build: impl FnOnce() -> SecretsManagerBackend) -> Result<Secret> {
    log::set_logger(&Listener).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let canary = Canary::of(std::env::var("CANARY").unwrap());
    let backend = build();
    let outcome = block_on(async {
        read(&backend, "a").await.map(drop).ok();
        read(&backend, "a").await
    });
    assert!(
        !tracing::dispatcher::has_been_set(),
        "what the rest of the process traces is still heard through `log`"
    );
    let heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner).clone();
    tracing::error!("probe");
    let probed = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(
        probed.last().is_some_and(|record| record.contains("probe")),
        "{probed:?}"
    );
    for record in &heard {
        assert_eq!(canary.find_in(record), None, "{record}");
    }
    outcome
}

fn backend() -> SecretsManagerBackend {
    SecretsManagerBackend::builder().build().unwrap()
}

/// In the child: the login succeeds, and calls were heard.
fn listen_and_read() {
    let secret = listen(backend).unwrap();
    assert_eq!(secret.expose_str().unwrap(), std::env::var("CANARY").unwrap());
    let heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    let call = |record: &String| record.contains("transmitting request");
    assert!(heard.iter().any(call), "{heard:#?}");
}

#[test]
fn s1_a_key_of_the_environment_is_not_logged() {
    let scene = Scene::new("environment");
    if alone("logged::s1_a_key_of_the_environment_is_not_logged", || {
        let (id, key) = scene.aws.user("app", ALL);
        let mut variables = scene.variables();
        variables.extend([("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", key)]);
        variables
    }) {
        listen_and_read();
    }
}

#[test]
fn s1_a_key_of_a_profile_is_not_logged() {
    let scene = Scene::new("profile");
    if alone("logged::s1_a_key_of_a_profile_is_not_logged", || {
        let (id, key) = scene.aws.user("app", ALL);
        // In both files, and twice in one, as they grow.
        let keys = format!("aws_access_key_id = {id}\naws_secret_access_key = {key}\n");
        let config = scene.file("config", &format!("[default]\n{keys}{keys}"));
        let credentials = scene.file("credentials", &format!("[default]\n{keys}"));
        let mut variables = scene.variables();
        variables.extend([
            ("AWS_CONFIG_FILE", config),
            ("AWS_SHARED_CREDENTIALS_FILE", credentials),
        ]);
        variables
    }) {
        listen_and_read();
    }
}

#[test]
fn s1_a_role_of_a_profile_is_not_logged() {
    let scene = Scene::new("chain");
    if alone("logged::s1_a_role_of_a_profile_is_not_logged", || {
        let (id, key) = scene.aws.user("app", ALL);
        let config = format!(
            "[profile base]\naws_access_key_id = {id}\naws_secret_access_key = {key}\n[default]\nrole_arn = {ROLE}\n\
             source_profile = base\n"
        );
        let mut variables = scene.variables();
        variables.push(("AWS_CONFIG_FILE", scene.file("config", &config)));
        variables
    }) {
        listen_and_read();
    }
}

fn web_identity(scene: &Scene) -> Variables {
    scene.aws.trust_web_identity(ROLE, scene.canary.expose());
    let mut variables = scene.variables();
    variables.extend([
        ("AWS_ROLE_ARN", ROLE.to_owned()),
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            scene.file("token", scene.canary.expose()),
        ),
    ]);
    variables
}

#[test]
fn s1_a_web_identity_is_not_logged() {
    let scene = Scene::new("identity");
    if alone("logged::s1_a_web_identity_is_not_logged", || web_identity(&scene)) {
        listen_and_read();
    }
}

#[test]
fn s1_s7_a_web_identity_that_is_refused_or_answered_by_nonsense_is_not_logged() {
    let scene = Scene::new("identity-refused");
    if alone(
        "logged::s1_s7_a_web_identity_that_is_refused_or_answered_by_nonsense_is_not_logged",
        || {
            let canary = scene.canary.expose();
            scene.aws.fail(Failure::new("sts.", 200).body(format!(
                "<AssumeRoleWithWebIdentityResponse><SecretAccessKey>{canary}</Secret"
            )));
            web_identity(&scene)
        },
    ) {
        assert_eq!(listen(backend).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

#[test]
fn s1_a_role_that_is_assumed_is_not_logged() {
    let scene = Scene::new("role");
    if alone("logged::s1_a_role_that_is_assumed_is_not_logged", || {
        let (id, key) = scene.aws.user("app", ALL);
        let mut variables = scene.variables();
        variables.extend([("KEY_ID", id), ("KEY", key)]);
        variables
    }) {
        let [id, key] = ["KEY_ID", "KEY"].map(|name| std::env::var(name).unwrap());
        let secret = listen(|| {
            let builder = SecretsManagerBackend::builder().role(ROLE);
            builder
                .credentials(id, SecretString::from(key), None)
                .build()
                .unwrap()
        });
        assert!(secret.is_ok(), "{secret:?}");
    }
}

fn container(scene: &Scene) -> Variables {
    scene.aws.set_container_role(ROLE, scene.canary.expose());
    let mut variables = scene.variables();
    variables.extend([
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("{}/v1/credentials", scene.aws.plain_url()),
        ),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            scene.file("token", scene.canary.expose()),
        ),
    ]);
    variables
}

#[test]
fn s1_credentials_of_a_container_are_not_logged() {
    let scene = Scene::new("container");
    if alone("logged::s1_credentials_of_a_container_are_not_logged", || {
        container(&scene)
    }) {
        listen_and_read();
    }
}

#[test]
fn s1_s7_a_container_that_answers_nonsense_is_not_logged() {
    let scene = Scene::new("container-refused");
    if alone(
        "logged::s1_s7_a_container_that_answers_nonsense_is_not_logged",
        || {
            let canary = scene.canary.expose();
            let body = format!(
                r#"{{"AccessKeyId":"{canary}","SecretAccessKey":"{canary}","Expiration":"{canary}"}}"#
            );
            scene.aws.fail(Failure::new("container.", 200).body(body));
            container(&scene)
        },
    ) {
        assert_eq!(listen(backend).unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

/// A profile whose program is this script, which complains loudly.
#[cfg(unix)]
fn program(scene: &Scene, script: &str) -> Variables {
    let complaint = format!("echo {} >&2\n", scene.canary.expose());
    let script = scene.file("script", &(complaint + script));
    let line = format!(
        "[default]\ncredential_process = /bin/sh {script} {}\n",
        scene.canary.expose()
    );
    let mut variables = scene.variables();
    variables.push(("AWS_CONFIG_FILE", scene.file("config", &line)));
    variables
}

#[cfg(unix)]
#[test]
fn s1_credentials_that_a_program_prints_are_not_logged() {
    let scene = Scene::new("program");
    if alone(
        "logged::s1_credentials_that_a_program_prints_are_not_logged",
        || {
            let (id, key) = scene.aws.user("app", ALL);
            let script =
                format!("echo '{{\"Version\":1,\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"{key}\"}}'\n");
            program(&scene, &script)
        },
    ) {
        listen_and_read();
    }
}

#[cfg(unix)]
#[test]
fn s1_e5_s7_nothing_that_a_program_prints_is_printed() {
    let scene = Scene::new("program-table");
    let test = "logged::s1_e5_s7_nothing_that_a_program_prints_is_printed";
    let ends = ["", "exit 3\n", "kill -9 $$\n"];
    let outputs = |canary: &str| {
        [
            String::new(),
            canary.to_owned(),
            format!(r#"{{"{canary}":"{canary}"}}"#),
            format!(r#"{{"Version":"{canary}"}}"#),
            format!(r#"{{"Version":2,"AccessKeyId":"{canary}","SecretAccessKey":"{canary}"}}"#),
            format!(r#"{{"Version":1,"AccessKeyId":"{canary}","SecretAccessKey":["{canary}"]}}"#),
            format!(
                r#"{{"Version":1,"AccessKeyId":"{canary}","SecretAccessKey":"{canary}","Expiration":"{canary}"}}"#
            ),
            format!(r#"{{"Version":1,"AccessKeyId":"{canary}","SecretAccessKey":"{canary}"#),
        ]
    };
    if !alone(test, || {
        // One after another, as a file says whose turn it is.
        let mut script = String::new();
        for (at, output) in outputs(scene.canary.expose()).iter().enumerate() {
            for (and, end) in ends.iter().enumerate() {
                writeln!(
                    script,
                    "if [ \"$(cat \"$TURN\")\" = {} ]; then printf '%s' '{output}'; {end}exit 0; fi",
                    at * ends.len() + and
                )
                .unwrap();
            }
        }
        let mut variables = program(&scene, &script);
        variables.push(("TURN", scene.file("turn", "0")));
        variables.push(("PATH", "/usr/bin:/bin".into()));
        variables
    }) {
        return;
    }
    log::set_logger(&Listener).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let canary = Canary::of(std::env::var("CANARY").unwrap());
    let mut kinds = std::collections::BTreeMap::new();
    for turn in 0..outputs("").len() * ends.len() {
        std::fs::write(std::env::var("TURN").unwrap(), turn.to_string()).unwrap();
        let backend = backend();
        let error = block_on(read(&backend, "a")).unwrap_err();
        *kinds.entry(error.kind().to_string()).or_insert(0) += 1;
        assert!(error.message().contains("credential_process"), "{error}");
        let printed = format!("{error} {error:?} {error:#?} {:?} {backend:?}", error.cause());
        assert_eq!(canary.find_in(&printed), None, "{printed}");
    }
    let kinds: Vec<_> = kinds.into_values().collect();
    assert_eq!(kinds.iter().sum::<i32>(), 24);
    assert!(
        kinds.contains(&1) && kinds.contains(&23),
        "one of another version: {kinds:?}"
    );
    for record in HEARD.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        assert_eq!(canary.find_in(record), None, "{record}");
    }
}

/// What each source may answer wrongly: statuses and bodies, with the canary.
fn answers(canary: &str) -> Vec<(u16, String)> {
    let bodies = [
        String::new(),
        canary.to_owned(),
        format!(r#"{{"Code":"{canary}","Message":"{canary}"}}"#),
        format!(r#"{{"code":"{canary}","message":"{canary}"}}"#),
        format!(r#"{{"AccessKeyId":"{canary}","SecretAccessKey":"{canary}","Expiration":"{canary}"}}"#),
        format!(r#"{{"AccessKeyId":"{canary}","SecretAccessKey":"{canary}","Token":["{canary}"]}}"#),
        format!(r#"{{"AccessKeyId":"AKID","SecretAccessKey":"{canary}"#),
        format!(
            "<ErrorResponse><Error><Code>{canary}</Code><Message>{canary}</Message></Error></ErrorResponse>"
        ),
        format!(
            "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>{canary}</Message></Error></ErrorResponse>"
        ),
        format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{canary}</AccessKeyId>\
             <SecretAccessKey>{canary}</SecretAccessKey></Credentials></AssumeRoleWithWebIdentityResult>\
             </AssumeRoleWithWebIdentityResponse>"
        ),
        format!("<AssumeRoleWithWebIdentityResponse><SecretAccessKey>{canary}</Secret"),
    ];
    let statuses = [200, 302, 400, 401, 403, 404, 408, 429, 500, 504];
    let with = |status| bodies.iter().map(move |body| (status, body.clone()));
    statuses.into_iter().flat_map(with).collect()
}

/// In the parent: has each answer given once by each of these operations.
fn mislead(scene: &Scene, operations: &[&str]) {
    for operation in operations {
        for (status, body) in answers(scene.canary.expose()) {
            let failure = Failure::new(*operation, status).body(body);
            scene
                .aws
                .fail(failure.header("retry-after", scene.canary.expose()).times(1));
        }
    }
}

/// In the child: logs in once for each answer, and looks through what is said and returned.
fn listen_to_each(times: usize) {
    log::set_logger(&Listener).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let canary = Canary::of(std::env::var("CANARY").unwrap());
    let mut kinds = Vec::new();
    for _ in 0..times {
        let backend = backend();
        let Err(error) = block_on(read(&backend, "a")) else {
            continue;
        };
        kinds.push(error.kind());
        let printed = format!("{error} {error:?} {error:#?} {:?} {backend:?}", error.cause());
        assert_eq!(canary.find_in(&printed), None, "{printed}");
    }
    for record in HEARD.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        assert_eq!(canary.find_in(record), None, "{record}");
    }
    for kind in [
        ErrorKind::RateLimited,
        ErrorKind::Timeout,
        ErrorKind::Unauthenticated,
        ErrorKind::Unavailable,
    ] {
        assert!(kinds.contains(&kind), "{kind} was not among {kinds:?}");
    }
    assert!(kinds.len() * 10 > times * 7, "{} of {times} failed", kinds.len());
}

#[test]
fn s1_e5_s7_nothing_that_sts_answers_a_web_identity_is_printed() {
    let scene = Scene::new("identity-table");
    let test = "logged::s1_e5_s7_nothing_that_sts_answers_a_web_identity_is_printed";
    if alone(test, || {
        mislead(&scene, &["sts."]);
        web_identity(&scene)
    }) {
        listen_to_each(answers("").len());
    }
}

#[test]
fn s1_e5_s7_nothing_that_a_container_answers_is_printed() {
    let scene = Scene::new("container-table");
    let test = "logged::s1_e5_s7_nothing_that_a_container_answers_is_printed";
    if alone(test, || {
        mislead(&scene, &["container."]);
        container(&scene)
    }) {
        listen_to_each(answers("").len());
    }
}

#[test]
fn s1_e5_s7_nothing_that_an_instance_answers_is_printed() {
    let scene = Scene::new("instance-table");
    let test = "logged::s1_e5_s7_nothing_that_an_instance_answers_is_printed";
    if alone(test, || {
        mislead(&scene, &["imds.role", "imds.credentials", "imds.token"]);
        instance(&scene)
    }) {
        listen_to_each(3 * answers("").len());
    }
}

fn instance(scene: &Scene) -> Variables {
    scene.aws.set_instance_role(ROLE);
    let mut variables = scene.variables();
    variables.extend([
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", scene.aws.plain_url()),
        ("AWS_EC2_METADATA_DISABLED", "false".into()),
    ]);
    variables
}

#[test]
fn s1_credentials_of_an_instance_are_not_logged() {
    let scene = Scene::new("instance");
    if alone("logged::s1_credentials_of_an_instance_are_not_logged", || {
        instance(&scene)
    }) {
        listen_and_read();
    }
}

/// What the services may answer, with the canary.
fn bodies(canary: &str) -> Vec<String> {
    vec![
        canary.to_owned(),
        format!("[\"{canary}\"]"),
        format!(r#"{{"{canary}":"{canary}"}}"#),
        format!(r#"{{"__type":"{canary}","message":"{canary}"}}"#),
        format!(r#"{{"__type":"ResourceNotFoundException","message":"{canary}","Message":"{canary}"}}"#),
        format!(r#"{{"Name":"a","SecretString":"{canary}","CreatedDate":"{canary}"}}"#),
        format!(r#"{{"Name":"a","SecretString":"{canary}\ud800"}}"#),
        format!(r#"{{"Name":"a","SecretString":["{canary}"]}}"#),
        format!(r#"{{"Name":"a","SecretString":"{canary}"#),
        format!(r#"{{"Name":"a","SecretBinary":"{canary}!"}}"#),
        format!(r#"{{"Name":"a","SecretBinary":"{canary}"}}"#),
        format!(
            r#"{{"SecretValues":[{{"Name":"a","SecretString":"{canary}"}}],"Errors":[{{"SecretId":"b","ErrorCode":"{canary}","Message":"{canary}"}}]}}"#
        ),
        format!(r#"{{"SecretValues":[{{"Name":"a","SecretString":"{canary}"#),
        format!(r#"{{"SecretList":[{{"Name":"a","Description":"{canary}"}}]}}"#),
        format!(r#"{{"SecretList":[{{"Name":["{canary}"#),
        format!(r#"{{"Parameter":{{"Name":"/a","Value":"{canary}","Version":"{canary}"}}}}"#),
        format!(r#"{{"Parameter":{{"Name":"/a","Value":"{canary}","Version":1}}}}"#),
        format!(r#"{{"Parameters":[{{"Name":"/a","Value":"{canary}","LastModifiedDate":"{canary}"}}]}}"#),
        format!(r#"{{"Parameters":[{{"Name":"/a","Value":"{canary}"#),
    ]
}

#[test]
fn s1_e5_s7_nothing_that_either_service_answers_is_logged() {
    let scene = Scene::new("services");
    let test = "logged::s1_e5_s7_nothing_that_either_service_answers_is_logged";
    if !alone(test, || {
        // Each answer is given to a value, a batch and a list of either service.
        for status in [200, 400, 500] {
            for body in bodies(scene.canary.expose()) {
                let failure = Failure::new("", status).body(body);
                scene
                    .aws
                    .fail(failure.header("location", scene.canary.expose()).times(6));
            }
        }
        let (id, key) = scene.aws.user("app", ALL);
        let mut variables = scene.variables();
        variables.extend([("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", key)]);
        variables
    }) {
        return;
    }
    log::set_logger(&Listener).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let canary = Canary::of(std::env::var("CANARY").unwrap());
    let secrets = backend();
    let parameters = ParameterStoreBackend::builder().build().unwrap();
    let names = ["a", "b"].map(crate::support::name);
    let requests = names.each_ref().map(ReadRequest::new);
    for _ in 0..3 * bodies("").len() {
        for backend in [&secrets as &dyn SecretBackend, &parameters] {
            block_on(async {
                let mut printed = format!("{:?}", backend.get(requests[0]).await);
                write!(printed, "{:?}", backend.get_many(&requests).await).unwrap();
                write!(printed, "{:?}", backend.list(None).await).unwrap();
                assert_eq!(canary.find_in(&printed), None, "{printed}");
            });
        }
    }
    let heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(
        heard.iter().any(|record| record.contains("output_or_error")),
        "{heard:#?}"
    );
    for record in heard.iter() {
        assert_eq!(canary.find_in(record), None, "{record}");
    }
}
