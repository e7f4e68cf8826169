use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::ClientMethodOptions;
use azure_identity::{ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions};
use secrets_core::Result;
use zeroize::Zeroizing;

use super::{Method, Way, text, variables};
use crate::config;
use crate::credential::Credential;
use crate::token::Grant;

pub(super) const NAME: &str = "workload identity";

/// A service account of Kubernetes, whose token an application trusts.
#[derive(Debug)]
pub(super) struct WorkloadIdentity {
    tenant: String,
    client: String,
    token: Credential,
}

impl WorkloadIdentity {
    pub(super) fn new(tenant: String, client: String, token_file: PathBuf) -> Self {
        Self {
            tenant,
            client,
            token: Credential::file(token_file),
        }
    }

    pub(super) fn from_variables(source: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, String> {
        let names = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"];
        let [tenant, client, file] = variables(source, names)?;
        Ok(Self::new(text(&tenant), text(&client), file.into()))
    }
}

#[async_trait]
impl Method for WorkloadIdentity {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self) -> Result<()> {
        config::id(&self.tenant, "tenant id")?;
        config::id(&self.client, "client id")?;
        self.token.check("federated token")
    }

    async fn login(&self, way: Way<'_>) -> Result<Grant> {
        // The SDK's own credential reads the file while it blocks the runtime, and then keeps it for ten minutes.
        let assertion = Assertion(Arc::new(self.token.read("federated token").await?));
        let options = ClientAssertionCredentialOptions {
            client_options: way.options(),
        };
        let credential = ClientAssertionCredential::new(
            self.tenant.clone(),
            self.client.clone(),
            assertion,
            Some(options),
        );
        way.login(NAME, credential).await
    }
}

struct Assertion(Arc<Zeroizing<Vec<u8>>>);

#[async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        // It was found to be text when it was read.
        Ok(String::from_utf8_lossy(&self.0).into_owned())
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assertion([REDACTED])")
    }
}
