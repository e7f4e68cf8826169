//! Remembers that a batch call is not allowed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrets_core::Clock;

/// How long a batch call that was refused is not tried again: policies change.
const BOUND: Duration = Duration::from_mins(5);

/// Whether a batch call was refused lately.
#[derive(Debug)]
pub(crate) struct Refusal {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    until: Option<Duration>,
    said: bool,
}

impl Refusal {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// Whether the call is not to be tried now.
    pub(crate) fn stands(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.until.is_some_and(|until| self.clock.boot() < until)
    }

    /// Remembers a refusal, and says so the first time.
    pub(crate) fn remember(&self, action: &'static str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.until = Some(self.clock.boot() + BOUND);
        if !std::mem::replace(&mut state.said, true) {
            tracing::warn!(
                action,
                "the caller may not read in batches: every secret costs a call of its own; allow the action"
            );
        }
    }
}
