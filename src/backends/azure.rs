use std::ffi::OsString;

use secrets_azure::{Auth, AzureBackend, Cloud, Identity};
use secrets_core::{Result, SecretBackend};

use crate::backends::Driver;
use crate::parameter::{Parameter, Value};
use crate::uri::{Uri, invalid};

pub(super) const DRIVER: Driver = Driver {
    parameters: &[
        Parameter::once("api_version"),
        Parameter::once("application"),
        Parameter::once("auth"),
        Parameter::once("authority"),
        Parameter::once("base"),
        Parameter::once("ca_file"),
        Parameter::once("client_id"),
        Parameter::once("cloud"),
        Parameter::once("idle_connections"),
        Parameter::once("imds_endpoint"),
        Parameter::once("login_timeout"),
        Parameter::once("max_value"),
        Parameter::once("serve_expired"),
        Parameter::once("verify_challenge"),
    ],
    open,
};

/// Ways to log in, as a URI names them.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Azd,
    Cli,
    ClientSecret,
    Default,
    DeveloperTools,
    ManagedIdentity,
    WorkloadIdentity,
}

fn open(uri: &mut Uri<'_>) -> Result<Box<dyn SecretBackend>> {
    if uri.authority().is_empty() {
        return Err(invalid(format!(
            "byte {}: the vault is missing; write azure://vault-name",
            uri.at()
        )));
    }
    if !uri.path().trim_matches('/').is_empty() {
        return Err(invalid(format!(
            "byte {}: a vault has no path; to put something before every name, use `base`",
            uri.at()
        )));
    }
    let mut builder = AzureBackend::builder(uri.authority()).auth(auth(uri)?);
    if let Some(version) = uri.take("api_version") {
        builder = builder.api_version(version.text());
    }
    if let Some(application) = uri.take("application") {
        builder = builder.application(application.text());
    }
    // The authority of a cloud that has no name here: where the webhook of workload identities puts it, too.
    let authority = uri.take("authority").map(Value::text);
    let cloud = uri.take("cloud");
    let variable = variable("AZURE_AUTHORITY_HOST").filter(|_| cloud.is_none());
    if let Some(authority) = authority.or(variable.and_then(|host| host.into_string().ok())) {
        builder = builder.authority(authority);
    }
    if let Some(base) = uri.take("base") {
        builder = builder.base(base.text());
    }
    if let Some(file) = uri.take("ca_file") {
        builder = builder.ca_file(file.text());
    }
    if let Some(cloud) = cloud {
        builder = builder.cloud(cloud.choice(&[
            ("china", Cloud::China),
            ("public", Cloud::Public),
            ("us_government", Cloud::UsGovernment),
        ])?);
    }
    if let Some(keep) = uri.take("idle_connections") {
        builder = builder.idle_connections(keep.flag()?);
    }
    if let Some(endpoint) = uri.take("imds_endpoint") {
        builder = builder.imds_endpoint(endpoint.text());
    }
    if let Some(limit) = uri.take("login_timeout") {
        builder = builder.login_timeout(limit.duration()?);
    }
    if let Some(size) = uri.take("max_value") {
        builder = builder.max_value(size.size()?);
    }
    if let Some(serve) = uri.take("serve_expired") {
        builder = builder.serve_expired(serve.flag()?);
    }
    if let Some(verify) = uri.take("verify_challenge") {
        builder = builder.verify_challenge(verify.flag()?);
    }
    Ok(Box::new(builder.build()?))
}

/// Credentials come from the variables that Azure's own tools read.
fn auth(uri: &mut Uri<'_>) -> Result<Auth> {
    let way = match uri.take("auth") {
        None => Way::Default,
        Some(way) => way.choice(&[
            ("azd", Way::Azd),
            ("cli", Way::Cli),
            ("client_secret", Way::ClientSecret),
            ("default", Way::Default),
            ("developer_tools", Way::DeveloperTools),
            ("managed_identity", Way::ManagedIdentity),
            ("workload_identity", Way::WorkloadIdentity),
        ])?,
    };
    let client = uri.take("client_id");
    if let Some(client) = client.as_ref().filter(|_| way != Way::ManagedIdentity) {
        return Err(invalid(format!(
            "the parameter `client_id` (byte {}) says which managed identity to use; add `auth=managed_identity`, or set \
             AZURE_CLIENT_ID for another way to log in",
            client.at()
        )));
    }
    match way {
        Way::Azd => Ok(Auth::azure_developer_cli()),
        Way::Cli => Ok(Auth::azure_cli()),
        Way::ClientSecret => Auth::client_secret_from(variable),
        Way::Default => Ok(Auth::default_order_with(variable)),
        Way::DeveloperTools => Ok(Auth::developer_tools()),
        Way::ManagedIdentity => Ok(match client {
            None => Auth::managed_identity(),
            Some(client) => Auth::user_assigned_identity(Identity::ClientId(client.text())),
        }),
        Way::WorkloadIdentity => Auth::workload_identity_from(variable),
    }
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
