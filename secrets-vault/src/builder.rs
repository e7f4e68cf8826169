use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::tls::Version as TlsVersion;
use secrecy::SecretSlice;
use secrets_core::{Clock, Result, SecretName, SystemClock};

use crate::auth::Auth;
use crate::backend::VaultBackend;
use crate::config;
use crate::credential::Credential;
use crate::dynamic::Dynamic;
use crate::engine::{Detected, Engine};
use crate::error;
use crate::session::{Limits, Session};
use crate::transport::{Node, Transport};
use crate::values::Values;

/// Options of a [`VaultBackend`]. Nothing is taken from the environment unless [asked for](VaultBuilder::from_env).
#[must_use = "a builder does nothing until `build` is called"]
pub struct VaultBuilder {
    addresses: Vec<String>,
    allow_insecure: bool,
    application: Option<String>,
    auth: Option<Auth>,
    auth_mount: Option<String>,
    base: Option<String>,
    binary_suffix: Option<String>,
    ca: Option<Pem>,
    client_certificate: Option<(Pem, Key)>,
    clock: Arc<dyn Clock>,
    default_field: String,
    engine: Engine,
    idle_connections: bool,
    limits: Limits,
    max_value: usize,
    mount: String,
    namespace: Option<String>,
    seed: Option<u64>,
    shutdown_timeout: Duration,
}

enum Pem {
    File(PathBuf),
    Text(Vec<u8>),
}

enum Key {
    File(PathBuf),
    Text(SecretSlice<u8>),
}

impl VaultBuilder {
    pub(crate) fn new(address: String) -> Self {
        Self {
            addresses: vec![address],
            allow_insecure: false,
            application: None,
            auth: None,
            auth_mount: None,
            base: None,
            binary_suffix: None,
            ca: None,
            client_certificate: None,
            clock: Arc::new(SystemClock::new()),
            default_field: "value".to_owned(),
            engine: Engine::Kv2,
            idle_connections: true,
            limits: Limits {
                request: Duration::from_secs(5),
                login: Duration::from_secs(10),
            },
            max_value: 1024 * 1024,
            mount: "secret".to_owned(),
            namespace: None,
            seed: None,
            shutdown_timeout: Duration::from_secs(5),
        }
    }

    /// One more node of the cluster (`address=`). The next one is asked when one cannot be reached, is sealed, or is a
    /// standby that does not forward.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// Lets plain http leave this machine (`allow_insecure=`). Tokens and secrets then cross the network in the clear.
    pub fn allow_insecure(mut self, allow: bool) -> Self {
        self.allow_insecure = allow;
        self
    }

    /// `AppRole` with this role id and secret id: short for [`auth`](VaultBuilder::auth) with [`Auth::app_role`].
    pub fn app_role(self, role_id: impl Into<String>, secret_id: impl Into<Credential>) -> Self {
        self.auth(Auth::app_role(role_id, secret_id))
    }

    /// What follows the name of this library in the user agent, such as `billing/1.4`: Vault's audit log can show it.
    pub fn application(mut self, application: impl Into<String>) -> Self {
        self.application = Some(application.into());
        self
    }

    /// How to log in (`auth=`). There is no default.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Where the auth method is mounted (`auth_mount=`); the same as [`Auth::mount`].
    pub fn auth_mount(mut self, mount: impl Into<String>) -> Self {
        self.auth_mount = Some(mount.into());
        self
    }

    /// Put before every name, as it is (`base=`): `apps/web` makes `smtp/password` the path `apps/web/smtp/password`.
    pub fn base(mut self, base: impl Into<String>) -> Self {
        self.base = Some(base.into());
        self
    }

    /// Fields whose name ends so hold base64 (`binary_suffix=`): with `_b64`, the field `keystore_b64` is read as the
    /// bytes it stands for and called `keystore`. Off by default.
    pub fn binary_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.binary_suffix = Some(suffix.into());
        self
    }

    /// The authorities to trust, and no others (`ca_file=`): a PEM file, read by [`build`](VaultBuilder::build).
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca = Some(Pem::File(path.into()));
        self
    }

    /// The authorities to trust, and no others, as PEM text. By default those of the platform.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(Pem::Text(pem.into()));
        self
    }

    /// The certificate to show to Vault and its key, as PEM text.
    pub fn client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: SecretSlice<u8>) -> Self {
        self.client_certificate = Some((Pem::Text(certificate.into()), Key::Text(key)));
        self
    }

    /// The certificate to show to Vault and its key (`client_cert_file=`, `client_key_file=`): PEM files, read by
    /// [`build`](VaultBuilder::build).
    pub fn client_certificate_files(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.client_certificate = Some((Pem::File(certificate.into()), Key::File(key.into())));
        self
    }

    /// Where time comes from; for tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The field that is the value of a secret which has no other (`field=`). By default `value`.
    pub fn default_field(mut self, field: impl Into<String>) -> Self {
        self.default_field = field.into();
        self
    }

    /// What lies at the mount (`kv=1`, `kv=2`, `kv=detect`, `kv=dynamic`). By default KV v2.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Whether connections are kept for the next request (`idle_connections=`), as they are by default. A kept connection
    /// holds the last answer in its buffers.
    pub fn idle_connections(mut self, keep: bool) -> Self {
        self.idle_connections = keep;
        self
    }

    /// How long a login may take (`login_timeout=`). By default 10 s.
    pub fn login_timeout(mut self, limit: Duration) -> Self {
        self.limits.login = limit;
        self
    }

    /// The largest value, in bytes, all fields together (`max_value=`). By default 1 MiB.
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// Where the engine is mounted (the path of the URI). By default `secret`.
    pub fn mount(mut self, mount: impl Into<String>) -> Self {
        self.mount = mount.into();
        self
    }

    /// The namespace of everything, logins included (`namespace=`).
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Makes the jitter of renewals repeatable; for tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How long [`shutdown`](secrets_core::SecretBackend::shutdown) may take. By default 5 s.
    pub fn shutdown_timeout(mut self, limit: Duration) -> Self {
        self.shutdown_timeout = limit;
        self
    }

    /// How long one request may take (`timeout=`), all nodes together. By default 5 s.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limits.request = limit;
        self
    }

    /// This token: short for [`auth`](VaultBuilder::auth) with [`Auth::token`].
    pub fn token(self, token: impl Into<Credential>) -> Self {
        self.auth(Auth::token(token))
    }

    /// Checks every option. No network, no task; only the files of certificates are read.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` naming the option.
    pub fn build(self) -> Result<VaultBackend> {
        for (limit, option) in [
            (self.limits.request, "timeout"),
            (self.limits.login, "login_timeout"),
            (self.shutdown_timeout, "shutdown_timeout"),
        ] {
            if limit.is_zero() || limit > Duration::from_secs(3_600) {
                return Err(error::config(format!(
                    "`{option}` must be above zero and at most an hour"
                )));
            }
        }
        if self.max_value == 0 {
            return Err(error::config("`max_value` must be above zero"));
        }
        if self.default_field.is_empty() {
            return Err(error::config("the default field has no name"));
        }
        if self.binary_suffix.as_deref() == Some("") {
            return Err(error::config(
                "the binary suffix is empty: it would make every field base64",
            ));
        }
        let mount = self.mount.trim_matches('/');
        config::segments(mount, "the mount")?;
        let base = self.base.as_deref().map(|base| base.trim_matches('/'));
        let base = base.filter(|base| !base.is_empty()).map(|base| {
            config::segments(base, "the base")?;
            SecretName::new(base)
        });
        let namespace = self
            .namespace
            .as_deref()
            .filter(|namespace| !namespace.is_empty());
        let namespace = namespace.map(config::namespace).transpose()?;
        let transport_nodes = self.nodes()?;
        let mut auth = self.auth.ok_or_else(|| {
            error::config("no way to log in is given: set `token`, `app_role` or another `auth`")
        })?;
        if let Some(mount) = self.auth_mount {
            auth = auth.mount(mount.trim_matches('/'));
        }
        auth.check(self.client_certificate.is_some())?;
        let values = Values::new(&self.default_field, self.binary_suffix.as_deref(), self.max_value);
        let rng = self
            .seed
            .map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let transport = Transport::new(transport_nodes, namespace, values.max_answer(), self.clock);
        Ok(VaultBackend {
            session: Session::new(transport, auth, self.limits, rng),
            mount: mount.into(),
            base: base.transpose()?,
            engine: Detected::new(self.engine),
            dynamic: Dynamic::new(),
            values,
            shutdown_limit: self.shutdown_timeout,
        })
    }

    fn nodes(&self) -> Result<Vec<Node>> {
        let agent = match &self.application {
            None => concat!("secrets-vault/", env!("CARGO_PKG_VERSION")).to_owned(),
            Some(application) => format!(
                "{} {application}",
                concat!("secrets-vault/", env!("CARGO_PKG_VERSION"))
            ),
        };
        let agent = http::HeaderValue::from_str(&agent).map_err(|_| {
            error::config("the application's name contains a character that no HTTP header can hold")
        })?;
        let authorities = match &self.ca {
            None => None,
            Some(Pem::Text(pem)) => Some(config::authorities(pem)?),
            Some(Pem::File(path)) => Some(config::authorities(&config::file(
                path,
                "the authority's certificate",
            )?)?),
        };
        let identity = match &self.client_certificate {
            None => None,
            Some((certificate, key)) => {
                let certificate = match certificate {
                    Pem::Text(pem) => pem.clone(),
                    Pem::File(path) => config::file(path, "the client certificate")?,
                };
                let read;
                let key = match key {
                    Key::Text(key) => key,
                    Key::File(path) => {
                        read = config::file(path, "the key of the client certificate")?.into();
                        &read
                    }
                };
                Some(config::identity(&certificate, key)?)
            }
        };
        // One node that swallows packets must not use up the time of the others.
        let share = u32::try_from(self.addresses.len()).unwrap_or(u32::MAX);
        let connect = (self.limits.request / share).max(Duration::from_millis(100));
        let mut nodes = Vec::with_capacity(self.addresses.len());
        for address in &self.addresses {
            let base = config::address(address, self.allow_insecure)?;
            let mut client = reqwest::Client::builder()
                .user_agent(agent.clone())
                .redirect(Policy::none())
                .referer(false)
                .tls_version_min(TlsVersion::TLS_1_2)
                .connect_timeout(connect)
                .pool_max_idle_per_host(if self.idle_connections { usize::MAX } else { 0 });
            if config::loopback(&base) {
                client = client.no_proxy();
            }
            if let Some(authorities) = &authorities {
                client = client.tls_certs_only(authorities.iter().cloned());
            }
            if let Some(identity) = &identity {
                client = client.identity(identity.clone());
            }
            let client = client.build().map_err(|_| {
                error::config("TLS cannot be set up with these certificates, or with those of the platform")
            })?;
            nodes.push(Node { base, client });
        }
        Ok(nodes)
    }
}

impl fmt::Debug for VaultBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultBuilder")
            .field("auth", &self.auth)
            .field("mount", &self.mount)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
