//! What is stored of oneself and of a contact, as objects (spec 13, "What exists before any pairing" and "What pairing
//! stores"). What is there already is not written again.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::someone::{DEFAULT, ME, Someone, id_of};
use super::state::AddressBook;
use crate::chum::{Newest, VersionNode, Write};
use crate::contact::Contact;
use crate::hex;
use crate::identity::Identity;
use crate::objects::{
    IdHash, InstanceId, License, Object, ObjectHash, PersonId, ReadLimits, Recipes, Reference,
    SignKey, Value, WriteFault, signature,
};
use crate::time::Millis;

/// The id of the one list of contacts of an instance.
pub(super) fn leute_id(recipes: &Recipes) -> Result<IdHash, WriteFault> {
    recipes.id_hash(&Object::new("Leute").with("appId", APP))
}

const APP: &str = "one.leute";

/// The endpoints that a profile has, as far as they were read.
pub(super) type Endpoints = BTreeMap<ObjectHash, Object>;

/// Objects that are being made, by the owner of the address book.
pub(super) struct Papers<'a> {
    recipes: &'a Recipes,
    own: &'a Identity,
    now: Millis,
    write: Write,
}

/// A person of whom a profile is made.
struct Subject<'a> {
    person: PersonId,
    key: String,
    sign_key: SignKey,
    devices: Vec<Device<'a>>,
}

struct Device<'a> {
    instance: InstanceId,
    name: &'a str,
    key: String,
    sign_key: SignKey,
    url: Option<&'a str>,
}

impl<'a> Papers<'a> {
    pub(super) fn new(recipes: &'a Recipes, own: &'a Identity, now: Millis) -> Self {
        Self {
            recipes,
            own,
            now,
            write: Write::default(),
        }
    }

    pub(super) fn into_write(self) -> Write {
        self.write
    }

    fn object(&mut self, object: &Object) -> Result<ObjectHash, WriteFault> {
        self.write.object(self.recipes, object)
    }

    /// A new version of a thing, unless its newest one is just this.
    fn version(
        &mut self,
        object: &Object,
        newest: Option<&Newest>,
    ) -> Result<ObjectHash, WriteFault> {
        let text = self.recipes.write(object)?;
        if newest.is_some_and(|newest| newest.data == text) {
            return Ok(ObjectHash::of(&text));
        }
        let node = newest.and_then(|newest| Some((newest.head, newest.read(self.recipes)?.0)));
        let head = node
            .as_ref()
            .map(|(hash, node): &(_, VersionNode)| (*hash, node));
        self.write.version(self.recipes, object, head, self.now)
    }

    fn id_text(&mut self, id: impl Into<IdHash>, text: String) {
        self.write.texts.push((Reference::Id(id.into()), text));
    }

    fn signed(&mut self, data: ObjectHash) -> Result<(), WriteFault> {
        self.object(&signature_over(self.own, data)).map(drop)
    }

    /// A certificate with its licence, signed.
    fn certified(&mut self, license: License, certificate: &Object) -> Result<(), WriteFault> {
        self.object(&license.object())?;
        let certificate = self.object(certificate)?;
        self.signed(certificate)
    }

    fn keys(
        &mut self,
        owner: IdHash,
        key: &str,
        sign_key: SignKey,
    ) -> Result<ObjectHash, WriteFault> {
        self.object(
            &Object::new("Keys")
                .with("owner", owner)
                .with("publicKey", key)
                .with("publicSignKey", hex::encode(&sign_key.0)),
        )
    }

    /// The profile `default` of a person: with the endpoints of these devices in place of those that it had of them,
    /// and with its signing key. All else that is in it stays.
    fn profile(
        &mut self,
        of: &Subject<'_>,
        newest: Option<&Newest>,
        had: &Endpoints,
    ) -> Result<(ObjectHash, Vec<ObjectHash>), WriteFault> {
        let before = newest.and_then(|newest| Some(newest.read(self.recipes)?.1));
        let list = |name| {
            before
                .as_ref()
                .and_then(|before| before.get(name)?.as_list())
        };
        let person_keys = self.keys(of.person.into(), &of.key, of.sign_key)?;
        let mut keys = Vec::from([person_keys]);
        let mut endpoints = list(ENDPOINTS).unwrap_or_default().to_vec();
        for device in &of.devices {
            let instance = IdHash::from(device.instance);
            let text = crate::objects::Instance {
                name: device.name.into(),
                owner: of.person,
            }
            .id_microdata();
            self.id_text(instance, text);
            let instance_keys = self.keys(instance, &device.key, device.sign_key)?;
            let mut endpoint = Object::new("OneInstanceEndpoint")
                .with("personId", of.person)
                .with("instanceId", instance)
                .with("personKeys", person_keys)
                .with("instanceKeys", instance_keys);
            if let Some(url) = device.url {
                endpoint = endpoint.with("url", url);
            }
            let endpoint = self.object(&endpoint)?;
            let is_of_it = |value: &Value| {
                let object = object_of(value).and_then(|hash| had.get(&hash));
                object.and_then(instance_of) == Some(device.instance)
            };
            endpoints.retain(|value| !is_of_it(value) && object_of(value) != Some(endpoint));
            endpoints.push(endpoint.into());
            keys.push(instance_keys);
        }
        let sign_key = self.object(&sign_key(of.sign_key))?;
        let mut descriptions = list(DESCRIPTIONS).unwrap_or_default().to_vec();
        if !descriptions.contains(&sign_key.into()) {
            descriptions.push(sign_key.into());
        }
        let profile = Object::new("Profile")
            .with("profileId", DEFAULT)
            .with("personId", of.person)
            .with("owner", of.person)
            .with(ENDPOINTS, Value::List(endpoints))
            .with(DESCRIPTIONS, Value::List(descriptions));
        Ok((self.version(&profile, newest)?, keys))
    }

    /// What a pairing stores of a contact, but for its `Someone`.
    pub(super) fn contact(
        &mut self,
        contact: &Contact,
        newest: Option<&Newest>,
        had: &Endpoints,
    ) -> Result<(), WriteFault> {
        let email = contact.email.clone();
        let person = crate::objects::Person { email };
        self.id_text(contact.person_id, person.id_microdata());
        let devices = contact.instances.iter().map(|device| Device {
            instance: device.instance_id,
            name: &device.name,
            key: device.instance_key.hex(),
            sign_key: device.instance_sign_key,
            url: device.url.as_deref(),
        });
        let subject = Subject {
            person: contact.person_id,
            key: contact.person_key.hex(),
            sign_key: contact.person_sign_key,
            devices: devices.collect(),
        };
        let (version, keys) = self.profile(&subject, newest, had)?;
        for keys in keys {
            self.signed(keys)?;
        }
        self.certified(License::TrustKeys, &trust_certificate(version))
    }

    /// What an instance stores of its owner. Without a URL, that of an endpoint that is there stays.
    pub(super) fn owner(
        &mut self,
        url: Option<&str>,
        newest: Option<&Newest>,
        had: &Endpoints,
    ) -> Result<(), WriteFault> {
        let own = self.own;
        let person = own.person_id();
        self.id_text(person, own.person().id_microdata());
        let is_own = |endpoint: &&Object| instance_of(endpoint) == Some(own.instance_id());
        let known = had.values().find(is_own);
        let known = known.and_then(|endpoint| endpoint.get("url")?.as_text());
        let subject = Subject {
            person,
            key: own.person_key().public().hex(),
            sign_key: own.person_sign_key(),
            devices: [Device {
                instance: own.instance_id(),
                name: &own.instance().name,
                key: own.instance_key().public().hex(),
                sign_key: own.instance_sign_key(),
                url: url.or(known),
            }]
            .into(),
        };
        self.profile(&subject, newest, had)?;
        for license in RIGHTS {
            self.certified(license, &right(license, person))?;
        }
        Ok(())
    }

    /// The `Someone` of the owner.
    pub(super) fn me(&mut self, newest: Option<&Newest>) -> Result<(), WriteFault> {
        let person = self.own.person_id();
        let profile = super::profile_id(person);
        let profiles = Value::list([profile]);
        let me = Object::new("Someone")
            .with("someoneId", ME)
            .with("mainProfile", profile)
            .with("identities", Value::map([(IdHash::from(person), profiles)]));
        self.version(&me, newest).map(drop)
    }

    /// The `Someone` of a contact.
    pub(super) fn someone(
        &mut self,
        someone: &Someone,
        newest: Option<&Newest>,
    ) -> Result<(), WriteFault> {
        for (person, member) in someone.contacts() {
            let email = member.email.clone();
            let text = crate::objects::Person { email }.id_microdata();
            self.id_text(person, text);
        }
        self.version(&someone.object(), newest).map(drop)
    }

    /// The list of all contacts. Groups stay as they are.
    pub(super) fn leute(
        &mut self,
        book: &AddressBook,
        newest: Option<&Newest>,
    ) -> Result<(), WriteFault> {
        let before = newest.and_then(|newest| Some(newest.read(self.recipes)?.1));
        let groups = before.as_ref().and_then(|leute| leute.get("group"));
        let contacts = book.someones().filter(|(_, someone)| someone.is_contact());
        let leute = Object::new("Leute")
            .with("appId", APP)
            .with("me", IdHash(id_of(ME).0))
            .with("other", Value::list(contacts.map(|(id, _)| IdHash(id.0))))
            .with("group", groups.cloned().unwrap_or(Value::List(Vec::new())));
        self.version(&leute, newest).map(drop)
    }
}

const ENDPOINTS: &str = "communicationEndpoint";
const DESCRIPTIONS: &str = "personDescription";

/// The rights that the owner of an instance has.
pub(super) const RIGHTS: [License; 2] = [
    License::RightToDeclareTrustedKeysForEverybody,
    License::RightToDeclareTrustedKeysForSelf,
];

/// The certificate of a right.
pub(super) fn right(license: License, beneficiary: PersonId) -> Object {
    let type_name = match license {
        License::RightToDeclareTrustedKeysForSelf => "RightToDeclareTrustedKeysForSelfCertificate",
        _ => "RightToDeclareTrustedKeysForEverybodyCertificate",
    };
    Object::new(type_name)
        .with("beneficiary", beneficiary)
        .with("license", license.hash())
}

/// The certificate that the keys in this version of a profile are those of its person.
pub(super) fn trust_certificate(profile: ObjectHash) -> Object {
    Object::new("TrustKeysCertificate")
        .with("profile", profile)
        .with("license", License::TrustKeys.hash())
}

/// The signature of the owner.
pub(super) fn signature_over(own: &Identity, data: ObjectHash) -> Object {
    signature::object(own.person_id(), data, &own.sign(data))
}

/// A signing key, as profiles have it.
pub(super) fn sign_key(key: SignKey) -> Object {
    Object::new("SignKey").with("key", hex::encode(&key.0))
}

/// The objects that a profile names as endpoints, at most so many.
pub(super) fn endpoints_of(profile: &Object, most: usize) -> Vec<Reference> {
    let list = profile.get(ENDPOINTS).and_then(Value::as_list);
    let objects = list.unwrap_or_default().iter().filter_map(object_of);
    objects.take(most).map(Reference::Object).collect()
}

/// Whether a profile names this object as a description.
pub(super) fn describes(profile: &Object, description: ObjectHash) -> bool {
    let list = profile.get(DESCRIPTIONS).and_then(Value::as_list);
    list.unwrap_or_default()
        .iter()
        .any(|value| object_of(value) == Some(description))
}

/// Which device an endpoint is of.
pub(super) fn instance_of(endpoint: &Object) -> Option<InstanceId> {
    match endpoint.get("instanceId")?.as_reference()? {
        Reference::Id(id) if endpoint.type_name == "OneInstanceEndpoint" => Some(InstanceId(id.0)),
        _ => None,
    }
}

pub(super) fn object_of(value: &Value) -> Option<ObjectHash> {
    match value.as_reference()? {
        Reference::Object(hash) => Some(hash),
        _ => None,
    }
}

/// The objects that these texts are, by their hashes; what is missing or unreadable is left out.
pub(super) fn objects(
    recipes: &Recipes,
    asked: &[Reference],
    texts: &[Option<String>],
) -> BTreeMap<Reference, Object> {
    let read = |(what, text): (&Reference, &Option<String>)| {
        let object = recipes
            .read(text.as_deref()?, &ReadLimits::default())
            .ok()?;
        Some((*what, object))
    };
    asked.iter().zip(texts).filter_map(read).collect()
}
