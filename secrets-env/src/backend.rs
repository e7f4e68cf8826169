use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use secrets_core::{
    Capabilities, Error, ErrorKind, Fetched, ReadRequest, Result, Secret, SecretBackend, SecretName,
};

use crate::builder::EnvBackendBuilder;
use crate::mapping::Mapping;
use crate::source::{EnvSource, ProcessEnv};

/// Reads secrets from environment variables; `smtp/api-key` is `SMTP_API_KEY`. The whole mapping is in the
/// [crate's documentation](crate#from-a-name-to-a-variable).
///
/// Cloning is cheap. `Debug` prints options, never a value.
#[derive(Clone)]
pub struct EnvBackend {
    mapping: Mapping,
    /// The variables that may be read; `None` for all that have the prefix.
    allow: Option<Arc<BTreeSet<String>>>,
    /// There is a prefix or an allow-list.
    confined: bool,
    source: Arc<dyn EnvSource>,
}

impl EnvBackend {
    pub(crate) const NAME: &str = "env";

    /// Any variable of the process's environment, without a prefix. Its names cannot be listed.
    pub fn new() -> Self {
        Self::from_parts(Mapping::default(), None, false, Arc::new(ProcessEnv))
    }

    /// A backend with options.
    pub fn builder() -> EnvBackendBuilder {
        EnvBackendBuilder::default()
    }

    pub(crate) fn from_parts(
        mapping: Mapping,
        allow: Option<BTreeSet<String>>,
        confined: bool,
        source: Arc<dyn EnvSource>,
    ) -> Self {
        Self {
            mapping,
            allow: allow.map(Arc::new),
            confined,
            source,
        }
    }

    /// The variable that holds the secret `name`, whether or not it is set.
    ///
    /// ```
    /// # use secrets_core::SecretName;
    /// # use secrets_env::EnvBackend;
    /// let backend = EnvBackend::builder().prefix("APP_").build()?;
    /// assert_eq!(backend.variable(&SecretName::new("smtp/api-key")?)?, "APP_SMTP_API_KEY");
    /// # Ok::<_, secrets_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidName` when no variable stands for one of its characters, or the name is not on the allow-list.
    pub fn variable(&self, name: &SecretName) -> Result<String> {
        let variable = self
            .mapping
            .variable(name)
            .map_err(|error| error.with_backend(Self::NAME).with_secret(name))?;
        if self
            .allow
            .as_ref()
            .is_some_and(|allow| !allow.contains(&variable))
        {
            let message = format!(
                "the variable `{variable}` is outside this backend's allow-list; add `{name}` to the option `allow`"
            );
            return Err(Error::new(ErrorKind::InvalidName, message)
                .with_backend(Self::NAME)
                .with_secret(name));
        }
        Ok(variable)
    }
}

#[async_trait]
impl SecretBackend for EnvBackend {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_list(self.confined)
    }

    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let name = request.name;
        let located = |error: Error| error.with_backend(Self::NAME).with_secret(name);
        request.refuse_version().map_err(located)?;
        let variable = self.variable(name)?;
        match self.source.variable(&variable) {
            None => Err(located(Error::new(
                ErrorKind::NotFound,
                format!("the environment variable `{variable}` is not set"),
            ))),
            Some(value) => Ok(Secret::new(bytes(value, &variable).map_err(located)?).into()),
        }
    }

    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        if !self.confined {
            let message = "a whole environment is not a list of secrets; set a prefix or an allow-list";
            return Err(Error::new(ErrorKind::Unsupported, message).with_backend(Self::NAME));
        }
        if let Some(prefix) = prefix {
            self.mapping
                .variable(prefix)
                .map_err(|error| error.with_backend(Self::NAME).with_secret(prefix))?;
        }
        let variables = self
            .source
            .names()
            .into_iter()
            .filter_map(|name| name.into_string().ok());
        let names: BTreeSet<SecretName> = variables
            .filter_map(|variable| self.mapping.name(&variable, prefix))
            .filter(|name| self.variable(name).is_ok())
            .collect();
        Ok(names.into_iter().collect())
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }
}

impl Default for EnvBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for EnvBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvBackend")
            .field("mapping", &self.mapping)
            .field("allow", &self.allow)
            .finish_non_exhaustive()
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems can fail here")]
fn bytes(value: OsString, _variable: &str) -> Result<Vec<u8>> {
    Ok(std::os::unix::ffi::OsStringExt::into_vec(value))
}

#[cfg(not(unix))]
fn bytes(value: OsString, variable: &str) -> Result<Vec<u8>> {
    value.into_string().map(String::into_bytes).map_err(|value| {
        drop(Secret::new(value.into_encoded_bytes()));
        let message = format!("the environment variable `{variable}` is not Unicode text");
        Error::new(ErrorKind::InvalidData, message)
    })
}
