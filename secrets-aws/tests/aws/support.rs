use std::process::Command;
use std::time::Duration;

use secrecy::SecretString;
use secrets_aws::{
    ParameterStoreBackend, ParameterStoreBuilder, SecretsManagerBackend, SecretsManagerBuilder,
};
use secrets_core::{
    Error, ErrorKind, FakeClock, Fetched, ReadRequest, Result, Secret, SecretBackend, SecretName, Version,
};
use secrets_testkit::fakes::aws::FakeAws;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_hours(1);

pub(crate) fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

pub(crate) async fn read(backend: &dyn SecretBackend, text: &str) -> Result<Secret, Error> {
    value(backend.get(ReadRequest::new(&name(text))).await)
}

pub(crate) async fn read_version(
    backend: &dyn SecretBackend,
    text: &str,
    version: &str,
) -> Result<Secret, Error> {
    let version = Version::new(version).unwrap();
    value(
        backend
            .get(ReadRequest::new(&name(text)).with_version(&version))
            .await,
    )
}

pub(crate) fn value(fetched: Result<Fetched>) -> Result<Secret> {
    match fetched? {
        Fetched::Value(secret) => Ok(secret),
        other => panic!("a value, not {other:?}"),
    }
}

pub(crate) async fn kind(backend: &dyn SecretBackend, text: &str) -> Result<(), ErrorKind> {
    read(backend, text).await.map(drop).map_err(|error| error.kind())
}

/// Everything that may be done.
pub(crate) const ALL: &[(&str, &str)] = &[("*", "*")];

/// A fake and its clock, with the secret `a`, the parameter `/a`, and a user who may do everything.
pub(crate) struct Scene {
    pub(crate) aws: FakeAws,
    pub(crate) clock: FakeClock,
    pub(crate) key: (String, String),
}

impl Scene {
    pub(crate) fn new() -> Self {
        let clock = FakeClock::new();
        let aws = FakeAws::builder()
            .clock(clock.clone())
            .credential_prefix("CANARY")
            .start()
            .unwrap();
        aws.put_secret("a", b"one");
        aws.put_parameter("/a", "one");
        let key = aws.user("app", ALL);
        Self { aws, clock, key }
    }

    /// Credentials are yet to be said.
    pub(crate) fn bare(&self) -> SecretsManagerBuilder {
        SecretsManagerBackend::builder()
            .region(self.aws.region())
            .endpoint(self.aws.url())
            .ca_pem(self.aws.ca_pem())
            .clock(self.clock.clone())
            .timeout(HOUR)
            .login_timeout(HOUR)
            .seed(7)
    }

    pub(crate) fn secrets(&self) -> SecretsManagerBuilder {
        self.with_key(&self.key)
    }

    pub(crate) fn with_key(&self, key: &(String, String)) -> SecretsManagerBuilder {
        self.bare()
            .credentials(&key.0, SecretString::from(key.1.clone()), None)
    }

    pub(crate) fn parameters(&self) -> ParameterStoreBuilder {
        self.parameters_with_key(&self.key)
    }

    pub(crate) fn parameters_with_key(&self, key: &(String, String)) -> ParameterStoreBuilder {
        ParameterStoreBackend::builder()
            .region(self.aws.region())
            .endpoint(self.aws.url())
            .ca_pem(self.aws.ca_pem())
            .clock(self.clock.clone())
            .timeout(HOUR)
            .login_timeout(HOUR)
            .seed(7)
            .credentials(&key.0, SecretString::from(key.1.clone()), None)
    }
}

/// Runs one test of this binary again, in a process of its own with this environment and no other: the SDK reads its
/// variables from the process. `true` within that process.
pub(crate) fn alone(test: &str, variables: impl FnOnce() -> Vec<(&'static str, String)>) -> bool {
    if std::env::var_os("SECRETS_AWS_ALONE").is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env_clear()
        // No file of the user's, and no metadata service of the machine's.
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("SECRETS_AWS_ALONE", "1")
        .envs(variables())
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

/// A runtime for a test that is no `async` one.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
