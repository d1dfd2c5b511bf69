//! One contact, as it is kept: a `Someone` with its persons, and what their conversation needs (spec 13,
//! "Conversations").

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::objects::{IdHash, Microdata, Object, PersonId, RefKind, SomeoneId, Value};
use crate::time::Millis;

/// Characters of a new `someoneId`.
pub(super) const NAME: usize = 32;
/// The `profileId` of the profile that a pairing makes.
pub(super) const DEFAULT: &str = "default";
/// The `someoneId` of the owner.
pub(super) const ME: &str = "me";

/// A contact: one or more persons that the user holds to be one. It is kept when it is removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Someone {
    /// Its property `someoneId`: 32 random characters. Local, and never shared.
    pub someone_id: String,
    /// The person whose default profile is the main one, and whom a message goes to when no other is named.
    pub main: PersonId,
    /// Its persons. Never empty; a person is in one `Someone` only.
    pub persons: BTreeMap<PersonId, Member>,
    /// The ids of those that were merged into this one.
    pub aliases: BTreeSet<SomeoneId>,
}

/// One person of a contact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The email that its id is made of.
    pub email: String,
    /// Its profiles, by their id hash.
    pub profiles: BTreeSet<IdHash>,
    /// Whether the user has removed it. It has no route then, and nothing that is synchronised brings it back.
    pub removed: bool,
    /// What was said with it up to then is not shown: the user has deleted that.
    pub hide_before: Option<Millis>,
}

impl Someone {
    /// Its id: the id hash of its object. The id of its conversation as well.
    #[must_use]
    pub fn id(&self) -> SomeoneId {
        id_of(&self.someone_id)
    }

    /// Whether it counts as a contact: one of its persons at least is not removed.
    #[must_use]
    pub fn is_contact(&self) -> bool {
        self.persons.values().any(|member| !member.removed)
    }

    /// The persons that are not removed.
    pub fn contacts(&self) -> impl Iterator<Item = (PersonId, &Member)> {
        let persons = self.persons.iter();
        persons
            .filter(|(_, member)| !member.removed)
            .map(|(person, member)| (*person, member))
    }

    /// The object that it is: its persons that are not removed, with their profiles.
    #[must_use]
    pub fn object(&self) -> Object {
        let main = self.persons.get(&self.main);
        let main = main.and_then(|member| member.profiles.first()).copied();
        let identities = self.contacts().map(|(person, member)| {
            let profiles = Value::list(member.profiles.iter().copied());
            (IdHash::from(person), profiles)
        });
        Object::new("Someone")
            .with("someoneId", self.someone_id.as_str())
            .with("mainProfile", main.unwrap_or(profile_id(self.main)))
            .with("identities", Value::map(identities))
    }
}

/// The id of the `Someone` with this `someoneId`.
pub(super) fn id_of(name: &str) -> SomeoneId {
    SomeoneId::of(
        &Microdata::id_object("Someone")
            .text("someoneId", name)
            .finish(),
    )
}

/// The profile `default` of a person, owned by that person.
#[must_use]
pub fn profile_id(person: PersonId) -> IdHash {
    IdHash::of(
        &Microdata::id_object("Profile")
            .text("profileId", DEFAULT)
            .reference("personId", RefKind::Id, &person.0)
            .reference("owner", RefKind::Id, &person.0)
            .finish(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    use crate::objects::{ObjectHash, Person, Recipes};

    #[test]
    fn ids_and_the_object_are_those_of_the_specification() {
        let email = "alice@example.com".into();
        let alice = Person { email }.id();
        assert_eq!(
            profile_id(alice).to_string(),
            "94308e71256c7e2b7ae71821c2c7b5d35182e7f70d0d22b3ebb6ac6515f337fa"
        );
        assert_eq!(
            id_of(ME).to_string(),
            "36d7288c7375b3adc64eb50659d94e38eca187905e047551a99ded280b8243b9"
        );
        let member = Member {
            email: "alice@example.com".into(),
            profiles: [profile_id(alice)].into(),
            removed: false,
            hide_before: None,
        };
        let me = Someone {
            someone_id: ME.into(),
            main: alice,
            persons: [(alice, member)].into(),
            aliases: BTreeSet::new(),
        };
        let text = Recipes::known().write(&me.object()).expect("a contact");
        assert_eq!(
            ObjectHash::of(&text).to_string(),
            "7efa116675d634e2f535ac813b1481f56dd76ea268f8706d31d9ee8614a8b4d7"
        );
    }
}
