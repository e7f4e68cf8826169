#[cfg(feature = "serde")]
mod typed;

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

    /// Reads `prefix/name` into any serde type: from one document, or from one secret for each field.
    ///
    /// The secret `prefix/name` is read first. Where it is a JSON object, or its store keeps fields, `T` is deserialised
    /// from that, from one version of it, and everything that serde supports works. Fields that a store keeps as text, as
    /// Kubernetes does with all of them, are read as numbers, booleans and variants too, by the rules below; a [`Secret`]
    /// gets their bytes. Only when there is no such secret are the fields of `T` secrets of their own, `prefix/name/field`, which are read together. The type does not
    /// change with the place: the same `T` comes from environment variables or files in development and from a document
    /// in production.
    ///
    /// ```
    /// # use secrets_core::{Result, SecretManager};
    /// # use secrets_testkit::MemoryBackend;
    /// use secrecy::{ExposeSecret, SecretString};
    /// use secrets_core::ConfigSecretLoader;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct Database {
    ///     host: String,
    ///     port: Option<u16>,
    ///     password: SecretString,
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// # let backend = MemoryBackend::from_iter([("smtp/database/host", "db"), ("smtp/database/password", "hunter2"),
    /// #     ("pop/database", r#"{"host": "db", "port": 5432, "password": "hunter2"}"#)]);
    /// # let secrets = SecretManager::builder(backend).build()?;
    /// // smtp/database/host and smtp/database/password exist
    /// let smtp = ConfigSecretLoader::new(&secrets, "smtp");
    /// let database: Database = smtp.load_as("database").await?;
    /// assert_eq!((database.host.as_str(), database.port), ("db", None));
    ///
    /// // pop/database is {"host": "db", "port": 5432, "password": "hunter2"}
    /// let pop = ConfigSecretLoader::new(&secrets, "pop");
    /// let database: Database = pop.load_as("database").await?;
    /// assert_eq!(database.password.expose_secret(), "hunter2");
    /// # Ok::<_, secrets_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # One secret for each field
    ///
    /// | field | read as |
    /// |---|---|
    /// | struct | its own fields, `prefix/name/field/inner`; 8 structs within one another, `T` included |
    /// | `Option` | `None` when there is no such secret; of a struct, when none of its fields exists |
    /// | `#[serde(default)]` | the default when there is no such secret; of a struct, when none of its fields exists |
    /// | `#[serde(rename)]`, `rename_all`, `alias` | the new name is the last part of the secret's; an alias as well |
    /// | integer, float, `bool` | text, as Rust's `FromStr` reads it, without ASCII white space around it |
    /// | enum without data | the name of a variant, without ASCII white space around it |
    /// | `String`, `SecretString`, types read from text | UTF-8 text, exactly as it is |
    /// | [`Secret`] | bytes, exactly as they are; metadata is not kept |
    /// | newtype | what it wraps |
    /// | a type that checks its value, such as a URL | as above; what it refuses is `InvalidData` |
    /// | flattened field, map, sequence, tuple, array, bytes, `char`, unit, enum with data or tag, any JSON | `Unsupported` |
    ///
    /// To learn the fields, `T` is deserialised from stand-ins, such as `0` and an empty text, before and between reads:
    /// a `Deserialize` of your own should have no side effects.
    ///
    /// # Errors
    ///
    /// - `NotFound`: neither the document nor all needed fields exist. [`Error::missing`] and the message list every
    ///   missing one by its full name. Where a type refuses every stand-in, what serde would only ask for after it
    ///   is not known to be needed; the message lists that separately.
    /// - `InvalidData`: the document is not a JSON object or not a `T`, and the message has the position; or fields have
    ///   values of other types, and the message names all of them, and what is missing. Never the text of a value,
    ///   whatever the type says of it.
    /// - `Unsupported`: `T` has a field that cannot be a secret of its own; the message names it. Store a document.
    /// - `InvalidName`: `name` is no name, which includes one with a version or field.
    /// - Otherwise as [`SecretManager::get`], for the document or the first field that cannot be read: being denied a
    ///   field is never taken for its absence.
    ///
    /// # Cancel safety
    ///
    /// As [`SecretManager::get`].
    #[cfg(feature = "serde")]
    pub async fn load_as<T: serde::de::DeserializeOwned>(&self, name: impl AsRef<str>) -> Result<T> {
        let name = self.prefix()?.join(name)?;
        typed::load(&self.secrets, name).await
    }

    /// Reads the prefix itself into any serde type, as [`load_as`](Self::load_as) does for a name below it: the document
    /// `prefix`, or the fields `prefix/field`.
    ///
    /// # Errors
    ///
    /// As [`load_as`](Self::load_as).
    ///
    /// # Cancel safety
    ///
    /// As [`SecretManager::get`].
    #[cfg(feature = "serde")]
    pub async fn load_all<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        typed::load(&self.secrets, self.prefix()?.clone()).await
    }

    fn prefix(&self) -> Result<&SecretName> {
        self.prefix.as_ref().map_err(Error::clone)
    }

    fn reference(&self, name: &str) -> Result<String> {
        let prefix = self.prefix()?;
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
