//! Named fields: those a store keeps itself, and those of a JSON object.

use std::fmt;

use base64ct::Encoding;
use secrecy::{ExposeSecret, SecretSlice};

use crate::ErrorKind;
use crate::secret::exact;

/// One named field of a secret whose store keeps fields: an entry of a Vault map, a key of a Kubernetes Secret.
pub struct Field {
    name: Box<str>,
    value: SecretSlice<u8>,
    form: Form,
}

/// How a field stands in the JSON object of all fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Base64, in a string.
    Binary,
    /// As it is: it is JSON source text.
    Json,
    /// A string.
    Text,
}

impl Field {
    /// A field of these bytes: a JSON string in the object of all fields when they are UTF-8, otherwise standard base64
    /// with padding in a string. Spare capacity is not kept, as in [`Secret::new`](crate::Secret::new).
    pub fn new(name: impl Into<Box<str>>, value: Vec<u8>) -> Self {
        let form = if std::str::from_utf8(&value).is_ok() {
            Form::Text
        } else {
            Form::Binary
        };
        Self {
            name: name.into(),
            value: exact(value),
            form,
        }
    }

    /// A field that is not a string: a number, `true`, `null`, an object, as its JSON source text.
    ///
    /// # For implementors
    ///
    /// `source` goes into the JSON object of all fields as it is: it has to be one well-formed JSON value.
    pub fn json(name: impl Into<Box<str>>, source: String) -> Self {
        Self {
            name: name.into(),
            value: exact(source.into_bytes()),
            form: Form::Json,
        }
    }

    /// The field's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The field's bytes.
    pub fn expose_secret(&self) -> &[u8] {
        self.value.expose_secret()
    }

    #[cfg(feature = "serde")]
    pub(crate) fn form(&self) -> Form {
        self.form
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field")
            .field("name", &self.name)
            .field("value", &"[REDACTED]")
            .finish_non_exhaustive()
    }
}

/// Why a field could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    #[cfg(not(feature = "serde"))]
    FeatureOff,
    #[cfg(feature = "serde")]
    Malformed {
        line: usize,
        column: usize,
    },
    Missing,
    #[cfg(feature = "serde")]
    NotAnObject,
}

impl Fault {
    pub(crate) fn kind(self) -> ErrorKind {
        match self {
            #[cfg(not(feature = "serde"))]
            Self::FeatureOff => ErrorKind::Unsupported,
            #[cfg(feature = "serde")]
            Self::Malformed { .. } | Self::NotAnObject => ErrorKind::InvalidData,
            Self::Missing => ErrorKind::FieldNotFound,
        }
    }

    /// Where no JSON is expected, what is not one has no such field.
    pub(crate) fn or_missing(self) -> Self {
        match self {
            #[cfg(feature = "serde")]
            Self::Malformed { .. } | Self::NotAnObject => Self::Missing,
            other => other,
        }
    }

    pub(crate) fn message(self, field: &str) -> String {
        match self {
            #[cfg(not(feature = "serde"))]
            Self::FeatureOff => {
                format!("the field `{field}` is in JSON; enable the feature `serde` of secrets-core")
            }
            #[cfg(feature = "serde")]
            Self::Malformed { line, column } => {
                format!("the field `{field}` cannot be read: malformed JSON at line {line}, column {column}")
            }
            Self::Missing => format!(
                "there is no field `{field}`; a key is taken literally, a JSON pointer starts with `/`"
            ),
            #[cfg(feature = "serde")]
            Self::NotAnObject => {
                format!(
                    "the field `{field}` cannot be read: the value is not a JSON object; read it without `#`"
                )
            }
        }
    }
}

/// Of two fields with one name the later one counts, at the place of the earlier.
pub(crate) fn deduplicated(fields: Vec<Field>) -> Vec<Field> {
    let mut kept = Vec::<Field>::with_capacity(fields.len());
    for field in fields {
        match kept.iter_mut().find(|other| other.name == field.name) {
            Some(other) => *other = field,
            None => kept.push(field),
        }
    }
    kept
}

/// One of the store's own fields, or a value below one.
pub(crate) fn pick(fields: &[Field], field: &str) -> Result<Box<[u8]>, Fault> {
    if let Some(found) = fields.iter().find(|candidate| &*candidate.name == field) {
        return Ok(found.expose_secret().into());
    }
    let Some(pointer) = field.strip_prefix('/') else {
        return Err(Fault::Missing);
    };
    let (first, rest) = match pointer.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (pointer, None),
    };
    let name = unescape_token(first);
    let found = fields
        .iter()
        .find(|candidate| *candidate.name == *name)
        .ok_or(Fault::Missing)?;
    match (rest, found.form) {
        (None, _) => Ok(found.expose_secret().into()),
        (Some(rest), Form::Json) => pick_below_bytes(found.expose_secret(), rest),
        // A string has nothing below it.
        (Some(_), _) => Err(Fault::Missing),
    }
}

/// `~1` is `/` and `~0` is `~` in a pointer's token (RFC 6901, section 4).
fn unescape_token(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// The JSON object of all fields, allocated once at its final size.
pub(crate) fn object(fields: &[Field]) -> Box<[u8]> {
    let size = 2
        + fields.len().saturating_sub(1)
        + fields
            .iter()
            .map(|field| 3 + escaped_len(field.name.as_bytes()) + form_len(field))
            .sum::<usize>();
    let mut out = vec![0; size].into_boxed_slice();
    let mut writer = Writer { out: &mut out, at: 0 };
    writer.put(b"{");
    for (index, field) in fields.iter().enumerate() {
        writer.put(if index == 0 { b"\"" } else { b",\"" });
        writer.escaped(field.name.as_bytes());
        writer.put(b"\":");
        writer.field(field);
    }
    writer.put(b"}");
    debug_assert_eq!(writer.at, size, "the size was computed wrong");
    out
}

fn form_len(field: &Field) -> usize {
    let value = field.expose_secret();
    match field.form {
        Form::Binary => 2 + base64ct::Base64::encoded_len(value),
        Form::Json => value.len(),
        Form::Text => 2 + escaped_len(value),
    }
}

fn escaped_len(text: &[u8]) -> usize {
    text.iter()
        .map(|&byte| escape(byte).map_or(1, |(_, len)| len))
        .sum()
}

/// The escape of a byte that JSON does not allow in a string as it is, and its length.
fn escape(byte: u8) -> Option<([u8; 6], usize)> {
    let short = |c| Some(([b'\\', c, 0, 0, 0, 0], 2));
    match byte {
        b'"' => short(b'"'),
        b'\\' => short(b'\\'),
        b'\n' => short(b'n'),
        b'\r' => short(b'r'),
        b'\t' => short(b't'),
        0..0x20 => {
            let hex = |nibble: u8| {
                if nibble < 10 {
                    b'0' + nibble
                } else {
                    b'a' + nibble - 10
                }
            };
            Some(([b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)], 6))
        }
        _ => None,
    }
}

/// Writes into a buffer that is already of the right size, so that no growing leaves a copy behind.
struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn escaped(&mut self, text: &[u8]) {
        for &byte in text {
            match escape(byte) {
                Some((escape, len)) => self.put(&escape[..len]),
                None => self.put(&[byte]),
            }
        }
    }

    fn field(&mut self, field: &Field) {
        let value = field.expose_secret();
        match field.form {
            Form::Json => self.put(value),
            Form::Text => {
                self.put(b"\"");
                self.escaped(value);
                self.put(b"\"");
            }
            Form::Binary => {
                self.put(b"\"");
                let len = base64ct::Base64::encoded_len(value);
                let written = base64ct::Base64::encode(value, &mut self.out[self.at..self.at + len]);
                debug_assert!(
                    written.is_ok_and(|text| text.len() == len),
                    "the size was computed wrong"
                );
                self.at += len;
                self.put(b"\"");
            }
        }
    }
}

#[cfg(not(feature = "serde"))]
pub(crate) fn pick_json(_document: &[u8], _field: &str) -> Result<Box<[u8]>, Fault> {
    Err(Fault::FeatureOff)
}

#[cfg(not(feature = "serde"))]
fn pick_below_bytes(_value: &[u8], _pointer: &str) -> Result<Box<[u8]>, Fault> {
    Err(Fault::FeatureOff)
}

#[cfg(feature = "serde")]
pub(crate) use json::{json_problem, pick_json};

#[cfg(feature = "serde")]
use json::pick_below_bytes;

#[cfg(feature = "serde")]
mod json {
    use std::fmt;

    use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
    use serde_json::value::RawValue;

    use super::{Fault, unescape_token};

    /// A field of a JSON object: the literal top-level key first, then a pointer.
    pub(crate) fn pick_json(document: &[u8], field: &str) -> Result<Box<[u8]>, Fault> {
        let document = text(document)?;
        match step(document, field, Top::Required)? {
            Some(found) => text_of(found),
            None => match field.strip_prefix('/') {
                Some(pointer) => pick_below(document, pointer),
                None => Err(Fault::Missing),
            },
        }
    }

    /// The same, from a value that is yet to be read as text.
    pub(super) fn pick_below_bytes(value: &[u8], pointer: &str) -> Result<Box<[u8]>, Fault> {
        pick_below(text(value)?, pointer)
    }

    /// JSON is UTF-8, all of it: the parser looks at the strings it hands out only, not at those it passes over.
    fn text(document: &[u8]) -> Result<&str, Fault> {
        std::str::from_utf8(document).map_err(|error| {
            let (mut line, mut column) = (1, 1);
            for byte in &document[..error.valid_up_to()] {
                if *byte == b'\n' {
                    (line, column) = (line + 1, 1);
                } else {
                    column += 1;
                }
            }
            Fault::Malformed { line, column }
        })
    }

    /// What a pointer, without its leading `/`, leads to from `value`.
    fn pick_below(value: &str, pointer: &str) -> Result<Box<[u8]>, Fault> {
        let mut tokens = pointer.split('/').map(unescape_token);
        let first = tokens.next().unwrap_or_default();
        let mut found = step(value, &first, Top::Any)?.ok_or(Fault::Missing)?;
        for token in tokens {
            found = step(found.get(), &token, Top::Any)?.ok_or(Fault::Missing)?;
        }
        text_of(found)
    }

    /// A string without its quotes, anything else as its source text.
    fn text_of(found: &RawValue) -> Result<Box<[u8]>, Fault> {
        let source = found.get();
        match source.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inner) => unescaped(inner).ok_or(Fault::Malformed { line: 1, column: 1 }),
            None => Ok(source.as_bytes().into()),
        }
    }

    /// The text of a JSON string, allocated once at its final size. `None` for half a surrogate pair.
    fn unescaped(inner: &str) -> Option<Box<[u8]>> {
        let mut len = 0;
        decode(inner, |part| len += part.len())?;
        let mut out = vec![0; len].into_boxed_slice();
        let mut at = 0;
        decode(inner, |part| {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        })?;
        Some(out)
    }

    fn decode(inner: &str, mut put: impl FnMut(&[u8])) -> Option<()> {
        let mut rest = inner;
        while let Some(at) = rest.find('\\') {
            put(&rest.as_bytes()[..at]);
            let escape = *rest.as_bytes().get(at + 1)?;
            rest = rest.get(at + 2..)?;
            let c = match escape {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    let unit;
                    (unit, rest) = code_unit(rest)?;
                    if (0xd800..0xdc00).contains(&unit) {
                        let low;
                        (low, rest) = code_unit(rest.strip_prefix("\\u")?)?;
                        if !(0xdc00..0xe000).contains(&low) {
                            return None;
                        }
                        char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00))?
                    } else {
                        char::from_u32(unit)?
                    }
                }
                other => char::from(other),
            };
            put(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        put(rest.as_bytes());
        Some(())
    }

    fn code_unit(rest: &str) -> Option<(u32, &str)> {
        let unit = u32::from_str_radix(rest.get(..4)?, 16).ok()?;
        Some((unit, &rest[4..]))
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Top {
        /// An array may be stepped into, and a scalar has nothing below it.
        Any,
        /// Anything but an object is a fault of its own.
        Required,
    }

    /// One step down: the value of a key of an object, or of an index of an array. Nothing is copied.
    fn step<'de>(value: &'de str, key: &str, top: Top) -> Result<Option<&'de RawValue>, Fault> {
        let mut json = serde_json::Deserializer::from_str(value);
        let malformed = |error: serde_json::Error| Fault::Malformed {
            line: error.line(),
            column: error.column(),
        };
        let first = value.bytes().find(|byte| !byte.is_ascii_whitespace());
        match (first, top) {
            (Some(b'{'), _) | (Some(b'['), Top::Any) => {
                let found = json.deserialize_any(Step(key)).map_err(malformed)?;
                json.end().map_err(malformed)?;
                Ok(found)
            }
            _ => {
                serde::Deserialize::deserialize(&mut json)
                    .map(|IgnoredAny| ())
                    .map_err(malformed)?;
                json.end().map_err(malformed)?;
                if top == Top::Required {
                    Err(Fault::NotAnObject)
                } else {
                    Ok(None)
                }
            }
        }
    }

    struct Step<'a>(&'a str);

    impl<'de> Visitor<'de> for Step<'_> {
        type Value = Option<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object or an array")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(matches) = map.next_key_seed(KeyIs(self.0))? {
                if matches {
                    // The last of several equal keys counts, as in every common parser.
                    found = Some(map.next_value()?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(found)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let digits = self.0.bytes().all(|byte| byte.is_ascii_digit());
            let canonical = digits && (self.0 == "0" || !self.0.starts_with('0'));
            let wanted = if canonical {
                self.0.parse::<usize>().ok()
            } else {
                None
            };
            let mut found = None;
            let mut index = 0;
            while let Some(item) = seq.next_element::<&RawValue>()? {
                if Some(index) == wanted {
                    found = Some(item);
                }
                index += 1;
            }
            Ok(found)
        }
    }

    /// Compares a key without keeping it.
    struct KeyIs<'a>(&'a str);

    impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
        type Value = bool;

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
            deserializer.deserialize_str(self)
        }
    }

    impl Visitor<'_> for KeyIs<'_> {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a key")
        }

        fn visit_str<E>(self, key: &str) -> Result<bool, E> {
            Ok(key == self.0)
        }
    }

    /// What can be said about a parser's error: its class and position. Its text may quote the value.
    pub(crate) fn json_problem(error: &serde_json::Error) -> String {
        let what = match error.classify() {
            serde_json::error::Category::Data => "JSON of another shape than expected",
            serde_json::error::Category::Eof => "truncated JSON",
            serde_json::error::Category::Io | serde_json::error::Category::Syntax => "malformed JSON",
        };
        format!("{what} at line {}, column {}", error.line(), error.column())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[cfg(feature = "serde")]
    fn field(document: &str, field: &str) -> Result<String, ErrorKind> {
        let secret = Secret::copy_from(document.as_bytes());
        match secret.field(field) {
            Ok(found) => Ok(found.expose_str().unwrap().to_owned()),
            Err(error) => {
                assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
                Err(error.kind())
            }
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn j1_the_literal_key_wins_and_pointers_reach_everything_else() {
        let doc = r#"{"tls.crt":"PEM","/a/b":"literal","a":{"b":"nested","c/d":"slash","e~f":"tilde"},
            "list":[10,{"x":"deep"},[]],"":"empty key","a#b":"hash"}"#;
        for (key, value) in [
            ("tls.crt", "PEM"),
            ("/a/b", "literal"),
            ("/a/c~1d", "slash"),
            ("/a/e~0f", "tilde"),
            ("/list/0", "10"),
            ("/list/1/x", "deep"),
            ("/list/2", "[]"),
            ("/", "empty key"),
            ("a#b", "hash"),
            ("/tls.crt", "PEM"),
        ] {
            assert_eq!(field(doc, key).as_deref(), Ok(value), "{key}");
        }
        for missing in [
            "b",
            "/list/00",
            "/list/+1",
            "/list/3",
            "/list/-",
            "/list/1/x/y",
            "/a/b/c",
            "/b",
            "/list/99999999999999999999999",
        ] {
            assert_eq!(field(doc, missing), Err(ErrorKind::FieldNotFound), "{missing}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn j2_numbers_keep_their_digits() {
        let doc = r#"{"n":123456789012345678901234567890.10,"e":1e400,"b":true}"#;
        assert_eq!(
            field(doc, "n").as_deref(),
            Ok("123456789012345678901234567890.10")
        );
        assert_eq!(field(doc, "e").as_deref(), Ok("1e400"));
        assert_eq!(field(doc, "b").as_deref(), Ok("true"));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn j3_null_missing_and_empty_differ() {
        let doc = r#"{"null":null,"empty":""}"#;
        assert_eq!(field(doc, "null").as_deref(), Ok("null"));
        assert_eq!(field(doc, "empty").as_deref(), Ok(""));
        assert_eq!(field(doc, "missing"), Err(ErrorKind::FieldNotFound));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn j4_a_field_of_something_else_is_invalid_data() {
        for other in [
            "hunter2",
            "\"hunter2\"",
            "[1]",
            "42",
            "null",
            "",
            " ",
            "{\"a\":\"hunter2\"} x",
            "{\"a\":\"hunter2\"",
        ] {
            assert_eq!(field(other, "a"), Err(ErrorKind::InvalidData), "{other:?}");
            assert_eq!(field(other, "/0"), Err(ErrorKind::InvalidData), "{other:?}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn j4_j5_what_is_not_utf8_anywhere_is_no_json_and_has_no_field() {
        for (document, line, column) in [
            (&b"{\"a\":\"\xff\"}"[..], 1, 7),
            (b"{\"a\":\"hunter2\",\n \"b\":\"x\xff\"}", 2, 8),
            (b"{\"a\":\"hunter2\",\"\xc3\":1}", 1, 17),
            (b"{\"x\":{\"\xed\xa0\x80\":1},\n\n\"a\":\"hunter2\"}", 1, 8),
            (b"\xff", 1, 1),
        ] {
            for field in ["a", "/a", "missing"] {
                let error = Secret::copy_from(document).field(field).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidData);
                let position = format!("line {line}, column {column}");
                assert!(error.message().contains(&position), "{error}");
                assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
            }
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn strings_are_unescaped_as_the_reference_parser_does() {
        for source in [
            r#""plain""#,
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u0041\u00e9\u20ac""#,
            r#""\ud83d\ude00 x""#,
            r#""é\u0000""#,
        ] {
            let expected: String = serde_json::from_str(source).unwrap();
            assert_eq!(field(&format!("{{\"k\":{source}}}"), "k"), Ok(expected));
        }
        for lone in [
            r#"{"k":"\ud83d"}"#,
            r#"{"k":"\ud83d\u0041"}"#,
            r#"{"k":"\ude00"}"#,
        ] {
            assert_eq!(field(lone, "k"), Err(ErrorKind::InvalidData), "{lone}");
        }
    }

    #[test]
    fn the_object_of_all_fields_is_well_formed() {
        let secret = Secret::from_fields(
            vec![
                Field::new("user \"x\"\n", b"a\\\"\x01".to_vec()),
                Field::new("raw", vec![0xff, 0x00, 0xfe]),
                Field::json("port", "5432".into()),
            ],
            "value",
        );
        let object = secret.expose_str().unwrap();
        assert_eq!(
            object,
            r#"{"user \"x\"\n":"a\\\"\u0001","raw":"/wD+","port":5432}"#
        );
        assert_eq!(secret.field("raw").unwrap().expose_secret(), [0xff, 0x00, 0xfe]);
        assert_eq!(secret.field("port").unwrap().expose_secret(), b"5432");
        assert_eq!(secret.field("/raw").unwrap().expose_secret(), [0xff, 0x00, 0xfe]);
        assert_eq!(
            secret.field("nothing").unwrap_err().kind(),
            ErrorKind::FieldNotFound
        );
        assert_eq!(Secret::from_fields(vec![], "value").expose_secret(), b"{}");
    }

    #[test]
    fn the_only_field_is_the_value_when_it_has_the_default_name() {
        let named = Secret::from_fields(vec![Field::new("value", b"v".to_vec())], "value");
        assert_eq!(named.expose_secret(), b"v");
        assert_eq!(named.field("value").unwrap().expose_secret(), b"v");
        let other = Secret::from_fields(vec![Field::new("password", b"v".to_vec())], "value");
        assert_eq!(other.expose_secret(), br#"{"password":"v"}"#);
    }

    #[test]
    fn of_two_fields_with_one_name_the_later_counts() {
        let secret = Secret::from_fields(
            vec![
                Field::new("a", b"1".to_vec()),
                Field::new("b", b"2".to_vec()),
                Field::new("a", b"3".to_vec()),
            ],
            "value",
        );
        assert_eq!(secret.expose_secret(), br#"{"a":"3","b":"2"}"#);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn json_inside_a_field_can_be_reached() {
        let fields = vec![
            Field::json("db", r#"{"port":[5432]}"#.into()),
            Field::new("user", b"x".to_vec()),
        ];
        let secret = Secret::from_fields(fields, "value");
        assert_eq!(secret.field("/db/port/0").unwrap().expose_secret(), b"5432");
        assert_eq!(
            secret.field("/user/0").unwrap_err().kind(),
            ErrorKind::FieldNotFound
        );
        let whole = Secret::from_fields(vec![Field::new("value", br#"{"user":"x"}"#.to_vec())], "value");
        assert_eq!(whole.field("user").unwrap().expose_secret(), b"x");
    }
}
