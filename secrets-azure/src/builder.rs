use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use azure_core::http::{ClientOptions, RetryOptions, Transport as SdkTransport};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use reqwest::Url;
use reqwest::redirect::Policy;
use reqwest::tls::Version as TlsVersion;
use secrets_core::{Clock, Result, SystemClock};

use crate::auth::Auth;
use crate::backend::AzureBackend;
use crate::client::Client;
use crate::config::{self, Cloud};
use crate::error;
use crate::secret::Reader;
use crate::session::Session;
use crate::transport::{Inner, Transport};

/// Options of an [`AzureBackend`]. Nothing is taken from the environment but by [`Auth`], which is
/// [`default_order`](Auth::default_order) unless set.
#[must_use = "a builder does nothing until `build` is called"]
pub struct AzureBuilder {
    source: Source,
    access: Access,
    base: Option<String>,
    clock: Arc<dyn Clock>,
    max_value: usize,
    serve_expired: bool,
    timeout: Duration,
}

enum Source {
    Client(SecretClient),
    Vault(String),
}

/// How the vault is reached and logged in to; nothing of it is for a client that the user has made.
#[derive(Default)]
struct Access {
    api_version: Option<String>,
    application: Option<String>,
    auth: Option<Auth>,
    authority: Option<String>,
    ca: Option<Pem>,
    cloud: Option<Cloud>,
    idle_connections: Option<bool>,
    imds_endpoint: Option<String>,
    login_timeout: Option<Duration>,
    resolve: Vec<(String, SocketAddr)>,
    seed: Option<u64>,
    verify_challenge: Option<bool>,
}

enum Pem {
    File(PathBuf),
    Text(Vec<u8>),
}

impl AzureBuilder {
    pub(crate) fn new(vault: String) -> Self {
        Self::of(Source::Vault(vault))
    }

    pub(crate) fn over(client: SecretClient) -> Self {
        Self::of(Source::Client(client))
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            access: Access::default(),
            base: None,
            clock: Arc::new(SystemClock::new()),
            max_value: 1024 * 1024,
            serve_expired: false,
            timeout: Duration::from_secs(5),
        }
    }

    /// The version of Key Vault's API (`api_version=`). By default that of the SDK, `2025-07-01`.
    pub fn api_version(mut self, version: impl Into<String>) -> Self {
        self.access.api_version = Some(version.into());
        self
    }

    /// What follows the name of this library in the user agent, such as `billing/1.4` (`application=`): the vault's audit
    /// log shows it.
    pub fn application(mut self, application: impl Into<String>) -> Self {
        self.access.application = Some(application.into());
        self
    }

    /// How to log in (`auth=`). By default [`Auth::default_order`].
    pub fn auth(mut self, auth: Auth) -> Self {
        self.access.auth = Some(auth);
        self
    }

    /// Where tokens are issued, for a cloud that [`Cloud`] does not have (`authority=`): a URL, https only.
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.access.authority = Some(authority.into());
        self
    }

    /// Put before every name, as it is (`base=`): `apps/web` makes `smtp/password` the secret `apps--web--smtp--password`.
    pub fn base(mut self, base: impl Into<String>) -> Self {
        self.base = Some(base.into());
        self
    }

    /// The authorities to trust, and no others (`ca_file=`): a PEM file, read by [`build`](AzureBuilder::build). For
    /// proxies that end TLS, and stand-ins; it is for the issuer of tokens, too.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.access.ca = Some(Pem::File(path.into()));
        self
    }

    /// The authorities to trust, and no others, as PEM text. By default those of the platform.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.access.ca = Some(Pem::Text(pem.into()));
        self
    }

    /// Where time comes from; for tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The cloud of the vault and of its tokens (`cloud=`). By default that of the vault's host, or else the public one.
    pub fn cloud(mut self, cloud: Cloud) -> Self {
        self.access.cloud = Some(cloud);
        self
    }

    /// Whether connections are kept for the next request (`idle_connections=`), as they are by default. A kept connection
    /// holds the last answer in its buffers.
    pub fn idle_connections(mut self, keep: bool) -> Self {
        self.access.idle_connections = Some(keep);
        self
    }

    /// Where the identity endpoint of virtual machines is instead of `http://169.254.169.254` (`imds_endpoint=`): https,
    /// or this machine.
    pub fn imds_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.access.imds_endpoint = Some(endpoint.into());
        self
    }

    /// How long a login may take (`login_timeout=`). By default 10 s.
    pub fn login_timeout(mut self, limit: Duration) -> Self {
        self.access.login_timeout = Some(limit);
        self
    }

    /// The largest value, in bytes (`max_value=`). By default 1 MiB; Key Vault itself takes 25 KiB.
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// Where a host is to be found, whatever DNS says: a private endpoint, a test. A port of 0 is that of the URL.
    pub fn resolve(mut self, host: impl Into<String>, address: SocketAddr) -> Self {
        self.access.resolve.push((host.into(), address));
        self
    }

    /// Makes the jitter of logins repeatable; for tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.access.seed = Some(seed);
        self
    }

    /// Serves secrets past their `exp`, as Key Vault itself does (`serve_expired=`). Off by default: they are `Disabled`.
    /// The cache keeps such a value for a second.
    pub fn serve_expired(mut self, serve: bool) -> Self {
        self.serve_expired = serve;
        self
    }

    /// How long one request may take (`timeout=`). By default 5 s.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Whether the vault's challenge has to name this vault's cloud, as it has by default (`verify_challenge=`): otherwise
    /// whoever answers for the vault says what the token is good for. Stand-ins on this machine, the only ones for which it can
    /// be turned off, do not.
    pub fn verify_challenge(mut self, verify: bool) -> Self {
        self.access.verify_challenge = Some(verify);
        self
    }

    /// Checks every option. No network, no task; only the file of certificates is read.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` naming the option.
    pub fn build(self) -> Result<AzureBackend> {
        let login = self.access.login_timeout.unwrap_or(Duration::from_secs(10));
        for (limit, option) in [(self.timeout, "timeout"), (login, "login_timeout")] {
            if limit.is_zero() || limit > Duration::from_secs(3_600) {
                return Err(error::config(format!(
                    "`{option}` must be above zero and at most an hour"
                )));
            }
        }
        if self.max_value == 0 {
            return Err(error::config("`max_value` must be above zero"));
        }
        let base = match &self.base {
            None => None,
            Some(base) => config::base(base)?,
        };
        // JSON escapes make a value longer.
        let max_answer = self.max_value.saturating_mul(2).saturating_add(64 * 1024);
        let (sdk, session) = match self.source {
            Source::Client(client) => {
                self.access.refuse()?;
                (client, None)
            }
            Source::Vault(vault) => {
                let (client, session) =
                    self.access
                        .client(&vault, self.timeout, login, max_answer, &self.clock)?;
                (client, Some(session))
            }
        };
        Ok(AzureBackend {
            client: Client {
                sdk,
                session,
                clock: self.clock,
                limit: self.timeout,
                max_answer,
            },
            base,
            reader: Reader {
                max_value: self.max_value,
                serve_expired: self.serve_expired,
                blind: AtomicBool::new(false),
            },
        })
    }
}

impl Access {
    /// For a client that the user has made.
    fn refuse(&self) -> Result<()> {
        let set = [
            ("api_version", self.api_version.is_some()),
            ("application", self.application.is_some()),
            ("auth", self.auth.is_some()),
            ("authority", self.authority.is_some()),
            ("ca", self.ca.is_some()),
            ("cloud", self.cloud.is_some()),
            ("idle_connections", self.idle_connections.is_some()),
            ("imds_endpoint", self.imds_endpoint.is_some()),
            ("login_timeout", self.login_timeout.is_some()),
            ("resolve", !self.resolve.is_empty()),
            ("seed", self.seed.is_some()),
            ("verify_challenge", self.verify_challenge.is_some()),
        ];
        match set.iter().find(|(_, set)| *set) {
            None => Ok(()),
            Some((option, _)) => Err(error::config(format!(
                "`{option}` is a matter of the client given; set it there"
            ))),
        }
    }

    fn client(
        self,
        vault: &str,
        limit: Duration,
        login: Duration,
        max_answer: usize,
        clock: &Arc<dyn Clock>,
    ) -> Result<(SecretClient, Session)> {
        let vault = config::vault(vault, self.cloud)?;
        let host = vault.host_str().unwrap_or_default();
        let cloud = self.cloud.or(Cloud::of(host)).unwrap_or(Cloud::Public);
        let authority = config::authority(self.authority.as_deref().unwrap_or(cloud.authority()))?;
        let imds = self.imds_endpoint.as_deref().map(config::imds).transpose()?;
        let verify = self.verify_challenge.unwrap_or(true);
        if !verify && !config::loopback(&vault) {
            return Err(error::config(
                "`verify_challenge` can be turned off for a stand-in on this machine only",
            ));
        }
        let api_version = self.api_version.clone();
        api_version.as_deref().map(config::api_version).transpose()?;
        let usual = self.http(limit, false)?;
        let direct = self.http(limit, true)?;
        let auth = self.auth.unwrap_or_else(Auth::default_order);
        auth.check()?;
        let vault_is_local = self
            .resolve
            .iter()
            .any(|(name, address)| name.eq_ignore_ascii_case(host) && address.ip().is_loopback());
        let transport = Transport::new(Inner {
            usual,
            direct,
            vault: vault.clone(),
            verify,
            vault_is_local,
            authority,
            imds,
            agent: agent(self.application.as_deref())?,
            max_answer,
            limit,
            clock: clock.clone(),
        });
        let rng = self
            .seed
            .map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let session = Session::new(transport.clone(), auth, login, rng);
        let defaults = SecretClientOptions::default();
        let options = SecretClientOptions {
            api_version: api_version.unwrap_or(defaults.api_version),
            client_options: ClientOptions {
                transport: Some(SdkTransport::with_policy(Arc::new(transport))),
                retry: RetryOptions::none(),
                ..defaults.client_options
            },
            verify_challenge_resource: Some(verify),
        };
        let client = sdk(&vault, &session, options)?;
        Ok((client, session))
    }

    fn http(&self, limit: Duration, direct: bool) -> Result<reqwest::Client> {
        let mut client = reqwest::Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .tls_version_min(TlsVersion::TLS_1_2)
            .connect_timeout(limit)
            .pool_max_idle_per_host(if self.idle_connections == Some(false) {
                0
            } else {
                usize::MAX
            });
        if direct {
            client = client.no_proxy();
        }
        for (host, address) in &self.resolve {
            client = client.resolve(host, *address);
        }
        match &self.ca {
            None => {}
            Some(Pem::Text(pem)) => client = client.tls_certs_only(config::authorities(pem)?),
            Some(Pem::File(path)) => {
                let pem = config::file(path, "the authority's certificate")?;
                client = client.tls_certs_only(config::authorities(&pem)?);
            }
        }
        client.build().map_err(|_| {
            error::config("TLS cannot be set up with these certificates, or with those of the platform")
        })
    }
}

fn sdk(vault: &Url, session: &Session, options: SecretClientOptions) -> Result<SecretClient> {
    SecretClient::new(vault.as_str(), session.credential(), Some(options))
        .map_err(|_| error::config("the SDK does not take the vault's URL"))
}

fn agent(application: Option<&str>) -> Result<String> {
    let agent = concat!("secrets-azure/", env!("CARGO_PKG_VERSION"));
    let agent = match application {
        None => agent.to_owned(),
        Some(application) => format!("{agent} {application}"),
    };
    if http::HeaderValue::from_str(&agent).is_err() {
        return Err(error::config(
            "the application's name contains a character that no HTTP header can hold",
        ));
    }
    Ok(agent)
}

impl fmt::Debug for AzureBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureBuilder")
            .field("auth", &self.access.auth)
            .field("cloud", &self.access.cloud)
            .finish_non_exhaustive()
    }
}
