//! One fetch: the task that calls the backend for a secret, or for a page of them, until there is an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::answer::announce;
use super::breaker::Admission;
use super::core::Core;
use super::slot::{Key, Sequence};
use super::stats::add;
use super::time::Tick;
use crate::{Error, ErrorKind, Fetched, ReadRequest, Result, Secret, trace};

/// One secret that a fetch has to answer for.
pub(super) struct Claim {
    pub(super) key: Key,
    pub(super) sequence: Sequence,
    pub(super) domain: Arc<str>,
    /// What is held already; the backend may say that it is still the one.
    pub(super) known: Option<Secret>,
    pub(super) outcome: watch::Sender<Option<Result<Secret>>>,
    pub(super) effort: Effort,
    pub(super) on_loss: OnLoss,
    /// Why it was not answered yet.
    pub(super) last: Option<Error>,
}

/// How hard a fetch tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// As often as the policy allows.
    Full,
    /// One call past breaker and pause: somebody asked for it by hand.
    Once,
    /// One call that finds out for its whole fault domain whether the store is back.
    Probe,
}

/// What becomes of a value that is still fresh when the store says that it is gone or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnLoss {
    /// It goes at once: somebody asked for the state of things now.
    Drop,
    /// It is served to the end of its time to live: nobody asked yet.
    Condemn,
}

/// Who waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    Background,
    Reader,
}

/// The task's state. When it is dropped before its end (a panic, an abort, the end of its runtime), whoever waits for
/// the claims that are left is told.
struct Fetch {
    core: Arc<Core>,
    id: u64,
    domain: Arc<str>,
    claims: Vec<Claim>,
    effort: Effort,
    /// The breaker waits to hear how its probe ended.
    probing: bool,
    priority: Priority,
    deadline: Tick,
    /// Set before this takes itself out of the list of fetches: it may end before it is put in.
    ended: Arc<AtomicBool>,
}

impl Core {
    /// How long to wait after this many calls: at random up to a bound that doubles, so that whoever failed together does
    /// not come back together; never shorter than the store asks for.
    pub(super) fn retry_wait(&self, calls: u32, asked: Option<Duration>) -> Duration {
        let config = &self.config;
        let most = config
            .retry_delay
            .saturating_mul(1 << (calls - 1).min(20))
            .min(config.max_retry_delay);
        most.mul_f64(self.lock().rng.f64()).max(asked.unwrap_or_default())
    }

    /// Starts fetching, in pages where the backend takes several at once.
    pub(super) fn launch(self: &Arc<Self>, runtime: &Handle, claims: Vec<Claim>, priority: Priority) {
        let page = self.backend.capabilities().batch.map_or(1, usize::from);
        let mut pages: Vec<Vec<Claim>> = Vec::new();
        for claim in claims {
            let fits = |other: &&mut Vec<Claim>| {
                other.len() < page
                    && claim.effort == Effort::Full
                    && other[0].effort == Effort::Full
                    && other[0].domain == claim.domain
            };
            // The last page of a domain is the only one with room.
            match pages.iter_mut().rev().find(fits) {
                Some(page) => page.push(claim),
                None => pages.push(vec![claim]),
            }
        }
        let deadline = self.time.now().after(self.config.deadline);
        for claims in pages {
            let id = self.lock().next_fetch();
            let (domain, effort) = (claims[0].domain.clone(), claims[0].effort);
            let probing = effort == Effort::Probe;
            let ended = Arc::new(AtomicBool::new(false));
            let seen = ended.clone();
            let core = self.clone();
            let fetch = Fetch {
                core,
                id,
                domain,
                claims,
                effort,
                probing,
                priority,
                deadline,
                ended,
            };
            let task = runtime.spawn(fetch.run()).abort_handle();
            let mut state = self.lock();
            if state.closed {
                drop(state);
                task.abort();
            } else if !seen.load(Ordering::Acquire) {
                state.fetches.insert(id, task);
            }
        }
    }
}

impl Fetch {
    async fn run(mut self) {
        let mut calls = 0;
        while !self.claims.is_empty() {
            if let Err(error) = self.admit(calls).await {
                return self.give_up(&error);
            }
            let Some(answers) = self.call(calls).await else {
                let error = self.error(
                    ErrorKind::Timeout,
                    &format!(
                        "none of the {} places for calls became free within {:?}; the store is too slow for this load",
                        self.core.config.concurrency, self.core.config.deadline,
                    ),
                );
                return self.give_up(&error);
            };
            calls += 1;
            let may_repeat = self.effort == Effort::Full && calls < self.core.config.attempts;
            self.digest(answers, may_repeat);
            if !self.claims.is_empty() && !self.pause(calls).await {
                return self.give_up_as_they_are();
            }
        }
    }

    /// Waits while the store has asked for a pause; refuses while the breaker is open. Whoever started this fetch was
    /// admitted already, so the first time only a pause matters.
    async fn admit(&mut self, calls: u32) -> Result<()> {
        while self.effort == Effort::Full {
            let now = self.core.time.now();
            let admission = {
                let mut state = self.core.lock();
                state
                    .breaker(&self.domain)
                    .0
                    .admit(now, &self.core.config.breaker)
            };
            match admission {
                Admission::Call => break,
                Admission::Probe => (self.effort, self.probing) = (Effort::Probe, true),
                Admission::Paused(left) if now.after(left) < self.deadline => {
                    self.core.time.sleep(left).await;
                }
                Admission::Paused(left) => {
                    let error = self.error(
                        ErrorKind::RateLimited,
                        "the store asked for a pause that is longer than the deadline",
                    );
                    return Err(error.with_retry_after(left));
                }
                Admission::Rejected(_) if calls == 0 => break,
                Admission::Rejected(left) => {
                    add(&self.core.counters.breaker_rejected, 1);
                    return Err(self.error(ErrorKind::Unavailable, OPEN).with_retry_after(left));
                }
            }
        }
        Ok(())
    }

    /// One call of the backend, with a place and within its time. `None` when there was no place before the deadline.
    async fn call(&self, calls: u32) -> Option<Vec<Result<Fetched>>> {
        let core = &*self.core;
        let places = async {
            // The semaphores are never closed.
            let background = match self.priority {
                Priority::Background => core.background_places.acquire().await.ok(),
                Priority::Reader => None,
            };
            (background, core.places.acquire().await.ok())
        };
        let _places = core
            .time
            .within(self.deadline.since(core.time.now()), places)
            .await?;
        let now = core.time.now();
        add(&core.counters.fetches, 1);
        add(&core.counters.retries, usize::from(calls > 0));
        core.counters.in_flight.fetch_add(1, Ordering::Relaxed);
        let _in_flight = InFlight(core);

        let requests: Vec<_> = self
            .claims
            .iter()
            .map(|claim| {
                ReadRequest::new(&claim.key.name)
                    .with_version(claim.key.version.as_ref())
                    .with_known(claim.known.as_ref().map(Secret::metadata))
            })
            .collect();
        let call = async {
            match requests.as_slice() {
                [one] => vec![core.backend.get(*one).await],
                several => core.backend.get_many(several).await,
            }
        };
        let limit = core.config.timeout.min(self.deadline.since(now));
        let answers = core
            .time
            .within(limit, trace::call(&core.backend_name, &requests, calls + 1, call))
            .await;
        Some(match answers {
            Some(answers) if answers.len() == self.claims.len() => answers,
            Some(answers) => {
                let message = format!(
                    "the backend gave {} answers to {} requests",
                    answers.len(),
                    self.claims.len()
                );
                vec![Err(self.error(ErrorKind::Internal, &message)); self.claims.len()]
            }
            None => {
                add(&core.counters.timeouts, 1);
                let message = format!(
                    "the store did not answer within {limit:?}; check it and the network, or raise `timeout`"
                );
                vec![Err(self.error(ErrorKind::Timeout, &message)); self.claims.len()]
            }
        })
    }

    /// Takes the answers in: publishes what is final, and leaves the claims that are to be asked for again.
    fn digest(&mut self, answers: Vec<Result<Fetched>>, may_repeat: bool) {
        let core = self.core.clone();
        let now = core.time.now();
        let mut settled = Vec::new();
        let mut state = core.lock();
        core.learn(
            &mut state,
            &self.domain,
            std::mem::take(&mut self.probing),
            &answers,
            now,
        );
        for (mut claim, answer) in std::mem::take(&mut self.claims).into_iter().zip(answers) {
            let answer = match answer {
                Ok(Fetched::Value(secret)) => Ok(secret),
                Ok(Fetched::Unchanged { lease, expires }) => match &claim.known {
                    Some(known) => {
                        let metadata = known.metadata().clone().renewed(lease, expires);
                        Ok(known.clone().with_metadata(metadata))
                    }
                    None => Err(Error::new(
                        ErrorKind::Internal,
                        "the backend found unchanged what nobody knew",
                    )),
                },
                Err(error) => Err(error),
            };
            match answer {
                Err(error) if may_repeat && error.kind().is_retryable() => {
                    claim.last = Some(error);
                    self.claims.push(claim);
                }
                answer => {
                    let outcome = core.settle(&mut state, &claim, answer, now);
                    settled.push((claim.outcome, outcome));
                }
            }
        }
        let room = state
            .slots
            .make_room(&core.hot, core.config.capacity, core.config.capacity_bytes);
        drop(state);
        add(&core.counters.evictions, room);
        announce(settled);
    }

    /// Waits before the next call. `false` when that would be past the deadline.
    async fn pause(&self, calls: u32) -> bool {
        let core = &self.core;
        let asked = self
            .claims
            .iter()
            .filter_map(|claim| claim.last.as_ref()?.retry_after())
            .max();
        let wait = core.retry_wait(calls, asked);
        if core.time.now().after(wait) >= self.deadline {
            return false;
        }
        core.time.sleep(wait).await;
        true
    }

    /// Every claim that is left ends with its own last error, or with this one.
    fn give_up(&mut self, error: &Error) {
        for claim in &mut self.claims {
            let error = match (claim.last.take(), error.retry_after()) {
                (Some(last), Some(after)) if last.retry_after().is_none() => last.with_retry_after(after),
                (Some(last), _) => last,
                (None, _) => error.clone(),
            };
            claim.last = Some(error);
        }
        self.give_up_as_they_are();
    }

    fn give_up_as_they_are(&mut self) {
        let core = self.core.clone();
        let now = core.time.now();
        let mut settled = Vec::new();
        let mut state = core.lock();
        for claim in std::mem::take(&mut self.claims) {
            let error = claim
                .last
                .clone()
                .unwrap_or_else(|| self.error(ErrorKind::Timeout, "no answer by the deadline"));
            let outcome = core.settle(&mut state, &claim, Err(error), now);
            settled.push((claim.outcome, outcome));
        }
        drop(state);
        announce(settled);
    }

    fn error(&self, kind: ErrorKind, message: &str) -> Error {
        Error::new(kind, message.to_owned()).with_backend(&self.core.backend_name)
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        let core = self.core.clone();
        let now = core.time.now();
        let claims = std::mem::take(&mut self.claims);
        let mut settled = Vec::new();
        let mut state = core.lock();
        state.fetches.remove(&self.id);
        if self.probing {
            state.breaker(&self.domain).0.probe_lost(now);
        }
        for claim in claims {
            if std::thread::panicking() {
                let error = self.error(
                    ErrorKind::Internal,
                    "the backend panicked; this is a defect of the backend",
                );
                let outcome = core.settle(&mut state, &claim, Err(error), now);
                settled.push((claim.outcome, outcome));
            } else {
                // The sender drops without an outcome: a waiter that is still there starts anew.
                core.release(&mut state, &claim);
            }
        }
        drop(state);
        announce(settled);
    }
}

pub(super) const OPEN: &str =
    "the circuit breaker is open after repeated failures; the store is tried again by itself";

/// Counts a call as under way until it drops.
pub(super) struct InFlight<'a>(pub(super) &'a Core);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.counters.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A pause that the store asks for without saying how long.
pub(super) const UNSAID_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use crate::{Capabilities, Fetched, ReadRequest, Result, Secret, SecretBackend, SecretManager};

    #[derive(Debug)]
    struct Fixed;

    #[async_trait::async_trait]
    impl SecretBackend for Fixed {
        fn name(&self) -> &'static str {
            "fixed"
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities::new()
        }

        async fn get(&self, _: ReadRequest<'_>) -> Result<Fetched> {
            Ok(Secret::copy_from(b"v").into())
        }

        async fn check(&self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn c4_a_fetch_that_has_ended_leaves_nothing_behind() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let secrets = SecretManager::builder(Fixed).build().unwrap();
        runtime.block_on(async {
            for name in ["a", "b", "c"] {
                secrets.get(name).await.unwrap();
            }
            while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        });
        assert!(secrets.core.lock().fetches.is_empty());
    }
}
