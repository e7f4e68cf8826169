use std::ffi::OsString;

use async_trait::async_trait;
use azure_core::credentials::Secret;
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use secrecy::SecretString;
use secrets_core::{Error, ErrorKind, Result};

use super::{Method, Way, text, variables};
use crate::config;
use crate::credential::Credential;
use crate::token::Grant;

const NAME: &str = "client secret";

/// An application that proves itself by a password.
#[derive(Debug)]
pub(super) struct ClientSecret {
    tenant: String,
    client: String,
    secret: Credential,
}

impl ClientSecret {
    pub(super) fn new(tenant: String, client: String, secret: Credential) -> Self {
        Self {
            tenant,
            client,
            secret,
        }
    }

    pub(super) fn from_variables(source: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, String> {
        let names = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"];
        let [tenant, client, secret] = variables(source, names)?;
        // What is no text is refused, as an empty one is, when it is checked.
        let secret = SecretString::from(secret.into_string().unwrap_or_default());
        Ok(Self::new(text(&tenant), text(&client), secret.into()))
    }
}

#[async_trait]
impl Method for ClientSecret {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self) -> Result<()> {
        config::id(&self.tenant, "tenant id")?;
        config::id(&self.client, "client id")?;
        self.secret.check("client secret")
    }

    async fn login(&self, way: Way<'_>) -> Result<Grant> {
        let secret = self.secret.read("client secret").await?;
        let secret = std::str::from_utf8(&secret).map_err(|_| {
            let message = "the client secret is not UTF-8 text";
            Error::new(ErrorKind::Unauthenticated, message)
        })?;
        let options = ClientSecretCredentialOptions {
            client_options: way.options(),
        };
        let credential = ClientSecretCredential::new(
            &self.tenant,
            self.client.clone(),
            Secret::new(secret.to_owned()),
            Some(options),
        );
        way.login(NAME, credential).await
    }
}
