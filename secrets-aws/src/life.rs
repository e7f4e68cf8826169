//! One set of credentials and how long it lives.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_types::SdkConfig;

/// The last moments of credentials are not used: a request on its way would arrive with dead ones.
const LAST_MOMENTS: Duration = Duration::from_secs(5);

/// Credentials, and what they are used with. All instants are boot time: credentials age while the machine sleeps.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) config: SdkConfig,
    pub(crate) credentials: Credentials,
    /// Which login brought them.
    pub(crate) generation: u64,
    /// When they end; `None` when nobody says so.
    ends: Option<Duration>,
    lifetime: Duration,
    /// When to look for others.
    pub(crate) due: Option<Duration>,
}

impl Login {
    /// Credentials just obtained. `jitter` is between 0 and 1.
    pub(crate) fn new(
        config: SdkConfig,
        credentials: Credentials,
        generation: u64,
        now: Duration,
        wall: SystemTime,
        jitter: f64,
    ) -> Self {
        let lifetime = credentials
            .expiry()
            .map(|end| end.duration_since(wall).unwrap_or_default());
        Self {
            config,
            credentials,
            generation,
            ends: lifetime.map(|lifetime| now + lifetime),
            lifetime: lifetime.unwrap_or_default(),
            due: lifetime.map(|lifetime| now + due(lifetime, jitter)),
        }
    }

    /// The same credentials, found again where others were looked for, as the metadata services give them out until shortly
    /// before their end: the next look is some time off.
    pub(crate) fn look_again(mut self, now: Duration) -> Self {
        self.due = self
            .ends
            .map(|ends| now + (ends.saturating_sub(now) / 3).max(Duration::from_secs(30)));
        self
    }

    /// Whether a request sent now arrives while the credentials live.
    pub(crate) fn usable(&self, now: Duration) -> bool {
        self.ends
            .is_none_or(|ends| now + LAST_MOMENTS.min(self.lifetime / 20) < ends)
    }

    /// Whether others end later.
    pub(crate) fn outlived_by(&self, other: &Self) -> bool {
        self.credentials.access_key_id() != other.credentials.access_key_id() || self.ends < other.ends
    }
}

/// Two thirds of a life, give or take a tenth of it: clients that started together do not stay together.
fn due(lifetime: Duration, jitter: f64) -> Duration {
    lifetime.mul_f64(0.6 + jitter * 2.0 / 15.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn login(lifetime: Option<Duration>, jitter: f64) -> Login {
        let wall = SystemTime::UNIX_EPOCH + HOUR * 24 * 365;
        let end = lifetime.map(|lifetime| wall + lifetime);
        let credentials = Credentials::new("AKID", "CANARY", None, end, "test");
        let config = SdkConfig::builder().build();
        Login::new(config, credentials, 1, HOUR, wall, jitter)
    }

    #[test]
    fn a1_others_are_looked_for_at_a_jittered_two_thirds() {
        assert_eq!(login(Some(HOUR), 0.0).due, Some(HOUR + HOUR * 3 / 5));
        assert_eq!(login(Some(HOUR), 0.5).due, Some(HOUR + HOUR * 2 / 3));
        assert_eq!(login(None, 0.5).due, None);
    }

    #[test]
    fn a5_credentials_are_not_used_in_their_last_moments() {
        let login = login(Some(HOUR), 0.5);
        assert!(login.usable(HOUR + Duration::from_secs(3_594)));
        assert!(!login.usable(HOUR + Duration::from_secs(3_595)));
        assert!(super::tests::login(None, 0.5).usable(HOUR * 10_000));
        assert!(!super::tests::login(Some(Duration::ZERO), 0.5).usable(HOUR));
    }
}
