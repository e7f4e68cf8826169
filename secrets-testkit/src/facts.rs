use std::time::Duration;

use secrets_core::{ErrorKind, SecretName, Version};

use crate::Canary;

/// What a [`Harness`](crate::Harness) says about its store, beside what the backend's
/// [`capabilities`](secrets_core::SecretBackend::capabilities) say.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Facts {
    pub(crate) alphabet: Alphabet,
    pub(crate) max_len: usize,
    pub(crate) empty_values: bool,
    pub(crate) final_line_break: bool,
    pub(crate) under: Option<SecretName>,
    pub(crate) canonical: fn(&SecretName) -> String,
    pub(crate) inexpressible: Vec<SecretName>,
    pub(crate) versions: Option<VersionFacts>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) credentials: Vec<Canary>,
    pub(crate) patience: Duration,
}

impl Facts {
    /// A store that takes any bytes, up to a mebibyte, empty ones included, and every name as it is; without versions.
    pub fn new() -> Self {
        Self {
            alphabet: Alphabet::Bytes,
            max_len: 1 << 20,
            empty_values: true,
            final_line_break: true,
            under: None,
            canonical: SecretName::to_string,
            inexpressible: Vec::new(),
            versions: None,
            faults: Vec::new(),
            credentials: Vec::new(),
            patience: Duration::from_secs(60),
        }
    }

    /// What values are made of.
    #[must_use]
    pub fn with_alphabet(mut self, alphabet: Alphabet) -> Self {
        self.alphabet = alphabet;
        self
    }

    /// The longest value, in bytes; at least 64.
    #[must_use]
    pub fn with_max_len(mut self, max_len: usize) -> Self {
        self.max_len = max_len;
        self
    }

    /// The store cannot hold an empty value: `without = [empty]`.
    #[must_use]
    pub fn without_empty_values(mut self) -> Self {
        self.empty_values = false;
        self
    }

    /// The final LF or CRLF of a value is not part of it when the value is UTF-8 and that is its only line break: the
    /// exception of law V3 for files.
    #[must_use]
    pub fn without_final_line_break(mut self) -> Self {
        self.final_line_break = false;
        self
    }

    /// Puts all names under this one: where the backend serves nothing else, or is let into nothing else.
    #[must_use]
    pub fn with_names_under(mut self, prefix: SecretName) -> Self {
        self.under = Some(prefix);
        self
    }

    /// The canonical form of a name, where the backend's documented mapping loses information: names with one form are one
    /// secret. `list` gives that form, where it is a name at all; otherwise it leaves the secret out.
    #[must_use]
    pub fn with_canonical(mut self, canonical: fn(&SecretName) -> String) -> Self {
        self.canonical = canonical;
        self
    }

    /// Names that the backend cannot express, and so has to refuse. The kit tries many more by itself, and takes either
    /// answer as long as it is consistent; these have to be refused.
    #[must_use]
    pub fn with_inexpressible(mut self, names: impl IntoIterator<Item = SecretName>) -> Self {
        self.inexpressible.extend(names);
        self
    }

    /// How the store's versions are addressed. Needed where the backend has versions.
    #[must_use]
    pub fn with_versions(mut self, versions: VersionFacts) -> Self {
        self.versions = Some(versions);
        self
    }

    /// The faults that [`Harness::inject`](crate::Harness::inject) can inject; none: `without = [faults]`.
    #[must_use]
    pub fn with_faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults.extend(faults);
        self
    }

    /// A credential the backend holds, such as a token. The kit looks for it wherever it looks for values.
    #[must_use]
    pub fn with_credential(mut self, credential: impl Into<String>) -> Self {
        self.credentials.push(Canary::of(credential));
        self
    }

    /// How long one case may take before it counts as hanging; 60 s unless set.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What the backend is to answer for a value written to the store.
    pub(crate) fn expected<'a>(&self, written: &'a [u8]) -> &'a [u8] {
        let is_text = std::str::from_utf8(written).is_ok();
        let Some(rest) = written.strip_suffix(b"\n").filter(|_| is_text) else {
            return written;
        };
        let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
        if self.final_line_break || rest.contains(&b'\n') || rest.contains(&b'\r') {
            return written;
        }
        rest
    }
}

impl Default for Facts {
    fn default() -> Self {
        Self::new()
    }
}

/// What the values of a store are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alphabet {
    /// Any bytes.
    Bytes,
    /// Any bytes but NUL.
    NoNul,
    /// UTF-8 text without NUL: `without = [bytes]`.
    Text,
}

/// How a store's versions are addressed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VersionFacts {
    pub(crate) absent: Version,
    pub(crate) malformed: Vec<Version>,
    pub(crate) latest: Vec<Version>,
    pub(crate) previous: Vec<Version>,
}

impl VersionFacts {
    /// Versions of which `absent` is well formed and never exists.
    pub fn new(absent: Version) -> Self {
        Self {
            absent,
            malformed: Vec::new(),
            latest: Vec::new(),
            previous: Vec::new(),
        }
    }

    /// Versions that the store cannot use.
    #[must_use]
    pub fn with_malformed(mut self, versions: impl IntoIterator<Item = Version>) -> Self {
        self.malformed.extend(versions);
        self
    }

    /// A stage that names the latest version.
    #[must_use]
    pub fn with_latest_stage(mut self, stage: Version) -> Self {
        self.latest.push(stage);
        self
    }

    /// A stage that names the version before the latest.
    #[must_use]
    pub fn with_previous_stage(mut self, stage: Version) -> Self {
        self.previous.push(stage);
        self
    }
}

/// A fault that a harness can inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The store knows the caller and refuses.
    Denied,
    /// The secret exists and may not be used.
    Disabled,
    /// The store answers with something that cannot be understood.
    Garbage,
    /// The store takes the request and never answers.
    Hang,
    /// The store asks the caller to slow down.
    Throttled,
    /// The store does not accept the caller's credentials, also after logging in again.
    Unauthenticated,
    /// The store cannot be reached.
    Unreachable,
}

impl Fault {
    /// The kinds that report it rightly; none for a fault that brings no answer.
    pub(crate) fn kinds(self) -> &'static [ErrorKind] {
        match self {
            Self::Denied => &[ErrorKind::PermissionDenied],
            Self::Disabled => &[ErrorKind::Disabled],
            Self::Garbage => &[ErrorKind::InvalidData, ErrorKind::Unavailable],
            Self::Hang => &[],
            Self::Throttled => &[ErrorKind::RateLimited],
            Self::Unauthenticated => &[ErrorKind::Unauthenticated],
            Self::Unreachable => &[ErrorKind::Timeout, ErrorKind::Unavailable],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v3_only_the_only_line_break_is_left_out_and_only_at_the_end() {
        let facts = Facts::new().without_final_line_break();
        for (written, expected) in [
            (b"a\n".as_slice(), b"a".as_slice()),
            (b"a\r\n", b"a"),
            (b"\n", b""),
            (b"a\r", b"a\r"),
            (b"a\nb\n", b"a\nb\n"),
            (b"a\n\n", b"a\n\n"),
            (b"\xff\n", b"\xff\n"),
        ] {
            assert_eq!(facts.expected(written), expected, "{}", written.escape_ascii());
            assert_eq!(Facts::new().expected(written), written);
        }
    }
}
