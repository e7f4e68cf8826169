//! A value from the fields that a store keeps, such as the keys of a Kubernetes Secret: most hold text, whatever it means.

use std::fmt::{self, Display};
use std::slice;
use std::str::FromStr;

use base64ct::{Base64, Encoding as _};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::de::SliceRead;
use zeroize::Zeroizing;

use crate::fields::Form;
use crate::secret::SECRET_TYPE;
use crate::{Error, ErrorKind, Field, Result};

/// Makes `T` of the fields: each as the JSON it is, or as text from which numbers, booleans and variants are read.
pub(super) fn read<T: DeserializeOwned>(fields: &[Field]) -> Result<T> {
    T::deserialize(Object(fields)).map_err(|misfit| Error::new(ErrorKind::InvalidData, misfit.to_string()))
}

/// All fields of a secret.
struct Object<'a>(&'a [Field]);

impl<'de> Deserializer<'de> for Object<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_map(Members::of(self.0))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        MapAccessDeserializer::new(Members::of(self.0)).deserialize_enum(name, variants, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The fields of a secret, one after the other.
struct Members<'a> {
    rest: slice::Iter<'a, Field>,
    next: Option<&'a Field>,
}

impl<'a> Members<'a> {
    fn of(fields: &'a [Field]) -> Self {
        Self {
            rest: fields.iter(),
            next: None,
        }
    }
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        self.next = self.rest.next();
        let Some(field) = self.next else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Misfit> = field.name().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let field = self.next.ok_or(Misfit::Whole)?;
        seed.deserialize(Member(field)).map_err(|misfit| misfit.of(field))
    }
}

/// The value of one field.
#[derive(Clone, Copy)]
struct Member<'a>(&'a Field);

impl<'a> Member<'a> {
    fn text(self) -> Result<&'a str, Misfit> {
        std::str::from_utf8(self.0.expose_secret()).map_err(|_| Misfit::Whole)
    }

    /// Files and editors add white space at the ends.
    fn parsed<T: FromStr>(self) -> Result<T, Misfit> {
        self.text()?.trim_ascii().parse().map_err(|_| Misfit::Whole)
    }

    /// A parser of its JSON, where it is not text.
    fn json(self) -> Option<serde_json::Deserializer<SliceRead<'a>>> {
        let is_json = self.0.form() == Form::Json;
        is_json.then(|| serde_json::Deserializer::from_slice(self.0.expose_secret()))
    }
}

macro_rules! parsed {
    ($($deserialize:ident $visit:ident $type:ident)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            if let Some(mut json) = self.json() {
                return Ok(json.$deserialize(visitor)?);
            }
            visitor.$visit(self.parsed::<$type>()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Member<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if let Some(mut json) = self.json() {
            return Ok(json.deserialize_any(visitor)?);
        }
        if let Ok(text) = self.text() {
            // Borrowed: the type makes the only copy, at its final size.
            return visitor.visit_str(text);
        }
        // As it stands in the JSON object of all fields.
        let value = self.0.expose_secret();
        let mut buffer = Zeroizing::new(vec![0; Base64::encoded_len(value)]);
        visitor.visit_str(Base64::encode(value, &mut buffer).map_err(|_| Misfit::Whole)?)
    }

    parsed! {
        deserialize_bool visit_bool bool
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_i128 visit_i128 i128
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
        deserialize_u128 visit_u128 u128
        deserialize_f32 visit_f32 f32
        deserialize_f64 visit_f64 f64
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        if let Some(mut json) = self.json() {
            return Ok(json.deserialize_enum(name, variants, visitor)?);
        }
        let variant: StrDeserializer<'_, Misfit> = self.text()?.trim_ascii().into_deserializer();
        variant.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        if name == SECRET_TYPE {
            return visitor.visit_bytes(self.0.expose_secret());
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.json().is_some() && self.0.expose_secret() == b"null" {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// What does not fit. What a type or a parser says of a value is dropped: it may quote it.
#[derive(Debug)]
enum Misfit {
    Field(Box<str>),
    Missing(&'static str),
    Whole,
}

impl Misfit {
    fn of(self, field: &Field) -> Self {
        match self {
            Self::Whole | Self::Missing(_) => Self::Field(field.name().into()),
            Self::Field(name) => Self::Field(name),
        }
    }
}

impl de::Error for Misfit {
    fn custom<T: Display>(_: T) -> Self {
        Self::Whole
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

impl From<serde_json::Error> for Misfit {
    fn from(_: serde_json::Error) -> Self {
        Self::Whole
    }
}

impl std::error::Error for Misfit {}

impl Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, "the field `{name}` is not of the type that is asked for"),
            Self::Missing(name) => write!(f, "the secret has no field `{name}`; add it, or make it optional"),
            Self::Whole => {
                f.write_str("the fields of the secret are not those of the type that is asked for")
            }
        }
    }
}
