//! Ways to obtain a token, one file each.

mod client_secret;
mod custom;
mod default_order;
mod managed_identity;
mod tools;
mod workload_identity;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{TokenCredential, TokenRequestOptions};
use azure_core::http::{ClientOptions, RetryOptions, Transport as SdkTransport};
use secrets_core::{Error, Result};

pub use self::managed_identity::Identity;
use self::tools::Tool;
use crate::credential::Credential;
use crate::error;
use crate::exchange::{Exchange, Purpose};
use crate::token::Grant;
use crate::transport::Transport;

/// What errors call a managed identity.
pub(crate) const MANAGED: &str = "managed identity";

/// How to obtain tokens for the vault. The default is [`default_order`](Auth::default_order).
pub struct Auth(Box<dyn Method>);

impl Auth {
    /// Whoever is logged in to the Azure CLI (`az login`). For development.
    pub fn azure_cli() -> Self {
        Self::new(tools::Tools::new(&[Tool::Az]))
    }

    /// Whoever is logged in to the Azure Developer CLI (`azd auth login`). For development.
    pub fn azure_developer_cli() -> Self {
        Self::new(tools::Tools::new(&[Tool::Azd]))
    }

    /// An application with a client secret. Give a file, and it is read again at every login.
    pub fn client_secret(
        tenant: impl Into<String>,
        client: impl Into<String>,
        secret: impl Into<Credential>,
    ) -> Self {
        Self::new(client_secret::ClientSecret::new(
            tenant.into(),
            client.into(),
            secret.into(),
        ))
    }

    /// Any other credential of the SDK. It brings its own transport, limits and retries.
    pub fn credential(credential: Arc<dyn TokenCredential>) -> Self {
        Self::new(custom::Custom::new(credential))
    }

    /// The first credential that there is, in this order, as the process's environment describes them:
    ///
    /// | | taken when | passed over when |
    /// |---|---|---|
    /// | client secret | `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` are set | one of them is missing |
    /// | workload identity | `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_FEDERATED_TOKEN_FILE` are set | one of them is missing |
    /// | managed identity, that of `AZURE_CLIENT_ID` where it is set | `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` are set (App Service), or the endpoint of virtual machines answers within 1 s | nothing answers, what answers is not Azure's, or no such identity is assigned |
    /// | Azure CLI | `az` brings a token within 3 s | it is missing, logged out or too slow |
    /// | Azure Developer CLI | `azd` brings a token within 3 s | the same |
    ///
    /// Both tools are asked at once. So an environment without any of these is known within 5 s, and the error says why
    /// each was passed over. A credential that is configured and refused is not passed over: that is the error, as the next
    /// one would be somebody else. What was found once is used from then on; `Debug` and the events of `tracing` say which
    /// it is.
    pub fn default_order() -> Self {
        Self::default_order_with(|name| std::env::var_os(name))
    }

    /// The same with variables from elsewhere: for tests. The App Service endpoint is always that of the process.
    pub fn default_order_with(variables: impl Fn(&str) -> Option<OsString>) -> Self {
        Self::new(default_order::DefaultOrder::new(variables))
    }

    /// Whoever is logged in to the Azure CLI, or else to the Azure Developer CLI. For development.
    pub fn developer_tools() -> Self {
        Self::new(tools::Tools::new(&[Tool::Az, Tool::Azd]))
    }

    /// The identity that Azure has assigned to this machine, container or app; of several, the one that the system
    /// assigned. App Service, and what works like it, is recognised by `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` in the
    /// process's environment. Azure Arc, Cloud Shell, Machine Learning and Service Fabric are recognised by theirs, and
    /// refused with `InvalidConfig`: the SDK does not know how to ask there. Anything else is taken for a virtual machine.
    pub fn managed_identity() -> Self {
        Self::new(managed_identity::ManagedIdentity::new(None))
    }

    /// One of the identities that a user has assigned.
    pub fn user_assigned_identity(identity: Identity) -> Self {
        Self::new(managed_identity::ManagedIdentity::new(Some(identity)))
    }

    /// A Kubernetes service account that an application trusts: what the webhook of Azure Workload Identity sets up with
    /// `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_FEDERATED_TOKEN_FILE`.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when one of them is missing.
    pub fn workload_identity() -> Result<Self> {
        Self::workload_identity_from(|name| std::env::var_os(name))
    }

    /// The same with variables from elsewhere.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when one of them is missing.
    pub fn workload_identity_from(variables: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        match workload_identity::WorkloadIdentity::from_variables(&variables) {
            Ok(method) => Ok(Self::new(method)),
            Err(missing) => Err(error::config(format!("workload identity needs {missing}"))),
        }
    }

    /// The same with everything given. The file is read again at every login.
    pub fn workload_identity_with(
        tenant: impl Into<String>,
        client: impl Into<String>,
        token_file: impl Into<PathBuf>,
    ) -> Self {
        Self::new(workload_identity::WorkloadIdentity::new(
            tenant.into(),
            client.into(),
            token_file.into(),
        ))
    }

    /// A client secret as `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` give it.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when one of them is missing.
    pub fn client_secret_from(variables: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        match client_secret::ClientSecret::from_variables(&variables) {
            Ok(method) => Ok(Self::new(method)),
            Err(missing) => Err(error::config(format!("a client secret needs {missing}"))),
        }
    }

    fn new(method: impl Method) -> Self {
        Self(Box::new(method))
    }

    /// What can be checked without Azure.
    pub(crate) fn check(&self) -> Result<()> {
        self.0.check()
    }

    pub(crate) fn name(&self) -> &'static str {
        self.0.name()
    }

    /// What the last login used.
    pub(crate) fn used(&self) -> &'static str {
        self.0.used()
    }

    /// Obtains a token. Nothing bounds the time here but that of single requests.
    pub(crate) async fn login(&self, way: Way<'_>) -> Result<Grant> {
        self.0.login(way).await
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Auth").field(&self.0).finish()
    }
}

/// One way to obtain a token.
#[async_trait]
pub(crate) trait Method: fmt::Debug + Send + Sync + 'static {
    /// What errors call it.
    fn name(&self) -> &'static str;

    /// What the last login used, where that is not always the same.
    fn used(&self) -> &'static str {
        self.name()
    }

    /// What can be checked without Azure.
    fn check(&self) -> Result<()>;

    /// Logs in once.
    async fn login(&self, way: Way<'_>) -> Result<Grant>;
}

/// How a login reaches its issuer.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) scope: &'a str,
}

impl Way<'_> {
    /// Options for a credential of the SDK: this transport, one attempt, this authority and no variable.
    pub(crate) fn options(&self) -> ClientOptions {
        let mut cloud = CustomConfiguration::default();
        let authority = self.transport.authority().as_str();
        authority
            .trim_end_matches('/')
            .clone_into(&mut cloud.authority_host);
        ClientOptions {
            transport: Some(SdkTransport::with_policy(Arc::new(self.transport.clone()))),
            retry: RetryOptions::none(),
            cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
            ..ClientOptions::default()
        }
    }

    /// Has a credential of the SDK ask, and reads the answer.
    pub(crate) async fn login<C: TokenCredential>(
        &self,
        method: &'static str,
        credential: azure_core::Result<Arc<C>>,
    ) -> Result<Grant> {
        let since = self.transport.clock().boot();
        let unusable = || {
            error::config(match method {
                MANAGED => {
                    "managed identity cannot be used here: it can on virtual machines and in App Service, there by client or \
                     object id; not in Azure Arc, Cloud Shell, Machine Learning and Service Fabric, whose variables may be \
                     set here"
                        .to_owned()
                }
                _ => format!("{method} cannot be used as it is configured here; check its ids and the authority"),
            })
        };
        let credential = credential.map_err(|_| unusable())?;
        let exchange = Exchange::new(Purpose::Login);
        let options = TokenRequestOptions {
            method_options: exchange.options(),
        };
        // The answer is in the exchange; what the SDK makes of it is of no interest.
        let _ = credential.get_token(&[self.scope], Some(options)).await;
        let answer = exchange
            .take()
            .ok_or_else(unusable)?
            .map_err(|error| by(method, &error))?;
        if answer.succeeded() {
            self.grant(method, &answer.body, since)
        } else {
            Err(error::login(method, &answer))
        }
    }

    /// Reads a token.
    pub(crate) fn grant(
        &self,
        method: &'static str,
        body: &[u8],
        since: std::time::Duration,
    ) -> Result<Grant> {
        Grant::read(body, since, self.transport.clock().wall()).map_err(|error| by(method, &error))
    }
}

/// The same error, saying that it was met while logging in.
fn by(method: &str, error: &Error) -> Error {
    again(error, format!("no login by {method}: {}", error.message()))
}

/// The same error in other words.
fn again(error: &Error, message: String) -> Error {
    let mut same = Error::new(error.kind(), message);
    if let Some(cause) = error.cause() {
        same = same.with_cause(cause.clone());
    }
    match error.retry_after() {
        Some(after) => same.with_retry_after(after),
        None => same,
    }
}

/// The variables that a way needs, or what is missing of them.
fn variables<const N: usize>(
    variables: &dyn Fn(&str) -> Option<OsString>,
    names: [&'static str; N],
) -> Result<[OsString; N], String> {
    let values = names.map(|name| variables(name).filter(|value| !value.is_empty()));
    let missing: Vec<_> = names
        .into_iter()
        .zip(&values)
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| name)
        .collect();
    if missing.is_empty() {
        Ok(values.map(Option::unwrap_or_default))
    } else {
        Err(missing.join(", "))
    }
}

/// An id out of a variable; one that is no text is refused when it is checked.
fn text(value: &OsString) -> String {
    value.to_string_lossy().trim().to_owned()
}
