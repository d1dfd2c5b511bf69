//! Reading objects, strictly: a text is taken if it is the one text of an object, and refused otherwise (spec 12,
//! "What a reader does").
//!
//! Whether an object would be written as the text that it was read from is seen while reading: tags are compared with
//! those that the writer makes, values have one form, items are compared with the item before. So the object is not
//! written anew. A property test holds the two against each other.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::ids;
use super::microdata::{self, END, ENTRY, Element, ID_OBJECT, ITEM, KEY, NAMED, OBJECT};
use super::order::by_utf16;
use super::recipe::{self, Kind, Recipes, Rule};
use super::stringify::Fault as JsonFault;
use super::value::{Object, Value};
use super::write::{is_missing, json_words, words};
use super::{number, stringify};
use crate::limits;

/// What a reader takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReadLimits {
    /// The longest text, in bytes.
    pub bytes: usize,
    /// The deepest nesting of collections, and of the JSON in a value; a greater one than [`limits::OBJECT_DEPTH`] is
    /// taken as that.
    pub depth: usize,
    /// Items, map entries and JSON elements, all together.
    pub items: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            bytes: limits::OBJECT_BYTES,
            depth: limits::OBJECT_DEPTH,
            items: limits::OBJECT_ITEMS,
        }
    }
}

/// Why a text is refused. Tells the property, what is due and where, and never repeats contents: the names are those
/// of the recipe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadFault {
    /// It is longer than the limit.
    #[error("the object is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// It does not begin with the first tag of an object or id object.
    #[error("the first tag of an object is due")]
    FirstTag,
    /// There is no recipe for its type.
    #[error("the type is not known")]
    UnknownType,
    /// An id object of a type without id properties.
    #[error("an id object of a type without id properties")]
    NotVersioned,
    /// A mandatory property does not stand where it is due, or is null.
    #[error("the property `{property}` is due at byte {at}")]
    Missing {
        /// The property.
        property: String,
        /// Where it is due.
        at: usize,
    },
    /// A property that is unknown, doubled, out of order, or no id property in an id object. Or the end is missing.
    #[error("the end of the object is due at byte {at}")]
    Unexpected {
        /// Where.
        at: usize,
    },
    /// Something follows the object.
    #[error("there is something behind the object, at byte {at}")]
    Trailing {
        /// Where.
        at: usize,
    },
    /// A value is not of its kind, or breaks the property's rule.
    #[error("{expected} is due in `{property}` at byte {at}")]
    Value {
        /// The property.
        property: String,
        /// What is due.
        expected: &'static str,
        /// Where.
        at: usize,
    },
    /// A value that would be written otherwise.
    #[error("not as it would be written: {expected} is due in `{property}` at byte {at}")]
    NotCanonical {
        /// The property.
        property: String,
        /// What is due.
        expected: &'static str,
        /// Where.
        at: usize,
    },
    /// A set has equal items.
    #[error("the set `{property}` has equal items, at byte {at}")]
    DoubledItem {
        /// The property.
        property: String,
        /// Where the second is.
        at: usize,
    },
    /// A map has equal keys.
    #[error("the map `{property}` has equal keys, at byte {at}")]
    DoubledKey {
        /// The property.
        property: String,
        /// Where the second is.
        at: usize,
    },
    /// It nests deeper than the limit.
    #[error("`{property}` nests too deeply, at byte {at}")]
    TooDeep {
        /// The property.
        property: String,
        /// Where.
        at: usize,
    },
    /// It has more items than the limit.
    #[error("`{property}` goes beyond the limit of items, at byte {at}")]
    TooMany {
        /// The property.
        property: String,
        /// Where.
        at: usize,
    },
}

impl ReadFault {
    /// A stable name in `snake_case`, for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::FirstTag => "no_object",
            Self::UnknownType => "unknown_type",
            Self::NotVersioned => "not_versioned",
            Self::Missing { .. } => "missing_property",
            Self::Unexpected { .. } => "unexpected_property",
            Self::Trailing { .. } => "trailing_bytes",
            Self::Value { .. } => "wrong_value",
            Self::NotCanonical { .. } => "not_canonical",
            Self::DoubledItem { .. } => "doubled_item",
            Self::DoubledKey { .. } => "doubled_key",
            Self::TooDeep { .. } => "too_deep",
            Self::TooMany { .. } => "too_many_items",
        }
    }
}

/// The type that a text says it is of, and whether it says it is an id object. Looks at the first tag alone.
#[must_use]
pub fn type_of(text: &str) -> Option<(&str, bool)> {
    let (rest, id_only) = match text.strip_prefix(OBJECT) {
        Some(rest) => (rest, false),
        None => (text.strip_prefix(ID_OBJECT)?, true),
    };
    // A longer name is no name, so there is no need to look on.
    let most = rest.char_indices().nth(limits::NAME + NAMED.len());
    let near = most.map_or(Some(rest), |(end, _)| rest.get(..end))?;
    let (name, _) = near.split_once(NAMED)?;
    recipe::is_name(name).then_some((name, id_only))
}

impl Recipes {
    /// Reads an object or an id object; [`Object::id_only`] tells which it is.
    ///
    /// # Errors
    /// [`ReadFault`] if it is not the one text of an object that its recipe allows.
    pub fn read(&self, text: &str, limits: &ReadLimits) -> Result<Object, ReadFault> {
        if text.len() > limits.bytes {
            return Err(ReadFault::TooLong {
                limit: limits.bytes,
            });
        }
        let (type_name, id_only) = type_of(text).ok_or(ReadFault::FirstTag)?;
        let recipe = self.get(type_name).ok_or(ReadFault::UnknownType)?;
        if id_only && !recipe.is_versioned() {
            return Err(ReadFault::NotVersioned);
        }
        let depth = limits.depth.min(limits::OBJECT_DEPTH);
        let mut reader = Reader {
            text,
            at: 0,
            items: limits.items,
            json_depth: depth,
            tag: String::new(),
        };
        microdata::open_object(&mut reader.tag, type_name, id_only);
        reader.at = reader.tag.len();
        let rules = recipe.rules.iter().filter(|rule| rule.id || !id_only);
        let properties = reader.properties(rules, true, depth)?;
        if !reader.eat(END) {
            return Err(ReadFault::Unexpected { at: reader.at });
        }
        if !reader.rest().is_empty() {
            return Err(ReadFault::Trailing { at: reader.at });
        }
        Ok(Object {
            type_name: type_name.into(),
            id_only,
            properties,
        })
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// How many more items may come.
    items: usize,
    /// How deep the JSON of a value may nest, wherever the value stands.
    json_depth: usize,
    /// Where tags are made to compare with.
    tag: String,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn eat(&mut self, what: &str) -> bool {
        let there = self.rest().starts_with(what);
        if there {
            self.at += what.len();
        }
        there
    }

    fn due(&mut self, what: &str, property: &str, expected: &'static str) -> Result<(), ReadFault> {
        if self.eat(what) {
            Ok(())
        } else {
            Err(self.wrong(property, expected))
        }
    }

    /// The first tag of a property or item, if it is there.
    fn opens(&mut self, element: Element, property: Option<&str>) -> bool {
        self.tag.clear();
        element.open(&mut self.tag, property);
        let there = self.rest().starts_with(&self.tag);
        if there {
            self.at += self.tag.len();
        }
        there
    }

    /// The last tag.
    fn closes(&mut self, element: Element, property: &str, is_item: bool) -> Result<(), ReadFault> {
        self.tag.clear();
        element.close(&mut self.tag, (!is_item).then_some(property));
        if self.rest().starts_with(&self.tag) {
            self.at += self.tag.len();
            Ok(())
        } else {
            Err(self.wrong(property, "the end of the value"))
        }
    }

    fn wrong(&self, property: &str, expected: &'static str) -> ReadFault {
        ReadFault::Value {
            property: property.into(),
            expected,
            at: self.at,
        }
    }

    fn not_canonical(property: &str, expected: &'static str, at: usize) -> ReadFault {
        ReadFault::NotCanonical {
            property: property.into(),
            expected,
            at,
        }
    }

    /// One more item or entry.
    fn count(&mut self, property: &str) -> Result<(), ReadFault> {
        match self.items.checked_sub(1) {
            Some(left) => {
                self.items = left;
                Ok(())
            }
            None => Err(ReadFault::TooMany {
                property: property.into(),
                at: self.at,
            }),
        }
    }

    /// All properties, in the order of the rules.
    fn properties<'r>(
        &mut self,
        rules: impl Iterator<Item = &'r Rule>,
        top: bool,
        depth: usize,
    ) -> Result<Vec<(String, Value)>, ReadFault> {
        let mut properties = Vec::new();
        for rule in rules {
            let (name, at) = (rule.name.as_str(), self.at);
            let element = Element::of(&rule.kind);
            if !self.opens(element, Some(name)) {
                if rule.optional {
                    continue;
                }
                return Err(ReadFault::Missing {
                    property: name.into(),
                    at,
                });
            }
            let value = self.contents(name, &rule.kind, depth)?;
            if value.is_null() && is_missing(rule, top) {
                // The writer leaves it out, or refuses it.
                return Err(if rule.optional {
                    Self::not_canonical(name, "a value, or nothing at all,", at)
                } else {
                    ReadFault::Missing {
                        property: name.into(),
                        at,
                    }
                });
            }
            self.closes(element, name, false)?;
            properties.push((rule.name.clone(), value));
        }
        Ok(properties)
    }

    /// An item, a key or a value of a collection.
    fn item(&mut self, property: &str, kind: &Kind, depth: usize) -> Result<Value, ReadFault> {
        let element = Element::of(kind);
        if !self.opens(element, None) {
            return Err(self.wrong(property, words(kind)));
        }
        let value = self.contents(property, kind, depth)?;
        self.closes(element, property, true)?;
        Ok(value)
    }

    /// What is between the tags of a value. Recursion is as deep as the recipe.
    fn contents(&mut self, property: &str, kind: &Kind, depth: usize) -> Result<Value, ReadFault> {
        match kind {
            Kind::String(rule) => {
                let at = self.at;
                let text = self.value(property)?;
                if rule.admits(&text) {
                    Ok(Value::Text(text.into_owned()))
                } else {
                    self.at = at;
                    Err(self.wrong(property, rule.words()))
                }
            }
            Kind::Integer | Kind::Number => self.number(property, kind).map(Value::Number),
            Kind::Boolean if self.eat("true") => Ok(Value::Boolean(true)),
            Kind::Boolean if self.eat("false") => Ok(Value::Boolean(false)),
            Kind::Boolean => Err(self.wrong(property, words(kind))),
            Kind::Stringifiable => self.json(property).map(Value::Json),
            Kind::Reference { kind, .. } => {
                let digits = self.rest().get(..64).and_then(ids::digits);
                let hash =
                    digits.ok_or_else(|| self.wrong(property, "64 lower-case hex digits"))?;
                self.at += 64;
                Ok(Value::Reference(kind.to(hash)))
            }
            Kind::Array(item) => self.items(property, item, depth, Order::Any),
            Kind::Bag(item) => self.items(property, item, depth, Order::Sorted),
            Kind::Set(item) => self.items(property, item, depth, Order::Strict),
            Kind::Map { key, value } => {
                let depth = self.deeper(property, depth)?;
                self.entries(property, key, value, depth)
            }
            Kind::Object(rules) => {
                let depth = self.deeper(property, depth)?;
                self.properties(rules.iter(), false, depth)
                    .map(Value::Object)
            }
        }
    }

    fn deeper(&self, property: &str, depth: usize) -> Result<usize, ReadFault> {
        depth.checked_sub(1).ok_or_else(|| ReadFault::TooDeep {
            property: property.into(),
            at: self.at,
        })
    }

    /// A value as it stands, up to the next tag.
    fn raw(&mut self) -> &'a str {
        let rest = self.rest();
        let raw = rest.split_once('<').map_or(rest, |(raw, _)| raw);
        self.at += raw.len();
        raw
    }

    /// A value, unescaped.
    fn value(&mut self, property: &str) -> Result<Cow<'a, str>, ReadFault> {
        let at = self.at;
        microdata::unescape(self.raw()).ok_or_else(|| {
            Self::not_canonical(property, "&, < and > escaped, and nothing else,", at)
        })
    }

    fn number(&mut self, property: &str, kind: &Kind) -> Result<f64, ReadFault> {
        let at = self.at;
        match number::read(self.raw()) {
            Ok(value) if value % 1.0 == 0.0 || matches!(kind, Kind::Number) => Ok(value),
            Err(number::Unread::Layout) => Err(Self::not_canonical(
                property,
                "a number in its one layout",
                at,
            )),
            _ => {
                self.at = at;
                Err(self.wrong(property, words(kind)))
            }
        }
    }

    fn json(&mut self, property: &str) -> Result<serde_json::Value, ReadFault> {
        let at = self.at;
        let text = self.value(property)?;
        let read = stringify::read(&text, self.json_depth, &mut self.items);
        let property = property.into();
        read.map_err(|fault| match fault {
            JsonFault::TooDeep => ReadFault::TooDeep { property, at },
            JsonFault::TooMany => ReadFault::TooMany { property, at },
            JsonFault::NotCanonical => ReadFault::NotCanonical {
                property,
                expected: json_words(fault),
                at,
            },
            _ => ReadFault::Value {
                property,
                expected: json_words(fault),
                at,
            },
        })
    }

    fn items(
        &mut self,
        property: &str,
        kind: &Kind,
        depth: usize,
        order: Order,
    ) -> Result<Value, ReadFault> {
        let depth = self.deeper(property, depth)?;
        let mut items = Vec::new();
        let mut before: Option<&str> = None;
        while self.eat(ITEM.0) {
            self.count(property)?;
            let at = self.at;
            items.push(self.item(property, kind, depth)?);
            // What was read is the text that would be written, so items are compared where they stand.
            let text = self.text.get(at..self.at).unwrap_or("");
            match before.map(|before| by_utf16(before, text)) {
                Some(Ordering::Greater) if order != Order::Any => {
                    return Err(Self::not_canonical(property, "a sorted item", at));
                }
                Some(Ordering::Equal) if order == Order::Strict => {
                    return Err(ReadFault::DoubledItem {
                        property: property.into(),
                        at,
                    });
                }
                _ => before = Some(text),
            }
            self.due(ITEM.1, property, "the end of the item")?;
        }
        Ok(Value::List(items))
    }

    fn entries(
        &mut self,
        property: &str,
        key: &Kind,
        value: &Kind,
        depth: usize,
    ) -> Result<Value, ReadFault> {
        let mut entries = Vec::new();
        let mut keys = BTreeSet::new();
        while self.eat(KEY.0) {
            self.count(property)?;
            let at = self.at;
            let name = self.item(property, key, depth)?;
            if !keys.insert(self.text.get(at..self.at).unwrap_or("")) {
                return Err(ReadFault::DoubledKey {
                    property: property.into(),
                    at,
                });
            }
            self.due(KEY.1, property, "the end of the key")?;
            self.due(ENTRY.0, property, "the value of the key")?;
            entries.push((name, self.item(property, value, depth)?));
            self.due(ENTRY.1, property, "the end of the value")?;
        }
        Ok(Value::Map(entries))
    }
}

/// Which order the items of a collection have to have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Any,
    Sorted,
    Strict,
}
