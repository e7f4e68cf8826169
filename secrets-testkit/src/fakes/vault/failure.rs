use std::time::Duration;

/// Something that goes wrong: every request it matches is answered so, instead of as Vault would.
///
/// ```
/// use secrets_testkit::fakes::vault::Failure;
///
/// // Of all renewals, one in ten fails.
/// let flaky = Failure::new("auth/token/renew-self", 500).chance(10, 7);
/// // The next login is told to come back in 30 s.
/// let busy = Failure::new("auth/", 429).retry_after("30").times(1);
/// ```
#[derive(Clone, Debug)]
pub struct Failure {
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) body: Option<String>,
    pub(super) errors: Vec<String>,
    pub(super) retry_after: Option<String>,
    pub(super) location: Option<String>,
    pub(super) times: Option<u32>,
    pub(super) percent: u64,
    pub(super) seed: u64,
    pub(super) hang: bool,
}

impl Failure {
    /// Requests whose path begins so (without `/v1/`) are answered with this status, each of them.
    pub fn new(path: impl Into<String>, status: u16) -> Self {
        Self {
            path: path.into(),
            status,
            body: None,
            errors: Vec::new(),
            retry_after: None,
            location: None,
            times: None,
            percent: 100,
            seed: 0,
            hang: false,
        }
    }

    /// Requests whose path begins so are never answered.
    pub fn hang(path: impl Into<String>) -> Self {
        Self {
            hang: true,
            ..Self::new(path, 0)
        }
    }

    /// The texts in the answer's `errors`.
    #[must_use]
    pub fn error(mut self, text: impl Into<String>) -> Self {
        self.errors.push(text.into());
        self
    }

    /// The whole body, as it is.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The header `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, value: impl Into<String>) -> Self {
        self.retry_after = Some(value.into());
        self
    }

    /// The header `Location`.
    #[must_use]
    pub fn location(mut self, url: impl Into<String>) -> Self {
        self.location = Some(url.into());
        self
    }

    /// Only the next few.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only so many in a hundred, at random, the same at each run with one seed.
    #[must_use]
    pub fn chance(mut self, percent: u8, seed: u64) -> Self {
        self.percent = percent.into();
        self.seed = seed;
        self
    }

    /// Whether this request is hit.
    pub(super) fn hits(&mut self, path: &str) -> bool {
        if self.times == Some(0) || !path.starts_with(&self.path) {
            return false;
        }
        // SplitMix64: small, and good enough to decide who fails.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        if (mixed ^ (mixed >> 31)) % 100 >= self.percent {
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }
}

/// What a node of the cluster is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeState {
    /// It answers.
    #[default]
    Active,
    /// It has no storage yet: 501.
    Uninitialised,
    /// A disaster recovery secondary: 472.
    RecoverySecondary,
    /// It sends clients to this address: 307.
    Redirecting(String),
    /// It is sealed: 503.
    Sealed,
    /// A performance standby that cannot answer: 473.
    Standby,
}

/// One request, as the fake saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// When, by the fake's clock.
    pub at: Duration,
    /// Which node, from 0.
    pub node: usize,
    /// The HTTP method.
    pub method: String,
    /// The path, without `/v1/`, decoded.
    pub path: String,
    /// What was answered; 0 for no answer.
    pub status: u16,
}
