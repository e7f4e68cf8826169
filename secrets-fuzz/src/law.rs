//! What has to hold whatever the input is.

use std::error::Error as _;
use std::fmt::Debug;

use secrets::{Error, ErrorKind, Fetched, Secret};
use serde_json::Value;

use crate::CANARY;

/// An error is clear, is not a defect of the library, and shows nothing.
pub(crate) fn error(error: &Error) {
    assert!(error.kind() != ErrorKind::Internal, "a defect: {error}");
    assert!(!error.message().is_empty(), "an error without a message");
    hidden(&format!("{error} {error:?} {error:#?} {:?}", error.source()));
}

/// An error of one of these kinds.
pub(crate) fn one_of(kinds: &[ErrorKind], found: &Error) {
    error(found);
    assert!(kinds.contains(&found.kind()), "{:?}: {found}", found.kind());
}

/// A secret does not print itself, and can be looked at.
pub(crate) fn secret(secret: &Secret) {
    hidden(&format!("{secret:?} {secret:#?}"));
    for result in [secret.expose_str().map(drop), secret.field("password").map(drop)] {
        if let Err(failure) = result {
            error(&failure);
        }
    }
}

/// What came back is a whole value or an error.
pub(crate) fn fetched(outcome: Result<Fetched, Error>) -> Option<Secret> {
    match outcome {
        Ok(Fetched::Value(found)) => {
            secret(&found);
            Some(found)
        }
        Ok(other) => panic!("a value was to be read: {other:?}"),
        Err(failure) => {
            error(&failure);
            None
        }
    }
}

/// Whatever came back that is not shown to anybody but whoever asked: only its error counts.
pub(crate) fn outcome<T>(outcome: Result<T, Error>) {
    if let Err(failure) = outcome {
        error(&failure);
    }
}

/// Nothing of a secret is in what was printed.
pub(crate) fn hidden(printed: &str) {
    assert!(!printed.contains(CANARY), "a secret is printed: {printed}");
}

/// The same for the `Debug` of something.
pub(crate) fn prints_nothing(thing: &dyn Debug) {
    hidden(&format!("{thing:?} {thing:#?}"));
}

/// Names of members whose texts may be printed: names, ids, versions, labels, codes.
const PUBLIC: &[&str] = &[
    "ARN",
    "Code",
    "Name",
    "RequestId",
    "Type",
    "VersionId",
    "VersionStages",
    "__type",
    "annotations",
    "code",
    "contentType",
    "id",
    "kid",
    "kind",
    "labels",
    "metadata",
    "name",
    "nextLink",
    "reason",
    "request_id",
    "resourceVersion",
    "tags",
    "type",
    "version",
];

/// Whether the canary stands where it may be printed, because mangling has put it there: in a name or an id.
pub(crate) fn is_public(document: &[u8]) -> bool {
    fn found(value: &Value, public: bool) -> bool {
        match value {
            Value::String(text) => public && text.contains(CANARY),
            Value::Array(items) => items.iter().any(|item| found(item, public)),
            Value::Object(members) => members.iter().any(|(name, value)| {
                // The names of members are those of fields.
                name.contains(CANARY) || found(value, public || PUBLIC.contains(&name.as_str()))
            }),
            _ => false,
        }
    }
    serde_json::from_slice(document).is_ok_and(|value| found(&value, false))
}
