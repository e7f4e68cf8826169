use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use secrets_core::Secret;

/// Where an [`EnvBackend`](crate::EnvBackend) finds its variables; the process's environment by default.
///
/// Another source serves tests and sandboxes: changing the real environment of a running process is unsound as soon as
/// it has a second thread.
pub trait EnvSource: Send + Sync + 'static {
    /// The value of a variable; `None` when it is not set. Exactly as large as the value, it is not copied again.
    fn variable(&self, name: &str) -> Option<OsString>;

    /// The names of all variables that are set.
    fn names(&self) -> Vec<OsString>;
}

impl<S: EnvSource + ?Sized> EnvSource for Arc<S> {
    fn variable(&self, name: &str) -> Option<OsString> {
        (**self).variable(name)
    }

    fn names(&self) -> Vec<OsString> {
        (**self).names()
    }
}

/// The process's own environment, as it is at each read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl EnvSource for ProcessEnv {
    fn variable(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn names(&self) -> Vec<OsString> {
        std::env::vars_os()
            .map(|(name, value)| {
                wipe(value);
                name
            })
            .collect()
    }
}

/// A fixed set of variables, for tests.
///
/// `Debug` prints the names only; the values are wiped when it drops.
///
/// ```
/// use secrets_env::{EnvBackend, Variables};
///
/// let variables = Variables::from([("SMTP_API_KEY", "hunter2")]);
/// assert_eq!(format!("{variables:?}"), r#"Variables({"SMTP_API_KEY"})"#);
/// let backend = EnvBackend::builder().source(variables).build()?;
/// # Ok::<_, secrets_core::Error>(())
/// ```
#[derive(Default)]
pub struct Variables(BTreeMap<OsString, OsString>);

impl EnvSource for Variables {
    fn variable(&self, name: &str) -> Option<OsString> {
        self.0.get(std::ffi::OsStr::new(name)).cloned()
    }

    fn names(&self) -> Vec<OsString> {
        self.0.keys().cloned().collect()
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl<N: Into<OsString>, V: Into<OsString>, const LEN: usize> From<[(N, V); LEN]> for Variables {
    fn from(variables: [(N, V); LEN]) -> Self {
        variables.into_iter().collect()
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Names<'a>(&'a Variables);

        impl fmt::Debug for Names<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_set().entries(self.0.0.keys()).finish()
            }
        }

        f.debug_tuple("Variables").field(&Names(self)).finish()
    }
}

impl Drop for Variables {
    fn drop(&mut self) {
        for value in self.0.values_mut() {
            wipe(std::mem::take(value));
        }
    }
}

/// A [`Secret`] wipes what it owns.
fn wipe(value: OsString) {
    drop(Secret::new(value.into_encoded_bytes()));
}
