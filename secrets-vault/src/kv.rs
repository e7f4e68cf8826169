//! The two versions of the key/value engine.

use secrets_core::{Cause, Error, ErrorKind, Metadata, Result, Secret, Version};
use serde::Deserialize;
use serde_json::value::RawValue;
use vaultrs::api::kv1::requests::GetSecretRequest;
use vaultrs::api::kv2::requests::{ReadSecretMetadataRequest, ReadSecretRequest};

use crate::answer::{Answer, malformed};
use crate::error::Asked;
use crate::json;
use crate::session::Session;
use crate::time::rfc3339;
use crate::token::Token;
use crate::values::Values;

/// Reads a path of a KV v1 mount: `GET {mount}/{path}`.
pub(crate) async fn read_v1(session: &Session, mount: &str, path: &str, values: &Values) -> Result<Secret> {
    let full = format!("{mount}/{path}");
    let asked = Asked::Read { path: &full };
    let endpoint = GetSecretRequest {
        mount: mount.to_owned(),
        path: path.to_owned(),
    };
    let (answer, token) = session.send(&endpoint).await?;
    let data = success(asked, &answer, &token)?
        .data
        .ok_or_else(|| malformed("the answer, which has no `data`,"))?;
    values.secret(json::fields(data, values.binary_suffix())?)
}

/// Reads a version of a path of a KV v2 mount: `GET {mount}/data/{path}?version=N`.
pub(crate) async fn read_v2(
    session: &Session,
    mount: &str,
    path: &str,
    version: Option<u64>,
    values: &Values,
) -> Result<Secret> {
    let full = format!("{mount}/data/{path}");
    let asked = Asked::Read { path: &full };
    let endpoint = ReadSecretRequest {
        mount: mount.to_owned(),
        path: path.to_owned(),
        version,
    };
    let (answer, token) = session.send(&endpoint).await?;
    if answer.status == 404 {
        if let Some(gone) = Gone::read(&answer) {
            return Err(gone.error(&full, version, &answer));
        }
        let refused = Session::explain(asked, &answer, &token);
        if version.is_some() && refused.kind() == ErrorKind::NotFound {
            return Err(absent_version(session, mount, path, refused).await);
        }
        return Err(refused);
    }
    let entry = success(asked, &answer, &token)?.data::<Entry<'_>>()?;
    let data = entry
        .data
        .ok_or_else(|| malformed("the answer, which has no `data.data`,"))?;
    let secret = values.secret(json::fields(data, values.binary_suffix())?)?;
    Ok(secret.with_metadata(entry.metadata.metadata()?))
}

/// A version of a KV v2 secret: a whole number from 1, written the one way. 0 would be the latest to Vault.
///
/// # Errors
///
/// `InvalidName` for anything else.
pub(crate) fn version(version: &Version) -> Result<u64> {
    let text = version.as_str();
    let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if canonical => Ok(number),
        _ => {
            let message = "a version of a KV v2 secret is a whole number from 1 on";
            Err(Error::new(ErrorKind::InvalidName, message))
        }
    }
}

fn success<'a>(asked: Asked<'_>, answer: &'a Answer, token: &Token) -> Result<crate::answer::Frame<'a>> {
    match answer.status {
        200..=299 => answer.parse(),
        _ => Err(Session::explain(asked, answer, token)),
    }
}

/// Vault answers alike for a version that never was and a secret that never was; its metadata tells which.
async fn absent_version(session: &Session, mount: &str, path: &str, absent: Error) -> Error {
    let endpoint = ReadSecretMetadataRequest {
        mount: mount.to_owned(),
        path: path.to_owned(),
    };
    match session.send(&endpoint).await {
        Ok((answer, _)) if answer.status == 404 => absent,
        Ok((answer, _)) if (200..=299).contains(&answer.status) => {
            let message = "the secret has no such version, or has it no more";
            Error::new(ErrorKind::VersionNotFound, message).with_cause(Cause::new().with_status(404))
        }
        // Not known; of the two, this is the one that nobody takes for "there is no such secret".
        Ok((answer, _)) if answer.status == 403 => {
            let message = format!(
                "there is no such version, or no such secret; to be told which, let the policy `read` {mount}/metadata/{path}"
            );
            Error::new(ErrorKind::VersionNotFound, message).with_cause(Cause::new().with_status(404))
        }
        Ok((answer, token)) => {
            let asked = Asked::Read { path };
            Session::explain(asked, &answer, &token)
        }
        Err(error) => error,
    }
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: VersionMetadata<'a>,
}

#[derive(Deserialize)]
struct VersionMetadata<'a> {
    version: u64,
    #[serde(borrow)]
    created_time: Option<&'a str>,
    #[serde(borrow)]
    deletion_time: Option<&'a str>,
    #[serde(default)]
    destroyed: bool,
    #[serde(borrow)]
    custom_metadata: Option<&'a RawValue>,
}

impl VersionMetadata<'_> {
    fn metadata(&self) -> Result<Metadata> {
        let mut metadata = Metadata::new().with_version(Version::new(self.version.to_string())?);
        if let Some(created) = self.created_time.and_then(rfc3339) {
            metadata = metadata.with_created(created);
        }
        // Of a version that is still served: when `delete_version_after` will delete it.
        if let Some(expires) = self.deletion_time.and_then(rfc3339) {
            metadata = metadata.with_expires(expires);
        }
        if let Some(custom) = self.custom_metadata {
            if custom.get() != "null" {
                for field in json::fields(custom, None)? {
                    let value = String::from_utf8_lossy(field.expose_secret()).into_owned();
                    metadata = metadata.with_attribute(field.name(), value);
                }
            }
        }
        Ok(metadata)
    }
}

/// A version that is deleted or destroyed: Vault answers 404, with the version's metadata.
struct Gone {
    version: u64,
    destroyed: bool,
}

impl Gone {
    fn read(answer: &Answer) -> Option<Self> {
        let metadata = answer.parse().ok()?.data::<Entry<'_>>().ok()?.metadata;
        Some(Self {
            version: metadata.version,
            destroyed: metadata.destroyed,
        })
    }

    fn error(&self, path: &str, pinned: Option<u64>, answer: &Answer) -> Error {
        let version = self.version;
        let message = if self.destroyed {
            format!("version {version} of {path} is destroyed; write a new one")
        } else {
            format!("version {version} of {path} is deleted; undelete it or write a new one")
        };
        let kind = match pinned {
            None => ErrorKind::NotFound,
            Some(_) => ErrorKind::VersionNotFound,
        };
        Error::new(kind, message).with_cause(answer.cause())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_a_malformed_version_is_refused_before_any_request() {
        for bad in [
            "0",
            "01",
            "+1",
            "-1",
            "1.0",
            "latest",
            "99999999999999999999999",
            "１",
        ] {
            let error = version(&Version::new(bad).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidName, "{bad}");
        }
        assert_eq!(version(&Version::new("12").unwrap()).unwrap(), 12);
    }
}
