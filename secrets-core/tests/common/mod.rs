//! What the manager's tests share.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::future::Future;
use std::time::Duration;

use secrets_core::{Clock, ErrorKind, FakeClock, Result, Secret, SecretManager, SecretManagerBuilder};
use secrets_testkit::ScriptedBackend;

/// Runs a test on one thread, where "every task waits" can be told and the fake clock turned.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

/// Runs a test on four threads.
pub(crate) fn block_on_threads<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

/// Lets every task of a current-thread runtime run until all wait.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// A manager over a script, on a clock that the test turns.
pub(crate) struct Rig {
    pub(crate) clock: FakeClock,
    pub(crate) backend: ScriptedBackend,
    pub(crate) secrets: SecretManager,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(configure: impl FnOnce(SecretManagerBuilder) -> SecretManagerBuilder) -> Self {
        Self::over(|backend| backend, configure)
    }

    pub(crate) fn over(
        backend: impl FnOnce(ScriptedBackend) -> ScriptedBackend,
        configure: impl FnOnce(SecretManagerBuilder) -> SecretManagerBuilder,
    ) -> Self {
        let clock = FakeClock::new();
        let backend = backend(ScriptedBackend::new().with_clock(clock.clone()));
        let builder = SecretManager::builder(backend.clone())
            .clock(clock.clone())
            .seed(7);
        let secrets = configure(builder).build().unwrap();
        Self {
            clock,
            backend,
            secrets,
        }
    }

    /// Reads, and turns the clock as far as the read needs.
    pub(crate) async fn get(&self, reference: &str) -> Result<Secret> {
        self.clock.run(self.secrets.get(reference)).await
    }

    pub(crate) async fn text(&self, reference: &str) -> String {
        text(&self.get(reference).await.unwrap())
    }

    pub(crate) async fn kind(&self, reference: &str) -> ErrorKind {
        self.get(reference).await.unwrap_err().kind()
    }

    /// How far the clock has been turned since then.
    pub(crate) fn since(&self, then: Duration) -> Duration {
        self.clock.monotonic().saturating_sub(then)
    }

    pub(crate) async fn pass(&self, duration: Duration) {
        self.clock.run_for(duration).await;
    }
}

pub(crate) fn text(secret: &Secret) -> String {
    secret.expose_str().unwrap().to_owned()
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
