use std::fmt;
use std::sync::OnceLock;

use aws_sdk_ssm::Client;
use secrets_core::Result;

use crate::name::PARAMETERS;
use crate::options::{Options, shared_options};
use crate::parameter_store::backend::{NAME, ParameterStoreBackend};
use crate::refusal::Refusal;
use crate::settings::Service;

/// Options of a [`ParameterStoreBackend`]. What is not said here is found as AWS's own tools find it.
#[must_use = "a builder does nothing until `build` is called"]
pub struct ParameterStoreBuilder {
    options: Options,
    client: Option<Client>,
}

shared_options!(
    ParameterStoreBuilder,
    base = "`/`",
    max_value = "64 KiB; AWS allows 8 KiB"
);

impl ParameterStoreBuilder {
    pub(super) fn new(client: Option<Client>) -> Self {
        Self {
            options: Options::new("/"),
            client,
        }
    }

    /// Checks every option. No network, no task; only the file of an authority is read.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` naming the option.
    pub fn build(self) -> Result<ParameterStoreBackend> {
        self.checked().map_err(|error| error.with_backend(NAME))
    }

    fn checked(self) -> Result<ParameterStoreBackend> {
        let Self { options, client } = self;
        options.check()?;
        PARAMETERS.check_base(&options.base)?;
        let (base, max, clock) = (
            options.base.as_str().into(),
            options.max_value,
            options.clock.clone(),
        );
        let (caller, endpoint, client) = match client {
            None => {
                let (caller, endpoint) = options.connect(Service::ParameterStore)?;
                (caller, endpoint, OnceLock::new())
            }
            Some(client) => (options.adopt()?, None, OnceLock::from(client)),
        };
        Ok(ParameterStoreBackend {
            caller,
            client,
            endpoint,
            base,
            max,
            refusal: Refusal::new(clock),
        })
    }
}

impl fmt::Debug for ParameterStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParameterStoreBuilder")
            .field("base", &self.options.base)
            .field("region", &self.options.region)
            .finish_non_exhaustive()
    }
}
