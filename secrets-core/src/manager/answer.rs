//! What an answer of the backend does to the cache, the breaker, the failures remembered and the handles.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::core::{Core, State};
use super::fetch::{Claim, OnLoss, UNSAID_PAUSE};
use super::handle::Cell;
use super::slot::{Failure, Held, Key, Use};
use super::stats::add;
use super::time::Tick;
use crate::{Error, ErrorKind, Fetched, Result, Secret, trace};

/// A sender and what its waiters are to be told, once the lock is released.
pub(super) type Settled = Vec<(watch::Sender<Option<Result<Secret>>>, Result<Secret>)>;

impl Core {
    /// What one call says about its fault domain.
    pub(super) fn learn(
        &self,
        state: &mut State,
        domain: &Arc<str>,
        probed: bool,
        answers: &[Result<Fetched>],
        now: Tick,
    ) {
        let (mut answered, mut failed, mut pause) = (false, false, None::<Duration>);
        for answer in answers {
            match answer.as_ref().map_err(Error::kind) {
                Err(ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Unauthenticated) => {
                    failed = true;
                }
                Err(ErrorKind::RateLimited) => {
                    let asked = answer
                        .as_ref()
                        .err()
                        .and_then(Error::retry_after)
                        .unwrap_or(UNSAID_PAUSE);
                    pause = pause.max(Some(asked));
                }
                Ok(_)
                | Err(
                    ErrorKind::Disabled
                    | ErrorKind::InvalidData
                    | ErrorKind::NotFound
                    | ErrorKind::PermissionDenied
                    | ErrorKind::VersionNotFound,
                ) => answered = true,
                // Says nothing about the store.
                Err(_) => {}
            }
        }
        let policy = self.config.breaker;
        let (breaker, rng) = state.breaker(domain);
        if let Some(pause) = pause {
            breaker.pause(now, pause);
            trace::paused(&self.backend_name, domain, pause);
        }
        if answered {
            breaker.success();
        } else if failed {
            if breaker.failure(now, &policy, rng) {
                add(&self.counters.breaker_opens, 1);
                trace::opened(&self.backend_name, domain);
            }
        } else if probed && pause.is_none() {
            breaker.probe_lost(now);
        }
    }

    /// Takes in the final answer for one claim, and returns it as its waiters get it.
    pub(super) fn settle(
        &self,
        state: &mut State,
        claim: &Claim,
        answer: Result<Secret>,
        now: Tick,
    ) -> Result<Secret> {
        let outcome = match answer {
            Ok(secret) => {
                let secret = secret.with_origin(&self.backend_name, &claim.key.name);
                self.keep(state, claim, &secret, now);
                Ok(secret)
            }
            Err(error) => {
                let error = error
                    .with_backend(&self.backend_name)
                    .with_secret(&claim.key.name);
                add(&self.counters.errors, 1);
                trace::failed(&claim.key.name, claim.key.version.as_ref(), &error);
                self.remember(state, claim, &error, now);
                Err(error)
            }
        };
        self.release(state, claim);
        outcome
    }

    /// The fetch is over for this claim.
    pub(super) fn release(&self, state: &mut State, claim: &Claim) {
        let handled = state
            .slots
            .end(&self.hot, &claim.key, claim.sequence, self.time.now());
        if handled {
            self.keeper_wanted.notify_one();
        }
    }

    fn keep(&self, state: &mut State, claim: &Claim, secret: &Secret, now: Tick) {
        if state.closed || !state.slots.accepts(&claim.key, claim.sequence) {
            return;
        }
        let jitter = 1.0 - self.config.ttl_jitter * state.rng.f64();
        let ahead = 0.6 + 0.3 * state.rng.f64();
        let metadata = secret.metadata();
        let lease = metadata.lease().map(crate::Lease::duration);
        let expiry = metadata.expires().map(|expires| self.left(expires, &claim.key));
        let end = [lease, expiry].into_iter().flatten().min();
        let ttl = self.config.ttl.mul_f64(jitter);
        let ttl = end.map_or(ttl, |end| end.min(ttl));
        let weight = secret.weight();
        let fits = weight <= self.config.capacity_bytes;
        let handled = state
            .slots
            .get(&claim.key)
            .is_some_and(|slot| !slot.handles.is_empty());
        if self.config.caches() && fits {
            let refresh = self.config.refresh_ahead && claim.key.version.is_none();
            let held = Held {
                secret: secret.clone(),
                weight,
                sequence: claim.sequence,
                fetched: now,
                fresh_until: now.after(ttl),
                refresh_at: if refresh {
                    now.after(ttl.mul_f64(ahead))
                } else {
                    Tick::NEVER
                },
                stale_until: now.after(self.config.stale_if_error),
                ends: end.map(|end| self.time.boot().after(end)),
                condemned: false,
            };
            state.slots.hold(&self.hot, &claim.key, held, now);
            self.names_changed.notify_one();
        } else {
            state.slots.update(&claim.key, |slot| {
                slot.unpublish(&self.hot);
                slot.failure = None;
            });
        }
        if handled {
            tell_handles(state, &claim.key, |cell| cell.fresh(secret));
        }
        trace::fetched(&self.backend_name, &claim.key.name, metadata.version());
    }

    /// What is left of a value that the store says ends then.
    fn left(&self, expires: SystemTime, key: &Key) -> Duration {
        const LEAST: Duration = Duration::from_secs(1);
        let left = expires.duration_since(self.time.wall()).unwrap_or_default();
        if left < LEAST {
            trace::expired_already(&self.backend_name, &key.name);
        }
        left.max(LEAST)
    }

    /// What a failure leaves behind: the last column of the table in [`SecretManager`](crate::SecretManager).
    fn remember(&self, state: &mut State, claim: &Claim, error: &Error, now: Tick) {
        let Some(slot) = state.slots.get(&claim.key) else {
            return;
        };
        let superseded = slot
            .held
            .as_ref()
            .is_some_and(|held| held.sequence > claim.sequence);
        if state.closed || superseded || claim.sequence < slot.floor {
            return;
        }
        let config = &self.config;
        let previous = slot
            .failure
            .as_ref()
            .filter(|failure| failure.error.kind() == error.kind());
        let wait = |first: Duration, most: Duration| {
            previous
                .map_or(first, |failure| failure.wait.saturating_mul(2))
                .min(most)
        };
        let wait = match error.kind() {
            ErrorKind::NotFound => Some(wait(config.negative_ttl, config.max_negative_ttl)),
            ErrorKind::Disabled
            | ErrorKind::InvalidData
            | ErrorKind::PermissionDenied
            | ErrorKind::VersionNotFound => Some(wait(Duration::from_secs(1), config.ttl)),
            _ => None,
        };
        let again = now.after(Duration::from_secs(5).mul_f64(1.0 + state.rng.f64()));
        let mut dropped = false;
        state.slots.update(&claim.key, |slot| {
            let fresh = slot
                .held
                .as_ref()
                .map(|held| held.good_for(now, || self.time.boot()));
            match (wait, &mut slot.held) {
                (Some(wait), held) => {
                    if config.caches() && !wait.is_zero() {
                        slot.failure = Some(Failure {
                            error: error.clone(),
                            until: now.after(wait),
                            wait,
                        });
                    }
                    match held {
                        Some(held) if fresh == Some(Use::Fresh) && claim.on_loss == OnLoss::Condemn => {
                            held.condemned = true;
                            held.refresh_at = now.after(wait);
                        }
                        _ => {
                            slot.unpublish(&self.hot);
                            dropped = true;
                        }
                    }
                }
                // Tried again a little later, while the value is still good.
                (None, Some(held)) if claim.key.version.is_none() => held.refresh_at = again,
                (None, _) => {}
            }
        });
        if dropped {
            self.names_changed.notify_one();
            tell_handles(state, &claim.key, |cell| cell.gone(error.clone()));
        }
    }
}

/// Tells the waiters, outside the lock.
pub(super) fn announce(settled: Settled) {
    for (sender, outcome) in settled {
        sender.send_replace(Some(outcome));
    }
}

/// Passes a change on to the handles of a slot.
fn tell_handles(state: &State, key: &Key, tell: impl Fn(&Cell)) {
    if let Some(slot) = state.slots.get(key) {
        slot.handles.iter().for_each(|cell| tell(cell));
    }
}
