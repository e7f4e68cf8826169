//! What kubeconfig, pod or builder say, checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use kube::config::{AuthInfo, Config, Kubeconfig};
use reqwest::redirect::Policy;
use reqwest::tls::Version as TlsVersion;
use reqwest::{Certificate, Identity, Url};
use secrecy::ExposeSecret;
use secrets_core::{Cause, Result};
use zeroize::Zeroizing;

use super::error::config;

/// Where the API server is and how to get in.
#[derive(Clone)]
pub(super) enum Source {
    /// Whatever is there: `KUBECONFIG`, then the pod's service account, then `~/.kube/config`.
    Inferred,
    InCluster,
    Kubeconfig {
        path: Option<PathBuf>,
        context: Option<String>,
    },
    Given(Box<Config>),
}

impl Source {
    /// Reads what there is to read: files and variables, no network.
    pub(super) fn load(self) -> Result<Config> {
        match self {
            Self::Given(config) => Ok(*config),
            Self::InCluster => in_cluster(),
            Self::Kubeconfig { path, context } => kubeconfig(path.as_deref(), context),
            Self::Inferred => {
                let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
                if set("KUBECONFIG") || !set("KUBERNETES_SERVICE_HOST") {
                    kubeconfig(None, None)
                } else {
                    in_cluster()
                }
            }
        }
    }
}

fn in_cluster() -> Result<Config> {
    Config::incluster().map_err(|_| {
        config(
            "this is not a pod with a service account: `KUBERNETES_SERVICE_HOST` and `_PORT` have to be set, and token, \
             `ca.crt` and `namespace` to be in /var/run/secrets/kubernetes.io/serviceaccount \
             (`automountServiceAccountToken`)",
        )
    })
}

fn kubeconfig(path: Option<&Path>, context: Option<String>) -> Result<Config> {
    let read = match path {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let mut read = read.map_err(|error| match error {
        kube::config::KubeconfigError::ReadConfig(error, path) => config(format!(
            "the kubeconfig cannot be read from {}; inside a cluster, use the pod's service account",
            path.display()
        ))
        .with_cause(Cause::from(&error)),
        // Their texts quote what they could not parse.
        _ => config("the kubeconfig is not one: check it with `kubectl config view`"),
    })?;
    if let Some(context) = context {
        read.current_context = Some(context);
    }
    Config::try_from(read).map_err(|_| {
        config(
            "the kubeconfig has no such context, or its cluster or user cannot be used; check it with \
             `kubectl config get-contexts`",
        )
    })
}

/// The address of the API server.
///
/// # Errors
///
/// `InvalidConfig`; what may be a credential is not quoted.
pub(super) fn address(address: &str, allow_insecure: bool) -> Result<Url> {
    let invalid = || config("the address of the API server is not a URL such as https://10.0.0.1:6443");
    let url = Url::parse(address.trim()).map_err(|_| invalid())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(config(
            "the address of the API server must not contain credentials",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() || url.host_str().is_none_or(str::is_empty) {
        return Err(invalid());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if allow_insecure || loopback(&url) => Ok(url),
        "http" => Err(config(
            "plain http to another machine would show token and secrets to the network; use https, or `allow_insecure`",
        )),
        _ => Err(invalid()),
    }
}

fn loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    }
}

/// What an HTTP client is made of.
pub(super) struct Connection {
    agent: HeaderValue,
    authorities: Option<Vec<Certificate>>,
    authority_file: Option<PathBuf>,
    connect_timeout: Duration,
    idle_connections: bool,
    identity: Option<Identity>,
    loopback: bool,
    proxy: Option<reqwest::Proxy>,
}

impl Connection {
    /// # Errors
    ///
    /// `InvalidConfig` for certificates that are none, and for what is not supported.
    pub(super) fn new(
        from: &Config,
        base: &Url,
        application: Option<&str>,
        connect_timeout: Duration,
        idle_connections: bool,
    ) -> Result<Self> {
        if from.accept_invalid_certs {
            return Err(config(
                "the kubeconfig says `insecure-skip-tls-verify`; certificates are always verified here: give the \
                 cluster's authority (`certificate-authority`)",
            ));
        }
        if from.tls_server_name.is_some() {
            return Err(config(
                "the kubeconfig says `tls-server-name`, which is not supported; give an address whose certificate names it",
            ));
        }
        let agent = match application {
            None => concat!("secrets-k8s/", env!("CARGO_PKG_VERSION")).to_owned(),
            Some(application) => {
                format!(
                    "{} {application}",
                    concat!("secrets-k8s/", env!("CARGO_PKG_VERSION"))
                )
            }
        };
        let agent = HeaderValue::from_str(&agent).map_err(|_| {
            config("the application's name contains a character that no HTTP header can hold")
        })?;
        let loopback = loopback(base);
        let proxy = from.proxy_url.as_ref().filter(|_| !loopback);
        let proxy = proxy
            .map(|url| match url.scheme_str() {
                Some("http" | "https") => reqwest::Proxy::all(url.to_string())
                    .map_err(|_| config("the proxy's address is not a URL")),
                _ => Err(config(
                    "the proxy of the kubeconfig, or of HTTPS_PROXY, is none of http or https, and no other is supported",
                )),
            })
            .transpose()?;
        let authorities = from.root_cert.as_deref().map(|ders| {
            let each = ders.iter().map(|der| Certificate::from_der(der));
            each.collect::<Result<Vec<_>, _>>()
                .map_err(|_| config("the cluster's authority is not a certificate"))
        });
        Ok(Self {
            agent,
            authorities: authorities.transpose()?,
            authority_file: from.root_cert_file.clone(),
            connect_timeout,
            idle_connections,
            identity: identity(&from.auth_info)?,
            loopback,
            proxy,
        })
    }

    /// These authorities instead, and no others.
    pub(super) fn trusting(self, authorities: Vec<Certificate>) -> Self {
        Self {
            authorities: Some(authorities),
            authority_file: None,
            ..self
        }
    }

    pub(super) fn client(&self) -> Result<reqwest::Client> {
        self.client_with(self.authorities.as_deref())
    }

    /// With the authorities as they are in their file now.
    pub(super) fn reloaded(&self) -> Result<reqwest::Client> {
        let path = self.authority_file.as_deref();
        let path = path.ok_or_else(|| config("the cluster's authority is not in a file"))?;
        self.client_with(Some(&authorities(&file(path, "the cluster's authority")?)?))
    }

    fn client_with(&self, authorities: Option<&[Certificate]>) -> Result<reqwest::Client> {
        let mut client = reqwest::Client::builder()
            .user_agent(self.agent.clone())
            .redirect(Policy::none())
            .referer(false)
            .tls_version_min(TlsVersion::TLS_1_2)
            .connect_timeout(self.connect_timeout)
            .pool_max_idle_per_host(if self.idle_connections { usize::MAX } else { 0 });
        if self.loopback {
            client = client.no_proxy();
        }
        if let Some(proxy) = &self.proxy {
            client = client.proxy(proxy.clone());
        }
        if let Some(authorities) = authorities {
            client = client.tls_certs_only(authorities.iter().cloned());
        }
        if let Some(identity) = &self.identity {
            client = client.identity(identity.clone());
        }
        client.build().map_err(|_| {
            config("TLS cannot be set up with these certificates, or with those of the platform")
        })
    }
}

/// The client certificate of a kubeconfig, if it has one.
fn identity(from: &AuthInfo) -> Result<Option<Identity>> {
    let invalid = || {
        config("the client certificate or its key is not PEM text in base64, or they do not belong together")
    };
    let data = |text: &str| {
        use base64ct::{Base64, Encoding};
        let mut bytes = Zeroizing::new(vec![0; text.len()]);
        let length = Base64::decode(text, &mut bytes).map_err(|_| invalid())?.len();
        bytes.truncate(length);
        Ok(bytes)
    };
    let read = |path: &str, what| file(Path::new(path), what).map(Zeroizing::new);
    let certificate = match (&from.client_certificate_data, &from.client_certificate) {
        (Some(text), _) => data(text)?,
        (None, Some(path)) => read(path, "the client certificate")?,
        (None, None) => return Ok(None),
    };
    let key = match (&from.client_key_data, &from.client_key) {
        (Some(text), _) => data(text.expose_secret())?,
        (None, Some(path)) => read(path, "the key of the client certificate")?,
        (None, None) => return Err(config("the client certificate has no key")),
    };
    let mut both = Zeroizing::new(Vec::with_capacity(certificate.len() + key.len() + 1));
    both.extend_from_slice(&certificate);
    both.push(b'\n');
    both.extend_from_slice(&key);
    Identity::from_pem(&both).map(Some).map_err(|_| invalid())
}

/// The headers that go along with every request: whom to act as, and what the configuration adds.
pub(super) fn headers(from: &Config) -> Result<HeaderMap> {
    let mut headers: HeaderMap = from.headers.iter().cloned().collect();
    let auth = &from.auth_info;
    if auth.impersonate_uid.is_some() || auth.impersonate_user_extra.is_some() {
        return Err(config(
            "the kubeconfig says `as-uid` or `as-user-extra`, which are not supported",
        ));
    }
    let groups = auth.impersonate_groups.iter().flatten();
    let acting = auth
        .impersonate
        .iter()
        .map(|user| ("impersonate-user", user))
        .chain(groups.map(|group| ("impersonate-group", group)));
    for (name, value) in acting {
        let value = HeaderValue::from_str(value)
            .map_err(|_| config("the user or group to act as cannot be in an HTTP header"))?;
        headers.append(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

/// Trusted authorities, from PEM text.
pub(super) fn authorities(pem: &[u8]) -> Result<Vec<Certificate>> {
    match Certificate::from_pem_bundle(pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(config(
            "the cluster's authority is not PEM text with a certificate in it",
        )),
    }
}

fn file(path: &Path, what: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        config(format!("{what} cannot be read from {}", path.display())).with_cause(Cause::from(&error))
    })
}

#[cfg(test)]
mod tests {
    use secrets_core::ErrorKind;

    use super::*;

    #[test]
    fn s3_plain_http_needs_loopback_or_leave() {
        for remote in [
            "http://10.0.0.1",
            "http://127.0.0.1.example.com",
            "http://localhost.com",
        ] {
            assert_eq!(
                address(remote, false).unwrap_err().kind(),
                ErrorKind::InvalidConfig
            );
            assert!(address(remote, true).is_ok());
        }
        for local in ["http://127.0.0.1:6443", "http://[::1]", "http://localhost:1"] {
            assert!(address(local, false).is_ok(), "{local}");
        }
    }

    #[test]
    fn s1_a_refused_address_is_not_quoted() {
        for bad in [
            "https://user:hunter2@api",
            "hunter2",
            "ftp://hunter2",
            "https://api?token=hunter2",
            "https://api#hunter2",
            "https://",
            "",
        ] {
            let error = address(bad, true).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{bad}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{bad}");
        }
    }

    #[test]
    fn s3_what_turns_verification_off_is_refused() {
        let mut from = Config::new("https://api".parse().unwrap());
        let base = Url::parse("https://api").unwrap();
        let made = |from: &Config| Connection::new(from, &base, None, Duration::from_secs(1), true).map(drop);
        assert!(made(&from).is_ok());
        from.accept_invalid_certs = true;
        assert!(
            made(&from)
                .unwrap_err()
                .message()
                .contains("insecure-skip-tls-verify")
        );
        from.accept_invalid_certs = false;
        from.tls_server_name = Some("x".into());
        assert!(made(&from).unwrap_err().message().contains("tls-server-name"));
        from.tls_server_name = None;
        from.proxy_url = Some("socks5://proxy".parse().unwrap());
        assert!(made(&from).unwrap_err().message().contains("proxy"));
        from.proxy_url = None;
        from.root_cert = Some(vec![b"hunter2".to_vec()]);
        assert!(
            made(&from).is_err()
                || Connection::new(&from, &base, None, Duration::from_secs(1), true)
                    .is_ok_and(|c| c.client().is_err())
        );
    }
}
