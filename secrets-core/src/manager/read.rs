//! A read that is not a hit: what is known is looked at once, under the lock; then it waits, or does not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::breaker::Admission;
use super::core::{Core, State};
use super::fetch::{Claim, Effort, OPEN, OnLoss, Priority};
use super::slot::{Flight, Key, Use};
use super::stats::{Ending, Lookup, add};
use super::time::Tick;
use crate::{Error, ErrorKind, Result, Secret, SecretRef, trace};

/// What a read finds.
enum Step {
    Done(Result<Secret>, Ending),
    Wait(Wait),
}

/// A fetch that will answer.
struct Wait {
    flight: Flight,
    /// A value to fall back on.
    stale: Option<Secret>,
}

/// How a wait ended.
enum Waited {
    Done(Result<Secret>, Ending),
    /// The fetch is gone without an answer; somebody has to start another.
    Lost,
}

impl Core {
    /// One reference, after the hot map had nothing for it.
    pub(super) async fn read(self: &Arc<Self>, reference: &str) -> Result<Secret> {
        let parsed = SecretRef::parse(reference)?;
        let mut lookup = self.counters.lookup();
        let key = Key {
            name: parsed.name().clone(),
            version: parsed.version().cloned(),
        };
        let (secret, ending) = self.whole(&key).await;
        lookup.ends_as(ending);
        self.project(&key, secret?, reference, parsed.field())
    }

    /// Several references: those of one secret are answered from one version of it, by one call.
    pub(super) async fn read_many<R: AsRef<str>>(
        self: &Arc<Self>,
        references: &[R],
        counted: bool,
    ) -> Vec<Result<Secret>> {
        let parsed: Vec<Result<SecretRef>> = references.iter().map(SecretRef::parse).collect();
        let mut lookups: Vec<Option<Lookup<'_>>> = parsed
            .iter()
            .map(|parsed| (counted && parsed.is_ok()).then(|| self.counters.lookup()))
            .collect();
        let mut keys = Vec::new();
        let mut index = HashMap::new();
        let places: Vec<Option<usize>> = parsed
            .iter()
            .map(|parsed| {
                let parsed = parsed.as_ref().ok()?;
                let key = Key {
                    name: parsed.name().clone(),
                    version: parsed.version().cloned(),
                };
                Some(*index.entry(key.clone()).or_insert_with(|| {
                    keys.push(key);
                    keys.len() - 1
                }))
            })
            .collect();
        let wholes = self.wholes(&keys).await;
        (0..references.len())
            .map(|at| {
                let (parsed, place) = match (&parsed[at], places[at]) {
                    (Ok(parsed), Some(place)) => (parsed, place),
                    (Err(error), _) => return Err(error.clone()),
                    (Ok(_), None) => unreachable!("every valid reference has a place"),
                };
                let (secret, ending) = &wholes[place];
                if let Some(lookup) = &mut lookups[at] {
                    lookup.ends_as(*ending);
                }
                self.project(
                    &keys[place],
                    secret.clone()?,
                    references[at].as_ref(),
                    parsed.field(),
                )
            })
            .collect()
    }

    /// The field asked for, kept for the next one who asks.
    fn project(&self, key: &Key, secret: Secret, reference: &str, field: Option<&str>) -> Result<Secret> {
        let Some(field) = field else { return Ok(secret) };
        let value = secret.field(field)?;
        if self.config.caches() && secret.metadata().stale_since().is_none() {
            let mut state = self.lock();
            state
                .slots
                .show_field(&self.hot, key, reference, &value, &secret, self.time.now());
            let evicted = state
                .slots
                .make_room(&self.hot, self.config.capacity, self.config.capacity_bytes);
            drop(state);
            add(&self.counters.evictions, evicted);
        }
        Ok(value)
    }

    /// One whole secret, for a caller that is no lookup.
    pub(super) async fn read_whole(self: &Arc<Self>, key: &Key) -> Result<Secret> {
        self.whole(key).await.0
    }

    /// One whole secret.
    async fn whole(self: &Arc<Self>, key: &Key) -> (Result<Secret>, Ending) {
        loop {
            let step = self.begin(std::slice::from_ref(key)).pop();
            match step {
                None => unreachable!("one key has one step"),
                Some(Step::Done(result, ending)) => return (result, ending),
                Some(Step::Wait(wait)) => match self.wait(key, wait).await {
                    Waited::Done(result, ending) => return (result, ending),
                    Waited::Lost => {}
                },
            }
        }
    }

    async fn wholes(self: &Arc<Self>, keys: &[Key]) -> Vec<(Result<Secret>, Ending)> {
        let steps = self.begin(keys);
        let mut wholes = Vec::with_capacity(keys.len());
        for (key, step) in keys.iter().zip(steps) {
            wholes.push(match step {
                Step::Done(result, ending) => (result, ending),
                Step::Wait(wait) => match self.wait(key, wait).await {
                    Waited::Done(result, ending) => (result, ending),
                    Waited::Lost => self.whole(key).await,
                },
            });
        }
        wholes
    }

    /// Finds out what each key needs, and starts the fetches that nobody has started yet.
    fn begin(self: &Arc<Self>, keys: &[Key]) -> Vec<Step> {
        let runtime = Handle::try_current().ok();
        if let Some(runtime) = &runtime {
            self.ensure_watcher(runtime);
            self.revive_keeper(runtime);
        }
        let domains: Vec<_> = keys.iter().map(|key| self.domain(key)).collect();
        let now = self.time.now();
        let mut claims = Vec::new();
        let mut state = self.lock();
        let steps = keys
            .iter()
            .zip(domains)
            .map(|(key, domain)| self.look(&mut state, key, domain, runtime.as_ref(), now, &mut claims))
            .collect();
        drop(state);
        if let Some(runtime) = runtime.filter(|_| !claims.is_empty()) {
            self.launch(&runtime, claims, Priority::Reader);
        }
        steps
    }

    /// The pipeline's order: fresh value, remembered failure, fetch under way, breaker, new fetch.
    fn look(
        self: &Arc<Self>,
        state: &mut State,
        key: &Key,
        domain: Arc<str>,
        runtime: Option<&Handle>,
        now: Tick,
        claims: &mut Vec<Claim>,
    ) -> Step {
        if state.closed {
            return Step::Done(Err(self.closed_error()), Ending::Miss);
        }
        let mut older = None;
        if let Some(held) = state.slots.get(key).and_then(|slot| slot.held.as_ref()) {
            match held.good_for(now, || self.time.boot()) {
                Use::Fresh => {
                    let (secret, ahead) = (held.secret.clone(), now >= held.refresh_at);
                    if let Some(runtime) = runtime.filter(|_| ahead) {
                        self.queue_refresh(state, key, runtime);
                    }
                    state.slots.update(key, |slot| slot.set_due(&self.hot, now));
                    return Step::Done(Ok(secret), Ending::Hit);
                }
                Use::Stale => {
                    let since = self.time.wall().checked_sub(now.since(held.fresh_until));
                    let metadata = held.secret.metadata().clone();
                    let metadata =
                        since.map_or_else(|| metadata.clone(), |since| metadata.clone().stale(since));
                    older = Some(held.secret.clone().with_metadata(metadata));
                }
                Use::Nothing => {
                    state.slots.update(key, |slot| slot.unpublish(&self.hot));
                    self.names_changed.notify_one();
                }
            }
        }
        let slot = state.slots.get(key);
        if let Some(failure) = slot
            .and_then(|slot| slot.failure.as_ref())
            .filter(|failure| now < failure.until)
        {
            let negative = failure.error.kind() == ErrorKind::NotFound;
            return Step::Done(
                Err(failure.error.clone()),
                if negative { Ending::Negative } else { Ending::Miss },
            );
        }
        if let Some(flight) = slot.and_then(|slot| slot.flight.clone()) {
            add(&self.counters.coalesced, 1);
            return Step::Wait(Wait { flight, stale: older });
        }
        if runtime.is_none() {
            return self.fall_back(key, older, self.no_runtime().with_secret(&key.name));
        }
        let effort = match state.breaker(&domain).0.admit(now, &self.config.breaker) {
            Admission::Call => Effort::Full,
            Admission::Probe => Effort::Probe,
            // A short pause is waited for, unless there is something to give meanwhile.
            Admission::Paused(left) if older.is_none() && left < self.config.deadline => Effort::Full,
            Admission::Paused(left) => {
                let message = "the store has asked for a pause; read less often, or raise its limits";
                let error = Error::new(ErrorKind::RateLimited, message).with_retry_after(left);
                return self.fall_back(key, older, error);
            }
            Admission::Rejected(left) => {
                add(&self.counters.breaker_rejected, 1);
                let error = Error::new(ErrorKind::Unavailable, OPEN).with_retry_after(left);
                return self.fall_back(key, older, error);
            }
        };
        let flight = self.claim(state, key, domain, effort, OnLoss::Condemn, now, claims);
        Step::Wait(Wait { flight, stale: older })
    }

    /// A claim that readers of this key wait for from now on.
    #[allow(
        clippy::too_many_arguments,
        reason = "one call site for each kind of fetch; a struct would name them twice"
    )]
    pub(super) fn claim(
        &self,
        state: &mut State,
        key: &Key,
        domain: Arc<str>,
        effort: Effort,
        on_loss: OnLoss,
        now: Tick,
        claims: &mut Vec<Claim>,
    ) -> Flight {
        let (sender, outcome) = watch::channel(None);
        let sequence = state.next_sequence();
        let flight = Flight {
            sequence,
            began: now,
            deadline: now.after(self.config.deadline),
            outcome,
        };
        let known = state.slots.begin(&self.hot, key, flight.clone(), now);
        claims.push(Claim {
            key: key.clone(),
            sequence,
            domain,
            known,
            outcome: sender,
            effort,
            on_loss,
            last: None,
        });
        flight
    }

    /// The stale value, or the error that stands in the way of a new one.
    fn fall_back(&self, key: &Key, stale: Option<Secret>, error: Error) -> Step {
        if let Some(secret) = stale {
            trace::served_stale(&self.backend_name, &key.name, error.kind());
            Step::Done(Ok(secret), Ending::Stale)
        } else {
            let error = error.with_backend(&self.backend_name).with_secret(&key.name);
            Step::Done(Err(error), Ending::Miss)
        }
    }

    async fn wait(&self, key: &Key, wait: Wait) -> Waited {
        let Wait { mut flight, stale } = wait;
        let now = self.time.now();
        let until = match stale {
            // Counted from the fetch's beginning: who comes later has waited enough already.
            Some(_) => flight.began.after(self.config.stale_wait),
            // The fetch ends by itself, unless its runtime has stopped without dropping it.
            None => flight.deadline.after(Duration::from_secs(1)),
        };
        let outcome = self
            .time
            .within(until.since(now), flight.outcome.wait_for(Option::is_some))
            .await;
        let outcome = outcome.map(|seen| seen.ok().and_then(|outcome| outcome.clone()));
        match (outcome, stale) {
            (Some(Some(Ok(secret))), _) => Waited::Done(Ok(secret), Ending::Miss),
            (Some(Some(Err(error))), Some(stale)) if serves_stale(error.kind()) => {
                trace::served_stale(&self.backend_name, &key.name, error.kind());
                Waited::Done(Ok(stale), Ending::Stale)
            }
            (Some(Some(Err(error))), _) => Waited::Done(Err(error), Ending::Miss),
            (Some(None), _) => Waited::Lost,
            (None, Some(stale)) => {
                trace::served_stale(&self.backend_name, &key.name, ErrorKind::Timeout);
                Waited::Done(Ok(stale), Ending::Stale)
            }
            (None, None) => {
                self.lock().slots.abandon(key, flight.sequence);
                Waited::Lost
            }
        }
    }
}

/// Whether a failure of this kind is bridged with an older value.
pub(super) fn serves_stale(kind: ErrorKind) -> bool {
    kind.is_retryable() || kind == ErrorKind::Unauthenticated
}
