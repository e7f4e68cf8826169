//! The lines that a watch is made of: <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>.

use std::borrow::Cow;

use secrets_core::Result;
use serde::Deserialize;

use super::super::answer::parse;
use super::super::error;
use super::super::object::ObjectMeta;
use super::super::transport::{Buffer, Opened};

/// The metadata of one Secret is smaller.
const MAX_LINE: usize = 2 * 1024 * 1024;

/// Something that happened to a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It is there, in this version.
    Seen { secret: String, version: String },
    /// It is gone, or its labels are.
    Gone { secret: String, version: String },
    /// Nothing has happened up to this version.
    Bookmark { version: String },
    /// The watch cannot go on, for this status.
    Failed { status: u16 },
}

/// What an open watch brings. Only the line that is being received is kept, and wiped.
pub(super) struct Events {
    opened: Opened,
    buffer: Buffer,
    /// How much of the buffer has no end of a line in it.
    searched: usize,
}

impl Events {
    pub(super) fn new(opened: Opened) -> Self {
        Self {
            opened,
            buffer: Buffer::new(16 * 1024),
            searched: 0,
        }
    }

    /// The next one; `None` when the server has ended the watch.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the connection breaks, `InvalidData` for what is no event.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            let rest = &self.buffer.as_slice()[self.searched..];
            if let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                let end = self.searched + at;
                let event = event(&self.buffer.as_slice()[..end]);
                self.buffer.consume(end + 1);
                self.searched = 0;
                match event? {
                    Some(event) => return Ok(Some(event)),
                    None => continue,
                }
            }
            self.searched = self.buffer.len();
            if self.searched > MAX_LINE {
                return Err(error::too_large(MAX_LINE));
            }
            match self.opened.chunk().await? {
                Some(chunk) => self.buffer.extend(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// `None` for an empty line, and for a kind of event that is yet to be invented.
fn event(line: &[u8]) -> Result<Option<Event>> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let line: Line<'_> = parse(line)?;
    let meta = line.object.metadata;
    let (secret, version) = meta
        .map(|meta| (meta.name.into_owned(), meta.version.into_owned()))
        .unwrap_or_default();
    Ok(match &*line.kind {
        "ADDED" | "MODIFIED" => Some(Event::Seen { secret, version }),
        "DELETED" => Some(Event::Gone { secret, version }),
        "BOOKMARK" => Some(Event::Bookmark { version }),
        "ERROR" => Some(Event::Failed {
            status: line.object.code.unwrap_or(500),
        }),
        _ => None,
    })
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: Thing<'a>,
}

/// The metadata of a Secret, or a `Status`.
#[derive(Deserialize)]
struct Thing<'a> {
    #[serde(borrow)]
    metadata: Option<ObjectMeta<'a>>,
    code: Option<u16>,
}

#[cfg(test)]
mod tests {
    use secrets_core::ErrorKind;

    use super::*;

    #[test]
    fn w4_lines_are_events() {
        let (secret, version) = (|| "a".to_owned(), || "7".to_owned());
        let object = r#"{"kind":"PartialObjectMetadata","metadata":{"name":"a","resourceVersion":"7","labels":{"x":"y"}}}"#;
        for (kind, expected) in [
            (
                "ADDED",
                Some(Event::Seen {
                    secret: secret(),
                    version: version(),
                }),
            ),
            (
                "MODIFIED",
                Some(Event::Seen {
                    secret: secret(),
                    version: version(),
                }),
            ),
            (
                "DELETED",
                Some(Event::Gone {
                    secret: secret(),
                    version: version(),
                }),
            ),
            ("BOOKMARK", Some(Event::Bookmark { version: version() })),
            ("LATER", None),
        ] {
            let line = format!(r#"{{"type":"{kind}","object":{object}}}"#);
            assert_eq!(event(line.as_bytes()).unwrap(), expected);
        }
        let gone =
            r#"{"type":"ERROR","object":{"kind":"Status","metadata":{},"reason":"Expired","code":410}}"#;
        assert_eq!(
            event(gone.as_bytes()).unwrap(),
            Some(Event::Failed { status: 410 })
        );
        assert_eq!(event(b" \r").unwrap(), None);
    }

    #[test]
    fn s1_what_is_no_event_is_not_shown() {
        for bad in [
            "hunter2",
            r#"{"type":"hunter2"#,
            r#"{"type":1,"object":"hunter2"}"#,
        ] {
            let error = event(bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
