use std::fmt;
use std::sync::OnceLock;

use aws_sdk_secretsmanager::Client;
use secrets_core::Result;

use crate::name::SECRETS;
use crate::options::{Options, shared_options};
use crate::refusal::Refusal;
use crate::secrets_manager::backend::{NAME, SecretsManagerBackend};
use crate::settings::Service;

/// Options of a [`SecretsManagerBackend`]. What is not said here is found as AWS's own tools find it.
#[must_use = "a builder does nothing until `build` is called"]
pub struct SecretsManagerBuilder {
    options: Options,
    client: Option<Client>,
}

shared_options!(
    SecretsManagerBuilder,
    base = "nothing",
    max_value = "64 KiB, which is AWS's own limit"
);

impl SecretsManagerBuilder {
    pub(super) fn new(client: Option<Client>) -> Self {
        Self {
            options: Options::new(""),
            client,
        }
    }

    /// Checks every option. No network, no task; only the file of an authority is read.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` naming the option.
    pub fn build(self) -> Result<SecretsManagerBackend> {
        self.checked().map_err(|error| error.with_backend(NAME))
    }

    fn checked(self) -> Result<SecretsManagerBackend> {
        let Self { options, client } = self;
        options.check()?;
        SECRETS.check_base(&options.base)?;
        let (base, max, clock) = (
            options.base.as_str().into(),
            options.max_value,
            options.clock.clone(),
        );
        let (caller, endpoint, client) = match client {
            None => {
                let (caller, endpoint) = options.connect(Service::SecretsManager)?;
                (caller, endpoint, OnceLock::new())
            }
            Some(client) => (options.adopt()?, None, OnceLock::from(client)),
        };
        Ok(SecretsManagerBackend {
            caller,
            client,
            endpoint,
            base,
            max,
            refusal: Refusal::new(clock),
        })
    }
}

impl fmt::Debug for SecretsManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsManagerBuilder")
            .field("base", &self.options.base)
            .field("region", &self.options.region)
            .finish_non_exhaustive()
    }
}
