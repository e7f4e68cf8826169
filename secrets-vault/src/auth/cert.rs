use async_trait::async_trait;
use secrets_core::Result;

use super::{Grant, Method, Way, check_role};
use crate::error;

/// The TLS client certificate of the connection.
#[derive(Debug)]
pub(super) struct Cert {
    role: Option<String>,
}

impl Cert {
    pub(super) fn new(role: Option<String>) -> Self {
        Self { role }
    }
}

#[async_trait]
impl Method for Cert {
    fn usual_mount(&self) -> Option<&'static str> {
        Some("cert")
    }

    fn check(&self, has_certificate: bool) -> Result<()> {
        if !has_certificate {
            return Err(error::config(
                "logging in by certificate needs a client certificate; give one to the builder",
            ));
        }
        self.role.as_ref().map_or(Ok(()), |role| check_role(role, "role"))
    }

    async fn login(&self, way: Way<'_>) -> Result<Grant> {
        let name = self.role.as_ref().map(|role| ("name", role.as_bytes()));
        way.login("certificate", name.as_slice()).await
    }
}
