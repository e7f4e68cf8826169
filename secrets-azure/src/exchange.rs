//! What travels beside the SDK.
//!
//! The SDK writes the requests, and checks and answers the vault's challenge. What comes back does not pass through it:
//! its buffers are not wiped, its errors hold whole answers, and its models leave copies. The transport puts each answer
//! here, and hands the SDK a status and no body.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use azure_core::http::{ClientMethodOptions, Context};
use secrets_core::{Error, Result};

use crate::answer::Answer;
use crate::token::Token;

/// One call, from the request to the last answer to it. Clones are the same call.
#[derive(Clone)]
pub(crate) struct Exchange {
    purpose: Purpose,
    state: Arc<Mutex<State>>,
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A token.
    Login,
    /// A page of the vault's list.
    Page,
    /// Something of the vault's.
    Vault,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    /// The SDK has taken no token for this call since the vault last refused one.
    unasked: bool,
    outcome: Option<Result<Answer>>,
}

impl Exchange {
    pub(crate) fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            state: Arc::default(),
        }
    }

    /// The call that a request of the SDK's belongs to.
    pub(crate) fn of<'a>(context: &'a Context<'_>) -> Option<&'a Self> {
        context.value::<Self>()
    }

    /// Options that make a request belong to this call.
    pub(crate) fn options(&self) -> ClientMethodOptions<'static> {
        ClientMethodOptions {
            context: self.context(),
        }
    }

    pub(crate) fn context(&self) -> Context<'static> {
        Context::new().with_value(self.clone())
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The token that requests of this call carry from now on.
    pub(crate) fn set_token(&self, token: Arc<Token>) {
        let mut state = self.state();
        state.token = Some(token);
        state.unasked = false;
    }

    /// The token to send; `None` where there is none, or only one that was refused. Then the SDK has found one that it had
    /// taken for another call, and has not asked for this one.
    pub(crate) fn token(&self) -> Option<Arc<Token>> {
        let state = self.state();
        state.token.clone().filter(|_| !state.unasked)
    }

    /// The token that the vault has just refused, if it has.
    pub(crate) fn refused_token(&self) -> Option<Arc<Token>> {
        let state = self.state();
        match &state.outcome {
            Some(Ok(answer)) if answer.status == 401 => state.token.clone(),
            _ => None,
        }
    }

    pub(crate) fn set(&self, outcome: Result<Answer>) {
        let mut state = self.state();
        state.unasked |= matches!(&outcome, Ok(answer) if answer.status == 401);
        state.outcome = Some(outcome);
    }

    pub(crate) fn take(&self) -> Option<Result<Answer>> {
        self.state().outcome.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

/// An error for the SDK, which nobody reads: the call has the real one.
pub(crate) fn elsewhere(error: &Error) -> azure_core::Error {
    let message = format!("{}: see the error of the backend", error.kind());
    azure_core::Error::with_message(azure_core::error::ErrorKind::Other, message)
}
