//! The lists of CHUM: what a peer may have, and what it refers to (spec 11, "Roots" and "Children"). Both travel as
//! JSON within a JSON text.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::hex;
use crate::objects::{FileHash, IdHash, ObjectHash, RefKind, Reference};

/// A root: an entry of the list of what a peer may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Root {
    /// An object of a type without versions.
    Unversioned {
        /// Its hash.
        hash: ObjectHash,
        /// Its type.
        type_name: String,
    },
    /// Exactly one version of a thing.
    Versioned {
        /// Its hash.
        hash: ObjectHash,
        /// The id hash of the thing.
        id: IdHash,
        /// Its type.
        type_name: String,
    },
    /// An id object.
    Id {
        /// Its id hash.
        id: IdHash,
        /// Its type.
        type_name: String,
    },
    /// A version node of a thing.
    VersionNode {
        /// The hash of the node.
        node: ObjectHash,
        /// The id hash of the thing.
        id: IdHash,
        /// The type of the thing.
        type_name: String,
    },
}

/// The shape of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// `unversioned`
    Unversioned,
    /// `versioned`
    Versioned,
    /// `id`
    Id,
    /// `version_node`
    VersionNode,
}

impl Shape {
    /// Its word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unversioned => "unversioned",
            Self::Versioned => "versioned",
            Self::Id => "id",
            Self::VersionNode => "version_node",
        }
    }
}

impl Root {
    /// Its shape.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        match self {
            Self::Unversioned { .. } => Shape::Unversioned,
            Self::Versioned { .. } => Shape::Versioned,
            Self::Id { .. } => Shape::Id,
            Self::VersionNode { .. } => Shape::VersionNode,
        }
    }

    /// What it is about, by its hash: an entry is known by it.
    #[must_use]
    pub const fn reference(&self) -> Reference {
        match self {
            Self::Unversioned { hash, .. } | Self::Versioned { hash, .. } => {
                Reference::Object(*hash)
            }
            Self::Id { id, .. } => Reference::Id(*id),
            Self::VersionNode { node, .. } => Reference::Object(*node),
        }
    }

    /// The type of the object, or of the thing that it is a version of.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Unversioned { type_name, .. }
            | Self::Versioned { type_name, .. }
            | Self::Id { type_name, .. }
            | Self::VersionNode { type_name, .. } => type_name,
        }
    }

    /// The id hash, where it names one.
    #[must_use]
    pub const fn id(&self) -> Option<IdHash> {
        match self {
            Self::Unversioned { .. } => None,
            Self::Versioned { id, .. } | Self::Id { id, .. } | Self::VersionNode { id, .. } => {
                Some(*id)
            }
        }
    }

    fn write(&self, text: &mut String) {
        let mut write = |members: &[(&str, &str)]| {
            text.push('{');
            for (i, (name, value)) in members.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                text.push('"');
                text.push_str(name);
                text.push_str("\":\"");
                // Hashes and names of types: nothing to escape.
                text.push_str(value);
                text.push('"');
            }
            text.push('}');
        };
        let word = self.shape().word();
        match self {
            Self::Unversioned { hash, type_name } => write(&[
                ("type", word),
                ("hash", &hash.to_string()),
                ("oneType", type_name),
            ]),
            Self::Versioned {
                hash,
                id,
                type_name,
            } => write(&[
                ("type", word),
                ("hash", &hash.to_string()),
                ("idHash", &id.to_string()),
                ("oneType", type_name),
            ]),
            Self::Id { id, type_name } => write(&[
                ("type", word),
                ("idHash", &id.to_string()),
                ("oneType", type_name),
            ]),
            Self::VersionNode {
                node,
                id,
                type_name,
            } => write(&[
                ("type", word),
                ("node", &node.to_string()),
                ("dataIdHash", &id.to_string()),
                ("dataType", type_name),
            ]),
        }
    }
}

/// An entry as it travels.
impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
    }
}

/// The list of roots as it travels.
#[must_use]
pub fn write_roots(roots: &[Root]) -> String {
    list(roots, Root::write)
}

/// The list of children as it travels: users before what they use.
#[must_use]
pub fn write_children(children: &[Reference]) -> String {
    list(children, |child, text| {
        text.push_str("{\"type\":\"");
        text.push_str(word(child.kind()));
        text.push_str("\",\"hash\":\"");
        hex::push(text, child.bytes());
        text.push_str("\"}");
    })
}

fn list<T>(items: &[T], write: impl Fn(&T, &mut String)) -> String {
    let mut text = String::from("[");
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        write(item, &mut text);
    }
    text.push(']');
    text
}

/// The word for a kind of reference in a list of children. In microdata an object is `obj`.
const fn word(kind: RefKind) -> &'static str {
    match kind {
        RefKind::Object => "object",
        RefKind::Id => "id",
        RefKind::Clob => "clob",
        RefKind::Blob => "blob",
    }
}

/// What is wrong with a whole list, or with one of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ListFault {
    /// It is no JSON.
    #[error("the list is not JSON")]
    NotJson,
    /// It is no array.
    #[error("the list is not an array")]
    NotAnArray,
    /// It has more entries than the limit.
    #[error("the list has more than {0} entries")]
    TooMany(usize),
    /// An entry is of a type that does not exist.
    #[error("an entry is of an unknown type")]
    UnknownType,
    /// A hash in it is not 64 lower-case hex digits.
    #[error("an entry's hash is not 64 lower-case hex digits")]
    NotAHash,
    /// The name of a type in it is none.
    #[error("an entry's type name is missing, or none")]
    TypeName,
    /// An entry is no object.
    #[error("an entry is not an object")]
    NotAnEntry,
}

impl ListFault {
    /// Its name for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotJson => "list_not_json",
            Self::NotAnArray => "list_not_an_array",
            Self::TooMany(_) => "list_too_long",
            Self::UnknownType => "entry_unknown_type",
            Self::NotAHash => "entry_not_a_hash",
            Self::TypeName => "entry_type_name",
            Self::NotAnEntry => "entry_malformed",
        }
    }
}

/// Reads a list of roots. An entry that is wrong is a fault of that entry alone.
///
/// # Errors
/// If it is no list, or too long a one.
pub fn read_roots(text: &str, most: usize) -> Result<Vec<Result<Root, ListFault>>, ListFault> {
    read_list(text, most, root)
}

/// Reads a list of children: users before what they use.
///
/// # Errors
/// If it is no list, is too long, or has an entry that is none.
pub fn read_children(text: &str, most: usize) -> Result<Vec<Reference>, ListFault> {
    read_list(text, most, child)?.into_iter().collect()
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    hash: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "idHash")]
    id_hash: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "oneType")]
    one_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    node: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "dataIdHash")]
    data_id_hash: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "dataType")]
    data_type: Option<Cow<'a, str>>,
}

fn members(raw: &RawValue) -> Result<Members<'_>, ListFault> {
    // A list of the values alone would be read as well.
    if !raw.get().starts_with('{') {
        return Err(ListFault::NotAnEntry);
    }
    serde_json::from_str(raw.get()).map_err(|_| ListFault::NotAnEntry)
}

fn root(raw: &RawValue) -> Result<Root, ListFault> {
    let members = members(raw)?;
    let hash = |text: &Option<Cow<'_, str>>| {
        let parsed = text.as_deref().and_then(ObjectHash::parse_strict);
        parsed.ok_or(ListFault::NotAHash)
    };
    let id = |text: &Option<Cow<'_, str>>| {
        let parsed = text.as_deref().and_then(IdHash::parse_strict);
        parsed.ok_or(ListFault::NotAHash)
    };
    match members.kind.as_deref() {
        Some("unversioned") => Ok(Root::Unversioned {
            hash: hash(&members.hash)?,
            type_name: type_name(members.one_type)?,
        }),
        Some("versioned") => Ok(Root::Versioned {
            hash: hash(&members.hash)?,
            id: id(&members.id_hash)?,
            type_name: type_name(members.one_type)?,
        }),
        Some("id") => Ok(Root::Id {
            id: id(&members.id_hash)?,
            type_name: type_name(members.one_type)?,
        }),
        Some("version_node") => Ok(Root::VersionNode {
            node: hash(&members.node)?,
            id: id(&members.data_id_hash)?,
            type_name: type_name(members.data_type)?,
        }),
        _ => Err(ListFault::UnknownType),
    }
}

/// The longest name of a type, in bytes.
const TYPE_NAME: usize = 256;

/// A name that a recipe can have (spec 12, "Escaping").
fn type_name(name: Option<Cow<'_, str>>) -> Result<String, ListFault> {
    let bad =
        |c: char| matches!(c, '<' | '>' | '.' | '"' | '\\') || c.is_whitespace() || c.is_control();
    match name {
        Some(name) if !name.is_empty() && name.len() <= TYPE_NAME && !name.contains(bad) => {
            Ok(name.into_owned())
        }
        _ => Err(ListFault::TypeName),
    }
}

fn child(raw: &RawValue) -> Result<Reference, ListFault> {
    let members = members(raw)?;
    let hash = members.hash.as_deref().unwrap_or_default();
    let object = ObjectHash::parse_strict(hash).ok_or(ListFault::NotAHash)?;
    match members.kind.as_deref() {
        Some("object") => Ok(Reference::Object(object)),
        Some("id") => Ok(Reference::Id(IdHash(object.0))),
        Some("clob") => Ok(Reference::Clob(FileHash(object.0))),
        Some("blob") => Ok(Reference::Blob(FileHash(object.0))),
        _ => Err(ListFault::UnknownType),
    }
}

fn read_list<T>(
    text: &str,
    most: usize,
    read: fn(&RawValue) -> Result<T, ListFault>,
) -> Result<Vec<Result<T, ListFault>>, ListFault> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut too_many = false;
    let list = reader.deserialize_any(List {
        most,
        read,
        too_many: &mut too_many,
    });
    match list {
        _ if too_many => Err(ListFault::TooMany(most)),
        Ok(Some(list)) if reader.end().is_ok() => Ok(list),
        Ok(None) if reader.end().is_ok() => Err(ListFault::NotAnArray),
        _ if is_json(text) => Err(ListFault::NotAnArray),
        _ => Err(ListFault::NotJson),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Takes entries one by one, so that a list that is too long is given up before it is in memory.
struct List<'a, T> {
    most: usize,
    read: fn(&RawValue) -> Result<T, ListFault>,
    too_many: &'a mut bool,
}

impl<'de, T> Visitor<'de> for List<'_, T> {
    type Value = Option<Vec<Result<T, ListFault>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(raw) = entries.next_element::<&RawValue>()? {
            if list.len() == self.most {
                *self.too_many = true;
                return Err(A::Error::custom("too many"));
            }
            list.push((self.read)(raw));
        }
        Ok(Some(list))
    }
}
