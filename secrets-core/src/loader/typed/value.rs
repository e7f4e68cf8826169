//! The deserializer: the place of one field, whose value may be known, unknown or absent.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, VariantAccess, Visitor,
};

use super::halt::Halt;
use super::kind::Kind;
use super::node::Id;
use super::plan::{Leaf, Plan};
use crate::Secret;
use crate::secret::SECRET_TYPE;

/// One place in the tree of a type's fields, asked by the type what is there.
pub(super) struct Value<'a> {
    plan: &'a mut Plan,
    place: Id,
    /// How many newtypes and options lie around it within its field.
    layers: usize,
}

impl<'a> Value<'a> {
    pub(super) fn new(plan: &'a mut Plan, place: Id) -> Self {
        Self {
            plan,
            place,
            layers: 0,
        }
    }

    fn unsupported<T>(self, what: &str) -> Result<T, Halt> {
        Err(self.plan.unsupported(self.place, what))
    }

    /// The same place, one newtype or option further in.
    fn inner(self) -> Result<Self, Halt> {
        let layers = self.layers + 1;
        self.plan.check_layers(self.place, layers)?;
        Ok(Self { layers, ..self })
    }

    /// A number or a boolean: a stand-in, or what the text says.
    fn parsed<T: std::str::FromStr + From<bool>>(self, kind: Kind) -> Result<T, Halt> {
        match self.plan.leaf(self.place, kind)? {
            Leaf::StandIn(number) => Ok(T::from(number == 1)),
            Leaf::Value(secret) => match trimmed(&secret).and_then(|text| text.parse().ok()) {
                Some(value) => Ok(value),
                None => Err(self.plan.misfit(self.place, kind)),
            },
        }
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        match self.plan.leaf(self.place, Kind::Text)? {
            Leaf::StandIn(number) => visitor.visit_str(Kind::text(number)),
            // Borrowed: the type makes the only copy, at its final size.
            Leaf::Value(secret) => match std::str::from_utf8(secret.expose_secret()) {
                Ok(text) => visitor.visit_str(text),
                Err(_) => Err(self.plan.misfit(self.place, Kind::Text)),
            },
        }
    }

    fn secret<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        match self.plan.leaf(self.place, Kind::Secret)? {
            Leaf::StandIn(_) => visitor.visit_bytes(b""),
            Leaf::Value(secret) => visitor.visit_bytes(secret.expose_secret()),
        }
    }
}

/// The text without ASCII white space around it, which files and editors add.
fn trimmed(secret: &Secret) -> Option<&str> {
    Some(std::str::from_utf8(secret.expose_secret()).ok()?.trim_ascii())
}

macro_rules! numbers {
    ($($deserialize:ident $visit:ident $type:ident)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
            visitor.$visit(self.parsed(Kind::Number(stringify!($type)))?)
        }
    )*};
}

macro_rules! unsupported {
    ($($deserialize:ident($($argument:ty),*) $what:literal)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, $(_: $argument,)* _: V) -> Result<V::Value, Halt> {
            self.unsupported($what)
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = Halt;

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        visitor.visit_bool(self.parsed(Kind::Bool)?)
    }

    numbers! {
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

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        if self.plan.is_none(self.place) {
            return visitor.visit_none();
        }
        visitor.visit_some(self.inner()?)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Halt> {
        if name == SECRET_TYPE {
            return self.secret(visitor);
        }
        visitor.visit_newtype_struct(self.inner()?)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Halt> {
        // Derived as a struct of tag and content, and told from one only by what it says it expects.
        let expected: &dyn Expected = &visitor;
        if expected.to_string().starts_with("adjacently tagged enum") {
            return self.unsupported("an enum with a tag");
        }
        let Self { plan, place, .. } = self;
        let fields = plan.open(place, names)?;
        let mut last_two = [None; 2];
        let fields = Fields {
            plan: &mut *plan,
            rest: names.iter().copied().zip(fields),
            last_two: &mut last_two,
        };
        visitor.visit_map(fields).map_err(|halt| match halt {
            Halt::Missing(name) => plan.missing(place, name),
            Halt::Duplicate(name) => plan.duplicate(name, last_two),
            halt => halt,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Halt> {
        let Self { plan, place, .. } = self;
        let kind = Kind::Variant(variants);
        match plan.leaf(place, kind)? {
            Leaf::StandIn(number) => {
                let name = variants.get(number).ok_or(Halt::Refused)?;
                let value = visitor.visit_enum(Variant {
                    plan: &mut *plan,
                    place,
                    name,
                })?;
                plan.taken(place);
                Ok(value)
            }
            Leaf::Value(secret) => match trimmed(&secret) {
                Some(name) => visitor.visit_enum(Variant { plan, place, name }),
                None => Err(plan.misfit(place, kind)),
            },
        }
    }

    unsupported! {
        deserialize_any() "of a type that wants to see what is there: an enum that is untagged or tagged within, or \
            any JSON"
        deserialize_byte_buf() "bytes, for which there is the type `Secret`"
        deserialize_bytes() "bytes, for which there is the type `Secret`"
        deserialize_char() "a `char`"
        deserialize_identifier() "an identifier"
        deserialize_ignored_any() "of a type that ignores what is there"
        deserialize_map() "a map, or a struct with a flattened field"
        deserialize_seq() "a sequence"
        deserialize_tuple(usize) "a tuple or an array"
        deserialize_tuple_struct(&'static str, usize) "a tuple struct"
        deserialize_unit() "a unit"
        deserialize_unit_struct(&'static str) "a unit struct"
    }
}

/// The fields of a struct, but for those that are left out.
struct Fields<'a, I> {
    plan: &'a mut Plan,
    rest: I,
    /// The fields given last, the latest first: serde does not say which two were one.
    last_two: &'a mut [Option<(&'static str, Id)>; 2],
}

impl<'de, I: Iterator<Item = (&'static str, Id)>> MapAccess<'de> for Fields<'_, I> {
    type Error = Halt;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Halt> {
        let plan = &*self.plan;
        let Some((name, field)) = self.rest.find(|&(_, field)| !plan.leaves_out(field)) else {
            return Ok(None);
        };
        *self.last_two = [Some((name, field)), self.last_two[0]];
        let key: StrDeserializer<'_, Halt> = name.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Halt> {
        let Some((_, field)) = self.last_two[0] else {
            return Err(Halt::Refused);
        };
        self.plan
            .visit(field, |plan| seed.deserialize(Value::new(plan, field)))
    }
}

/// A variant of an enum, which has to be without data.
struct Variant<'a> {
    plan: &'a mut Plan,
    place: Id,
    name: &'a str,
}

impl Variant<'_> {
    fn unsupported<T>(self) -> Result<T, Halt> {
        Err(self
            .plan
            .unsupported(self.place, "an enum with a variant that carries data"))
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Halt;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Halt> {
        let variant: StrDeserializer<'_, Halt> = self.name.into_deserializer();
        Ok((seed.deserialize(variant)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Halt;

    fn unit_variant(self) -> Result<(), Halt> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Halt> {
        self.unsupported()
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Halt> {
        self.unsupported()
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Halt> {
        self.unsupported()
    }
}
