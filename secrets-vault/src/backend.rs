use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use secrets_core::{Capabilities, Error, ErrorKind, Fetched, ReadRequest, Result, SecretBackend, SecretName};

use crate::builder::VaultBuilder;
use crate::dynamic::Dynamic;
use crate::engine::{Detected, Kind};
use crate::error::timeout;
use crate::kv;
use crate::list::Lister;
use crate::session::Session;
use crate::values::Values;

/// What errors, statistics and traces call this backend.
pub(crate) const NAME: &str = "vault";

/// `HashiCorp` Vault or `OpenBao` as a store of secrets.
///
/// Nothing is contacted and nothing is spawned before the first read. From then on a task of the runtime that read keeps
/// the login alive; it ends with this value. [`shutdown`](SecretBackend::shutdown) revokes what was obtained.
///
/// ```no_run
/// use secrets_core::{ReadRequest, SecretBackend, SecretName};
/// use secrets_vault::VaultBackend;
///
/// # async fn example() -> secrets_core::Result<()> {
/// let vault = VaultBackend::builder("https://vault.example.com:8200")
///     .app_role("my-service", std::env::var("SECRET_ID").unwrap_or_default())
///     .build()?;
/// let name = SecretName::new("smtp/database")?;
/// let secret = vault.get(ReadRequest::new(&name)).await?;
/// # Ok(())
/// # }
/// ```
pub struct VaultBackend {
    pub(crate) session: Session,
    pub(crate) mount: Box<str>,
    pub(crate) base: Option<SecretName>,
    pub(crate) engine: Detected,
    pub(crate) dynamic: Dynamic,
    pub(crate) values: Values,
    pub(crate) shutdown_limit: Duration,
}

impl VaultBackend {
    /// A backend for the Vault at `address`, such as `https://vault.example.com:8200`.
    pub fn builder(address: impl Into<String>) -> VaultBuilder {
        VaultBuilder::new(address.into())
    }

    /// A backend as Vault's own environment variables describe it; see [`VaultBuilder::from_env`].
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when the environment is not enough, or contradicts itself.
    pub fn from_env() -> Result<VaultBuilder> {
        VaultBuilder::from_env()
    }

    /// The whole path of a name below the mount.
    fn path(&self, name: &SecretName) -> Result<String> {
        match &self.base {
            None => Ok(name.as_str().to_owned()),
            Some(base) => Ok(base.join(name)?.as_str().to_owned()),
        }
    }

    async fn read(&self, request: &ReadRequest<'_>) -> Result<Fetched> {
        let path = self.path(request.name)?;
        // Where the engine is known not to have versions, or the version cannot be one, nothing is contacted.
        let version = match self.engine.known() {
            Some(Kind::Kv1 | Kind::Dynamic) => {
                request.refuse_version()?;
                None
            }
            _ => request.version.map(kv::version).transpose()?,
        };
        let mount = &self.mount;
        match self.engine.kind(&self.session, mount).await? {
            Kind::Kv2 => {
                let secret = kv::read_v2(&self.session, mount, &path, version, &self.values).await?;
                Ok(secret.into())
            }
            Kind::Kv1 => {
                request.refuse_version()?;
                let secret = kv::read_v1(&self.session, mount, &path, &self.values).await?;
                Ok(secret.into())
            }
            Kind::Dynamic => {
                request.refuse_version()?;
                self.dynamic
                    .read(&self.session, mount, &path, request, &self.values)
                    .await
            }
        }
    }

    async fn names(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        let root = match self.engine.kind(&self.session, &self.mount).await? {
            Kind::Kv1 => self.mount.to_string(),
            Kind::Kv2 => format!("{}/metadata", self.mount),
            Kind::Dynamic => {
                let message = "an engine that makes secrets on demand has no names to list";
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        };
        let lister = Lister {
            session: &self.session,
            root: &root,
            base: self.base.as_ref(),
        };
        lister.list(prefix).await
    }

    async fn give_back(&self) -> Result<()> {
        // Revoking a token ends all leases that hang on it; leases on somebody else's token are ended one by one.
        let leases = if self.session.obtains() {
            Ok(())
        } else {
            self.dynamic.revoke(&self.session).await
        };
        self.session.close().await;
        leases.and(self.session.revoke().await)
    }
}

#[async_trait]
impl SecretBackend for VaultBackend {
    fn name(&self) -> &str {
        NAME
    }

    /// Where the engine is yet to be [detected](crate::Engine::Detect), what KV v2 can do.
    fn capabilities(&self) -> Capabilities {
        let kind = self.engine.known();
        Capabilities::new()
            .with_versions(matches!(kind, None | Some(Kind::Kv2)))
            .with_list(!matches!(kind, Some(Kind::Dynamic)))
    }

    /// # Errors
    ///
    /// The table in the [crate's documentation](crate#errors).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing but, for a dynamic secret, the credential that was being made: it ends with its
    /// lease. A login goes on for the next reader.
    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let read = self.read(&request).await;
        read.map_err(|error| error.with_backend(NAME).with_secret(request.name))
    }

    /// All names below the base, or those below a prefix, level by level: one call for each folder.
    ///
    /// Vault lists secrets whose latest version is deleted, too: reading one is `NotFound`.
    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        self.names(prefix).await.map_err(|error| error.with_backend(NAME))
    }

    /// Logs in, and has Vault look at the token.
    async fn check(&self) -> Result<()> {
        self.session
            .check()
            .await
            .map_err(|error| error.with_backend(NAME))
    }

    /// Revokes the tokens that logins brought, and with them their leases; a token given by the user stays, and the leases
    /// that were obtained with it are revoked. Takes no longer than the builder's `shutdown_timeout`.
    async fn shutdown(&self) -> Result<()> {
        let limit = self.shutdown_limit;
        let done = tokio::select! {
            biased;
            done = self.give_back() => done,
            () = self.session.clock().sleep(limit) => Err(timeout(limit)),
        };
        done.map_err(|error| error.with_backend(NAME))
    }
}

impl fmt::Debug for VaultBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultBackend")
            .field("mount", &self.mount)
            .field("base", &self.base)
            .field("engine", &self.engine)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
