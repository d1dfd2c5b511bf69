//! The texts of layer 6, establishment (spec 05). The challenges between them are binary.

use alloc::string::{String, ToString};

use crate::fault::{JsonFault, cut};
use crate::json::{Object, Writer};
use crate::objects::{Instance, Keys, Person};

/// The name under which this project's extensions are announced (spec 00, "Extension between two of ours").
const EXTENSION: &str = "chumwire/1";
const EXTENSION_LIST: &str = "[\"chumwire/1\"]";
/// A group name is cut to this many bytes when it is reported.
const SHOWN_NAME: usize = 32;

/// What a connection is for. The initiator says it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Pairing by invitation.
    Pairing,
    /// Object synchronisation.
    Chum,
    /// Looking at what is accessible.
    Debug,
    /// Another name.
    Other(String),
}

impl Group {
    /// The group of a name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "pairing" => Self::Pairing,
            "chum" => Self::Chum,
            "debug" => Self::Debug,
            other => Self::Other(other.to_string()),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Pairing => "pairing",
            Self::Chum => "chum",
            Self::Debug => "debug",
            Self::Other(name) => name,
        }
    }

    /// Its name for reports, cut.
    #[must_use]
    pub fn shown(&self) -> String {
        cut(self.name().to_string(), SHOWN_NAME)
    }
}

/// Initiator: `connection_group`.
#[must_use]
pub fn connection_group(group: &Group, extensions: bool) -> String {
    let message = Writer::command("connection_group").text("connectionGroupName", group.name());
    with_extensions(message, extensions)
}

/// Reads `connection_group`: the group, and whether the initiator announces our extensions.
///
/// # Errors
/// What is wrong with it.
pub fn read_connection_group(text: &str) -> Result<(Group, bool), JsonFault> {
    let object = Object::message(text, "connection_group")?;
    let group = Group::named(object.text("connectionGroupName")?);
    Ok((group, object.lists("ext", EXTENSION)))
}

/// Acceptor: `sync`.
#[must_use]
pub fn sync(extensions: bool) -> String {
    with_extensions(Writer::command("sync"), extensions)
}

/// Reads `sync`: whether the acceptor announces our extensions.
///
/// # Errors
/// What is wrong with it.
pub fn read_sync(text: &str) -> Result<bool, JsonFault> {
    Ok(Object::message(text, "sync")?.lists("ext", EXTENSION))
}

fn with_extensions(message: Writer, extensions: bool) -> String {
    if extensions {
        message.json("ext", EXTENSION_LIST).finish()
    } else {
        message.finish()
    }
}

/// Both: `person_id_object`.
#[must_use]
pub fn person_id_object(person: &Person) -> String {
    Writer::command("person_id_object")
        .json("obj", &person.json())
        .finish()
}

/// Reads `person_id_object`.
///
/// # Errors
/// What is wrong with it.
pub fn read_person_id_object(text: &str) -> Result<Person, JsonFault> {
    Person::from_json(&Object::message(text, "person_id_object")?.object("obj")?)
}

/// Both: `keys_object`.
#[must_use]
pub fn keys_object(keys: &Keys) -> String {
    Writer::command("keys_object")
        .json("obj", &keys.json())
        .finish()
}

/// Reads `keys_object`.
///
/// # Errors
/// What is wrong with it.
pub fn read_keys_object(text: &str) -> Result<Keys, JsonFault> {
    Keys::from_json(&Object::message(text, "keys_object")?.object("obj")?)
}

/// Both: `instance_id_object`.
#[must_use]
pub fn instance_id_object(instance: &Instance) -> String {
    Writer::command("instance_id_object")
        .json("obj", &instance.json())
        .finish()
}

/// Reads `instance_id_object`.
///
/// # Errors
/// What is wrong with it.
pub fn read_instance_id_object(text: &str) -> Result<Instance, JsonFault> {
    Instance::from_json(&Object::message(text, "instance_id_object")?.object("obj")?)
}
