//! One value as Parameter Store hands it over, and which one is asked for.

use aws_sdk_ssm::types::Parameter;
use secrets_core::{Error, ErrorKind, ReadRequest, Result, Secret, Version};

use crate::name::PARAMETERS;
use crate::values;

/// What AWS calls the version of a parameter that is asked for: `name`, `name:3` or `name:label`.
///
/// # Errors
///
/// `InvalidName` for what AWS cannot use.
pub(super) fn selector(base: &str, request: &ReadRequest<'_>) -> Result<String> {
    let id = PARAMETERS.id(base, request.name)?;
    match request.version {
        None => Ok(id),
        Some(version) => Ok(format!("{id}:{}", suffix(version)?)),
    }
}

fn suffix(version: &Version) -> Result<&str> {
    let text = version.as_str();
    let Some(label) = text.strip_prefix("label:") else {
        // `01` and `+1` would be second spellings of `1`.
        let number = text
            .parse::<u64>()
            .ok()
            .filter(|number| *number > 0 && number.to_string() == text);
        return number.map(|_| text).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidName,
                "a version of a parameter is a number such as 3, or a label: write ?version=label:prod",
            )
        });
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let digit_first = label.starts_with(|c: char| c.is_ascii_digit());
    if label.is_empty() || label.len() > 100 || digit_first || !label.bytes().all(plain) {
        return Err(Error::new(
            ErrorKind::InvalidName,
            "a label has 1 to 100 letters, digits, `_`, `.` and `-`, and does not begin with a digit",
        ));
    }
    Ok(label)
}

/// The secret that a parameter is. A list of strings is its text, with the commas.
///
/// # Errors
///
/// `InvalidData` when there is no value, or it is larger than allowed.
pub(super) fn secret(mut parameter: Parameter, max: usize) -> Result<Secret> {
    let value = parameter.value.take().ok_or_else(values::incomplete)?;
    let version = (parameter.version > 0).then(|| parameter.version.to_string());
    let mut metadata = values::metadata(
        version.as_deref(),
        parameter.last_modified_date,
        parameter.arn.as_deref(),
    );
    if let Some(kind) = &parameter.r#type {
        metadata = metadata.with_attribute("type", kind.as_str());
    }
    values::secret(value.into_bytes(), max, metadata)
}

#[cfg(test)]
mod tests {
    use secrets_core::SecretName;

    use super::*;

    #[test]
    fn r1_numbers_and_labels_are_told_apart_and_all_else_is_refused() {
        let name = SecretName::new("a/b").unwrap();
        let select = |version: &str| {
            let version = Version::new(version).unwrap();
            selector("/", &ReadRequest::new(&name).with_version(&version))
        };
        assert_eq!(selector("/", &ReadRequest::new(&name)).unwrap(), "/a/b");
        assert_eq!(select("3").unwrap(), "/a/b:3");
        assert_eq!(select("label:prod").unwrap(), "/a/b:prod");
        for bad in [
            "0",
            "01",
            "+1",
            "-1",
            "prod",
            "label:",
            "label:3",
            "label:a:b",
            "label:é",
            "label:a/b",
        ] {
            assert_eq!(select(bad).unwrap_err().kind(), ErrorKind::InvalidName, "{bad}");
        }
    }
}
