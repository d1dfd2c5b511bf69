//! Objects: their recipes, their one text (*microdata*), hashes, ids and signatures. Follows spec 12.
//!
//! [`Recipes`] writes and reads any object of a known type. [`Person`], [`Keys`] and [`Instance`] are those that a
//! connection needs, as types of their own.

mod describe;
mod ids;
mod known;
mod license;
mod microdata;
mod number;
mod order;
mod read;
mod recipe;
mod references;
pub mod signature;
mod stringify;
mod value;
mod write;

pub use ids::{FileHash, IdHash, InstanceId, ObjectHash, PersonId, RefKind, Reference, SomeoneId};
pub use license::License;
pub use read::{ReadFault, ReadLimits, type_of};
pub use recipe::{Kind, Recipe, RecipeFault, Recipes, Rule, Targets, TextRule};
pub use references::{ReferencesFault, references};
pub use value::{Object, Value};
pub use write::WriteFault;

use alloc::string::String;

use crate::crypto::{KEY, Person as PersonKeyUse, PublicKey};
use crate::fault::JsonFault;
use crate::json::{self, Writer};
pub(crate) use microdata::Microdata;

/// A public Ed25519 signing key, 32 bytes. Connections carry it and never use it; see [`signature`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignKey(pub [u8; KEY]);

impl core::fmt::Debug for SignKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "signing key {}", crate::hex::encode(&self.0))
    }
}

/// The id object of a person: the email alone, taken as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Person {
    /// The email address.
    pub email: String,
}

impl Person {
    /// The microdata of the id object.
    #[must_use]
    pub fn id_microdata(&self) -> String {
        Microdata::id_object("Person")
            .text("email", &self.email)
            .finish()
    }

    /// The person id: SHA-256 of the id object's microdata.
    #[must_use]
    pub fn id(&self) -> PersonId {
        PersonId::of(&self.id_microdata())
    }

    pub(crate) fn json(&self) -> String {
        Writer::new()
            .text("$type$", "Person")
            .text("email", &self.email)
            .finish()
    }

    pub(crate) fn from_json(object: &json::Object) -> Result<Self, JsonFault> {
        expect_type(object, "Person", "`Person`")?;
        Ok(Self {
            email: object.text("email")?.into(),
        })
    }
}

/// The id object of an instance: its name and the person it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub owner: PersonId,
}

impl Instance {
    /// The microdata of the id object.
    #[must_use]
    pub fn id_microdata(&self) -> String {
        Microdata::id_object("Instance")
            .text("name", &self.name)
            .reference("owner", RefKind::Id, &self.owner.0)
            .finish()
    }

    /// The instance id: SHA-256 of the id object's microdata.
    #[must_use]
    pub fn id(&self) -> InstanceId {
        InstanceId::of(&self.id_microdata())
    }

    pub(crate) fn json(&self) -> String {
        Writer::new()
            .text("$type$", "Instance")
            .text("name", &self.name)
            .hex("owner", &self.owner.0)
            .finish()
    }

    pub(crate) fn from_json(object: &json::Object) -> Result<Self, JsonFault> {
        expect_type(object, "Instance", "`Instance`")?;
        Ok(Self {
            name: object.text("name")?.into(),
            owner: PersonId(object.hex("owner", "64 hex digits")?),
        })
    }
}

/// The public keys of a person, as they travel in `keys_object`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Keys {
    /// Whose they are.
    pub owner: PersonId,
    /// The encryption key.
    pub public_key: PublicKey<PersonKeyUse>,
    /// The signing key.
    pub sign_key: SignKey,
}

impl Keys {
    /// The microdata of the object.
    #[must_use]
    pub fn microdata(&self) -> String {
        Microdata::object("Keys")
            .reference("owner", RefKind::Id, &self.owner.0)
            .text("publicKey", &self.public_key.hex())
            .text("publicSignKey", &crate::hex::encode(&self.sign_key.0))
            .finish()
    }

    /// The hash of the object.
    #[must_use]
    pub fn hash(&self) -> ObjectHash {
        ObjectHash::of(&self.microdata())
    }

    pub(crate) fn json(&self) -> String {
        Writer::new()
            .text("$type$", "Keys")
            .hex("owner", &self.owner.0)
            .hex("publicKey", self.public_key.bytes())
            .hex("publicSignKey", &self.sign_key.0)
            .finish()
    }

    pub(crate) fn from_json(object: &json::Object) -> Result<Self, JsonFault> {
        expect_type(object, "Keys", "`Keys`")?;
        Ok(Self {
            owner: PersonId(object.hex("owner", "64 hex digits")?),
            public_key: object.key("publicKey")?,
            sign_key: SignKey(object.hex("publicSignKey", "64 hex digits")?),
        })
    }
}

/// Whether an email or an instance name may be given to something new: the deployed peer computes other ids for
/// names with `&`, `<` or `>`, so new ones must not have them (spec 12, "Flaw").
#[must_use]
pub fn is_good_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= crate::limits::NAME
        && !name.contains(['&', '<', '>'])
        && !name.chars().any(char::is_control)
}

fn expect_type(object: &json::Object, name: &str, expected: &'static str) -> Result<(), JsonFault> {
    if object.text("$type$")? == name {
        Ok(())
    } else {
        Err(JsonFault::Member {
            member: "$type$",
            expected,
        })
    }
}
