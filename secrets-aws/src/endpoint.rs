//! Where requests may go: addresses, regions, and what leaves this machine in the clear.

use std::net::IpAddr;

use http::Uri;
use secrets_core::{Error, ErrorKind, Result};

use crate::error::config;

/// Checks the URL of an endpoint.
///
/// # Errors
///
/// `InvalidConfig`; what may be a credential is not quoted.
pub(crate) fn url(text: &str, allow_insecure: bool, option: &str) -> Result<String> {
    let text = text.trim();
    let uri: Uri = text
        .parse()
        .map_err(|_| config(format!("`{option}` is not a URL; write it as https://host:port")))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(config(format!(
            "`{option}` is not a URL; write it as https://host:port"
        )));
    };
    if authority.as_str().contains('@') {
        return Err(config(format!(
            "`{option}` must not contain credentials; they come from the environment or the builder"
        )));
    }
    if uri.query().is_some() || text.contains('#') {
        return Err(config(format!("`{option}` must not contain `?` or `#`")));
    }
    match scheme {
        "https" => {}
        "http" if allow_insecure || loopback(authority.host()) => {}
        "http" => return Err(insecure()),
        _ => return Err(config(format!("`{option}` uses a scheme other than https"))),
    }
    Ok(text.to_owned())
}

/// Checks the name of a region: it becomes part of a host name.
pub(crate) fn region(text: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !text.is_empty() && text.len() <= 63 && text.bytes().all(plain) && !text.starts_with('-') {
        return Ok(());
    }
    Err(config(
        "the region is not the name of one, such as eu-central-1: lower-case letters, digits and `-`",
    ))
}

/// Whether a host is this machine.
pub(crate) fn loopback(host: &str) -> bool {
    match address(host) {
        Some(ip) => ip.is_loopback(),
        None => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    }
}

/// Whether a host is one of the addresses where a machine or container finds its own metadata and credentials, which no
/// router forwards. They speak plain http.
pub(crate) fn link_local(host: &str) -> bool {
    match address(host) {
        Some(IpAddr::V4(ip)) => ip.is_link_local(),
        Some(IpAddr::V6(ip)) => matches!(ip.segments(), [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x23 | 0x254]),
        None => false,
    }
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Refuses what an endpoint of one's own leaves without effect.
///
/// # Errors
///
/// `InvalidConfig`: who asked for validated cryptography must not be left without it in silence.
pub(crate) fn only(fips: bool, dual_stack: bool) -> Result<()> {
    let (option, variable) = match (fips, dual_stack) {
        (true, _) => ("fips", "AWS_USE_FIPS_ENDPOINT"),
        (_, true) => ("dual_stack", "AWS_USE_DUALSTACK_ENDPOINT"),
        (false, false) => return Ok(()),
    };
    Err(config(format!(
        "an endpoint is given and `{option}` ({variable}) asks for another: give the endpoint that does both, and set \
         `{option}` to false"
    )))
}

/// The error of a request that would cross the network in the clear.
pub(crate) fn insecure() -> Error {
    let message = "an endpoint uses plain http: credentials and secrets would cross the network in the clear; use https, \
                   or allow it with `allow_insecure`";
    Error::new(ErrorKind::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_plain_http_needs_loopback_or_leave() {
        for (text, near) in [
            ("http://127.0.0.1:4566", true),
            ("http://localhost:4566/", true),
            ("http://[::1]:4566", true),
            ("http://aws.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("http://169.254.169.254", false),
        ] {
            assert_eq!(url(text, false, "endpoint").is_ok(), near, "{text}");
            assert!(url(text, true, "endpoint").is_ok());
        }
        assert!(
            url(
                "https://vpce-1.secretsmanager.eu-central-1.vpce.amazonaws.com",
                false,
                "endpoint"
            )
            .is_ok()
        );
    }

    #[test]
    fn s1_a_refused_endpoint_is_not_quoted() {
        for bad in [
            "hunter2",
            "https://user:hunter2@host",
            "https://host?hunter2",
            "https://host#hunter2",
            "ftp://hunter2",
            "https://",
            "http://hunter2.example.com",
            "",
        ] {
            let error = url(bad, false, "endpoint").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{bad}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{bad}");
        }
    }

    #[test]
    fn n2_a_region_cannot_lead_to_another_host() {
        for good in ["eu-central-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"] {
            assert!(region(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-",
            "EU",
            "eu.central",
            "eu/central",
            "evil.com#",
            "eu central",
            "é",
        ] {
            assert!(region(bad).is_err(), "{bad}");
        }
    }
}
