//! The rules of conversations (spec 13): whatever is done to an address book, in whatever order, there is one
//! conversation for each contact, a channel is one of exactly two persons, and nothing is granted.

use std::collections::{BTreeMap, BTreeSet};

use chumwire::book::{AddressBook, BookFault, Member, Plan, Someone, profile_id};
use chumwire::channels::topic_name;
use chumwire::crypto::Random;
use chumwire::objects::{Person, PersonId, SomeoneId};
use chumwire::time::Millis;
use proptest::prelude::*;

/// Persons in play.
const PERSONS: usize = 6;

fn email(n: usize) -> String {
    format!("person{n}@example.com")
}

fn person(n: usize) -> PersonId {
    let email = email(n);
    Person { email }.id()
}

fn own() -> PersonId {
    let email = "owner@example.com".into();
    Person { email }.id()
}

/// What a user does. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Act {
    Pair(usize),
    Merge(usize, usize),
    Split(usize, Vec<bool>),
    Remove(usize, Option<u64>),
    /// The user grants the channel with a person, by saying something.
    Say(usize),
    /// The program is started anew from what is stored.
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..PERSONS).prop_map(Act::Pair),
        3 => (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Act::Merge(a, b)),
        2 => (any::<usize>(), prop::collection::vec(any::<bool>(), PERSONS))
            .prop_map(|(of, who)| Act::Split(of, who)),
        2 => (0..PERSONS, prop::option::of(1_u64..1_000)).prop_map(|(who, at)| Act::Remove(who, at)),
        2 => (0..PERSONS).prop_map(Act::Say),
        1 => Just(Act::Restart),
    ]
}

/// An address book with what is stored of it, and what a user would say of it.
struct World {
    book: AddressBook,
    random: Random,
    stored: BTreeMap<SomeoneId, Someone>,
    /// The channels that are granted, by name, and to whom.
    grants: BTreeSet<(String, PersonId)>,
    /// The ids that a contact ever had, by the person that it was asked for with.
    seen: BTreeSet<SomeoneId>,
    contacts: BTreeSet<usize>,
    ever: BTreeSet<usize>,
    /// Up to when the history with a person is hidden.
    hidden: BTreeMap<usize, u64>,
}

impl World {
    fn new() -> Self {
        let mut random = Random::new([1; 32]);
        let (book, plan) = AddressBook::load(own(), [], [], &mut random);
        assert_eq!(plan, Plan::default());
        Self {
            book,
            random,
            stored: BTreeMap::new(),
            grants: BTreeSet::new(),
            seen: BTreeSet::new(),
            contacts: BTreeSet::new(),
            ever: BTreeSet::new(),
            hidden: BTreeMap::new(),
        }
    }

    fn store(&mut self, plan: &Plan) {
        for id in &plan.gone {
            self.stored.remove(id);
        }
        for someone in &plan.put {
            self.stored.insert(someone.id(), someone.clone());
        }
        self.grants
            .retain(|(_, person)| !plan.withdrawn.contains(person));
        self.book.apply(plan);
    }

    fn nth(&self, n: usize) -> Option<SomeoneId> {
        let count = self.stored.len();
        self.stored.keys().nth(n.checked_rem(count)?).copied()
    }

    fn does(&mut self, act: &Act) {
        match act {
            Act::Pair(n) => {
                let before = self.book.of_person(person(*n)).map(|(id, _)| id);
                let plan = self.book.pair(person(*n), &email(*n), &mut self.random);
                self.store(&plan.expect("somebody else"));
                let after = self.book.of_person(person(*n)).map(|(id, _)| id);
                // Whoever was known comes back into the same contact and conversation.
                assert!(before.is_none() || before == after);
                self.contacts.insert(*n);
                self.ever.insert(*n);
            }
            Act::Merge(a, b) => {
                let Some((a, b)) = self.nth(*a).zip(self.nth(*b)) else {
                    return;
                };
                match self.book.merge(a, b) {
                    Ok(plan) => {
                        assert_eq!(self.book.merge(b, a), Ok(plan.clone()), "the order counts");
                        self.store(&plan);
                        let found = |id| self.book.someone(id).map(|(id, _)| id);
                        assert_eq!((found(a), found(b)), (Some(a.min(b)), Some(a.min(b))));
                    }
                    Err(fault) => assert_eq!((fault, a), (BookFault::Same, b)),
                }
            }
            Act::Split(of, who) => {
                let Some(id) = self.nth(*of) else {
                    return;
                };
                let all: Vec<PersonId> = self.stored[&id].persons.keys().copied().collect();
                let chosen = all.iter().zip(who).filter(|(_, goes)| **goes);
                let goes: BTreeSet<PersonId> = chosen.map(|(person, _)| *person).collect();
                match self.book.split(id, &goes, &mut self.random) {
                    Ok(plan) => {
                        self.store(&plan);
                        let at = |person| self.book.of_person(person).map(|(id, _)| id);
                        for person in all {
                            assert_eq!(at(person) == Some(id), !goes.contains(&person));
                        }
                    }
                    Err(fault) => {
                        assert_eq!(fault, BookFault::NobodyLeft);
                        assert!(goes.is_empty() || goes.len() == all.len());
                    }
                }
            }
            Act::Remove(n, at) => match self.book.remove(person(*n), at.map(Millis)) {
                Ok(plan) => {
                    self.store(&plan);
                    self.contacts.remove(n);
                    if let Some(at) = at {
                        let hidden = self.hidden.entry(*n).or_default();
                        *hidden = (*hidden).max(*at);
                    }
                }
                Err(fault) => {
                    assert_eq!(fault, BookFault::Unknown);
                    assert!(!self.ever.contains(n));
                }
            },
            Act::Say(n) => {
                // Into the channel of the main person of the contact that has this one.
                let Some((id, someone)) = self.book.of_person(person(*n)) else {
                    return;
                };
                let conversation = self.book.conversation(id).expect("each contact has one");
                let channel = &conversation.channels[0];
                assert_eq!(channel.person, someone.main);
                if self.book.is_contact(channel.person) {
                    self.grants.insert((channel.name.clone(), channel.person));
                }
            }
            Act::Restart => {
                let paired: Vec<_> = self
                    .contacts
                    .iter()
                    .map(|n| (person(*n), email(*n)))
                    .collect();
                let kept = self.stored.values().cloned();
                let (book, plan) = AddressBook::load(own(), kept, paired, &mut self.random);
                assert_eq!(plan, Plan::default(), "what was stored was in order");
                assert_eq!(book, self.book);
            }
        }
    }

    fn check(&mut self) {
        self.book.self_check().expect("the tables agree");
        let (mut persons, mut channels) = (BTreeSet::new(), BTreeSet::new());
        for (id, someone) in self.book.someones() {
            let conversation = self.book.conversation(id).expect("each contact has one");
            assert_eq!(conversation.id, id);
            // One channel for each of its persons, named by the two persons alone.
            assert_eq!(conversation.channels.len(), someone.persons.len());
            for channel in &conversation.channels {
                assert_eq!(
                    topic_name(own(), channel.person).as_ref(),
                    Some(&channel.name)
                );
                assert!(someone.persons.contains_key(&channel.person));
                assert!(
                    !channel.name.contains(&id.to_string()),
                    "shared under a local id"
                );
                assert!(channels.insert(channel.name.clone()), "shown twice");
                assert!(persons.insert(channel.person), "in two contacts");
            }
        }
        let ever: BTreeSet<PersonId> = self.ever.iter().map(|n| person(*n)).collect();
        assert_eq!(persons, ever, "nobody is lost, and nobody comes by himself");
        for n in 0..PERSONS {
            let member = self.book.member(person(n));
            assert_eq!(self.book.is_contact(person(n)), self.contacts.contains(&n));
            let hidden = member.and_then(|member| member.hide_before);
            assert_eq!(hidden, self.hidden.get(&n).copied().map(Millis));
        }
        // Each grant is of the channel with just that person, who is a contact.
        for (name, person) in &self.grants {
            assert_eq!(topic_name(own(), *person).as_ref(), Some(name));
            assert!(
                self.book.is_contact(*person),
                "a removed person still sees something"
            );
        }
        // An id that a contact once had leads to a contact for ever.
        self.seen.extend(self.stored.keys());
        assert!(self.seen.iter().all(|id| self.book.someone(*id).is_some()));
    }
}

/// A record of any persons, the owner among them, and numbers of its aliases.
fn record() -> impl Strategy<Value = (Someone, BTreeSet<usize>)> {
    let member = (0..=PERSONS, any::<bool>());
    let persons = prop::collection::vec(member, 0..4);
    let aliases = prop::collection::btree_set(0..9_usize, 0..3);
    (0..4_u32, 0..=PERSONS, persons, aliases).prop_map(|(name, main, persons, aliases)| {
        let id = |n| if n == PERSONS { own() } else { person(n) };
        let persons = persons.into_iter().map(|(n, removed)| {
            let member = Member {
                email: email(n),
                profiles: [profile_id(id(n))].into(),
                removed,
                hide_before: None,
            };
            (id(n), member)
        });
        let someone = Someone {
            someone_id: format!("record {name}"),
            main: id(main),
            persons: persons.collect(),
            aliases: BTreeSet::new(),
        };
        (someone, aliases)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Any order of pairings, pairings anew, merges, splits, removals and restarts.
    /// Demands: M10.4, M10.5, M10.6.
    #[test]
    fn there_is_one_conversation_for_each_contact(acts in prop::collection::vec(act(), 1..24)) {
        let mut world = World::new();
        for act in &acts {
            world.does(act);
            world.check();
        }
    }

    /// Two devices have each their own contact for a person, or a crash has left two: they become one when they are
    /// loaded, the same one in any order, and what was removed stays removed.
    #[test]
    fn contacts_that_hold_one_person_become_one(
        sets in prop::collection::vec(prop::collection::btree_set(0..PERSONS, 1..4), 1..6),
        removed in prop::collection::btree_set(0..PERSONS, 0..3),
        turn in any::<usize>(),
    ) {
        let mut random = Random::new([2; 32]);
        let mut kept = Vec::new();
        for set in &sets {
            // Each as a book of its own has it.
            let (mut book, _) = AddressBook::load(own(), [], [], &mut random);
            for n in set {
                let plan = book.pair(person(*n), &email(*n), &mut random).expect("somebody else");
                book.apply(&plan);
                if removed.contains(n) {
                    let plan = book.remove(person(*n), None).expect("it is known");
                    book.apply(&plan);
                }
            }
            while book.someones().count() > 1 {
                let ids: Vec<SomeoneId> = book.someones().map(|(id, _)| id).take(2).collect();
                let plan = book.merge(ids[0], ids[1]).expect("two contacts");
                book.apply(&plan);
            }
            kept.extend(book.someones().map(|(_, someone)| someone.clone()));
        }
        let load = |kept: &[Someone]| {
            let random = &mut Random::new([3; 32]);
            AddressBook::load(own(), kept.iter().cloned(), [], random)
        };
        let (book, plan) = load(&kept);
        book.self_check().expect("the tables agree");
        let mut turned = kept.clone();
        turned.rotate_left(turn % kept.len());
        prop_assert_eq!(&load(&turned).0, &book, "the order counts");
        for n in sets.iter().flatten() {
            prop_assert_eq!(book.is_contact(person(*n)), !removed.contains(n));
        }
        for someone in &kept {
            prop_assert!(book.someone(someone.id()).is_some(), "an id leads nowhere");
        }
        // Once it is stored, it is in order.
        let mut stored: BTreeMap<SomeoneId, Someone> =
            kept.into_iter().map(|someone| (someone.id(), someone)).collect();
        plan.gone.iter().for_each(|id| drop(stored.remove(id)));
        stored.extend(plan.put.into_iter().map(|someone| (someone.id(), someone)));
        let stored: Vec<Someone> = stored.into_values().collect();
        prop_assert_eq!(load(&stored).1, Plan::default());
    }

    /// Whatever is stored, by whatever crash or other device, is in order once it is loaded, and stays so.
    /// Demands: M10.4.
    #[test]
    fn what_is_stored_is_put_in_order(
        records in prop::collection::vec(record(), 0..6),
        paired in prop::collection::btree_set(0..PERSONS, 0..3),
    ) {
        // Aliases are ids of other records, too, and of none.
        let ids: Vec<SomeoneId> = records.iter().map(|(someone, _)| someone.id()).collect();
        let kept = records.into_iter().map(|(mut someone, aliases)| {
            someone.aliases = aliases.iter().map(|n| *ids.get(*n).unwrap_or(&SomeoneId([*n as u8; 32]))).collect();
            (someone.id(), someone)
        });
        let mut stored: BTreeMap<SomeoneId, Someone> = kept.collect();
        let paired: Vec<_> = paired.into_iter().map(|n| (person(n), email(n))).collect();
        let load = |stored: &BTreeMap<SomeoneId, Someone>| {
            let random = &mut Random::new([4; 32]);
            AddressBook::load(own(), stored.values().cloned(), paired.clone(), random)
        };
        let (book, plan) = load(&stored);
        book.self_check().expect("the tables agree");
        let known = |someone: &Someone| someone.persons.keys().copied().collect::<Vec<_>>();
        for person in stored.values().flat_map(known).filter(|person| *person != own()) {
            prop_assert!(book.member(person).is_some(), "somebody is lost");
        }
        for (person, _) in &paired {
            prop_assert!(book.is_contact(*person));
        }
        // Who is removed now and was not everywhere loses what was granted.
        for (person, member) in stored.values().flat_map(|someone| &someone.persons) {
            if *person != own() && !member.removed && !book.is_contact(*person) {
                prop_assert!(plan.withdrawn.contains(person));
            }
        }
        plan.gone.iter().for_each(|id| drop(stored.remove(id)));
        stored.extend(plan.put.into_iter().map(|someone| (someone.id(), someone)));
        prop_assert_eq!(load(&stored), (book, Plan::default()));
    }
}

/// Whoever removed a person, on whatever device, has removed it.
#[test]
fn who_was_removed_in_one_of_two_contacts_is_removed() {
    for removed in [[true, false], [false, true], [false, false]] {
        let kept = [0_usize, 1].map(|n| {
            let mut random = Random::new([n as u8; 32]);
            let (mut book, _) = AddressBook::load(own(), [], [], &mut random);
            let plan = book.pair(person(0), &email(0), &mut random);
            book.apply(&plan.expect("another person"));
            if removed[n] {
                let plan = book.remove(person(0), None);
                book.apply(&plan.expect("a contact"));
            }
            let (_, someone) = book.someones().next().expect("one");
            someone.clone()
        });
        let random = &mut Random::new([2; 32]);
        let (book, plan) = AddressBook::load(own(), kept, [], random);
        assert_eq!(book.someones().count(), 1);
        assert_eq!(book.is_contact(person(0)), removed == [false, false]);
        assert_eq!(plan.withdrawn.is_empty(), removed == [false, false]);
    }
}
