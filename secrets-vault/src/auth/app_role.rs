use std::fmt;

use async_trait::async_trait;
use secrets_core::Result;

use super::{Grant, Method, Way, check_role};
use crate::credential::Credential;

/// `AppRole` with a secret id, or without.
pub(super) struct AppRole {
    role_id: String,
    secret_id: Option<Credential>,
}

impl AppRole {
    pub(super) fn new(role_id: String, secret_id: Option<Credential>) -> Self {
        Self { role_id, secret_id }
    }
}

#[async_trait]
impl Method for AppRole {
    fn usual_mount(&self) -> Option<&'static str> {
        Some("approle")
    }

    fn check(&self, _has_certificate: bool) -> Result<()> {
        check_role(&self.role_id, "role id")?;
        self.secret_id
            .as_ref()
            .map_or(Ok(()), |secret_id| secret_id.check("secret id"))
    }

    async fn login(&self, way: Way<'_>) -> Result<Grant> {
        match &self.secret_id {
            None => {
                way.login("AppRole", &[("role_id", self.role_id.as_bytes())])
                    .await
            }
            Some(secret_id) => {
                let secret_id = secret_id.read("secret id").await?;
                login(way, &self.role_id, &secret_id).await
            }
        }
    }
}

pub(super) async fn login(way: Way<'_>, role_id: &str, secret_id: &[u8]) -> Result<Grant> {
    let fields = [("role_id", role_id.as_bytes()), ("secret_id", secret_id)];
    way.login("AppRole", &fields).await
}

/// The role id is half a credential: it is left out.
impl fmt::Debug for AppRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppRole")
            .field("secret_id", &self.secret_id)
            .finish_non_exhaustive()
    }
}
