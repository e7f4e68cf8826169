//! One value as Secrets Manager hands it over, and which one is asked for.

use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_sdk_secretsmanager::operation::get_secret_value::builders::GetSecretValueFluentBuilder;
use aws_sdk_secretsmanager::types::SecretValueEntry;
use aws_smithy_types::{Blob, DateTime};
use secrets_core::{Error, ErrorKind, Result, Secret, Version};

use crate::values;

/// Which version of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Which<'a> {
    Latest,
    /// The id of a version.
    Id(&'a str),
    /// A staging label.
    Stage(&'a str),
}

impl<'a> Which<'a> {
    /// # Errors
    ///
    /// `InvalidName` for what AWS cannot use.
    pub(super) fn of(version: Option<&'a Version>) -> Result<Self> {
        let Some(version) = version else {
            return Ok(Self::Latest);
        };
        if let Some(stage) = version.as_str().strip_prefix("stage:") {
            if stage.is_empty() || stage.len() > 256 {
                return Err(Error::new(
                    ErrorKind::InvalidName,
                    "a stage has 1 to 256 characters: write ?version=stage:AWSPREVIOUS",
                ));
            }
            return Ok(Self::Stage(stage));
        }
        let id = version.as_str();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/=+@".contains(&byte);
        if !(32..=64).contains(&id.len()) || !id.bytes().all(plain) {
            return Err(Error::new(
                ErrorKind::InvalidName,
                "a version of Secrets Manager is an id of 32 to 64 letters, digits and `-`, or a stage: write \
                 ?version=stage:AWSPREVIOUS",
            ));
        }
        Ok(Self::Id(id))
    }

    pub(super) fn is_pinned(self) -> bool {
        self != Self::Latest
    }

    pub(super) fn ask(self, request: GetSecretValueFluentBuilder) -> GetSecretValueFluentBuilder {
        match self {
            Self::Latest => request,
            Self::Id(id) => request.version_id(id),
            Self::Stage(stage) => request.version_stage(stage),
        }
    }
}

/// What both calls answer.
pub(super) struct Entry {
    pub(super) arn: Option<String>,
    pub(super) name: Option<String>,
    version: Option<String>,
    binary: Option<Blob>,
    text: Option<String>,
    stages: Vec<String>,
    created: Option<DateTime>,
}

impl From<GetSecretValueOutput> for Entry {
    fn from(mut answer: GetSecretValueOutput) -> Self {
        Self {
            arn: answer.arn.take(),
            name: answer.name.take(),
            version: answer.version_id.take(),
            binary: answer.secret_binary.take(),
            text: answer.secret_string.take(),
            stages: answer.version_stages.take().unwrap_or_default(),
            created: answer.created_date,
        }
    }
}

impl From<SecretValueEntry> for Entry {
    fn from(mut answer: SecretValueEntry) -> Self {
        Self {
            arn: answer.arn.take(),
            name: answer.name.take(),
            version: answer.version_id.take(),
            binary: answer.secret_binary.take(),
            text: answer.secret_string.take(),
            stages: answer.version_stages.take().unwrap_or_default(),
            created: answer.created_date,
        }
    }
}

/// The secret that an answer holds: the text, or else the bytes that base64 stood for.
///
/// # Errors
///
/// `InvalidData` when it holds neither, or more than allowed.
pub(super) fn secret(entry: Entry, max: usize) -> Result<Secret> {
    let bytes = match (entry.text, entry.binary) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(binary)) => binary.into_inner(),
        (None, None) => return Err(values::incomplete()),
    };
    let mut metadata = values::metadata(entry.version.as_deref(), entry.created, entry.arn.as_deref());
    if !entry.stages.is_empty() {
        metadata = metadata.with_attribute("stages", entry.stages.join(","));
    }
    values::secret(bytes, max, metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_ids_and_stages_are_told_apart_and_all_else_is_refused() {
        let which =
            |text: &str| Which::of(Some(&Version::new(text).unwrap())).map(|which| format!("{which:?}"));
        let id = "01234567-89ab-cdef-0123-456789abcdef";
        assert_eq!(which(id).unwrap(), format!("Id({id:?})"));
        assert_eq!(which("stage:AWSPREVIOUS").unwrap(), "Stage(\"AWSPREVIOUS\")");
        let long = format!("stage:{}", "s".repeat(33));
        assert!(
            which(&long).unwrap().starts_with("Stage"),
            "a long stage is no id"
        );
        for bad in [
            "1",
            "latest",
            "AWSCURRENT",
            "stage:",
            &"a".repeat(31),
            &"a".repeat(65),
            &"é".repeat(20),
        ] {
            assert_eq!(which(bad).unwrap_err().kind(), ErrorKind::InvalidName, "{bad}");
        }
    }

    #[test]
    fn v8_an_answer_without_a_value_is_none() {
        let none = GetSecretValueOutput::builder().name("a").build();
        assert_eq!(
            secret(none.into(), 100).unwrap_err().kind(),
            ErrorKind::InvalidData
        );
        let empty = GetSecretValueOutput::builder().secret_string("").build();
        assert_eq!(secret(empty.into(), 100).unwrap().expose_secret(), b"");
    }

    #[test]
    fn v7_a_value_above_the_cap_is_refused() {
        let value = |length: usize| {
            let answer = GetSecretValueOutput::builder().secret_binary(Blob::new(vec![0xff; length]));
            secret(answer.build().into(), 100).map(drop)
        };
        assert!(value(100).is_ok());
        assert_eq!(value(101).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
