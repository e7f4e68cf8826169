//! A struct from one document.

use serde::de::DeserializeOwned;

use super::kept;
use crate::fields::json_problem;
use crate::{Error, ErrorKind, Result, Secret};

/// Reads a JSON object, or the fields that the store itself keeps.
pub(super) fn read<T: DeserializeOwned>(secret: &Secret) -> Result<T> {
    let whole = secret.expose_secret();
    let Some(fields) = secret.fields() else {
        return parse(whole);
    };
    // The only field may hold the whole secret, as it would in a store without fields.
    kept::read(fields).or_else(|misfit| {
        if secret.has_default() && is_object(whole) {
            parse(whole)
        } else {
            Err(misfit)
        }
    })
}

fn parse<T: DeserializeOwned>(document: &[u8]) -> Result<T> {
    if !is_object(document) {
        let message = "the value is not a JSON object; read a single value with `load`, or store a JSON object, or \
            delete this secret and store one for each field";
        return Err(Error::new(ErrorKind::InvalidData, message));
    }
    serde_json::from_slice(document).map_err(|error| Error::new(ErrorKind::InvalidData, json_problem(&error)))
}

fn is_object(document: &[u8]) -> bool {
    document.trim_ascii_start().first() == Some(&b'{')
}
