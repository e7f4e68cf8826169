use std::ffi::OsString;
use std::path::PathBuf;

use secrets_core::{Error, ErrorKind, Result};

use crate::backend::{FileBackend, Options};
use crate::naming::{Layout, Naming};
use crate::trim::Trim;

/// Options of a [`FileBackend`]; checked by [`build`](FileBackendBuilder::build).
#[must_use = "nothing happens before `build`"]
#[derive(Clone, Debug)]
pub struct FileBackendBuilder {
    root: Where,
    layout: Layout,
    extension: Option<String>,
    base: String,
    trim: Trim,
    max_size: usize,
    strict_permissions: bool,
    optional_root: bool,
    #[cfg(feature = "watch")]
    poll_interval: std::time::Duration,
}

#[derive(Clone, Debug)]
enum Where {
    Here(PathBuf),
    /// The variable that names it is not set.
    Unset(&'static str),
}

impl FileBackendBuilder {
    pub(crate) fn at(root: PathBuf) -> Self {
        Self {
            root: Where::Here(root),
            layout: Layout::default(),
            extension: None,
            base: String::new(),
            trim: Trim::default(),
            max_size: FileBackend::DEFAULT_MAX_SIZE,
            strict_permissions: false,
            optional_root: false,
            #[cfg(feature = "watch")]
            poll_interval: crate::watch::DEFAULT_POLL_INTERVAL,
        }
    }

    pub(crate) fn at_variable(variable: &'static str, value: Option<OsString>) -> Self {
        let mut builder = Self::at(PathBuf::new());
        builder.root = match value.filter(|value| !value.is_empty()) {
            Some(value) => Where::Here(value.into()),
            None => Where::Unset(variable),
        };
        builder
    }

    /// How names become paths; [`Layout::Nested`] by default.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Ends every file's name with this, such as `secret`, with or without its dot; files without it are no secrets.
    /// Nothing by default.
    pub fn extension(mut self, extension: impl Into<String>) -> Self {
        self.extension = Some(extension.into());
        self
    }

    /// Puts this before every name, as it is: with `prod/`, the name `smtp/password` is the file `prod/smtp/password`.
    /// Nothing by default.
    pub fn base(mut self, base: impl Into<String>) -> Self {
        self.base = base.into();
        self
    }

    /// What becomes of a line break at the end of a file; [`Trim::FinalNewline`] by default.
    pub fn trim(mut self, trim: Trim) -> Self {
        self.trim = trim;
        self
    }

    /// Refuses larger files, in bytes; 1 MiB by default.
    pub fn max_size(mut self, max_size: usize) -> Self {
        self.max_size = max_size;
        self
    }

    /// Refuses files that every user of the system can read or write, instead of warning; off by default. See
    /// [`OpenFile::exposed`](crate::beneath::OpenFile::exposed) for what counts. Unix only.
    pub fn strict_permissions(mut self, strict: bool) -> Self {
        self.strict_permissions = strict;
        self
    }

    /// Treats a root that does not exist as an empty one; off by default.
    ///
    /// Meant for a fallback chain: with it, the next member is asked where nothing is mounted, on a developer's machine
    /// for instance. Without it a missing root is `Unavailable`, so that a late mount is not taken for an absent secret.
    pub fn optional_root(mut self, optional: bool) -> Self {
        self.optional_root = optional;
        self
    }

    /// How often watched secrets are looked at where the system does not tell of changes; 10 seconds by default, 100
    /// milliseconds at least. See [`watch`](crate::watch).
    #[cfg(feature = "watch")]
    pub fn poll_interval(mut self, interval: std::time::Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Checks the options. No file is touched: the root need not exist yet. A relative root is taken from the current
    /// directory of this moment.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` names the option: an empty root, an `extension` or `base` that fits no file, a `max_size` of
    /// zero, `strict_permissions` on a system without permission bits, a `poll_interval` below 100 milliseconds, or a
    /// `$CREDENTIALS_DIRECTORY` that is not set.
    pub fn build(self) -> Result<FileBackend> {
        let invalid =
            |message: String| Error::new(ErrorKind::InvalidConfig, message).with_backend(FileBackend::NAME);
        let root = match self.root {
            Where::Here(root) if root.as_os_str().is_empty() => {
                return Err(invalid(
                    "the root is empty; name a directory, such as /run/secrets".into(),
                ));
            }
            Where::Here(root) => std::path::absolute(root)
                .map_err(|error| invalid(format!("the root cannot be used: {}", error.kind())))?,
            Where::Unset(variable) => {
                return Err(invalid(format!(
                    "the variable `{variable}` is not set; systemd sets it for units with LoadCredential=, \
                     SetCredential= or ImportCredential="
                )));
            }
        };
        if self.max_size == 0 {
            return Err(invalid(
                "the option `max_size` is zero: nothing could be read".into(),
            ));
        }
        if self.strict_permissions && cfg!(not(unix)) {
            return Err(invalid(
                "the option `strict_permissions` needs a Unix system".into(),
            ));
        }
        #[cfg(feature = "watch")]
        if self.poll_interval < std::time::Duration::from_millis(100) {
            return Err(invalid(
                "the option `poll_interval` is below 100 milliseconds".into(),
            ));
        }
        let naming = Naming::new(self.layout, self.extension.as_deref(), &self.base)
            .map_err(|error| error.with_backend(FileBackend::NAME))?;
        Ok(FileBackend::from_options(Options {
            root,
            naming,
            trim: self.trim,
            max_size: self.max_size,
            strict_permissions: self.strict_permissions,
            optional_root: self.optional_root,
            #[cfg(feature = "watch")]
            poll_interval: self.poll_interval,
            #[cfg(all(unix, test))]
            walk: false,
        }))
    }
}
