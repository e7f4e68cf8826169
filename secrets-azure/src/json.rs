//! Parsing answers without leaving copies behind: typed, borrowed from the body, strings decoded straight into buffers
//! that are wiped.

use secrets_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Bytes as JSON of this type.
///
/// # Errors
///
/// `InvalidData` with the position; the parser's text may quote its input.
pub(crate) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "JSON of another shape than Azure documents",
            serde_json::error::Category::Eof => "truncated JSON",
            serde_json::error::Category::Io | serde_json::error::Category::Syntax => "malformed JSON",
        };
        let message = format!(
            "the answer cannot be read: {what} at line {}, column {}",
            error.line(),
            error.column()
        );
        Error::new(ErrorKind::InvalidData, message)
    })
}

/// The bytes of a JSON string.
///
/// # Errors
///
/// `InvalidData` when it is something else, or contains half of a surrogate pair.
pub(crate) fn text(raw: &RawValue) -> Result<Zeroizing<Vec<u8>>> {
    let invalid = || {
        Error::new(
            ErrorKind::InvalidData,
            "the answer has something else where a string belongs",
        )
    };
    let inner = raw
        .get()
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    unescape(inner.ok_or_else(invalid)?).ok_or_else(invalid)
}

/// A whole number, which some endpoints write as a string.
pub(crate) fn number(raw: &RawValue) -> Option<i64> {
    raw.get().trim_matches('"').parse().ok()
}

/// Decodes the inside of a JSON string that the parser has found well-formed. `None` for lone surrogates.
fn unescape(source: &str) -> Option<Zeroizing<Vec<u8>>> {
    // The text is never longer than its source: this buffer does not grow.
    let mut text = Zeroizing::new(Vec::with_capacity(source.len()));
    let mut rest = source;
    while let Some(at) = rest.find('\\') {
        text.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = *rest.as_bytes().get(at + 1)?;
        rest = rest.get(at + 2..)?;
        let plain = match escape {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (unit, after) = code_unit(rest)?;
                rest = after;
                let code = match unit {
                    0xd800..=0xdbff => {
                        let (low, after) = code_unit(rest.strip_prefix("\\u")?)?;
                        rest = after;
                        0x1_0000
                            + ((unit - 0xd800) << 10)
                            + low.checked_sub(0xdc00).filter(|low| *low < 0x400)?
                    }
                    unit => unit,
                };
                let mut utf8 = [0; 4];
                text.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut utf8).as_bytes());
                continue;
            }
            other => other,
        };
        text.push(plain);
    }
    text.extend_from_slice(rest.as_bytes());
    Some(text)
}

fn code_unit(rest: &str) -> Option<(u32, &str)> {
    let unit = u32::from_str_radix(rest.get(..4)?, 16).ok()?;
    Some((unit, &rest[4..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(source: &str) -> &RawValue {
        serde_json::from_str(source).unwrap()
    }

    #[test]
    fn v1_strings_are_decoded_as_the_reference_parser_does() {
        for source in [
            r#""plain""#,
            r#""""#,
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u0041\u00e9\u20ac\u0000""#,
            r#""\ud83d\ude00 é 𝔰""#,
        ] {
            let expected: String = serde_json::from_str(source).unwrap();
            assert_eq!(*text(raw(source)).unwrap(), expected.as_bytes());
        }
        for bad in [r#""\ud83d""#, r#""\ud83d\u0041""#, r#""\ude00""#, "1", "null"] {
            assert_eq!(
                text(raw(bad)).unwrap_err().kind(),
                ErrorKind::InvalidData,
                "{bad}"
            );
        }
    }

    #[test]
    fn numbers_may_be_strings() {
        assert_eq!(number(raw("3599")), Some(3_599));
        assert_eq!(number(raw("\"3599\"")), Some(3_599));
        assert_eq!(number(raw("\"soon\"")), None);
    }

    #[test]
    fn s1_a_parser_error_has_a_position_and_no_text() {
        for bad in ["{\"hunter2", "hunter2", "{\"a\":hunter2}", "\"hunter2\""] {
            let error = parse::<u8>(bad.as_bytes()).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains("line 1") && !text.contains("hunter2"), "{text}");
        }
    }
}
