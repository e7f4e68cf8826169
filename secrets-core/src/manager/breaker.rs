//! The circuit breaker of one fault domain: a state machine without a clock, a lock or a task of its own.

use std::time::Duration;

use fastrand::Rng;

use super::time::Tick;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct BreakerPolicy {
    /// Consecutive failures that open it; zero: never.
    pub(super) threshold: u32,
    /// The first cool-down; each failed probe doubles it.
    pub(super) cool_down: Duration,
    pub(super) max_cool_down: Duration,
}

/// What fails together: calls are let through, or not, for all of it at once.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    /// The store asked to be left alone until then.
    paused_until: Tick,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Tick, cool_down: Duration },
    Probing { cool_down: Duration },
}

/// Whether a call may be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Call,
    /// The store asked for a pause, which ends in so long.
    Paused(Duration),
    /// The one call that finds out whether the store is back. Its end has to be reported.
    Probe,
    Rejected(Duration),
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            state: State::Closed { failures: 0 },
            paused_until: Tick::NOW,
        }
    }

    pub(super) fn admit(&mut self, now: Tick, policy: &BreakerPolicy) -> Admission {
        if now < self.paused_until {
            return Admission::Paused(self.paused_until.since(now));
        }
        match self.state {
            State::Closed { .. } => Admission::Call,
            State::Open { until, .. } if now < until => Admission::Rejected(until.since(now)),
            State::Open { cool_down, .. } => {
                self.state = State::Probing { cool_down };
                Admission::Probe
            }
            // The probe ends within its timeout; who comes meanwhile is told to come back after about that.
            State::Probing { .. } => Admission::Rejected(policy.cool_down),
        }
    }

    /// The store answered, if only to refuse.
    pub(super) fn success(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// The store could not be reached or used. `true` when this opens the breaker.
    pub(super) fn failure(&mut self, now: Tick, policy: &BreakerPolicy, rng: &mut Rng) -> bool {
        let cool_down = match self.state {
            State::Closed { failures }
                if failures.saturating_add(1) < policy.threshold || policy.threshold == 0 =>
            {
                self.state = State::Closed {
                    failures: failures.saturating_add(1),
                };
                return false;
            }
            State::Closed { .. } => policy.cool_down,
            // A call that was under way when it opened says nothing new.
            State::Open { .. } => return false,
            State::Probing { cool_down } => cool_down.saturating_mul(2).min(policy.max_cool_down),
        };
        let jittered = cool_down.mul_f64(0.8 + 0.2 * rng.f64());
        self.state = State::Open {
            until: now.after(jittered),
            cool_down,
        };
        true
    }

    /// The probe ended without an answer: its task was dropped. The next call probes again.
    pub(super) fn probe_lost(&mut self, now: Tick) {
        if let State::Probing { cool_down } = self.state {
            self.state = State::Open {
                until: now,
                cool_down,
            };
        }
    }

    /// The store asked to be left alone for so long. Pauses only ever grow.
    pub(super) fn pause(&mut self, now: Tick, duration: Duration) {
        self.paused_until = self.paused_until.max(now.after(duration));
        if let State::Probing { .. } = self.state {
            // It answered.
            self.success();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy {
        threshold: 5,
        cool_down: Duration::from_secs(5),
        max_cool_down: Duration::from_secs(60),
    };

    fn at(seconds: u64) -> Tick {
        Tick::at(Duration::from_secs(seconds))
    }

    fn opened() -> (Breaker, Rng) {
        let (mut breaker, mut rng) = (Breaker::new(), Rng::with_seed(1));
        for _ in 0..4 {
            assert!(!breaker.failure(at(0), &POLICY, &mut rng));
            assert_eq!(breaker.admit(at(0), &POLICY), Admission::Call);
        }
        assert!(breaker.failure(at(0), &POLICY, &mut rng));
        (breaker, rng)
    }

    #[test]
    fn o7_it_opens_probes_once_and_closes() {
        let (mut breaker, _) = opened();
        assert!(
            matches!(breaker.admit(at(1), &POLICY), Admission::Rejected(left) if left <= Duration::from_secs(4))
        );
        assert_eq!(breaker.admit(at(5), &POLICY), Admission::Probe);
        assert!(
            matches!(breaker.admit(at(5), &POLICY), Admission::Rejected(_)),
            "one probe at a time"
        );
        breaker.success();
        assert_eq!(breaker.admit(at(5), &POLICY), Admission::Call);
    }

    #[test]
    fn o7_failed_probes_double_the_cool_down_to_its_cap() {
        let (mut breaker, mut rng) = opened();
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..6 {
            let Admission::Rejected(left) = breaker.admit(now, &POLICY) else {
                panic!("it is open")
            };
            waits.push(left);
            now = now.after(left);
            assert_eq!(breaker.admit(now, &POLICY), Admission::Probe);
            assert!(breaker.failure(now, &POLICY, &mut rng));
        }
        for (wait, nominal) in waits.into_iter().zip([5, 10, 20, 40, 60, 60]) {
            let nominal = Duration::from_secs(nominal);
            assert!(
                wait <= nominal && wait >= nominal.mul_f64(0.8),
                "{wait:?} of {nominal:?}"
            );
        }
    }

    #[test]
    fn o7_an_answer_in_between_starts_the_count_anew() {
        let (mut breaker, mut rng) = (Breaker::new(), Rng::with_seed(1));
        for _ in 0..10 {
            for _ in 0..4 {
                breaker.failure(at(0), &POLICY, &mut rng);
            }
            breaker.success();
        }
        assert_eq!(breaker.admit(at(0), &POLICY), Admission::Call);
    }

    #[test]
    fn a_lost_probe_makes_way_for_another() {
        let (mut breaker, _) = opened();
        assert_eq!(breaker.admit(at(5), &POLICY), Admission::Probe);
        breaker.probe_lost(at(6));
        assert_eq!(breaker.admit(at(6), &POLICY), Admission::Probe);
    }

    #[test]
    fn o5_a_pause_is_never_shortened() {
        let mut breaker = Breaker::new();
        breaker.pause(at(0), Duration::from_secs(30));
        breaker.pause(at(1), Duration::from_secs(1));
        assert_eq!(
            breaker.admit(at(10), &POLICY),
            Admission::Paused(Duration::from_secs(20))
        );
        assert_eq!(breaker.admit(at(30), &POLICY), Admission::Call);
    }

    #[test]
    fn a_threshold_of_zero_switches_it_off() {
        let policy = BreakerPolicy {
            threshold: 0,
            ..POLICY
        };
        let (mut breaker, mut rng) = (Breaker::new(), Rng::with_seed(1));
        for _ in 0..1000 {
            assert!(!breaker.failure(at(0), &policy, &mut rng));
        }
        assert_eq!(breaker.admit(at(0), &policy), Admission::Call);
    }
}
