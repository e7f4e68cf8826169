use std::fmt;
use std::sync::{Arc, OnceLock};

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use zeroize::{Zeroize, Zeroizing};

use crate::fields::{self, Field};
use crate::{Error, ErrorKind, Metadata, Result, SecretName};

/// A secret value with its [`Metadata`]: bytes that are never printed, and are wiped when the last clone drops.
///
/// Cloning shares the value. `Debug` prints neither the bytes nor their number; there is no `Display`, `Serialize`,
/// `Deref` or `PartialEq`, so that a value cannot leave by accident.
///
/// ```
/// use secrets_core::Secret;
///
/// let secret = Secret::new(b"hunter2".to_vec());
/// assert_eq!(secret.expose_str()?, "hunter2");
/// assert!(!format!("{secret:?}").contains("hunter2"));
/// # Ok::<_, secrets_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Secret(Arc<Inner>);

struct Inner {
    value: Arc<Value>,
    metadata: Metadata,
    origin: Option<Origin>,
}

/// Where a secret came from, for the messages of errors that its accessors return later.
#[derive(Clone)]
struct Origin {
    backend: Arc<str>,
    name: SecretName,
}

enum Value {
    Bytes(SecretSlice<u8>),
    Fields {
        fields: Vec<Field>,
        default: Option<usize>,
        /// The JSON object of all fields, made when somebody asks for it.
        object: OnceLock<SecretSlice<u8>>,
    },
}

impl Secret {
    /// A secret of exactly these bytes. Spare capacity is not kept: the bytes move into a buffer of their own size,
    /// and the old one is wiped.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self::from_value(Value::Bytes(exact(bytes)))
    }

    /// A secret of a copy of these bytes, made at its final size.
    pub fn copy_from(bytes: &[u8]) -> Self {
        Self::from_value(Value::Bytes(Box::<[u8]>::from(bytes).into()))
    }

    /// A secret whose store keeps named fields. Of two fields with one name the later one counts.
    ///
    /// [`expose_secret`](Secret::expose_secret) is the field called `default` when that is the only one, otherwise the
    /// JSON object of all of them; [`field`](Secret::field) sees every one in both cases.
    pub fn from_fields(fields: Vec<Field>, default: &str) -> Self {
        let fields = fields::deduplicated(fields);
        let default = match fields.as_slice() {
            [only] if only.name() == default => Some(0),
            _ => None,
        };
        Self::from_value(Value::Fields {
            fields,
            default,
            object: OnceLock::new(),
        })
    }

    fn from_value(value: Value) -> Self {
        Self(Arc::new(Inner {
            value: Arc::new(value),
            metadata: Metadata::new(),
            origin: None,
        }))
    }

    /// The same value with other metadata.
    #[must_use]
    pub fn with_metadata(self, metadata: Metadata) -> Self {
        Self(Arc::new(Inner {
            value: self.0.value.clone(),
            metadata,
            origin: self.0.origin.clone(),
        }))
    }

    /// The same value, knowing where it came from.
    pub(crate) fn with_origin(self, backend: &Arc<str>, name: &SecretName) -> Self {
        let origin = Some(Origin {
            backend: backend.clone(),
            name: name.clone(),
        });
        Self(Arc::new(Inner {
            value: self.0.value.clone(),
            metadata: self.0.metadata.clone(),
            origin,
        }))
    }

    /// The bytes. Do not copy them into something that is not wiped.
    pub fn expose_secret(&self) -> &[u8] {
        match &*self.0.value {
            Value::Bytes(bytes) => bytes.expose_secret(),
            Value::Fields {
                fields,
                default: Some(only),
                ..
            } => fields[*only].expose_secret(),
            Value::Fields { fields, object, .. } => object
                .get_or_init(|| fields::object(fields).into())
                .expose_secret(),
        }
    }

    /// The bytes as text.
    ///
    /// # Errors
    ///
    /// `InvalidData` when they are not UTF-8.
    pub fn expose_str(&self) -> Result<&str> {
        std::str::from_utf8(self.expose_secret()).map_err(|_| {
            self.error(
                ErrorKind::InvalidData,
                "the value is not UTF-8 text; read it as bytes",
            )
        })
    }

    /// One field: of those the store itself keeps, or of a JSON object.
    ///
    /// The literal top-level key is tried first; a `field` that starts with `/` is an RFC 6901 pointer otherwise
    /// (`/hosts/0`; `~1` for `/` and `~0` for `~` within a key). A string comes back without its quotes, anything else
    /// as its JSON source text, so large numbers keep their digits and `null` is `null`. The field's metadata is that
    /// of the secret.
    ///
    /// # Errors
    ///
    /// - `FieldNotFound`: there is no such field.
    /// - `InvalidData`: the value is not a JSON object, or is malformed; the message has the position, never the text.
    /// - `Unsupported`: the value is JSON and the feature `serde` is off.
    pub fn field(&self, field: &str) -> Result<Secret> {
        let value = self
            .pick(field)
            .map_err(|fault| self.error(fault.kind(), fault.message(field)))?;
        let inner = Inner {
            value: Arc::new(Value::Bytes(value.into())),
            metadata: self.0.metadata.clone(),
            origin: self.0.origin.clone(),
        };
        Ok(Self(Arc::new(inner)))
    }

    fn pick(&self, field: &str) -> Result<Box<[u8]>, fields::Fault> {
        match &*self.0.value {
            Value::Bytes(bytes) => fields::pick_json(bytes.expose_secret(), field),
            Value::Fields { fields, default, .. } => match (fields::pick(fields, field), default) {
                // The only field holds the whole secret, as it would in a store without fields.
                (Err(fields::Fault::Missing), Some(only)) => {
                    fields::pick_json(fields[*only].expose_secret(), field).map_err(fields::Fault::or_missing)
                }
                (picked, _) => picked,
            },
        }
    }

    /// The names of the fields the store itself keeps; none for a plain value.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        let fields = match &*self.0.value {
            Value::Bytes(_) => [].as_slice(),
            Value::Fields { fields, .. } => fields,
        };
        fields.iter().map(Field::name)
    }

    /// The value as JSON, deserialised into `T`. The library keeps no copy; `T` is the caller's to wipe.
    ///
    /// # Errors
    ///
    /// `InvalidData` when the value is not JSON or not a `T`; the message has the position, never the text.
    #[cfg(feature = "serde")]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(self.expose_secret())
            .map_err(|error| self.error(ErrorKind::InvalidData, fields::json_problem(&error)))
    }

    /// The fields the store itself keeps; `None` for a plain value.
    #[cfg(feature = "serde")]
    pub(crate) fn fields(&self) -> Option<&[Field]> {
        match &*self.0.value {
            Value::Bytes(_) => None,
            Value::Fields { fields, .. } => Some(fields),
        }
    }

    /// Whether its only field is the whole secret.
    #[cfg(feature = "serde")]
    pub(crate) fn has_default(&self) -> bool {
        matches!(&*self.0.value, Value::Fields { default: Some(_), .. })
    }

    /// Version, times, lease and whatever else the store said.
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// A copy for APIs that take [`SecretString`]; wiped when dropped.
    ///
    /// # Errors
    ///
    /// `InvalidData` when the value is not UTF-8.
    pub fn to_secret_string(&self) -> Result<SecretString> {
        Ok(SecretString::from(Box::<str>::from(self.expose_str()?)))
    }

    /// A copy for APIs that take `SecretSlice<u8>`; wiped when dropped.
    pub fn to_secret_slice(&self) -> SecretSlice<u8> {
        Box::<[u8]>::from(self.expose_secret()).into()
    }

    /// How many bytes of plaintext this holds, for the cache's account.
    pub(crate) fn weight(&self) -> usize {
        match &*self.0.value {
            Value::Bytes(bytes) => bytes.expose_secret().len(),
            Value::Fields { fields, object, .. } => {
                let object = object.get().map_or(0, |object| object.expose_secret().len());
                fields
                    .iter()
                    .map(|field| field.name().len() + field.expose_secret().len())
                    .sum::<usize>()
                    + object
            }
        }
    }

    /// Whether both hold the same value; metadata does not count.
    pub(crate) fn same_value(&self, other: &Secret) -> bool {
        Arc::ptr_eq(&self.0.value, &other.0.value) || self.expose_secret() == other.expose_secret()
    }

    /// Tells, later, whether the value is still in memory, without keeping it there.
    #[cfg(feature = "test-util")]
    pub fn probe(&self) -> SecretProbe {
        SecretProbe(Arc::downgrade(&self.0.value))
    }

    fn error(&self, kind: ErrorKind, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        let error = Error::new(kind, message);
        match &self.0.origin {
            Some(Origin { backend, name }) => error.with_backend(backend).with_secret(name),
            None => error,
        }
    }
}

/// Tells whether a value is still in memory: for tests that prove that it is not.
#[cfg(feature = "test-util")]
pub struct SecretProbe(std::sync::Weak<Value>);

#[cfg(feature = "test-util")]
impl SecretProbe {
    /// Whether any clone of the secret is left, and so the value is not wiped yet.
    pub fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }
}

#[cfg(feature = "test-util")]
impl fmt::Debug for SecretProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretProbe")
            .field("is_alive", &self.is_alive())
            .finish()
    }
}

/// Moves bytes into a box of exactly their size, leaving nothing behind.
pub(crate) fn exact(bytes: Vec<u8>) -> SecretSlice<u8> {
    if bytes.len() == bytes.capacity() {
        return bytes.into_boxed_slice().into();
    }
    // Shrinking may move the block and leave the old one unwiped.
    let mut bytes = Zeroizing::new(bytes);
    let exact = Box::<[u8]>::from(bytes.as_slice());
    bytes.zeroize();
    exact.into()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("value", &"[REDACTED]")
            .field("metadata", &self.0.metadata)
            .finish()
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<SecretString> for Secret {
    fn from(text: SecretString) -> Self {
        Self::copy_from(text.expose_secret().as_bytes())
    }
}

impl From<&Secret> for SecretSlice<u8> {
    fn from(secret: &Secret) -> Self {
        secret.to_secret_slice()
    }
}

impl TryFrom<&Secret> for SecretString {
    type Error = Error;

    fn try_from(secret: &Secret) -> Result<Self> {
        secret.to_secret_string()
    }
}

/// From text or bytes. The text that the format's parser held is not ours to wipe.
#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret, as text or bytes")
            }

            fn visit_str<E>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::copy_from(text.as_bytes()))
            }

            fn visit_string<E>(self, text: String) -> Result<Secret, E> {
                Ok(Secret::new(text.into_bytes()))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Secret, E> {
                Ok(Secret::copy_from(bytes))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Secret, E> {
                Ok(Secret::new(bytes))
            }

            fn visit_newtype_struct<D: serde::Deserializer<'de>>(self, inner: D) -> Result<Secret, D::Error> {
                inner.deserialize_string(self)
            }
        }

        deserializer.deserialize_newtype_struct(SECRET_TYPE, Visitor)
    }
}

/// By this name the typed loader sees that a field wants the secret's bytes, whatever they are.
#[cfg(feature = "serde")]
pub(crate) const SECRET_TYPE: &str = "$secrets::Secret";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_debug_prints_neither_value_nor_length() {
        let secret = Secret::new(b"hunter2".to_vec());
        let one = format!("{secret:?} {secret:#?}");
        assert!(!one.contains("hunter2"));
        assert_eq!(
            format!("{secret:?}"),
            format!("{:?}", Secret::new(b"another".repeat(9)))
        );
    }

    #[test]
    fn v4_text_of_other_bytes_is_invalid_data_without_the_bytes() {
        let error = Secret::new(b"hunter2\xff".to_vec()).expose_str().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(!format!("{error:?}{error}").contains("hunter2"));
    }

    #[test]
    fn spare_capacity_is_not_kept() {
        let mut roomy = Vec::with_capacity(100);
        roomy.extend_from_slice(b"hunter2");
        let secret = Secret::new(roomy);
        assert_eq!(
            (secret.expose_secret(), secret.weight()),
            (b"hunter2".as_slice(), 7)
        );
    }

    #[test]
    fn conversions_keep_the_bytes() {
        let secret = Secret::copy_from(b"hunter2");
        assert_eq!(secret.to_secret_string().unwrap().expose_secret(), "hunter2");
        assert_eq!(SecretSlice::from(&secret).expose_secret(), b"hunter2");
        assert!(SecretString::try_from(&Secret::copy_from(b"\xff")).is_err());
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_secret_deserialises_from_text() {
        #[derive(serde::Deserialize)]
        struct Config {
            key: Secret,
        }
        let config: Config = Secret::copy_from(br#"{"key":"hunter2"}"#).json().unwrap();
        assert_eq!(config.key.expose_secret(), b"hunter2");
    }

    #[cfg(feature = "serde")]
    #[test]
    fn j5_parse_errors_have_a_position_and_no_text() {
        for bad in [
            r#"{"key":"hunter2"#,
            r#""hunter2""#,
            "hunter2",
            r#"{"key":hunter2}"#,
        ] {
            let error = Secret::copy_from(bad.as_bytes())
                .json::<std::collections::BTreeMap<String, u8>>()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            let text = format!("{error} {error:?}");
            assert!(text.contains("line 1") && !text.contains("hunter2"), "{text}");
        }
    }
}
