//! Why a type's `Deserialize` stopped, without a word of what it said.

use std::fmt;

use serde::de::{Expected, Unexpected};

/// The error of the field reader. What serde and a type's own code put into an error may quote the value, so only the
/// way in which it was made is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// Two keys stand for this field: one of them is an alias.
    Duplicate(&'static str),
    /// The field was left out, and cannot be.
    Missing(&'static str),
    /// Whoever stopped has noted the reason where it belongs.
    Noted,
    /// The type does not take what it was given.
    Refused,
}

impl serde::de::Error for Halt {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Refused
    }

    fn invalid_type(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::Refused
    }

    fn invalid_value(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::Refused
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self::Refused
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::Refused
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self::Refused
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Duplicate(field)
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value does not fit its type")
    }
}

impl std::error::Error for Halt {}
