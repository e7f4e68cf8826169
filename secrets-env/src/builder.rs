use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use secrets_core::{Error, ErrorKind, Result, SecretName};

use crate::backend::EnvBackend;
use crate::mapping::Mapping;
use crate::source::{EnvSource, ProcessEnv};

/// Options of an [`EnvBackend`]; checked by [`build`](EnvBackendBuilder::build).
#[must_use = "nothing happens before `build`"]
#[derive(Clone, Default)]
pub struct EnvBackendBuilder {
    prefix: Option<String>,
    allow: Option<Vec<String>>,
    source: Option<Arc<dyn EnvSource>>,
}

impl EnvBackendBuilder {
    /// Puts this before every variable, as it is: ASCII letters, digits and `_`, such as `APP_`. Nothing by default.
    ///
    /// Variables without it cannot be read, and those with it can be listed.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Allows these names of secrets and no others; any name by default. Called again, it allows these too.
    ///
    /// They are names, such as `smtp/api-key`, not variables; a name stands for every other spelling of its variable.
    /// With an allow-list, the names that are set can be listed.
    pub fn allow<I>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.allow
            .get_or_insert_default()
            .extend(names.into_iter().map(Into::into));
        self
    }

    /// Reads variables from here instead of the process's environment.
    pub fn source(mut self, source: impl EnvSource) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Checks the options. Nothing is read.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` names the option: an empty `prefix` or one with another character, an empty `allow`, or a name
    /// in it that is malformed or that no variable stands for.
    pub fn build(self) -> Result<EnvBackend> {
        let invalid =
            |message: String| Error::new(ErrorKind::InvalidConfig, message).with_backend(EnvBackend::NAME);
        if self.prefix.as_deref() == Some("") {
            return Err(invalid(
                "the option `prefix` is empty; leave it out to use no prefix".into(),
            ));
        }
        let confined = self.prefix.is_some() || self.allow.is_some();
        let mapping = Mapping::new(self.prefix.unwrap_or_default())
            .map_err(|error| error.with_backend(EnvBackend::NAME))?;
        let allow = match self.allow {
            None => None,
            Some(names) if names.is_empty() => {
                return Err(invalid(
                    "the option `allow` is an empty list: nothing could be read; leave it out to allow every name"
                        .into(),
                ));
            }
            Some(names) => {
                let variable = |name| mapping.variable(&SecretName::new(name)?);
                let variables: Result<BTreeSet<String>> = names.into_iter().map(variable).collect();
                Some(variables.map_err(|error| invalid(format!("the option `allow`: {}", error.message())))?)
            }
        };
        let source = self.source.unwrap_or_else(|| Arc::new(ProcessEnv));
        Ok(EnvBackend::from_parts(mapping, allow, confined, source))
    }
}

impl fmt::Debug for EnvBackendBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvBackendBuilder")
            .field("prefix", &self.prefix)
            .field("allow", &self.allow)
            .finish_non_exhaustive()
    }
}
