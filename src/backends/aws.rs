use secrets_aws::SecretsManagerBackend;

use crate::backends::Driver;
use crate::backends::aws_options::{PARAMETERS, options};

pub(super) const DRIVER: Driver = Driver {
    parameters: PARAMETERS,
    open: |uri| {
        let builder = options!(uri, SecretsManagerBackend::builder());
        Ok(Box::new(builder.build()?))
    },
};
