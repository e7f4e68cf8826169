//! What every answer of the API server means.

use std::time::{Duration, SystemTime};

use secrets_core::{Cause, Error, ErrorKind};

use super::answer::Answer;

/// What was asked, for messages that say what to do next: which verb on which Secret.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) verb: Verb,
    pub(super) namespace: &'a str,
    /// `None` for all of them.
    pub(super) secret: Option<&'a str>,
}

/// What RBAC calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// What may be done here: needs no permission of its own.
    Check,
    Get,
    List,
    Watch,
}

impl Verb {
    fn text(self) -> &'static str {
        match self {
            Self::Check => "create` on `selfsubjectrulesreviews",
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
        }
    }
}

/// The reasons that Kubernetes documents, in `k8s.io/apimachinery/pkg/apis/meta/v1`.
const REASONS: &[&str] = &[
    "AlreadyExists",
    "BadRequest",
    "Conflict",
    "Expired",
    "Forbidden",
    "Gone",
    "InternalError",
    "Invalid",
    "MethodNotAllowed",
    "NotAcceptable",
    "NotFound",
    "RequestEntityTooLarge",
    "ServerTimeout",
    "ServiceUnavailable",
    "Timeout",
    "TooManyRequests",
    "Unauthorized",
    "UnsupportedMediaType",
];

/// The reason, if it is one of Kubernetes' own.
pub(super) fn known_reason(text: &str) -> Option<&'static str> {
    REASONS.iter().copied().find(|reason| *reason == text)
}

/// The error that an answer other than success stands for.
pub(super) fn refused(asked: Asked<'_>, answer: &Answer) -> Error {
    let problem = answer.problem();
    let reason = problem.and_then(|problem| problem.reason);
    let (kind, message) = meaning(asked, answer.status, problem.is_some(), reason);
    let error = Error::new(kind, message).with_cause(answer.cause());
    let after = answer
        .retry_after
        .max(problem.and_then(|problem| problem.retry_after));
    match after {
        Some(after) => error.with_retry_after(after),
        None => error,
    }
}

/// The table of statuses. Its rows, in words, are in the documentation of the crate.
fn meaning(asked: Asked<'_>, status: u16, speaks: bool, reason: Option<&str>) -> (ErrorKind, String) {
    use ErrorKind as Kind;
    let namespace = asked.namespace;
    match (status, reason) {
        (300..=399, _) => (
            Kind::Unavailable,
            "something sends clients elsewhere, and redirects are not followed; give the address of the API server itself"
                .into(),
        ),
        (401, _) => (
            Kind::Unauthenticated,
            "the API server does not accept the credentials, also after reading them again; check token, certificate and \
             kubeconfig"
                .into(),
        ),
        (403, _) => (Kind::PermissionDenied, denied(asked)),
        (404, _) if speaks => (Kind::NotFound, absent(asked)),
        (404, _) => (
            Kind::InvalidConfig,
            "what answers there is not the API server of Kubernetes; check the address".into(),
        ),
        (405 | 406 | 415, _) => (
            Kind::Unsupported,
            "the API server does not know this kind of request; it is older than 1.15, or something between refuses it"
                .into(),
        ),
        (408 | 504, _) | (500, Some("Timeout" | "ServerTimeout")) => (
            Kind::Timeout,
            "the API server, or what is behind it, did not answer in time".into(),
        ),
        (409, _) => (Kind::Unavailable, "the API server met a conflict; try again".into()),
        (410, _) => (
            Kind::Unavailable,
            "what was asked about is too long ago for the API server; begin anew".into(),
        ),
        (413, _) => (Kind::InvalidData, "the request is too large for the API server".into()),
        (400 | 422, _) => (
            Kind::InvalidData,
            "the API server refuses the request as malformed; check namespace and label selector".into(),
        ),
        (429, _) => (
            Kind::RateLimited,
            "the API server asks to be asked less often (API priority and fairness)".into(),
        ),
        (500..=599, _) => (
            Kind::Unavailable,
            format!("the API server, or what is in front of it, cannot answer about namespace `{namespace}` now"),
        ),
        _ => (
            Kind::InvalidData,
            "the answer has a status that the API server does not use; is this Kubernetes?".into(),
        ),
    }
}

fn denied(asked: Asked<'_>) -> String {
    let Asked { verb, namespace, .. } = asked;
    let verb = verb.text();
    match asked.secret {
        Some(secret) => format!(
            "permission denied: a role has to allow `{verb}` on the Secret `{secret}` in namespace `{namespace}`"
        ),
        None => {
            format!("permission denied: a role has to allow `{verb}` on Secrets in namespace `{namespace}`")
        }
    }
}

fn absent(asked: Asked<'_>) -> String {
    let namespace = asked.namespace;
    match asked.secret {
        Some(secret) => format!("there is no Secret `{secret}` in namespace `{namespace}`"),
        None => format!("there is no namespace `{namespace}`"),
    }
}

/// Whoever asks for a longer wait than a year does not mean it.
const LONGEST_WAIT: u64 = 365 * 86_400;

pub(super) fn sane_wait(seconds: u64) -> Option<Duration> {
    (seconds <= LONGEST_WAIT).then(|| Duration::from_secs(seconds))
}

/// `Retry-After`: seconds, or a date. Rounded up to whole seconds; a date in the past is no wait.
pub(super) fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<f64>() {
        let seconds = Duration::try_from_secs_f64(seconds.ceil()).ok()?;
        return sane_wait(seconds.as_secs());
    }
    let at = httpdate::parse_http_date(header).ok()?;
    let wait = at.duration_since(now).unwrap_or_default();
    let partial = u64::from(wait.subsec_nanos() > 0);
    sane_wait(wait.as_secs() + partial)
}

/// A failure of the way to the API server: no status came.
pub(super) fn transport(error: &reqwest::Error) -> Error {
    if error.is_timeout() {
        let message = "the connection to the API server took too long; check the address and the network";
        return Error::new(ErrorKind::Timeout, message).with_cause(Cause::new().with_code("timeout"));
    }
    let (code, message) = if error.is_connect() {
        if certificate(error) {
            (
                TLS,
                "the TLS handshake with the API server failed: its certificate is not trusted, has expired or is for \
                 another name; check the address and the authority",
            )
        } else {
            (
                "connect",
                "no connection to the API server; check the address, the network and that it runs",
            )
        }
    } else {
        (
            "connection",
            "the connection to the API server broke before the whole answer was there",
        )
    };
    Error::new(ErrorKind::Unavailable, message).with_cause(Cause::new().with_code(code))
}

/// The code of a failed handshake.
pub(super) const TLS: &str = "tls";

/// Whether a failed connection failed in the TLS handshake. The chain holds types of crates this one does not name, so
/// the words decide; they choose between two messages of one kind.
fn certificate(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if text.contains("certificate")
            || text.contains("alert")
            || text.contains("Handshake")
            || text.contains("incompatible")
            || text.contains("corrupt message")
        {
            return true;
        }
        source = cause.source();
    }
    false
}

/// No answer in time.
pub(super) fn timeout(what: &str, limit: Duration) -> Error {
    let message = format!("{what} did not answer within {} s", limit.as_secs_f64());
    Error::new(ErrorKind::Timeout, message).with_cause(Cause::new().with_code("timeout"))
}

/// More bytes than allowed.
pub(super) fn too_large(limit: usize) -> Error {
    let message = format!("the answer is larger than the {limit} bytes allowed; `max_value` decides");
    Error::new(ErrorKind::InvalidData, message).with_cause(Cause::new().with_code(TOO_LARGE))
}

/// The code of an answer that is too large.
pub(super) const TOO_LARGE: &str = "too-large";

/// An option that makes no sense.
pub(super) fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message.into()).with_backend(super::backend::NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e1_every_status_has_its_kind() {
        use ErrorKind as K;
        let asked = Asked {
            verb: Verb::Get,
            namespace: "app",
            secret: Some("smtp"),
        };
        for (status, reason, kind) in [
            (302, None, K::Unavailable),
            (400, Some("BadRequest"), K::InvalidData),
            (401, Some("Unauthorized"), K::Unauthenticated),
            (401, None, K::Unauthenticated),
            (403, Some("Forbidden"), K::PermissionDenied),
            (403, None, K::PermissionDenied),
            (404, Some("NotFound"), K::NotFound),
            (404, None, K::InvalidConfig),
            (405, Some("MethodNotAllowed"), K::Unsupported),
            (406, Some("NotAcceptable"), K::Unsupported),
            (408, None, K::Timeout),
            (409, Some("Conflict"), K::Unavailable),
            (410, Some("Expired"), K::Unavailable),
            (413, Some("RequestEntityTooLarge"), K::InvalidData),
            (415, Some("UnsupportedMediaType"), K::Unsupported),
            (418, None, K::InvalidData),
            (422, Some("Invalid"), K::InvalidData),
            (429, Some("TooManyRequests"), K::RateLimited),
            (429, None, K::RateLimited),
            (500, Some("InternalError"), K::Unavailable),
            (500, Some("ServerTimeout"), K::Timeout),
            (500, Some("Timeout"), K::Timeout),
            (502, None, K::Unavailable),
            (503, Some("ServiceUnavailable"), K::Unavailable),
            (504, Some("Timeout"), K::Timeout),
            (599, None, K::Unavailable),
        ] {
            let (found, message) = meaning(asked, status, reason.is_some(), reason);
            assert_eq!(found, kind, "{status} {reason:?}");
            assert!(!message.is_empty());
        }
        assert!(denied(asked).contains("`get` on the Secret `smtp` in namespace `app`"));
    }

    #[test]
    fn e3_retry_after_is_seconds_or_a_date_rounded_up() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        for (header, seconds) in [
            ("1", Some(1)),
            ("0.2", Some(1)),
            ("Thu, 01 Jan 1970 00:00:10 GMT", Some(9)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("NaN", None),
            ("1e30", None),
            ("31536000", Some(31_536_000)),
            ("31536001", None),
            ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ] {
            assert_eq!(
                retry_after(header, now),
                seconds.map(Duration::from_secs),
                "{header}"
            );
        }
    }
}
