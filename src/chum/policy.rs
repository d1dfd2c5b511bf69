//! What a peer may write here (spec 11, "What a peer may write: hole").
//!
//! An allow list: asked before anything is fetched, and again with what was fetched before that is stored or merged.
//! Without it a paired peer could rewrite the own person, the contact list, or another contact's keys.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use crate::channels::topic_name;
use crate::objects::{IdHash, InstanceId, Object, Person, PersonId, Reference, Value};

/// What a peer offers, or what has come of it.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// Who offers it: the person that is proven on this connection.
    pub from: PersonId,
    /// As what.
    pub role: Role,
    /// Its type; none is known of a child that has not come yet.
    pub type_name: Option<&'a str>,
    /// Its hash, or the id hash of the thing that it is a version of.
    pub reference: Reference,
}

/// As what something is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// An object without versions, that a peer shares.
    Unversioned,
    /// One version of a thing.
    Versioned,
    /// An id object.
    Id,
    /// A version that is to be merged into the head.
    VersionNode,
    /// Something that a root refers to. It has no effect of its own.
    Child,
}

/// What a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It may be stored.
    Accept,
    /// It may not. It is not tried again until the policy or the recipes have changed.
    Refuse,
    /// Not now; it is tried again later.
    Later,
}

/// Decides what is taken from whom.
pub trait Policy: fmt::Debug + Send + Sync {
    /// Before it is fetched.
    fn offered(&self, offer: &Offer<'_>) -> Verdict;
    /// Before it is stored, or merged: `object` is what came (of a version node: the data).
    fn arrived(&self, offer: &Offer<'_>, object: &Object) -> Verdict;
}

/// A rule of the embedder for a type of its own: whether a version may be taken from a person.
pub type Rule = Arc<dyn Fn(PersonId, &Object) -> Verdict + Send + Sync>;

/// The policy of the specification.
#[derive(Clone, Default)]
pub struct DefaultPolicy {
    /// The persons of this instance.
    own: BTreeSet<PersonId>,
    /// The instances of this instance's persons.
    instances: BTreeSet<InstanceId>,
    /// Versioned types that the embedder takes, and from whom.
    rules: BTreeMap<String, Rule>,
    /// Channels without an owner that a person takes part in, besides the one of two.
    channels: BTreeSet<(PersonId, IdHash)>,
}

impl fmt::Debug for DefaultPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DefaultPolicy")
            .field("own", &self.own)
            .field("instances", &self.instances)
            .field("rules", &self.rules.keys())
            .field("channels", &self.channels)
            .finish()
    }
}

impl DefaultPolicy {
    /// For an instance of this person. Keys with these owners are taken from nobody.
    #[must_use]
    pub fn new(person: PersonId, instance: InstanceId) -> Self {
        Self {
            own: [person].into(),
            instances: [instance].into(),
            ..Self::default()
        }
    }

    /// Takes versions of a type of the embedder's, if its rule says so.
    pub fn take_versions(&mut self, type_name: &str, rule: Rule) {
        self.rules.insert(type_name.into(), rule);
    }

    /// This person takes part in a channel that has no owner.
    pub fn take_channel(&mut self, person: PersonId, channel: IdHash) {
        self.channels.insert((person, channel));
    }

    /// Whether a version of this thing may come from a person.
    fn version(&self, offer: &Offer<'_>, type_name: &str, object: &Object) -> Verdict {
        let from = offer.from;
        let person = |name: &str| match object.get(name).and_then(Value::as_reference) {
            Some(Reference::Id(id)) => Some(PersonId(id.0)),
            _ => None,
        };
        let yes = |is: bool| match is {
            true => Verdict::Accept,
            false => Verdict::Refuse,
        };
        match type_name {
            "Profile" => yes(person("personId") == Some(from) && person("owner") == Some(from)),
            "Person" => yes(object
                .get("email")
                .and_then(Value::as_text)
                .is_some_and(|email| {
                    let email = email.into();
                    Person { email }.id() == from
                })),
            "ChannelInfo" => match object.get("owner") {
                Some(_) => yes(person("owner") == Some(from)),
                None => yes(self.takes_part(offer, object)),
            },
            _ => match self.rules.get(type_name) {
                Some(rule) => rule(from, object),
                None => Verdict::Refuse,
            },
        }
    }

    fn takes_part(&self, offer: &Offer<'_>, object: &Object) -> bool {
        if let Reference::Id(id) = offer.reference
            && self.channels.contains(&(offer.from, id))
        {
            return true;
        }
        let name = object.get("id").and_then(Value::as_text);
        name.is_some_and(|name| {
            let of_two =
                |own: &PersonId| topic_name(*own, offer.from).is_some_and(|topic| topic == name);
            self.own.iter().any(of_two)
        })
    }

    fn owns(&self, id: IdHash) -> bool {
        self.own.contains(&PersonId(id.0)) || self.instances.contains(&InstanceId(id.0))
    }

    fn is_known_version(&self, type_name: &str) -> bool {
        matches!(type_name, "Profile" | "Person" | "ChannelInfo")
            || self.rules.contains_key(type_name)
    }
}

/// Types that no peer may write, in whatever place.
pub(super) fn is_ours_alone(type_name: &str) -> bool {
    matches!(type_name, "Access" | "IdAccess" | "Group")
}

impl Policy for DefaultPolicy {
    fn offered(&self, offer: &Offer<'_>) -> Verdict {
        let Some(type_name) = offer.type_name else {
            return Verdict::Accept;
        };
        if is_ours_alone(type_name) {
            return Verdict::Refuse;
        }
        let is_taken = match offer.role {
            Role::Unversioned | Role::Child => true,
            Role::Id => type_name == "Instance" || self.is_known_version(type_name),
            Role::Versioned | Role::VersionNode => self.is_known_version(type_name),
        };
        match is_taken {
            true => Verdict::Accept,
            false => Verdict::Refuse,
        }
    }

    fn arrived(&self, offer: &Offer<'_>, object: &Object) -> Verdict {
        let type_name = object.type_name.as_str();
        if is_ours_alone(type_name) {
            return Verdict::Refuse;
        }
        match offer.role {
            Role::Child => Verdict::Accept,
            Role::Unversioned => {
                let owner = match object.get("owner").and_then(Value::as_reference) {
                    Some(Reference::Id(id)) => Some(id),
                    _ => None,
                };
                let of_ours = owner.is_some_and(|id| self.owns(id));
                match type_name == "Keys" && of_ours {
                    true => Verdict::Refuse,
                    false => Verdict::Accept,
                }
            }
            Role::Id if matches!(type_name, "Person" | "Instance") => Verdict::Accept,
            Role::Id | Role::Versioned | Role::VersionNode => {
                self.version(offer, type_name, object)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_owner_and_of_its_instances_come_from_no_peer() {
        let (own, instance) = (PersonId([1; 32]), InstanceId([2; 32]));
        let policy = DefaultPolicy::new(own, instance);
        let keys = |owner: IdHash| {
            let offer = Offer {
                from: PersonId([3; 32]),
                role: Role::Unversioned,
                type_name: Some("Keys"),
                reference: Reference::Object(crate::objects::ObjectHash([4; 32])),
            };
            policy.arrived(&offer, &Object::new("Keys").with("owner", owner))
        };
        assert_eq!(keys(own.into()), Verdict::Refuse);
        assert_eq!(keys(instance.into()), Verdict::Refuse);
        assert_eq!(keys(IdHash([3; 32])), Verdict::Accept);
    }
}
