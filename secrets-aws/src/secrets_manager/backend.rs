use std::fmt;
use std::num::NonZeroUsize;
use std::sync::OnceLock;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::config::{self, Config};
use secrets_core::{
    Capabilities, ErrorKind, Fetched, ReadRequest, Result, Secret, SecretBackend, SecretName,
};

use crate::call::Caller;
use crate::error::{Asked, Failed};
use crate::life::Login;
use crate::name::SECRETS;
use crate::refusal::Refusal;
use crate::secrets_manager::builder::SecretsManagerBuilder;
use crate::secrets_manager::value::{Which, secret};
use crate::secrets_manager::{batch, list};

/// What errors, statistics and traces call this backend.
pub(crate) const NAME: &str = "aws";

/// The most secrets that one `BatchGetSecretValue` takes.
pub(super) const BATCH: NonZeroUsize = NonZeroUsize::new(20).unwrap();

/// AWS Secrets Manager as a store of secrets.
///
/// Nothing is contacted and nothing is spawned before the first read.
///
/// ```no_run
/// use secrets_aws::SecretsManagerBackend;
/// use secrets_core::{ReadRequest, SecretBackend, SecretName};
///
/// # async fn example() -> secrets_core::Result<()> {
/// let aws = SecretsManagerBackend::builder().region("eu-central-1").base("prod/").build()?;
/// let name = SecretName::new("smtp/database")?;
/// let secret = aws.get(ReadRequest::new(&name)).await?;
/// # Ok(())
/// # }
/// ```
pub struct SecretsManagerBackend {
    pub(super) caller: Caller,
    pub(super) client: OnceLock<Client>,
    pub(super) endpoint: Option<String>,
    pub(super) base: Box<str>,
    pub(super) max: usize,
    pub(super) refusal: Refusal,
}

impl SecretsManagerBackend {
    /// A backend that finds region, credentials and endpoint as AWS's own tools do, unless told otherwise.
    pub fn builder() -> SecretsManagerBuilder {
        SecretsManagerBuilder::new(None)
    }

    /// A backend over a client that the application has made.
    ///
    /// Its region, credentials, endpoint and way to AWS are its own affair, and so is what it traces; only its retries are
    /// switched off, as the manager retries. Credentials that AWS refuses are not replaced.
    pub fn with_client(client: Client) -> SecretsManagerBuilder {
        SecretsManagerBuilder::new(Some(client))
    }

    /// The client, and what each call of it says anew.
    pub(super) fn client(&self, login: Option<&Login>) -> (Client, config::Builder) {
        let call = Config::builder().retry_config(RetryConfig::disabled());
        let Some(login) = login else {
            let client = self
                .client
                .get()
                .expect("a backend without logins was given its client");
            return (client.clone(), call);
        };
        let client = self.client.get_or_init(|| Client::new(&login.config));
        (
            client.clone(),
            call.credentials_provider(login.credentials.clone()),
        )
    }

    /// One secret by what AWS calls it.
    pub(super) async fn read(&self, id: &str, which: &Which<'_>) -> Result<Secret, Failed> {
        let asked = Asked {
            action: "secretsmanager:GetSecretValue",
            what: id,
            pinned: which.is_pinned(),
        };
        let answer = self
            .caller
            .call(asked, |login| {
                let (client, call) = self.client(login);
                let request = which.ask(client.get_secret_value().secret_id(id));
                async move { request.customize().config_override(call).send().await }
            })
            .await?;
        Ok(secret(answer.into(), self.max)?)
    }

    async fn read_request(&self, request: &ReadRequest<'_>) -> Result<Fetched> {
        let id = SECRETS.id(&self.base, request.name)?;
        let which = Which::of(request.version)?;
        let read = self.read(&id, &which).await;
        Ok(read.map_err(|failed| failed.error)?.into())
    }
}

#[async_trait]
impl SecretBackend for SecretsManagerBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_versions(true)
            .with_list(true)
            .with_batch(Some(BATCH))
    }

    /// # Errors
    ///
    /// The table in the [crate's documentation](crate#errors).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing. A login goes on for the next reader.
    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let read = self.read_request(&request).await;
        read.map_err(|error| error.with_backend(NAME).with_secret(request.name))
    }

    /// In pages of 20 through `BatchGetSecretValue`. Where the caller may not use that, one by one; it is tried again after
    /// five minutes. Pinned versions, which a batch cannot name, are read one by one.
    async fn get_many(&self, requests: &[ReadRequest<'_>]) -> Vec<Result<Fetched>> {
        let results = batch::read(self, requests).await;
        let named = results.into_iter().zip(requests).map(|(result, request)| {
            result.map_err(|error| error.with_backend(NAME).with_secret(request.name))
        });
        named.collect()
    }

    /// The names below the base, 100 in a call. AWS needs minutes to list a secret just created, and leaves those out that
    /// are scheduled for deletion.
    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        let names = list::names(self, prefix).await;
        names.map_err(|failed| failed.error.with_backend(NAME))
    }

    /// Asks for one name of the list. To be refused that is to be known: many who may read may not list.
    async fn check(&self) -> Result<()> {
        match list::one(self).await.map_err(|failed| failed.error) {
            Err(error) if error.kind() != ErrorKind::PermissionDenied => Err(error.with_backend(NAME)),
            _ => Ok(()),
        }
    }

    /// Ends a login on its way. Nothing was obtained that AWS would take back.
    async fn shutdown(&self) -> Result<()> {
        self.caller.close();
        Ok(())
    }
}

impl fmt::Debug for SecretsManagerBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsManagerBackend")
            .field("session", &self.caller.session)
            .field("endpoint", &self.endpoint)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}
