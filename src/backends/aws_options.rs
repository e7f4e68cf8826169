//! What the URIs of both services of AWS take.

use secrets_core::Result;

use crate::parameter::Parameter;
use crate::uri::{Uri, invalid};

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter::once("allow_insecure"),
    Parameter::once("application"),
    Parameter::once("base"),
    Parameter::once("dual_stack"),
    Parameter::once("endpoint"),
    Parameter::once("external_id"),
    Parameter::once("fips"),
    Parameter::once("idle_connections"),
    Parameter::once("login_timeout"),
    Parameter::once("max_value"),
    Parameter::once("profile"),
    Parameter::once("role"),
    Parameter::once("session_name"),
    Parameter::once("sts_endpoint"),
];

/// The region: the host of the URI, or none.
pub(super) fn region(uri: &Uri<'_>) -> Result<Option<String>> {
    if !matches!(uri.path(), "" | "/") {
        return Err(invalid(format!(
            "byte {}: nothing follows the region; what stands before every name is the parameter `base`",
            uri.at()
        )));
    }
    let region = uri.authority();
    Ok((!region.is_empty()).then(|| region.to_owned()))
}

/// The two builders have the same methods and no type in common. Credentials are found as AWS's own tools find them.
macro_rules! options {
    ($uri:ident, $builder:expr) => {{
        let mut builder = $builder;
        if let Some(region) = $crate::backends::aws_options::region($uri)? {
            builder = builder.region(region);
        }
        if let Some(bundle) = std::env::var_os("AWS_CA_BUNDLE").filter(|bundle| !bundle.is_empty()) {
            builder = builder.ca_file(bundle);
        }
        if let Some(allow) = $uri.take("allow_insecure") {
            builder = builder.allow_insecure(allow.flag()?);
        }
        if let Some(application) = $uri.take("application") {
            builder = builder.application(application.text());
        }
        if let Some(base) = $uri.take("base") {
            builder = builder.base(base.text());
        }
        if let Some(dual_stack) = $uri.take("dual_stack") {
            builder = builder.dual_stack(dual_stack.flag()?);
        }
        if let Some(endpoint) = $uri.take("endpoint") {
            builder = builder.endpoint(endpoint.text());
        }
        if let Some(id) = $uri.take("external_id") {
            builder = builder.external_id(id.text());
        }
        if let Some(fips) = $uri.take("fips") {
            builder = builder.fips(fips.flag()?);
        }
        if let Some(keep) = $uri.take("idle_connections") {
            builder = builder.idle_connections(keep.flag()?);
        }
        if let Some(limit) = $uri.take("login_timeout") {
            builder = builder.login_timeout(limit.duration()?);
        }
        if let Some(size) = $uri.take("max_value") {
            builder = builder.max_value(size.size()?);
        }
        if let Some(profile) = $uri.take("profile") {
            builder = builder.profile(profile.text());
        }
        if let Some(role) = $uri.take("role") {
            builder = builder.role(role.text());
        }
        if let Some(name) = $uri.take("session_name") {
            builder = builder.session_name(name.text());
        }
        if let Some(endpoint) = $uri.take("sts_endpoint") {
            builder = builder.sts_endpoint(endpoint.text());
        }
        builder
    }};
}
pub(super) use options;
