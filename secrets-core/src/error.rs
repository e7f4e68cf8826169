use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::SecretName;

/// What every fallible call of this crate and of its backends returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, safe to log: it names the backend and the secret, and never holds a value, a token or a payload.
///
/// Cloning is cheap: callers that wait for the same call share one error.
///
/// Match on [`kind`](Error::kind); the text is for people and may change.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    backend: Option<Arc<str>>,
    secret: Option<SecretName>,
    missing: Vec<SecretName>,
    retry_after: Option<Duration>,
    cause: Option<Cause>,
}

impl Error {
    /// An error of `kind` whose `message` says what happened and what to do next.
    ///
    /// # For implementors
    ///
    /// The message must not contain anything that came out of the store: no value, no response body, no text of a
    /// parser that quotes its input. Put the vendor's code, status and request id into a [`Cause`].
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            backend: None,
            secret: None,
            missing: Vec::new(),
            retry_after: None,
            cause: None,
        }))
    }

    /// What went wrong, to be matched on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened and what to do next, without the backend and the secret.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The [name](crate::SecretBackend::name) of the backend that failed, if one was asked.
    pub fn backend(&self) -> Option<&str> {
        self.0.backend.as_deref()
    }

    /// The name of the secret that was asked for, if there was one.
    pub fn secret(&self) -> Option<&SecretName> {
        self.0.secret.as_ref()
    }

    /// Every name that does not exist, where one call asked for several; empty otherwise.
    pub fn missing(&self) -> &[SecretName] {
        &self.0.missing
    }

    /// How long the store, or an open circuit breaker, asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What the vendor said: code, status and request id. The same as [`source`](std::error::Error::source), typed.
    pub fn cause(&self) -> Option<&Cause> {
        self.0.cause.as_ref()
    }

    /// Names the backend, unless one is named already: the innermost one knows best.
    #[must_use]
    pub fn with_backend(mut self, backend: &str) -> Self {
        if self.0.backend.is_none() {
            Arc::make_mut(&mut self.0).backend = Some(backend.into());
        }
        self
    }

    /// Names the secret, replacing any other: composites translate names, and the caller knows only its own.
    #[must_use]
    pub fn with_secret(mut self, secret: &SecretName) -> Self {
        if self.0.secret.as_ref() != Some(secret) {
            Arc::make_mut(&mut self.0).secret = Some(secret.clone());
        }
        self
    }

    /// Lists the names that do not exist.
    #[must_use]
    pub fn with_missing(mut self, missing: impl IntoIterator<Item = SecretName>) -> Self {
        Arc::make_mut(&mut self.0).missing = missing.into_iter().collect();
        self
    }

    /// Says how long to wait before asking again.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        Arc::make_mut(&mut self.0).retry_after = Some(retry_after);
        self
    }

    /// Attaches what the vendor said.
    #[must_use]
    pub fn with_cause(mut self, cause: Cause) -> Self {
        Arc::make_mut(&mut self.0).cause = Some(cause);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        write!(f, "{}", inner.kind)?;
        match (&inner.secret, &inner.backend) {
            (Some(secret), Some(backend)) => write!(f, ": secret `{secret}` in backend `{backend}`")?,
            (Some(secret), None) => write!(f, ": secret `{secret}`")?,
            (None, Some(backend)) => write!(f, ": backend `{backend}`")?,
            (None, None) => {}
        }
        write!(f, ": {}", inner.message)?;
        if let Some(after) = inner.retry_after {
            write!(f, " (retry after {} s)", after.as_secs_f64().ceil())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut out = f.debug_struct("Error");
        out.field("kind", &inner.kind).field("message", &inner.message);
        if let Some(backend) = &inner.backend {
            out.field("backend", backend);
        }
        if let Some(secret) = &inner.secret {
            out.field("secret", secret);
        }
        if !inner.missing.is_empty() {
            out.field("missing", &inner.missing);
        }
        if let Some(after) = &inner.retry_after {
            out.field("retry_after", after);
        }
        if let Some(cause) = &inner.cause {
            out.field("cause", cause);
        }
        out.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause as _)
    }
}

/// What went wrong. What the manager does about each kind is the table in
/// [`SecretManager`](crate::SecretManager#what-a-failure-does).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The secret exists and may not be used: disabled, not yet valid, or scheduled for deletion.
    Disabled,
    /// The secret exists and has no such field.
    FieldNotFound,
    /// A defect: of this library, of a backend, or a panic in one.
    Internal,
    /// An option, URI or environment is wrong; nothing was contacted.
    InvalidConfig,
    /// The store answered with something that cannot be used as asked: malformed, too large, not text, not JSON.
    InvalidData,
    /// The name, version or reference is malformed, or this backend cannot express it; nothing was contacted.
    InvalidName,
    /// The secret does not exist, or its latest version is deleted.
    NotFound,
    /// The store knows the caller and refuses.
    PermissionDenied,
    /// The store asks the caller to slow down.
    RateLimited,
    /// No answer within the time allowed.
    Timeout,
    /// The store does not accept the caller's credentials, also after logging in again.
    Unauthenticated,
    /// The store cannot be reached or cannot answer now.
    Unavailable,
    /// This backend, build or situation has no such feature.
    Unsupported,
    /// The secret exists and this version of it does not, or is deleted or destroyed.
    VersionNotFound,
}

impl ErrorKind {
    /// Whether asking again, unchanged, may succeed: `RateLimited`, `Timeout` and `Unavailable`.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Timeout | Self::Unavailable)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "disabled",
            Self::FieldNotFound => "field not found",
            Self::Internal => "internal error",
            Self::InvalidConfig => "invalid configuration",
            Self::InvalidData => "invalid data",
            Self::InvalidName => "invalid name",
            Self::NotFound => "not found",
            Self::PermissionDenied => "permission denied",
            Self::RateLimited => "rate limited",
            Self::Timeout => "timed out",
            Self::Unauthenticated => "not authenticated",
            Self::Unavailable => "unavailable",
            Self::Unsupported => "unsupported",
            Self::VersionNotFound => "version not found",
        })
    }
}

/// What a vendor said about a failure, and nothing more: its code, its status, its request id.
///
/// Vendor errors can hold whole responses, so none is ever kept. Each text here is cut to 128 characters, and every
/// character outside `A-Z a-z 0-9 . _ : / -` becomes `_`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    code: Option<Box<str>>,
    status: Option<u16>,
    request_id: Option<Box<str>>,
}

impl Cause {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The vendor's own name for the failure, such as `AccessDeniedException` or `ENOENT`.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The HTTP status.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The id by which the vendor finds the call in its logs.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Sets the vendor's code.
    #[must_use]
    pub fn with_code(mut self, code: &str) -> Self {
        self.code = Some(scrub(code));
        self
    }

    /// Sets the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets the request id.
    #[must_use]
    pub fn with_request_id(mut self, request_id: &str) -> Self {
        self.request_id = Some(scrub(request_id));
        self
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(code) = &self.code {
            write!(f, "code {code}")?;
            separator = ", ";
        }
        if let Some(status) = self.status {
            write!(f, "{separator}status {status}")?;
            separator = ", ";
        }
        if let Some(id) = &self.request_id {
            write!(f, "{separator}request id {id}")?;
            separator = ", ";
        }
        if separator.is_empty() {
            f.write_str("no details given")?;
        }
        Ok(())
    }
}

impl std::error::Error for Cause {}

/// A kind of input or output failure becomes its stable name, such as `PermissionDenied`; the text of an
/// [`std::io::Error`] may be anything, so it is not kept.
impl From<&std::io::Error> for Cause {
    fn from(error: &std::io::Error) -> Self {
        Self::new().with_code(&format!("{:?}", error.kind()))
    }
}

fn scrub(text: &str) -> Box<str> {
    text.chars()
        .take(128)
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._:/-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect::<String>()
        .into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e1_display_names_kind_secret_backend_and_what_to_do() {
        let error = Error::new(ErrorKind::NotFound, "the variable SMTP_PASSWORD is not set")
            .with_backend("env")
            .with_secret(&SecretName::new("smtp/password").unwrap());
        assert_eq!(
            error.to_string(),
            "not found: secret `smtp/password` in backend `env`: the variable SMTP_PASSWORD is not set"
        );
    }

    #[test]
    fn e1_source_is_the_scrubbed_cause() {
        let cause = Cause::new()
            .with_code("Throttling\n\"hunter2\"")
            .with_status(400)
            .with_request_id("a-1");
        let error = Error::new(ErrorKind::RateLimited, "slow down").with_cause(cause);
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "code Throttling__hunter2_, status 400, request id a-1");
    }

    #[test]
    fn the_innermost_backend_is_kept() {
        let error = Error::new(ErrorKind::Timeout, "no answer")
            .with_backend("vault")
            .with_backend("fallback");
        assert_eq!(error.backend(), Some("vault"));
    }

    #[test]
    fn an_error_is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
