use std::ffi::OsString;

use secrets_core::{Result, SecretBackend};
use secrets_vault::{AuthMethod, Engine, VaultBackend, VaultBuilder};

use crate::backends::Driver;
use crate::parameter::Parameter;
use crate::uri::{Uri, invalid};

pub(super) const DRIVER: Driver = Driver {
    parameters: PARAMETERS,
    open: |uri| open(uri, "https"),
};

pub(super) const PLAIN_DRIVER: Driver = Driver {
    parameters: PARAMETERS,
    open: |uri| open(uri, "http"),
};

const PARAMETERS: &[Parameter] = &[
    Parameter::repeated("address"),
    Parameter::once("allow_insecure"),
    Parameter::once("application"),
    Parameter::once("auth"),
    Parameter::once("auth_mount"),
    Parameter::once("base"),
    Parameter::once("binary_suffix"),
    Parameter::once("default_field"),
    Parameter::once("idle_connections"),
    Parameter::once("kv"),
    Parameter::once("login_timeout"),
    Parameter::once("max_value"),
    Parameter::once("namespace"),
];

fn open(uri: &mut Uri<'_>, protocol: &str) -> Result<Box<dyn SecretBackend>> {
    if uri.authority().is_empty() {
        return Err(invalid(format!(
            "byte {}: the host is missing; write vault://vault.example.com:8200/secret, where `secret` is the mount",
            uri.at()
        )));
    }
    let mut builder = with_credentials(uri, format!("{protocol}://{}", uri.authority()))?;
    let mount = uri.path().trim_matches('/');
    if !mount.is_empty() {
        builder = builder.mount(mount);
    }
    for address in uri.take_all("address") {
        builder = builder.address(node(&address.text(), protocol));
    }
    if let Some(allow) = uri.take("allow_insecure") {
        builder = builder.allow_insecure(allow.flag()?);
    }
    if let Some(application) = uri.take("application") {
        builder = builder.application(application.text());
    }
    if let Some(mount) = uri.take("auth_mount") {
        builder = builder.auth_mount(mount.text());
    }
    if let Some(base) = uri.take("base") {
        builder = builder.base(base.text());
    }
    if let Some(suffix) = uri.take("binary_suffix") {
        builder = builder.binary_suffix(suffix.text());
    }
    if let Some(field) = uri.take("default_field") {
        builder = builder.default_field(field.text());
    }
    if let Some(keep) = uri.take("idle_connections") {
        builder = builder.idle_connections(keep.flag()?);
    }
    if let Some(kv) = uri.take("kv") {
        builder = builder.engine(kv.choice(&[
            ("1", Engine::Kv1),
            ("2", Engine::Kv2),
            ("detect", Engine::Detect),
            ("none", Engine::Dynamic),
        ])?);
    }
    if let Some(limit) = uri.take("login_timeout") {
        builder = builder.login_timeout(limit.duration()?);
    }
    if let Some(size) = uri.take("max_value") {
        builder = builder.max_value(size.size()?);
    }
    if let Some(namespace) = uri.take("namespace") {
        builder = builder.namespace(namespace.text());
    }
    Ok(Box::new(builder.build()?))
}

/// Credentials, certificates and the namespace come from the variables that Vault's own tools read; the URI says which way
/// to log in, or else the first for which there is a credential is taken.
fn with_credentials(uri: &mut Uri<'_>, address: String) -> Result<VaultBuilder> {
    let variable = |name: &str| std::env::var_os(name);
    let Some(auth) = uri.take("auth") else {
        return VaultBuilder::from_env_with(|name| match name {
            "VAULT_ADDR" => Some(OsString::from(&address)),
            name => variable(name),
        });
    };
    let method = auth.choice(&[
        ("approle", AuthMethod::AppRole),
        ("cert", AuthMethod::Cert),
        ("jwt", AuthMethod::Jwt),
        ("kubernetes", AuthMethod::Kubernetes),
        ("token", AuthMethod::Token),
    ])?;
    VaultBackend::builder(address)
        .connection_from_env(variable)?
        .auth_from_env(method, variable)
}

/// Another node may be written as the first is, as a host and port alone.
fn node(address: &str, protocol: &str) -> String {
    if address.contains("://") {
        address.to_owned()
    } else {
        format!("{protocol}://{address}")
    }
}
