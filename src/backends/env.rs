use secrets_core::{Result, SecretBackend};
use secrets_env::EnvBackend;

use crate::backends::Driver;
use crate::parameter::{Parameter, Value};
use crate::uri::{Uri, invalid};

pub(super) const DRIVER: Driver = Driver {
    parameters: &[Parameter::repeated("allow"), Parameter::once("prefix")],
    open,
};

fn open(uri: &mut Uri<'_>) -> Result<Box<dyn SecretBackend>> {
    if !uri.authority().is_empty() || !uri.path().is_empty() {
        return Err(invalid(format!(
            "byte {}: nothing but parameters may follow `env:`; for a prefix write env://?prefix=APP_",
            uri.at()
        )));
    }
    let mut builder = EnvBackend::builder();
    if let Some(prefix) = uri.take("prefix") {
        builder = builder.prefix(prefix.text());
    }
    let allow = uri.take_all("allow");
    if !allow.is_empty() {
        let names = allow.into_iter().map(Value::secret_name);
        builder = builder.allow(names.collect::<Result<Vec<_>>>()?);
    }
    Ok(Box::new(builder.build()?))
}
