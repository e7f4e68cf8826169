use std::path::PathBuf;

use secrets_core::{Error, ErrorKind, Result};

use super::backend::{K8sBackend, NAME};
use super::volume::Volumes;
use crate::naming::Naming;
use crate::values::Values;

/// Options of a [`K8sBackend`]; checked by [`build`](K8sBackendBuilder::build).
#[must_use = "nothing happens before `build`"]
#[derive(Clone, Debug)]
pub struct K8sBackendBuilder {
    root: PathBuf,
    volume: Option<String>,
    base: String,
    default_field: String,
    max_value: usize,
    optional_root: bool,
    #[cfg(feature = "watch")]
    poll_interval: std::time::Duration,
}

impl K8sBackendBuilder {
    pub(super) fn at(root: PathBuf) -> Self {
        Self {
            root,
            volume: None,
            base: String::new(),
            default_field: "value".to_owned(),
            max_value: Values::DEFAULT_MAX,
            optional_root: false,
            #[cfg(feature = "watch")]
            poll_interval: secrets_file::watch::DEFAULT_POLL_INTERVAL,
        }
    }

    /// Put before the name of every Secret, as it is (`base=`): with `billing-`, the name `smtp/password` is the key
    /// `password` of `billing-smtp`. Nothing by default.
    pub fn base(mut self, base: impl Into<String>) -> Self {
        self.base = base.into();
        self
    }

    /// The key that is the value of a whole Secret which has no other (`default_field=`). By default `value`.
    pub fn default_field(mut self, field: impl Into<String>) -> Self {
        self.default_field = field.into();
        self
    }

    /// Refuses larger values, in bytes, all keys of a whole Secret together (`max_value=`); 1 MiB by default, which is as
    /// much as Kubernetes takes.
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// Treats a root that does not exist as one where nothing is mounted (`optional_root=`); off by default.
    ///
    /// Meant for a fallback chain: with it, the next member is asked on a developer's machine. Without it a missing root is
    /// `Unavailable`, so that a late mount is not taken for an absent secret.
    pub fn optional_root(mut self, optional: bool) -> Self {
        self.optional_root = optional;
        self
    }

    /// How often watched secrets are looked at where the system does not tell of changes (`poll_interval=`); 10 seconds by
    /// default, 100 milliseconds at least.
    #[cfg(feature = "watch")]
    pub fn poll_interval(mut self, interval: std::time::Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// The root is itself the volume of this Secret (`volume=`), instead of holding one directory for each.
    ///
    /// Names of any other Secret are `NotFound`: it is not mounted.
    pub fn volume(mut self, secret: impl Into<String>) -> Self {
        self.volume = Some(secret.into());
        self
    }

    /// Checks the options. No file is touched: the root need not exist yet. A relative root is taken from the current
    /// directory of this moment.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` names the option.
    pub fn build(self) -> Result<K8sBackend> {
        let build = || -> Result<Volumes> {
            let invalid = |message: String| Error::new(ErrorKind::InvalidConfig, message);
            if self.root.as_os_str().is_empty() {
                return Err(invalid(
                    "the root is empty; name the directory under which the volumes are mounted".into(),
                ));
            }
            let root = std::path::absolute(&self.root)
                .map_err(|error| invalid(format!("the root cannot be used: {}", error.kind())))?;
            if let Some(volume) = &self.volume {
                Naming::check(volume).map_err(|_| {
                    invalid(
                        "the option `volume` is not the name of a Secret; it is something like smtp-database"
                            .into(),
                    )
                })?;
            }
            #[cfg(feature = "watch")]
            if self.poll_interval < std::time::Duration::from_millis(100) {
                return Err(invalid(
                    "the option `poll_interval` is below 100 milliseconds".into(),
                ));
            }
            Ok(Volumes {
                root,
                volume: self.volume.as_deref().map(Into::into),
                naming: Naming::new(&self.base)?,
                values: Values::new(&self.default_field, self.max_value)?,
                optional_root: self.optional_root,
                #[cfg(feature = "watch")]
                poll_interval: self.poll_interval,
            })
        };
        let volumes = build().map_err(|error| error.with_backend(NAME))?;
        Ok(K8sBackend::of(volumes))
    }
}
