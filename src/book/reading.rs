//! What a profile that a contact has sent says of its devices (spec 13, "Rules for ours", 2): an endpoint counts if it
//! is the contact's own and has the person's keys that are on record.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::objects::object_of;
use crate::contact::{Contact, ContactInstance};
use crate::crypto::PublicKey;
use crate::fault::Part;
use crate::hex;
use crate::identity::is_websocket_url;
use crate::objects::{IdHash, InstanceId, Object, ObjectHash, Reference, SignKey};
use crate::time::Millis;

/// An endpoint of a profile, as it refers to what it needs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Endpoint {
    pub(super) instance: InstanceId,
    person_keys: ObjectHash,
    instance_keys: ObjectHash,
    url: Option<alloc::string::String>,
}

impl Endpoint {
    /// The endpoint that an object is, if it is one of this contact.
    pub(super) fn of(object: &Object, contact: &Contact) -> Option<Self> {
        let is_own = object.type_name == "OneInstanceEndpoint"
            && id(object, "personId")? == contact.person_id.into();
        let keys = |name| object.get(name).and_then(object_of);
        let url = object.get("url").and_then(|url| url.as_text());
        is_own.then_some(Self {
            instance: InstanceId(id(object, "instanceId")?.0),
            person_keys: keys("personKeys")?,
            instance_keys: keys("instanceKeys")?,
            // Where nothing can be dialled, that is not an address.
            url: url
                .filter(|url| is_websocket_url(url) && url.len() <= crate::limits::URL)
                .map(Into::into),
        })
    }

    /// What has to be read to know the device.
    pub(super) fn needs(&self) -> [Reference; 3] {
        [
            Reference::Object(self.person_keys),
            Reference::Object(self.instance_keys),
            Reference::Id(self.instance.into()),
        ]
    }

    /// The device.
    ///
    /// # Errors
    /// What is not as it is on record, or missing.
    pub(super) fn device(
        &self,
        contact: &Contact,
        read: &BTreeMap<Reference, Object>,
        now: Millis,
    ) -> Result<ContactInstance, Part> {
        let [person, instance, name] = self.needs().map(|what| read.get(&what));
        let (owner, key, sign_key) = keys(person).ok_or(Part::PersonKey)?;
        if owner != contact.person_id.into() {
            return Err(Part::KeysOwner);
        }
        if key != *contact.person_key.bytes() {
            return Err(Part::PersonKey);
        }
        if sign_key != contact.person_sign_key {
            return Err(Part::PersonSignKey);
        }
        let (owner, key, sign_key) = keys(instance).ok_or(Part::InstanceKey)?;
        if owner != self.instance.into() {
            return Err(Part::KeysOwner);
        }
        let object = name.ok_or(Part::Instance)?;
        if id(object, "owner") != Some(contact.person_id.into()) {
            return Err(Part::InstanceOwner);
        }
        let name = object.get("name").and_then(|name| name.as_text());
        Ok(ContactInstance {
            instance_id: self.instance,
            name: name.ok_or(Part::Instance)?.into(),
            instance_key: PublicKey::new(key),
            instance_sign_key: sign_key,
            // The first connection proves it.
            key_proven: false,
            url: self.url.clone(),
            paired_at: now,
        })
    }
}

/// All that these endpoints need, each once.
pub(super) fn needs(endpoints: &[Endpoint]) -> Vec<Reference> {
    let mut all: Vec<Reference> = endpoints.iter().flat_map(Endpoint::needs).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn id(object: &Object, name: &str) -> Option<IdHash> {
    match object.get(name)?.as_reference()? {
        Reference::Id(id) => Some(id),
        _ => None,
    }
}

fn keys(object: Option<&Object>) -> Option<(IdHash, [u8; 32], SignKey)> {
    let object = object.filter(|object| object.type_name == "Keys")?;
    let key = |name| hex::decode::<32>(object.get(name)?.as_text()?);
    Some((
        id(object, "owner")?,
        key("publicKey")?,
        SignKey(key("publicSignKey")?),
    ))
}
