use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Error, ErrorKind, Result};

/// One version of a secret, in the store's own terms: a number, an id, a stage, a label.
///
/// The backend gives it meaning (`3` for Vault, an id or `stage:AWSPREVIOUS` for AWS Secrets Manager) and refuses what
/// it cannot use. Here it is 1 to 256 bytes without white space, control characters and `% ? # & \`. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(Arc<str>);

impl Version {
    /// The longest version, in bytes.
    pub const MAX_LEN: usize = 256;

    /// Checks and copies a version.
    ///
    /// # Errors
    ///
    /// `InvalidName` when it is empty, too long, or contains a refused character.
    pub fn new(version: impl AsRef<str>) -> Result<Self> {
        let version = version.as_ref();
        let invalid = |what: String| Err(Error::new(ErrorKind::InvalidName, what));
        if version.is_empty() {
            return invalid("a version is empty; leave `?version=` out to read the latest one".into());
        }
        if version.len() > Self::MAX_LEN {
            return invalid(format!(
                "a version has {} bytes; the limit is {}",
                version.len(),
                Self::MAX_LEN
            ));
        }
        let refused =
            |c: char| matches!(c, '%' | '?' | '#' | '&' | '\\') || c.is_control() || c.is_whitespace();
        if let Some((at, c)) = version.char_indices().find(|&(_, c)| refused(c)) {
            return invalid(format!(
                "a version must not contain `{}` (byte {at})",
                c.escape_debug()
            ));
        }
        Ok(Self(version.into()))
    }

    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl AsRef<str> for Version {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(version: &str) -> Result<Self> {
        Self::new(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_malformed_versions_are_refused() {
        let long = "1".repeat(Version::MAX_LEN + 1);
        for bad in ["", " ", "1 2", "a#b", "a?b", "a&b", "a%20", "1\n", "a\\b", &long] {
            assert_eq!(
                Version::new(bad).unwrap_err().kind(),
                ErrorKind::InvalidName,
                "{bad:?}"
            );
        }
        for good in ["1", "stage:AWSPREVIOUS", "0f5a-77", "label_1.0"] {
            assert_eq!(Version::new(good).unwrap().as_str(), good);
        }
    }
}
