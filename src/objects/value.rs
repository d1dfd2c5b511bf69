//! Objects in memory: a type and its properties, in any order (spec 12).

use alloc::string::String;
use alloc::vec::Vec;

use super::ids::{IdHash, InstanceId, ObjectHash, PersonId, Reference};

/// An object, or an id object.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its type.
    pub type_name: String,
    /// Whether it is the id object: the id properties alone.
    pub id_only: bool,
    /// Its properties, in any order. An object that was read has them in the recipe's.
    pub properties: Vec<(String, Value)>,
}

impl Object {
    /// A full object without properties.
    #[must_use]
    pub fn new(type_name: &str) -> Self {
        Self {
            type_name: type_name.into(),
            id_only: false,
            properties: Vec::new(),
        }
    }

    /// An id object without properties.
    #[must_use]
    pub fn new_id(type_name: &str) -> Self {
        Self {
            id_only: true,
            ..Self::new(type_name)
        }
    }

    /// The same with one more property.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties.push((name.into(), value.into()));
        self
    }

    /// The value of a property.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        member(&self.properties, name)
    }
}

/// The value of a property.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer or a number.
    Number(f64),
    /// A boolean.
    Boolean(bool),
    /// A stringifiable. JSON's `null` in place of an optional property counts as missing.
    Json(serde_json::Value),
    /// A reference.
    Reference(Reference),
    /// An array, a bag or a set. Bags and sets may have any order here and are sorted when written.
    List(Vec<Self>),
    /// A map, in its order.
    Map(Vec<(Self, Self)>),
    /// A nested object.
    Object(Vec<(String, Self)>),
}

impl Value {
    /// An array, a bag or a set.
    #[must_use]
    pub fn list(items: impl IntoIterator<Item = impl Into<Self>>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }

    /// A map.
    #[must_use]
    pub fn map<K: Into<Self>, V: Into<Self>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        let entry = |(key, value): (K, V)| (key.into(), value.into());
        Self::Map(entries.into_iter().map(entry).collect())
    }

    /// The text, if it is one.
    #[must_use]
    pub const fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub const fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    #[must_use]
    pub const fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    /// The stringifiable, if it is one.
    #[must_use]
    pub const fn as_json(&self) -> Option<&serde_json::Value> {
        match self {
            Self::Json(json) => Some(json),
            _ => None,
        }
    }

    /// The reference, if it is one.
    #[must_use]
    pub const fn as_reference(&self) -> Option<Reference> {
        match self {
            Self::Reference(reference) => Some(*reference),
            _ => None,
        }
    }

    /// The items, if it is an array, a bag or a set.
    #[must_use]
    pub const fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items.as_slice()),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    #[must_use]
    pub const fn as_map(&self) -> Option<&[(Self, Self)]> {
        match self {
            Self::Map(entries) => Some(entries.as_slice()),
            _ => None,
        }
    }

    /// The properties, if it is a nested object.
    #[must_use]
    pub const fn as_object(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Object(properties) => Some(properties.as_slice()),
            _ => None,
        }
    }

    /// A property of a nested object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()
            .and_then(|properties| member(properties, name))
    }

    /// Whether it is JSON's `null`.
    pub(super) const fn is_null(&self) -> bool {
        matches!(self, Self::Json(serde_json::Value::Null))
    }
}

fn member<'a>(properties: &'a [(String, Value)], name: &str) -> Option<&'a Value> {
    properties
        .iter()
        .find(|(other, _)| other == name)
        .map(|(_, value)| value)
}

macro_rules! from {
    ($($type:ty => $variant:ident($value:ident => $made:expr)),+ $(,)?) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                Self::$variant($made)
            }
        }
    )+};
}

from! {
    &str => Text(value => value.into()),
    String => Text(value => value),
    f64 => Number(value => value),
    u32 => Number(value => value.into()),
    i32 => Number(value => value.into()),
    bool => Boolean(value => value),
    serde_json::Value => Json(value => value),
    Reference => Reference(value => value),
    ObjectHash => Reference(value => Reference::Object(value)),
    IdHash => Reference(value => Reference::Id(value)),
    PersonId => Reference(value => Reference::Id(value.into())),
    InstanceId => Reference(value => Reference::Id(value.into())),
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::list(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_it_is_and_nothing_else() {
        let hash = ObjectHash([7; 32]);
        let values = [
            Value::from("text"),
            Value::from(1.5),
            Value::from(true),
            Value::from(serde_json::Value::Null),
            Value::from(hash),
            Value::from(Vec::from([1_u32])),
            Value::map([("key", 1_i32)]),
            Value::Object(Vec::from([("inner".into(), Value::from("deep"))])),
        ];
        for (at, value) in values.iter().enumerate() {
            let is = [
                value.as_text() == Some("text"),
                value.as_number() == Some(1.5),
                value.as_boolean() == Some(true),
                value.as_json() == Some(&serde_json::Value::Null),
                value.as_reference() == Some(Reference::Object(hash)),
                value.as_list() == Some(&[Value::from(1_u32)]),
                value.as_map() == Some(&[(Value::from("key"), Value::from(1_i32))]),
                value.as_object().is_some()
                    && value.get("inner") == Some(&Value::from("deep"))
                    && value.get("other").is_none(),
            ];
            let due: Vec<bool> = (0..values.len()).map(|n| n == at).collect();
            assert_eq!(is.as_slice(), due, "{value:?}");
            assert_eq!(value.is_null(), at == 3);
        }
    }
}
