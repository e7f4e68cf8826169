use std::time::{Duration, SystemTime};

use secrets_core::{Error, ErrorKind, Fetched, Lease, Result, Secret};

use crate::Gate;

/// What a [`ScriptedBackend`](crate::ScriptedBackend) says to one read.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) gate: Option<Gate>,
    pub(crate) delay: Duration,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Error(Error),
    Fetched(Fetched),
    Hang,
    Panic(&'static str),
}

impl Answer {
    /// A value without metadata.
    pub fn value(value: impl AsRef<[u8]>) -> Self {
        Secret::copy_from(value.as_ref()).into()
    }

    /// The value known to the caller is still the one.
    pub fn unchanged(lease: Option<Lease>, expires: Option<SystemTime>) -> Self {
        Outcome::Fetched(Fetched::unchanged(lease, expires)).into()
    }

    /// An error of this kind; the backend and the secret are filled in.
    pub fn kind(kind: ErrorKind) -> Self {
        Error::new(kind, "the script says so").into()
    }

    /// Never answers.
    pub fn hang() -> Self {
        Outcome::Hang.into()
    }

    /// Panics with this message.
    pub fn panic(message: &'static str) -> Self {
        Outcome::Panic(message).into()
    }

    /// The same answer, after the gate has let the call through.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// The same answer, after this much time on the backend's clock, counted from the gate if there is one.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self {
            gate: None,
            delay: Duration::ZERO,
            outcome,
        }
    }
}

impl From<Error> for Answer {
    fn from(error: Error) -> Self {
        Outcome::Error(error).into()
    }
}

impl From<Secret> for Answer {
    fn from(secret: Secret) -> Self {
        Outcome::Fetched(secret.into()).into()
    }
}

impl Outcome {
    pub(crate) fn deliver(self) -> Result<Fetched> {
        match self {
            Self::Error(error) => Err(error),
            Self::Fetched(fetched) => Ok(fetched),
            Self::Hang => unreachable!("whoever waits for this waits for ever"),
            Self::Panic(message) => panic!("{message}"),
        }
    }
}
