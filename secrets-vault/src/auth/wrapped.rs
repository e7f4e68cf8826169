use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use secrets_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use vaultrs::api::sys::requests::UnwrapRequest;
use zeroize::Zeroizing;

use super::{Grant, Method, Way, app_role, check_role};
use crate::api::LookupWrapped;
use crate::credential::Credential;
use crate::error::Asked;
use crate::json;
use crate::transport::secret_header;

/// `AppRole` whose secret id comes wrapped in a single-use token.
pub(super) struct WrappedAppRole {
    role_id: String,
    wrapping_token: Credential,
    opened: Mutex<Option<Opened>>,
}

/// A wrapping token opens once: what was in it is kept beside it.
#[derive(Clone)]
struct Opened {
    wrapping_token: Zeroizing<Vec<u8>>,
    secret_id: Zeroizing<Vec<u8>>,
}

impl WrappedAppRole {
    pub(super) fn new(role_id: String, wrapping_token: Credential) -> Self {
        Self {
            role_id,
            wrapping_token,
            opened: Mutex::new(None),
        }
    }

    async fn secret_id(&self, way: Way<'_>) -> Result<Zeroizing<Vec<u8>>> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let wrapping_token = match (self.wrapping_token.read("wrapping token").await, opened) {
            (Ok(token), Some(opened)) if opened.wrapping_token == token => return Ok(opened.secret_id),
            // The file may be gone once it has done its work.
            (Err(_), Some(opened)) => return Ok(opened.secret_id),
            (read, _) => read?,
        };
        check_origin(way, &wrapping_token).await?;
        let secret_id = open(way, &wrapping_token).await?;
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(Opened {
            wrapping_token,
            secret_id: secret_id.clone(),
        });
        Ok(secret_id)
    }
}

#[async_trait]
impl Method for WrappedAppRole {
    fn usual_mount(&self) -> Option<&'static str> {
        Some("approle")
    }

    fn check(&self, _has_certificate: bool) -> Result<()> {
        check_role(&self.role_id, "role id")?;
        self.wrapping_token.check("wrapping token")
    }

    async fn login(&self, way: Way<'_>) -> Result<Grant> {
        let secret_id = self.secret_id(way).await?;
        app_role::login(way, &self.role_id, &secret_id).await
    }
}

impl fmt::Debug for WrappedAppRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedAppRole")
            .field("wrapping_token", &self.wrapping_token)
            .finish_non_exhaustive()
    }
}

/// Whoever intercepts a wrapping token can open it and wrap something else; only the path that made it gives that away.
async fn check_origin(way: Way<'_>, wrapping_token: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    struct Origin<'a> {
        #[serde(borrow)]
        creation_path: &'a RawValue,
    }
    let lookup = LookupWrapped {
        token: wrapping_token,
    };
    let answer = way.transport.send(&lookup, None, way.limit).await?;
    let frame = answer
        .frame(Asked::System {
            path: "sys/wrapping/lookup",
        })
        .map_err(spent)?;
    let path = json::text(frame.data::<Origin<'_>>()?.creation_path)?;
    let role = std::str::from_utf8(&path)
        .ok()
        .and_then(|path| path.strip_prefix(&format!("auth/{}/role/", way.mount)))
        .and_then(|rest| rest.strip_suffix("/secret-id"));
    if role.is_some_and(|role| !role.is_empty() && !role.contains('/')) {
        return Ok(());
    }
    let message = format!(
        "the wrapping token was not made by auth/{}/role/…/secret-id: it may have been intercepted and replaced; treat \
         this as an incident",
        way.mount
    );
    Err(Error::new(ErrorKind::Unauthenticated, message))
}

async fn open(way: Way<'_>, wrapping_token: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        secret_id: &'a RawValue,
    }
    let header = secret_header(wrapping_token)?;
    let answer = way
        .transport
        .send(&UnwrapRequest { token: None }, Some(&header), way.limit)
        .await?;
    let frame = answer
        .frame(Asked::System {
            path: "sys/wrapping/unwrap",
        })
        .map_err(spent)?;
    json::text(frame.data::<Wrapped<'_>>()?.secret_id)
}

/// A token that opens nothing any more is refused with 400 or 403.
fn spent(error: Error) -> Error {
    let status = error.cause().and_then(secrets_core::Cause::status);
    if !matches!(status, Some(400 | 403 | 404)) {
        return error;
    }
    let message = "the wrapping token has expired or was opened already; wrap a new secret id, and if nobody of yours \
                   opened it, treat this as an incident";
    let spent = Error::new(ErrorKind::Unauthenticated, message);
    match error.cause() {
        Some(cause) => spent.with_cause(cause.clone()),
        None => spent,
    }
}
