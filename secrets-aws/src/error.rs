//! What every answer of AWS means.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use secrets_core::{Cause, Error, ErrorKind};

/// What was asked, for messages that say what to do next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The action as policies call it, such as `secretsmanager:GetSecretValue`.
    pub(crate) action: &'static str,
    /// Of what: a name, an ARN, a path.
    pub(crate) what: &'a str,
    /// A version was asked for, by number, id, stage or label.
    pub(crate) pinned: bool,
}

/// A call that failed.
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// It is about the credentials: others may do.
    pub(crate) credentials: bool,
    /// AWS itself answered.
    pub(crate) answered: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self {
            error,
            credentials: false,
            answered: false,
        }
    }
}

/// The phrases of AWS's own error texts that change what a code means. The texts themselves go no further.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "one for each phrase, and any of them may stand beside another"
)]
pub(crate) struct Hints {
    /// `Signature expired`, `not yet current`: the clocks differ.
    clock: bool,
    /// `marked for deletion`, `was deleted`.
    deletion: bool,
    /// It is the key that refuses, or is refused.
    kms: bool,
    /// `can't find the specified secret value for …`, `… secret version`: the secret is there.
    version: bool,
}

impl Hints {
    pub(crate) fn of(text: &str) -> Self {
        let has = |phrase: &str| {
            text.as_bytes()
                .windows(phrase.len())
                .any(|window| window.eq_ignore_ascii_case(phrase.as_bytes()))
        };
        Self {
            clock: has("signature expired") || has("not yet current"),
            deletion: has("marked for deletion") || has("deleted") || has("scheduled for deletion"),
            kms: has("kms") || has("ciphertext") || has("master key"),
            version: has("specified secret value for") || has("specified secret version"),
        }
    }

    /// A text that says the same, and nothing else.
    pub(crate) fn phrases(self) -> String {
        let phrases = [
            (self.clock, "not yet current "),
            (self.deletion, "deleted "),
            (self.kms, "kms "),
            (self.version, "specified secret version "),
        ];
        let said = phrases.into_iter().filter(|(said, _)| *said);
        said.map(|(_, phrase)| phrase).collect()
    }
}

/// The error that a failed call stands for. What the SDK says is read, and dropped with it.
pub(crate) fn failed<E>(asked: Asked<'_>, failure: &SdkError<E, HttpResponse>, now: SystemTime) -> Failed
where
    E: ProvideErrorMetadata,
{
    match failure {
        // The SDK calls some answers an error that it merely cannot read.
        SdkError::ServiceError(answer) if answer.raw().status().is_success() => {
            malformed(answer.raw()).into()
        }
        SdkError::ServiceError(answer) => {
            let meta = answer.err().meta();
            let hints = Hints::of(meta.message().unwrap_or_default());
            let failed = refused(
                asked,
                meta.code().filter(|code| is_code(code)),
                Some(answer.raw()),
                hints,
            );
            waiting(failed, answer.raw(), now)
        }
        SdkError::ResponseError(answer) if answer.raw().status().is_success() => {
            malformed(answer.raw()).into()
        }
        // An error that is not in the form of AWS: its status has to do.
        SdkError::ResponseError(answer) => {
            let failed = refused(asked, None, Some(answer.raw()), Hints::default());
            waiting(failed, answer.raw(), now)
        }
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(wire) => transport(wire).into(),
            None => unsent().into(),
        },
        SdkError::TimeoutError(_) => timeout("AWS", None).into(),
        _ => unsent().into(),
    }
}

/// The error of one entry in the answer to a batch.
pub(crate) fn entry(asked: Asked<'_>, code: Option<&str>, message: Option<&str>) -> Failed {
    refused(
        asked,
        code.filter(|code| is_code(code)),
        None,
        Hints::of(message.unwrap_or_default()),
    )
}

/// The error that a failed login at STS stands for.
pub(crate) fn login<E>(failure: &SdkError<E, HttpResponse>, role: Option<&str>) -> Error
where
    E: ProvideErrorMetadata,
{
    let asked = Asked {
        action: "sts:AssumeRole",
        what: role.unwrap_or("the role of the profile or web identity"),
        pinned: false,
    };
    let failed = failed(asked, failure, SystemTime::UNIX_EPOCH).error;
    if !matches!(
        failed.kind(),
        ErrorKind::PermissionDenied | ErrorKind::InvalidData | ErrorKind::NotFound
    ) {
        return failed;
    }
    if failure
        .raw_response()
        .is_none_or(|answer| answer.status().is_success())
    {
        return failed;
    }
    let message = format!(
        "STS refuses to let the caller assume {}: check the ARN, the role's trust policy, and that the caller has \
         sts:AssumeRole",
        asked.what
    );
    let refused = Error::new(ErrorKind::Unauthenticated, message);
    match failed.cause() {
        Some(cause) => refused.with_cause(cause.clone()),
        None => refused,
    }
}

/// Whether a text is a code of AWS's, and not something else in its place: it is passed on.
pub(crate) fn is_code(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// The same failure with what the answer says about when to ask again.
fn waiting(mut failed: Failed, answer: &HttpResponse, now: SystemTime) -> Failed {
    let header = answer.headers().get("retry-after");
    if let Some(after) = header.and_then(|header| retry_after(header, now)) {
        failed.error = failed.error.with_retry_after(after);
    }
    failed
}

fn refused(asked: Asked<'_>, code: Option<&str>, answer: Option<&HttpResponse>, hints: Hints) -> Failed {
    let status = answer.map_or(0, |answer| answer.status().as_u16());
    let (kind, message) = meaning(asked, code, status, hints);
    let cause = match answer {
        Some(answer) => cause(code, answer),
        None => code.map_or_else(Cause::new, |code| Cause::new().with_code(code)),
    };
    Failed {
        error: Error::new(kind, message).with_cause(cause),
        credentials: kind == ErrorKind::Unauthenticated && !hints.clock,
        answered: true,
    }
}

fn cause(code: Option<&str>, answer: &HttpResponse) -> Cause {
    let mut cause = Cause::new().with_status(answer.status().as_u16());
    if let Some(code) = code {
        cause = cause.with_code(code);
    }
    match answer.headers().get("x-amzn-requestid") {
        Some(id) => cause.with_request_id(id),
        None => cause,
    }
}

/// The table of codes. Its rows, in words, are in the documentation of the crate.
#[allow(clippy::too_many_lines, reason = "a table reads best in one piece")]
fn meaning(asked: Asked<'_>, code: Option<&str>, status: u16, hints: Hints) -> (ErrorKind, String) {
    use ErrorKind as Kind;
    let Asked { action, what, pinned } = asked;
    let Some(code) = code else {
        return without_code(asked, status);
    };
    match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "NotAuthorized"
        | "OptInRequired"
        | "UnauthorizedOperation" => (Kind::PermissionDenied, denied(asked, hints)),
        "DecryptionFailure" | "InvalidKeyId" | "KMSInvalidStateException" => (
            Kind::Disabled,
            format!(
                "the KMS key of `{what}` does not decrypt it: it is disabled, being deleted, or gone; enable the key"
            ),
        ),
        "EncryptionFailure" => (
            Kind::Disabled,
            format!("the KMS key of `{what}` cannot be used; check its state"),
        ),
        "ExpiredToken"
        | "ExpiredTokenException"
        | "TokenRefreshRequired"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidIdentityToken"
        | "IDPRejectedClaim"
        | "InvalidSignatureException"
        | "InvalidToken"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorizedException"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClient"
        | "UnrecognizedClientException"
        | "AuthFailure" => (Kind::Unauthenticated, not_accepted(hints)),
        "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServiceError"
        | "InternalServiceErrorException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "IDPCommunicationError" => (Kind::Unavailable, "AWS failed inside; it may answer soon".into()),
        "InvalidRequestException" if hints.deletion => (
            Kind::Disabled,
            format!("`{what}` is scheduled for deletion; restore it (RestoreSecret), or ask for another"),
        ),
        "InvalidAction" | "UnknownOperationException" | "UnknownOperation" => (
            Kind::Unsupported,
            format!("the endpoint does not know {action}; is it the one of this service?"),
        ),
        "InvalidNextTokenException"
        | "InvalidNextToken"
        | "InvalidParameterException"
        | "InvalidRequestException"
        | "ValidationException"
        | "ValidationError"
        | "SerializationException"
        | "InvalidFilterValue" => (
            Kind::InvalidData,
            format!("AWS refuses {action} of `{what}` as malformed; is an ARN of this region and account?"),
        ),
        "ParameterNotFound" => (
            Kind::NotFound,
            format!("there is no parameter `{what}` in this region and account"),
        ),
        "ParameterVersionNotFound" | "ParameterVersionLabelNotFound" => (
            Kind::VersionNotFound,
            format!("`{what}` has no such version or label"),
        ),
        "RegionDisabledException" => (
            Kind::InvalidConfig,
            "STS is switched off in this region; activate it for the account, or use another region".into(),
        ),
        "RequestTimeout" | "RequestTimeoutException" => {
            (Kind::Timeout, "AWS gave up waiting for the request".into())
        }
        "ResourceNotFoundException" if hints.version && pinned => (
            Kind::VersionNotFound,
            format!("`{what}` has no such version or stage"),
        ),
        "ResourceNotFoundException" if hints.version => (
            Kind::NotFound,
            format!(
                "`{what}` exists and has no value yet: it was created without one; put one (PutSecretValue)"
            ),
        ),
        "ResourceNotFoundException" => (
            Kind::NotFound,
            format!("there is no secret `{what}` in this region and account"),
        ),
        _ if throttled(code) => (
            Kind::RateLimited,
            format!("AWS throttles {action}; ask less often, in batches, or have the quota raised"),
        ),
        _ if code.contains("NotFound") => (Kind::NotFound, format!("there is nothing at `{what}`")),
        _ => without_code(asked, status),
    }
}

/// What a status means by itself: a proxy answered, or a code nobody knows came with it.
fn without_code(asked: Asked<'_>, status: u16) -> (ErrorKind, String) {
    use ErrorKind as Kind;
    match status {
        300..=399 => (
            Kind::Unavailable,
            "something in front of AWS redirects; redirects are not followed: check the endpoint".into(),
        ),
        401 => (Kind::Unauthenticated, not_accepted(Hints::default())),
        403 => (Kind::PermissionDenied, denied(asked, Hints::default())),
        408 | 504 => (Kind::Timeout, "something in front of AWS gave up waiting".into()),
        429 => (
            Kind::RateLimited,
            format!("AWS throttles {}; ask less often", asked.action),
        ),
        500..=599 => (
            Kind::Unavailable,
            "AWS, or something in front of it, fails; it may answer soon".into(),
        ),
        _ => (
            Kind::InvalidData,
            format!(
                "AWS, or something in front of it, refuses {} of `{}`; check the endpoint",
                asked.action, asked.what
            ),
        ),
    }
}

/// The codes that the SDKs of AWS agree on.
fn throttled(code: &str) -> bool {
    code.contains("Throttl")
        || matches!(
            code,
            "BandwidthLimitExceeded"
                | "LimitExceededException"
                | "PriorRequestNotComplete"
                | "ProvisionedThroughputExceededException"
                | "RequestLimitExceeded"
                | "SlowDown"
                | "TooManyRequestsException"
                | "TooManyUpdates"
                | "TransactionInProgressException"
        )
}

fn denied(asked: Asked<'_>, hints: Hints) -> String {
    let Asked { action, what, .. } = asked;
    if hints.kms {
        format!(
            "the caller may not use the KMS key of `{what}`: it needs kms:Decrypt, in its policy and in the key's"
        )
    } else {
        format!(
            "the caller needs {action} on `{what}`: in its own policy, and no policy of the resource may deny it"
        )
    }
}

fn not_accepted(hints: Hints) -> String {
    if hints.clock {
        "AWS refuses the signature as too old or too new; set this machine's clock".into()
    } else {
        "AWS does not accept the credentials, also after asking for others where that is possible; check that they are \
         active and for this partition and endpoint"
            .into()
    }
}

/// A failure of the way to AWS: no status came.
pub(crate) fn transport(wire: &ConnectorError) -> Error {
    let mut source = wire.source();
    let mut words = String::new();
    while let Some(cause) = source {
        if let Some(own) = cause.downcast_ref::<Error>() {
            return own.clone();
        }
        words.push_str(&cause.to_string());
        words.push('\n');
        source = cause.source();
    }
    if wire.is_timeout() {
        return timeout("AWS", None);
    }
    // The chain holds types of crates this one does not name, so the words decide; they choose between messages of one kind.
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    let (code, message) = if has(&[
        "certificate",
        "TLS handshake",
        "alert",
        "Handshake",
        "corrupt message",
    ]) {
        (
            "tls",
            "the TLS handshake failed: the certificate is not trusted, has expired or is for another name; check the \
             endpoint, and give its authority (`ca_file`)",
        )
    } else if has(&["dns", "(Connect)", "tcp connect", "Connection refused"]) {
        (
            "connect",
            "no connection to the endpoint; check region, endpoint and network",
        )
    } else {
        (
            "connection",
            "the connection broke before the whole answer was there",
        )
    };
    Error::new(ErrorKind::Unavailable, message).with_cause(Cause::new().with_code(code))
}

/// No answer in time.
pub(crate) fn timeout(who: &str, limit: Option<Duration>) -> Error {
    let message = match limit {
        Some(limit) => format!("{who} did not answer within {} s", limit.as_secs_f64()),
        None => format!("{who} did not answer in time"),
    };
    Error::new(ErrorKind::Timeout, message).with_cause(Cause::new().with_code("timeout"))
}

/// Credentials that have ended when they are handed over.
pub(crate) fn dead() -> Error {
    let message = "the source of AWS credentials gives some that have ended already: renew the session, and check this machine's \
                   clock";
    Error::new(ErrorKind::Unauthenticated, message)
}

/// An option that makes no sense.
pub(crate) fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message.into())
}

/// An answer that means success and is none.
fn malformed(answer: &HttpResponse) -> Error {
    let message =
        "the answer is not as AWS documents it; is the endpoint AWS's, and nothing between that rewrites it?";
    Error::new(ErrorKind::InvalidData, message).with_cause(cause(None, answer))
}

/// A request that the SDK could not make.
fn unsent() -> Error {
    let message = "the SDK could not make the request; check region, endpoint and credentials of the client";
    Error::new(ErrorKind::InvalidConfig, message)
}

/// `Retry-After`: seconds, or a date. Rounded up to whole seconds; a date in the past is no wait.
pub(crate) fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<f64>() {
        let sane = (0.0..=86_400.0 * 365.0).contains(&seconds);
        return sane.then(|| Duration::from_secs_f64(seconds.ceil()));
    }
    let at = DateTime::from_str(header, Format::HttpDate).ok()?;
    let at = SystemTime::try_from(at).ok()?;
    let wait = at.duration_since(now).unwrap_or_default();
    let partial = u64::from(wait.subsec_nanos() > 0);
    Some(Duration::from_secs(wait.as_secs() + partial))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_only_what_looks_like_a_code_is_passed_on() {
        for good in ["AccessDeniedException", "Throttling", "KMSInvalidStateException"] {
            assert!(is_code(good), "{good}");
        }
        for bad in ["", "hunter2", "hunter", "Hunter2", "A b", &"A".repeat(65)] {
            assert!(!is_code(bad), "{bad}");
        }
    }

    #[test]
    fn s7_what_is_left_of_a_text_says_the_same() {
        for text in [
            "",
            "Signature expired",
            "marked for deletion",
            "the KMS key",
            "specified secret value for x",
            "a ciphertext was deleted",
        ] {
            let hints = Hints::of(text);
            assert_eq!(Hints::of(&hints.phrases()), hints, "{text}");
        }
    }

    #[test]
    fn e3_retry_after_is_seconds_or_a_date_rounded_up() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_500);
        let seconds = |header| retry_after(header, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("1.2"), Some(2));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        for bad in ["", "-1", "soon", "NaN", "1e99"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
