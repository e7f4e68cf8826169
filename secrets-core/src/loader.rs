use std::fmt;

use crate::{Error, ErrorKind, Result, Secret, SecretManager, SecretName, SecretRef};

/// Loads the secrets of one component: those below a prefix.
///
/// ```no_run
/// # async fn example(secrets: &secrets_core::SecretManager) -> secrets_core::Result<()> {
/// use secrets_core::ConfigSecretLoader;
///
/// let smtp = ConfigSecretLoader::new(secrets, "smtp");
/// let key = smtp.load("api-key").await?; // smtp/api-key
/// let ca = smtp.load_optional("tls/ca").await?; // smtp/tls/ca; `None` only when it does not exist
/// # Ok(()) }
/// ```
///
/// What was resolved is never expanded again: a value that looks like a reference is a value.
#[derive(Clone)]
pub struct ConfigSecretLoader {
    secrets: SecretManager,
    prefix: Result<SecretName>,
}

impl ConfigSecretLoader {
    /// A loader for the secrets below `prefix`. A malformed prefix is reported by the first load.
    pub fn new(secrets: &SecretManager, prefix: impl AsRef<str>) -> Self {
        Self {
            secrets: secrets.clone(),
            prefix: SecretName::new(prefix),
        }
    }

    /// Reads `prefix/name`; `name` may be followed by a version and a field, as in [`SecretRef`].
    ///
    /// # Errors
    ///
    /// As [`SecretManager::get`].
    pub async fn load(&self, name: impl AsRef<str>) -> Result<Secret> {
        self.secrets.get(self.reference(name.as_ref())?).await
    }

    /// Reads `prefix/name` if it is there.
    ///
    /// # Errors
    ///
    /// As [`SecretManager::get`], but for `NotFound` and `FieldNotFound`, which are `None`. Everything else stays an
    /// error: a store that cannot be reached says nothing about whether a secret exists.
    pub async fn load_optional(&self, name: impl AsRef<str>) -> Result<Option<Secret>> {
        self.secrets.get_optional(self.reference(name.as_ref())?).await
    }

    fn reference(&self, name: &str) -> Result<String> {
        let prefix = self.prefix.as_ref().map_err(Error::clone)?;
        // Checked on its own: nothing in it may change which part of the whole is the name.
        SecretRef::parse(name)?;
        let reference = format!("{prefix}/{name}");
        SecretRef::parse(&reference).map_err(|_| {
            Error::new(
                ErrorKind::InvalidName,
                "prefix and name together are longer than a name may be",
            )
        })?;
        Ok(reference)
    }
}

impl fmt::Debug for ConfigSecretLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigSecretLoader")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
