//! What every answer of Vault means.

use std::time::{Duration, SystemTime};

use secrets_core::{Cause, Error, ErrorKind};

use crate::answer::Answer;

/// What was asked, for messages that say what to do next: which policy, which option.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked<'a> {
    /// A login at this auth method.
    Login { method: &'static str, mount: &'a str },
    /// Something about a lease.
    Lease { path: &'a str },
    /// The names below a path.
    List { path: &'a str },
    /// The value at a path.
    Read { path: &'a str },
    /// Anything else, by its path.
    System { path: &'a str },
}

impl Asked<'_> {
    fn path(self) -> String {
        match self {
            Self::Login { mount, .. } => format!("auth/{mount}/login"),
            Self::Lease { path } | Self::List { path } | Self::Read { path } | Self::System { path } => {
                path.to_owned()
            }
        }
    }

    fn capability(self) -> &'static str {
        match self {
            Self::Login { .. } | Self::Lease { .. } => "update",
            Self::List { .. } => "list",
            Self::Read { .. } | Self::System { .. } => "read",
        }
    }
}

/// The phrases of Vault's own error texts that change what a status means. The texts themselves go no further: they may
/// quote what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "one for each phrase, and any of them may stand beside another"
)]
pub(crate) struct Hints {
    /// `invalid token`, `bad token`: the 403 is about the token and not about the path.
    pub(crate) bad_token: bool,
    /// `missing client token`.
    pub(crate) missing_token: bool,
    /// `no handler for route`, `route entry not found`: nothing is mounted there.
    pub(crate) no_mount: bool,
    /// `Invalid path for a versioned K/V secrets engine`, in the warnings: a KV v2 mount is read as v1.
    pub(crate) versioned: bool,
    /// `unknown role`, `role "x" not found`.
    pub(crate) unknown_role: bool,
    /// `Upgrading from non-versioned to versioned data`.
    pub(crate) upgrading: bool,
    /// `lease not found`, `lease expired`: it was revoked, or ended.
    pub(crate) lease_gone: bool,
    /// `lease is not renewable`.
    pub(crate) not_renewable: bool,
    /// `unsupported operation`, `unsupported path`.
    pub(crate) unsupported: bool,
    /// `Vault is sealed`.
    pub(crate) sealed: bool,
}

impl Hints {
    /// Reads one text of `errors` or `warnings`.
    pub(crate) fn read(&mut self, text: &str) {
        let has = |phrase: &str| {
            text.as_bytes()
                .windows(phrase.len())
                .any(|window| window.eq_ignore_ascii_case(phrase.as_bytes()))
        };
        self.bad_token |= has("invalid token") || has("bad token");
        self.missing_token |= has("missing client token");
        self.no_mount |= has("no handler for route") || has("route entry not found");
        self.versioned |= has("for a versioned k/v secrets engine");
        self.unknown_role |= has("unknown role") || (has("role") && has("not found"));
        self.upgrading |= has("upgrading from non-versioned");
        self.lease_gone |= has("lease not found") || has("lease expired") || has("invalid lease");
        self.not_renewable |= has("not renewable");
        self.unsupported |= has("unsupported operation") || has("unsupported path");
        self.sealed |= has("vault is sealed");
    }
}

/// The error that an answer other than success stands for.
///
/// A 404 with a body that carries the metadata of a deleted version never comes here: the reader of the engine knows
/// what it means.
pub(crate) fn refused(asked: Asked<'_>, answer: &Answer) -> Error {
    let (kind, message) = meaning(asked, answer.status, answer.hints());
    let mut error = Error::new(kind, message).with_cause(answer.cause());
    if let Some(after) = answer.retry_after {
        error = error.with_retry_after(after);
    }
    error
}

/// The table of statuses. Its rows, in words, are in the documentation of the crate.
fn meaning(asked: Asked<'_>, status: u16, hints: Hints) -> (ErrorKind, String) {
    use ErrorKind as Kind;
    let path = asked.path();
    match status {
        300..=399 => (
            Kind::Unavailable,
            "a standby sends clients elsewhere; redirects are not followed: give the address of the active node, or \
             of every node"
                .into(),
        ),
        400 => bad_request(asked, &path, hints),
        401 => (Kind::Unauthenticated, not_accepted(asked, &path)),
        403 => match asked {
            Asked::Login { .. } => (Kind::Unauthenticated, not_accepted(asked, &path)),
            _ if hints.bad_token => (Kind::Unauthenticated, not_accepted(asked, &path)),
            _ => (Kind::PermissionDenied, denied(asked, &path)),
        },
        404 => not_found(asked, &path, hints),
        405 => (
            Kind::Unsupported,
            format!("nothing at `{path}` can be asked this way; check mount and engine"),
        ),
        408 | 504 => (Kind::Timeout, "a proxy in front of Vault gave up waiting".into()),
        412 => (
            Kind::Unavailable,
            "this node has not caught up with the state the request needs; try again".into(),
        ),
        413 => (Kind::InvalidData, format!("the request to `{path}` is too large for the server")),
        429 => match asked {
            Asked::System { path: "sys/health" } => (Kind::Unavailable, "this node is a standby".into()),
            _ => (
                Kind::RateLimited,
                "a rate limit or lease count quota is used up; ask less often or raise it".into(),
            ),
        },
        472 => (
            Kind::Unavailable,
            "this node is a disaster recovery secondary; give the address of the primary cluster".into(),
        ),
        473 => (Kind::Unavailable, "this node is a performance standby that cannot answer now".into()),
        500 => (Kind::Unavailable, format!("Vault failed inside on `{path}`; its log has the reason")),
        501 => (Kind::Unavailable, "Vault is not initialised; run `operator init`".into()),
        502 => (
            Kind::Unavailable,
            "Vault, or a proxy in front of it, got no usable answer from the service behind it".into(),
        ),
        503 => (Kind::Unavailable, "Vault is sealed or in maintenance; unseal it".into()),
        505..=599 => (Kind::Unavailable, format!("Vault, or a proxy in front of it, failed on `{path}`")),
        _ => (Kind::InvalidData, format!("`{path}` answered with a status Vault does not use; is this Vault?")),
    }
}

fn bad_request(asked: Asked<'_>, path: &str, hints: Hints) -> (ErrorKind, String) {
    use ErrorKind as Kind;
    match asked {
        _ if hints.upgrading => (
            Kind::Unavailable,
            "the mount is being upgraded to versioned data; it answers again soon".into(),
        ),
        _ if hints.sealed => (Kind::Unavailable, "Vault is sealed; unseal it".into()),
        Asked::Login { .. } => (Kind::Unauthenticated, not_accepted(asked, path)),
        _ if hints.missing_token => (
            Kind::Unauthenticated,
            "Vault saw no token; does a proxy drop headers?".into(),
        ),
        Asked::Read { .. } if hints.unknown_role => (Kind::NotFound, format!("there is no role at `{path}`")),
        Asked::Lease { .. } if hints.lease_gone => {
            (Kind::NotFound, "the lease has ended or was revoked".into())
        }
        _ if hints.unsupported => (
            Kind::Unsupported,
            format!("nothing at `{path}` can be asked this way; check mount and engine"),
        ),
        _ => (
            Kind::InvalidData,
            format!("Vault refuses the request to `{path}` as malformed; check mount and engine"),
        ),
    }
}

fn not_found(asked: Asked<'_>, path: &str, hints: Hints) -> (ErrorKind, String) {
    use ErrorKind as Kind;
    if hints.no_mount {
        return match asked {
            Asked::Login { method, mount } => (
                Kind::InvalidConfig,
                format!(
                    "no auth method is mounted at `auth/{mount}`; enable {method} there, or give its auth mount (and check the namespace)"
                ),
            ),
            _ => (
                Kind::InvalidConfig,
                format!("no engine is mounted where `{path}` points; check mount and namespace"),
            ),
        };
    }
    if hints.versioned {
        return (
            Kind::InvalidConfig,
            format!("`{path}` lies in a KV v2 mount and was read as v1; set the engine to KV v2 (`kv=2`)"),
        );
    }
    match asked {
        Asked::Login { method, mount } => (
            Kind::InvalidConfig,
            format!(
                "nothing answers at `auth/{mount}/login`; enable {method} there, or give its auth mount (and check the namespace)"
            ),
        ),
        _ => (Kind::NotFound, format!("there is nothing at `{path}`")),
    }
}

fn denied(asked: Asked<'_>, path: &str) -> String {
    let verb = match asked {
        Asked::List { .. } => "listing",
        _ => "reading",
    };
    let capability = asked.capability();
    format!("permission denied {verb} {path}: the policy needs `{capability}` on {path}")
}

fn not_accepted(asked: Asked<'_>, path: &str) -> String {
    match asked {
        Asked::Login { method, .. } => {
            format!(
                "Vault does not accept the {method} login at {path}; check the credentials, the role and the auth mount"
            )
        }
        _ => format!(
            "Vault does not accept the token for {path}, also after logging in again where that is possible"
        ),
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

/// A failure of the way to Vault: no status came.
pub(crate) fn transport(error: &reqwest::Error) -> Error {
    if error.is_timeout() {
        let message = "the connection to Vault took too long; check the address and the network";
        return Error::new(ErrorKind::Timeout, message).with_cause(Cause::new().with_code("timeout"));
    }
    let (code, message) = if error.is_connect() {
        if certificate(error) {
            (
                "tls",
                "the TLS handshake with Vault failed: its certificate is not trusted, has expired or is for another name, \
                 or it speaks no TLS 1.2; check the address, and give its authority (`ca_file`)",
            )
        } else {
            (
                "connect",
                "no connection to Vault; check the address, the network and that it runs",
            )
        }
    } else {
        (
            "connection",
            "the connection to Vault broke before the whole answer was there",
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
    let message = format!("Vault did not answer within {} s", limit.as_secs_f64());
    Error::new(ErrorKind::Timeout, message).with_cause(Cause::new().with_code("timeout"))
}

/// An option that makes no sense.
pub(crate) fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message.into()).with_backend(crate::backend::NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, text: &str) -> ErrorKind {
        let mut hints = Hints::default();
        hints.read(text);
        meaning(
            Asked::Read {
                path: "secret/data/a",
            },
            status,
            hints,
        )
        .0
    }

    #[test]
    fn e1_every_status_has_its_kind() {
        use ErrorKind as K;
        for (status, text, kind) in [
            (307, "", K::Unavailable),
            (400, "", K::InvalidData),
            (400, "missing client token", K::Unauthenticated),
            (400, "unknown role: readonly", K::NotFound),
            (
                400,
                "Upgrading from non-versioned to versioned data. This backend will be unavailable",
                K::Unavailable,
            ),
            (400, "1 error occurred:\n\t* unsupported path\n\n", K::Unsupported),
            (401, "", K::Unauthenticated),
            (
                403,
                "1 error occurred:\n\t* permission denied\n\n",
                K::PermissionDenied,
            ),
            (
                403,
                "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n",
                K::Unauthenticated,
            ),
            (403, "bad token", K::Unauthenticated),
            (404, "", K::NotFound),
            (
                404,
                "no handler for route \"nope/data/a\". route entry not found.",
                K::InvalidConfig,
            ),
            (
                404,
                "Invalid path for a versioned K/V secrets engine. See the API docs",
                K::InvalidConfig,
            ),
            (
                405,
                "1 error occurred:\n\t* unsupported operation\n\n",
                K::Unsupported,
            ),
            (408, "", K::Timeout),
            (412, "required index state not present", K::Unavailable),
            (413, "", K::InvalidData),
            (418, "", K::InvalidData),
            (
                429,
                "request path \"x\": rate limit quota exceeded",
                K::RateLimited,
            ),
            (472, "", K::Unavailable),
            (473, "", K::Unavailable),
            (
                500,
                "local node not active but active cluster node not found",
                K::Unavailable,
            ),
            (501, "", K::Unavailable),
            (502, "", K::Unavailable),
            (503, "Vault is sealed", K::Unavailable),
            (504, "", K::Timeout),
            (599, "", K::Unavailable),
        ] {
            assert_eq!(read(status, text), kind, "{status} {text}");
        }
    }

    #[test]
    fn e2_denied_says_which_policy_is_missing() {
        let asked = Asked::Read {
            path: "secret/data/smtp/database",
        };
        assert_eq!(
            meaning(asked, 403, Hints::default()),
            (
                ErrorKind::PermissionDenied,
                "permission denied reading secret/data/smtp/database: the policy needs `read` on \
                 secret/data/smtp/database"
                    .to_owned()
            )
        );
    }

    #[test]
    fn e1_a_refused_login_is_unauthenticated_and_a_missing_one_is_configuration() {
        let asked = Asked::Login {
            method: "AppRole",
            mount: "approle",
        };
        for status in [400, 401, 403] {
            assert_eq!(
                meaning(asked, status, Hints::default()).0,
                ErrorKind::Unauthenticated
            );
        }
        assert_eq!(meaning(asked, 404, Hints::default()).0, ErrorKind::InvalidConfig);
        assert_eq!(meaning(asked, 503, Hints::default()).0, ErrorKind::Unavailable);
    }

    #[test]
    fn e4_a_standby_is_told_apart_from_a_quota() {
        let health = Asked::System { path: "sys/health" };
        assert_eq!(meaning(health, 429, Hints::default()).0, ErrorKind::Unavailable);
        assert_eq!(read(429, ""), ErrorKind::RateLimited);
    }

    #[test]
    fn e3_retry_after_is_seconds_or_a_date_rounded_up() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
        let seconds = |text| retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds(" 0.2 "), Some(1));
        assert_eq!(seconds("Tue, 14 Nov 2023 22:13:25 GMT"), Some(5));
        assert_eq!(seconds("Tue, 14 Nov 2023 22:13:00 GMT"), Some(0));
        for nonsense in ["", "-1", "soon", "1e300", "NaN"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }
}
