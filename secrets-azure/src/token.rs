use std::fmt;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use secrets_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json;
use crate::time::rfc3339;
use crate::transport::bearer;

/// A token's last moments are not used: a request on its way would arrive with a dead one.
const LAST_MOMENTS: Duration = Duration::from_secs(5);

/// A token, as it was issued.
pub(crate) struct Grant {
    pub(crate) header: HeaderValue,
    /// Boot time at which it was asked for: it lives from then on at least.
    pub(crate) since: Duration,
    pub(crate) lifetime: Duration,
}

/// A token and how long it lives. All instants are boot time: a token ages while the machine sleeps.
pub(crate) struct Token {
    pub(crate) header: HeaderValue,
    /// Which login brought it.
    pub(crate) generation: u64,
    /// What it is for.
    pub(crate) scope: Box<str>,
    ends: Duration,
    lifetime: Duration,
    /// When to replace it.
    due: Duration,
}

impl Grant {
    /// Reads the answer of Microsoft Entra ID, of an identity endpoint, of `az` or of `azd`.
    pub(crate) fn read(body: &[u8], since: Duration, now: SystemTime) -> Result<Self> {
        #[derive(Deserialize)]
        struct Issued<'a> {
            #[serde(borrow, alias = "accessToken", alias = "token")]
            access_token: &'a RawValue,
            #[serde(borrow)]
            expires_in: Option<&'a RawValue>,
            #[serde(borrow)]
            expires_on: Option<&'a RawValue>,
            #[serde(rename = "expiresOn")]
            expires: Option<String>,
        }
        let issued: Issued<'_> = json::parse(body)?;
        let until = |at: SystemTime| at.duration_since(now).unwrap_or_default();
        let seconds = |raw: &RawValue| json::number(raw).and_then(|number| u64::try_from(number).ok());
        let lifetime = match (
            issued.expires_on.and_then(seconds),
            issued.expires_in.and_then(seconds),
        ) {
            (_, Some(seconds)) => Some(Duration::from_secs(seconds)),
            (Some(at), None) => SystemTime::UNIX_EPOCH
                .checked_add(Duration::from_secs(at))
                .map(until),
            (None, None) => issued.expires.as_deref().and_then(rfc3339).map(until),
        };
        let unusable = |message| Error::new(ErrorKind::InvalidData, message);
        let lifetime =
            lifetime.ok_or_else(|| unusable("the token that was issued does not say when it ends"))?;
        let token = json::text(issued.access_token)?;
        if token.is_empty() {
            return Err(unusable("the token that was issued is empty"));
        }
        Ok(Self {
            header: bearer(&token)?,
            since,
            lifetime: lifetime.min(Duration::from_secs(30 * 86_400)),
        })
    }

    /// Whether a request sent now arrives while the token lives.
    pub(crate) fn is_usable(&self, now: Duration) -> bool {
        usable(now, self.since + self.lifetime, self.lifetime)
    }
}

impl Token {
    /// `jitter` is between 0 and 1.
    pub(crate) fn new(grant: Grant, generation: u64, scope: &str, jitter: f64) -> Self {
        Self {
            header: grant.header,
            generation,
            scope: scope.into(),
            ends: grant.since + grant.lifetime,
            lifetime: grant.lifetime,
            due: grant.since + due(grant.lifetime, jitter),
        }
    }

    /// Whether a request sent now arrives while the token lives.
    pub(crate) fn usable(&self, now: Duration) -> bool {
        usable(now, self.ends, self.lifetime)
    }

    /// Whether it is time for another one.
    pub(crate) fn due(&self, now: Duration) -> bool {
        self.due <= now
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

fn usable(now: Duration, ends: Duration, lifetime: Duration) -> bool {
    now + LAST_MOMENTS.min(lifetime / 20) < ends
}

/// Two thirds of a life, give or take a tenth of it: clients that started together do not stay together.
fn due(lifetime: Duration, jitter: f64) -> Duration {
    lifetime.mul_f64(0.6 + jitter * 2.0 / 15.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn read(body: &str) -> Result<Grant> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
        Grant::read(body.as_bytes(), HOUR, now)
    }

    #[test]
    fn every_way_in_which_an_end_is_written_is_read() {
        for body in [
            r#"{"token_type":"Bearer","expires_in":3600,"ext_expires_in":3600,"access_token":"t"}"#,
            r#"{"access_token":"t","expires_on":"1893459600","resource":"r","token_type":"Bearer"}"#,
            r#"{"accessToken":"t","expiresOn":"2030-01-01 01:00:00.000000","expires_on":1893459600}"#,
            r#"{"token":"t","expiresOn":"2030-01-01T01:00:00Z"}"#,
        ] {
            let grant = read(body).unwrap();
            assert_eq!(
                (grant.lifetime, grant.header.as_bytes()),
                (HOUR, &b"Bearer t"[..]),
                "{body}"
            );
        }
    }

    #[test]
    fn v8_what_is_no_token_is_refused_without_being_quoted() {
        for bad in [
            "",
            "{}",
            r#"{"access_token":"hunter2"}"#,
            r#"{"access_token":"","expires_in":1}"#,
            r#"{"access_token":"hunter2\n","expires_in":1}"#,
            r#"{"access_token":{"hunter2":1},"expires_in":1}"#,
            r#"{"access_token":"hunter2","expires_in":"hunter2"}"#,
        ] {
            let error = read(bad).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{bad}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{bad}");
        }
    }

    #[test]
    fn a1_replacement_is_due_at_a_jittered_two_thirds() {
        assert_eq!(due(HOUR, 0.0), HOUR * 3 / 5);
        assert_eq!(due(HOUR, 0.5), HOUR * 2 / 3);
        assert!(due(HOUR, 1.0) < HOUR * 3 / 4);
    }

    #[test]
    fn a5_a_token_is_not_used_in_its_last_moments() {
        let grant = |lifetime| Grant {
            header: HeaderValue::from_static("t"),
            since: HOUR,
            lifetime,
        };
        let token = Token::new(grant(HOUR), 1, "s", 0.5);
        assert!(token.usable(HOUR + Duration::from_secs(3_594)));
        assert!(!token.usable(HOUR + Duration::from_secs(3_595)));
        let short = Token::new(grant(Duration::from_secs(2)), 1, "s", 0.5);
        assert!(short.usable(HOUR + Duration::from_millis(1_800)));
        assert!(!short.usable(HOUR + Duration::from_millis(1_900)));
    }
}
