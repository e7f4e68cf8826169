//! What AWS hands over becomes a secret.

use aws_smithy_types::DateTime;
use secrets_core::{Error, ErrorKind, Metadata, Result, Secret, Version};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// A value in a buffer of its own size.
///
/// # Errors
///
/// `InvalidData` when it is larger than allowed.
pub(crate) fn secret(bytes: Vec<u8>, max: usize, metadata: Metadata) -> Result<Secret> {
    if bytes.len() > max {
        drop(Zeroizing::new(bytes));
        let message = format!("the value is larger than the {max} bytes allowed");
        return Err(Error::new(ErrorKind::InvalidData, message));
    }
    Ok(Secret::new(bytes).with_metadata(metadata))
}

/// Metadata of what every kind of value has.
pub(crate) fn metadata(version: Option<&str>, written: Option<DateTime>, arn: Option<&str>) -> Metadata {
    let mut metadata = Metadata::new();
    if let Some(version) = version.and_then(|version| Version::new(version).ok()) {
        metadata = metadata.with_version(version);
    }
    if let Some(written) = written.and_then(|written| SystemTime::try_from(written).ok()) {
        metadata = metadata.with_created(written);
    }
    match arn {
        Some(arn) => metadata.with_attribute("arn", arn),
        None => metadata,
    }
}

/// An answer that lacks what it is for.
pub(crate) fn incomplete() -> Error {
    let message = "the answer holds no value; is the endpoint AWS's, and nothing between that rewrites it?";
    Error::new(ErrorKind::InvalidData, message)
}
