//! A provider's struct as a value: the way back from [`plain`](super::plain).
//!
//! What comes out is what JSON would have in its place; to make that first would cost as much
//! again, for every object that is declared or read.

use std::fmt::Display;

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use crate::map::Map;
use crate::value::Value;

/// Why something cannot be a value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unwritable(String);

impl serde::ser::Error for Unwritable {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Makes values.
pub(super) struct Written;

/// What a variant of a sum type holds, which is named before it.
fn within(variant: Option<&str>, value: Value) -> Value {
    match variant {
        None => value,
        Some(name) => Value::Map(Map::from([(name.to_owned(), value)])),
    }
}

/// A number beyond the largest whole one loses its last digits, as in JSON.
#[expect(clippy::cast_precision_loss, reason = "nothing better can be kept")]
fn natural(value: u64) -> Value {
    i64::try_from(value).map_or(Value::Float(value as f64), Value::Int)
}

impl Serializer for Written {
    type Ok = Value;
    type Error = Unwritable;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    fn serialize_bool(self, value: bool) -> Result<Value, Unwritable> {
        Ok(Value::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Result<Value, Unwritable> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i16(self, value: i16) -> Result<Value, Unwritable> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i32(self, value: i32) -> Result<Value, Unwritable> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i64(self, value: i64) -> Result<Value, Unwritable> {
        Ok(Value::Int(value))
    }

    fn serialize_u8(self, value: u8) -> Result<Value, Unwritable> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u16(self, value: u16) -> Result<Value, Unwritable> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u32(self, value: u32) -> Result<Value, Unwritable> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u64(self, value: u64) -> Result<Value, Unwritable> {
        Ok(natural(value))
    }

    fn serialize_f32(self, value: f32) -> Result<Value, Unwritable> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<Value, Unwritable> {
        Ok(if value.is_finite() { Value::Float(value) } else { Value::Null })
    }

    fn serialize_char(self, value: char) -> Result<Value, Unwritable> {
        Ok(Value::string(value))
    }

    fn serialize_str(self, value: &str) -> Result<Value, Unwritable> {
        Ok(Value::string(value))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value, Unwritable> {
        Ok(Value::List(value.iter().map(|byte| Value::Int((*byte).into())).collect()))
    }

    fn serialize_none(self) -> Result<Value, Unwritable> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Unwritable> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Unwritable> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, Unwritable> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
    ) -> Result<Value, Unwritable> {
        Ok(Value::string(name))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value, Unwritable> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<Value, Unwritable> {
        value.serialize(self).map(|value| within(Some(name), value))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items, Unwritable> {
        Ok(Items { of: None, done: Vec::with_capacity(length.unwrap_or_default()) })
    }

    fn serialize_tuple(self, length: usize) -> Result<Items, Unwritable> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Items, Unwritable> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        length: usize,
    ) -> Result<Items, Unwritable> {
        Ok(Items { of: Some(name), done: Vec::with_capacity(length) })
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Entries, Unwritable> {
        let done = Vec::with_capacity(length.unwrap_or_default());
        Ok(Entries { of: None, key: String::new(), done })
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Entries, Unwritable> {
        self.serialize_map(Some(length))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        length: usize,
    ) -> Result<Entries, Unwritable> {
        Ok(Entries { of: Some(name), ..self.serialize_map(Some(length))? })
    }
}

/// A list that is being made, and the variant it is in.
pub(super) struct Items {
    of: Option<&'static str>,
    done: Vec<Value>,
}

impl Items {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.done.push(value.serialize(Written)?);
        Ok(())
    }

    fn finish(self) -> Value {
        within(self.of, Value::List(self.done))
    }
}

/// Sequences of all sorts end and grow alike.
macro_rules! items {
    ($($kind:ident $grow:ident),*) => {$(
        impl $kind for Items {
            type Ok = Value;
            type Error = Unwritable;

            fn $grow<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
                self.push(value)
            }

            fn end(self) -> Result<Value, Unwritable> {
                Ok(self.finish())
            }
        }
    )*};
}

items!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

/// A map that is being made, and the variant it is in.
pub(super) struct Entries {
    of: Option<&'static str>,
    key: String,
    done: Vec<(String, Value)>,
}

impl Entries {
    fn push<T: Serialize + ?Sized>(
        &mut self,
        key: String,
        value: &T,
    ) -> Result<(), Unwritable> {
        self.done.push((key, value.serialize(Written)?));
        Ok(())
    }

    fn finish(self) -> Value {
        within(self.of, Value::Map(self.done.into_iter().collect()))
    }
}

impl SerializeMap for Entries {
    type Ok = Value;
    type Error = Unwritable;

    /// A key is text, or a number or a word that is written as one.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        self.key = match key.serialize(Written)? {
            Value::String(text) => text,
            Value::Int(number) => number.to_string(),
            Value::Bool(word) => word.to_string(),
            _ => return Err(Unwritable::custom("the key of a map is no text")),
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        let key = std::mem::take(&mut self.key);
        self.push(key, value)
    }

    fn end(self) -> Result<Value, Unwritable> {
        Ok(self.finish())
    }
}

/// Structs and those in variants end and grow alike.
macro_rules! fields {
    ($($kind:ident),*) => {$(
        impl $kind for Entries {
            type Ok = Value;
            type Error = Unwritable;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Unwritable> {
                self.push(name.to_owned(), value)
            }

            fn end(self) -> Result<Value, Unwritable> {
                Ok(self.finish())
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;
    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    enum Sort {
        Plain,
        One(u8),
        Two(i8, char),
        Named { flag: bool },
    }

    #[derive(Serialize)]
    struct All {
        z: Option<u64>,
        a: Vec<Sort>,
        wrapped: Wrapped,
        pair: (f32, f64),
        unit: (),
        by_number: BTreeMap<u16, &'static str>,
        by_word: BTreeMap<bool, Vec<Marker>>,
        json: serde_json::Value,
        large: u64,
        no_number: f64,
    }

    #[derive(Serialize)]
    struct Wrapped(i32);

    #[derive(Serialize)]
    struct Marker;

    #[test]
    fn it_is_what_json_would_be() {
        let all = All {
            z: Some(1),
            a: vec![Sort::Plain, Sort::One(1), Sort::Two(-1, 'c'), Sort::Named { flag: true }],
            wrapped: Wrapped(7),
            pair: (0.5, 1.5),
            unit: (),
            by_number: BTreeMap::from([(10, "ten"), (9, "nine")]),
            by_word: BTreeMap::from([(true, vec![Marker])]),
            json: json!({ "$secret": { "b": [null, 1.25], "a": "x" } }),
            large: u64::MAX,
            no_number: f64::NAN,
        };
        let through_json = Value::from(serde_json::to_value(&all).unwrap());
        assert_eq!(all.serialize(Written).unwrap(), through_json);
        let keys = BTreeMap::from([(vec![1], 1)]);
        assert!(keys.serialize(Written).is_err());
    }
}
