use secrets_core::{Result, SecretBackend};
use secrets_k8s::K8sBackend;

use crate::backends::Driver;
use crate::parameter::Parameter;
use crate::uri::{Uri, invalid};

pub(super) const DRIVER: Driver = Driver {
    parameters: &[
        Parameter::once("base"),
        Parameter::once("default_field"),
        Parameter::once("max_value"),
        Parameter::once("optional_root"),
        Parameter::once("poll_interval"),
        Parameter::once("volume"),
    ],
    open,
};

fn open(uri: &mut Uri<'_>) -> Result<Box<dyn SecretBackend>> {
    if !matches!(uri.authority(), "" | "localhost") {
        return Err(invalid(format!(
            "byte {}: a mount has no host; write three slashes before a directory, as in k8s:///var/run/secrets, or \
             k8s-api: for the API",
            uri.at()
        )));
    }
    if uri.path().is_empty() {
        return Err(invalid(format!(
            "byte {}: the directory is missing; write k8s:///var/run/secrets",
            uri.at()
        )));
    }
    let mut builder = K8sBackend::builder(uri.path());
    if let Some(base) = uri.take("base") {
        builder = builder.base(base.text());
    }
    if let Some(field) = uri.take("default_field") {
        builder = builder.default_field(field.text());
    }
    if let Some(size) = uri.take("max_value") {
        builder = builder.max_value(size.size()?);
    }
    if let Some(optional) = uri.take("optional_root") {
        builder = builder.optional_root(optional.flag()?);
    }
    if let Some(interval) = uri.take("poll_interval") {
        builder = builder.poll_interval(interval.duration()?);
    }
    if let Some(volume) = uri.take("volume") {
        builder = builder.volume(volume.text());
    }
    Ok(Box::new(builder.build()?))
}
