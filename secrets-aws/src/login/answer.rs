//! What a container's or an instance's source of credentials answers.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use secrecy::{ExposeSecret as _, SecretString};
use secrets_core::{Cause, Error, ErrorKind, Result};
use serde::Deserialize;

use crate::transport::Answer;

/// Credentials as JSON.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    secret_access_key: SecretString,
    token: Option<SecretString>,
    expiration: Option<String>,
}

/// The credentials in an answer, `who` gave it.
///
/// # Errors
///
/// `Unavailable` for anything else: its text goes no further.
pub(super) fn credentials(answer: &Answer, who: &'static str) -> Result<Credentials> {
    let keys = serde_json::from_slice::<Keys>(&answer.body).ok();
    let keys = keys.filter(|keys| !keys.access_key_id.is_empty());
    let keys = keys.ok_or_else(|| nonsense(answer, who))?;
    let ends = keys
        .expiration
        .map(|text| instant(&text).ok_or_else(|| nonsense(answer, who)));
    Ok(Credentials::new(
        keys.access_key_id,
        keys.secret_access_key.expose_secret(),
        keys.token.map(|token| token.expose_secret().to_owned()),
        ends.transpose()?,
        "secrets-aws",
    ))
}

fn instant(text: &str) -> Option<SystemTime> {
    SystemTime::try_from(DateTime::from_str(text, Format::DateTimeWithOffset).ok()?).ok()
}

/// The error of an answer that is no credentials.
pub(super) fn nonsense(answer: &Answer, who: &'static str) -> Error {
    let message =
        format!("{who} answered with something that is no credential; is it what the variables name?");
    Error::new(ErrorKind::Unavailable, message).with_cause(Cause::new().with_status(answer.status))
}

/// The error of a status that is no success.
pub(super) fn refused(answer: &Answer, who: &'static str, advice: &str) -> Error {
    let (kind, message) = match answer.status {
        300..=399 => (
            ErrorKind::Unavailable,
            format!("{who} redirects; redirects are not followed: check its address"),
        ),
        408 | 504 => (ErrorKind::Timeout, format!("{who} gave up waiting")),
        429 => (ErrorKind::RateLimited, format!("{who} is asked too often")),
        500.. => (ErrorKind::Unavailable, format!("{who} fails; it may answer soon")),
        _ => (
            ErrorKind::Unauthenticated,
            format!("{who} gives no credentials; {advice}"),
        ),
    };
    Error::new(kind, message).with_cause(Cause::new().with_status(answer.status))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn read(body: &str) -> Result<Credentials> {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        credentials(&Answer { status: 200, body }, "the container")
    }

    #[test]
    fn credentials_are_read_with_their_end() {
        let whole = r#"{"Code":"Success","AccessKeyId":"AKID","SecretAccessKey":"k","Token":"t","Expiration":"2031-01-02T03:04:05Z"}"#;
        let found = read(whole).unwrap();
        assert_eq!(
            (
                found.access_key_id(),
                found.secret_access_key(),
                found.session_token()
            ),
            ("AKID", "k", Some("t"))
        );
        let end = found
            .expiry()
            .unwrap()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        assert_eq!(end.as_secs(), 1_925_089_445);
        assert!(
            read(r#"{"AccessKeyId":"AKID","SecretAccessKey":"k"}"#)
                .unwrap()
                .expiry()
                .is_none()
        );
    }

    #[test]
    fn v8_s7_what_is_no_credential_is_an_error_that_quotes_nothing() {
        for body in [
            "",
            "hunter2",
            "null",
            "[]",
            "{}",
            r#"{"Code":"hunter2"}"#,
            r#"{"AccessKeyId":"","SecretAccessKey":"hunter2"}"#,
            r#"{"AccessKeyId":"hunter2"}"#,
            r#"{"AccessKeyId":"AKID","SecretAccessKey":1}"#,
            r#"{"AccessKeyId":"AKID","SecretAccessKey":"hunter2","Expiration":"hunter2"}"#,
            r#"{"AccessKeyId":"AKID","SecretAccessKey":"hunter2""#,
        ] {
            let error = read(body).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{body}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
