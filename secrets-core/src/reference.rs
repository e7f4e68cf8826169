use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind, Result, SecretName, Version};

/// What a caller asks for: `name`, `name#field`, `name?version=V` or `name?version=V#field`.
///
/// The text before the first `#` is the name and its version; all that follows is the field, as it is. A field is a
/// top-level key of a JSON secret (`#tls.crt`), or an RFC 6901 pointer when it starts with `/` (`#/hosts/0`); see
/// [`Secret::field`](crate::Secret::field).
///
/// Every reference has exactly one spelling, so two that differ never share a cache entry.
///
/// ```
/// use secrets_core::SecretRef;
///
/// let reference = SecretRef::parse("smtp/database?version=3#password")?;
/// assert_eq!(reference.name().as_str(), "smtp/database");
/// assert_eq!(reference.version().unwrap().as_str(), "3");
/// assert_eq!(reference.field(), Some("password"));
/// # Ok::<_, secrets_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretRef {
    name: SecretName,
    version: Option<Version>,
    field: Option<Box<str>>,
}

impl SecretRef {
    /// The longest field, in bytes.
    pub const MAX_FIELD_LEN: usize = 1024;

    /// Reads a reference.
    ///
    /// # Errors
    ///
    /// `InvalidName` says which part is malformed, and how.
    pub fn parse(reference: impl AsRef<str>) -> Result<Self> {
        let reference = reference.as_ref();
        let (left, field) = match reference.split_once('#') {
            Some((left, field)) => (left, Some(field)),
            None => (reference, None),
        };
        let (name, version) = match left.split_once('?') {
            None => (left, None),
            Some((name, query)) => (name, Some(version(query)?)),
        };
        let name = SecretName::new(name)?;
        if let Some(field) = field {
            check_field(field).map_err(|error| error.with_secret(&name))?;
        }
        Ok(Self {
            name,
            version,
            field: field.map(Into::into),
        })
    }

    /// The name of the secret.
    pub fn name(&self) -> &SecretName {
        &self.name
    }

    /// The pinned version; `None` for the latest.
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// The field; `None` for the whole secret.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

fn version(query: &str) -> Result<Version> {
    let Some(version) = query.strip_prefix("version=") else {
        let message = "after `?` only `version=V` may follow, as in smtp/password?version=3";
        return Err(Error::new(ErrorKind::InvalidName, message));
    };
    Version::new(version)
}

fn check_field(field: &str) -> Result<()> {
    let invalid = |what: String| Err(Error::new(ErrorKind::InvalidName, what));
    if field.is_empty() {
        return invalid(
            "nothing follows `#`; name a field, or leave `#` out to read the whole secret".into(),
        );
    }
    if field.len() > SecretRef::MAX_FIELD_LEN {
        return invalid(format!(
            "a field has {} bytes; the limit is {}",
            field.len(),
            SecretRef::MAX_FIELD_LEN
        ));
    }
    if let Some((at, _)) = field.char_indices().find(|(_, c)| c.is_control()) {
        return invalid(format!(
            "a field must not contain a control character (byte {at})"
        ));
    }
    if field.contains("?version=") && !field.starts_with('/') {
        return invalid("the version comes before the field: name?version=V#field".into());
    }
    Ok(())
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(version) = &self.version {
            write!(f, "?version={version}")?;
        }
        if let Some(field) = &self.field {
            write!(f, "#{field}")?;
        }
        Ok(())
    }
}

impl From<SecretName> for SecretRef {
    fn from(name: SecretName) -> Self {
        Self {
            name,
            version: None,
            field: None,
        }
    }
}

impl FromStr for SecretRef {
    type Err = Error;

    fn from_str(reference: &str) -> Result<Self> {
        Self::parse(reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n1_malformed_references_are_refused() {
        for bad in [
            "",
            "#",
            "a#",
            "?version=1",
            "a?",
            "a?version=",
            "a?versions=1",
            "a?version=1&x=2",
            "a?b#c",
            "../a#b",
            "a?version=1?version=2",
            "a#b?version=2",
            "a#b\n",
        ] {
            assert_eq!(
                SecretRef::parse(bad).unwrap_err().kind(),
                ErrorKind::InvalidName,
                "{bad:?}"
            );
        }
    }

    #[test]
    fn t11_every_reference_has_one_spelling() {
        for text in [
            "a",
            "a/b?version=3",
            "a#tls.crt",
            "a?version=stage:X#/a~1b/0",
            "a#b#c",
            "a#/x?version=1",
        ] {
            assert_eq!(SecretRef::parse(text).unwrap().to_string(), text);
        }
    }
}
