use std::time::Duration;

/// No two failed attempts but one lie closer together than this: two calls a minute at most.
const WINDOW: Duration = Duration::from_secs(60);
const FIRST: Duration = Duration::from_secs(1);
/// However long a server asks to be left alone, it is asked again after this.
const LONGEST: Duration = Duration::from_secs(300);

/// When to try to log in or to renew again after a failure: bounded by elapsed time, whatever the number of readers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    /// When the last two failed attempts began.
    began: [Option<Duration>; 2],
}

impl Backoff {
    /// An attempt that began at `began` has failed at `now`; the next one may begin at the instant returned.
    ///
    /// The wait doubles from 1 s to a minute, and is cut by up to half at random (`jitter` is between 0 and 1), but of any
    /// three attempts in a row the last begins a minute after the first. `asked` is what the server wants.
    pub(crate) fn failed(
        &mut self,
        began: Duration,
        now: Duration,
        jitter: f64,
        asked: Option<Duration>,
    ) -> Duration {
        let doubled = FIRST * 2_u32.saturating_pow(self.failures.min(6));
        let wait = doubled.min(WINDOW).mul_f64(1.0 - jitter / 2.0);
        self.failures = self.failures.saturating_add(1);
        self.began = [self.began[1], Some(began)];
        let spread = self.began[0].map_or(Duration::ZERO, |before| before + WINDOW);
        let asked = asked.unwrap_or_default().min(LONGEST);
        (now + wait.max(asked)).max(spread)
    }

    /// An attempt has succeeded.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a2_calls_are_bounded_by_elapsed_time() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut backoff = Backoff::default();
        let mut now = Duration::from_secs(1_000);
        let mut attempts = Vec::new();
        while now < Duration::from_secs(1_000 + 7_200) {
            attempts.push(now);
            now = backoff.failed(now, now, rng.f64(), None);
        }
        for three in attempts.windows(3) {
            assert!(three[2] >= three[0] + Duration::from_secs(60), "{three:?}");
        }
        assert!(
            attempts[1] <= attempts[0] + Duration::from_secs(1),
            "a blip costs a second"
        );
        assert!(attempts.len() >= 120, "it never gives up: {}", attempts.len());
    }

    #[test]
    fn what_the_server_asks_for_is_a_floor_within_reason() {
        let now = Duration::from_secs(10);
        let failed = |asked| Backoff::default().failed(now, now, 1.0, Some(Duration::from_secs(asked)));
        assert_eq!(failed(30), Duration::from_secs(40));
        assert_eq!(failed(86_400), Duration::from_secs(310));
    }
}
