use secrets_core::{Error, ErrorKind, Field, Result, Secret};

/// How the map that Vault keeps becomes a secret.
#[derive(Debug)]
pub(crate) struct Values {
    default_field: Box<str>,
    binary_suffix: Option<Box<str>>,
    max: usize,
}

impl Values {
    pub(crate) fn new(default_field: &str, binary_suffix: Option<&str>, max: usize) -> Self {
        Self {
            default_field: default_field.into(),
            binary_suffix: binary_suffix.map(Into::into),
            max,
        }
    }

    /// The end of the names of fields that hold base64.
    pub(crate) fn binary_suffix(&self) -> Option<&str> {
        self.binary_suffix.as_deref()
    }

    /// The largest answer that may hold an allowed value: JSON escapes and base64 make it longer.
    pub(crate) fn max_answer(&self) -> usize {
        self.max.saturating_mul(2).saturating_add(64 * 1024)
    }

    /// # Errors
    ///
    /// `InvalidData` when all fields together are larger than allowed.
    pub(crate) fn secret(&self, fields: Vec<Field>) -> Result<Secret> {
        if fields
            .iter()
            .map(|field| field.expose_secret().len())
            .sum::<usize>()
            > self.max
        {
            let message = format!("the value is larger than the {} bytes allowed", self.max);
            return Err(Error::new(ErrorKind::InvalidData, message));
        }
        Ok(Secret::from_fields(fields, &self.default_field))
    }
}
