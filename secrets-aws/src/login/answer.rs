//! What a container's or an instance's source of credentials answers, and what a program prints.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use secrecy::{ExposeSecret as _, SecretString};
use secrets_core::{Cause, Error, ErrorKind, Result};
use serde::Deserialize;

use crate::error::config;
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

/// Credentials as the program of a profile prints them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    access_key_id: String,
    secret_access_key: SecretString,
    session_token: Option<SecretString>,
    expiration: Option<String>,
}

/// The version of what a program prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: u64,
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

/// The credentials that `who` has printed.
///
/// # Errors
///
/// `InvalidConfig` for another version, `Unauthenticated` for anything else: its text goes no further.
pub(super) fn printed(output: &[u8], who: &str) -> Result<Credentials> {
    let malformed = || {
        let message = format!(
            "{who} prints no credentials: AWS documents a JSON object with Version 1, AccessKeyId, SecretAccessKey, and for \
             some SessionToken and Expiration"
        );
        Error::new(ErrorKind::Unauthenticated, message)
    };
    // Another version may have other members.
    let Version { version } = serde_json::from_slice(output).map_err(|_| malformed())?;
    if version != 1 {
        return Err(config(format!(
            "{who} prints credentials in another version than 1: have it print version 1"
        )));
    }
    let keys = serde_json::from_slice::<Printed>(output).map_err(|_| malformed())?;
    if keys.access_key_id.is_empty() || keys.secret_access_key.expose_secret().is_empty() {
        return Err(malformed());
    }
    let token = keys
        .session_token
        .filter(|token| !token.expose_secret().is_empty());
    let ends = keys.expiration.map(|text| instant(&text).ok_or_else(malformed));
    Ok(Credentials::new(
        keys.access_key_id,
        keys.secret_access_key.expose_secret(),
        token.map(|token| token.expose_secret().to_owned()),
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
    fn what_a_program_prints_is_read_with_its_end() {
        let whole = br#"{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"k","SessionToken":"t","Expiration":"2031-01-02T03:04:05+00:00"}"#;
        let found = printed(whole, "the program").unwrap();
        let read = (
            found.access_key_id(),
            found.secret_access_key(),
            found.session_token(),
        );
        assert_eq!(read, ("AKID", "k", Some("t")));
        let end = found.expiry().unwrap().duration_since(SystemTime::UNIX_EPOCH);
        assert_eq!(end.unwrap().as_secs(), 1_925_089_445);
        let lasting = br#"{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"k","SessionToken":""}"#;
        let found = printed(lasting, "the program").unwrap();
        assert_eq!((found.session_token(), found.expiry()), (None, None));
    }

    #[test]
    fn v8_s7_what_a_program_prints_and_is_no_credential_is_an_error_that_quotes_nothing() {
        use ErrorKind::{InvalidConfig, Unauthenticated};
        for (output, kind) in [
            ("", Unauthenticated),
            ("hunter2", Unauthenticated),
            ("[]", Unauthenticated),
            (
                r#"{"AccessKeyId":"AKID","SecretAccessKey":"hunter2"}"#,
                Unauthenticated,
            ),
            (
                r#"{"Version":"hunter2","AccessKeyId":"AKID","SecretAccessKey":"k"}"#,
                Unauthenticated,
            ),
            (
                r#"{"Version":2,"AccessKeyId":"hunter2","SecretAccessKey":"k"}"#,
                InvalidConfig,
            ),
            (r#"{"Version":2,"Keys":"hunter2"}"#, InvalidConfig),
            (
                r#"{"Version":1,"AccessKeyId":"","SecretAccessKey":"hunter2"}"#,
                Unauthenticated,
            ),
            (
                r#"{"Version":1,"AccessKeyId":"hunter2","SecretAccessKey":""}"#,
                Unauthenticated,
            ),
            (r#"{"Version":1,"AccessKeyId":"hunter2"}"#, Unauthenticated),
            (
                r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"k","Expiration":"hunter2"}"#,
                Unauthenticated,
            ),
            (
                r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"hunter2"}hunter2"#,
                Unauthenticated,
            ),
            (
                r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"hunter2""#,
                Unauthenticated,
            ),
        ] {
            let error = printed(output.as_bytes(), "the program").unwrap_err();
            assert_eq!(error.kind(), kind, "{output}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
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
