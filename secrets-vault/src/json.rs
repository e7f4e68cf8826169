//! Parsing answers without leaving copies behind: typed, borrowed from the body, strings decoded straight into buffers
//! that are wiped.

use std::fmt;

use base64ct::{Base64, Encoding};
use secrets_core::{Error, ErrorKind, Field, Result};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
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
            serde_json::error::Category::Data => "JSON of another shape than Vault documents",
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

/// The fields of a JSON object, each in a buffer of its own size.
///
/// A string is taken without its quotes, anything else as its JSON source. Where `binary_suffix` is given, a string
/// field so named holds base64, and becomes a field of bytes without the suffix.
pub(crate) fn fields(raw: &RawValue, binary_suffix: Option<&str>) -> Result<Vec<Field>> {
    let Pairs(pairs) = parse(raw.get().as_bytes())?;
    let mut fields = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let plain = value.get().starts_with('"');
        let binary = binary_suffix
            .and_then(|suffix| name.strip_suffix(suffix))
            .filter(|rest| plain && !rest.is_empty());
        fields.push(match binary {
            Some(name) => Field::new(name, decode(&text(value)?, name)?),
            None if plain => {
                let mut text = text(value)?;
                Field::new(name, std::mem::take(&mut *text))
            }
            None => Field::json(name, value.get().to_owned()),
        });
    }
    Ok(fields)
}

fn decode(encoded: &[u8], name: &str) -> Result<Vec<u8>> {
    let invalid = |()| {
        let message =
            format!("the field `{name}` is marked as binary and is not standard base64 with padding");
        Error::new(ErrorKind::InvalidData, message)
    };
    let encoded = std::str::from_utf8(encoded).map_err(|_| invalid(()))?;
    let mut bytes = Zeroizing::new(vec![0; encoded.len() / 4 * 3]);
    let len = Base64::decode(encoded, &mut bytes)
        .map_err(|_| invalid(()))?
        .len();
    // `truncate` keeps the capacity; `Field::new` copies at the final size and wipes this.
    bytes.truncate(len);
    Ok(std::mem::take(&mut *bytes))
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

/// The members of an object, in order, as they stand.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }

        deserializer.deserialize_map(Members).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use secrets_core::Secret;

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
    fn j2_values_that_are_not_strings_keep_their_source() {
        let fields = fields(
            raw(r#"{"n":123456789012345678901234567890.10,"o":{"a":[1, 2]},"s":"x","z":null}"#),
            None,
        );
        let secret = Secret::from_fields(fields.unwrap(), "value");
        let field = |name| secret.field(name).unwrap().expose_str().unwrap().to_owned();
        assert_eq!(field("n"), "123456789012345678901234567890.10");
        assert_eq!(field("o"), r#"{"a":[1, 2]}"#);
        assert_eq!(field("s"), "x");
        assert_eq!(field("z"), "null");
    }

    #[test]
    fn v9_base64_is_decoded_only_where_the_name_says_so() {
        let source = raw(r#"{"value_b64":"/wD+","other":"/wD+","n_b64":1,"_b64":"/wD+"}"#);
        let secret = Secret::from_fields(fields(source, Some("_b64")).unwrap(), "value");
        assert_eq!(secret.field("value").unwrap().expose_secret(), [0xff, 0, 0xfe]);
        for (name, value) in [("other", "/wD+"), ("n_b64", "1"), ("_b64", "/wD+")] {
            assert_eq!(secret.field(name).unwrap().expose_secret(), value.as_bytes());
        }
        let secret = Secret::from_fields(fields(source, None).unwrap(), "value");
        assert_eq!(secret.field("value_b64").unwrap().expose_secret(), b"/wD+");
        for bad in [
            r#"{"a_b64":"hunter2"}"#,
            r#"{"a_b64":"/wD"}"#,
            r#"{"a_b64":"é==="}"#,
        ] {
            let error = fields(raw(bad), Some("_b64")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
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
