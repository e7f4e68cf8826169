//! One answer of Vault: its status, its headers that matter, its body, which is wiped when dropped.

use std::fmt;
use std::time::Duration;

use secrets_core::{Cause, Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::error::{Asked, Hints, refused};
use crate::json;

/// What came back, whatever the status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The body's common frame, of an answer that means success.
    ///
    /// # Errors
    ///
    /// The error the status stands for; `InvalidData` when the body is no such frame.
    pub(crate) fn frame(&self, asked: Asked<'_>) -> Result<Frame<'_>> {
        self.success(asked)?;
        self.parse()
    }

    /// That the status means success; the body may be empty.
    pub(crate) fn success(&self, asked: Asked<'_>) -> Result<()> {
        match self.status {
            200..=299 => Ok(()),
            _ => Err(refused(asked, self)),
        }
    }

    /// The body's common frame, whatever the status.
    pub(crate) fn parse(&self) -> Result<Frame<'_>> {
        json::parse(&self.body).map_err(|error| error.with_cause(Cause::new().with_status(self.status)))
    }

    /// What the texts of the body say beyond the status.
    pub(crate) fn hints(&self) -> Hints {
        let mut hints = Hints::default();
        if let Ok(problem) = json::parse::<Problem<'_>>(&self.body) {
            let texts = [problem.errors, problem.warnings].into_iter().flatten().flatten();
            texts.for_each(|text| hints.read(text.get()));
        }
        hints
    }

    /// Status and request id.
    pub(crate) fn cause(&self) -> Cause {
        let cause = Cause::new().with_status(self.status);
        match json::parse::<Problem<'_>>(&self.body) {
            Ok(Problem {
                request_id: Some(id), ..
            }) if !id.is_empty() => cause.with_request_id(id),
            _ => cause,
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What nearly every answer of Vault is wrapped in. Everything confidential stays in the body it borrows from.
#[derive(Deserialize)]
pub(crate) struct Frame<'a> {
    #[serde(borrow)]
    pub(crate) data: Option<&'a RawValue>,
    #[serde(borrow)]
    auth: Option<&'a RawValue>,
    #[serde(borrow)]
    lease_id: Option<&'a RawValue>,
    lease_duration: Option<u64>,
    renewable: Option<bool>,
}

impl<'a> Frame<'a> {
    /// The login in the answer, if it is one.
    pub(crate) fn login(&self) -> Result<Option<Login<'a>>> {
        self.auth
            .map(|auth| json::parse(auth.get().as_bytes()))
            .transpose()
    }

    /// The lease, if there is one. KV v1 sends a duration without an id, which is none.
    pub(crate) fn lease(&self) -> Result<Option<LeaseAnswer>> {
        let Some(id) = self.lease_id else {
            return Ok(None);
        };
        let id = json::text(id)?;
        if id.is_empty() {
            return Ok(None);
        }
        let id = std::str::from_utf8(&id).map_err(|_| malformed("the lease"))?;
        Ok(Some(LeaseAnswer {
            id: id.into(),
            duration: life(self.lease_duration.unwrap_or(0)),
            renewable: self.renewable.unwrap_or(false),
        }))
    }

    /// `data`, as this type.
    pub(crate) fn data<T: Deserialize<'a>>(&self) -> Result<T> {
        match self.data {
            Some(data) => json::parse(data.get().as_bytes()),
            None => Err(malformed("the answer, which has no `data`,")),
        }
    }
}

/// How long a token or a lease lives that is said to live for so many seconds. A life without a sensible end would reach
/// beyond the last instant that a clock can tell; a hundred years come to the same.
pub(crate) fn life(seconds: u64) -> Duration {
    const LONGEST: u64 = 100 * 365 * 86_400;
    Duration::from_secs(seconds.min(LONGEST))
}

/// The `lease_*` of an answer.
pub(crate) struct LeaseAnswer {
    pub(crate) id: Box<str>,
    pub(crate) duration: Duration,
    pub(crate) renewable: bool,
}

/// The `auth` of an answer.
#[derive(Deserialize)]
pub(crate) struct Login<'a> {
    #[serde(borrow)]
    pub(crate) client_token: &'a RawValue,
    pub(crate) lease_duration: u64,
    pub(crate) renewable: bool,
    pub(crate) token_type: Option<&'a str>,
}

#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(borrow)]
    errors: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    warnings: Option<Vec<&'a RawValue>>,
    request_id: Option<&'a str>,
}

/// An answer that is not what Vault's documentation says.
pub(crate) fn malformed(what: &str) -> Error {
    let message =
        format!("{what} is not as Vault documents it; is this Vault, and nothing between that rewrites it?");
    Error::new(secrets_core::ErrorKind::InvalidData, message)
}
