//! Keeps one login alive.
//!
//! One task does all logging in and renewing, so that there is never more than one attempt in flight. It starts with the
//! first reader that needs a token, and ends with the session. Readers look at what it publishes; one that finds no
//! usable token says so and waits.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustify::endpoint::Endpoint;
use secrets_core::{Clock, Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use vaultrs::api::token::requests::{LookupTokenSelfRequest, RenewTokenSelfRequest, RevokeTokenSelfRequest};

use crate::answer::Answer;
use crate::auth::{Auth, grant};
use crate::backoff::Backoff;
use crate::error::{self, Asked};
use crate::token::Token;
use crate::transport::Transport;

/// After a token was replaced because it was refused, a refusal does not replace it again for this long.
const COOL_DOWN: Duration = Duration::from_secs(30);

const LOOKUP: Asked<'static> = Asked::System {
    path: "auth/token/lookup-self",
};

/// A login that is kept alive for as long as this exists.
pub(crate) struct Session {
    shared: Arc<Shared>,
    task: Mutex<Task>,
}

struct Shared {
    transport: Transport,
    auth: Auth,
    limits: Limits,
    rng: Mutex<fastrand::Rng>,
    wanted: Notify,
    closing: AtomicBool,
    rejection: Mutex<Rejection>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// One request.
    pub(crate) request: Duration,
    /// A whole login.
    pub(crate) login: Duration,
}

struct Task {
    published: watch::Receiver<State>,
    running: Option<AbortHandle>,
}

/// The generations that Vault no longer accepts: all up to this one.
#[derive(Default)]
struct Rejection {
    generation: u64,
    at: Option<Duration>,
}

/// What the task publishes.
#[derive(Clone, Default)]
struct State {
    token: Option<Arc<Token>>,
    /// Replaced and still alive: leases hang on them, and they are ours to revoke.
    retired: Vec<Arc<Token>>,
    generation: u64,
    backoff: Backoff,
    failure: Option<Failure>,
}

#[derive(Clone)]
struct Failure {
    error: Error,
    until: Duration,
}

/// What has become of the token that a lease hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Vault has ended it, and with it every lease.
    Dead,
    /// It ends after `left`; `replaced` says that new leases hang on another one.
    Ends { left: Duration, replaced: bool },
    /// It is kept alive, or never ends.
    Kept,
}

impl Session {
    pub(crate) fn new(transport: Transport, auth: Auth, limits: Limits, rng: fastrand::Rng) -> Self {
        Self {
            shared: Arc::new(Shared {
                transport,
                auth,
                limits,
                rng: Mutex::new(rng),
                wanted: Notify::new(),
                closing: AtomicBool::new(false),
                rejection: Mutex::default(),
            }),
            task: Mutex::new(Task {
                published: watch::channel(State::default()).1,
                running: None,
            }),
        }
    }

    /// Sends a request with a token, and once more with a new token when Vault no longer accepts the first.
    ///
    /// The answer comes with the token that asked: what it brings hangs on that.
    pub(crate) async fn send<E: Endpoint>(&self, endpoint: &E) -> Result<(Answer, Arc<Token>)> {
        let token = self.token().await?;
        let answer = self.send_with(endpoint, &token).await?;
        if !self.refuses_token(&answer, &token).await? {
            return Ok((answer, token));
        }
        if !self.shared.reject(&token) {
            return Ok((answer, token));
        }
        let token = self.token().await?;
        let answer = self.send_with(endpoint, &token).await?;
        Ok((answer, token))
    }

    /// The error that an answer stands for, knowing what asked.
    ///
    /// A 403 for a token that may not look itself up says nothing about whether Vault knows it.
    pub(crate) fn explain(asked: Asked<'_>, answer: &Answer, token: &Token) -> Error {
        let refused = error::refused(asked, answer);
        if refused.kind() != ErrorKind::PermissionDenied || !token.unverified {
            return refused;
        }
        let message = format!(
            "{}; or the token is dead, which cannot be told as it may not look itself up: let its policy `read` \
             auth/token/lookup-self",
            refused.message()
        );
        Error::new(ErrorKind::Unauthenticated, message).with_cause(answer.cause())
    }

    /// Whether Vault can be reached and accepts the login.
    pub(crate) async fn check(&self) -> Result<()> {
        let (answer, token) = self.send(&LookupTokenSelfRequest {}).await?;
        if answer.status == 403 && !answer.hints().bad_token && self.shared.auth.obtains() {
            // Vault gave us this token; that its policy lacks `default` is no reason to fail.
            return Ok(());
        }
        answer
            .success(LOOKUP)
            .map_err(|_| Self::explain(LOOKUP, &answer, &token))
    }

    /// What has become of the token of this generation.
    pub(crate) fn fate(&self, generation: u64) -> Fate {
        let now = self.shared.now();
        if generation <= self.shared.rejection().generation {
            return Fate::Dead;
        }
        let task = self.task();
        let state = task.published.borrow();
        if let Some(token) = state
            .token
            .as_deref()
            .filter(|token| token.generation == generation)
        {
            return match token.left(now) {
                Some(Duration::ZERO) => Fate::Dead,
                Some(left) if !token.extendable => Fate::Ends {
                    left,
                    replaced: false,
                },
                _ => Fate::Kept,
            };
        }
        let retired = state.retired.iter().find(|token| token.generation == generation);
        match retired.map(|token| token.left(now)) {
            Some(None) => Fate::Kept,
            None | Some(Some(Duration::ZERO)) => Fate::Dead,
            Some(Some(left)) => Fate::Ends { left, replaced: true },
        }
    }

    /// Whether the tokens are ours to revoke, and with them everything that hangs on them.
    pub(crate) fn obtains(&self) -> bool {
        self.shared.auth.obtains()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        self.shared.transport.clock()
    }

    /// A number between 0 and 1.
    pub(crate) fn jitter(&self) -> f64 {
        self.shared.jitter()
    }

    /// Ends the session: no login begins any more, one in flight is waited for.
    pub(crate) async fn close(&self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        self.shared.wanted.notify_one();
        let mut published = self.task().published.clone();
        while published.changed().await.is_ok() {}
    }

    /// Revokes every token that was obtained here. After [`close`](Session::close).
    pub(crate) async fn revoke(&self) -> Result<()> {
        if !self.obtains() {
            return Ok(());
        }
        let now = self.shared.now();
        let rejected = self.shared.rejection().generation;
        let state = self.task().published.borrow().clone();
        let asked = Asked::Lease {
            path: "auth/token/revoke-self",
        };
        let mut outcome = Ok(());
        for token in state.token.iter().chain(&state.retired) {
            if token.left(now) == Some(Duration::ZERO) {
                continue;
            }
            let revoked = match self.send_with(&RevokeTokenSelfRequest {}, token).await {
                // A token that Vault does not know needs no revoking.
                Ok(answer)
                    if answer.status == 403 && (answer.hints().bad_token || token.generation <= rejected) =>
                {
                    Ok(())
                }
                Ok(answer) => answer.success(asked),
                Err(error) => Err(error),
            };
            outcome = outcome.and(revoked);
        }
        outcome
    }

    /// Sends a request with this token, and no other.
    pub(crate) async fn send_with<E: Endpoint>(&self, endpoint: &E, token: &Token) -> Result<Answer> {
        let limit = self.shared.limits.request;
        self.shared
            .transport
            .send(endpoint, Some(&token.header), limit)
            .await
    }

    /// A usable token: at once when there is one, otherwise after a login.
    async fn token(&self) -> Result<Arc<Token>> {
        loop {
            let mut published = self.published()?;
            {
                let state = published.borrow_and_update();
                let now = self.shared.now();
                if let Some(token) = self.shared.live(&state, now) {
                    return Ok(token.clone());
                }
                if let Some(failure) = state.failure.as_ref().filter(|failure| failure.until > now) {
                    let wait = failure.until.saturating_sub(now);
                    return Err(failure.error.clone().with_retry_after(wait));
                }
            }
            self.shared.wanted.notify_one();
            // An error means that the runtime of the task has ended: the next round starts another.
            let _ = published.changed().await;
        }
    }

    /// What the task publishes; starts it where it does not run.
    fn published(&self) -> Result<watch::Receiver<State>> {
        if self.shared.closing.load(Ordering::Relaxed) {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the backend has been shut down",
            ));
        }
        let mut task = self.task();
        if task.published.has_changed().is_err() {
            let runtime = Handle::try_current().map_err(|_| {
                Error::new(
                    ErrorKind::Unsupported,
                    "Vault can only be asked from within a tokio runtime",
                )
            })?;
            let (publish, published) = watch::channel(task.published.borrow().clone());
            let keeper = keep(self.shared.clone(), publish);
            task.running = Some(runtime.spawn(keeper).abort_handle());
            task.published = published;
        }
        Ok(task.published.clone())
    }

    /// Whether the answer is about the token rather than about the path.
    async fn refuses_token(&self, answer: &Answer, token: &Token) -> Result<bool> {
        match answer.status {
            401 => return Ok(true),
            403 => {}
            _ => return Ok(false),
        }
        if answer.hints().bad_token || !token.usable(self.shared.now()) {
            return Ok(true);
        }
        // Someone else has found out already.
        if token.generation <= self.shared.rejection().generation || token.unverified {
            return Ok(true);
        }
        let lookup = self.send_with(&LookupTokenSelfRequest {}, token).await?;
        match lookup.status {
            // A dead token, or a live one that may not look itself up: a new login settles it, once per cool-down.
            401 | 403 => Ok(true),
            // Nothing is known about the token: the 403 stands, and so does the reason why it may be wrong.
            _ => lookup.success(LOOKUP).map(|()| false),
        }
    }

    fn task(&self) -> MutexGuard<'_, Task> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(running) = &self.task().running {
            running.abort();
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("auth", &self.shared.auth)
            .field("transport", &self.shared.transport)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn now(&self) -> Duration {
        self.transport.clock().boot()
    }

    fn jitter(&self) -> f64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }

    fn rejection(&self) -> MutexGuard<'_, Rejection> {
        self.rejection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live<'a>(&self, state: &'a State, now: Duration) -> Option<&'a Arc<Token>> {
        let rejected = self.rejection().generation;
        state
            .token
            .as_ref()
            .filter(|token| token.generation > rejected && token.usable(now))
    }

    /// Notes that Vault no longer accepts a token. `false` within the cool-down of the last one: it stays.
    fn reject(&self, token: &Token) -> bool {
        let now = self.now();
        let mut rejection = self.rejection();
        if token.generation <= rejection.generation {
            return true;
        }
        if rejection.at.is_some_and(|at| now < at + COOL_DOWN) {
            return false;
        }
        *rejection = Rejection {
            generation: token.generation,
            at: Some(now),
        };
        true
    }

    /// What is to be done next.
    fn step(&self, state: &State, wanted: &mut bool) -> Step {
        let now = self.now();
        let step = match self.live(state, now) {
            Some(token) => {
                *wanted = false;
                match token.due {
                    None => return Step::Wait(None),
                    Some(due) if due > now => return Step::Wait(Some(due.saturating_sub(now))),
                    Some(_) if token.extendable => Step::Renew(token.clone()),
                    Some(_) => Step::Login,
                }
            }
            // A token that nobody asks for is not obtained: wrong credentials are not tried for ever.
            None if *wanted => Step::Login,
            None => return Step::Wait(None),
        };
        match &state.failure {
            Some(failure) if failure.until > now => Step::Wait(Some(failure.until.saturating_sub(now))),
            _ => step,
        }
    }

    async fn login(&self, state: &mut State) {
        let began = self.now();
        let limit = self.limits.login;
        let login = async {
            tokio::select! {
                biased;
                grant = self.auth.login(&self.transport, self.limits.request) => grant,
                () = self.transport.clock().sleep(limit) => Err(error::timeout(limit)),
            }
        };
        match login.await {
            Ok(grant) => {
                state.generation += 1;
                let token = Token::new(grant, state.generation, self.jitter(), self.auth.fixed());
                self.replace(state, token);
                state.backoff.succeeded();
                state.failure = None;
            }
            Err(error) => self.failed(state, began, error),
        }
    }

    fn replace(&self, state: &mut State, mut token: Token) {
        let now = self.now();
        if let Some(old) = state.token.take() {
            if old.header == token.header {
                if !token.extendable {
                    token = token.look_again(now);
                }
            } else {
                state.retired.push(old);
            }
        }
        state
            .retired
            .retain(|old| old.left(now).is_some_and(|left| left > Duration::ZERO));
        state.token = Some(Arc::new(token));
    }

    async fn renew(&self, state: &mut State, token: &Token) {
        let began = self.now();
        let asked = Asked::System {
            path: "auth/token/renew-self",
        };
        let endpoint = RenewTokenSelfRequest { increment: None };
        let answer = self
            .transport
            .send(&endpoint, Some(&token.header), self.limits.request)
            .await;
        let renewed = match answer {
            Ok(answer) if matches!(answer.status, 400 | 401 | 403) => {
                // It is capped, or not renewable after all, or dead: in each case another one is needed.
                state.token = Some(Arc::new(token.not_extendable(began, self.auth.fixed())));
                return;
            }
            Ok(answer) => grant(asked, &answer, began),
            Err(error) => Err(error),
        };
        match renewed {
            Ok(grant) => {
                state.token = Some(Arc::new(token.renewed(&grant, self.jitter(), self.auth.fixed())));
                state.backoff.succeeded();
                state.failure = None;
            }
            Err(error) => self.failed(state, began, error),
        }
    }

    fn failed(&self, state: &mut State, began: Duration, error: Error) {
        let asked = error.retry_after();
        let until = state.backoff.failed(began, self.now(), self.jitter(), asked);
        state.failure = Some(Failure { error, until });
    }
}

enum Step {
    Login,
    Renew(Arc<Token>),
    /// Until somebody wants a token, or this long.
    Wait(Option<Duration>),
}

/// Obtains a token when one is wanted, and keeps it alive.
async fn keep(shared: Arc<Shared>, publish: watch::Sender<State>) {
    let mut state = publish.borrow().clone();
    let mut wanted = false;
    while !shared.closing.load(Ordering::Relaxed) {
        match shared.step(&state, &mut wanted) {
            Step::Login => {
                shared.login(&mut state).await;
                wanted = false;
                publish.send_replace(state.clone());
            }
            Step::Renew(token) => {
                shared.renew(&mut state, &token).await;
                publish.send_replace(state.clone());
            }
            Step::Wait(None) => {
                shared.wanted.notified().await;
                wanted = true;
            }
            Step::Wait(Some(duration)) => {
                tokio::select! {
                    () = shared.transport.clock().sleep(duration) => {}
                    () = shared.wanted.notified() => wanted = true,
                }
            }
        }
    }
}
