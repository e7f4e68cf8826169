//! What a single value is read as.

use std::fmt;

/// What a type asks for where it holds a single value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    /// The name of Rust's type.
    Number(&'static str),
    /// Bytes, whatever they are.
    Secret,
    Text,
    /// The names of an enum's variants.
    Variant(&'static [&'static str]),
}

/// Texts to try a type with while its value is unknown: all but the first are for common types that check theirs, such as
/// numbers in text, durations, addresses, URLs and UUIDs.
const TEXTS: [&str; 7] = [
    "",
    "1",
    "1s",
    "127.0.0.1",
    "127.0.0.1:80",
    "http://localhost/",
    "00000000-0000-0000-0000-000000000000",
];

impl Kind {
    /// How many stand-ins there are to try.
    pub(super) fn stand_ins(self) -> usize {
        match self {
            // Zero as well as one: some types refuse the one, some the other.
            Self::Bool | Self::Number(_) => 2,
            Self::Secret => 1,
            Self::Text => TEXTS.len(),
            Self::Variant(variants) => variants.len(),
        }
    }

    /// The stand-in for a text, by its number.
    pub(super) fn text(number: usize) -> &'static str {
        TEXTS.get(number).copied().unwrap_or_default()
    }
}

/// What the value has to be, for a message.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("`true` or `false`"),
            Self::Number(name) => write!(f, "a number of type {name}"),
            Self::Secret => f.write_str("a secret"),
            Self::Text => f.write_str("UTF-8 text"),
            Self::Variant(variants) => {
                f.write_str("one of")?;
                for (index, variant) in variants.iter().enumerate() {
                    write!(f, "{} `{variant}`", if index == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}
