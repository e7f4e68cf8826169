use async_trait::async_trait;
use secrets_core::Result;

use super::{Grant, Method, Way, check_role};
use crate::credential::Credential;

/// Where the kubelet mounts the token of a pod's service account.
pub(super) const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The service account of a Kubernetes pod.
#[derive(Debug)]
pub(super) struct Kubernetes {
    role: String,
    token: Credential,
}

impl Kubernetes {
    pub(super) fn new(role: String, token: Credential) -> Self {
        Self { role, token }
    }
}

#[async_trait]
impl Method for Kubernetes {
    fn usual_mount(&self) -> Option<&'static str> {
        Some("kubernetes")
    }

    fn check(&self, _has_certificate: bool) -> Result<()> {
        check_role(&self.role, "role")?;
        self.token.check("service account token")
    }

    async fn login(&self, way: Way<'_>) -> Result<Grant> {
        let jwt = self.token.read("service account token").await?;
        way.login(
            "Kubernetes",
            &[("role", self.role.as_bytes()), ("jwt", jwt.as_slice())],
        )
        .await
    }
}
