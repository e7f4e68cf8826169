//! The options that both services share.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use aws_types::app_name::AppName;
use aws_types::region::Region;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrets_core::{Cause, Clock, Error, ErrorKind, Result, SystemClock};

use crate::call::Caller;
use crate::endpoint;
use crate::error::config;
use crate::session::Session;
use crate::settings::Service;
use crate::source::{self, Limits, Role, Source};
use crate::transport::Transport;

/// What a builder has been told.
pub(crate) struct Options {
    pub(crate) allow_insecure: bool,
    pub(crate) application: Option<String>,
    pub(crate) base: String,
    pub(crate) ca: Option<Pem>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) dual_stack: Option<bool>,
    pub(crate) endpoint: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) fips: Option<bool>,
    pub(crate) idle_connections: bool,
    pub(crate) limits: Limits,
    pub(crate) max_value: usize,
    pub(crate) profile: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) seed: Option<u64>,
    pub(crate) session_name: Option<String>,
    pub(crate) sts_endpoint: Option<String>,
}

pub(crate) enum Pem {
    File(PathBuf),
    Text(Vec<u8>),
}

impl Options {
    pub(crate) fn new(base: &str) -> Self {
        Self {
            allow_insecure: false,
            application: None,
            base: base.to_owned(),
            ca: None,
            clock: Arc::new(SystemClock::new()),
            credentials: None,
            dual_stack: None,
            endpoint: None,
            external_id: None,
            fips: None,
            idle_connections: true,
            limits: Limits {
                request: Duration::from_secs(5),
                login: Duration::from_secs(10),
            },
            max_value: 64 * 1024,
            profile: None,
            region: None,
            role: None,
            seed: None,
            session_name: None,
            sts_endpoint: None,
        }
    }

    /// Checks what does not concern the way to AWS.
    pub(crate) fn check(&self) -> Result<()> {
        for (limit, option) in [
            (self.limits.request, "timeout"),
            (self.limits.login, "login_timeout"),
        ] {
            if limit.is_zero() || limit > Duration::from_hours(1) {
                return Err(config(format!(
                    "`{option}` must be above zero and at most an hour"
                )));
            }
        }
        if self.max_value == 0 || self.max_value > 64 * 1024 * 1024 {
            return Err(config("`max_value` must be above zero and at most 64 MiB"));
        }
        Ok(())
    }

    /// A caller with a session of its own, and the endpoint of the service where one was given.
    pub(crate) fn connect(mut self, service: Service) -> Result<(Caller, Option<String>)> {
        let endpoint = self.endpoint.take();
        let endpoint = endpoint.map(|url| endpoint::url(&url, self.allow_insecure, "endpoint"));
        let endpoint = endpoint.transpose()?;
        if endpoint.is_some() || self.sts_endpoint.is_some() {
            endpoint::only(self.fips.unwrap_or_default(), self.dual_stack.unwrap_or_default())?;
        }
        let sts_endpoint = self.sts_endpoint.take();
        let sts_endpoint = sts_endpoint.map(|url| endpoint::url(&url, self.allow_insecure, "sts_endpoint"));
        let region = OnceLock::new();
        if let Some(name) = self.region.take() {
            endpoint::region(&name)?;
            let _ = region.set(Region::new(name));
        }
        let application = self.application.take().map(|name| {
            AppName::new(name).map_err(|_| {
                config("the application's name has a character that AWS's user agent cannot hold: use letters, digits and -")
            })
        });
        if self
            .credentials
            .as_ref()
            .is_some_and(|given| !source::can_be_sent(given))
        {
            return Err(config(
                "`credentials` has an id or a token with a blank or another character that no request can carry; a line \
                 break at its end is left out by `trim`",
            ));
        }
        let role = self.role()?;
        if role.is_none() && sts_endpoint.is_some() {
            return Err(config(
                "`sts_endpoint` is of no use without `role`; AWS_ENDPOINT_URL_STS is for all of STS",
            ));
        }
        let rng = self
            .seed
            .map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let transport = Transport::new(
            &self.tls()?,
            self.idle_connections,
            self.allow_insecure,
            self.max_value,
        );
        let source = Source {
            transport,
            clock: self.clock.clone(),
            service,
            endpoint: endpoint.clone(),
            region,
            profile: self.profile.take().filter(|profile| !profile.is_empty()),
            fixed: self.credentials.take(),
            role,
            sts_endpoint: sts_endpoint.transpose()?,
            fips: self.fips,
            dual_stack: self.dual_stack,
            application: application.transpose()?,
            allow_insecure: self.allow_insecure,
        };
        let caller = Caller {
            session: Some(Session::new(source, self.limits, rng)),
            clock: self.clock,
            limit: self.limits.request,
        };
        Ok((caller, endpoint))
    }

    /// A caller for a client that the user has made: how it reaches AWS is its own affair.
    pub(crate) fn adopt(self) -> Result<Caller> {
        let given = [
            ("allow_insecure", self.allow_insecure),
            ("application", self.application.is_some()),
            ("ca", self.ca.is_some()),
            ("credentials", self.credentials.is_some()),
            ("dual_stack", self.dual_stack.is_some()),
            ("endpoint", self.endpoint.is_some()),
            ("external_id", self.external_id.is_some()),
            ("fips", self.fips.is_some()),
            ("idle_connections", !self.idle_connections),
            ("profile", self.profile.is_some()),
            ("region", self.region.is_some()),
            ("role", self.role.is_some()),
            ("session_name", self.session_name.is_some()),
            ("sts_endpoint", self.sts_endpoint.is_some()),
        ];
        if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
            return Err(config(format!(
                "`{option}` is for the client to say, which is given here ready-made"
            )));
        }
        Ok(Caller {
            session: None,
            clock: self.clock,
            limit: self.limits.request,
        })
    }

    fn role(&self) -> Result<Option<Role>> {
        let Some(arn) = &self.role else {
            if self.external_id.is_some() || self.session_name.is_some() {
                return Err(config(
                    "`external_id` and `session_name` are of no use without `role`",
                ));
            }
            return Ok(None);
        };
        let mut parts = arn.splitn(6, ':');
        let shape = (parts.next(), parts.nth(1), parts.nth(2));
        if !matches!(shape, (Some("arn"), Some("iam"), Some(role)) if role.starts_with("role/")) {
            return Err(config(
                "`role` is not the ARN of a role; write arn:aws:iam::123456789012:role/name",
            ));
        }
        let session_name = self
            .session_name
            .clone()
            .unwrap_or_else(|| "secrets-aws".to_owned());
        let plain = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if !(2..=64).contains(&session_name.len()) || !session_name.chars().all(plain) {
            return Err(config(
                "`session_name` must have 2 to 64 letters, digits or _ + = , . @ -",
            ));
        }
        Ok(Some(Role {
            arn: arn.clone(),
            external_id: self.external_id.clone(),
            session_name,
            seconds: None,
        }))
    }

    /// What is trusted: the authority given and no other, or those of the platform.
    fn tls(&self) -> Result<TlsContext> {
        let store = match &self.ca {
            // The HTTP client panics where it is to use the platform's authorities and there are none.
            None if rustls_native_certs::load_native_certs().certs.is_empty() => TrustStore::empty(),
            None => TrustStore::default(),
            Some(Pem::Text(pem)) => trust(pem)?,
            Some(Pem::File(path)) => trust(&std::fs::read(path).map_err(|error| {
                let message = format!(
                    "the authority's certificate cannot be read from {}",
                    path.display()
                );
                Error::new(ErrorKind::InvalidConfig, message).with_cause(Cause::from(&error))
            })?)?,
        };
        TlsContext::builder()
            .with_trust_store(store)
            .build()
            .map_err(|_| config("TLS cannot be set up with these certificates"))
    }
}

/// Trusts these authorities and no others. The HTTP client panics over certificates it cannot read, so they are read here.
fn trust(pem: &[u8]) -> Result<TrustStore> {
    let invalid = || config("the authority's certificate is not PEM text with a certificate in it");
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| invalid())?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|_| invalid())?;
    }
    if roots.is_empty() {
        return Err(invalid());
    }
    Ok(TrustStore::empty().with_pem_certificate(pem))
}

/// The methods that both builders have.
macro_rules! shared_options {
    ($builder:ident, base = $base:literal, max_value = $max:literal) => {
        impl $builder {
            /// Lets plain http leave this machine (`allow_insecure=`). Credentials and secrets then cross the network in the
            /// clear.
            pub fn allow_insecure(mut self, allow: bool) -> Self {
                self.options.allow_insecure = allow;
                self
            }

            /// The name of the application (`application=`), such as `billing`: `CloudTrail` shows it in the user agent, as
            /// `app/billing`. Letters, digits and some punctuation, no `/` and no space.
            pub fn application(mut self, application: impl Into<String>) -> Self {
                self.options.application = Some(application.into());
                self
            }

            #[doc = concat!("Put before every name, as it is (`base=`). By default ", $base, ".")]
            pub fn base(mut self, base: impl Into<String>) -> Self {
                self.options.base = base.into();
                self
            }

            /// The authorities to trust, and no others: a PEM file, read by `build`. The URI's driver takes it from
            /// `AWS_CA_BUNDLE`.
            pub fn ca_file(mut self, path: impl Into<std::path::PathBuf>) -> Self {
                self.options.ca = Some($crate::options::Pem::File(path.into()));
                self
            }

            /// The authorities to trust, and no others, as PEM text. By default those of the platform.
            pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
                self.options.ca = Some($crate::options::Pem::Text(pem.into()));
                self
            }

            /// Where time comes from; for tests.
            pub fn clock(mut self, clock: impl secrets_core::Clock) -> Self {
                self.options.clock = std::sync::Arc::new(clock);
                self
            }

            /// These credentials instead of those that the [chain](crate#credentials) finds; mostly for tests. With a
            /// [`role`](Self::role) they are what it is assumed with.
            pub fn credentials(
                mut self,
                access_key_id: impl Into<String>,
                secret_access_key: impl Into<secrecy::SecretString>,
                session_token: Option<secrecy::SecretString>,
            ) -> Self {
                use secrecy::ExposeSecret as _;
                self.options.credentials = Some(aws_credential_types::Credentials::new(
                    access_key_id,
                    secret_access_key.into().expose_secret(),
                    session_token.map(|token| token.expose_secret().to_owned()),
                    None,
                    "secrets-aws",
                ));
                self
            }

            /// Whether to use the endpoints that IPv6 reaches, too (`dual_stack=`). By default as `AWS_USE_DUALSTACK_ENDPOINT`
            /// or the profile says.
            pub fn dual_stack(mut self, dual_stack: bool) -> Self {
                self.options.dual_stack = Some(dual_stack);
                self
            }

            /// Where the service is (`endpoint=`), such as the URL of a VPC endpoint. By default as `AWS_ENDPOINT_URL` and its
            /// like or the profile say, and otherwise AWS's own in the region. Not together with [`fips`](Self::fips) or
            /// [`dual_stack`](Self::dual_stack): give the endpoint that does both.
            pub fn endpoint(mut self, url: impl Into<String>) -> Self {
                self.options.endpoint = Some(url.into());
                self
            }

            /// The id that the [role](Self::role)'s owner asks for (`external_id=`).
            pub fn external_id(mut self, id: impl Into<String>) -> Self {
                self.options.external_id = Some(id.into());
                self
            }

            /// Whether to use the endpoints with validated cryptography (`fips=`). By default as `AWS_USE_FIPS_ENDPOINT` or
            /// the profile says. The cryptography of this end stays the same.
            pub fn fips(mut self, fips: bool) -> Self {
                self.options.fips = Some(fips);
                self
            }

            /// Whether connections are kept for the next request (`idle_connections=`), as they are by default. A kept
            /// connection holds the last answer in its buffers.
            pub fn idle_connections(mut self, keep: bool) -> Self {
                self.options.idle_connections = keep;
                self
            }

            /// How long finding credentials may take, with all that is asked for them (`login_timeout=`). By default 10 s.
            pub fn login_timeout(mut self, limit: std::time::Duration) -> Self {
                self.options.limits.login = limit;
                self
            }

            #[doc = concat!("The largest value, in bytes (`max_value=`). By default ", $max, ".")]
            pub fn max_value(mut self, bytes: usize) -> Self {
                self.options.max_value = bytes;
                self
            }

            /// The profile of `~/.aws/config` and `~/.aws/credentials` (`profile=`). Its keys stand before those of the
            /// environment. By default as `AWS_PROFILE` says, whose keys do not.
            pub fn profile(mut self, profile: impl Into<String>) -> Self {
                self.options.profile = Some(profile.into());
                self
            }

            /// The region (the host of the URI), such as `eu-central-1`. By default as `AWS_REGION`, the profile or the
            /// instance's metadata say.
            pub fn region(mut self, region: impl Into<String>) -> Self {
                self.options.region = Some(region.into());
                self
            }

            /// A role to assume with the credentials found (`role=`): its ARN.
            pub fn role(mut self, arn: impl Into<String>) -> Self {
                self.options.role = Some(arn.into());
                self
            }

            /// Makes the jitter of logins repeatable; for tests.
            pub fn seed(mut self, seed: u64) -> Self {
                self.options.seed = Some(seed);
                self
            }

            /// What `CloudTrail` calls the session of the [role](Self::role) (`session_name=`). By default `secrets-aws`.
            pub fn session_name(mut self, name: impl Into<String>) -> Self {
                self.options.session_name = Some(name.into());
                self
            }

            /// Where STS is, for the [role](Self::role) (`sts_endpoint=`). By default as `AWS_ENDPOINT_URL_STS` or the profile
            /// say, and otherwise AWS's own in the region.
            pub fn sts_endpoint(mut self, url: impl Into<String>) -> Self {
                self.options.sts_endpoint = Some(url.into());
                self
            }

            /// How long one request may take. By default 5 s.
            pub fn timeout(mut self, limit: std::time::Duration) -> Self {
                self.options.limits.request = limit;
                self
            }
        }
    };
}
pub(crate) use shared_options;
