use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use secrets_core::{
    BackendEvent, BackendEvents, Capabilities, Clock, Error, ErrorKind, FakeClock, Fetched, ReadRequest,
    Result, SecretBackend, SecretName, WatchedNames,
};
use tokio::sync::watch;

use crate::answer::Outcome;
use crate::events::Events;
use crate::{Answer, Asked, Call, CallKind, CallState};

/// A backend that answers as a test tells it to, and remembers every call: for tests of whatever stands above a backend.
///
/// A name without a script is `NotFound`. Nothing here takes time, except through the clock of
/// [`with_clock`](ScriptedBackend::with_clock). Clones are the same backend. Wherever a name is taken, a malformed one
/// panics: it is a mistake in the test.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use secrets_core::{ErrorKind, ReadRequest, SecretBackend, SecretName};
/// use secrets_testkit::{Answer, ScriptedBackend};
///
/// let backend = ScriptedBackend::new();
/// backend.on("smtp/password", [Answer::kind(ErrorKind::Unavailable), Answer::value("hunter2")]);
/// let name = SecretName::new("smtp/password").unwrap();
/// assert!(backend.get(ReadRequest::new(&name)).await.is_err());
/// assert!(backend.get(ReadRequest::new(&name)).await.is_ok());
/// assert_eq!(backend.asked("smtp/password"), 2);
/// # });
/// ```
#[derive(Clone)]
pub struct ScriptedBackend {
    name: Arc<str>,
    capabilities: Capabilities,
    domains: Vec<(SecretName, Arc<str>)>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    events: Events,
    /// Counts what happens, so that waiting for it needs no polling.
    changes: watch::Sender<u64>,
}

type Otherwise = Arc<dyn Fn(&Asked) -> Answer + Send + Sync>;

#[derive(Default)]
struct State {
    scripts: BTreeMap<SecretName, VecDeque<Answer>>,
    otherwise: Option<Otherwise>,
    check: VecDeque<Answer>,
    shutdown: VecDeque<Answer>,
    list: Option<Result<Vec<SecretName>>>,
    batch_length: Option<usize>,
    calls: Vec<Call>,
    next_number: u64,
    in_flight: usize,
    max_in_flight: usize,
    watched: Option<WatchedNames>,
}

impl ScriptedBackend {
    /// A backend called `scripted` without a script; it has versions, list and watch, and no batches.
    pub fn new() -> Self {
        Self {
            name: "scripted".into(),
            capabilities: Capabilities::new()
                .with_versions(true)
                .with_list(true)
                .with_watch(true),
            domains: Vec::new(),
            clock: Arc::new(FakeClock::new()),
            shared: Arc::default(),
        }
    }

    /// Sets the backend's name.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Sets what the backend says it can do. It answers versions, and batches of any size, in any case.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// How many requests one batch takes.
    #[must_use]
    pub fn with_batch(mut self, batch: impl Into<Option<NonZeroUsize>>) -> Self {
        self.capabilities = self.capabilities.with_batch(batch.into());
        self
    }

    /// Puts `prefix` and the names below it into a fault domain of their own. The prefix added first wins.
    #[must_use]
    pub fn with_fault_domain(mut self, prefix: SecretName, domain: &str) -> Self {
        self.domains.push((prefix, domain.into()));
        self
    }

    /// The clock that [`Answer::after`] sleeps by and [`Call::at`] is read from; otherwise one that stands still.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Answers reads of `name` with these in turn; the last one answers for ever. Replaces an earlier script.
    ///
    /// # Panics
    ///
    /// When the name is malformed.
    pub fn on<A: Into<Answer>>(&self, name: impl AsRef<str>, answers: impl IntoIterator<Item = A>) {
        let name = SecretName::new(name).expect("a test names its secrets well");
        let script = answers.into_iter().map(Into::into).collect();
        self.lock().scripts.insert(name, script);
    }

    /// Answers reads of every name without a script.
    pub fn otherwise(&self, answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) {
        self.lock().otherwise = Some(Arc::new(answer));
    }

    /// Answers `list`: with those of the names that lie below its prefix, or with the error.
    pub fn on_list(&self, answer: Result<Vec<SecretName>>) {
        self.lock().list = Some(answer);
    }

    /// Answers `check` with these in turn, the last one for ever; a value stands for success, as does no answer.
    pub fn on_check<A: Into<Answer>>(&self, answers: impl IntoIterator<Item = A>) {
        self.lock().check = answers.into_iter().map(Into::into).collect();
    }

    /// Answers `shutdown` with these in turn, the last one for ever; a value stands for success, as does no answer.
    pub fn on_shutdown<A: Into<Answer>>(&self, answers: impl IntoIterator<Item = A>) {
        self.lock().shutdown = answers.into_iter().map(Into::into).collect();
    }

    /// From now on batches are answered with this many results, however many were asked for; `None` ends it.
    pub fn answer_batches_with(&self, length: impl Into<Option<usize>>) {
        self.lock().batch_length = length.into();
    }

    /// Sends a watch event to every watcher.
    pub fn emit(&self, event: &BackendEvent) {
        self.shared.events.send(event);
    }

    /// Ends every watch stream, as a lost connection does.
    pub fn end_watches(&self) {
        self.shared.events.end();
    }

    /// How many watches are alive.
    pub fn watchers(&self) -> usize {
        self.shared.events.subscribers()
    }

    /// The set of names that came with the last watch.
    pub fn watched(&self) -> Option<WatchedNames> {
        self.lock().watched.clone()
    }

    /// Every call so far, in the order in which they began.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// How many calls have begun; a batch is one.
    pub fn call_count(&self) -> usize {
        self.lock().calls.len()
    }

    /// How many times this name was asked for, alone or in a batch.
    pub fn asked(&self, name: impl AsRef<str>) -> usize {
        let state = self.lock();
        let requests = state.calls.iter().flat_map(|call| &call.requests);
        requests
            .filter(|asked| asked.name.as_str() == name.as_ref())
            .count()
    }

    /// How many calls have begun and not ended.
    pub fn in_flight(&self) -> usize {
        self.lock().in_flight
    }

    /// The most calls that were ever in flight at once.
    pub fn max_in_flight(&self) -> usize {
        self.lock().max_in_flight
    }

    /// Forgets the calls that have ended and the maximum; scripts stay.
    pub fn forget_calls(&self) {
        let mut state = self.lock();
        state.max_in_flight = state.in_flight;
        state.calls.retain(|call| call.state == CallState::Running);
    }

    /// Resolves as soon as at least `count` calls have begun.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn wait_for_calls(&self, count: usize) {
        self.wait_until(|| self.call_count() >= count).await;
    }

    /// Resolves as soon as no call is in flight.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn wait_for_idle(&self) {
        self.wait_until(|| self.in_flight() == 0).await;
    }

    /// Resolves as soon as at least `count` watches have begun and are alive.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn wait_for_watchers(&self, count: usize) {
        self.wait_until(|| self.watchers() >= count).await;
    }

    async fn wait_until(&self, reached: impl Fn() -> bool) {
        let mut changes = self.shared.changes.subscribe();
        while !reached() {
            // The sender lives as long as `self`, so this cannot fail.
            let _ = changes.changed().await;
        }
    }

    fn begin(&self, kind: CallKind, requests: &[ReadRequest<'_>]) -> Flight<'_> {
        let mut state = self.lock();
        let number = state.next_number;
        state.next_number += 1;
        state.calls.push(Call {
            kind,
            requests: requests.iter().map(Asked::from).collect(),
            at: self.clock.monotonic(),
            state: CallState::Running,
            number,
        });
        state.in_flight += 1;
        state.max_in_flight = state.max_in_flight.max(state.in_flight);
        drop(state);
        self.shared.changes.send_modify(|changes| *changes += 1);
        Flight {
            backend: self,
            number,
            answered: false,
        }
    }

    fn answer(&self, request: &ReadRequest<'_>) -> Answer {
        let mut state = self.lock();
        if let Some(answer) = state.scripts.get_mut(request.name).and_then(take) {
            return answer;
        }
        let otherwise = state.otherwise.clone();
        // The closure may ask this backend for its calls.
        drop(state);
        otherwise.map_or_else(
            || Answer::kind(ErrorKind::NotFound),
            |answer| answer(&request.into()),
        )
    }

    /// Waits for what the answers wait for: each gate in turn, then the longest delay.
    async fn wait_for(&self, answers: &[Answer]) {
        for gate in answers.iter().filter_map(|answer| answer.gate.as_ref()) {
            gate.pass().await;
        }
        let delay = answers
            .iter()
            .map(|answer| answer.delay)
            .max()
            .unwrap_or_default();
        if !delay.is_zero() {
            self.clock.sleep(delay).await;
        }
        if answers
            .iter()
            .any(|answer| matches!(answer.outcome, Outcome::Hang))
        {
            future::pending::<()>().await;
        }
    }

    fn blame(&self, error: Error, request: &ReadRequest<'_>) -> Error {
        error.with_backend(&self.name).with_secret(request.name)
    }

    async fn simple(&self, kind: CallKind, answer: Option<Answer>) -> Result<()> {
        let mut flight = self.begin(kind, &[]);
        if let Some(answer) = answer {
            self.wait_for(std::slice::from_ref(&answer)).await;
            let result = answer.outcome.deliver();
            flight.answered = true;
            result.map_err(|error| error.with_backend(&self.name))?;
        }
        flight.answered = true;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ScriptedBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ScriptedBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedBackend")
            .field("name", &self.name)
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretBackend for ScriptedBackend {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let mut flight = self.begin(CallKind::Get, &[request]);
        let answer = self.answer(&request);
        self.wait_for(std::slice::from_ref(&answer)).await;
        let result = answer.outcome.deliver();
        flight.answered = true;
        result.map_err(|error| self.blame(error, &request))
    }

    async fn get_many(&self, requests: &[ReadRequest<'_>]) -> Vec<Result<Fetched>> {
        let mut flight = self.begin(CallKind::GetMany, requests);
        let answers: Vec<_> = requests.iter().map(|request| self.answer(request)).collect();
        self.wait_for(&answers).await;
        let mut results: Vec<_> = answers
            .into_iter()
            .zip(requests)
            .map(|(answer, request)| {
                let result = answer.outcome.deliver();
                result.map_err(|error| self.blame(error, request))
            })
            .collect();
        if let Some(length) = self.lock().batch_length {
            let filler = || Err(Error::new(ErrorKind::NotFound, "nobody asked for this one"));
            results.resize_with(length, filler);
        }
        flight.answered = true;
        results
    }

    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        let mut flight = self.begin(CallKind::List, &[]);
        flight.answered = true;
        let answer = self.lock().list.clone().unwrap_or_else(|| Ok(Vec::new()));
        let mut names = answer.map_err(|error| error.with_backend(&self.name))?;
        names.retain(|name| prefix.is_none_or(|prefix| name.starts_with(prefix)));
        Ok(names)
    }

    fn watch(&self, names: WatchedNames) -> Option<BackendEvents> {
        if !self.capabilities.watch {
            return None;
        }
        self.lock().watched = Some(names);
        let events = self.shared.events.subscribe();
        self.shared.changes.send_modify(|changes| *changes += 1);
        Some(events)
    }

    fn fault_domain(&self, name: &SecretName) -> &str {
        let own = self.domains.iter().find(|(prefix, _)| name.starts_with(prefix));
        own.map_or(&self.name, |(_, domain)| domain)
    }

    async fn check(&self) -> Result<()> {
        let answer = take(&mut self.lock().check);
        self.simple(CallKind::Check, answer).await
    }

    async fn shutdown(&self) -> Result<()> {
        let answer = take(&mut self.lock().shutdown);
        self.simple(CallKind::Shutdown, answer).await
    }
}

/// The next answer; the last one stays.
fn take(script: &mut VecDeque<Answer>) -> Option<Answer> {
    if script.len() > 1 {
        script.pop_front()
    } else {
        script.front().cloned()
    }
}

/// A call in flight: notes how it ended, also when it is dropped.
struct Flight<'a> {
    backend: &'a ScriptedBackend,
    number: u64,
    answered: bool,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let ended = if self.answered {
            CallState::Answered
        } else if std::thread::panicking() {
            CallState::Panicked
        } else {
            CallState::Dropped
        };
        let mut state = self.backend.lock();
        state.in_flight -= 1;
        if let Some(call) = state.calls.iter_mut().find(|call| call.number == self.number) {
            call.state = ended;
        }
        drop(state);
        self.backend.shared.changes.send_modify(|changes| *changes += 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Gate;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    fn name(text: &str) -> SecretName {
        SecretName::new(text).unwrap()
    }

    async fn get(backend: &ScriptedBackend, text: &str) -> Result<Fetched> {
        backend.get(ReadRequest::new(&name(text))).await
    }

    #[test]
    fn answers_come_in_turn_and_the_last_one_stays() {
        block_on(async {
            let backend = ScriptedBackend::new();
            backend.on("a", [Answer::kind(ErrorKind::Timeout), Answer::value("x")]);
            backend.otherwise(|asked| Answer::value(asked.name.as_str()));
            let error = get(&backend, "a").await.unwrap_err();
            assert_eq!(
                (error.kind(), error.secret()),
                (ErrorKind::Timeout, Some(&name("a")))
            );
            for _ in 0..2 {
                let Ok(Fetched::Value(secret)) = get(&backend, "a").await else {
                    panic!("a value comes second")
                };
                assert_eq!(secret.expose_secret(), b"x");
            }
            assert!(get(&backend, "b").await.is_ok());
            assert_eq!((backend.asked("a"), backend.call_count()), (3, 4));
        });
    }

    #[test]
    fn calls_in_flight_are_counted_and_their_ends_told_apart() {
        block_on(async {
            let backend = ScriptedBackend::new();
            let gate = Gate::new();
            backend.on("a", [Answer::value("x").behind(&gate)]);
            backend.on("b", [Answer::hang()]);
            backend.on("c", [Answer::panic("on purpose")]);
            let spawn = |text: &'static str| {
                let backend = backend.clone();
                tokio::spawn(async move { get(&backend, text).await.is_ok() })
            };
            let (a, b, c) = (spawn("a"), spawn("b"), spawn("c"));
            backend.wait_for_calls(3).await;
            assert!(c.await.unwrap_err().is_panic());
            assert_eq!((backend.in_flight(), backend.max_in_flight()), (2, 3));
            b.abort();
            gate.open();
            assert!(a.await.unwrap());
            backend.wait_for_idle().await;
            let states: Vec<_> = backend.calls().iter().map(|call| call.state).collect();
            assert_eq!(
                states,
                [CallState::Answered, CallState::Dropped, CallState::Panicked]
            );
        });
    }

    #[test]
    fn e6_a_batch_can_be_answered_with_the_wrong_length() {
        block_on(async {
            let backend = ScriptedBackend::new();
            backend.otherwise(|_| Answer::value("x"));
            let (a, b) = (name("a"), name("b"));
            let requests = [ReadRequest::new(&a), ReadRequest::new(&b)];
            assert_eq!(backend.get_many(&requests).await.len(), 2);
            backend.answer_batches_with(1);
            assert_eq!(backend.get_many(&requests).await.len(), 1);
            backend.answer_batches_with(3);
            assert_eq!(backend.get_many(&requests).await.len(), 3);
            assert_eq!((backend.call_count(), backend.asked("a")), (3, 3));
        });
    }

    #[test]
    fn delays_pass_on_the_clock_and_a_batch_waits_for_its_slowest() {
        block_on(async {
            let clock = FakeClock::new();
            let backend = ScriptedBackend::new().with_clock(clock.clone());
            backend.otherwise(|_| Answer::value("x").after(Duration::from_secs(2)));
            let (a, b) = (name("a"), name("b"));
            let before = clock.monotonic();
            let results = clock
                .run(backend.get_many(&[ReadRequest::new(&a), ReadRequest::new(&b)]))
                .await;
            assert_eq!(results.len(), 2);
            assert_eq!(clock.monotonic(), before + Duration::from_secs(2));
            assert_eq!(backend.calls()[0].at, before);
        });
    }
}
