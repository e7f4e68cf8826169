use secrets_core::{Result, SecretBackend};
use secrets_k8s::{K8sApiBackend, K8sApiBuilder};

use crate::backends::Driver;
use crate::parameter::{Parameter, Value};
use crate::uri::{Uri, invalid};

pub(super) const DRIVER: Driver = Driver {
    parameters: &[
        Parameter::once("allow_insecure"),
        Parameter::once("application"),
        Parameter::once("base"),
        Parameter::once("config"),
        Parameter::once("context"),
        Parameter::once("default_field"),
        Parameter::once("idle_connections"),
        Parameter::once("kubeconfig"),
        Parameter::once("label_selector"),
        Parameter::once("list_namespace"),
        Parameter::once("login_timeout"),
        Parameter::once("max_value"),
        Parameter::once("poll_interval"),
        Parameter::once("watch_timeout"),
    ],
    open,
};

fn open(uri: &mut Uri<'_>) -> Result<Box<dyn SecretBackend>> {
    if !matches!(uri.path(), "" | "/") {
        return Err(invalid(format!(
            "byte {}: the namespace stands where a host would, and nothing after it; write k8s-api://namespace",
            uri.at()
        )));
    }
    let (mut builder, kubeconfig) = source(uri)?;
    if !uri.authority().is_empty() {
        builder = builder.namespace(uri.authority());
    }
    if let Some(allow) = uri.take("allow_insecure") {
        builder = builder.allow_insecure(allow.flag()?);
    }
    if let Some(application) = uri.take("application") {
        builder = builder.application(application.text());
    }
    if let Some(base) = uri.take("base") {
        builder = builder.base(base.text());
    }
    if let Some(field) = uri.take("default_field") {
        builder = builder.default_field(field.text());
    }
    if let Some(keep) = uri.take("idle_connections") {
        builder = builder.idle_connections(keep.flag()?);
    }
    if let Some(selector) = uri.take("label_selector") {
        builder = builder.label_selector(selector.text());
    }
    if let Some(list) = uri.take("list_namespace") {
        builder = builder.list_namespace(list.flag()?);
    }
    if let Some(limit) = uri.take("login_timeout") {
        builder = builder.login_timeout(limit.duration()?);
    }
    if let Some(size) = uri.take("max_value") {
        builder = builder.max_value(size.size()?);
    }
    if let Some(interval) = uri.take("poll_interval") {
        builder = builder.poll_interval(interval.duration()?);
    }
    if let Some(limit) = uri.take("watch_timeout") {
        builder = builder.watch_timeout(limit.duration()?);
    }
    match builder.build() {
        Ok(backend) => Ok(Box::new(backend)),
        // The builder names a file that it cannot read; nothing of a URI is quoted.
        Err(error) if kubeconfig.is_some_and(|path| error.message().contains(&path)) => Err(invalid(
            "the file that the parameter `kubeconfig` names cannot be read".to_owned(),
        )),
        Err(error) => Err(error),
    }
}

#[derive(Clone, Copy)]
enum Config {
    InCluster,
    Kubeconfig,
}

/// Address and credentials come from where the tools of Kubernetes look for them; the URI says where that is, or else the
/// first that is there is taken.
fn source(uri: &mut Uri<'_>) -> Result<(K8sApiBuilder, Option<String>)> {
    let config = uri.take("config");
    let config = config.map(|config| {
        config.choice(&[
            ("in_cluster", Config::InCluster),
            ("kubeconfig", Config::Kubeconfig),
        ])
    });
    let mut builder = match config.transpose()? {
        None => K8sApiBackend::builder(),
        Some(Config::Kubeconfig) => K8sApiBackend::kubeconfig(),
        Some(Config::InCluster) => {
            for other in ["kubeconfig", "context"] {
                if let Some(other) = uri.take(other) {
                    return Err(invalid(format!(
                        "the parameter `{}` (byte {}) contradicts `config=in_cluster`; leave one of them out",
                        other.name(),
                        other.at()
                    )));
                }
            }
            K8sApiBackend::in_cluster()
        }
    };
    let kubeconfig = uri.take("kubeconfig").map(Value::text);
    if let Some(path) = &kubeconfig {
        builder = builder.kubeconfig(path);
    }
    if let Some(context) = uri.take("context") {
        builder = builder.context(context.text());
    }
    Ok((builder, kubeconfig))
}
