use std::process::Command;
use std::time::Duration;

use secrets_azure::{Auth, AzureBackend, AzureBuilder};
use secrets_core::{
    Error, ErrorKind, FakeClock, Fetched, ReadRequest, Secret, SecretBackend, SecretName, Version,
};
use secrets_testkit::fakes::azure::{FakeAzure, HOST, HOSTS, TENANT};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// The application of every scene, and its secret.
pub(crate) const APP: &str = "11111111-2222-4333-8444-555555555555";
pub(crate) const SECRET: &str = "client~secret.of/the+app";

pub(crate) fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

pub(crate) async fn read(backend: &AzureBackend, text: &str) -> Result<Secret, Error> {
    fetched(backend.get(ReadRequest::new(&name(text))).await)
}

pub(crate) async fn read_version(backend: &AzureBackend, text: &str, version: &str) -> Result<Secret, Error> {
    let version = Version::new(version).unwrap();
    let name = name(text);
    fetched(backend.get(ReadRequest::new(&name).with_version(&version)).await)
}

fn fetched(outcome: Result<Fetched, Error>) -> Result<Secret, Error> {
    match outcome? {
        Fetched::Value(secret) => Ok(secret),
        other => panic!("a value, not {other:?}"),
    }
}

pub(crate) async fn kind(backend: &AzureBackend, text: &str) -> Result<(), ErrorKind> {
    read(backend, text).await.map(drop).map_err(|error| error.kind())
}

/// A fake and its clock, with an application that has the secret `a`.
pub(crate) struct Scene {
    pub(crate) azure: FakeAzure,
    pub(crate) clock: FakeClock,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let clock = FakeClock::new();
        let azure = FakeAzure::builder()
            .clock(clock.clone())
            .token_prefix("CANARY")
            .page(3)
            .start()
            .unwrap();
        azure.app(APP, SECRET);
        azure.put("a", "one");
        Self { azure, clock }
    }

    pub(crate) fn builder(&self) -> AzureBuilder {
        self.at(HOST)
    }

    pub(crate) fn at(&self, vault: &str) -> AzureBuilder {
        reach(AzureBackend::builder(vault), &self.azure)
            .clock(self.clock.clone())
            .seed(7)
            .timeout(PATIENCE)
            .login_timeout(PATIENCE)
    }

    pub(crate) fn client_secret(&self) -> AzureBuilder {
        self.builder().auth(client_secret())
    }

    pub(crate) fn logins(&self) -> usize {
        self.azure.count(TENANT)
    }

    /// Waits until no request is on its way. The sockets are real and the time is not: whoever asks sleeps on the clock until
    /// [`PATIENCE`] is over, and nobody else sleeps so long.
    pub(crate) async fn settle(&self) {
        let settled = async {
            loop {
                for _ in 0..16 {
                    tokio::task::yield_now().await;
                }
                if self
                    .clock
                    .next_wake()
                    .is_none_or(|wake| wake + HOUR / 4 < PATIENCE)
                {
                    return;
                }
            }
        };
        tokio::time::timeout(MINUTE, settled)
            .await
            .expect("a request that does not end");
    }

    /// Turns the clock, and waits until what that set off is done.
    pub(crate) async fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
        self.settle().await;
    }

    /// Waits until as many sleep on the clock, the first of them for so long: what waits for time has come to its wait, and
    /// what waits for an answer, or for the end of a process, has got it.
    pub(crate) async fn asleep(&self, sleepers: usize, first: Duration) {
        let asleep = async {
            while self.clock.sleepers() != sleepers || self.clock.next_wake() != Some(first) {
                tokio::task::yield_now().await;
            }
        };
        let asleep = tokio::time::timeout(MINUTE, asleep).await;
        asleep.unwrap_or_else(|_| {
            let (now, wake) = (self.clock.sleepers(), self.clock.next_wake());
            panic!("{now} sleep and not {sleepers}, the first of them for {wake:?} and not {first:?}")
        });
    }
}

pub(crate) fn client_secret() -> Auth {
    Auth::client_secret(TENANT, APP, SECRET)
}

/// Runs a test, by its whole name, again, in a process with this environment alone.
pub(crate) fn again(test: &str, environment: &[(&str, &str)]) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env_clear()
        .env("SECRETS_AZURE_CHILD", "1")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&child.stderr)
    );
}

pub(crate) fn is_child() -> bool {
    std::env::var_os("SECRETS_AZURE_CHILD").is_some()
}

/// Lets a backend find the fake under its real names.
pub(crate) fn reach(builder: AzureBuilder, azure: &FakeAzure) -> AzureBuilder {
    let builder = builder.ca_pem(azure.ca_pem());
    HOSTS
        .iter()
        .fold(builder, |builder, host| builder.resolve(*host, azure.socket()))
}

/// How long requests and logins may take in these scenes: longer than anything else is waited for.
pub(crate) const PATIENCE: Duration = HOUR;
