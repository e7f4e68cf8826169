//! What every answer of Azure means.

use std::time::{Duration, SystemTime};

use azure_core::error::ErrorKind as SdkKind;
use http::HeaderMap;
use secrets_core::{Cause, Error, ErrorKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::Answer;

/// What was asked of the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    List,
    Read,
}

/// The error of a vault: `{"error":{"code":…,"message":…,"innererror":{"code":…}}}`.
///
/// Codes go into the cause. Messages are read for what they say, and never passed on.
#[derive(Default)]
struct Said {
    code: Option<&'static str>,
    inner: Option<&'static str>,
    /// `AKV10032`: the token was issued by another tenant.
    other_tenant: bool,
}

impl Said {
    fn read(answer: &Answer) -> Self {
        // The texts stay where they are: the parser would decode them into buffers that it does not wipe.
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            error: Option<Details<'a>>,
        }
        #[derive(Deserialize)]
        struct Details<'a> {
            #[serde(borrow)]
            code: Option<&'a RawValue>,
            #[serde(borrow)]
            message: Option<&'a RawValue>,
            #[serde(borrow)]
            innererror: Option<Inner<'a>>,
        }
        #[derive(Deserialize)]
        struct Inner<'a> {
            #[serde(borrow)]
            code: Option<&'a RawValue>,
        }
        let Some(details) = answer.parse::<Body<'_>>().ok().and_then(|body| body.error) else {
            return Self::default();
        };
        let inner = details.innererror.and_then(|inner| inner.code);
        let message = details.message.map(RawValue::get);
        Self {
            code: details.code.and_then(known),
            inner: inner.and_then(known),
            other_tenant: message.is_some_and(|text| text.contains("AKV10032")),
        }
    }

    fn is(&self, code: &str) -> bool {
        self.inner == Some(code) || self.code == Some(code)
    }

    fn cause(&self, answer: &Answer) -> Cause {
        match self.inner.or(self.code) {
            Some(code) => answer.cause().with_code(code),
            None => answer.cause(),
        }
    }
}

/// Codes that Key Vault documents. Anything else may be anything, and is not repeated.
const CODES: &[&str] = &[
    "AccessDenied",
    "BadParameter",
    "Conflict",
    "Forbidden",
    "ForbiddenByConnection",
    "ForbiddenByFirewall",
    "ForbiddenByPolicy",
    "ForbiddenByRbac",
    "InternalServerError",
    "ObjectIsBeingDeleted",
    "ObjectIsBeingRecovered",
    "ObjectIsDeletedButRecoverable",
    "SecretDisabled",
    "SecretExpired",
    "SecretNotFound",
    "SecretNotYetValid",
    "ServiceUnavailable",
    "Throttled",
    "Unauthorized",
    "VaultNotFound",
];

fn known(code: &RawValue) -> Option<&'static str> {
    let code = code.get().trim_matches('"');
    CODES.iter().copied().find(|known| *known == code)
}

/// The error that an answer other than success stands for. What is absent is told apart by the reader.
pub(crate) fn refused(asked: Asked, answer: &Answer) -> Error {
    let said = Said::read(answer);
    let (kind, message) = meaning(asked, answer.status, &said);
    let error = Error::new(kind, message).with_cause(said.cause(answer));
    match answer.retry_after {
        Some(after) => error.with_retry_after(after),
        None => error,
    }
}

/// The table. Its rows, in words, are in the documentation of the crate.
fn meaning(asked: Asked, status: u16, said: &Said) -> (ErrorKind, &'static str) {
    use ErrorKind as Kind;
    match status {
        300..=399 => (
            Kind::Unavailable,
            "the vault's address redirects, and redirects are not followed; check the address",
        ),
        400 => (
            Kind::InvalidData,
            "the vault does not understand the request; check `api_version`, where it was set",
        ),
        401 if said.other_tenant => (
            Kind::Unauthenticated,
            "the token is of another tenant than the vault's; check the tenant id",
        ),
        401 => (
            Kind::Unauthenticated,
            "the vault does not accept the token, also after logging in again; check tenant and cloud",
        ),
        403 => forbidden(asked, said),
        404 if said.is("VaultNotFound") => (Kind::InvalidConfig, "there is no such vault; check its name"),
        404 => (Kind::NotFound, "there is no such secret in the vault"),
        405 | 501 => (
            Kind::Unsupported,
            "what answers does not speak the API of Key Vault; check the address",
        ),
        408 | 504 => (Kind::Timeout, "something on the way to the vault gave up waiting"),
        409 if said.is("ObjectIsDeletedButRecoverable") || said.is("ObjectIsBeingDeleted") => (
            Kind::NotFound,
            "the secret is deleted, or is being deleted; recover it, or wait and create it anew",
        ),
        409 => (
            Kind::Unavailable,
            "the secret is being changed by something else; it can be read in a while",
        ),
        413 => (
            Kind::InvalidData,
            "the request is larger than something on the way allows",
        ),
        429 => (
            Kind::RateLimited,
            "the vault, or its subscription, is asked too often; let values live longer (`ttl`)",
        ),
        500..=599 => (Kind::Unavailable, "the vault cannot answer now"),
        _ => (
            Kind::InvalidData,
            "what answers is not Key Vault; check the address",
        ),
    }
}

fn forbidden(asked: Asked, said: &Said) -> (ErrorKind, &'static str) {
    use ErrorKind as Kind;
    let message = match asked {
        _ if said.is("SecretDisabled") => {
            return (
                Kind::Disabled,
                "the secret is disabled; enable it, or a newer version of it",
            );
        }
        _ if said.is("SecretNotYetValid") => {
            return (
                Kind::Disabled,
                "the secret is not valid yet; wait for its activation date (`nbf`)",
            );
        }
        _ if said.is("SecretExpired") => {
            return (
                Kind::Disabled,
                "the secret has expired; set a new version, or a later expiry (`exp`)",
            );
        }
        _ if said.is("ForbiddenByFirewall") || said.is("ForbiddenByConnection") => {
            "the vault's firewall refuses this network: allow its address, or use a private endpoint"
        }
        Asked::Read if said.is("ForbiddenByRbac") => {
            "the identity may not read secrets: give it the role `Key Vault Secrets User` on the vault or the secret"
        }
        Asked::List if said.is("ForbiddenByRbac") => {
            "the identity may not list secrets: give it the role `Key Vault Secrets User` on the vault"
        }
        Asked::Read if said.is("ForbiddenByPolicy") || said.is("AccessDenied") => {
            "the vault's access policy has no secret permission `get` for the identity: add it"
        }
        Asked::List if said.is("ForbiddenByPolicy") || said.is("AccessDenied") => {
            "the vault's access policy has no secret permission `list` for the identity: add it"
        }
        Asked::Read => {
            "the vault refuses the identity: give it the role `Key Vault Secrets User`, or an access policy with `get`"
        }
        Asked::List => {
            "the vault refuses the identity: give it the role `Key Vault Secrets User`, or an access policy with `list`"
        }
    };
    (Kind::PermissionDenied, message)
}

/// A login that was answered with something else than a token.
pub(crate) fn login(method: &'static str, answer: &Answer) -> Error {
    let code = aadsts(answer);
    let (kind, what) = match (answer.status, code) {
        (408 | 504, _) => (ErrorKind::Timeout, "the issuer of tokens took too long"),
        (429, _) => (ErrorKind::RateLimited, "the issuer of tokens is asked too often"),
        (300..=399, _) => (
            ErrorKind::Unavailable,
            "the issuer of tokens redirects, and redirects are not followed; check the authority",
        ),
        (410 | 500..=599, _) => (ErrorKind::Unavailable, "the issuer of tokens cannot answer now"),
        (_, Some(7_000_215)) => (
            ErrorKind::Unauthenticated,
            "the client secret is wrong; it is its value, not its id",
        ),
        (_, Some(7_000_222)) => (
            ErrorKind::Unauthenticated,
            "the client secret has expired; make a new one",
        ),
        (_, Some(700_016)) => (
            ErrorKind::Unauthenticated,
            "the tenant has no application of this client id",
        ),
        (_, Some(90_002 | 900_021 | 900_023)) => (
            ErrorKind::Unauthenticated,
            "there is no such tenant; check the tenant id and the cloud",
        ),
        (_, Some(70_021 | 700_211..=700_213)) => (
            ErrorKind::Unauthenticated,
            "no federated credential of the application fits the token; check its issuer, subject and audience",
        ),
        (_, Some(500_011)) => (
            ErrorKind::Unauthenticated,
            "the tenant does not know Key Vault; check tenant and cloud",
        ),
        (404, None) if method == crate::auth::MANAGED => (
            ErrorKind::Unavailable,
            "the identity endpoint is being updated, or is none of Azure's; try again, or log in by something else",
        ),
        (400, None) if method == crate::auth::MANAGED => (
            ErrorKind::Unauthenticated,
            "no such identity is assigned here; assign it, or give the id of one that is",
        ),
        _ => (
            ErrorKind::Unauthenticated,
            "the credential is refused; check it, the tenant and the client id",
        ),
    };
    let cause = match code {
        Some(code) => answer.cause().with_code(&format!("AADSTS{code}")),
        None => answer.cause(),
    };
    let error = Error::new(kind, format!("no login by {method}: {what}")).with_cause(cause);
    match answer.retry_after {
        Some(after) => error.with_retry_after(after),
        None => error,
    }
}

/// The first error number of Microsoft Entra ID.
fn aadsts(answer: &Answer) -> Option<u32> {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(default)]
        error_codes: Vec<u32>,
    }
    answer.parse::<Refusal>().ok()?.error_codes.first().copied()
}

/// What the SDK says when it has not asked, or when its client is the user's own.
pub(crate) fn sdk(error: &azure_core::Error) -> Error {
    let status = statuses(error);
    let (kind, message) = match error.kind() {
        SdkKind::Connection => (
            ErrorKind::Unavailable,
            "no connection to the vault, or to the issuer of tokens",
        ),
        SdkKind::Io => (
            ErrorKind::Unavailable,
            "the connection to the vault broke before the whole answer was there",
        ),
        SdkKind::Credential => match status {
            Some(429) => (ErrorKind::RateLimited, "the issuer of tokens is asked too often"),
            Some(500..=599) => (ErrorKind::Unavailable, "the issuer of tokens cannot answer now"),
            None if unreached(error) => (ErrorKind::Unavailable, "the issuer of tokens cannot be reached"),
            _ => (
                ErrorKind::Unauthenticated,
                "the client's credential brings no token; check its configuration",
            ),
        },
        SdkKind::DataConversion => (
            ErrorKind::InvalidData,
            "the answer cannot be read, or the challenge makes no sense",
        ),
        _ => (
            ErrorKind::Unauthenticated,
            "the SDK refuses to ask: the vault's challenge is not for this vault, or its address is not https",
        ),
    };
    let cause = status.map_or_else(Cause::new, |status| Cause::new().with_status(status));
    Error::new(kind, message).with_cause(cause)
}

/// The status somewhere in the chain of an error: failed logins hide it.
fn statuses(error: &azure_core::Error) -> Option<u16> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(SdkKind::HttpResponse { status, .. }) = cause
            .downcast_ref::<azure_core::Error>()
            .map(azure_core::Error::kind)
        {
            return Some((*status).into());
        }
        source = cause.source();
    }
    None
}

fn unreached(error: &azure_core::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let kind = cause
            .downcast_ref::<azure_core::Error>()
            .map(azure_core::Error::kind);
        if matches!(kind, Some(SdkKind::Connection | SdkKind::Io)) {
            return true;
        }
        source = cause.source();
    }
    false
}

/// The challenge that came with a 401 is not for this vault.
pub(crate) fn challenge(answer: &Answer) -> Error {
    let message = "what answers asks for a token that is not for this vault, and gets none: check the address and the \
                   cloud, and what stands between";
    Error::new(ErrorKind::Unauthenticated, message).with_cause(answer.cause().with_code("challenge"))
}

/// How long the service asks to be left alone: Azure's own headers in milliseconds, or `Retry-After`.
pub(crate) fn retry_after_in(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let millis = ["x-ms-retry-after-ms", "retry-after-ms"];
    let millis = millis
        .into_iter()
        .find_map(|name| text(name)?.trim().parse::<u64>().ok());
    match millis {
        Some(millis) if millis <= 86_400_000 => Some(Duration::from_secs(millis.div_ceil(1_000))),
        _ => retry_after(text("retry-after")?, now),
    }
}

/// `Retry-After`: seconds, or a date. Rounded up to whole seconds; a date in the past is no wait.
pub(crate) fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<f64>() {
        let sane = (0.0..=86_400.0 * 365.0).contains(&seconds);
        return sane.then(|| Duration::from_secs_f64(seconds.ceil()));
    }
    let at = httpdate::parse_http_date(header).ok()?;
    let wait = at.duration_since(now).unwrap_or_default();
    let partial = u64::from(wait.subsec_nanos() > 0);
    Some(Duration::from_secs(wait.as_secs() + partial))
}

/// A failure of the way: no status came.
pub(crate) fn transport(error: &reqwest::Error) -> Error {
    if error.is_timeout() {
        let message = "the connection took too long; check the address and the network";
        return Error::new(ErrorKind::Timeout, message).with_cause(Cause::new().with_code("timeout"));
    }
    let (code, message) = if error.is_connect() {
        if certificate(error) {
            (
                "tls",
                "the TLS handshake failed: the certificate is not trusted, has expired or is for another name; check the \
                 address, and give its authority (`ca_file`)",
            )
        } else {
            (
                "connect",
                "no connection; check the vault's name, DNS, the network and the private endpoint",
            )
        }
    } else {
        (
            "connection",
            "the connection broke before the whole answer was there",
        )
    };
    Error::new(ErrorKind::Unavailable, message).with_cause(Cause::new().with_code(code))
}

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
pub(crate) fn timeout(limit: Duration) -> Error {
    let message = format!("there was no answer within {} s", limit.as_secs_f64());
    Error::new(ErrorKind::Timeout, message).with_cause(Cause::new().with_code("timeout"))
}

/// No token in time.
pub(crate) fn login_timeout(method: &str, limit: Duration) -> Error {
    let message = format!("no login by {method} within {} s", limit.as_secs_f64());
    Error::new(ErrorKind::Timeout, message).with_cause(Cause::new().with_code("timeout"))
}

/// A token that is of no use.
pub(crate) fn ended(method: &str) -> Error {
    let message = format!(
        "no login by {method}: the token had ended when it came; check the time of day of this machine"
    );
    Error::new(ErrorKind::Unauthenticated, message).with_cause(Cause::new().with_code("expired"))
}

/// An answer above the cap.
pub(crate) fn too_large(limit: usize) -> Error {
    let message = format!("the answer is larger than the {limit} bytes allowed");
    Error::new(ErrorKind::InvalidData, message)
}

/// An answer without something that belongs to it.
pub(crate) fn malformed(what: &str) -> Error {
    let message = format!("{what} is not as Key Vault documents it");
    Error::new(ErrorKind::InvalidData, message)
}

/// An option that makes no sense.
pub(crate) fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message.into()).with_backend(crate::backend::NAME)
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            retry_after: None,
            request_id: Some("4f1c".into()),
            body: Zeroizing::new(body.as_bytes().to_vec()),
        }
    }

    fn body(code: &str, inner: &str) -> String {
        format!(r#"{{"error":{{"code":"{code}","message":"hunter2","innererror":{{"code":"{inner}"}}}}}}"#)
    }

    #[test]
    fn e1_every_status_and_inner_code_has_its_kind() {
        use ErrorKind as K;
        for (status, code, inner, kind) in [
            (302, "", "", K::Unavailable),
            (400, "BadParameter", "", K::InvalidData),
            (401, "Unauthorized", "", K::Unauthenticated),
            (403, "Forbidden", "", K::PermissionDenied),
            (403, "Forbidden", "AccessDenied", K::PermissionDenied),
            (403, "Forbidden", "ForbiddenByConnection", K::PermissionDenied),
            (403, "Forbidden", "ForbiddenByFirewall", K::PermissionDenied),
            (403, "Forbidden", "ForbiddenByPolicy", K::PermissionDenied),
            (403, "Forbidden", "ForbiddenByRbac", K::PermissionDenied),
            (403, "Forbidden", "SecretDisabled", K::Disabled),
            (403, "Forbidden", "SecretExpired", K::Disabled),
            (403, "Forbidden", "SecretNotYetValid", K::Disabled),
            (404, "SecretNotFound", "", K::NotFound),
            (404, "VaultNotFound", "", K::InvalidConfig),
            (405, "", "", K::Unsupported),
            (408, "", "", K::Timeout),
            (409, "Conflict", "", K::Unavailable),
            (409, "Conflict", "ObjectIsBeingDeleted", K::NotFound),
            (409, "Conflict", "ObjectIsBeingRecovered", K::Unavailable),
            (409, "Conflict", "ObjectIsDeletedButRecoverable", K::NotFound),
            (413, "", "", K::InvalidData),
            (418, "", "", K::InvalidData),
            (429, "Throttled", "", K::RateLimited),
            (500, "InternalServerError", "", K::Unavailable),
            (501, "", "", K::Unsupported),
            (503, "ServiceUnavailable", "", K::Unavailable),
            (504, "", "", K::Timeout),
        ] {
            let error = refused(Asked::Read, &answer(status, &body(code, inner)));
            assert_eq!(error.kind(), kind, "{status} {code} {inner}");
            let expected = [inner, code].into_iter().find(|code| !code.is_empty());
            assert_eq!(error.cause().unwrap().code(), expected);
            assert_eq!(error.cause().unwrap().request_id(), Some("4f1c"));
        }
    }

    #[test]
    fn s1_codes_that_nobody_documents_are_not_repeated() {
        for said in [
            body("hunter2", "hunter2"),
            "hunter2".to_owned(),
            r#"{"error":"hunter2"}"#.to_owned(),
        ] {
            let error = refused(Asked::Read, &answer(403, &said));
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn e2_denied_says_which_role_or_permission_is_missing() {
        for (asked, inner, says) in [
            (Asked::Read, "ForbiddenByRbac", "`Key Vault Secrets User`"),
            (Asked::List, "ForbiddenByRbac", "list"),
            (Asked::Read, "ForbiddenByPolicy", "`get`"),
            (Asked::List, "ForbiddenByPolicy", "`list`"),
            (Asked::Read, "ForbiddenByFirewall", "firewall"),
            (Asked::Read, "", "`get`"),
        ] {
            let error = refused(asked, &answer(403, &body("Forbidden", inner)));
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert!(error.message().contains(says), "{error}");
        }
    }

    #[test]
    fn e1_a_refused_login_says_what_is_wrong_with_it() {
        use ErrorKind as K;
        for (status, codes, kind, says) in [
            (401, "7000215", K::Unauthenticated, "wrong"),
            (401, "7000222", K::Unauthenticated, "expired"),
            (400, "700016", K::Unauthenticated, "client id"),
            (400, "90002", K::Unauthenticated, "tenant"),
            (400, "700212,1", K::Unauthenticated, "federated"),
            (400, "", K::Unauthenticated, "refused"),
            (429, "", K::RateLimited, "too often"),
            (500, "", K::Unavailable, "cannot answer"),
            (504, "", K::Timeout, "too long"),
            (302, "", K::Unavailable, "redirects"),
        ] {
            let body = format!(r#"{{"error":"x","error_description":"hunter2","error_codes":[{codes}]}}"#);
            let error = login("client secret", &answer(status, &body));
            assert_eq!(error.kind(), kind, "{status} {codes}");
            assert!(error.message().contains(says), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
        let code = login("client secret", &answer(401, r#"{"error_codes":[7000215]}"#));
        assert_eq!(code.cause().unwrap().code(), Some("AADSTS7000215"));
        let managed = |status| login(crate::auth::MANAGED, &answer(status, "{}"));
        assert!(managed(400).message().contains("assigned"));
        assert_eq!(managed(404).kind(), K::Unavailable);
    }

    #[test]
    fn e3_retry_after_is_seconds_milliseconds_or_a_date_rounded_up() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
        let seconds = |text| retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds(" 0.2 "), Some(1));
        assert_eq!(seconds("Tue, 14 Nov 2023 22:13:25 GMT"), Some(5));
        assert_eq!(seconds("Tue, 14 Nov 2023 22:13:00 GMT"), Some(0));
        for nonsense in ["", "-1", "soon", "1e300", "NaN"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", http::HeaderValue::from_static("9"));
        assert_eq!(retry_after_in(&headers, now), Some(Duration::from_secs(9)));
        headers.insert("retry-after-ms", http::HeaderValue::from_static("1001"));
        assert_eq!(retry_after_in(&headers, now), Some(Duration::from_secs(2)));
    }
}
