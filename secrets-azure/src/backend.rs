use std::fmt;

use async_trait::async_trait;
use azure_security_keyvault_secrets::SecretClient;
use secrets_core::{Capabilities, ErrorKind, Fetched, ReadRequest, Result, SecretBackend, SecretName};

use crate::builder::AzureBuilder;
use crate::client::{Call, Client};
use crate::error::{self, Asked};
use crate::list;
use crate::name;
use crate::secret::Reader;

/// What errors, statistics and traces call this backend.
pub(crate) const NAME: &str = "azure";

/// The secret that a check reads; it need not exist.
const CHECKED: &str = "secrets-check";

/// Azure Key Vault as a store of secrets.
///
/// Nothing is contacted and nothing is spawned before the first read. A login is a task of the runtime that read; it ends
/// with this value.
///
/// ```no_run
/// use secrets_azure::AzureBackend;
/// use secrets_core::{ReadRequest, SecretBackend, SecretName};
///
/// # async fn example() -> secrets_core::Result<()> {
/// let vault = AzureBackend::builder("myvault").build()?;
/// let name = SecretName::new("smtp/database/password")?;
/// let secret = vault.get(ReadRequest::new(&name)).await?;
/// # let _ = secret;
/// # Ok(())
/// # }
/// ```
pub struct AzureBackend {
    pub(crate) client: Client,
    pub(crate) base: Option<SecretName>,
    pub(crate) reader: Reader,
}

impl AzureBackend {
    /// A backend for this vault: its name, its host or its URL.
    pub fn builder(vault: impl Into<String>) -> AzureBuilder {
        AzureBuilder::new(vault.into())
    }

    /// A backend over a client of the SDK, as it is: with its own credential, transport, retries and limits. Switch its
    /// retries off, and see to it that its challenges are verified; its buffers are not wiped. Of the builder's options,
    /// those that say how to reach and log in to the vault are refused.
    ///
    /// ```no_run
    /// # fn example(client: azure_security_keyvault_secrets::SecretClient) -> secrets_core::Result<()> {
    /// use secrets_azure::AzureBackend;
    ///
    /// let vault = AzureBackend::with_client(client).base("apps/billing").build()?;
    /// # drop(vault);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_client(client: SecretClient) -> AzureBuilder {
        AzureBuilder::over(client)
    }

    async fn read(&self, request: &ReadRequest<'_>) -> Result<Fetched> {
        let encoded = name::encode(self.base.as_ref(), request.name)?;
        let version = request.version.map(name::version).transpose()?;
        let secret = self.reader.read(&self.client, &encoded, version).await?;
        Ok(secret.into())
    }

    async fn look(&self) -> Result<()> {
        let call = Call::Secret {
            name: CHECKED,
            version: None,
        };
        let answer = self.client.send(call).await?;
        if answer.succeeded() {
            return Ok(());
        }
        let refused = error::refused(Asked::Read, &answer);
        match refused.kind() {
            ErrorKind::Disabled | ErrorKind::NotFound => Ok(()),
            _ => Err(refused),
        }
    }
}

#[async_trait]
impl SecretBackend for AzureBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_versions(true).with_list(true)
    }

    /// # Errors
    ///
    /// The table in the [crate's documentation](crate#errors).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing. A login goes on for the next reader.
    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let read = self.read(&request).await;
        read.map_err(|error| error.with_backend(NAME).with_secret(request.name))
    }

    /// All names below the base, or those below a prefix, in lower case: one call for each 25 secrets of the vault.
    ///
    /// Disabled secrets are listed, too: reading one is `Disabled`. What no name stands for is left out.
    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        let names = list::names(&self.client, self.base.as_ref(), prefix).await;
        names.map_err(|error| error.with_backend(NAME))
    }

    /// Logs in, and reads a secret called `secrets-check`, which need not exist. An identity that has its role on single
    /// secrets only may not, which is `PermissionDenied`.
    async fn check(&self) -> Result<()> {
        self.look().await.map_err(|error| error.with_backend(NAME))
    }

    /// Forgets the token, and ends a login under way. Microsoft Entra ID has no way to give a token back.
    async fn shutdown(&self) -> Result<()> {
        if let Some(session) = &self.client.session {
            session.close();
        }
        Ok(())
    }
}

impl fmt::Debug for AzureBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureBackend")
            .field("client", &self.client)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}
