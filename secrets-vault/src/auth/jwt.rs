use async_trait::async_trait;
use secrets_core::Result;

use super::{Grant, Method, Way, check_role};
use crate::credential::Credential;

/// A JWT or OIDC token.
#[derive(Debug)]
pub(super) struct Jwt {
    role: Option<String>,
    jwt: Credential,
}

impl Jwt {
    pub(super) fn new(role: Option<String>, jwt: Credential) -> Self {
        Self { role, jwt }
    }
}

#[async_trait]
impl Method for Jwt {
    fn usual_mount(&self) -> Option<&'static str> {
        Some("jwt")
    }

    fn check(&self, _has_certificate: bool) -> Result<()> {
        self.role
            .as_ref()
            .map_or(Ok(()), |role| check_role(role, "role"))?;
        self.jwt.check("JWT")
    }

    async fn login(&self, way: Way<'_>) -> Result<Grant> {
        let jwt = self.jwt.read("JWT").await?;
        match &self.role {
            None => way.login("JWT", &[("jwt", jwt.as_slice())]).await,
            Some(role) => {
                way.login("JWT", &[("role", role.as_bytes()), ("jwt", jwt.as_slice())])
                    .await
            }
        }
    }
}
