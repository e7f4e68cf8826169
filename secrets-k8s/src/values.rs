use secrets_core::{Error, ErrorKind, Field, Result, Secret};

/// How the keys of a Secret become a value.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    default_field: Box<str>,
    /// In bytes, all keys together.
    pub(crate) max: usize,
}

impl Values {
    /// The largest Secret that Kubernetes takes, and the largest value unless an option says otherwise: 1 MiB.
    pub(crate) const DEFAULT_MAX: usize = 1024 * 1024;

    /// # Errors
    ///
    /// `InvalidConfig` names the option.
    pub(crate) fn new(default_field: &str, max: usize) -> Result<Self> {
        let invalid = |message| Err(Error::new(ErrorKind::InvalidConfig, message));
        if default_field.is_empty() {
            return invalid("the option `default_field` is empty; a key has a name");
        }
        if max == 0 {
            return invalid("the option `max_value` is zero: nothing could be read");
        }
        Ok(Self {
            default_field: default_field.into(),
            max,
        })
    }

    /// A whole Secret.
    pub(crate) fn whole(&self, fields: Vec<Field>) -> Secret {
        Secret::from_fields(fields, &self.default_field)
    }

    /// # Errors
    ///
    /// `InvalidData` when so many bytes are more than allowed.
    pub(crate) fn check_len(&self, len: usize) -> Result<()> {
        if len <= self.max {
            return Ok(());
        }
        let message = format!(
            "the value is larger than the {} bytes allowed; raise `max_value` if it is meant to be",
            self.max
        );
        Err(Error::new(ErrorKind::InvalidData, message))
    }
}
