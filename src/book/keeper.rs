//! The machine that keeps an address book: it turns a pairing, a removal, a wish of the user or a profile that came
//! into one change that is stored as a whole, and makes it true when it is stored.
//!
//! ```text
//! wish ─> plan ─ Ask::Newest ─> endpoints ─ Ask::Texts ─> Change ─ stored ─> the book
//!                    ^──────────── a head is another one ────┘
//! ```
//! One change at a time; the others wait in their order.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use super::objects::{Endpoints, Papers, endpoints_of, leute_id, objects};
use super::reading::{Endpoint, needs};
use super::someone::{ME, Someone, id_of, profile_id};
use super::state::{AddressBook, BookFault, Plan};
use crate::chum::{Answer, Ask, Newest, Write};
use crate::contact::{Contact, ContactInstance};
use crate::crypto::Random;
use crate::fault::Part;
use crate::identity::Identity;
use crate::io::{NotStored, StoreId};
use crate::limits;
use crate::node::Record;
use crate::objects::{
    IdHash, InstanceId, Object, ObjectHash, PersonId, ReadLimits, Recipes, Reference, SomeoneId,
    WriteFault,
};
use crate::time::Now;

/// Names a change that was asked for, in the event that tells its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What is to be stored as one transaction: a record of the node, contacts, and objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Change {
    /// A record of the node.
    pub record: Option<Record>,
    /// What changes of the address book.
    pub plan: Plan,
    /// Objects and new heads. If a head is another one by now, nothing of the change is stored.
    pub write: Write,
}

/// What an address book tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BookEvent {
    /// A change that was asked for is stored.
    Changed(Ticket),
    /// It cannot be. Nothing has changed.
    Refused(Ticket, BookFault),
    /// It could not be stored. Nothing has changed.
    NotStored(Ticket),
    /// A contact has told of a device that was not taken: this part of it is not as it is on record, or is missing
    /// (spec 13, "Rules for ours", 2 and 3).
    NotTaken {
        /// The contact.
        person: PersonId,
        /// The device.
        instance: InstanceId,
        /// What.
        part: Part,
    },
    /// What the own profile and the contacts' are to say could not be stored; it is tried again at the next start.
    NotWritten,
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum BookOutput {
    /// To be answered by [`Bookkeeper::answered`].
    Ask(Ask),
    /// Likewise, with [`Answer::Done`], [`Answer::Conflict`] or [`Answer::Failed`].
    Change(Box<Change>),
    /// A record of the node is stored, or is not.
    Stored(StoreId, Result<(), NotStored>),
    /// What a contact told of its devices.
    Learned(PersonId, Vec<ContactInstance>),
    /// To be told.
    Event(BookEvent),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
enum Wish {
    /// The own objects, and whatever a load has put in order.
    Start(Option<String>, Plan, Vec<Contact>),
    Url(String),
    Record(StoreId, Record),
    Merge(Ticket, SomeoneId, SomeoneId),
    Split(Ticket, SomeoneId, BTreeSet<PersonId>),
    /// A contact has sent this version of its profile.
    Profile(Contact, ObjectHash),
}

/// A wish as it is carried out.
#[derive(Clone, Debug, Default, PartialEq)]
struct Work {
    record: Option<(StoreId, Record)>,
    ticket: Option<Ticket>,
    plan: Plan,
    /// Whose profiles are to be there.
    contacts: Vec<Contact>,
    /// Whether the owner's is, and with which URL.
    own: Option<Option<String>>,
    newest: BTreeMap<IdHash, Newest>,
}

/// The question that is open.
#[derive(Clone, Debug, PartialEq)]
enum At {
    Newest(Work, Vec<IdHash>),
    Endpoints(Work, Vec<Reference>),
    Change(Work),
    Version(Contact),
    Told(Contact, Vec<Reference>),
    Devices(Contact, Vec<Endpoint>, Vec<Reference>),
}

/// The address book of a running instance.
#[derive(Clone, Debug)]
pub(crate) struct Bookkeeper {
    book: AddressBook,
    recipes: Recipes,
    random: Random,
    waiting: VecDeque<Wish>,
    at: Option<At>,
    outputs: VecDeque<BookOutput>,
    next: u64,
}

impl Bookkeeper {
    /// Of the owner of this identity, with what was stored, and where the instance can be reached, if that is known. It
    /// makes sure that all is there that has to be.
    pub(crate) fn new(
        own: &Identity,
        url: Option<&str>,
        kept: Vec<Someone>,
        contacts: Vec<Contact>,
        recipes: Recipes,
        mut random: Random,
    ) -> Self {
        let paired = contacts.iter().map(|of| (of.person_id, of.email.clone()));
        let (book, plan) = AddressBook::load(own.person_id(), kept, paired, &mut random);
        Self {
            book,
            recipes,
            random,
            waiting: [Wish::Start(url.map(Into::into), plan, contacts)].into(),
            at: None,
            outputs: VecDeque::new(),
            next: 0,
        }
    }

    pub(crate) const fn book(&self) -> &AddressBook {
        &self.book
    }

    /// The node wants this stored.
    pub(crate) fn record(&mut self, id: StoreId, record: Record) {
        self.waiting.push_back(Wish::Record(id, record));
    }

    /// A contact has sent a version of its profile. What comes while too much waits is looked at when it comes again.
    pub(crate) fn profile(&mut self, contact: Contact, version: ObjectHash) {
        if self.waiting.len() < limits::BOOK_CHANGES {
            self.waiting.push_back(Wish::Profile(contact, version));
        }
    }

    /// Where this instance can be reached, for the own profile.
    pub(crate) fn url(&mut self, url: String) {
        self.waiting.push_back(Wish::Url(url));
    }

    pub(crate) fn merge(&mut self, one: SomeoneId, other: SomeoneId) -> Ticket {
        let ticket = self.ticket();
        self.waiting.push_back(Wish::Merge(ticket, one, other));
        ticket
    }

    pub(crate) fn split(&mut self, of: SomeoneId, persons: BTreeSet<PersonId>) -> Ticket {
        let ticket = self.ticket();
        self.waiting.push_back(Wish::Split(ticket, of, persons));
        ticket
    }

    /// The node has not taken what a contact told of a device.
    pub(crate) fn not_taken(&mut self, person: PersonId, instance: InstanceId, part: Part) {
        self.outputs
            .push_back(BookOutput::Event(BookEvent::NotTaken {
                person,
                instance,
                part,
            }));
    }

    fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next)
    }

    /// What is to be done next.
    pub(crate) fn poll(&mut self, now: Now, own: &Identity) -> Option<BookOutput> {
        while self.outputs.is_empty() && self.at.is_none() {
            let wish = self.waiting.pop_front()?;
            self.begin(now, own, wish);
        }
        self.outputs.pop_front()
    }

    fn begin(&mut self, now: Now, own: &Identity, wish: Wish) {
        let mut work = Work::default();
        let planned = match wish {
            Wish::Profile(contact, version) => {
                let ask = Ask::Texts([Reference::Object(version)].into());
                return self.ask(At::Version(contact), ask);
            }
            Wish::Start(url, plan, contacts) => {
                work.own = Some(url);
                // Who is in a contact that changes may have been paired with before there was an address book.
                let is_new = |of: &Contact| {
                    let mut put = plan.put.iter();
                    put.any(|someone| someone.persons.contains_key(&of.person_id))
                };
                work.contacts = contacts.into_iter().filter(is_new).collect();
                Ok(plan)
            }
            Wish::Url(url) => {
                work.own = Some(Some(url));
                Ok(Plan::default())
            }
            Wish::Record(id, record) => {
                let planned = match &record {
                    Record::Paired { contact, .. } => {
                        work.contacts.push(contact.clone());
                        let (person, email) = (contact.person_id, &contact.email);
                        self.book.pair(person, email, &mut self.random)
                    }
                    Record::Forgotten {
                        person,
                        hide_before,
                    } => match self.book.remove(*person, *hide_before) {
                        // A pairing that was not agreed on had not become a contact.
                        Err(BookFault::Unknown) => Ok(Plan::default()),
                        planned => planned,
                    },
                    _ => Ok(Plan::default()),
                };
                work.record = Some((id, record));
                planned
            }
            Wish::Merge(ticket, one, other) => {
                work.ticket = Some(ticket);
                self.book.merge(one, other)
            }
            Wish::Split(ticket, of, persons) => {
                work.ticket = Some(ticket);
                self.book.split(of, &persons, &mut self.random)
            }
        };
        match planned {
            Ok(plan) => {
                work.plan = plan;
                self.newest(now, own, work);
            }
            Err(fault) => {
                let refused = work
                    .ticket
                    .map(|ticket| BookOutput::Event(BookEvent::Refused(ticket, fault)));
                let record = work.record;
                let record = record.map(|(id, _)| BookOutput::Stored(id, Err(NotStored)));
                self.outputs.extend(refused.into_iter().chain(record));
            }
        }
    }

    fn ask(&mut self, at: At, ask: Ask) {
        self.at = Some(at);
        self.outputs.push_back(BookOutput::Ask(ask));
    }

    /// Asks for the newest versions of all that the work may change.
    fn newest(&mut self, now: Now, own: &Identity, work: Work) {
        let mut ids: Vec<IdHash> = Vec::new();
        ids.extend(work.contacts.iter().map(|of| profile_id(of.person_id)));
        if work.own.is_some() {
            ids.extend([profile_id(own.person_id()), IdHash(id_of(ME).0)]);
        }
        let put = work.plan.put.iter().filter(|someone| someone.is_contact());
        ids.extend(put.map(|someone| IdHash(someone.id().0)));
        if work.changes_leute()
            && let Ok(leute) = leute_id(&self.recipes)
        {
            ids.push(leute);
        }
        match ids.is_empty() {
            true => self.change(now, own, work, &Endpoints::new()),
            false => self.ask(At::Newest(work, ids.clone()), Ask::Newest(ids)),
        }
    }

    /// The store has answered.
    pub(crate) fn answered(&mut self, now: Now, own: &Identity, answer: Answer) {
        let Some(at) = self.at.take() else {
            return;
        };
        match (at, answer) {
            (At::Newest(mut work, ids), Answer::Newest(newest)) => {
                let known = ids.into_iter().zip(newest);
                work.newest = known.filter_map(|(id, of)| Some((id, of?))).collect();
                self.endpoints(now, own, work);
            }
            (At::Endpoints(work, asked), Answer::Texts(texts)) => {
                let read = objects(&self.recipes, &asked, &texts).into_iter();
                let had = read.filter_map(|(what, object)| match what {
                    Reference::Object(hash) => Some((hash, object)),
                    _ => None,
                });
                self.change(now, own, work, &had.collect());
            }
            (At::Change(work), Answer::Done) => {
                self.book.apply(&work.plan);
                let changed = work.ticket.map(BookEvent::Changed);
                self.outputs.extend(changed.map(BookOutput::Event));
                let stored = work.record.map(|(id, _)| BookOutput::Stored(id, Ok(())));
                self.outputs.extend(stored);
            }
            // Something else has written a new version: from the start, with that.
            (At::Change(work), Answer::Conflict) => self.newest(now, own, work),
            (At::Newest(work, _) | At::Endpoints(work, _) | At::Change(work), _) => {
                self.not_stored(work);
            }
            (At::Version(contact), Answer::Texts(texts)) => self.version(contact, &texts),
            (At::Told(contact, asked), Answer::Texts(texts)) => {
                let read = objects(&self.recipes, &asked, &texts);
                let of = |object: &Object| Endpoint::of(object, &contact);
                let endpoints: Vec<Endpoint> = read.values().filter_map(of).collect();
                let asked = needs(&endpoints);
                if !asked.is_empty() {
                    let ask = Ask::Texts(asked.clone());
                    self.ask(At::Devices(contact, endpoints, asked), ask);
                }
            }
            (At::Devices(contact, endpoints, asked), Answer::Texts(texts)) => {
                self.devices(
                    now,
                    &contact,
                    &endpoints,
                    &objects(&self.recipes, &asked, &texts),
                );
            }
            // Not read: it stays as it is known.
            (At::Version(_) | At::Told(..) | At::Devices(..), _) => {}
        }
    }

    fn not_stored(&mut self, work: Work) {
        let event = match (work.ticket, &work.record) {
            (Some(ticket), _) => Some(BookEvent::NotStored(ticket)),
            (None, None) => Some(BookEvent::NotWritten),
            (None, Some(_)) => None,
        };
        self.outputs.extend(event.map(BookOutput::Event));
        let stored = |(id, _)| BookOutput::Stored(id, Err(NotStored));
        self.outputs.extend(work.record.map(stored));
    }

    /// Reads the endpoints of the profiles that get new versions.
    fn endpoints(&mut self, now: Now, own: &Identity, work: Work) {
        let persons = work.contacts.iter().map(|of| of.person_id);
        let persons = persons.chain(work.own.as_ref().map(|_| own.person_id()));
        let mut asked = Vec::new();
        for newest in persons.filter_map(|person| work.newest.get(&profile_id(person))) {
            let Some((_, profile)) = newest.read(&self.recipes) else {
                // What cannot be read cannot be added to.
                return self.not_stored(work);
            };
            asked.extend(endpoints_of(&profile, limits::BOOK_ENDPOINTS));
        }
        match asked.is_empty() {
            true => self.change(now, own, work, &Endpoints::new()),
            false => self.ask(At::Endpoints(work, asked.clone()), Ask::Texts(asked)),
        }
    }

    fn change(&mut self, now: Now, own: &Identity, work: Work, had: &Endpoints) {
        match self.write(now, own, &work, had) {
            Ok(write) => {
                let change = Change {
                    record: work.record.as_ref().map(|(_, record)| record.clone()),
                    plan: work.plan.clone(),
                    write,
                };
                // What is stored with a version is there if the version is.
                let is_nothing = change.record.is_none()
                    && change.plan == Plan::default()
                    && change.write.heads.is_empty();
                self.at = Some(At::Change(work));
                match is_nothing {
                    true => self.answered(now, own, Answer::Done),
                    false => self.outputs.push_back(BookOutput::Change(change.into())),
                }
            }
            Err(_) => self.not_stored(work),
        }
    }

    /// The objects of a change.
    fn write(
        &self,
        now: Now,
        own: &Identity,
        work: &Work,
        had: &Endpoints,
    ) -> Result<Write, WriteFault> {
        let mut papers = Papers::new(&self.recipes, own, now.wall);
        let newest = |id: IdHash| work.newest.get(&id);
        if let Some(url) = &work.own {
            let profile = newest(profile_id(own.person_id()));
            papers.owner(url.as_deref(), profile, had)?;
            papers.me(newest(IdHash(id_of(ME).0)))?;
        }
        for contact in &work.contacts {
            papers.contact(contact, newest(profile_id(contact.person_id)), had)?;
        }
        for someone in work.plan.put.iter().filter(|someone| someone.is_contact()) {
            papers.someone(someone, newest(IdHash(someone.id().0)))?;
        }
        if work.changes_leute() {
            let mut book = self.book.clone();
            book.apply(&work.plan);
            papers.leute(&book, newest(leute_id(&self.recipes)?))?;
        }
        Ok(papers.into_write())
    }

    // --- what a contact tells ------------------------------------------------------------------------------------

    fn version(&mut self, contact: Contact, texts: &[Option<String>]) {
        let text = texts.first().and_then(Option::as_deref);
        let profile = text.and_then(|text| self.recipes.read(text, &ReadLimits::default()).ok());
        let owner = IdHash::from(contact.person_id).into();
        let is_own = |profile: &Object| {
            profile.type_name == "Profile"
                && profile.get("personId") == Some(&owner)
                && profile.get("owner") == Some(&owner)
        };
        let Some(profile) = profile.filter(is_own) else {
            return;
        };
        let asked = endpoints_of(&profile, limits::BOOK_ENDPOINTS);
        if !asked.is_empty() {
            let ask = Ask::Texts(asked.clone());
            self.ask(At::Told(contact, asked), ask);
        }
    }

    fn devices(
        &mut self,
        now: Now,
        contact: &Contact,
        endpoints: &[Endpoint],
        read: &BTreeMap<Reference, Object>,
    ) {
        let mut devices = Vec::new();
        for endpoint in endpoints {
            match endpoint.device(contact, read, now.wall) {
                Ok(device) => devices.push(device),
                Err(part) => self.not_taken(contact.person_id, endpoint.instance, part),
            }
        }
        if !devices.is_empty() {
            let learned = BookOutput::Learned(contact.person_id, devices);
            self.outputs.push_back(learned);
        }
    }
}

impl Work {
    fn changes_leute(&self) -> bool {
        self.own.is_some() || self.plan != Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Nacl;
    use crate::objects::Value;
    use crate::time::Millis;

    /// A keeper, and somebody who is a contact.
    fn keeper() -> (Bookkeeper, Contact) {
        let mut random = Random::new([1; 32]);
        let mut someone =
            |email| Identity::generate::<Nacl>(&mut random, email, "phone").expect("good names");
        let (own, other) = (someone("own@example.org"), someone("other@example.org"));
        let recipes = Recipes::known();
        let keeper = Bookkeeper::new(&own, None, Vec::new(), Vec::new(), recipes, random);
        (keeper, Contact::of(&other, None, Millis(0)))
    }

    #[test]
    fn what_a_contact_makes_wait_is_bounded() {
        let (mut keeper, contact) = keeper();
        for n in 0..=limits::BOOK_CHANGES {
            keeper.profile(contact.clone(), ObjectHash::of(&alloc::format!("{n}")));
        }
        assert_eq!(keeper.waiting.len(), limits::BOOK_CHANGES);
    }

    #[test]
    fn a_contact_tells_of_its_own_devices_in_its_own_profile_only() {
        let (mut keeper, contact) = keeper();
        let (it, other) = (contact.person_id, PersonId([7; 32]));
        for (person, owner, is_read) in [
            (it, other, false),
            (other, it, false),
            (other, other, false),
            (it, it, true),
        ] {
            let endpoint = Value::from(ObjectHash([9; 32]));
            let profile = Object::new("Profile")
                .with("profileId", "default")
                .with("personId", IdHash::from(person))
                .with("owner", IdHash::from(owner))
                .with("communicationEndpoint", Value::List([endpoint].into()))
                .with("personDescription", Value::List(Vec::new()));
            let text = keeper.recipes.write(&profile).expect("a profile");
            keeper.version(contact.clone(), &[Some(text)]);
            assert_eq!(keeper.at.is_some(), is_read, "{person} {owner}");
        }
    }
}
