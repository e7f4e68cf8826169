use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Error, ErrorKind, Result};

/// The name of a secret: `/`-separated, non-empty segments, the same on every store.
///
/// `smtp/database/password` is an environment variable, a file, a Vault path or a cloud secret, depending on the
/// backend; each backend documents its mapping.
///
/// A name has at most 1,024 bytes. It contains no empty, `.` or `..` segment, no leading or trailing `/`, none of
/// `\ % ? #`, and no control character. Everything else is allowed, Unicode included, and nothing is normalised.
/// Cloning is cheap.
///
/// ```
/// use secrets_core::SecretName;
///
/// let name = SecretName::new("smtp/database/password")?;
/// assert_eq!(name.segments().collect::<Vec<_>>(), ["smtp", "database", "password"]);
/// assert!(name.starts_with(&SecretName::new("smtp")?));
/// # Ok::<_, secrets_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(Arc<str>);

impl SecretName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// Checks and copies a name.
    ///
    /// # Errors
    ///
    /// `InvalidName` says what is wrong and at which byte.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        check(name)?;
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between the slashes; at least one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// This name, a `/`, and `rest`.
    ///
    /// # Errors
    ///
    /// `InvalidName` when `rest` is no name, or the whole is too long.
    pub fn join(&self, rest: impl AsRef<str>) -> Result<Self> {
        let rest = rest.as_ref();
        check(rest)?;
        Self::new(format!("{self}/{rest}"))
    }

    /// Whether this is `prefix` or lies below it. Segments are compared whole: `app` is no prefix of `application`.
    pub fn starts_with(&self, prefix: &SecretName) -> bool {
        self == prefix || self.strip_prefix(prefix).is_some()
    }

    /// What follows `prefix` and its `/`; `None` when this does not lie below `prefix`.
    pub fn strip_prefix(&self, prefix: &SecretName) -> Option<SecretName> {
        let rest = self.0.strip_prefix(prefix.as_str())?.strip_prefix('/')?;
        Some(Self(rest.into()))
    }
}

/// What makes a text unfit for a name, and where.
fn check(name: &str) -> Result<()> {
    let invalid = |what: String| {
        Err(Error::new(
            ErrorKind::InvalidName,
            format!("{what}{}", quoted(name)),
        ))
    };
    if name.is_empty() {
        return invalid("a name is empty; write segments separated by `/`, such as smtp/password".into());
    }
    if name.len() > SecretName::MAX_LEN {
        return invalid(format!(
            "a name has {} bytes; the limit is {}",
            name.len(),
            SecretName::MAX_LEN
        ));
    }
    if let Some((at, c)) = name
        .char_indices()
        .find(|&(_, c)| matches!(c, '\\' | '%' | '?' | '#') || c.is_control())
    {
        return invalid(format!(
            "a name must not contain `{}` (byte {at}); names are `/`-separated segments, taken as they are",
            c.escape_debug()
        ));
    }
    let mut at = 0;
    for segment in name.split('/') {
        if segment.is_empty() {
            return invalid(format!(
                "a name has an empty segment (byte {at}); remove the extra `/`"
            ));
        }
        if segment == "." || segment == ".." {
            return invalid(format!(
                "a name must not contain the segment `{segment}` (byte {at})"
            ));
        }
        at += segment.len() + 1;
    }
    Ok(())
}

/// A refused text is quoted only when it is short and looks like a name: it may be a misplaced credential.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if name.is_empty() || name.len() > 128 || name.contains("//") || !name.chars().all(plain) {
        return String::new();
    }
    format!(": `{name}`")
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl AsRef<str> for SecretName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for SecretName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl TryFrom<&str> for SecretName {
    type Error = Error;

    fn try_from(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl TryFrom<String> for SecretName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for SecretName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for SecretName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        Self::new(name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n1_malformed_names_are_refused() {
        let long = "a".repeat(SecretName::MAX_LEN + 1);
        for bad in [
            "", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/./b", "a\\b", "a%2fb", "a?b", "a#b", "a\0b",
            "a\nb", "a\rb", "a\u{7f}", "a\u{85}b", &long,
        ] {
            let error = SecretName::new(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidName, "{bad:?}");
        }
        assert!(SecretName::new("a".repeat(SecretName::MAX_LEN)).is_ok());
    }

    #[test]
    fn n1_what_is_not_refused_is_kept_as_it_is() {
        for good in [
            "a",
            "a/b",
            "...",
            ".a",
            "a b",
            "a&b=c@d:e*",
            "e\u{301}",
            "é",
            "𝔰/ת",
        ] {
            assert_eq!(SecretName::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn n5_prefixes_are_whole_segments() {
        let app = SecretName::new("app").unwrap();
        assert!(SecretName::new("app").unwrap().starts_with(&app));
        assert!(SecretName::new("app/x").unwrap().starts_with(&app));
        assert!(!SecretName::new("application").unwrap().starts_with(&app));
        assert_eq!(
            SecretName::new("app/x/y")
                .unwrap()
                .strip_prefix(&app)
                .unwrap()
                .as_str(),
            "x/y"
        );
        assert_eq!(app.strip_prefix(&app), None);
    }

    #[test]
    fn s1_a_refused_text_that_may_be_a_credential_is_not_quoted() {
        let text = SecretName::new("postgres://user:hunter2@db/x")
            .unwrap_err()
            .to_string();
        assert!(!text.contains("hunter2"), "{text}");
        assert!(
            SecretName::new("smtp/../x")
                .unwrap_err()
                .to_string()
                .contains("`smtp/../x`")
        );
    }

    #[test]
    fn joining_checks_both_length_and_rest() {
        let smtp = SecretName::new("smtp").unwrap();
        assert_eq!(smtp.join("tls/ca").unwrap().as_str(), "smtp/tls/ca");
        assert!(smtp.join("../x").is_err());
        assert!(smtp.join("a".repeat(1020)).is_err());
    }
}
