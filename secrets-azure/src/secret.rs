//! One secret, as Key Vault writes it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use secrets_core::{Cause, Error, ErrorKind, Metadata, Result, Secret, Version};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::Answer;
use crate::client::{Call, Client};
use crate::error::{self, Asked, malformed};
use crate::json;
use crate::name::is_version;

/// How secrets are read.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) max_value: usize,
    pub(crate) serve_expired: bool,
    /// The identity may not look at deleted secrets: it is not asked to again.
    pub(crate) blind: AtomicBool,
}

impl Reader {
    /// Reads the latest version, or this one.
    pub(crate) async fn read(&self, client: &Client, name: &str, version: Option<&str>) -> Result<Secret> {
        let answer = client.send(Call::Secret { name, version }).await?;
        if answer.succeeded() {
            return self.secret(&answer, name, version, client.now());
        }
        let refused = error::refused(Asked::Read, &answer);
        if refused.kind() == ErrorKind::NotFound && answer.status == 404 {
            return Err(self.absent(client, name, version, refused).await);
        }
        Err(refused)
    }

    fn secret(&self, answer: &Answer, name: &str, version: Option<&str>, now: SystemTime) -> Result<Secret> {
        let bundle: Bundle<'_> = answer.parse()?;
        let id = bundle.id.clone();
        let found = id.as_deref().and_then(Id::parse);
        let found = found.ok_or_else(|| malformed("the answer, whose `id` is no secret's,"))?;
        if !found.name.eq_ignore_ascii_case(name) || version.is_some_and(|version| version != found.version) {
            return Err(malformed("the answer, which is about another secret or version,"));
        }
        let attributes = &bundle.attributes;
        self.usable(attributes, now)?;
        let mut text = json::text(
            bundle
                .value
                .ok_or_else(|| malformed("the answer, which has no `value`,"))?,
        )?;
        if text.len() > self.max_value {
            let message = format!("the value is larger than the {} bytes allowed", self.max_value);
            return Err(Error::new(ErrorKind::InvalidData, message));
        }
        let secret = Secret::new(std::mem::take(&mut *text));
        Ok(secret.with_metadata(bundle.metadata(found.version)?))
    }

    /// Key Vault itself serves what is not valid yet or no more; whoever set those dates did not mean that.
    fn usable(&self, attributes: &Attributes, now: SystemTime) -> Result<()> {
        let disabled = |message| Err(Error::new(ErrorKind::Disabled, message));
        if attributes.enabled == Some(false) {
            return disabled("the secret is disabled; enable it, or a newer version of it");
        }
        if attributes.nbf.and_then(instant).is_some_and(|from| now < from) {
            return disabled("the secret is not valid yet; wait for its activation date (`nbf`)");
        }
        let ended = |end: i64| end < 0 || instant(end).is_some_and(|end| end <= now);
        if !self.serve_expired && attributes.exp.is_some_and(ended) {
            return disabled(
                "the secret has expired; set a new version or a later expiry (`exp`), or allow it by `serve_expired`",
            );
        }
        Ok(())
    }

    /// Key Vault answers alike for a version that never was, a secret that never was and one that is deleted: whoever may
    /// ask further is told which.
    async fn absent(&self, client: &Client, name: &str, version: Option<&str>, absent: Error) -> Error {
        let gone = |kind, message: &'static str| {
            let cause = absent
                .cause()
                .cloned()
                .unwrap_or_else(|| Cause::new().with_status(404));
            Error::new(kind, message).with_cause(cause)
        };
        if version.is_some() {
            let no_such_version = || gone(ErrorKind::VersionNotFound, "the secret has no such version");
            match client.send(Call::Secret { name, version: None }).await {
                Ok(latest) if latest.status == 404 => {}
                Ok(latest) if latest.succeeded() => return no_such_version(),
                Ok(latest) => {
                    let refused = error::refused(Asked::Read, &latest);
                    return match refused.kind() {
                        ErrorKind::Disabled => no_such_version(),
                        _ => refused,
                    };
                }
                Err(error) => return error,
            }
        }
        if self.blind.load(Ordering::Relaxed) {
            return absent;
        }
        match client.send(Call::Deleted { name }).await {
            Ok(deleted) if deleted.succeeded() && version.is_some() => gone(
                ErrorKind::VersionNotFound,
                "the secret is deleted, and with it all versions; recover it, or create it anew",
            ),
            Ok(deleted) if deleted.succeeded() => gone(
                ErrorKind::NotFound,
                "the secret is deleted and not purged yet: recover it, or purge it and create it anew",
            ),
            Ok(deleted) if deleted.status == 403 => {
                self.blind.store(true, Ordering::Relaxed);
                absent
            }
            // Soft delete may be off, the secret may be purged, or never have been: it is absent in each case.
            _ => absent,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle<'a> {
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    id: Option<String>,
    content_type: Option<String>,
    #[serde(default)]
    attributes: Attributes,
    tags: Option<BTreeMap<String, String>>,
    managed: Option<bool>,
}

#[derive(Default, Deserialize)]
struct Attributes {
    enabled: Option<bool>,
    nbf: Option<i64>,
    exp: Option<i64>,
    created: Option<i64>,
}

impl Bundle<'_> {
    fn metadata(self, version: &str) -> Result<Metadata> {
        let mut metadata = Metadata::new().with_version(Version::new(version)?);
        if let Some(created) = self.attributes.created.and_then(instant) {
            metadata = metadata.with_created(created);
        }
        if let Some(expires) = self.attributes.exp.and_then(instant) {
            metadata = metadata.with_expires(expires);
        }
        if let Some(content_type) = self.content_type {
            metadata = metadata.with_attribute("contentType", content_type);
        }
        if let Some(from) = self.attributes.nbf {
            metadata = metadata.with_attribute("notBefore", from.to_string());
        }
        if self.managed == Some(true) {
            metadata = metadata.with_attribute("managed", "true");
        }
        for (name, value) in self.tags.unwrap_or_default() {
            metadata = metadata.with_attribute(format!("tags/{name}"), value);
        }
        Ok(metadata)
    }
}

/// `https://myvault.vault.azure.net/secrets/{name}/{version}`.
pub(crate) struct Id<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
}

impl<'a> Id<'a> {
    fn parse(id: &'a str) -> Option<Self> {
        let (name, version) = path(id)?.split_once('/')?;
        let whole = !name.is_empty() && is_version(version);
        whole.then_some(Self { name, version })
    }
}

/// What follows `/secrets/` in an id.
pub(crate) fn path(id: &str) -> Option<&str> {
    let (_, rest) = id.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    path.strip_prefix("secrets/")
}

fn instant(seconds: i64) -> Option<SystemTime> {
    let since = Duration::from_secs(u64::try_from(seconds).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    const VERSION: &str = "0123456789abcdef0123456789abcdef";

    fn read(rest: &str, serve_expired: bool) -> Result<Secret> {
        let body = format!(r#"{{"id":"https://v.vault.azure.net/secrets/A--b/{VERSION}",{rest}}}"#);
        let answer = Answer {
            status: 200,
            retry_after: None,
            request_id: None,
            body: Zeroizing::new(body.into_bytes()),
        };
        let reader = Reader {
            max_value: 10,
            serve_expired,
            blind: AtomicBool::new(false),
        };
        reader.secret(&answer, "a--b", None, instant(1_000).unwrap())
    }

    #[test]
    fn r2_metadata_has_all_that_key_vault_says() {
        let secret = read(
            r#""value":"v","contentType":"application/x-pkcs12","managed":true,"tags":{"contentType":"mine","team":"a"},
               "attributes":{"enabled":true,"nbf":1000,"exp":2000,"created":500,"updated":600,"recoveryLevel":"Recoverable"}"#,
            false,
        );
        let secret = secret.unwrap();
        let metadata = secret.metadata();
        assert_eq!(secret.expose_secret(), b"v");
        assert_eq!(metadata.version().unwrap().as_str(), VERSION);
        assert_eq!(
            (metadata.created(), metadata.expires()),
            (instant(500), instant(2_000))
        );
        let attributes: Vec<_> = metadata.attributes().collect();
        let expected = [
            ("contentType", "application/x-pkcs12"),
            ("managed", "true"),
            ("notBefore", "1000"),
            ("tags/contentType", "mine"),
            ("tags/team", "a"),
        ];
        assert_eq!(attributes, expected);
    }

    #[test]
    fn r4_disabled_not_yet_valid_and_expired_are_disabled_with_the_reason() {
        for (attributes, says) in [
            (r#"{"enabled":false}"#, "is disabled"),
            (r#"{"enabled":true,"nbf":1001}"#, "not valid yet"),
            (r#"{"enabled":true,"exp":1000}"#, "has expired"),
            (r#"{"enabled":true,"exp":-1}"#, "has expired"),
        ] {
            let error = read(&format!(r#""value":"v","attributes":{attributes}"#), false).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Disabled);
            assert!(error.message().contains(says), "{error}");
        }
        let expired = read(r#""value":"v","attributes":{"enabled":true,"exp":1000}"#, true).unwrap();
        assert_eq!(expired.metadata().expires(), instant(1_000));
        assert!(read(r#""value":"v","attributes":{"nbf":1000,"exp":1001}"#, false).is_ok());
    }

    #[test]
    fn v8_an_answer_about_something_else_is_no_value() {
        for rest in [
            r#""attributes":{}"#,
            r#""value":null,"attributes":{}"#,
            r#""value":1,"attributes":{}"#,
            r#""value":"\ud800","attributes":{}"#,
            r#""value":"hunter2-is-long","attributes":{}"#,
        ] {
            let error = read(rest, false).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{rest}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
        for id in [
            "",
            "secrets/a/b",
            "https://v/secrets/a",
            "https://v/secrets/a/b",
            "https://v/secrets/a/hunter2%20?",
            "https://v/secrets/a/0123456789abcdef0123456789abcdef/c",
            "https://v/keys/a/0123456789abcdef0123456789abcdef",
        ] {
            assert!(Id::parse(id).is_none(), "{id}");
        }
    }
}
