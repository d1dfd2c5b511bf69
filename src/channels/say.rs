//! One message: the objects that it is made of, and what is read of them (spec 13, "A message in a channel").

use alloc::string::String;
use alloc::vec::Vec;

use crate::identity::Identity;
use crate::objects::{
    License, Object, ObjectHash, PersonId, Recipes, Reference, SignKey, Value, WriteFault,
    signature,
};
use crate::time::Millis;

/// A message that was made here.
#[derive(Clone, Debug)]
pub struct Said {
    /// The entry of the list: the channel's new head.
    pub entry: ObjectHash,
    /// The message.
    pub message: ObjectHash,
    /// Everything that is to be stored, in an order in which nothing comes before what it refers to.
    pub texts: Vec<(Reference, String)>,
}

/// Makes a message of this person, behind the entry that is the head so far. A message that is said later has to
/// have a later time: `at` is to be greater than that of the head.
///
/// # Errors
/// If the recipes do not have it.
pub fn say(
    recipes: &Recipes,
    by: &Identity,
    text: &str,
    at: Millis,
    head: Option<ObjectHash>,
) -> Result<Said, WriteFault> {
    let mut texts = Vec::new();
    let sender = by.person_id();
    texts.push((Reference::Id(sender.into()), by.person().id_microdata()));
    let mut put = |object: &Object| -> Result<ObjectHash, WriteFault> {
        let text = recipes.write(object)?;
        let hash = ObjectHash::of(&text);
        texts.push((Reference::Object(hash), text));
        Ok(hash)
    };
    let message = put(&Object::new("ChatMessage")
        .with("text", text)
        .with("sender", sender))?;
    let created = put(&Object::new("CreationTime")
        .with("timestamp", at.0 as f64)
        .with("data", message))?;
    let license = put(&License::Affirmation.object())?;
    let certificate = put(&Object::new("AffirmationCertificate")
        .with("data", created)
        .with("license", license))?;
    let signed = put(&signature::object(
        sender,
        certificate,
        &by.sign(certificate),
    ))?;
    let entry = put(&entry(created, [signed].into(), head))?;
    Ok(Said {
        entry,
        message,
        texts,
    })
}

/// An entry of a list.
pub(super) fn entry(
    data: ObjectHash,
    metadata: Vec<ObjectHash>,
    previous: Option<ObjectHash>,
) -> Object {
    let mut entry = Object::new("LinkedListEntry").with("data", data);
    if !metadata.is_empty() {
        entry = entry.with("metadata", metadata);
    }
    match previous {
        Some(previous) => entry.with("previous", previous),
        None => entry,
    }
}

/// A message as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The message.
    pub message: ObjectHash,
    /// When it was made, by the clock of who made it.
    pub at: Millis,
    /// Who says to be its author.
    pub sender: PersonId,
    /// What it says.
    pub text: String,
    /// Whether the sender has signed it, by the key that was given.
    pub affirmed: bool,
    /// The entry before it.
    pub previous: Option<ObjectHash>,
}

/// The message of an entry. `read` gives objects of the store, `key` the signing key of a person. `None` if it is no
/// entry, or not one with a message; the entry before it is told in either case.
pub fn line(
    entry: &Object,
    read: impl Fn(ObjectHash) -> Option<Object>,
    key: impl Fn(PersonId) -> Option<SignKey>,
) -> (Option<Line>, Option<ObjectHash>) {
    let previous = object_of(entry.get("previous"));
    let made = || {
        let created_hash = object_of(entry.get("data"))?;
        let created = read(created_hash)?;
        let at = created.get("timestamp")?.as_number()?;
        let message_hash = object_of(created.get("data"))?;
        let message = read(message_hash)?;
        if message.type_name != "ChatMessage" {
            return None;
        }
        let Some(Reference::Id(sender)) = message.get("sender")?.as_reference() else {
            return None;
        };
        let sender = PersonId(sender.0);
        let affirmed = key(sender).is_some_and(|key| {
            let list = entry.get("metadata").and_then(Value::as_list);
            let signatures = list.unwrap_or_default().iter();
            signatures
                .filter_map(|signature| read(object_of(Some(signature))?))
                .any(|signature| {
                    affirms(&signature, sender, created_hash, &key, &read) == Some(true)
                })
        });
        Some(Line {
            message: message_hash,
            at: Millis(at.max(0.0) as u64),
            sender,
            text: message.get("text")?.as_text()?.into(),
            affirmed,
            previous,
        })
    };
    (made(), previous)
}

/// Whether an object is a signature of this person under an affirmation of that object.
fn affirms(
    object: &Object,
    sender: PersonId,
    data: ObjectHash,
    key: &SignKey,
    read: &impl Fn(ObjectHash) -> Option<Object>,
) -> Option<bool> {
    let issuer = object.get("issuer")?.as_reference()?;
    let certificate_hash = object_of(object.get("data"))?;
    let certificate = read(certificate_hash)?;
    let text = object.get("signature")?.as_text()?;
    Some(
        object.type_name == "Signature"
            && issuer == Reference::Id(sender.into())
            && certificate.type_name == "AffirmationCertificate"
            && object_of(certificate.get("data")) == Some(data)
            && signature::verify(key, &certificate_hash, text),
    )
}

pub(super) fn object_of(value: Option<&Value>) -> Option<ObjectHash> {
    match value?.as_reference()? {
        Reference::Object(hash) => Some(hash),
        _ => None,
    }
}
