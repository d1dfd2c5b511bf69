//! What is kept about another person after a pairing (spec 06 and 13).

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::crypto::{Instance as InstanceUse, KeyUse, Person as PersonUse, PublicKey};
use crate::identity::Identity;
use crate::objects::{InstanceId, PersonId, SignKey};
use crate::time::Millis;

/// A person that this instance has paired with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// Who.
    pub person_id: PersonId,
    /// The email that the id is made of.
    pub email: String,
    /// The person's encryption key; it was proven in the pairing.
    pub person_key: PublicKey<PersonUse>,
    /// The person's signing key; a pairing does not prove it.
    pub person_sign_key: SignKey,
    /// The devices of this person that this instance has paired with.
    pub instances: Vec<ContactInstance>,
}

/// One device of a contact.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContactInstance {
    /// Which.
    pub instance_id: InstanceId,
    /// Its name.
    pub name: String,
    /// The key that its connections use.
    pub instance_key: PublicKey<InstanceUse>,
    /// Its signing key; a pairing does not prove it.
    pub instance_sign_key: SignKey,
    /// Whether the handshake proved the instance key. It did not if the peer used its person key there, as deployed
    /// initiators do; then the first `chum` connection proves it.
    pub key_proven: bool,
    /// Where it can be dialled, if it said so.
    pub url: Option<String>,
    /// When the pairing was, or when the contact told of this device.
    pub paired_at: Millis,
}

impl Contact {
    /// What another instance has on record of this one after a pairing in which it has proven its key.
    #[must_use]
    pub fn of(identity: &Identity, url: Option<&str>, paired_at: Millis) -> Self {
        Self {
            person_id: identity.person_id(),
            email: identity.person().email.clone(),
            person_key: identity.person_key().public(),
            person_sign_key: identity.person_sign_key(),
            instances: vec![ContactInstance {
                instance_id: identity.instance_id(),
                name: identity.instance().name.clone(),
                instance_key: identity.instance_key().public(),
                instance_sign_key: identity.instance_sign_key(),
                key_proven: true,
                url: url.map(Into::into),
                paired_at,
            }],
        }
    }

    /// The device of that id.
    #[must_use]
    pub fn instance(&self, id: InstanceId) -> Option<&ContactInstance> {
        self.instances
            .iter()
            .find(|instance| instance.instance_id == id)
    }

    /// Takes over what a newer pairing says: the device replaces the one of the same id, others stay.
    pub(crate) fn merge(&mut self, newer: Self) {
        for instance in newer.instances {
            match self
                .instances
                .iter_mut()
                .find(|i| i.instance_id == instance.instance_id)
            {
                Some(old) => *old = instance,
                None => self.instances.push(instance),
            }
        }
        self.person_key = newer.person_key;
        self.person_sign_key = newer.person_sign_key;
    }
}

impl<U: KeyUse> Serialize for PublicKey<U> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, U: KeyUse> Deserialize<'de> for PublicKey<U> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        digits(deserializer).map(Self::new)
    }
}

impl Serialize for SignKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for SignKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        digits(deserializer).map(Self)
    }
}

fn digits<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(deserializer)?;
    crate::hex::decode(&text).ok_or_else(|| serde::de::Error::custom("64 hex digits are due"))
}
