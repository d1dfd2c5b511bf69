//! Who is who: the contacts, and the rules by which they are found, merged, split and removed (spec 13,
//! "Conversations", rules 1 to 8). Nothing here is stored or sent; each change is a [`Plan`] first, which becomes true
//! when it is stored.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::someone::{ME, Member, NAME, Someone, id_of, profile_id};
use crate::channels::topic_name;
use crate::crypto::{Purpose, Random};
use crate::objects::{PersonId, SomeoneId};
use crate::pairing::ALPHABET;
use crate::time::Millis;

/// The contacts of one person.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddressBook {
    own: PersonId,
    someones: BTreeMap<SomeoneId, Someone>,
    /// In which one each person is.
    of_person: BTreeMap<PersonId, SomeoneId>,
    /// The ids of those that were merged away, and what they are now.
    aliases: BTreeMap<SomeoneId, SomeoneId>,
}

/// A change that is to be stored as one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Plan {
    /// Contacts as they are from now on, whole, each under its id.
    pub put: Vec<Someone>,
    /// Contacts that are no more: each is an alias of another one.
    pub gone: Vec<SomeoneId>,
    /// Persons from whom everything is taken back that was granted to them.
    pub withdrawn: Vec<PersonId>,
}

/// What was asked of an address book cannot be. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BookFault {
    /// There is no such contact.
    #[error("there is no such contact")]
    Unknown,
    /// The owner of the address book is no contact of his own.
    #[error("the owner of an address book is none of its contacts")]
    Own,
    /// A contact was to be merged with itself.
    #[error("both are one contact already")]
    Same,
    /// A person was to be split off a contact that it is not in.
    #[error("this person is not in that contact")]
    NotInIt,
    /// Nobody would be left in a contact, or nobody was to be split off.
    #[error("somebody has to be split off, and somebody has to stay")]
    NobodyLeft,
}

/// What was said with a contact: the channels that are shared with its persons, shown as one (rule 2). Its id is that of
/// the contact and means nothing to anybody else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conversation {
    /// Which.
    pub id: SomeoneId,
    /// One for each person; the first one is that of the main person, into which a message goes.
    pub channels: Vec<SharedChannel>,
}

/// A channel that two persons share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SharedChannel {
    /// The other person.
    pub person: PersonId,
    /// The name of the topic and of the channel, made of both person ids.
    pub name: String,
    /// What is not later than this is not shown.
    pub hide_before: Option<Millis>,
}

impl AddressBook {
    /// The address book of this person, with what was stored. What a crash or a merge of two address books has left is
    /// put in order: two contacts that hold one person become one, and a person that this instance has paired with
    /// (`paired`, by id and email) is in one of them. The plan says what has changed by that.
    #[must_use]
    pub fn load(
        own: PersonId,
        kept: impl IntoIterator<Item = Someone>,
        paired: impl IntoIterator<Item = (PersonId, String)>,
        random: &mut Random,
    ) -> (Self, Plan) {
        let mut book = Self {
            own,
            someones: BTreeMap::new(),
            of_person: BTreeMap::new(),
            aliases: BTreeMap::new(),
        };
        // In the order of their ids, so that all own devices come to the same.
        let stored: BTreeMap<SomeoneId, Someone> = kept
            .into_iter()
            .map(|someone| (someone.id(), someone))
            .collect();
        for someone in stored.values() {
            book.take(someone.clone());
        }
        book.settle_aliases();
        for (person, email) in paired {
            if !book.is_contact(person)
                && let Ok(plan) = book.pair(person, &email, random)
            {
                book.apply(&plan);
            }
        }
        let changed = |someone: &&Someone| stored.get(&someone.id()) != Some(*someone);
        let put: Vec<Someone> = book.someones.values().filter(changed).cloned().collect();
        let gone = stored.keys().filter(|id| !book.someones.contains_key(*id));
        // Who was removed in one of several contacts is removed, and may still have grants of another one.
        let was_one = stored.values().flat_map(Someone::contacts);
        let removed: BTreeSet<PersonId> = was_one
            .map(|(person, _)| person)
            .filter(|person| *person != own && !book.is_contact(*person))
            .collect();
        let plan = Plan {
            gone: gone.copied().collect(),
            withdrawn: removed.into_iter().collect(),
            put,
        };
        (book, plan)
    }

    /// Takes a contact in. If it has a person of others, they become one; if it has nobody but the owner, it is none.
    fn take(&mut self, mut someone: Someone) {
        someone.persons.remove(&self.own);
        if someone.persons.is_empty() {
            return;
        }
        someone.choose_main();
        let persons = someone.persons.keys();
        let others: BTreeSet<SomeoneId> = persons
            .filter_map(|person| self.of_person.get(person).copied())
            .collect();
        for id in &others {
            if let Some(other) = self.someones.get(id) {
                someone = joined(someone, other.clone());
            }
        }
        self.apply(&Plan {
            gone: others.into_iter().collect(),
            put: [someone].into(),
            ..Plan::default()
        });
    }

    /// The id of a contact is no alias of another one: what another device has merged may be split again here. Of two
    /// that have one alias the smaller id keeps it.
    fn settle_aliases(&mut self) {
        self.aliases.clear();
        let ids: BTreeSet<SomeoneId> = self.someones.keys().copied().collect();
        for (id, someone) in &mut self.someones {
            someone.aliases.retain(|alias| {
                !ids.contains(alias) && *self.aliases.entry(*alias).or_insert(*id) == *id
            });
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn own(&self) -> PersonId {
        self.own
    }

    /// All contacts, those that were removed among them.
    pub fn someones(&self) -> impl Iterator<Item = (SomeoneId, &Someone)> {
        self.someones.iter().map(|(id, someone)| (*id, someone))
    }

    /// The contact of this id, or of this alias.
    #[must_use]
    pub fn someone(&self, id: SomeoneId) -> Option<(SomeoneId, &Someone)> {
        let id = self.aliases.get(&id).copied().unwrap_or(id);
        Some((id, self.someones.get(&id)?))
    }

    /// The contact that this person is in, removed or not.
    #[must_use]
    pub fn of_person(&self, person: PersonId) -> Option<(SomeoneId, &Someone)> {
        self.someone(*self.of_person.get(&person)?)
    }

    /// What is kept of a person, removed or not.
    #[must_use]
    pub fn member(&self, person: PersonId) -> Option<&Member> {
        self.of_person(person)?.1.persons.get(&person)
    }

    /// Whether a person is a contact that is not removed.
    #[must_use]
    pub fn is_contact(&self, person: PersonId) -> bool {
        self.member(person).is_some_and(|member| !member.removed)
    }

    /// The conversation with a contact; the id may be an alias.
    #[must_use]
    pub fn conversation(&self, id: SomeoneId) -> Option<Conversation> {
        let (id, someone) = self.someone(id)?;
        let mut persons: Vec<_> = someone.persons.iter().collect();
        persons.sort_by_key(|(person, _)| (**person != someone.main, **person));
        let channels = persons.into_iter().filter_map(|(person, member)| {
            Some(SharedChannel {
                person: *person,
                name: topic_name(self.own, *person)?,
                hide_before: member.hide_before,
            })
        });
        Some(Conversation {
            id,
            channels: channels.collect(),
        })
    }

    // --- what changes --------------------------------------------------------------------------------------------

    /// This person was paired with: it is a contact from now on, in the one that it was in before, if there is one.
    ///
    /// # Errors
    /// [`BookFault::Own`]
    pub fn pair(
        &self,
        person: PersonId,
        email: &str,
        random: &mut Random,
    ) -> Result<Plan, BookFault> {
        if person == self.own {
            return Err(BookFault::Own);
        }
        let mut someone = match self.of_person(person) {
            Some((_, someone)) => someone.clone(),
            None => self.fresh(person, random),
        };
        let is_new = Member {
            email: email.into(),
            profiles: [profile_id(person)].into(),
            removed: false,
            hide_before: None,
        };
        let member = someone.persons.entry(person).or_insert(is_new);
        member.removed = false;
        member.profiles.insert(profile_id(person));
        someone.choose_main();
        Ok(Plan {
            put: [someone].into(),
            ..Plan::default()
        })
    }

    /// This person is removed: it has no route, and what was granted to it is taken back. With `hide_before`,
    /// what was said up to then is not shown any more.
    ///
    /// # Errors
    /// [`BookFault::Unknown`]
    pub fn remove(&self, person: PersonId, hide_before: Option<Millis>) -> Result<Plan, BookFault> {
        let (_, someone) = self.of_person(person).ok_or(BookFault::Unknown)?;
        let mut someone = someone.clone();
        if let Some(member) = someone.persons.get_mut(&person) {
            member.removed = true;
            member.hide_before = member.hide_before.max(hide_before);
        }
        someone.choose_main();
        Ok(Plan {
            put: [someone].into(),
            withdrawn: [person].into(),
            ..Plan::default()
        })
    }

    /// Two contacts are one from now on. The smaller id stays, so that all own devices come to the same one; the other
    /// one is its alias.
    ///
    /// # Errors
    /// [`BookFault::Unknown`], [`BookFault::Same`]
    pub fn merge(&self, one: SomeoneId, other: SomeoneId) -> Result<Plan, BookFault> {
        let (a, one) = self.someone(one).ok_or(BookFault::Unknown)?;
        let (b, other) = self.someone(other).ok_or(BookFault::Unknown)?;
        if a == b {
            return Err(BookFault::Same);
        }
        Ok(Plan {
            put: [joined(one.clone(), other.clone())].into(),
            gone: [a.max(b)].into(),
            ..Plan::default()
        })
    }

    /// These persons become a contact of their own, and take their channels along. Aliases stay.
    ///
    /// # Errors
    /// [`BookFault::Unknown`], [`BookFault::NotInIt`], [`BookFault::NobodyLeft`]
    pub fn split(
        &self,
        of: SomeoneId,
        persons: &BTreeSet<PersonId>,
        random: &mut Random,
    ) -> Result<Plan, BookFault> {
        let (_, someone) = self.someone(of).ok_or(BookFault::Unknown)?;
        if !persons.iter().all(|p| someone.persons.contains_key(p)) {
            return Err(BookFault::NotInIt);
        }
        let first = persons.first().ok_or(BookFault::NobodyLeft)?;
        let (mut stays, mut goes) = (someone.clone(), self.fresh(*first, random));
        let (moved, left) = core::mem::take(&mut stays.persons)
            .into_iter()
            .partition(|(person, _)| persons.contains(person));
        (goes.persons, stays.persons) = (moved, left);
        if stays.persons.is_empty() {
            return Err(BookFault::NobodyLeft);
        }
        if persons.contains(&someone.main) {
            goes.main = someone.main;
        }
        goes.choose_main();
        stays.choose_main();
        Ok(Plan {
            put: [stays, goes].into(),
            ..Plan::default()
        })
    }

    /// It is stored: from now on it is so.
    pub fn apply(&mut self, plan: &Plan) {
        for id in &plan.gone {
            self.someones.remove(id);
        }
        for someone in &plan.put {
            let id = someone.id();
            let persons = someone.persons.keys().map(|person| (*person, id));
            self.of_person.extend(persons);
            let aliases = someone.aliases.iter().map(|alias| (*alias, id));
            self.aliases.extend(aliases);
            self.someones.insert(id, someone.clone());
        }
    }

    /// A contact without a person, of a new random id.
    fn fresh(&self, main: PersonId, random: &mut Random) -> Someone {
        loop {
            let bytes: [u8; NAME] = random.array(Purpose::SomeoneId);
            let someone_id: String = bytes
                .iter()
                .map(|byte| char::from(ALPHABET[usize::from(byte % 64)]))
                .collect();
            let id = id_of(&someone_id);
            // With a generator that repeats itself, as in tests, it may be taken.
            let taken = self.someones.contains_key(&id) || self.aliases.contains_key(&id);
            if !taken && someone_id != ME {
                return Someone {
                    someone_id,
                    main,
                    persons: BTreeMap::new(),
                    aliases: BTreeSet::new(),
                };
            }
        }
    }

    /// Whether the tables agree with each other and the rules hold; if not, what does not. For tests and simulations.
    ///
    /// # Errors
    /// What does not hold.
    pub fn self_check(&self) -> Result<(), String> {
        let mut persons = BTreeMap::new();
        let mut aliases = BTreeMap::new();
        for (id, someone) in &self.someones {
            if someone.id() != *id {
                return Err(format!("{id} is kept under another id"));
            }
            if !someone.persons.contains_key(&someone.main) {
                return Err(format!("the main person of {id} is not in it"));
            }
            for person in someone.persons.keys() {
                if *person == self.own || persons.insert(*person, *id).is_some() {
                    return Err(format!("{person} is in two contacts, or the owner"));
                }
            }
            for alias in &someone.aliases {
                let again = aliases.insert(*alias, *id).is_some();
                if again || self.someones.contains_key(alias) {
                    return Err(format!("the alias {alias} of {id} is another one as well"));
                }
            }
        }
        match persons == self.of_person && aliases == self.aliases {
            true => Ok(()),
            false => Err("the tables of an address book differ".into()),
        }
    }
}

impl Someone {
    /// The main person is not a removed one, if there is another one.
    fn choose_main(&mut self) {
        let is_there = |person: &PersonId| self.persons.get(person).is_some_and(|m| !m.removed);
        if !is_there(&self.main) {
            let other = self.persons.keys().copied().find(is_there);
            let any = self.persons.contains_key(&self.main).then_some(self.main);
            let first = self.persons.keys().next().copied();
            self.main = other.or(any).or(first).unwrap_or(self.main);
        }
    }
}

/// Both as one, under the smaller id. What was removed stays so, and what is hidden.
fn joined(one: Someone, other: Someone) -> Someone {
    let (mut stays, goes) = match one.id() <= other.id() {
        true => (one, other),
        false => (other, one),
    };
    let id = stays.id();
    stays.aliases.insert(goes.id());
    stays.aliases.extend(goes.aliases);
    stays.aliases.remove(&id);
    for (person, member) in goes.persons {
        match stays.persons.get_mut(&person) {
            Some(known) => {
                known.profiles.extend(member.profiles);
                known.removed |= member.removed;
                known.hide_before = known.hide_before.max(member.hide_before);
            }
            None => drop(stays.persons.insert(person, member)),
        }
    }
    stays.choose_main();
    stays
}
