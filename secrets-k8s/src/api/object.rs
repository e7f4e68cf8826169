//! Secrets as the API server writes them: parsed in place, values decoded straight into buffers of their own size.

use std::borrow::Cow;
use std::fmt;

use base64ct::{Base64, Encoding};
use secrets_core::{Error, ErrorKind, Field, Metadata, Result, Secret, Version};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::values::Values;

/// A Secret, not decoded yet: <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/>.
#[derive(Deserialize)]
pub(super) struct Object<'a> {
    #[serde(borrow)]
    pub(super) metadata: ObjectMeta<'a>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    of_type: Option<Cow<'a, str>>,
    #[serde(default)]
    immutable: Option<bool>,
}

/// What is used of an object's metadata.
#[derive(Deserialize)]
pub(super) struct ObjectMeta<'a> {
    #[serde(borrow, default)]
    pub(super) name: Cow<'a, str>,
    /// Changes with every write of the object: <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>.
    #[serde(borrow, default, rename = "resourceVersion")]
    pub(super) version: Cow<'a, str>,
}

/// An object of which only the metadata was asked for.
#[derive(Deserialize)]
pub(super) struct Partial<'a> {
    #[serde(borrow)]
    pub(super) metadata: ObjectMeta<'a>,
}

/// A page of a list.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a, T: Deserialize<'de>"))]
pub(super) struct Page<'a, T> {
    #[serde(borrow, default)]
    pub(super) metadata: PageMeta<'a>,
    /// May be `null`, and is never left out: what has none is no list.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) items: Option<Vec<T>>,
}

/// What is used of a list's metadata.
#[derive(Default, Deserialize)]
pub(super) struct PageMeta<'a> {
    #[serde(borrow, default, rename = "continue")]
    pub(super) next: Option<Cow<'a, str>>,
}

impl Object<'_> {
    /// One key, or the whole of it.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such key; `InvalidData` when a value is not base64, or larger than allowed.
    pub(super) fn secret(&self, key: Option<&str>, values: &Values) -> Result<Secret> {
        let secret = if let Some(key) = key {
            let found = self.data_as(Pick { key, values })?.flatten();
            let bytes = found.ok_or_else(|| {
                let message = format!("the Secret has no key `{key}`");
                Error::new(ErrorKind::NotFound, message)
            })?;
            Secret::new(bytes?)
        } else {
            let fields = self.data_as(All { values })?;
            values.whole(fields.unwrap_or_else(|| Ok(Vec::new()))?)
        };
        Ok(secret.with_metadata(self.described()))
    }

    /// The names of its keys.
    pub(super) fn keys(&self) -> Result<Vec<String>> {
        Ok(self.data_as(Keys)?.unwrap_or_default())
    }

    fn described(&self) -> Metadata {
        let mut metadata = Metadata::new();
        // Metadata is printed: what is no version of Kubernetes does not get in.
        if self.metadata.version.bytes().all(|byte| byte.is_ascii_digit()) {
            if let Ok(version) = Version::new(&self.metadata.version) {
                metadata = metadata.with_version(version);
            }
        }
        if let Some(of_type) = &self.of_type {
            metadata = metadata.with_attribute("type", of_type.as_ref());
        }
        if self.immutable == Some(true) {
            metadata = metadata.with_attribute("immutable", "true");
        }
        metadata
    }

    /// The map of the data, visited; `None` when there is none.
    fn data_as<'de, V: Visitor<'de>>(&'de self, visitor: V) -> Result<Option<V::Value>> {
        let Some(data) = self.data else {
            return Ok(None);
        };
        let mut json = serde_json::Deserializer::from_str(data.get());
        let visited = json.deserialize_map(visitor);
        visited.map(Some).map_err(|_| malformed())
    }
}

/// Decodes one key.
struct Pick<'a> {
    key: &'a str,
    values: &'a Values,
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Option<Result<Vec<u8>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of base64")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == self.key {
                found = Some(map.next_value_seed(Decoded(self.values))?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Decodes all keys.
struct All<'a> {
    values: &'a Values,
}

impl<'de> Visitor<'de> for All<'_> {
    type Value = Result<Vec<Field>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of base64")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        let mut total = 0;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let checked = map.next_value_seed(Decoded(self.values))?.and_then(|value| {
                let value = Zeroizing::new(value);
                total += value.len();
                self.values.check_len(total)?;
                Ok(value)
            });
            match checked {
                Ok(mut value) => fields.push(Field::new(key.as_ref(), std::mem::take(&mut *value))),
                Err(error) => return skip_rest(map, error),
            }
        }
        Ok(Ok(fields))
    }
}

/// A parser insists on having seen everything.
fn skip_rest<'de, A: MapAccess<'de>, T>(mut map: A, error: Error) -> Result<Result<T>, A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(Err(error))
}

/// Takes the names of the keys.
struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of base64")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut keys = Vec::new();
        while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            keys.push(key);
        }
        Ok(keys)
    }
}

/// Decodes a string of base64 into a buffer of exactly its size.
struct Decoded<'a>(&'a Values);

impl<'de> DeserializeSeed<'de> for Decoded<'_> {
    type Value = Result<Vec<u8>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Decoded<'_> {
    type Value = Result<Vec<u8>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64")
    }

    fn visit_str<E: serde::de::Error>(self, encoded: &str) -> Result<Self::Value, E> {
        let padding = encoded.bytes().rev().take_while(|byte| *byte == b'=').count();
        let len = (encoded.len() / 4 * 3)
            .checked_sub(padding)
            .ok_or_else(|| E::custom(""))?;
        if let Err(error) = self.0.check_len(len) {
            return Ok(Err(error));
        }
        let mut bytes = Zeroizing::new(vec![0; len]);
        match Base64::decode(encoded, &mut bytes) {
            Ok(decoded) if decoded.len() == len => Ok(Ok(std::mem::take(&mut *bytes))),
            _ => Err(E::custom("")),
        }
    }
}

fn malformed() -> Error {
    Error::new(
        ErrorKind::InvalidData,
        "the data of the Secret is not a map of base64 as Kubernetes writes it; is this the API server, and nothing \
         between that rewrites it?",
    )
}

#[cfg(test)]
mod tests {
    use super::super::answer::parse;
    use super::*;

    fn values(max: usize) -> Values {
        Values::new("value", max).unwrap()
    }

    fn object(data: &str) -> String {
        format!(
            r#"{{"kind":"Secret","metadata":{{"name":"a","resourceVersion":"7","labels":{{"x":"y"}}}},"type":"Opaque","data":{data}}}"#
        )
    }

    #[test]
    fn v9_the_data_is_base64_and_nothing_else_is() {
        let source = object(r#"{"bytes":"/wD+","text":"aGk=","empty":"","twice":"YUdrPQ=="}"#);
        let object: Object<'_> = parse(source.as_bytes()).unwrap();
        let read = |key| object.secret(Some(key), &values(100)).unwrap();
        assert_eq!(read("bytes").expose_secret(), [0xff, 0, 0xfe]);
        assert_eq!(read("text").expose_secret(), b"hi");
        assert_eq!(read("empty").expose_secret(), b"");
        assert_eq!(read("twice").expose_secret(), b"aGk=");
        let whole = object.secret(None, &values(100)).unwrap();
        assert_eq!(
            whole.expose_str().unwrap(),
            r#"{"bytes":"/wD+","text":"hi","empty":"","twice":"aGk="}"#
        );
        assert_eq!(whole.field("bytes").unwrap().expose_secret(), [0xff, 0, 0xfe]);
        assert_eq!(whole.metadata().version().unwrap().as_str(), "7");
        assert_eq!(whole.metadata().attribute("type"), Some("Opaque"));
        assert_eq!(object.keys().unwrap(), ["bytes", "text", "empty", "twice"]);
    }

    #[test]
    fn v2_no_data_is_an_empty_secret_without_that_key() {
        for source in [
            object("null"),
            object("{}"),
            r#"{"metadata":{"name":"a"}}"#.to_owned(),
        ] {
            let object: Object<'_> = parse(source.as_bytes()).unwrap();
            let error = object.secret(Some("k"), &values(1)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(object.secret(None, &values(1)).unwrap().expose_secret(), b"{}");
            assert!(object.keys().unwrap().is_empty());
        }
    }

    #[test]
    fn v8_s1_what_is_no_base64_is_invalid_data_and_not_shown() {
        for data in [
            r#"{"k":"hunter2"}"#,
            r#"{"k":"hunter2="}"#,
            r#"{"k":"===="}"#,
            r#"{"k":"="}"#,
            r#"{"k":"aGk"}"#,
            r#"{"k":"aG k"}"#,
            r#"{"k":["hunter2"]}"#,
            r#"{"k":null}"#,
            r#"{"k":1}"#,
            r#"["hunter2"]"#,
            r#""hunter2""#,
            "1",
        ] {
            let source = object(data);
            let object: Object<'_> = parse(source.as_bytes()).unwrap();
            for key in [Some("k"), None] {
                let error = object.secret(key, &values(100)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidData, "{data}");
                assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
            }
        }
    }

    #[test]
    fn v7_a_value_above_the_limit_is_refused() {
        let source = object(r#"{"a":"YWFh","b":"YmJi"}"#);
        let object: Object<'_> = parse(source.as_bytes()).unwrap();
        for (key, max, fits) in [
            (Some("a"), 3, true),
            (Some("a"), 2, false),
            (None, 6, true),
            (None, 5, false),
            (None, 2, false),
        ] {
            let read = object.secret(key, &values(max));
            assert_eq!(read.is_ok(), fits, "{key:?} {max}");
        }
    }
}
