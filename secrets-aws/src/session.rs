//! Keeps credentials at hand.
//!
//! A login is a task of its own, so that a reader who is dropped does not end it, and there is never more than one. It begins
//! when a reader finds no usable credentials, or finds that they are due: then it runs beside the readers, who go on with the
//! old ones. Nobody asking, nothing is done.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrets_core::{Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::backoff::Backoff;
use crate::error;
use crate::life::Login;
use crate::source::{Limits, Source};
use crate::within::within;

/// After credentials were replaced because they were refused, a refusal does not replace them again for this long.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// Credentials that are replaced in time, for as long as this exists.
pub(crate) struct Session(Arc<Shared>);

struct Shared {
    source: Source,
    limits: Limits,
    state: Mutex<State>,
}

struct State {
    login: Option<Arc<Login>>,
    generation: u64,
    /// The logins that AWS no longer accepts: all up to this one.
    rejected: u64,
    /// When credentials were last replaced because AWS refused them.
    rejected_at: Option<Duration>,
    backoff: Backoff,
    failure: Option<Failure>,
    flight: Option<Flight>,
    closed: bool,
    rng: fastrand::Rng,
}

struct Failure {
    error: Error,
    until: Duration,
}

/// A login on its way. Its sender is gone once it is over, whichever way it ended.
struct Flight {
    over: watch::Receiver<()>,
    task: AbortHandle,
}

impl Session {
    pub(crate) fn new(source: Source, limits: Limits, rng: fastrand::Rng) -> Self {
        Self(Arc::new(Shared {
            source,
            limits,
            state: Mutex::new(State {
                login: None,
                generation: 0,
                rejected: 0,
                rejected_at: None,
                backoff: Backoff::default(),
                failure: None,
                flight: None,
                closed: false,
                rng,
            }),
        }))
    }

    /// Usable credentials: at once when there are any, otherwise after a login.
    ///
    /// # Errors
    ///
    /// What the login failed with, for as long as the next one is not due; `Unavailable` after the end.
    pub(crate) async fn login(&self) -> Result<Arc<Login>> {
        loop {
            let mut over = {
                let mut state = self.0.state();
                if state.closed {
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        "the backend has been shut down",
                    ));
                }
                let now = self.0.now();
                let waiting = state.failure.as_ref().filter(|failure| failure.until > now);
                let waiting =
                    waiting.map(|failure| (failure.error.clone(), failure.until.checked_sub(now).unwrap()));
                if let Some(login) = state.login.clone().filter(|login| login.usable(now)) {
                    let due = login.due.is_some_and(|due| due <= now);
                    if due && waiting.is_none() && self.0.source.renewable() {
                        // Without a runtime the reader could not have come so far.
                        let _ = self.start(&mut state);
                    }
                    return Ok(login);
                }
                if let Some((error, wait)) = waiting {
                    return Err(error.with_retry_after(wait));
                }
                self.start(&mut state)?
            };
            // An error says that it is over, or that its runtime has ended: the next round looks which.
            let _ = over.changed().await;
        }
    }

    /// Notes that AWS refuses the credentials of a login. `true` when others are worth asking for.
    pub(crate) fn reject(&self, login: &Login) -> bool {
        let mut state = self.0.state();
        let replaced = state
            .login
            .as_ref()
            .is_some_and(|current| current.generation > login.generation);
        if replaced || login.generation <= state.rejected {
            // Somebody else has found out already.
            return true;
        }
        let now = self.0.now();
        let cooling = state.rejected_at.is_some_and(|at| now < at + COOL_DOWN);
        if cooling || !self.0.source.renewable() {
            return false;
        }
        state.rejected = login.generation;
        state.rejected_at = Some(now);
        state.login = None;
        true
    }

    /// Ends the session, and a login on its way.
    pub(crate) fn close(&self) {
        let mut state = self.0.state();
        state.closed = true;
        state.login = None;
        if let Some(flight) = state.flight.take() {
            flight.task.abort();
        }
    }

    /// The login on its way; begins one where there is none.
    fn start(&self, state: &mut State) -> Result<watch::Receiver<()>> {
        if let Some(flight) = state
            .flight
            .as_ref()
            .filter(|flight| flight.over.has_changed().is_ok())
        {
            return Ok(flight.over.clone());
        }
        let runtime = Handle::try_current().map_err(|_| {
            Error::new(
                ErrorKind::Unsupported,
                "AWS can only be asked from within a tokio runtime",
            )
        })?;
        let (sender, over) = watch::channel(());
        let shared = self.0.clone();
        let task = runtime.spawn(async move {
            shared.log_in().await;
            drop(sender);
        });
        state.flight = Some(Flight {
            over: over.clone(),
            task: task.abort_handle(),
        });
        Ok(over)
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
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl Shared {
    async fn log_in(&self) {
        let began = self.now();
        let limit = self.limits.login;
        // What the SDK makes of it is large.
        let obtained = Box::pin(self.source.obtain());
        let obtained = within(&*self.source.clock, limit, obtained).await;
        let obtained =
            obtained.unwrap_or_else(|| Err(error::timeout("the source of AWS credentials", Some(limit))));
        let mut state = self.state();
        let now = self.now();
        let jitter = state.rng.f64();
        let obtained = obtained.and_then(|(config, credentials)| {
            let wall = self.source.clock.wall();
            let new = Login::new(config, credentials, state.generation + 1, now, wall, jitter);
            // Asking again at once, for as long as somebody reads, is what these must not lead to.
            if new.usable(now) {
                Ok(new)
            } else {
                Err(error::dead())
            }
        });
        match obtained {
            Ok(new) => {
                state.generation += 1;
                let same = state.login.as_ref().is_some_and(|old| !old.outlived_by(&new));
                state.login = Some(Arc::new(if same { new.look_again(now) } else { new }));
                state.failure = None;
                state.backoff.succeeded();
            }
            Err(error) => {
                let until = state.backoff.failed(began, now, jitter, error.retry_after());
                state.failure = Some(Failure { error, until });
            }
        }
    }

    fn now(&self) -> Duration {
        self.source.clock.boot()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
