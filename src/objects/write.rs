//! Writing objects: the one text of each (spec 12, "Text format" and "What a writer refuses").

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::ids::{IdHash, RefKind};
use super::microdata::{self, END, ENTRY, Element, ITEM, KEY};
use super::order::by_utf16;
use super::recipe::{Kind, Recipe, Recipes, Rule};
use super::stringify::Fault as JsonFault;
use super::value::{Object, Value};
use super::{number, stringify};
use crate::hex;

/// Why an object has no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteFault {
    /// There is no recipe for its type.
    #[error("there is no recipe for the type `{0}`")]
    UnknownType(String),
    /// An id object, or an id hash, of a type without id properties.
    #[error("the type `{0}` has no id properties")]
    NotVersioned(String),
    /// A mandatory property is missing, or null.
    #[error("the property `{0}` is missing")]
    Missing(String),
    /// A property that the recipe lacks, or no id property in an id object.
    #[error("the property `{0}` does not belong there")]
    Unknown(String),
    /// A property is given twice.
    #[error("the property `{0}` is given twice")]
    Doubled(String),
    /// A value of another kind, or one that breaks the property's rule.
    #[error("the property `{property}` has to be {expected}")]
    Value {
        /// The property.
        property: String,
        /// What is due.
        expected: &'static str,
    },
    /// A set has equal items.
    #[error("the set `{0}` has equal items")]
    DoubledItem(String),
    /// A map has equal keys.
    #[error("the map `{0}` has equal keys")]
    DoubledKey(String),
}

impl WriteFault {
    /// A stable name in `snake_case`, for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownType(_) => "unknown_type",
            Self::NotVersioned(_) => "not_versioned",
            Self::Missing(_) => "missing_property",
            Self::Unknown(_) => "unexpected_property",
            Self::Doubled(_) => "doubled_property",
            Self::Value { .. } => "wrong_value",
            Self::DoubledItem(_) => "doubled_item",
            Self::DoubledKey(_) => "doubled_key",
        }
    }
}

impl Recipes {
    /// The microdata of an object, or of an id object.
    ///
    /// # Errors
    /// [`WriteFault`] if it is not what its recipe says.
    pub fn write(&self, object: &Object) -> Result<String, WriteFault> {
        let recipe = self.recipe(&object.type_name, object.id_only)?;
        let mut out = String::new();
        microdata::open_object(&mut out, &recipe.name, object.id_only);
        let rules = || {
            recipe
                .rules
                .iter()
                .filter(|rule| rule.id || !object.id_only)
        };
        properties(&mut out, rules, &object.properties, true)?;
        out.push_str(END);
        Ok(out)
    }

    /// An object reduced to its id properties. Whether they are good is seen when it is written.
    ///
    /// # Errors
    /// [`WriteFault::UnknownType`], [`WriteFault::NotVersioned`].
    pub fn id_object(&self, object: &Object) -> Result<Object, WriteFault> {
        let recipe = self.recipe(&object.type_name, true)?;
        let is_id = |name: &str| recipe.rules.iter().any(|rule| rule.id && rule.name == name);
        Ok(Object {
            type_name: object.type_name.clone(),
            id_only: true,
            properties: object
                .properties
                .iter()
                .filter(|(name, _)| is_id(name))
                .cloned()
                .collect(),
        })
    }

    /// The id hash of an object: the hash of its id object.
    ///
    /// # Errors
    /// [`WriteFault`] if it has none. Only id properties are looked at.
    pub fn id_hash(&self, object: &Object) -> Result<IdHash, WriteFault> {
        self.write(&self.id_object(object)?)
            .map(|text| IdHash::of(&text))
    }

    fn recipe(&self, type_name: &str, id_only: bool) -> Result<&Recipe, WriteFault> {
        let recipe = self
            .get(type_name)
            .ok_or_else(|| WriteFault::UnknownType(type_name.into()))?;
        if id_only && !recipe.is_versioned() {
            return Err(WriteFault::NotVersioned(type_name.into()));
        }
        Ok(recipe)
    }
}

/// Writes all properties in the order of the rules.
fn properties<'a, I: Iterator<Item = &'a Rule>>(
    out: &mut String,
    rules: impl Fn() -> I,
    values: &[(String, Value)],
    top: bool,
) -> Result<(), WriteFault> {
    for (i, (name, _)) in values.iter().enumerate() {
        if !rules().any(|rule| rule.name == *name) {
            return Err(WriteFault::Unknown(name.clone()));
        }
        // Every name is that of a rule, and the first doubled one ends it, so this is not quadratic.
        if values.iter().take(i).any(|(other, _)| other == name) {
            return Err(WriteFault::Doubled(name.clone()));
        }
    }
    for rule in rules() {
        let value = values.iter().find(|(name, _)| *name == rule.name);
        let value = value.map(|(_, value)| value);
        let Some(value) = value.filter(|value| !(value.is_null() && is_missing(rule, top))) else {
            if rule.optional {
                continue;
            }
            return Err(WriteFault::Missing(rule.name.clone()));
        };
        let element = Element::of(&rule.kind);
        element.open(out, Some(&rule.name));
        contents(out, &rule.name, &rule.kind, value)?;
        element.close(out, Some(&rule.name));
    }
    Ok(())
}

/// Whether null counts as missing: at top level, and wherever a property is mandatory.
pub(super) const fn is_missing(rule: &Rule, top: bool) -> bool {
    top || !rule.optional
}

/// Writes an item, a key or a value of a collection.
fn item(out: &mut String, property: &str, kind: &Kind, value: &Value) -> Result<(), WriteFault> {
    let element = Element::of(kind);
    element.open(out, None);
    contents(out, property, kind, value)?;
    element.close(out, None);
    Ok(())
}

/// Writes what is between the tags of a value. Recursion is as deep as the recipe.
fn contents(
    out: &mut String,
    property: &str,
    kind: &Kind,
    value: &Value,
) -> Result<(), WriteFault> {
    let wrong = |expected| WriteFault::Value {
        property: property.into(),
        expected,
    };
    match (kind, value) {
        (Kind::String(rule), Value::Text(text)) => {
            if !rule.admits(text) {
                return Err(wrong(rule.words()));
            }
            microdata::escape(out, text);
        }
        (Kind::Integer, Value::Number(number)) if number % 1.0 != 0.0 => {
            return Err(wrong(words(kind)));
        }
        (Kind::Integer | Kind::Number, Value::Number(number)) => {
            number::write(out, *number).ok_or_else(|| wrong(words(kind)))?;
        }
        (Kind::Boolean, Value::Boolean(boolean)) => {
            out.push_str(if *boolean { "true" } else { "false" });
        }
        (Kind::Stringifiable, Value::Json(json)) => {
            let mut text = String::new();
            stringify::write(&mut text, json).map_err(|fault| wrong(json_words(fault)))?;
            microdata::escape(out, &text);
        }
        (Kind::Reference { kind, .. }, Value::Reference(reference))
            if reference.kind() == *kind =>
        {
            hex::push(out, reference.bytes());
        }
        (Kind::Array(kind), Value::List(items)) => {
            for value in items {
                out.push_str(ITEM.0);
                item(out, property, kind, value)?;
                out.push_str(ITEM.1);
            }
        }
        (Kind::Bag(item_kind) | Kind::Set(item_kind), Value::List(items)) => {
            let mut texts = Vec::with_capacity(items.len());
            for value in items {
                let mut text = String::new();
                item(&mut text, property, item_kind, value)?;
                texts.push(text);
            }
            texts.sort_by(|a, b| by_utf16(a, b));
            let doubled = texts.windows(2).any(|pair| pair.first() == pair.last());
            if doubled && matches!(kind, Kind::Set(_)) {
                return Err(WriteFault::DoubledItem(property.into()));
            }
            for text in texts {
                out.push_str(ITEM.0);
                out.push_str(&text);
                out.push_str(ITEM.1);
            }
        }
        (Kind::Map { key, value: kind }, Value::Map(entries)) => {
            let mut keys = BTreeSet::new();
            for (name, value) in entries {
                let mut text = String::new();
                item(&mut text, property, key, name)?;
                out.push_str(KEY.0);
                out.push_str(&text);
                out.push_str(KEY.1);
                out.push_str(ENTRY.0);
                item(out, property, kind, value)?;
                out.push_str(ENTRY.1);
                if !keys.insert(text) {
                    return Err(WriteFault::DoubledKey(property.into()));
                }
            }
        }
        (Kind::Object(rules), Value::Object(values)) => {
            properties(out, || rules.iter(), values, false)?;
        }
        _ => return Err(wrong(words(kind))),
    }
    Ok(())
}

/// What a value of a kind is, in words.
pub(super) const fn words(kind: &Kind) -> &'static str {
    match kind {
        Kind::String(rule) => rule.words(),
        Kind::Integer => "an integer",
        Kind::Number => "a finite number",
        Kind::Boolean => "`true` or `false`",
        Kind::Stringifiable => "JSON",
        Kind::Reference { kind, .. } => match kind {
            RefKind::Object => "a reference to an object",
            RefKind::Id => "a reference to an id",
            RefKind::Clob => "a reference to a CLOB",
            RefKind::Blob => "a reference to a BLOB",
        },
        Kind::Array(_) => "an array",
        Kind::Bag(_) => "a bag",
        Kind::Set(_) => "a set",
        Kind::Map { .. } => "a map",
        Kind::Object(_) => "an object",
    }
}

/// What JSON has to be, in words.
pub(super) const fn json_words(fault: JsonFault) -> &'static str {
    match fault {
        JsonFault::Name => "JSON without quotes, backslashes and control characters in names",
        JsonFault::Number => "JSON with numbers that a double holds exactly",
        JsonFault::TooDeep => "JSON that nests less deeply",
        JsonFault::TooMany => "JSON with fewer elements",
        JsonFault::NotJson => "JSON",
        JsonFault::NotCanonical => "JSON in the one way that it is written in",
    }
}
