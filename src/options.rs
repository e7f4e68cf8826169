use secrets_core::{Result, SecretManagerBuilder};

use crate::parameter::{Parameter, Value};
use crate::uri::{Uri, invalid};

/// What the first URI of a chain says about the manager.
pub(crate) struct Options(Vec<(Apply, Value)>);

type Apply = fn(SecretManagerBuilder, &Value) -> Result<SecretManagerBuilder>;

/// One line for each option; the ranges are the manager's to check.
const OPTIONS: &[(Parameter, Apply)] = &[
    (Parameter::once("attempts"), |builder, value| {
        Ok(builder.attempts(value.number()?))
    }),
    (Parameter::once("concurrency"), |builder, value| {
        Ok(builder.concurrency(value.number()?))
    }),
    (Parameter::once("deadline"), |builder, value| {
        Ok(builder.deadline(value.duration()?))
    }),
    (Parameter::once("refresh_ahead"), |builder, value| {
        Ok(builder.refresh_ahead(value.flag()?))
    }),
    (Parameter::once("stale_if_error"), |builder, value| {
        Ok(builder.stale_if_error(value.duration()?))
    }),
    (Parameter::once("timeout"), |builder, value| {
        Ok(builder.timeout(value.duration()?))
    }),
    (Parameter::once("ttl"), |builder, value| {
        Ok(builder.ttl(value.duration()?))
    }),
];

impl Options {
    /// Every parameter that is an option of the manager.
    pub(crate) fn parameters() -> impl Iterator<Item = Parameter> {
        OPTIONS.iter().map(|(parameter, _)| *parameter)
    }

    /// Takes the options out of a URI.
    pub(crate) fn take(uri: &mut Uri<'_>) -> Self {
        let taken = OPTIONS
            .iter()
            .filter_map(|(parameter, apply)| Some((*apply, uri.take(parameter.name())?)));
        Self(taken.collect())
    }

    pub(crate) fn apply(&self, builder: SecretManagerBuilder) -> Result<SecretManagerBuilder> {
        self.0
            .iter()
            .try_fold(builder, |builder, (apply, value)| apply(builder, value))
    }

    /// For a backend without a manager.
    pub(crate) fn refuse(&self) -> Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some((_, value)) => Err(invalid(format!(
                "the parameter `{}` (byte {}) is an option of the manager, and this is a backend alone; set it where the \
                 manager is built",
                value.name(),
                value.at()
            ))),
        }
    }
}
