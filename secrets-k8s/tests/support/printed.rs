//! Everything that can be printed of a thing.

use std::fmt::{Debug, Write};

/// An error, and what caused it.
pub(crate) fn error(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, "{cause} {cause:?} {cause:#?}").unwrap();
        source = cause.source();
    }
    text
}

/// Anything else.
pub(crate) fn thing(thing: &impl Debug) -> String {
    format!("{thing:?} {thing:#?}")
}
