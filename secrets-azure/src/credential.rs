use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use secrets_core::{Cause, Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::error;

/// No client secret or token is larger.
const MAX_LEN: usize = 64 * 1024;

/// A client secret or a federated token: the text itself, or a file that is read again at every login.
///
/// White space around it is not part of it. `Debug` prints the path of a file, and never a value.
#[derive(Clone)]
pub struct Credential(Kind);

#[derive(Clone)]
enum Kind {
    File(PathBuf),
    Value(SecretSlice<u8>),
}

impl Credential {
    /// This text.
    pub fn value(text: impl Into<SecretString>) -> Self {
        let text = text.into();
        let trimmed = text.expose_secret().trim_ascii().as_bytes();
        Self(Kind::Value(Box::<[u8]>::from(trimmed).into()))
    }

    /// Whatever the file holds at each login: a service account token, a sink that an agent keeps fresh.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::File(path.into()))
    }

    /// What can be said before any login.
    pub(crate) fn check(&self, what: &str) -> Result<()> {
        match &self.0 {
            Kind::File(path) if path.as_os_str().is_empty() => {
                Err(error::config(format!("the file of the {what} has no path")))
            }
            Kind::File(_) => Ok(()),
            Kind::Value(value) => check(value.expose_secret(), what).map_err(error::config),
        }
    }

    /// The credential as it is now.
    ///
    /// # Errors
    ///
    /// `Unauthenticated` when the file cannot be read or holds no credential.
    pub(crate) async fn read(&self, what: &'static str) -> Result<Zeroizing<Vec<u8>>> {
        match &self.0 {
            Kind::Value(value) => Ok(Zeroizing::new(value.expose_secret().to_vec())),
            Kind::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || read_file(&path, what)).await;
                read.unwrap_or_else(|_| {
                    Err(Error::new(
                        ErrorKind::Internal,
                        "reading a credential file failed",
                    ))
                })
            }
        }
    }
}

impl From<SecretString> for Credential {
    fn from(text: SecretString) -> Self {
        Self::value(text)
    }
}

impl From<&str> for Credential {
    fn from(text: &str) -> Self {
        Self::value(text)
    }
}

impl From<String> for Credential {
    fn from(text: String) -> Self {
        Self::value(text)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::File(path) => f.debug_tuple("Credential").field(path).finish(),
            Kind::Value(_) => f.write_str("Credential([REDACTED])"),
        }
    }
}

fn read_file(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>> {
    let refused = |problem: &str, cause| {
        let message = format!("the {what} in {} cannot be used: {problem}", path.display());
        Error::new(ErrorKind::Unauthenticated, message).with_cause(cause)
    };
    let io = |error: std::io::Error| refused("the file cannot be read", Cause::from(&error));
    // Opening a pipe would wait for a writer.
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(refused("it is not a plain file", Cause::new()));
    }
    let mut bytes = Zeroizing::new(vec![0; MAX_LEN + 1]);
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mut len = 0;
    loop {
        match file.read(&mut bytes[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io(error)),
        }
    }
    let trimmed = bytes[..len].trim_ascii();
    check(trimmed, what).map_err(|problem| refused(&problem, Cause::new()))?;
    Ok(Zeroizing::new(trimmed.to_vec()))
}

fn check(bytes: &[u8], what: &str) -> Result<(), String> {
    if bytes.is_empty() {
        return Err(format!("the {what} is empty"));
    }
    if bytes.len() > MAX_LEN {
        return Err(format!("the {what} is longer than {MAX_LEN} bytes"));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => Ok(()),
        Ok(_) => Err(format!(
            "the {what} contains a line break or another control character"
        )),
        Err(_) => Err(format!("the {what} is not UTF-8 text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_debug_prints_a_path_and_no_value() {
        let text = format!(
            "{:?} {:?}",
            Credential::value("CANARY"),
            Credential::file("/run/token")
        );
        assert_eq!(text, "Credential([REDACTED]) Credential(\"/run/token\")");
    }

    #[test]
    fn white_space_around_a_credential_is_not_part_of_it() {
        let Kind::Value(value) = Credential::value(" secret\r\n").0 else {
            unreachable!()
        };
        assert_eq!(value.expose_secret(), b"secret");
    }

    #[test]
    fn what_no_header_can_hold_is_refused_before_any_login() {
        for bad in ["", " \n", "a\nb", "a\0b"] {
            let error = Credential::value(bad).check("token").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{bad:?}");
        }
        assert!(Credential::value("secret").check("token").is_ok());
    }
}
