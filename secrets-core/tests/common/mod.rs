//! What the manager's tests share.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use secrets_core::{
    Capabilities, Error, ErrorKind, FakeClock, Result, Secret, SecretBackend, SecretManager,
    SecretManagerBuilder,
};
use secrets_testkit::{Answer, Gate, ScriptedBackend};

/// Runs a test on one thread, where "every task waits" can be told and the fake clock turned.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

/// Runs a test on four threads.
pub fn block_on_threads<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

/// Lets every task of a current-thread runtime run until all wait.
pub async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// A manager over a script, on a clock that the test turns.
pub struct Rig {
    pub clock: FakeClock,
    pub backend: ScriptedBackend,
    pub secrets: SecretManager,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub fn with(configure: impl FnOnce(SecretManagerBuilder) -> SecretManagerBuilder) -> Self {
        Self::over(|backend| backend, configure)
    }

    pub fn over(
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
    pub async fn get(&self, reference: &str) -> Result<Secret> {
        self.clock.run(self.secrets.get(reference)).await
    }

    pub async fn text(&self, reference: &str) -> String {
        text(&self.get(reference).await.unwrap())
    }

    pub async fn kind(&self, reference: &str) -> ErrorKind {
        self.get(reference).await.unwrap_err().kind()
    }

    pub async fn pass(&self, duration: Duration) {
        self.clock.run_for(duration).await;
    }
}

pub fn text(secret: &Secret) -> String {
    secret.expose_str().unwrap().to_owned()
}

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
