use std::time::Duration;

use http::HeaderValue;

use crate::auth::Grant;

/// A token's last moments are not used: a request on its way would arrive with a dead one.
const LAST_MOMENTS: Duration = Duration::from_secs(5);

/// A token and how long it lives. All instants are boot time: a token ages while the machine sleeps.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) header: HeaderValue,
    /// Which login brought it.
    pub(crate) generation: u64,
    /// When it ends; `None` when it never does, or that cannot be told.
    ends: Option<Duration>,
    /// The longest life it was ever given at once.
    full: Duration,
    /// When to renew or replace it.
    pub(crate) due: Option<Duration>,
    /// Vault will still extend it: it is renewable, and its last renewal was not cut short by a maximum.
    pub(crate) extendable: bool,
    /// Vault did not say whether it knows the token.
    pub(crate) unverified: bool,
}

impl Token {
    /// A token just obtained. `jitter` is between 0 and 1; `fixed` says that another login brings the same one.
    pub(crate) fn new(grant: Grant, generation: u64, jitter: f64, fixed: bool) -> Self {
        let ends = grant.lifetime.map(|lifetime| grant.since + lifetime);
        let worth_it = grant.renewable || !fixed;
        Self {
            header: grant.token,
            generation,
            ends,
            full: grant.lifetime.unwrap_or_default(),
            due: grant
                .lifetime
                .filter(|_| worth_it)
                .map(|lifetime| grant.since + due(lifetime, jitter)),
            extendable: grant.renewable,
            unverified: grant.unverified,
        }
    }

    /// The same token with the life its renewal gave it. Shorter than before means that a maximum has cut it short: it
    /// is replaced before that end, not renewed again.
    pub(crate) fn renewed(&self, grant: &Grant, jitter: f64, fixed: bool) -> Self {
        let lifetime = grant.lifetime.unwrap_or_default();
        let cut_short = lifetime + Duration::from_secs(1) < self.full;
        let extendable = grant.renewable && !cut_short;
        let worth_it = extendable || !fixed;
        Self {
            ends: grant.lifetime.map(|lifetime| grant.since + lifetime),
            full: self.full.max(lifetime),
            due: grant
                .lifetime
                .filter(|_| worth_it)
                .map(|lifetime| grant.since + due(lifetime, jitter)),
            extendable,
            ..self.clone()
        }
    }

    /// The same token, which Vault refuses to extend: to be replaced at once.
    pub(crate) fn not_extendable(&self, now: Duration, fixed: bool) -> Self {
        Self {
            extendable: false,
            due: (!fixed).then_some(now),
            ..self.clone()
        }
    }

    /// The same token, found again where a new one was looked for: the next look is some time off.
    pub(crate) fn look_again(mut self, now: Duration) -> Self {
        let left = self.left(now).unwrap_or_default();
        self.due = self.ends.map(|_| now + (left / 3).max(Duration::from_secs(30)));
        self
    }

    /// Whether a request sent now arrives while the token lives.
    pub(crate) fn usable(&self, now: Duration) -> bool {
        self.ends
            .is_none_or(|ends| now + LAST_MOMENTS.min(self.full / 20) < ends)
    }

    /// How long it still lives; `None` for ever, or as long as nobody knows.
    pub(crate) fn left(&self, now: Duration) -> Option<Duration> {
        self.ends.map(|ends| ends.saturating_sub(now))
    }
}

/// Two thirds of a life, give or take a tenth of it: clients that started together do not stay together.
pub(crate) fn due(lifetime: Duration, jitter: f64) -> Duration {
    lifetime.mul_f64(0.6 + jitter * 2.0 / 15.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn grant(since: Duration, lifetime: Duration, renewable: bool) -> Grant {
        Grant {
            token: HeaderValue::from_static("t"),
            since,
            lifetime: Some(lifetime),
            renewable,
            unverified: false,
        }
    }

    #[test]
    fn a1_renewal_is_due_at_a_jittered_two_thirds() {
        assert_eq!(due(HOUR, 0.0), HOUR * 3 / 5);
        assert_eq!(due(HOUR, 0.5), HOUR * 2 / 3);
        let middle: Vec<_> = (0..100).map(|step| due(HOUR, f64::from(step) / 100.0)).collect();
        assert!(middle.is_sorted() && middle[99] < HOUR * 3 / 4);
    }

    #[test]
    fn a7_a_renewal_cut_short_is_the_last() {
        let token = Token::new(grant(HOUR, HOUR, true), 1, 0.5, false);
        let again = token.renewed(&grant(HOUR * 2, HOUR, true), 0.5, false);
        assert!(again.extendable);
        let cut = again.renewed(&grant(HOUR * 3, HOUR / 2, true), 0.5, false);
        assert!(!cut.extendable);
        assert!(
            cut.due.unwrap() < HOUR * 3 + HOUR / 2,
            "it is replaced before the truncated end"
        );
    }

    #[test]
    fn a6_a_batch_token_is_replaced_and_a_fixed_one_left_to_end() {
        let batch = Token::new(grant(HOUR, HOUR, false), 1, 0.5, false);
        assert!(!batch.extendable && batch.due.is_some());
        let fixed = Token::new(grant(HOUR, HOUR, false), 1, 0.5, true);
        assert_eq!(fixed.due, None);
    }

    #[test]
    fn a5_a_token_is_not_used_in_its_last_moments() {
        let token = Token::new(grant(HOUR, HOUR, true), 1, 0.5, false);
        assert!(token.usable(HOUR + Duration::from_secs(3_594)));
        assert!(!token.usable(HOUR + Duration::from_secs(3_595)));
        let short = Token::new(grant(HOUR, Duration::from_secs(2), true), 1, 0.5, false);
        assert!(short.usable(HOUR + Duration::from_millis(1_800)));
        assert!(!short.usable(HOUR + Duration::from_millis(1_900)));
    }
}
