//! A struct from one document.

use serde::de::DeserializeOwned;

use crate::fields::json_problem;
use crate::{Error, ErrorKind, Result, Secret};

/// Reads a JSON object, or the fields that the store itself keeps.
pub(super) fn read<T: DeserializeOwned>(secret: &Secret) -> Result<T> {
    let document = secret.document();
    let result = parse(document);
    if result.is_ok() {
        return result;
    }
    // The only field may hold the whole secret, as it would in a store without fields.
    let whole = secret.expose_secret();
    if !std::ptr::eq(whole, document) && is_object(whole) {
        return parse(whole);
    }
    result
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
