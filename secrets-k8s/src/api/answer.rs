//! What came back. Everything confidential is in one buffer, which is wiped when dropped.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use secrets_core::{Cause, Error, ErrorKind, Result};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::error::{self, Asked};

/// What came back, whatever the status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The body of an answer that means success, as this type.
    ///
    /// # Errors
    ///
    /// The error the status stands for; `InvalidData` when the body is something else.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self, asked: Asked<'_>) -> Result<T> {
        match self.status {
            200..=299 => parse(&self.body).map_err(|error| error.with_cause(self.cause())),
            _ => Err(error::refused(asked, self)),
        }
    }

    /// What the API server says of a failure; `None` when it is not the API server that speaks.
    pub(super) fn problem(&self) -> Option<Problem> {
        let status: Status<'_> = parse(&self.body).ok()?;
        if status.kind != "Status" {
            return None;
        }
        let details = status.details.unwrap_or_default();
        Some(Problem {
            reason: status.reason.as_deref().and_then(error::known_reason),
            retry_after: details.retry_after_seconds.and_then(error::sane_wait),
        })
    }

    /// Status and reason.
    pub(super) fn cause(&self) -> Cause {
        let cause = Cause::new().with_status(self.status);
        match self.problem().and_then(|problem| problem.reason) {
            Some(reason) => cause.with_code(reason),
            None => cause,
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

/// What is used of a `Status`: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Problem {
    /// One of those that Kubernetes documents: a text of anybody's is not passed on.
    pub(super) reason: Option<&'static str>,
    pub(super) retry_after: Option<Duration>,
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(rename = "retryAfterSeconds")]
    retry_after_seconds: Option<u64>,
}

/// Bytes as JSON of this type.
///
/// # Errors
///
/// `InvalidData` with the position; the parser's text may quote its input.
pub(super) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "JSON of another shape than Kubernetes documents",
            serde_json::error::Category::Eof => "truncated JSON",
            serde_json::error::Category::Io | serde_json::error::Category::Syntax => "malformed JSON",
        };
        let message = format!(
            "the answer cannot be read: {what} at line {}, column {}",
            error.line(),
            error.column()
        );
        Error::new(ErrorKind::InvalidData, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Answer {
        Answer {
            status: 429,
            retry_after: None,
            body: Zeroizing::new(body.as_bytes().to_vec()),
        }
    }

    #[test]
    fn e1_a_status_has_its_reason_and_its_wait() {
        let said = answer(
            r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"TooManyRequests","details":{"retryAfterSeconds":3},"code":429}"#,
        );
        assert_eq!(
            said.problem(),
            Some(Problem {
                reason: Some("TooManyRequests"),
                retry_after: Some(Duration::from_secs(3))
            })
        );
        assert_eq!(said.cause().to_string(), "code TooManyRequests, status 429");
    }

    #[test]
    fn s1_what_kubernetes_does_not_document_is_not_passed_on() {
        for body in [
            "hunter2",
            r#"{"kind":"hunter2","reason":"hunter2"}"#,
            r#"{"kind":"Status","reason":"hunter2"}"#,
            r#"{"kind":"Status","reason":"Forbidden","message":"hunter2","details":{"hunter2":1}}"#,
        ] {
            let text = format!(
                "{:?} {} {:?}",
                answer(body),
                answer(body).cause(),
                answer(body).problem()
            );
            assert!(!text.contains("hunter2"), "{text}");
        }
        for bad in ["{\"hunter2", "hunter2", "{\"a\":hunter2}", "\"hunter2\""] {
            let error = parse::<u8>(bad.as_bytes()).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains("line 1") && !text.contains("hunter2"), "{text}");
        }
    }
}
