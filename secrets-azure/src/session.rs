//! Keeps a token at hand.
//!
//! A login is a task of its own, so that a reader that gives up does not end it, and so that there is never more than one.
//! A token is replaced in the background once two thirds of its life are over, at the next read.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use secrets_core::{Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::auth::{Auth, Way};
use crate::backoff::Backoff;
use crate::error;
use crate::exchange::{Exchange, elsewhere};
use crate::token::Token;
use crate::transport::Transport;

/// After a token was replaced because it was refused, a refusal does not replace it again for this long.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// Logins, one at a time, and the token of the last.
pub(crate) struct Session(Arc<Shared>);

struct Shared {
    auth: Auth,
    transport: Transport,
    limit: Duration,
    state: Mutex<State>,
}

struct State {
    rng: fastrand::Rng,
    token: Option<Arc<Token>>,
    generation: u64,
    /// The generations that the vault no longer accepts: all up to this one.
    rejected: u64,
    rejected_at: Option<Duration>,
    backoff: Backoff,
    failure: Option<Failure>,
    login: Option<Login>,
    closed: bool,
}

struct Failure {
    error: Error,
    until: Duration,
}

struct Login {
    /// Closed once the login has ended, or its runtime has.
    ended: watch::Receiver<()>,
    task: AbortHandle,
}

impl Session {
    pub(crate) fn new(transport: Transport, auth: Auth, limit: Duration, rng: fastrand::Rng) -> Self {
        Self(Arc::new(Shared {
            auth,
            transport,
            limit,
            state: Mutex::new(State {
                rng,
                token: None,
                generation: 0,
                rejected: 0,
                rejected_at: None,
                backoff: Backoff::default(),
                failure: None,
                login: None,
                closed: false,
            }),
        }))
    }

    /// The SDK's view of this.
    pub(crate) fn credential(&self) -> Arc<dyn TokenCredential> {
        Arc::new(Gate(self.0.clone()))
    }

    /// Ends the session: no login begins any more, one in flight is dropped, and so is the token.
    pub(crate) fn close(&self) {
        let mut state = self.0.state();
        state.closed = true;
        state.token = None;
        if let Some(login) = state.login.take() {
            login.task.abort();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("auth", &self.0.auth)
            .field("transport", &self.0.transport)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// A usable token: at once when there is one, otherwise after a login.
    async fn token(self: &Arc<Self>, scope: &str) -> Result<Arc<Token>> {
        loop {
            let mut ended = {
                let mut state = self.state();
                if state.closed {
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        "the backend has been shut down",
                    ));
                }
                let now = self.now();
                let waits = state.failure.as_ref().is_some_and(|failure| failure.until > now);
                if let Some(token) = state.live(scope, now) {
                    if token.due(now) && !waits && state.in_flight().is_none() {
                        // A reader outside a runtime cannot replace it; the token still lives.
                        let _ = self.begin(&mut state, scope);
                    }
                    return Ok(token);
                }
                if let Some(ended) = state.in_flight() {
                    ended
                } else if let Some(failure) = state.failure.as_ref().filter(|_| waits) {
                    let wait = failure.until.saturating_sub(now);
                    return Err(failure.error.clone().with_retry_after(wait));
                } else {
                    self.begin(&mut state, scope)?
                }
            };
            // An error says that it has ended, in whatever way.
            while ended.changed().await.is_ok() {}
        }
    }

    /// Notes that the vault no longer accepts a token. Within the cool-down of the last one, it stays.
    fn reject(&self, token: &Token) {
        let now = self.now();
        let mut state = self.state();
        if token.generation > state.rejected && state.rejected_at.is_none_or(|at| now >= at + COOL_DOWN) {
            state.rejected = token.generation;
            state.rejected_at = Some(now);
        }
    }

    fn begin(self: &Arc<Self>, state: &mut State, scope: &str) -> Result<watch::Receiver<()>> {
        let runtime = Handle::try_current().map_err(|_| {
            let message = "Azure can only be asked from within a tokio runtime";
            Error::new(ErrorKind::Unsupported, message)
        })?;
        let (ending, ended) = watch::channel(());
        let login = login(self.clone(), scope.into(), ending);
        state.login = Some(Login {
            ended: ended.clone(),
            task: runtime.spawn(login).abort_handle(),
        });
        Ok(ended)
    }

    /// Notes that a login has failed, and until when the next one waits.
    fn failed(&self, began: Duration, error: Error) {
        let now = self.now();
        let mut state = self.state();
        state.login = None;
        let jitter = state.rng.f64();
        let until = state.backoff.failed(began, now, jitter, error.retry_after());
        state.failure = Some(Failure { error, until });
    }

    fn now(&self) -> Duration {
        self.transport.clock().boot()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn live(&self, scope: &str, now: Duration) -> Option<Arc<Token>> {
        let token = self.token.as_ref()?;
        let live = token.generation > self.rejected && &*token.scope == scope && token.usable(now);
        live.then(|| token.clone())
    }

    /// The login that is under way.
    fn in_flight(&self) -> Option<watch::Receiver<()>> {
        let ended = &self.login.as_ref()?.ended;
        ended.has_changed().is_ok().then(|| ended.clone())
    }
}

async fn login(shared: Arc<Shared>, scope: Box<str>, ending: watch::Sender<()>) {
    let began = shared.now();
    let limit = shared.limit;
    let way = Way {
        transport: &shared.transport,
        scope: &scope,
    };
    let mut unfinished = Unfinished {
        shared: &shared,
        began,
        done: false,
    };
    let granted = tokio::select! {
        biased;
        granted = shared.auth.login(way) => granted,
        () = shared.transport.clock().sleep(limit) => Err(error::login_timeout(shared.auth.name(), limit)),
    };
    unfinished.done = true;
    // One that cannot be used would be asked for again at once, and again.
    let granted = granted.and_then(|grant| {
        let usable = grant.is_usable(shared.now());
        usable
            .then_some(grant)
            .ok_or_else(|| error::ended(shared.auth.name()))
    });
    match granted {
        Ok(grant) => {
            let mut state = shared.state();
            state.login = None;
            state.generation += 1;
            let jitter = state.rng.f64();
            let token = Token::new(grant, state.generation, &scope, jitter);
            state.token = Some(Arc::new(token)).filter(|_| !state.closed);
            state.backoff.succeeded();
            state.failure = None;
            tracing::debug!(backend = crate::backend::NAME, using = %shared.auth.used(), "logged in");
        }
        Err(error) => {
            tracing::warn!(backend = crate::backend::NAME, using = %shared.auth.used(), kind = %error.kind(), "no login");
            shared.failed(began, error);
        }
    }
    drop(ending);
}

/// A login that has not come to its end. One that panics, as somebody else's credential may, is one that failed: otherwise
/// whoever waits for it would begin it again at once, and again.
struct Unfinished<'a> {
    shared: &'a Shared,
    began: Duration,
    done: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.done && std::thread::panicking() {
            let message = format!("{} panicked while logging in", self.shared.auth.name());
            self.shared
                .failed(self.began, Error::new(ErrorKind::Internal, message));
        }
    }
}

/// What the SDK takes for a credential. It gets a placeholder: the transport writes the token into the request.
struct Gate(Arc<Shared>);

#[async_trait]
impl TokenCredential for Gate {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let options = options.unwrap_or_default();
        let exchange = Exchange::of(&options.method_options.context);
        let (Some(exchange), [scope]) = (exchange, scopes) else {
            let message = "a request that belongs to no call";
            return Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Credential,
                message,
            ));
        };
        if let Some(refused) = exchange.refused_token() {
            self.0.reject(&refused);
        }
        match self.0.token(scope).await {
            Ok(token) => {
                exchange.set_token(token);
                // One that has ended long ago is asked for again with each request.
                Ok(AccessToken::new("kept elsewhere", OffsetDateTime::UNIX_EPOCH))
            }
            Err(error) => {
                let told = elsewhere(&error);
                exchange.set(Err(error));
                Err(told)
            }
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("auth", &self.0.auth)
            .finish_non_exhaustive()
    }
}
