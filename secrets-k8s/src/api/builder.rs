use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::config::{AuthInfo, Config};
use secrecy::SecretString;
use secrets_core::{Clock, Result, SystemClock};
use secrets_file::watch::Ledger;

use super::backend::{Inner, K8sApiBackend, NAME};
use super::batch::Listing;
use super::config::{self, Connection, Source};
use super::error;
use super::list::{check_namespace, check_selector};
use super::login::Login;
use super::say::Said;
use super::server::{Scope, Server};
use super::transport::Transport;
use crate::naming::Naming;
use crate::values::Values;

/// Options of a [`K8sApiBackend`]; checked by [`build`](K8sApiBuilder::build).
#[must_use = "a builder does nothing until `build` is called"]
pub struct K8sApiBuilder {
    allow_insecure: bool,
    application: Option<String>,
    base: String,
    ca_pem: Option<Vec<u8>>,
    clock: Arc<dyn Clock>,
    default_field: String,
    idle_connections: bool,
    label_selector: Option<String>,
    list_namespace: bool,
    login_timeout: Duration,
    max_value: usize,
    namespace: Option<String>,
    poll_interval: Duration,
    source: Where,
    timeout: Duration,
    token: Option<Token>,
    watch_timeout: Duration,
}

/// What was said about where the cluster is.
enum Where {
    Address(String),
    Source(Source),
}

enum Token {
    File(PathBuf),
    Text(SecretString),
}

impl K8sApiBuilder {
    fn new(source: Where) -> Self {
        Self {
            allow_insecure: false,
            application: None,
            base: String::new(),
            ca_pem: None,
            clock: Arc::new(SystemClock::new()),
            default_field: "value".to_owned(),
            idle_connections: true,
            label_selector: None,
            list_namespace: false,
            login_timeout: Duration::from_secs(10),
            max_value: Values::DEFAULT_MAX,
            namespace: None,
            poll_interval: Duration::from_secs(60),
            source,
            timeout: Duration::from_secs(5),
            token: None,
            watch_timeout: Duration::from_secs(240),
        }
    }

    pub(super) fn inferred() -> Self {
        Self::new(Where::Source(Source::Inferred))
    }

    pub(super) fn in_cluster() -> Self {
        Self::new(Where::Source(Source::InCluster))
    }

    pub(super) fn from_kubeconfig() -> Self {
        Self::new(Where::Source(Source::Kubeconfig {
            path: None,
            context: None,
        }))
    }

    pub(super) fn at(address: String) -> Self {
        Self::new(Where::Address(address))
    }

    pub(super) fn with_config(config: Config) -> Self {
        Self::new(Where::Source(Source::Given(Box::new(config))))
    }

    /// Lets plain http leave this machine (`allow_insecure=`). Tokens and secrets then cross the network in the clear.
    pub fn allow_insecure(mut self, allow: bool) -> Self {
        self.allow_insecure = allow;
        self
    }

    /// What follows the name of this library in the user agent, such as `billing/1.4` (`application=`): the audit log of
    /// the cluster can show it.
    pub fn application(mut self, application: impl Into<String>) -> Self {
        self.application = Some(application.into());
        self
    }

    /// Put before the name of every Secret, as it is (`base=`): with `billing-`, the name `smtp/password` is the key
    /// `password` of `billing-smtp`. Nothing by default.
    pub fn base(mut self, base: impl Into<String>) -> Self {
        self.base = base.into();
        self
    }

    /// The authorities to trust, and no others, as PEM text. By default those of the kubeconfig or the pod; for a
    /// [`server`](K8sApiBackend::server) those of the platform.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem = Some(pem.into());
        self
    }

    /// Where time comes from; for tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The context of the kubeconfig to use (`context=`), instead of its current one.
    pub fn context(mut self, context: impl Into<String>) -> Self {
        let path = match self.source {
            Where::Source(Source::Kubeconfig { path, .. }) => path,
            _ => None,
        };
        self.source = Where::Source(Source::Kubeconfig {
            path,
            context: Some(context.into()),
        });
        self
    }

    /// The key that is the value of a whole Secret which has no other (`default_field=`). By default `value`.
    pub fn default_field(mut self, field: impl Into<String>) -> Self {
        self.default_field = field.into();
        self
    }

    /// Whether connections are kept for the next request (`idle_connections=`), as they are by default. A kept connection
    /// holds the last answer in its buffers.
    pub fn idle_connections(mut self, keep: bool) -> Self {
        self.idle_connections = keep;
        self
    }

    /// The kubeconfig to use (`kubeconfig=`), instead of that of the variable `KUBECONFIG` or `~/.kube/config`.
    pub fn kubeconfig(mut self, path: impl Into<PathBuf>) -> Self {
        let context = match self.source {
            Where::Source(Source::Kubeconfig { context, .. }) => context,
            _ => None,
        };
        self.source = Where::Source(Source::Kubeconfig {
            path: Some(path.into()),
            context,
        });
        self
    }

    /// Finds the Secrets of interest by their labels (`label_selector=`), such as `app=billing`: one list instead of many
    /// reads, and one watch for all. Needs `list` and `watch` on all Secrets of the namespace. Secrets without these labels
    /// can be read all the same, one by one.
    ///
    /// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>
    pub fn label_selector(mut self, selector: impl Into<String>) -> Self {
        self.label_selector = Some(selector.into());
        self
    }

    /// Lets several Secrets be read by one list of the whole namespace (`list_namespace=`); off by default, because every
    /// Secret of the namespace then crosses the network. With a [label selector](K8sApiBuilder::label_selector) only those
    /// that it finds are listed, and this changes nothing.
    pub fn list_namespace(mut self, list: bool) -> Self {
        self.list_namespace = list;
        self
    }

    /// How long the plugin of a kubeconfig may take to bring a token (`login_timeout=`). By default 10 s.
    pub fn login_timeout(mut self, limit: Duration) -> Self {
        self.login_timeout = limit;
        self
    }

    /// The largest value, in bytes, all keys of a whole Secret together (`max_value=`). By default 1 MiB, which is as much
    /// as Kubernetes takes.
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// The namespace to read from (the host of the URI). By default that of the pod or of the kubeconfig's context.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// How often Secrets of interest are looked at while they may not be watched (`poll_interval=`). By default a minute.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// How long one request may take, up to the end of its answer. By default 5 s.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// This bearer token, instead of any other credential.
    pub fn token(mut self, token: impl Into<SecretString>) -> Self {
        self.token = Some(Token::Text(token.into()));
        self
    }

    /// The bearer token in this file, instead of any other credential. It is read again every minute, and whenever the API
    /// server refuses the one read last.
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token = Some(Token::File(path.into()));
        self
    }

    /// How long one watch lasts before it is continued on a new connection (`watch_timeout=`), and so how long a connection
    /// that has died silently goes unnoticed. By default 4 minutes.
    pub fn watch_timeout(mut self, limit: Duration) -> Self {
        self.watch_timeout = limit;
        self
    }

    /// Checks every option. No network, no task; kubeconfig, certificates and the pod's namespace are read.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` naming the option, or what is wrong with the kubeconfig.
    pub fn build(self) -> Result<K8sApiBackend> {
        self.checked().map_err(|error| error.with_backend(NAME))
    }

    fn checked(self) -> Result<K8sApiBackend> {
        let hour = Duration::from_secs(3_600);
        for (limit, least, option) in [
            (self.login_timeout, Duration::from_millis(1), "login_timeout"),
            (self.poll_interval, Duration::from_secs(1), "poll_interval"),
            (self.timeout, Duration::from_millis(1), "timeout"),
            (self.watch_timeout, Duration::from_secs(1), "watch_timeout"),
        ] {
            if limit < least || limit > hour {
                return Err(error::config(format!(
                    "`{option}` must be at least {} s and at most an hour",
                    least.as_secs_f64()
                )));
            }
        }
        let naming = Naming::new(&self.base)?;
        let values = Values::new(&self.default_field, self.max_value)?;
        if let Some(selector) = &self.label_selector {
            check_selector(selector)?;
        }
        let (base, mut config) = match self.source {
            Where::Address(address) => {
                let base = config::address(&address, self.allow_insecure)?;
                let uri = base.as_str().parse();
                let uri = uri.map_err(|_| error::config("the address of the API server is not a URL"))?;
                (base, Config::new(uri))
            }
            Where::Source(source) => {
                let config = source.load()?;
                let base = config::address(&config.cluster_url.to_string(), self.allow_insecure)?;
                (base, config)
            }
        };
        if let Some(pem) = &self.ca_pem {
            config::authorities(pem)?;
            config.root_cert_file = None;
        }
        match self.token {
            None => {}
            Some(Token::Text(token)) => {
                config.auth_info = AuthInfo {
                    token: Some(token),
                    ..AuthInfo::default()
                }
            }
            Some(Token::File(path)) => {
                let path = path.into_os_string().into_string();
                let path = path.map_err(|_| error::config("the path of the token is not text"))?;
                config.auth_info = AuthInfo {
                    token_file: Some(path),
                    ..AuthInfo::default()
                };
            }
        }
        let namespace = self.namespace.unwrap_or_else(|| config.default_namespace.clone());
        check_namespace(&namespace)?;
        let headers = config::headers(&config)?;
        let connection = Connection::new(
            &config,
            &base,
            self.application.as_deref(),
            self.timeout,
            self.idle_connections,
        )?;
        let connection = match &self.ca_pem {
            Some(pem) => connection.trusting(config::authorities(pem)?),
            None => connection,
        };
        let login = Login::new(&mut config, self.login_timeout, self.clock.clone())?;
        let transport = Transport::new(base, connection, headers, self.clock)?;
        let scope = match self.label_selector {
            Some(labels) => Some(Scope::Labelled(labels.into())),
            None => self.list_namespace.then_some(Scope::All),
        };
        Ok(K8sApiBackend {
            inner: Arc::new(Inner {
                server: Server {
                    transport,
                    login,
                    namespace: namespace.into(),
                    limit: self.timeout,
                    values,
                },
                naming,
                listing: Listing {
                    scope,
                    denied_at: Mutex::default(),
                },
                ledger: Ledger::new(),
                said: Said::default(),
                poll_interval: self.poll_interval,
                watch_timeout: self.watch_timeout,
            }),
        })
    }
}

impl fmt::Debug for K8sApiBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("K8sApiBuilder")
            .field("namespace", &self.namespace)
            .field("label_selector", &self.label_selector)
            .finish_non_exhaustive()
    }
}
