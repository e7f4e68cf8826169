use std::time::Duration;

use secrets_core::{ReadRequest, SecretName, Version};

/// One call of a [`ScriptedBackend`](crate::ScriptedBackend).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// Which method.
    pub kind: CallKind,
    /// What was asked for; one for a `Get`, none for those that ask for no secret.
    pub requests: Vec<Asked>,
    /// When it began, on the backend's clock.
    pub at: Duration,
    /// How it ended.
    pub state: CallState,
    pub(crate) number: u64,
}

/// A method of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the method of its name")]
pub enum CallKind {
    Check,
    Get,
    GetMany,
    List,
    Shutdown,
}

/// How a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallState {
    /// It returned, an error or not.
    Answered,
    /// The caller dropped its future first.
    Dropped,
    /// It panicked.
    Panicked,
    /// It has not ended.
    Running,
}

/// One read of a [`Call`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// Which secret.
    pub name: SecretName,
    /// Which version; `None` for the latest.
    pub version: Option<Version>,
    /// Whether the caller said what it holds already.
    pub known: bool,
}

impl From<&ReadRequest<'_>> for Asked {
    fn from(request: &ReadRequest<'_>) -> Self {
        Self {
            name: request.name.clone(),
            version: request.version.cloned(),
            known: request.known.is_some(),
        }
    }
}
