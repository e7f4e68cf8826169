//! What the builder's options become, checked.

use std::path::Path;

use http::HeaderValue;
use reqwest::{Certificate, Identity, Url};
use secrecy::{ExposeSecret, SecretSlice};
use secrets_core::{Cause, Error, ErrorKind, Result, SecretName};
use zeroize::Zeroizing;

use crate::error::config;

/// The address of a node: up to and including `v1`.
///
/// # Errors
///
/// `InvalidConfig`; what may be a credential is not quoted.
pub(crate) fn address(text: &str, allow_insecure: bool) -> Result<Url> {
    let mut url = Url::parse(text.trim())
        .map_err(|_| config("an address is not a URL; write it as https://vault.example.com:8200"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(config(
            "an address must not contain credentials; give them to the builder",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(config("an address must not contain `?` or `#`"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(config(
            "an address has no host; write it as https://vault.example.com:8200",
        ));
    }
    match url.scheme() {
        "https" => {}
        "http" if loopback(&url) || allow_insecure => {}
        "http" => {
            return Err(config(
                "an address uses plain http: tokens and secrets would cross the network in the clear; use https, or \
                 allow it with `allow_insecure`",
            ));
        }
        _ => return Err(config("an address uses a scheme other than https")),
    }
    let last = url
        .path_segments()
        .and_then(|mut segments| segments.rfind(|segment| !segment.is_empty()));
    let versioned = last == Some("v1");
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty();
        if !versioned {
            segments.push("v1");
        }
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

/// A mount: segments separated by `/`.
pub(crate) fn segments(text: &str, what: &str) -> Result<()> {
    SecretName::new(text).map(drop).map_err(|_| {
        config(format!(
            "{what} is not made of segments separated by `/`, without `.`, `..`, `%`, `?` and `#`"
        ))
    })
}

/// A namespace, as the header that names it.
pub(crate) fn namespace(text: &str) -> Result<HeaderValue> {
    let trimmed = text.trim_matches('/');
    segments(trimmed, "the namespace")?;
    HeaderValue::from_str(trimmed)
        .map_err(|_| config("the namespace contains a character that no HTTP header can hold"))
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

/// A client certificate and its key, from PEM text.
pub(crate) fn identity(certificate: &[u8], key: &SecretSlice<u8>) -> Result<Identity> {
    let key = key.expose_secret();
    let mut both = Zeroizing::new(Vec::with_capacity(certificate.len() + key.len() + 1));
    both.extend_from_slice(certificate);
    both.push(b'\n');
    both.extend_from_slice(key);
    Identity::from_pem(&both).map_err(|_| {
        config("the client certificate or its key is not PEM text, or they do not belong together")
    })
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
    fn an_address_leads_to_the_api() {
        for (text, base) in [
            ("https://vault:8200", "https://vault:8200/v1"),
            ("https://vault:8200/", "https://vault:8200/v1"),
            ("https://vault:8200/v1", "https://vault:8200/v1"),
            ("https://vault:8200/v1/", "https://vault:8200/v1"),
            (" https://host/vault/prefix ", "https://host/vault/prefix/v1"),
            ("http://127.0.0.1:8200", "http://127.0.0.1:8200/v1"),
            ("http://[::1]:8200", "http://[::1]:8200/v1"),
            ("http://localhost:8200", "http://localhost:8200/v1"),
        ] {
            assert_eq!(address(text, false).unwrap().as_str(), base);
        }
    }

    #[test]
    fn s3_plain_http_needs_loopback_or_leave() {
        for remote in [
            "http://vault:8200",
            "http://10.0.0.1",
            "http://127.0.0.1.example.com",
            "http://localhost.com",
        ] {
            assert_eq!(
                address(remote, false).unwrap_err().kind(),
                ErrorKind::InvalidConfig,
                "{remote}"
            );
            assert!(address(remote, true).is_ok());
        }
    }

    #[test]
    fn s1_a_refused_address_is_not_quoted() {
        for bad in [
            "https://user:hunter2@vault",
            "https://hunter2@vault",
            "hunter2",
            "ftp://hunter2",
            "https://v?token=hunter2",
            "https://v#hunter2",
            "https://",
            "unix:/hunter2",
            "data:hunter2",
            "",
        ] {
            let error = address(bad, true).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{bad}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{bad}");
        }
    }
}
