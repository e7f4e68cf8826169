use std::time::Duration;

use secrets_core::{
    Clock as _, Error, ErrorKind, FakeClock, Fetched, ReadRequest, Secret, SecretBackend, SecretName, Version,
};
use secrets_testkit::fakes::vault::FakeVault;
use secrets_vault::{VaultBackend, VaultBuilder};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

pub(crate) async fn read(backend: &VaultBackend, text: &str) -> Result<Secret, Error> {
    match backend.get(ReadRequest::new(&name(text))).await? {
        Fetched::Value(secret) => Ok(secret),
        other => panic!("a value, not {other:?}"),
    }
}

pub(crate) async fn read_version(backend: &VaultBackend, text: &str, version: &str) -> Result<Secret, Error> {
    let version = Version::new(version).unwrap();
    match backend
        .get(ReadRequest::new(&name(text)).with_version(&version))
        .await?
    {
        Fetched::Value(secret) => Ok(secret),
        other => panic!("a value, not {other:?}"),
    }
}

pub(crate) async fn kind(backend: &VaultBackend, text: &str) -> Result<(), ErrorKind> {
    read(backend, text).await.map(drop).map_err(|error| error.kind())
}

/// A fake and its clock, with an `AppRole` called `app` (tokens of an hour, a day at most) that may read `secret/*`.
pub(crate) struct Scene {
    pub(crate) vault: FakeVault,
    pub(crate) clock: FakeClock,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with_nodes(1)
    }

    pub(crate) fn with_nodes(nodes: usize) -> Self {
        let clock = FakeClock::new();
        let vault = FakeVault::builder()
            .clock(clock.clone())
            .nodes(nodes)
            .token_prefix("CANARY")
            .start()
            .unwrap();
        vault.policy("app", &[("secret/*", &["read", "list"]), ("db/*", &["read"])]);
        vault.admin("POST", "sys/mounts/db", r#"{"type":"database"}"#);
        vault.put("secret", "a", r#"{"value":"one"}"#);
        let scene = Self { vault, clock };
        scene.role(r#"{"token_ttl":"1h","token_max_ttl":"24h","token_policies":"app"}"#);
        scene
    }

    /// Sets the terms of the role anew.
    pub(crate) fn role(&self, terms: &str) {
        assert!(self.vault.admin("POST", "auth/approle/role/app", terms).0 < 300);
    }

    pub(crate) fn secret_id(&self) -> String {
        let (_, answer) = self.vault.admin("POST", "auth/approle/role/app/secret-id", "{}");
        let start = answer.find("secret-id-").unwrap();
        answer[start..].split('"').next().unwrap().to_owned()
    }

    pub(crate) fn builder(&self) -> VaultBuilder {
        VaultBackend::builder(self.vault.address())
            .ca_pem(self.vault.ca_pem())
            .clock(self.clock.clone())
            .seed(7)
            .timeout(PATIENCE)
            .login_timeout(PATIENCE)
    }

    pub(crate) fn app_role(&self) -> VaultBuilder {
        self.builder().app_role("role-id-app", self.secret_id())
    }

    /// A token of the user's, on these terms.
    pub(crate) fn token(&self, terms: &str) -> String {
        let (status, answer) = self.vault.admin("POST", "auth/token/create", terms);
        assert_eq!(status, 200, "{answer}");
        let start = answer.find("hv").unwrap();
        answer[start..].split('"').next().unwrap().to_owned()
    }

    pub(crate) fn logins(&self) -> usize {
        self.vault.count("auth/approle/login")
    }

    pub(crate) fn renewals(&self) -> usize {
        self.vault.count("auth/token/renew-self")
    }

    pub(crate) fn lookups(&self) -> usize {
        self.vault.count("auth/token/lookup-self")
    }

    /// Lets time pass, from one sleeper to the next, and what each of them does be done.
    pub(crate) async fn pass(&self, duration: Duration) {
        let end = self.clock.monotonic() + duration;
        self.settle().await;
        while let Some(step) = self
            .clock
            .next_wake()
            .filter(|step| self.clock.monotonic() + *step <= end)
        {
            self.clock.advance(step);
            self.settle().await;
        }
        self.clock.advance(end.saturating_sub(self.clock.monotonic()));
        self.settle().await;
    }

    /// Waits until no request is on its way. The sockets are real and the time is not: whoever asks Vault sleeps on the
    /// clock until [`PATIENCE`] is over, and nobody else sleeps so long.
    pub(crate) async fn settle(&self) {
        let settled = async {
            loop {
                for _ in 0..16 {
                    tokio::task::yield_now().await;
                }
                if self
                    .clock
                    .next_wake()
                    .is_none_or(|wake| wake < PATIENCE - HOUR / 4)
                {
                    return;
                }
            }
        };
        tokio::time::timeout(MINUTE, settled)
            .await
            .expect("a request that does not end");
    }
}

/// How long requests and logins may take in these scenes: longer than anything else is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3_600);
