//! What the builder's options become, checked.

use std::path::Path;

use reqwest::{Certificate, Url};
use secrets_core::{Cause, Error, ErrorKind, Result, SecretName};

use crate::error::config;

/// An Azure cloud: where its vaults are, and who issues its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cloud {
    /// Azure operated by 21Vianet: `vault.azure.cn`, `login.chinacloudapi.cn`.
    China,
    /// The public cloud: `vault.azure.net`, `login.microsoftonline.com`.
    Public,
    /// Azure Government: `vault.usgovcloudapi.net`, `login.microsoftonline.us`.
    UsGovernment,
}

impl Cloud {
    const ALL: [Self; 3] = [Self::China, Self::Public, Self::UsGovernment];

    /// What the host names of its vaults end in.
    pub fn vault_suffix(self) -> &'static str {
        match self {
            Self::China => "vault.azure.cn",
            Self::Public => "vault.azure.net",
            Self::UsGovernment => "vault.usgovcloudapi.net",
        }
    }

    /// Where Microsoft Entra ID issues its tokens.
    pub fn authority(self) -> &'static str {
        match self {
            Self::China => "https://login.chinacloudapi.cn",
            Self::Public => "https://login.microsoftonline.com",
            Self::UsGovernment => "https://login.microsoftonline.us",
        }
    }

    /// The cloud that a vault's host belongs to.
    pub(crate) fn of(host: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cloud| {
            host.strip_suffix(cloud.vault_suffix())
                .is_some_and(|name| name.ends_with('.'))
        })
    }
}

/// The address of a vault, from its name, its host or its URL.
///
/// # Errors
///
/// `InvalidConfig`; what may be a credential is not quoted.
pub(crate) fn vault(text: &str, cloud: Option<Cloud>) -> Result<Url> {
    let text = text.trim();
    let url = if text.contains("://") {
        https(text, "the vault")?
    } else if text.contains(['.', ':']) {
        https(&format!("https://{text}"), "the vault")?
    } else {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let edge = text.starts_with('-') || text.ends_with('-') || text.contains("--");
        if !(3..=24).contains(&text.len()) || !text.bytes().all(plain) || edge {
            return Err(config(
                "the vault is neither a URL nor a name: a name has 3 to 24 letters, digits and single `-` between them",
            ));
        }
        let suffix = cloud.unwrap_or(Cloud::Public).vault_suffix();
        https(&format!("https://{text}.{suffix}"), "the vault")?
    };
    if !matches!(url.path(), "" | "/") {
        return Err(config(
            "the vault's URL has a path; write it as https://myvault.vault.azure.net",
        ));
    }
    let host = url.host_str().unwrap_or_default();
    match (cloud, Cloud::of(host)) {
        (Some(asked), Some(found)) if asked != found => Err(config(
            "the vault's host belongs to another cloud than the one given; remove `cloud`",
        )),
        _ => Ok(url),
    }
}

/// The address of an authority.
pub(crate) fn authority(text: &str) -> Result<Url> {
    https(text.trim(), "the authority")
}

/// Where the identity endpoint of virtual machines is to be found instead.
pub(crate) fn imds(text: &str) -> Result<Url> {
    let url = url(text.trim(), "the IMDS endpoint")?;
    if !matches!(url.path(), "" | "/") {
        return Err(config(
            "the IMDS endpoint has a path; write scheme, host and port alone",
        ));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if this_machine(&url) => Ok(url),
        _ => Err(config(
            "the IMDS endpoint is neither https nor on this machine: tokens would cross the network in the clear",
        )),
    }
}

fn https(text: &str, what: &str) -> Result<Url> {
    let url = url(text, what)?;
    if url.scheme() == "https" {
        Ok(url)
    } else {
        Err(config(format!("{what} uses a scheme other than https")))
    }
}

fn url(text: &str, what: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|_| config(format!("{what} is not a URL")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(config(format!(
            "{what} must not contain credentials; give them to the builder"
        )));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(config(format!("{what} must not contain `?` or `#`")));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(config(format!("{what} has no host")));
    }
    Ok(url)
}

/// Whether an address is this machine.
pub(crate) fn loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    }
}

/// Whether an address is this machine, or the link-local one of its host's metadata service.
pub(crate) fn this_machine(url: &Url) -> bool {
    let link_local = url
        .host_str()
        .and_then(|host| host.parse::<std::net::Ipv4Addr>().ok())
        .is_some_and(|ip| ip.is_link_local());
    link_local || loopback(url)
}

/// The name that comes before every name.
pub(crate) fn base(text: &str) -> Result<Option<SecretName>> {
    let trimmed = text.trim_matches('/');
    if trimmed.is_empty() {
        return Ok(None);
    }
    let base = SecretName::new(trimmed).ok();
    let base = base.filter(|base| crate::name::encode(None, base).is_ok());
    base.map(Some).ok_or_else(|| {
        config("the base is not made of segments of letters, digits and single `-`, separated by `/`")
    })
}

/// The version of the API to speak.
pub(crate) fn api_version(text: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if (1..=32).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(());
    }
    Err(config(
        "`api_version` is no version; write it as 2025-07-01 or 7.6",
    ))
}

/// An id of a tenant, a client or an identity.
pub(crate) fn id(text: &str, what: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    // Only dots would be a step in the path of a URL.
    let any = text.bytes().any(|byte| byte.is_ascii_alphanumeric());
    if any && text.len() <= 253 && text.bytes().all(plain) {
        return Ok(());
    }
    Err(config(format!(
        "the {what} is not an id of letters, digits, `-` and `.`"
    )))
}

/// Trusted authorities, from PEM text.
pub(crate) fn authorities(pem: &[u8]) -> Result<Vec<Certificate>> {
    match Certificate::from_pem_bundle(pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(config(
            "the authority's certificate is not PEM text with a certificate in it",
        )),
    }
}

/// A file named by an option.
pub(crate) fn file(path: &Path, what: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        let message = format!("{what} cannot be read from {}", path.display());
        Error::new(ErrorKind::InvalidConfig, message)
            .with_backend(crate::backend::NAME)
            .with_cause(Cause::from(&error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_is_a_name_a_host_or_a_url() {
        for (text, cloud, url) in [
            ("my-vault", None, "https://my-vault.vault.azure.net/"),
            ("my-vault", Some(Cloud::China), "https://my-vault.vault.azure.cn/"),
            (
                "my-vault",
                Some(Cloud::UsGovernment),
                "https://my-vault.vault.usgovcloudapi.net/",
            ),
            (" v1.vault.azure.net ", None, "https://v1.vault.azure.net/"),
            (
                "https://v1.vault.azure.net:8443",
                None,
                "https://v1.vault.azure.net:8443/",
            ),
            ("localhost:8443", None, "https://localhost:8443/"),
        ] {
            assert_eq!(vault(text, cloud).unwrap().as_str(), url);
        }
        assert_eq!(Cloud::of("v.vault.azure.cn"), Some(Cloud::China));
        assert_eq!(Cloud::of("evilvault.azure.net"), None);
    }

    #[test]
    fn s3_plain_http_is_refused() {
        for bad in ["http://v.vault.azure.net", "http://localhost:1"] {
            assert_eq!(vault(bad, None).unwrap_err().kind(), ErrorKind::InvalidConfig);
            assert_eq!(authority(bad).unwrap_err().kind(), ErrorKind::InvalidConfig);
        }
        assert!(imds("http://127.0.0.1:40342").is_ok() && imds("http://169.254.169.254").is_ok());
        assert!(imds("http://identity.example.com").is_err());
        assert!(
            imds("http://127.0.0.1/metadata").is_err(),
            "the path would be lost"
        );
    }

    #[test]
    fn an_id_is_one_segment_of_a_path() {
        for good in [
            "contoso.onmicrosoft.com",
            "7b795fb9-09d3-42f4-a494-38864f99ba3c",
            "common",
        ] {
            assert!(id(good, "tenant id").is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a?b", "a b", "-"] {
            assert!(id(bad, "tenant id").is_err(), "{bad}");
        }
    }

    #[test]
    fn s1_a_refused_vault_is_not_quoted() {
        for bad in [
            "https://user:hunter2@v.vault.azure.net",
            "hunter2_",
            "https://v.vault.azure.net/hunter2",
            "https://v?sig=hunter2",
            "v.vault.azure.net#hunter2",
            "ftp://hunter2",
            "-hunter2",
            "a--hunter2",
            "ab",
            "",
        ] {
            let error = vault(bad, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{bad}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{bad}");
        }
        assert!(vault("v.vault.azure.cn", Some(Cloud::Public)).is_err());
    }
}
